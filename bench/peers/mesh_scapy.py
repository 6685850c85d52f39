"""The mesh's job in scapy: a client's TCP frame is dissected, its addresses changed as DNAT, IPVS and SNAT change them, and the
result encapsulated in VXLAN with checksums computed anew. Prints nanoseconds a packet, the least of several turns."""

import time

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

COUNT = 500
TURNS = 5


def encapsulate(frame):
    packet = Ether(frame)
    ip, tcp = packet[IP], packet[TCP]
    ip.src, ip.dst, ip.ttl, tcp.dport = "10.0.0.2", "10.0.0.5", ip.ttl - 1, 80
    del ip.chksum, tcp.chksum
    inner = Ether(src="02:42:0a:00:00:02", dst="02:42:0a:00:00:05") / ip
    outer = Ether(src="52:54:00:00:00:6e", dst="52:54:00:00:00:6f") / IP(src="192.168.99.110", dst="192.168.99.111")
    return bytes(outer / UDP(sport=40000, dport=4789) / VXLAN(vni=4096, flags=8) / inner)


frames = [
    bytes(
        Ether(src="52:54:00:00:00:01", dst="52:54:00:00:00:6e")
        / IP(src="192.168.99.1", dst="192.168.99.110", flags="DF")
        / TCP(sport=32768 + i, dport=8080, flags="PA", seq=1, ack=1)
        / (b"x" * 10)
    )
    for i in range(COUNT)
]
least = None
for _ in range(TURNS):
    start = time.perf_counter_ns()
    for frame in frames:
        made = encapsulate(frame)
    took = (time.perf_counter_ns() - start) / COUNT
    least = took if least is None else min(least, took)
assert len(made) == 64 + 50, len(made)
print(int(least))
