// One composite rewrite from the header that came in to the one that goes out: addresses, ports, TTL, both checksums by
// what they change in all (RFC 1624), Ethernet addresses, and the outer headers off or on.
//
// The outer UDP checksum needs no second pass over the data: the inner checksum is right, so all that it covers adds up
// to the complement of its own pseudo-header (the kernel's local checksum offload, Documentation/networking/checksum-offloads).

import * as ecn from "../wire/ecn";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { fold, fold2 } from "../wire/checksum";
import { Flow } from "./flows";
import { Track, Way } from "./track";

/**
 * The lengths that the outer sum is made of: the datagram's twice (in its header and the pseudo-header), the complement of the
 * segment's inside. Together they are the inner packet's and this.
 */
export const AROUND: u32 = 2 * (udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH) + ipv4.LENGTH;

/** Of the frame whose innermost IP packet, of `length` bytes, is at `ip`. Answers where the frame begins now; `id` is the outer packet's. */
// @ts-ignore: decorator
@inline
export function rewrite(ip: usize, protocol: u32, length: u32, flow: Flow, track: Track, id: u32): usize {
  const l4 = ip + ipv4.LENGTH;
  const delta = <u32>flow.ipDelta;
  if (delta) {
    store<u8>(ip, <u8>(load<u8>(ip, 8) - track.ttl), 8);
    ipv4.setCheck(ip, <u16>(~fold2((~ipv4.check(ip) & 0xffff) + delta)));
    store<u64>(ip, flow.newA, 12);
  }
  const change = <u32>flow.l4Delta;
  if (change) {
    store<u32>(l4, flow.newPorts);
    if (protocol == ipv4.TCP) tcp.setCheck(l4, <u16>(~fold2((~tcp.check(l4) & 0xffff) + change)));
    else if (udp.check(l4)) udp.setCheck(l4, udp.neverZero(<u16>(~fold2((~udp.check(l4) & 0xffff) + change))));
  }
  if (track.way >= <u8>Way.LOCAL) return ip;
  const frame = ip - ethernet.LENGTH;
  store<u64>(frame, track.outLow);
  store<u32>(frame, <u32>track.outHigh, 8);
  store<u16>(frame, <u16>ethernet.TYPE_IPV4, 12);
  if (track.way == <u8>Way.SEGMENT) return frame;

  return wrap(frame, length, flow, track, id, ecn.outside(ipv4.tos(ip) & 3), track.udpSum + <u32>flow.outPort + <u32>flow.innerSum + (length << 8));
}

/**
 * The outer headers before the frame at `frame`, whose IP packet has `length` bytes, with marks of congestion `mark` and what the outer
 * UDP checksum is made of, added up to `sum`.
 */
// @ts-ignore: decorator
@inline
export function wrap(frame: usize, length: u32, flow: Flow, track: Track, id: u32, mark: u32, sum: u32): usize {
  const out = frame - vxlan.OVERHEAD;
  const template = changetype<usize>(track) + offsetof<Track>("template");
  v128.store(out, v128.load(template));
  v128.store(out, v128.load(template, 16), 16);
  v128.store(out, v128.load(template, 32), 32);
  store<u16>(out, load<u16>(template, 48), 48);
  const whole = length + ethernet.LENGTH + vxlan.OVERHEAD;
  const total = <u32>bswap<u16>(<u16>(whole - ethernet.LENGTH));
  const identifier = <u32>bswap<u16>(<u16>id);
  store<u32>(out, 0x45 | (mark << 8) | (total << 16), ethernet.LENGTH);
  store<u16>(out, <u16>identifier, ethernet.LENGTH + 4);
  store<u16>(out, <u16>(~fold(track.ipSum + (mark << 8) + total + identifier)), ethernet.LENGTH + 10);
  const datagram = <u32>bswap<u16>(<u16>(whole - ethernet.LENGTH - ipv4.LENGTH));
  const at = out + ethernet.LENGTH + ipv4.LENGTH;
  store<u16>(at, flow.outPort);
  store<u16>(at, <u16>datagram, 4);
  udp.setCheck(at, udp.neverZero(<u16>(~fold(sum))));
  return out;
}
