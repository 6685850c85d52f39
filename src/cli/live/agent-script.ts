/**
 * The agent: one python3 process with an AF_PACKET socket at every device of every namespace of a run. It sends what it is
 * told and says what it sees, with nanoseconds and direction. (setns(2) moves the process; a socket stays where it was made.)
 *
 * Captures go by a ring (TPACKET_V2), as tcpdump's do: the kernel copies each frame as it passes. A socket that is simply
 * read keeps a clone instead, in which later hops overwrite headers, and a clone sends ip_fragment() another way.
 *
 * A line in, a line out: `tap ID NETNS DEVICE`, `frame NETNS DEVICE HEX`, `packet NETNS ADDRESS HEX` are answered by `ok` or
 * `error WORDS`; `seen ID NANOSECONDS transmitted|received HEX` comes of itself. It ends with its input, or after `LIFE`
 * seconds.
 */

export const LIFE = 300;

export const AGENT = String.raw`
import ctypes, fcntl, mmap, os, selectors, signal, socket, struct, sys
signal.alarm(${LIFE})
signal.signal(signal.SIGINT, signal.SIG_IGN)
libc = ctypes.CDLL(None, use_errno=True)
chosen = selectors.DefaultSelector()
senders = {}
ETH_P_ALL, SOL_PACKET, OUTGOING, SIOCETHTOOL = 3, 263, 4, 0x8946
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_VERSION, PROMISC = 1, 5, 10, 1
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

class Ring:
    SLOT, SLOTS, BLOCK = 8192, 128, 65536
    def __init__(self, number, netns, device):
        enter(netns)
        self.number, self.at = number, 0
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        without_offloads(self.sock, device)
        self.sock.setsockopt(SOL_PACKET, PACKET_VERSION, struct.pack('i', 1))
        blocks = self.SLOT * self.SLOTS // self.BLOCK
        self.sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack('IIII', self.BLOCK, blocks, self.SLOT, self.SLOTS))
        self.slots = mmap.mmap(self.sock.fileno(), self.SLOT * self.SLOTS, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        index = socket.if_nametoindex(device)
        self.sock.bind((device, ETH_P_ALL))
        self.sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack('iHH8s', index, PROMISC, 0, b''))
        chosen.register(self.sock, selectors.EVENT_READ, self)

    def look(self):
        while True:
            at = self.at * self.SLOT
            status, length, kept, mac, _, seconds, nanoseconds = struct.unpack_from('IIIHHII', self.slots, at)
            if not status & 1: return
            outgoing = self.slots[at + 32 + 10] == OUTGOING  # sockaddr_ll.sll_pkttype
            data = self.slots[at + mac:at + mac + kept]
            say('seen %s %d %s %s' % (self.number, seconds * 1000000000 + nanoseconds, 'transmitted' if outgoing else 'received', data.hex()))
            struct.pack_into('I', self.slots, at, 0)
            self.at = (self.at + 1) % self.SLOTS

def tap(number, netns, device): Ring(number, netns, device)

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
            key.data.look()
            continue
        got = os.read(0, 1 << 20)
        if not got: sys.exit(0)
        pending += got
        while b'\n' in pending:
            line, pending = pending.split(b'\n', 1)
            obey(line.decode())
`;
