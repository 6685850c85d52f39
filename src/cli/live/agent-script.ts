/**
 * The agent: one python3 process with an AF_PACKET socket at every device of every namespace of a run. It sends what it is
 * told and says what it sees, with nanoseconds and direction. (setns(2) moves the process; a socket stays where it was made.)
 *
 * A line in, a line out: `tap ID NETNS DEVICE`, `frame NETNS DEVICE HEX`, `packet NETNS ADDRESS HEX` are answered by `ok` or
 * `error WORDS`; `seen ID NANOSECONDS transmitted|received HEX` comes of itself. It ends with its input, or after `LIFE`
 * seconds.
 */

export const LIFE = 300;

export const AGENT = String.raw`
import ctypes, fcntl, os, selectors, signal, socket, struct, sys, time
signal.alarm(${LIFE})
signal.signal(signal.SIGINT, signal.SIG_IGN)
libc = ctypes.CDLL(None, use_errno=True)
chosen = selectors.DefaultSelector()
senders = {}
ETH_P_ALL, SOL_PACKET, PACKET_ADD_MEMBERSHIP, PROMISC = 3, 263, 1, 1
SO_TIMESTAMPNS, OUTGOING, SIOCETHTOOL = 35, 4, 0x8946
# ETHTOOL_SRXCSUM, STXCSUM, SSG, STSO, SGSO, SGRO: none of them, so that a frame is what it says
OFFLOADS = (0x15, 0x17, 0x1f, 0x19, 0x24, 0x2c)

def enter(netns):
    fd = os.open('/run/netns/' + netns, os.O_RDONLY)
    try:
        if libc.setns(fd, 0x40000000): raise OSError(ctypes.get_errno(), 'setns')
    finally: os.close(fd)

def without_offloads(sock, device):
    for command in OFFLOADS:
        value = ctypes.create_string_buffer(struct.pack('II', command, 0))
        try: fcntl.ioctl(sock, SIOCETHTOOL, struct.pack('16sP8x', device.encode(), ctypes.addressof(value)))
        except OSError: pass

def tap(number, netns, device):
    enter(netns)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    without_offloads(sock, device)
    sock.bind((device, ETH_P_ALL))
    index = socket.if_nametoindex(device)
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack('iHH8s', index, PROMISC, 0, b''))
    sock.setblocking(False)
    chosen.register(sock, selectors.EVENT_READ, number)

def frame(netns, device, data):
    key = (netns, device)
    if key not in senders:
        enter(netns)
        senders[key] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        senders[key].bind((device, 0))
    senders[key].send(bytes.fromhex(data))

def packet(netns, address, data):
    if netns not in senders:
        enter(netns)
        senders[netns] = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        senders[netns].setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    senders[netns].sendto(bytes.fromhex(data), (address, 0))

def say(text): os.write(1, (text + '\n').encode())

def look(sock, number):
    while True:
        try: data, extra, flags, where = sock.recvmsg(70000, 64)
        except BlockingIOError: return
        except OSError: continue  # the device went down
        stamp = time.time_ns()
        for level, kind, value in extra:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack('ll', value[:16])
                stamp = seconds * 1000000000 + nanoseconds
        say('seen %s %d %s %s' % (number, stamp, 'transmitted' if where[2] == OUTGOING else 'received', data.hex()))

def obey(line):
    words = line.split()
    try:
        {'tap': tap, 'frame': frame, 'packet': packet}[words[0]](*words[1:])
        say('ok')
    except Exception as error: say('error %s' % error)

chosen.register(0, selectors.EVENT_READ, None)
pending = b''
while True:
    for key, _ in chosen.select():
        if key.data is not None:
            look(key.fileobj, key.data)
            continue
        got = os.read(0, 1 << 20)
        if not got: sys.exit(0)
        pending += got
        while b'\n' in pending:
            line, pending = pending.split(b'\n', 1)
            obey(line.decode())
`;
