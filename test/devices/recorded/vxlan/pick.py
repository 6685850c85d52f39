#!/usr/bin/env python3
"""pick.py FROM TO: of each capture the frames that a test compares, unchanged and with their times."""
import sys, struct, os
src, to = sys.argv[1:3]
def rd(f):
    b = open(f, 'rb').read(); o = 24; r = []
    while o < len(b):
        s, ns, n, l = struct.unpack('<IIII', b[o:o+16]); r.append((s, ns, b[o+16:o+16+n])); o += 16 + n
    return r
def wr(name, fs):
    with open(os.path.join(to, name + '.pcap'), 'wb') as f:
        f.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
        for s, ns, b in fs: f.write(struct.pack('<IIII', s, ns, len(b), len(b)) + b)
    print(name, len(fs), os.path.getsize(os.path.join(to, name + '.pcap')))
H1, H2, OUT = bytes.fromhex('52540000006e'), bytes.fromhex('52540000006f'), bytes.fromhex('525400000001')
A = bytes.fromhex('02420a00090a'); X = bytes.fromhex('02420a000963'); BR = bytes.fromhex('020000000101')
vx = lambda f: f[12:14] == b'\x08\0' and f[23] == 17
os.makedirs(to, exist_ok=True)
for part in ('hash', 'ecn', 'nd', 'big'):
    task = rd(f'{src}/{part}/n1t.eth0.pcap'); wire = [x for x in rd(f'{src}/{part}/n1h.eth0.pcap') if vx(x[2])]
    came = {x[2][50:] for x in wire if x[2][:6] == H1}
    sent = [x for x in task if x[2][6:12] in (A, X)]
    wr(part + '-sent', sent)
    if part in ('nd', 'big'): wr(part + '-answers', [x for x in task if x[2][:6] in (A, X) and x[2][6:12] not in (A, X, BR) and x[2] not in came])  # what br0's stack forwards is the capture's promiscuous mode
    if part != 'nd': wr(part + '-wire', [x for x in wire if x[2][:6] == H2])
wr('decap-wire', [x for x in rd(f'{src}/decap/n2h.eth0.pcap') if vx(x[2]) and x[2][6:12] == OUT])
wr('decap-inside', [x for x in rd(f'{src}/decap/n2o.vxlan0.pcap') if x[2][6:12] == X])
