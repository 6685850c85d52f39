// The fast way over IPv6 (RFC 8200): what forward does for IPv4, with what differs. Addresses in a flow are numbers
// (tables/addresses6), there is no header checksum, and UDP has to have one (8.1). A tunnel's outer packet is IPv4's.
//
// Extension headers, fragments, ICMPv6 and an RST go the slow way.

import { Frame, SOCKET_HASH } from "../frame";
import { Device, cross, mayCross } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import { halves, sumHere, wrong } from "../wire/checksum";
import { generation } from "../tables/generation";
import { numberAt } from "../tables/addresses6";
import { destinationOf, keyA, sourceOf } from "../tables/connections";
import { watching } from "../tables/events";
import { tracing } from "../capture/tap";
import { Entered, INSIDE, NOTHING, around, goesOn, header12, joins, leave, moves, notPlain } from "./forward";
import { hashOf } from "./ends";
import { Flow, OVER_IPV6, findFlow } from "./flows";
import { Track, encapsulates } from "./track";
import { countsOf, isAnew, open, prospect } from "./open";
import { begin } from "./recorder";
import { keyA6, labelAt } from "./recorder6";

function tcpIn(device: Device, frame: Frame, hint: usize, summed: u32): Entered { return come(device, frame, ipv4.TCP, false, 0, hint, summed); }
function udpIn(device: Device, frame: Frame, hint: usize, summed: u32): Entered { return come(device, frame, ipv4.UDP, false, 0, hint, summed); }
function tunnelledTcpIn(device: Device, frame: Frame, kind: u32, hint: usize, summed: u32): Entered { return come(device, frame, ipv4.TCP, true, kind, hint, summed); }
function tunnelledUdpIn(device: Device, frame: Frame, kind: u32, hint: usize, summed: u32): Entered { return come(device, frame, ipv4.UDP, true, kind, hint, summed); }

/** A frame of at least `forward.enter`'s length that is no plain IPv4 one inside; `kind`, if it is a tunnel's: ENCAPSULATED or OPENED. */
export function otherIn(device: Device, frame: Frame, kind: u32): Entered {
  const summed = frame.sum;
  const hint = frame.hint;
  // Neither is good for another device.
  store<u64>(changetype<usize>(frame), 0, offsetof<Frame>("hint"));
  const at = frame.data;
  const ip = at + ethernet.LENGTH;
  if (ethernet.type(at) == ethernet.TYPE_IPV6) {
    const protocol = ipv6.nextHeader(ip);
    if (protocol == ipv4.TCP) return tcpIn(device, frame, hint, summed);
    return protocol == ipv4.UDP ? udpIn(device, frame, hint, summed) : Entered.SLOW;
  }
  // Of plain datagrams none but a tunnel's get here, where there are tunnels (forward.enter, enterOpened).
  if (ethernet.type(ip + INSIDE - ethernet.LENGTH) != ethernet.TYPE_IPV6 || notPlain(at) || ipv4.protocol(ip) != ipv4.UDP) return Entered.SLOW;
  const within = ipv6.nextHeader(ip + INSIDE);
  if (within == ipv4.TCP) return tunnelledTcpIn(device, frame, kind, hint, summed);
  return within == ipv4.UDP ? tunnelledUdpIn(device, frame, kind, hint, summed) : Entered.SLOW;
}

/** `protocol` and `tunnelled` are constants; `kind` is 0 or a tunnel's, as `forward.come` has it. */
// @ts-ignore: decorator
@inline
function come(device: Device, frame: Frame, protocol: u32, tunnelled: bool, kind: u32, hint: usize, summed: u32): Entered {
  const at = frame.data;
  const outside = at + ethernet.LENGTH;
  let sum = summed;
  let length = frame.length - ethernet.LENGTH;
  // What follows the packet is padding: nobody but this device sees it, unless it is bridged on.
  const total = tunnelled ? ipv4.totalLength(outside) : ipv6.LENGTH + ipv6.payloadLength(outside);
  let padding: u32 = 0;
  if (total != length) {
    if (total > length || device.master || device.handlers) return Entered.SLOW;
    padding = length - total;
    length = total;
    sum = 0;
  }
  let ip = outside;
  if (tunnelled) {
    if (udp.length(ip + ipv4.LENGTH) != length - ipv4.LENGTH) return Entered.SLOW;
    ip += INSIDE;
    length -= INSIDE;
    if (ipv6.payloadLength(ip) + ipv6.LENGTH != length) return Entered.SLOW;
    // Of what stands outside, ECT(0) changes nothing inside.
    if (ipv4.tos(outside) & 1) return Entered.SLOW;
  }
  if (ipv6.version(ip) != 6 || frame.fragmentMax) return Entered.SLOW;
  const l4 = ip + ipv6.LENGTH;
  const tail = length - ipv6.LENGTH;
  if (protocol == ipv4.TCP) {
    if (tail < tcp.LENGTH) return Entered.SLOW;
    if ((tcp.flags(l4) & (tcp.SYN | tcp.RST | tcp.ACK)) != tcp.ACK) {
      const flags = tcp.flags(l4) & (tcp.SYN | tcp.RST | tcp.ACK | tcp.FIN);
      if (flags == (tcp.SYN | tcp.ACK)) {
        if (!joins(frame)) return more(device, frame, keyOf(device, l4, protocol, kind), at, ip, length, padding, protocol, kind, sum, true);
      } else if (flags != tcp.SYN) return Entered.SLOW;
      else return opens(device, frame, keyOf(device, l4, protocol, kind), at, ip, length, padding, protocol, kind, sum);
    }
  } else if (tail < udp.LENGTH || udp.length(l4) != tail || !udp.check(l4)) return Entered.SLOW;

  const b = keyOf(device, l4, protocol, kind);
  const flow = flowOf(hint, ip, b);
  const stands = flow != null && flow.generation == generation;
  if (stands && passes(flow!, device, frame, at, ip, length, padding, protocol, tunnelled, sum)) return Entered.DONE;
  if (!flow && protocol == ipv4.UDP) return opens(device, frame, b, at, ip, length, padding, protocol, kind, sum);
  return more(device, frame, b, at, ip, length, padding, protocol, kind, sum, !stands);
}

/** A packet that opens nothing, and does not go by a flow; `may`: there is none that it should have been of. */
function more(device: Device, frame: Frame, b: u64, at: usize, ip: usize, length: u32, padding: u32, protocol: u32, kind: u32, summed: u32, may: bool): Entered {
  const a = numbersOf(ip);
  if (!a) return Entered.SLOW;
  if (protocol == ipv4.TCP) return goesOn(device, frame, a, b, at, ip, length, padding, kind, summed, may);
  if (tracing || watching || frame.connection || frame.mark || frame.flags >>> 16) return Entered.SLOW;
  begin(frame, a, b, ip, length, kind != 0, padding, false);
  return Entered.RECORDED;
}

/** The numbers of the addresses of the packet at `ip`; 0: one has none, or is a group's: who listens to it is told by no generation. */
function numbersOf(ip: usize): u64 { return ipv6.isMulticast(ip + ipv6.AT_DESTINATION) ? 0 : keyA6(ip); }

// @ts-ignore: decorator
@inline
function keyOf(device: Device, l4: usize, protocol: u32, kind: u32): u64 {
  return <u64>load<u32>(l4) | (<u64>(protocol | kind) << 32) | (<u64>device.id << 40) | OVER_IPV6;
}

/** A packet that may be the first of its connection; `b` is the second half of its key. */
function opens(device: Device, frame: Frame, b: u64, at: usize, ip: usize, length: u32, padding: u32, protocol: u32, kind: u32, summed: u32): Entered {
  if (tracing || watching || frame.connection || frame.mark || frame.flags >>> 16) return Entered.SLOW;
  const a = numbersOf(ip);
  if (!a) return Entered.SLOW;
  const outside = at + ethernet.LENGTH;
  const flow = prospect(frame, b, destinationOf(a), outside, hashOf(frame, ip, true));
  if (flow) {
    if (agrees(flow, flow.track, frame, at, ip, length, protocol, kind != 0, summed) && mayCross(frame, flow.track.crossings)) {
      if (open(frame, outside, a, ip + ipv6.LENGTH, length - ipv6.LENGTH, protocol, true)) {
        cross(frame, flow.track.crossings);
        leave(flow, flow.track, countsOf(), device, frame, at, ip, length, protocol, padding, true);
        return Entered.DONE;
      }
    }
  }
  const anew = isAnew();
  if (!anew && protocol == ipv4.TCP) return Entered.SLOW;
  begin(frame, a, b, ip, length, kind != 0, padding, anew);
  return Entered.RECORDED;
}

/** The flow of the packet at `ip`, `b` its key's second half: the one that was foreseen, or by the numbers of its addresses. */
// @ts-ignore: decorator
@inline
function flowOf(hint: usize, ip: usize, b: u64): Flow | null {
  if (hint) {
    const flow = changetype<Flow>(hint);
    // Only then has its key numbers: places in memory.
    if (flow.keyB == b && isBetween(flow.keyA, ip)) return flow;
  }
  const source = numberAt(ip + ipv6.AT_SOURCE);
  const destination = numberAt(ip + ipv6.AT_DESTINATION);
  return source && destination ? findFlow(keyA(source, destination), b) : null;
}
// @ts-ignore: decorator
@inline
function isBetween(a: u64, ip: usize): bool {
  return ipv6.sameAddress(<usize>sourceOf(a), ip + ipv6.AT_SOURCE) && ipv6.sameAddress(<usize>destinationOf(a), ip + ipv6.AT_DESTINATION);
}

// @ts-ignore: decorator
@inline
function passes(flow: Flow, device: Device, frame: Frame, at: usize, ip: usize, length: u32, padding: u32, protocol: u32, tunnelled: bool, summed: u32): bool {
  const track = flow.track;
  if (!agrees(flow, track, frame, at, ip, length, protocol, tunnelled, summed)) return false;
  if (!mayCross(frame, track.crossings)) return false;
  if (!moves(flow, track, protocol, ip + ipv6.LENGTH, length - ipv6.LENGTH, frame.time)) return false;
  cross(frame, track.crossings);
  leave(flow, track, track, device, frame, at, ip, length, protocol, padding, true);
  return true;
}

/** As `forward.agrees`; all of the IPv6 header is in the sums of what is around it, and the addresses in that of what is inside. */
// @ts-ignore: decorator
@inline
function agrees(flow: Flow, track: Track, frame: Frame, at: usize, ip: usize, length: u32, protocol: u32, tunnelled: bool, summed: u32): bool {
  const outside = at + ethernet.LENGTH;
  const outer = tunnelled ? load<u64>(outside, ipv4.LENGTH) : 0;
  if (!around(flow, track, frame, at, ip, length, tunnelled, outer)) return false;
  if (ipv6.hopLimit(ip) <= <u32>track.ttl) return false;
  // A label that no socket's hash outdoes is in the outer source port.
  if (encapsulates(track)) {
    if (!(frame.flags & SOCKET_HASH) && labelAt(ip) != flow.hash) return false;
  }

  // What comes before the addresses, and all from the addresses on.
  const front = tunnelled ? halves(outer) : 0;
  const first = halves(load<u64>(ip));
  const rest = summed
    ? <u64>summed + track.inSum + (NOTHING - front - first)
    : <u64>sumHere(ip + ipv6.AT_SOURCE, length - <u32>ipv6.AT_SOURCE, 0);
  const inside = wrong(rest + <u64>((protocol + length - ipv6.LENGTH) << 8));
  if (!tunnelled) return !inside;
  const ends = halves(track.inOuter);
  let off = inside | wrong(header12(outside) + ends);
  if (outer >>> 48) off |= wrong(front + track.insideSum + first + rest + ends + <u64>((ipv4.UDP + length + INSIDE - ipv4.LENGTH) << 8));
  return !off;
}
