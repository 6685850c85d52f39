// The composite rewrite of an IPv6 packet (see rewrite): addresses by their numbers, ports, hop limit, the checksum of TCP or
// UDP by what it changes in all, Ethernet addresses, and IPv4's outer headers off or on.

import * as ecn from "../wire/ecn";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { fold, fold2, fold64 } from "../wire/checksum";
import { destinationOf, sourceOf } from "../tables/connections";
import { Flow } from "./flows";
import { Track, Way } from "./track";
import { wrap } from "./rewrite";

/** How much longer the outer datagram is than the inner packet. */
const AROUND: u32 = udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH;

/** As `rewrite`: of the frame whose innermost IPv6 packet, of `length` bytes, is at `ip`. */
export function rewrite6(ip: usize, protocol: u32, length: u32, flow: Flow, track: Track, id: u32): usize {
  const l4 = ip + ipv6.LENGTH;
  const after = flow.newA;
  ipv6.setHopLimit(ip, ipv6.hopLimit(ip) - <u32>track.ttl);
  if (after != flow.keyA) readdress(ip, after);
  const change = <u32>flow.l4Delta;
  if (change) {
    store<u32>(l4, flow.newPorts);
    correct(l4, protocol, change);
  }
  if (track.way >= <u8>Way.LOCAL) return ip;
  const frame = ip - ethernet.LENGTH;
  store<u64>(frame, track.outLow);
  store<u32>(frame, <u32>track.outHigh, 8);
  if (track.way == <u8>Way.SEGMENT) return frame;
  // Of the inner IPv6 header its addresses and length stand in the sum of what is inside, with the other sign.
  const first = load<u32>(ip);
  const sum = track.udpSum + <u32>flow.outPort + (first & 0xffff) + (first >>> 16) + <u32>load<u16>(ip, 6) + ((length + AROUND) << 9);
  return wrap(frame, length, flow, track, id, ecn.outside(ipv6.ecn(ip)), sum);
}

/** Source and destination become the addresses of these numbers. */
// @ts-ignore: decorator
@inline
export function readdress(ip: usize, addresses: u64): void {
  ipv6.copyAddress(ip + ipv6.AT_SOURCE, <usize>sourceOf(addresses));
  ipv6.copyAddress(ip + ipv6.AT_DESTINATION, <usize>destinationOf(addresses));
}

/** The checksum at `l4` of what changed by `change`. */
// @ts-ignore: decorator
@inline
export function correct(l4: usize, protocol: u32, change: u32): void {
  if (protocol == ipv4.TCP) tcp.setCheck(l4, <u16>(~fold2((~tcp.check(l4) & 0xffff) + change)));
  else udp.setCheck(l4, udp.neverZero(<u16>(~fold2((~udp.check(l4) & 0xffff) + change))));
}

/** What a checksum changes by when addresses of the numbers in `before` and ports give way to others; 0: they stay. */
export function changeOf(before: u64, ports: u32, after: u64, newPorts: u32): u16 {
  if (before == after && ports == newPorts) return 0;
  return <u16>fold((~sumOf(before, ports) & 0xffff) + sumOf(after, newPorts));
}
function sumOf(addresses: u64, ports: u32): u32 {
  const source = <usize>sourceOf(addresses);
  const destination = <usize>destinationOf(addresses);
  let total: u64 = ports;
  for (let i: usize = 0; i < 16; i += 4) total += <u64>load<u32>(source + i) + <u64>load<u32>(destination + i);
  return fold64(total);
}
