// The hash of a frame to which no socket has given one (net/core/flow_dissector.c: __skb_get_hash), and the UDP source port that a
// tunnel makes of it (udp_flow_src_port). It is keyed, and the same for both directions: what it looks at is the innermost
// EtherType, addresses, upper protocol and ports that it gets to. Fragments have no ports, the first one neither; an IPv6 packet with
// a flow label has that instead of what is behind its header. MACs do not matter.

import { Frame, SOCKET_HASH } from "../frame";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as vlan from "../wire/vlan";
import { keyedHash } from "../random";

// What was found, as it is hashed: the same for both directions.
let type: u32 = 0;
let v6: bool = false;
let ends: u64 = 0;
let protocol: u32 = 0;
let ports: u32 = 0;
let label: u32 = 0;
let tag: u32 = 0;
let key: u32 = 0;

/** Network byte order: of what carries the frame, by its socket's hash if it has one. */
export function sourcePort(frame: Frame): u32 {
  return portOfHash(frame.flags & SOCKET_HASH ? frame.hash : flowHash(frame.data, frame.length));
}

/**
 * The same of a frame with a plain packet of these addresses and ports (as loaded). Over IPv6 addresses are numbers (tables/addresses6), and
 * `hash` is the flow label (as loaded) where no socket has given one.
 */
// @ts-ignore: decorator
@inline
export function sourcePortOf(addresses: u64, protocol: u32, ports: u32, flags: u32, hash: u32, v6: bool): u32 {
  if (flags & SOCKET_HASH) return portOfHash(hash);
  return portOfHash(v6 ? hashOf6(<usize><u32>addresses, <usize>(addresses >>> 32), protocol, ports, hash) : hashOf(endsOf(addresses), protocol, portsOf(ports)));
}
function hashOf6(from: usize, to: usize, protocol: u32, ports: u32, loaded: u32): u32 {
  const label = bswap<u32>(loaded);
  return hashMore(hashOf(endsOf6(from, to), protocol, label ? 0 : portsOf(ports)), ethernet.TYPE_IPV6, true, 0, label);
}

/** Scaled to ip_local_port_range. */
// @ts-ignore: decorator
@inline
function portOfHash(h: u32): u32 { return bswap<u16>(<u16>(32768 + <u32>((<u64>h * 28231) >>> 32))); }

// @ts-ignore: decorator
@inline
function hashOf(ends: u64, protocol: u32, ports: u32): u32 { return keyedHash(ends, <u64>protocol | (<u64>ports << 8)); }
/** Where there is more to it than an IPv4 packet. */
function hashMore(h: u32, type: u32, v6: bool, more: u64, label: u32): u32 {
  return keyedHash(<u64>h | (<u64>type << 32) | (<u64>v6 << 63), keyedHash(more, label));
}
// Of both directions the lesser comes first (__flow_hash_consistentify), addresses and ports each for themselves.
// @ts-ignore: decorator
@inline
function endsOf(addresses: u64): u64 { return <u32>addresses < <u32>(addresses >>> 32) ? addresses : rotl<u64>(addresses, 32); }
// @ts-ignore: decorator
@inline
function portsOf(ports: u32): u32 { return (ports & 0xffff) < ports >>> 16 ? ports : rotl<u32>(ports, 16); }

function flowHash(at: usize, length: u32): u32 {
  type = ethernet.type(at);
  v6 = false;
  ends = 0;
  protocol = 0;
  ports = 0;
  label = 0;
  tag = 0;
  key = 0;
  // Of a tagged frame it reads the tag where the IP header is: the first tag had come off and was put on again.
  dissect(vlan.isTag(type) ? at + ethernet.LENGTH + vlan.LENGTH : at + ethernet.LENGTH, at + length);
  const h = hashOf(ends, protocol, ports);
  const more = <u64>tag | (<u64>key << 32);
  if (type == ethernet.TYPE_IPV4 && !v6 && !more) return h;
  return hashMore(h, type, v6, more, label);
}

/** No frame that anybody means has more (MAX_FLOW_DISSECT_HDRS). */
const MOST_HEADERS: u32 = 15;
const TYPE_PPPOE: u32 = 0x6488;
/** Ethernet in GRE (ETH_P_TEB). */
const TYPE_ETHERNET: u32 = 0x5865;
const IPIP: u32 = 4;
const IP6IP: u32 = 41;
const GRE: u32 = 47;

/** From the header of EtherType `type` at `p` on, as far as there is one that it knows. */
function dissect(p: usize, end: usize): void {
  for (let i: u32 = 0; p && i < MOST_HEADERS; i++) {
    if (type == ethernet.TYPE_IPV4) p = intoIpv4(p, end);
    else if (type == ethernet.TYPE_IPV6) p = intoIpv6(p, end);
    else if (vlan.isTag(type)) p = intoTag(p, end);
    else p = type == TYPE_PPPOE ? intoPppoe(p, end) : 0;
  }
}

// Each answers where the next header of EtherType `type` is, or 0: that was all.

function intoIpv4(p: usize, end: usize): usize {
  if (p + ipv4.LENGTH > end || ipv4.headerLength(p) < ipv4.LENGTH) return 0;
  v6 = false;
  protocol = ipv4.protocol(p);
  ends = endsOf(load<u64>(p, 12));
  return ipv4.isFragment(p) ? 0 : upper(p + ipv4.headerLength(p), end);
}

function intoIpv6(p: usize, end: usize): usize {
  if (p + ipv6.LENGTH > end) return 0;
  v6 = true;
  protocol = ipv6.nextHeader(p);
  ends = endsOf6(p + ipv6.AT_SOURCE, p + ipv6.AT_DESTINATION);
  label = ipv6.flowLabel(p);
  if (label) return 0;
  let at = p + ipv6.LENGTH;
  while (protocol == ipv6.HOP_BY_HOP || protocol == ipv6.ROUTING || protocol == ipv6.DESTINATION_OPTIONS) {
    if (at + 2 > end) return 0;
    protocol = load<u8>(at);
    at += (<usize>load<u8>(at, 1) + 1) << 3;
  }
  if (protocol != ipv6.FRAGMENT) return upper(at, end);
  if (at + ipv6.FRAGMENT_LENGTH <= end) protocol = load<u8>(at);
  return 0;
}
/** Of the addresses at these places. */
function endsOf6(source: usize, destination: usize): u64 {
  const from = folded(source);
  const to = folded(destination);
  return (from + to) ^ rotl<u64>(from ^ to, 32);
}
function folded(address: usize): u64 { return load<u64>(address) * 0x9e3779b97f4a7c15 + rotl<u64>(load<u64>(address, 8) * 0xbf58476d1ce4e5b9, 29); }

/** Of several tags the first counts: identifier and priority, and which kind of tag. */
function intoTag(p: usize, end: usize): usize {
  if (p + vlan.LENGTH > end) return 0;
  if (!tag) tag = type | (<u32>(load<u16>(p) & 0xffef) << 16);
  type = load<u16>(p, 2);
  return p + vlan.LENGTH;
}

function intoPppoe(p: usize, end: usize): usize {
  if (p + 8 > end || load<u16>(p) != 0x11) return 0;
  const within = <u32>bswap<u16>(load<u16>(p, 6));
  if (within != 0x21 && within != 0x57) return 0;
  type = within == 0x21 ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6;
  return p + 8;
}

/** The header of `protocol` at `p`: a packet in a packet, or what begins with ports (proto_ports_offset), an SPI among them. */
function upper(p: usize, end: usize): usize {
  if (protocol == GRE) return intoGre(p, end);
  if (protocol == IPIP || protocol == IP6IP) {
    type = protocol == IPIP ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6;
    return p;
  }
  const at = protocol == ipv6.AUTHENTICATION ? p + 4 : p;
  if (hasPorts() && at + 4 <= end) ports = portsOf(load<u32>(at));
  return 0;
}
const DCCP: u32 = 33;
const SCTP: u32 = 132;
const UDP_LITE: u32 = 136;
function hasPorts(): bool {
  if (protocol == ipv4.TCP || protocol == ipv4.UDP || protocol == ipv4.ESP || protocol == ipv6.AUTHENTICATION) return true;
  return protocol == DCCP || protocol == SCTP || protocol == UDP_LITE;
}

/** RFC 2784 and 2890: the key counts, and what is inside. Version 1, PPTP's, is not looked into. */
function intoGre(p: usize, end: usize): usize {
  if (p + 4 > end) return 0;
  const flags = <u32>bswap<u16>(load<u16>(p));
  if (flags & 0x4007) return 0;
  let at = p + 4;
  if (flags & 0x8000) at += 4;
  if (flags & 0x2000) {
    if (at + 4 > end) return 0;
    key = load<u32>(at);
    at += 4;
  }
  if (flags & 0x1000) at += 4;
  type = load<u16>(p, 2);
  if (type != TYPE_ETHERNET) return at;
  if (at + ethernet.LENGTH > end) return 0;
  type = ethernet.type(at);
  return at + ethernet.LENGTH;
}
