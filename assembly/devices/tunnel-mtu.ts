// A packet that would not fit the underlay of a tunnel which is a bridge's port: the device answers in the receiver's place that it is
// too big, with what is left for the packet as the MTU (net/ipv4/ip_tunnel_core.c: skb_tunnel_check_pmtu, iptunnel_pmtud_*).

import { Frame, takeFrame } from "../frame";
import { account, drop, Drop } from "../drops";
import { Device, receive } from "./device";
import * as ethernet from "../wire/ethernet";
import * as icmp from "../wire/icmp";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";

/** 255.255.255.255. */
const ALL: u32 = 0xffffffff;
/** Length of the IP packet that refuses one which is too big. */
const REFUSAL: u32 = 576;

/** Answers for the frame, of which `mtu` bytes of packet would fit, and drops it. False: it is the outer packet that gets fragmented. */
export function refuse(device: Device, frame: Frame, mtu: u32): bool {
  const type = ethernet.type(frame.data);
  let error: Frame | null;
  if (type == ethernet.TYPE_IPV4 && isAnswered(frame, mtu)) error = needsFragments(frame, mtu);
  else if (type == ethernet.TYPE_IPV6 && isAnswered6(frame, mtu)) error = tooBig(frame, mtu);
  else return false;
  drop(frame, Drop.PKT_TOO_BIG, device);
  if (error) receive(device, error);
  return true;
}

/** iptunnel_pmtud_check_icmp: with DF and no other flag or offset, from and to what may be told, no ICMP error. */
function isAnswered(frame: Frame, mtu: u32): bool {
  const ip = frame.data + ethernet.LENGTH;
  const left = frame.length - ethernet.LENGTH;
  if (left < ipv4.LENGTH || mtu < REFUSAL || load<u16>(ip, 6) != <u16>bswap<u16>(<u16>ipv4.DF)) return false;
  const source = ipv4.source(ip);
  const destination = ipv4.destination(ip);
  if (!source || (source & 0xff) == 127 || source == ALL || destination == ALL) return false;
  if ((source & 0xf0) == 0xe0 || (destination & 0xf0) == 0xe0) return false;
  const header = ipv4.headerLength(ip);
  return ipv4.protocol(ip) != ipv4.ICMP || left <= header || !icmp.isError(icmp.type(ip + header));
}

/** iptunnel_pmtud_build_icmp: the other Ethernet and IP addresses swapped, the TTL that the packet had. */
function needsFragments(frame: Frame, mtu: u32): Frame | null {
  const ip = frame.data + ethernet.LENGTH;
  const quoted = min(frame.length - ethernet.LENGTH, REFUSAL - ipv4.LENGTH - icmp.LENGTH);
  const length = icmp.LENGTH + quoted;
  const error = answer(frame, ipv4.LENGTH + length, ethernet.TYPE_IPV4);
  if (!error) return null;
  const at = error.data + ethernet.LENGTH;
  const l4 = at + ipv4.LENGTH;
  icmp.emit(l4, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, <u32>bswap<u16>(<u16>mtu) << 16);
  memory.copy(l4 + icmp.LENGTH, ip, quoted);
  icmp.seal(l4, length);
  ipv4.emit(at, 0, ipv4.LENGTH + length, 0, ipv4.DF, ipv4.ttl(ip), ipv4.ICMP, ipv4.destination(ip), ipv4.source(ip));
  return error;
}

/** iptunnel_pmtud_check_icmpv6: of the groups, only those of some scopes are known for what they are. */
function isAnswered6(frame: Frame, mtu: u32): bool {
  const ip = frame.data + ethernet.LENGTH;
  const left = frame.length - ethernet.LENGTH;
  if (left < ipv6.LENGTH || mtu < ipv6.LEAST_MTU) return false;
  const source = ip + ipv6.AT_SOURCE;
  if (ipv6.isUnspecified(source)) return false;
  if (ipv6.isMulticast(source)) {
    const scope = ipv6.groupScope(source);
    if (scope != 1 && scope != 2 && scope != 5) return false;
  }
  const next = ipv6.nextHeader(ip);
  if (next == ipv6.ICMP) {
    const type = left > ipv6.LENGTH ? icmpv6.type(ip + ipv6.LENGTH) : 0;
    return (type < icmpv6.UNREACHABLE || type > icmpv6.PARAMETER_PROBLEM) && type != icmpv6.REDIRECT;
  }
  return skipped(frame, next);
}

/**
 * Linux looks for what is behind extension headers, and for fragments, from the Ethernet header on as if that were the IP header
 * (ipv6_skip_exthdr counts from skb->data): it reads inside the destination's address. Is that the beginning of a packet?
 */
function skipped(frame: Frame, first: u32): bool {
  let next = first;
  let at: u32 = ipv6.LENGTH;
  while (next == ipv6.HOP_BY_HOP || next == ipv6.ROUTING || next == ipv6.FRAGMENT || next == ipv6.AUTHENTICATION || next == ipv6.DESTINATION_OPTIONS) {
    if (at + 8 > frame.length) return false;
    const header = frame.data + at;
    if (next == ipv6.FRAGMENT && ipv6.fragmentWord(header) & ipv6.OFFSET) return false;
    const size = <u32>load<u8>(header, 1);
    at += next == ipv6.FRAGMENT ? ipv6.FRAGMENT_LENGTH : next == ipv6.AUTHENTICATION ? (size + 2) << 2 : (size + 1) << 3;
    next = load<u8>(header);
  }
  return next != ipv6.NONE;
}

/** iptunnel_pmtud_build_icmpv6. */
function tooBig(frame: Frame, mtu: u32): Frame | null {
  const ip = frame.data + ethernet.LENGTH;
  const quoted = min(frame.length - ethernet.LENGTH, ipv6.LEAST_MTU - ipv6.LENGTH - icmpv6.LENGTH);
  const length = icmpv6.LENGTH + quoted;
  const error = answer(frame, ipv6.LENGTH + length, ethernet.TYPE_IPV6);
  if (!error) return null;
  const at = error.data + ethernet.LENGTH;
  const l4 = at + ipv6.LENGTH;
  const source = ip + ipv6.AT_DESTINATION;
  const to = ip + ipv6.AT_SOURCE;
  icmpv6.emit(l4, icmpv6.TOO_BIG, 0, bswap<u32>(mtu));
  memory.copy(l4 + icmpv6.LENGTH, ip, quoted);
  ipv6.emit(at, 0, 0, length, ipv6.ICMP, ipv6.hopLimit(ip), source, to);
  icmpv6.seal(l4, length, source, to);
  return error;
}

/** A frame with an IP packet of that size, back to who sent `frame`. */
function answer(frame: Frame, size: u32, type: u32): Frame | null {
  const error = takeFrame(ethernet.LENGTH + size);
  if (!error) return null;
  account.generated++;
  error.time = frame.time;
  ethernet.emit(error.data, ethernet.source(frame.data), ethernet.destination(frame.data), type);
  return error;
}
