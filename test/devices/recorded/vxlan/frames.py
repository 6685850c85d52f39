#!/usr/bin/env python3
"""frames.py DEVICE LIST: sends the frames of a list, one by one, by a packet socket (no socket's hash) on DEVICE.
   Lists: hash (what shares a tunnel's source port), ecn, big, nd, decap."""
import socket, struct, sys, time
IP6 = socket.AF_INET6
def mac(t): return bytes(int(x, 16) for x in t.split(':'))
def a4(t): return socket.inet_aton(t)
def a6(t): return socket.inet_pton(IP6, t)
def csum(b):
    if len(b) & 1: b += b'\0'
    s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
A, B = mac('02:42:0a:00:09:0a'), mac('02:42:0a:00:09:0b')
A4, B4, A6, B6 = '10.0.9.10', '10.0.9.11', '2001:db8:9::a', '2001:db8:9::b'
def eth(p, ty, d=None, s=None, tags=()):
    t = b''.join(struct.pack('!HH', tpid, tci) for tpid, tci in tags)
    return (d or B) + (s or A) + t + struct.pack('!H', ty) + p
def ps(s, d, proto, n):
    if ':' in s: return a6(s) + a6(d) + struct.pack('!IHBB', n, 0, 0, proto)
    return a4(s) + a4(d) + struct.pack('!BBH', 0, proto, n)
def udp(s, d, sp, dp, pay, proto=17):
    h = struct.pack('!HHHH', sp, dp, 8 + len(pay), 0)
    c = csum(ps(s, d, proto, 8 + len(pay)) + h + pay) or 0xffff
    return h[:6] + struct.pack('!H', c) + pay
def tcp(s, d, sp, dp, pay, opts=b'', flags=0x18):
    h = struct.pack('!HHIIBBHHH', sp, dp, 1000, 2000, (5 + len(opts) // 4) << 4, flags, 500, 0, 0) + opts
    c = csum(ps(s, d, 6, len(h) + len(pay)) + h + pay)
    return h[:16] + struct.pack('!H', c) + h[18:] + pay
def icmp(ty, code, rest, pay):
    h = struct.pack('!BBH', ty, code, 0) + rest
    return h[:2] + struct.pack('!H', csum(h + pay)) + h[4:] + pay
def icmp6(s, d, ty, code, rest, pay):
    h = struct.pack('!BBH', ty, code, 0) + rest
    return h[:2] + struct.pack('!H', csum(ps(s, d, 58, len(h + pay)) + h + pay)) + h[4:] + pay
def ip4(s, d, proto, pay, tos=0, id=7, frag=0, ttl=64, opts=b''):
    h = struct.pack('!BBHHHBBH', 0x40 | (5 + len(opts) // 4), tos, 20 + len(opts) + len(pay), id, frag, ttl, proto, 0) + a4(s) + a4(d) + opts
    return h[:10] + struct.pack('!H', csum(h)) + h[12:] + pay
def ip6(s, d, nh, pay, tc=0, label=0, hl=64):
    return struct.pack('!IHBB', 6 << 28 | tc << 20 | label, len(pay), nh, hl) + a6(s) + a6(d) + pay
def frag6(nh, off, more, id, pay): return struct.pack('!BBHI', nh, 0, off << 3 | more, id) + pay
def ext(nh, pay): return struct.pack('!BB', nh, 0) + b'\1\4\0\0\0\0' + pay
seq = 0
def tagpay(n=24):
    global seq; seq += 1
    return (b'#%05d' % seq).ljust(n, b'.')
out = []
def v4u(sp, dp, s=A4, d=B4, tags=(), **k): out.append(eth(ip4(s, d, 17, udp(s, d, sp, dp, tagpay()), **k), 0x800, tags=tags))
def v6u(sp, dp, s=A6, d=B6, tags=(), **k): out.append(eth(ip6(s, d, 17, udp(s, d, sp, dp, tagpay()), **k), 0x86dd, tags=tags))
def v4(proto, pay, s=A4, d=B4, tags=(), **k): out.append(eth(ip4(s, d, proto, pay + tagpay(), **k), 0x800, tags=tags))
def v6(nh, pay, s=A6, d=B6, tags=(), **k): out.append(eth(ip6(s, d, nh, pay + tagpay(), **k), 0x86dd, tags=tags))

def hash_list():
    P = struct.pack
    # IPv6
    v6u(1000, 2000); v6u(1000, 2000); v6u(2000, 1000, s=B6, d=A6); v6u(1001, 2000); v6u(1000, 2001)
    v6u(2000, 1000)                                  # ports swapped alone
    v6u(1000, 2000, s=B6, d=A6)                      # addresses swapped alone
    v6u(1000, 2000, tc=0xb8); v6u(1000, 2000, hl=3)
    v6u(1000, 2000, s='2001:db8:9::c')
    v6u(1000, 2000, label=5); v6u(1001, 2000, label=5); v6u(2000, 1000, s=B6, d=A6, label=5); v6u(1000, 2000, label=6)
    v6u(1000, 2000, label=0xfffff); v6u(1000, 2000, label=5, s='2001:db8:9::c'); v6u(1000, 2000, label=5, tc=2)
    t = lambda sp, dp, **k: out.append(eth(ip6(A6, B6, 6, tcp(A6, B6, sp, dp, tagpay()), **k), 0x86dd))
    t(1000, 2000); t(1000, 2000); t(1001, 2000); t(1000, 2000, label=5); t(1001, 2000, label=5)
    e = lambda ty, ident, s=A6, d=B6, **k: out.append(eth(ip6(s, d, 58, icmp6(s, d, ty, 0, P('!HH', ident, 1), tagpay()), **k), 0x86dd))
    e(128, 1); e(128, 2); e(129, 1, s=B6, d=A6); e(128, 1, label=5); e(128, 2, label=5); e(1, 0)
    v6(0, ext(17, P('!HHHH', 1000, 2000, 32, 1))); v6(60, ext(17, P('!HHHH', 1000, 2000, 32, 1))); v6(60, ext(17, P('!HHHH', 1001, 2000, 32, 1)))
    v6(0, ext(60, ext(17, P('!HHHH', 1000, 2000, 32, 1)))); v6(43, ext(17, P('!HHHH', 1000, 2000, 32, 1)))
    v6(0, ext(58, P('!BBHHH', 128, 0, 1, 1, 1)))
    f = lambda nh, off, more, id, pay, **k: v6(44, frag6(nh, off, more, id, pay), **k)
    f(17, 0, 1, 1, P('!HHHH', 1000, 2000, 100, 1)); f(17, 0, 1, 2, P('!HHHH', 1001, 2000, 100, 1)); f(17, 4, 0, 1, b'A' * 8); f(17, 4, 1, 2, b'B' * 8)
    f(17, 0, 0, 3, P('!HHHH', 1000, 2000, 32, 1)); f(6, 4, 0, 4, b'C' * 8); f(6, 0, 1, 4, P('!HHII', 1000, 2000, 1, 1)); f(58, 0, 1, 5, P('!BBHHH', 128, 0, 1, 1, 1)); f(58, 4, 0, 5, b'')
    f(17, 0, 1, 6, P('!HHHH', 1000, 2000, 100, 1), label=5); f(17, 4, 0, 6, b'A' * 8, label=5)
    f(60, 0, 1, 7, ext(17, P('!HHHH', 1000, 2000, 100, 1)))
    v6(0, ext(44, frag6(17, 4, 0, 8, b'D' * 8)))
    for proto in (132, 136, 33, 50): v6(proto, P('!HHHHII', 1000, 2000, 24, 1, 0, 0)); v6(proto, P('!HHHHII', 1001, 2000, 24, 1, 0, 0))
    v6(51, P('!BBHII', 17, 4, 0, 77, 1) + b'I' * 12 + P('!HHHH', 1000, 2000, 32, 1)); v6(51, P('!BBHII', 17, 4, 0, 78, 1) + b'I' * 12 + P('!HHHH', 1000, 2000, 32, 1))
    v6(51, P('!BBHII', 17, 4, 0, 77, 1) + b'I' * 12 + P('!HHHH', 1001, 2000, 32, 1))
    v6(59, b''); v6(253, b''); v6(254, P('!HHHH', 1000, 2000, 32, 1)); v6(253, P('!HHHH', 1000, 2000, 32, 1))
    i4 = lambda sp, **k: ip4('192.0.2.1', '192.0.2.2', 17, P('!HHHH', sp, 2000, 32, 1), **k)
    i6 = lambda sp, **k: ip6('2001:db8:ff::1', '2001:db8:ff::2', 17, P('!HHHH', sp, 2000, 32, 1), **k)
    v6(4, i4(1000)); v6(4, i4(1001)); v6(41, i6(1000)); v6(41, i6(1001)); v6(41, i6(1001, label=9)); v6(4, i4(1000), s='2001:db8:9::c')
    gre = lambda ty, pay, key=None: P('!HH', 0x2000 if key is not None else 0, ty) + (P('!I', key) if key is not None else b'') + pay
    v6(47, gre(0x800, i4(1000))); v6(47, gre(0x86dd, i6(1000))); v6(47, gre(0x800, i4(1000), 3)); v6(47, gre(0x800, i4(1000), 4))
    # IPv4
    v4u(1000, 2000); v4u(1000, 2000); v4u(2000, 1000, s=B4, d=A4); v4u(1001, 2000); v4u(1000, 2000, tos=0xb8); v4u(1000, 2000, ttl=3); v4u(1000, 2000, frag=0x4000)
    v4u(1000, 2000, opts=b'\1\1\1\0'); v4u(1001, 2000, opts=b'\1\1\1\0')
    t4 = lambda sp, opts=b'', **k: out.append(eth(ip4(A4, B4, 6, tcp(A4, B4, sp, 2000, tagpay(), opts), **k), 0x800))
    t4(1000); t4(1000, b'\1\1\1\0'); t4(1001); t4(1000, opts=b'\1\1\1\0\1\1\1\0')
    v4(17, P('!HHHH', 1000, 2000, 100, 1), frag=0x2000); v4(17, P('!HHHH', 1001, 2000, 100, 1), frag=0x2000, id=8); v4(17, b'E' * 8, frag=4); v4(6, b'E' * 8, frag=4); v4(17, P('!HHHH', 1000, 2000, 100, 1), frag=0x6000)
    e4 = lambda ty, ident, s=A4, d=B4: out.append(eth(ip4(s, d, 1, icmp(ty, 0, P('!HH', ident, 1), tagpay())), 0x800))
    e4(8, 1); e4(8, 2); e4(0, 1, s=B4, d=A4); e4(3, 0)
    for proto in (132, 136, 33, 50): v4(proto, P('!HHHHII', 1000, 2000, 24, 1, 0, 0)); v4(proto, P('!HHHHII', 1001, 2000, 24, 1, 0, 0))
    v4(51, P('!BBHII', 17, 4, 0, 77, 1) + b'I' * 12); v4(51, P('!BBHII', 17, 4, 0, 78, 1) + b'I' * 12)
    v4(4, i4(1000)); v4(4, i4(1001)); v4(41, i6(1000)); v4(41, i6(1001)); v4(4, i4(1000), s='10.0.9.12'); v4(4, i4(1000, frag=0x2000))
    v4(47, gre(0x800, i4(1000))); v4(47, gre(0x800, i4(1001))); v4(47, gre(0x800, i4(1000), 3)); v4(47, gre(0x800, i4(1000), 4)); v4(47, gre(0x6558, eth(i4(1000), 0x800)))
    v4(47, P('!HH', 0x8001, 0x880b) + b'Z' * 12)
    v4(2, b'\x16\0\0\0\xe0\0\0\5'); v4(2, b'\x17\0\0\0\xe0\0\0\5'); v4(112, b''); v4(253, P('!HHHH', 1000, 2000, 32, 1)); v4(253, P('!HHHH', 1001, 2000, 32, 1))
    # VLANs
    Q, AD = 0x8100, 0x88a8
    for tags in (((Q, 5),), ((Q, 6),), ((Q, 0x2005),), ((AD, 5),), ((AD, 5), (Q, 6)), ((AD, 5), (Q, 7)), ((Q, 5), (Q, 6)), ((Q, 0),)):
        v4u(1000, 2000, tags=tags); v6u(1000, 2000, tags=tags)
    v4u(1001, 2000, tags=((Q, 5),)); v4u(1001, 2000, tags=((AD, 5), (Q, 6))); v6u(1000, 2000, label=5, tags=((Q, 5),)); v6u(1001, 2000, label=5, tags=((Q, 5),))
    # other EtherTypes
    for ty in (0x88b5, 0x88b6, 0x8847, 0x88cc, 0x8863, 0x8035): out.append(eth(tagpay(46), ty)); out.append(eth(tagpay(46), ty, d=B, s=mac('02:42:0a:00:09:63')))
    out.append(eth(tagpay(46), 0x88b5, tags=((Q, 5),)))
    out.append(eth(P('!I', 16 << 12 | 1 << 8 | 64) + i4(1000) + tagpay(), 0x8847)); out.append(eth(P('!I', 17 << 12 | 1 << 8 | 64) + i4(1000) + tagpay(), 0x8847))
    out.append(eth(P('!BBHHH', 0x11, 0, 1, 30, 0x21) + i4(1000) + tagpay(), 0x8864)); out.append(eth(P('!BBHHH', 0x11, 0, 2, 30, 0x21) + i4(1001) + tagpay(), 0x8864))
    # cut short
    out.append(eth(b'\x45' + tagpay(13), 0x800)); out.append(eth(b'\x60' + tagpay(30), 0x86dd)); out.append(eth(b'\x44' + ip4(A4, B4, 17, udp(A4, B4, 1000, 2000, tagpay()))[1:], 0x800))
    out.append(eth(ip6(A6, B6, 17, b'\3\xe8')+b'', 0x86dd)); out.append(eth(ip6(A6, B6, 0, b'\x11') + b'', 0x86dd)); out.append(eth(ip4(A4, B4, 17, b'\3\xe8'), 0x800))

def ecn_list():
    for tos in (0, 1, 2, 3, 0xb8, 0xb9, 0xba, 0xbb):
        v4u(1000, 2000, tos=tos); v6u(1000, 2000, tc=tos); v6u(1000, 2000, tc=tos, label=0x12345)
        v6(0, ext(17, struct.pack('!HHHH', 1000, 2000, 32, 1)), tc=tos)
        v4u(1000, 2000, tos=tos, tags=((0x8100, 5),)); v6u(1000, 2000, tc=tos, tags=((0x8100, 5),))
        v4u(1000, 2000, tos=tos, tags=((0x88a8, 5),(0x8100, 7))); v6u(1000, 2000, tc=tos, tags=((0x88a8, 5),(0x8100,7)))
        out.append(eth(struct.pack('!I', 16 << 12 | 1 << 8 | 64) + ip4(A4, B4, 17, b'x' * 8, tos=tos) + tagpay(), 0x8847))

def big_list():  # the way's MTU to the other VTEP is 1400: 1350 inside
    P = struct.pack
    pay = lambda n: tagpay(n)
    for n in (1349, 1350, 1351, 1400, 1450):
        for label in (0, 5): out.append(eth(ip6(A6, B6, 17, udp(A6, B6, 1000, 2000, pay(n - 48)), label=label, tc=2 if label else 0, hl=61), 0x86dd))
    for n in (1349, 1350, 1351, 1450):
        for fl in (0x4000, 0): out.append(eth(ip4(A4, B4, 17, udp(A4, B4, 1000, 2000, pay(n - 28)), frag=fl, ttl=61, tos=0xba), 0x800))
    out.append(eth(ip4(A4, B4, 17, pay(1380), frag=0x6000), 0x800)); out.append(eth(ip4(A4, B4, 17, pay(1380), frag=0x4004), 0x800))
    out.append(eth(ip4(A4, B4, 17, udp(A4, B4, 1000, 2000, pay(1380)), frag=0xc000), 0x800))
    out.append(eth(ip4(A4, B4, 17, udp(A4, B4, 1000, 2000, pay(1380)), frag=0x4000, opts=b'\1\1\1\0'), 0x800))
    for s, d in ((A4, '224.1.2.3'), ('0.1.2.3', B4), ('127.0.0.1', B4), ('224.1.2.3', B4), ('255.255.255.255', B4), (A4, '255.255.255.255'), (A4, '10.0.9.255'), ('0.0.0.0', B4)):
        out.append(eth(ip4(s, d, 17, udp(s, d, 1000, 2000, pay(1380)), frag=0x4000), 0x800))
    for ty in (3, 4, 5, 8, 11, 12): out.append(eth(ip4(A4, B4, 1, icmp(ty, 0, b'\0' * 4, pay(1380)), frag=0x4000), 0x800))
    for s, d in ((A6, 'ff15::1'), ('::', B6), ('::1', B6), ('ff02::1', B6), ('fe80::1', B6), (A6, 'fe80::2')):
        out.append(eth(ip6(s, d, 17, udp(s, d, 1000, 2000, pay(1380))), 0x86dd))
    for ty in (1, 2, 3, 4, 128, 129, 135, 137): out.append(eth(ip6(A6, B6, 58, icmp6(A6, B6, ty, 0, b'\0' * 4, pay(1380))), 0x86dd))
    out.append(eth(ip6(A6, B6, 44, frag6(17, 0, 1, 1, pay(1380))), 0x86dd)); out.append(eth(ip6(A6, B6, 44, frag6(17, 4, 0, 1, pay(1380))), 0x86dd))
    out.append(eth(ip6(A6, B6, 0, ext(58, icmp6(A6, B6, 1, 0, b'\0' * 4, pay(1380)))), 0x86dd)); out.append(eth(ip6(A6, B6, 0, ext(17, udp(A6, B6, 1000, 2000, pay(1380)))), 0x86dd))
    out.append(eth(ip6(A6, B6, 44, frag6(58, 0, 1, 2, icmp6(A6, B6, 1, 0, b'\0' * 4, pay(1380)))), 0x86dd))
    out.append(eth(ip6(A6, B6, 59, pay(1380)), 0x86dd)); out.append(eth(tagpay(1400), 0x88b5))
    v4pay = lambda: udp(A4, B4, 1000, 2000, pay(1380)); out.append(eth(ip4(A4, B4, 17, v4pay(), frag=0x4000), 0x800, tags=((0x8100, 5),)))
    out.append(eth(ip6(A6, B6, 17, udp(A6, B6, 1000, 2000, pay(1380))), 0x86dd, tags=((0x8100, 5),)))

def nd_list():
    P = struct.pack
    sol = lambda t: 'ff02::1:ff' + '%02x:%02x%02x' % tuple(a6(t)[13:])
    gm = lambda t: b'\x33\x33' + a6(t)[12:]
    def ns(target, opts=b'', s=A6, d=None, tc=0, hl=255, dm=None, label=0, code=0, sm=None):
        dst = d or sol(target)
        out.append(eth(ip6(s, dst, 58, icmp6(s, dst, 135, code, b'\0' * 4, a6(target) + opts), tc=tc, hl=hl, label=label), 0x86dd, d=dm or gm(dst) if ':' in dst and dst.startswith('ff') else dm or B, s=sm))
    lla = P('!BB', 1, 1) + A; other = P('!BB', 1, 1) + mac('02:42:0a:00:09:63'); nonce = P('!BB', 14, 1) + b'nonce!'
    ns(B6, lla); ns(B6); ns(B6, other); ns(B6, nonce + other); ns(B6, lla, d=B6); ns(B6, d=B6); ns(B6, lla, tc=0xbb, label=5); ns(B6, lla, hl=64); ns(B6, s='::'); ns(B6, nonce, s='::')
    ns(B6, lla, code=1); ns(B6, P('!BB', 14, 0) + b'nonce!' + other); ns(B6, lla + b'\1'); ns(B6, lla + b'\1\1'); ns('2001:db8:9::99', lla); ns('2001:db8:9::c', lla); ns('2001:db8:9::d', lla); ns('2001:db8:9::e', lla); ns('2001:db8:9::f', lla); ns('ff02::1', lla); ns(B6, lla, d='::1')
    ns('fe80::42:aff:fe00:90b', lla, s='fe80::42:aff:fe00:90a')
    # other messages: advertisement, router solicitation, listener report, echo to a group
    def m(ty, rest, pay, dst, hl=255): out.append(eth(ip6(A6, dst, 58, icmp6(A6, dst, ty, 0, rest, pay), hl=hl), 0x86dd, d=gm(dst) if dst.startswith('ff') else B))
    m(136, b'\x60\0\0\0', a6(A6) + P('!BB', 2, 1) + A, B6); m(136, b'\x20\0\0\0', a6(A6) + P('!BB', 2, 1) + A, 'ff02::1'); m(133, b'\0' * 4, lla, 'ff02::2'); m(128, P('!HH', 1, 1), tagpay(), 'ff02::1', 64)
    out.append(eth(ip6(A6, sol(B6), 58, icmp6(A6, sol(B6), 135, 0, b'\0' * 4, a6(B6)[:8]), hl=255), 0x86dd, d=gm(sol(B6))))           # cut short
    out.append(eth(ip6(A6, sol(B6), 0, ext(58, icmp6(A6, sol(B6), 135, 0, b'\0' * 4, a6(B6) + lla)), hl=255), 0x86dd, d=gm(sol(B6))))  # behind an extension header
    bad = bytearray(eth(ip6(A6, sol(B6), 58, icmp6(A6, sol(B6), 135, 0, b'\0' * 4, a6(B6) + lla), hl=255), 0x86dd, d=gm(sol(B6)))); bad[57] ^= 1; out.append(bytes(bad))  # wrong checksum
    out.append(eth(ip6(A6, sol(B6), 58, icmp6(A6, sol(B6), 135, 0, b'\0' * 4, a6(B6) + lla), hl=255), 0x86dd, d=gm(sol(B6)), tags=((0x8100, 5),)))
    out.append(eth(ip6(A6, B6, 58, icmp6(A6, B6, 135, 0, b'\0' * 4, a6(B6) + lla), hl=255), 0x86dd, d=mac('02:42:0a:00:09:77')))
    arp = lambda op, sm, sa, tm, ta, d=b'\xff' * 6, tags=(): out.append(eth(P('!HHBBH', 1, 0x800, 6, 4, op) + sm + a4(sa) + tm + a4(ta), 0x806, d=d, tags=tags))
    Z = b'\0' * 6
    arp(1, A, A4, Z, B4); arp(1, A, A4, Z, B4, d=B); arp(2, A, A4, B, B4, d=B); arp(1, A, A4, Z, '10.0.9.99'); arp(1, A, '0.0.0.0', Z, B4); arp(1, A, A4, Z, '127.0.0.1'); arp(1, A, A4, Z, '224.0.0.1'); arp(1, mac('02:42:0a:00:09:63'), A4, Z, B4); arp(1, A, A4, Z, B4, tags=((0x8100, 5),)); arp(1, A, A4, Z, '10.0.9.12'); arp(1, A, A4, Z, '10.0.9.13')

def decap_list():  # from the outside to node2: DST-MAC comes by argv
    NODE, OUT = mac('52:54:00:00:00:6f'), mac('52:54:00:00:00:01')
    X = mac('02:42:0a:00:09:63')
    def wrap(inner, tos, vni):
        v = struct.pack('!BBHI', 8, 0, 0, vni << 8) + inner
        return OUTER(ip4('192.168.99.1', '192.168.99.111', 17, udp('192.168.99.1', '192.168.99.111', 40000, 4789, v), tos=tos))
    OUTER = lambda p: NODE + OUT + b'\x08\0' + p
    vni = int(sys.argv[3])
    for outer in (0, 1, 2, 3, 0xb8, 0xbb):
        for inner in (0, 1, 2, 3, 0xb8, 0xb9, 0xba, 0xbb):
            n = len(out)
            v4u(1000, 2000, tos=inner); v6u(1000, 2000, tc=inner, label=0x12345); v6(0, ext(17, struct.pack('!HHHH', 1000, 2000, 32, 1)), tc=inner); v6u(1000, 2000, tc=inner)
            v4u(1000, 2000, tos=inner, tags=((0x8100, 5),)); v4u(1000, 2000, tos=inner, tags=((0x8100, 8),)); v6u(1000, 2000, tc=inner, tags=((0x8100, 5),)); v6u(1000, 2000, tc=inner, tags=((0x8100, 0x18),))
            for i in range(n, len(out)): out[i] = wrap(B + X + out[i][12:], outer, vni)
        n = len(out)
        out.append(eth(tagpay(46), 0x88b5)); out.append(eth(b'\x45\0' + tagpay(13), 0x800)); out.append(eth(b'\x60\0' + tagpay(30), 0x86dd))
        out.append(eth(struct.pack('!HHBBH', 1, 0x800, 6, 4, 1) + X + a4('10.0.9.99') + b'\0' * 6 + a4(B4), 0x806))
        for i in range(n, len(out)): out[i] = wrap(B + X + out[i][12:], outer, vni)

globals()[sys.argv[2] + '_list']()
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind((sys.argv[1], 0))
for f in out: s.send(f); time.sleep(0.004)
print(len(out), 'frames')
