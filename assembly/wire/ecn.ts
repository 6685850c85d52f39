// Marks of congestion between a frame and the IP header that a tunnel puts around it (RFC 6040; include/net/inet_ecn.h and
// ip_tunnels.h: ip_tunnel_ecn_encap, IP_ECN_decapsulate).

import { update16 } from "./checksum";
import * as ethernet from "./ethernet";
import * as ipv4 from "./ipv4";
import * as ipv6 from "./ipv6";
import * as vlan from "./vlan";

/** ECN: not capable, capable (two ways to say it), congestion experienced. */
const NOT_ECT: u32 = 0;
const ECT_1: u32 = 1;
const ECT_0: u32 = 2;
const CE: u32 = 3;

/** What stands outside for an inner ECN field: congestion inside is no congestion outside (RFC 6040, 4.1, normal mode). */
// @ts-ignore: decorator
@inline
export function outside(inner: u32): u32 {
  let mark = inner;
  if (mark == CE) mark = ECT_0;
  return mark;
}

/** The ECN field of the header around the frame of `length` bytes at `at`. Linux looks behind all tags for the type, but takes it that there is one. */
export function encapsulated(at: usize, length: u32): u32 {
  const end = at + length;
  let type = ethernet.type(at);
  let ip = at + ethernet.LENGTH;
  if (vlan.isTag(type)) {
    ip += vlan.LENGTH;
    let tag = at + ethernet.LENGTH;
    while (vlan.isTag(type) && tag + vlan.LENGTH <= end) {
      type = <u32>load<u16>(tag, 2);
      tag += vlan.LENGTH;
    }
  }
  if (ip + 2 > end) return NOT_ECT;
  if (type == ethernet.TYPE_IPV4) return outside(ipv4.tos(ip) & CE);
  return type == ethernet.TYPE_IPV6 ? outside(ipv6.ecn(ip)) : NOT_ECT;
}

/**
 * What routers marked outside goes to the packet in the frame at `at`, whose IP header is whole (4.2): CE becomes CE, ECT(1) takes
 * ECT(0)'s place. False: it is not capable of saying CE, and goes. A tagged frame stays as it is.
 */
export function decapsulated(at: usize, outer: u32): bool {
  const type = ethernet.type(at);
  const v6 = type == ethernet.TYPE_IPV6;
  if (outer == NOT_ECT || (!v6 && type != ethernet.TYPE_IPV4)) return true;
  const ip = at + ethernet.LENGTH;
  const inner = v6 ? ipv6.ecn(ip) : ipv4.tos(ip) & CE;
  if (inner == NOT_ECT) return outer != CE;
  const after = outer == CE ? CE : outer == ECT_1 && inner == ECT_0 ? ECT_1 : inner;
  if (after == inner) return true;
  if (v6) ipv6.setEcn(ip, after);
  else {
    const before = <u32>load<u16>(ip);
    store<u8>(ip, <u8>(ipv4.tos(ip) & ~CE) | <u8>after, 1);
    ipv4.setCheck(ip, update16(ipv4.check(ip), before, <u32>load<u16>(ip)));
  }
  return true;
}
