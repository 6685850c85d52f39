// The fast way: a packet of a flow whose way is recorded gets its one rewrite, moves the connections that it crosses on as
// conntrack and IPVS would, and is where the slow way would have brought it (as nf_flow_table does for the kernel, with
// nothing left out that can be seen afterwards).
//
// Everything is asked before anything is changed: whatever is not as it was, or is more than a plain segment of an
// established connection, goes the slow way untouched. That is an RST, a fragment, IP options, a checksum that is wrong, a
// TTL that runs out, a packet that does not fit, a group's MAC, congestion marked outside. A SYN goes by an opening.

import { Frame, SOCKET_HASH, headroom, pull } from "../frame";
import { Device, cross, mayCross } from "../devices/device";
import { Segment, travel } from "../devices/physical";
import { Namespace } from "../stack/namespace";
import { toProtocol } from "../stack/input";
import { nextIdAt } from "../stack/output";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { halves, sumHere, wrong } from "../wire/checksum";
import { changed, generation, linksGeneration } from "../tables/generation";
import { tcpFitsOpen, tcpFollowOpen } from "../hooks/tcp-flows";
import { plainOptions } from "../hooks/tcp-options";
import { waitToSeal } from "../hooks/xfrm";
import { Association } from "../tables/xfrm";
import { overIpv6 } from "../tables/connections";
import { watching } from "../tables/events";
import { tracing } from "../capture/tap";
import { toProtocol6 } from "../stack/input6";
import { Flow, connectionOf, findFlow } from "./flows";
import { isQuiet, nobody, resumes } from "./groups";
import { moveEach } from "./trackers";
import { movesTunnel } from "./tunnels";
import { Track, Way, count, encapsulates, touchAll } from "./track";
import { countsOf, isAnew, open, prospect } from "./open";
import { follow, joined } from "./follow";
import { upperAt } from "./ends";
import { begin } from "./recorder";
import { espIn } from "./esp";
import { rewrite } from "./rewrite";
import { rewrite6 } from "./rewrite6";
import { otherIn } from "./forward6";
import { dieAll } from "./floods";
import { ownsFrame } from "../load/shards";
import { showAfter, showBefore } from "./sights";

/** What became of a frame. */
export enum Entered { SLOW, RECORDED, DONE }

export let enabled: bool = true;
/** On by default. Off: every packet goes the slow way. */
export function setFlowTable(on: bool): void {
  changed();
  enabled = on;
}

/** Of a packet in a tunnel, and one that came out of ESP besides; in its key. */
export const ENCAPSULATED: u32 = 0x80;
const OPENED: u32 = 0xc0;
/** From the outer IP header to the inner one. */
export const INSIDE: u32 = ipv4.LENGTH + udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH;

// Six kinds of frames, each made of the one below, so that what a kind never has costs it nothing. (Two of them the compiler makes one.)
function tcpIn(device: Device, frame: Frame): Entered { return come(device, frame, ipv4.TCP, 0); }
function udpIn(device: Device, frame: Frame): Entered { return come(device, frame, ipv4.UDP, 0); }
function tunnelledTcpIn(device: Device, frame: Frame): Entered { return come(device, frame, ipv4.TCP, ENCAPSULATED); }
function tunnelledUdpIn(device: Device, frame: Frame): Entered { return come(device, frame, ipv4.UDP, ENCAPSULATED); }
function openedTcpIn(device: Device, frame: Frame): Entered { return come(device, frame, ipv4.TCP, OPENED); }
function openedUdpIn(device: Device, frame: Frame): Entered { return come(device, frame, ipv4.UDP, OPENED); }

// @ts-ignore: decorator
@inline
export function enter(device: Device, frame: Frame): Entered {
  if (!enabled) return Entered.SLOW;
  if (frame.length < ethernet.LENGTH + ipv4.LENGTH + udp.LENGTH) return Entered.SLOW;
  const ip = frame.data + ethernet.LENGTH;
  const protocol = ipv4.protocol(ip);
  if (protocol == ipv4.TCP) return tcpIn(device, frame);
  if (protocol != ipv4.UDP) return protocol == ipv4.ESP ? espIn(device, frame) : otherIn(device, frame, ENCAPSULATED);
  if (load<u32>(ip, ipv4.LENGTH + udp.LENGTH) == 0x08 && device.namespace.vxlans && !device.master) {
    if (frame.length < ethernet.LENGTH + INSIDE + ipv4.LENGTH + udp.LENGTH) return Entered.SLOW;
    const within = ipv4.protocol(ip + INSIDE);
    if (within == ipv4.TCP) return tunnelledTcpIn(device, frame);
    return within == ipv4.UDP ? tunnelledUdpIn(device, frame) : otherIn(device, frame, ENCAPSULATED);
  }
  return udpIn(device, frame);
}

/** A tunnel's packet has come out of ESP at `device`; what stands in the place of its Ethernet header is constant. */
export function enterOpened(device: Device, frame: Frame): Entered {
  if (!enabled || !device.namespace.vxlans || device.master) return Entered.SLOW;
  if (frame.length < ethernet.LENGTH + INSIDE + ipv4.LENGTH + udp.LENGTH) return Entered.SLOW;
  const ip = frame.data + ethernet.LENGTH;
  if (ipv4.protocol(ip) != ipv4.UDP || load<u32>(ip, ipv4.LENGTH + udp.LENGTH) != 0x08) return Entered.SLOW;
  const within = ipv4.protocol(ip + INSIDE);
  if (within == ipv4.TCP) return openedTcpIn(device, frame);
  return within == ipv4.UDP ? openedUdpIn(device, frame) : otherIn(device, frame, OPENED);
}

/** `protocol` and `tunnelled` (its IP packet is that of a tunnel: 0, ENCAPSULATED or OPENED) are constants. One question after the other: what `||` compiles to costs more. */
// @ts-ignore: decorator
@inline
function come(device: Device, frame: Frame, protocol: u32, tunnelled: u32): Entered {
  const at = frame.data;
  if (notPlain(at)) return otherIn(device, frame, tunnelled ? tunnelled : ENCAPSULATED);
  let sum = frame.sum;
  const hint = frame.hint;
  // Neither is good for another device.
  store<u64>(changetype<usize>(frame), 0, offsetof<Frame>("hint"));
  const outside = at + ethernet.LENGTH;
  let length = frame.length - ethernet.LENGTH;
  // What follows the packet is padding: nobody but this device sees it, unless it is bridged on.
  const total = ipv4.totalLength(outside);
  let padding: u32 = 0;
  if (total != length) {
    if (total > length || device.master || device.handlers) return Entered.SLOW;
    if (total < ipv4.LENGTH + udp.LENGTH) return Entered.SLOW;
    padding = length - total;
    length = total;
    sum = 0;
  }
  let ip = outside;
  if (tunnelled) {
    if (length < INSIDE + ipv4.LENGTH + udp.LENGTH) return Entered.SLOW;
    if (udp.length(ip + ipv4.LENGTH) != length - ipv4.LENGTH) return Entered.SLOW;
    ip += INSIDE;
    length -= INSIDE;
    if (notPlain(ip - ethernet.LENGTH)) {
      frame.sum = sum;
      frame.hint = hint;
      return otherIn(device, frame, tunnelled);
    }
    if (ipv4.totalLength(ip) != length) return Entered.SLOW;
    // Of what stands outside, ECT(0) changes nothing inside.
    if (ipv4.tos(outside) & 1) return Entered.SLOW;
  }
  const l4 = ip + ipv4.LENGTH;
  if (protocol == ipv4.TCP) {
    if (length < ipv4.LENGTH + tcp.LENGTH) return Entered.SLOW;
    if ((tcp.flags(l4) & (tcp.SYN | tcp.RST | tcp.ACK)) != tcp.ACK) {
      const flags = tcp.flags(l4) & (tcp.SYN | tcp.RST | tcp.ACK | tcp.FIN);
      if (flags == (tcp.SYN | tcp.ACK)) {
        if (!joins(frame)) return goesOn(device, frame, load<u64>(ip, 12), keyOf(device, ip, protocol, tunnelled), at, ip, length, padding, tunnelled, sum, true);
      } else if (flags != tcp.SYN) return Entered.SLOW;
      else return opens(device, frame, keyOf(device, ip, protocol, tunnelled), at, ip, length, padding, protocol, tunnelled, sum);
    }
  } else {
    if (udp.length(l4) != length - ipv4.LENGTH) return Entered.SLOW;
  }

  const a = load<u64>(ip, 12);
  const b = keyOf(device, ip, protocol, tunnelled);
  let flow = changetype<Flow | null>(hint);
  if (!flow) flow = findFlow(a, b);
  else if ((flow.keyA ^ a) | (flow.keyB ^ b)) flow = findFlow(a, b);
  if (flow) {
    if (flow.generation == generation) {
      if (passes(flow, device, frame, at, ip, length, padding, protocol, tunnelled, sum)) return Entered.DONE;
    }
  } else if (protocol == ipv4.UDP) return opens(device, frame, b, at, ip, length, padding, protocol, tunnelled, sum);
  if (protocol == ipv4.TCP) return goesOn(device, frame, a, b, at, ip, length, padding, tunnelled, sum, !flow || flow.generation != generation);
  if (tracing || watching || frame.connection || frame.mark || frame.flags >>> 16) return Entered.SLOW;
  begin(frame, a, b, ip, length, tunnelled != 0, padding, false);
  return Entered.RECORDED;
}

/** A TCP packet, of either family, that opens nothing; `may`: there is no flow that it should have been of. */
export function goesOn(device: Device, frame: Frame, a: u64, b: u64, at: usize, ip: usize, length: u32, padding: u32, tunnelled: u32, summed: u32, may: bool): Entered {
  if (tracing || watching || frame.connection || frame.mark || frame.flags >>> 16) return Entered.SLOW;
  if (joins(frame)) return Entered.SLOW;
  const flow = may ? follow(frame, a, b, at, ip, length) : null;
  if (flow) {
    // Now it is of a flow, and goes in once more: by code that is in the cache, as one of the flow's packets.
    joining = changetype<usize>(frame);
    frame.hint = changetype<usize>(flow);
    frame.sum = summed;
    const done = again(device, frame, tunnelled, overIpv6(b)) == Entered.DONE;
    joining = 0;
    joined(flow, length, done);
    if (done) return Entered.DONE;
  }
  if (tcp.flags(upperAt(ip, overIpv6(b))) & tcp.FIN) return Entered.SLOW;
  begin(frame, a, b, ip, length, tunnelled != 0, padding, false);
  return Entered.RECORDED;
}
function again(device: Device, frame: Frame, tunnelled: u32, v6: bool): Entered {
  if (v6) return otherIn(device, frame, tunnelled);
  if (!tunnelled) return tcpIn(device, frame);
  return tunnelled == ENCAPSULATED ? tunnelledTcpIn(device, frame) : openedTcpIn(device, frame);
}
/**
 * The frame for which a flow has just been made, or 0: it goes in once more before anything else moves. Receiving sends nothing at once
 * (what it causes is an event), so no other frame comes by meanwhile.
 */
let joining: usize = 0;
// @ts-ignore: decorator
@inline
export function joins(frame: Frame): bool { return joining == changetype<usize>(frame); }

/** A packet that may be the first of its connection; `b` is the second half of its key. */
function opens(device: Device, frame: Frame, b: u64, at: usize, ip: usize, length: u32, padding: u32, protocol: u32, tunnelled: u32, summed: u32): Entered {
  if (tracing || watching || frame.connection || frame.mark || frame.flags >>> 16) return Entered.SLOW;
  const outside = at + ethernet.LENGTH;
  const flow = prospect(frame, b, ipv4.destination(ip), outside, frame.hash);
  if (flow) {
    if (agrees(flow, flow.track, frame, at, ip, length, protocol, tunnelled, summed) && mayCross(frame, flow.track.crossings)) {
      if (open(frame, outside, load<u64>(ip, 12), ip + ipv4.LENGTH, length - ipv4.LENGTH, protocol, false)) {
        cross(frame, flow.track.crossings);
        leave(flow, flow.track, countsOf(), device, frame, at, ip, length, protocol, padding, false);
        return Entered.DONE;
      }
    }
  }
  const anew = isAnew();
  // A datagram of a connection that is there already: of a flow.
  if (!anew && protocol == ipv4.TCP) return Entered.SLOW;
  begin(frame, load<u64>(ip, 12), b, ip, length, tunnelled != 0, padding, anew);
  return Entered.RECORDED;
}

/** The second half of a flow's key: ports, protocol, device. */
// @ts-ignore: decorator
@inline
function keyOf(device: Device, ip: usize, protocol: u32, tunnelled: u32): u64 {
  return <u64>load<u32>(ip, ipv4.LENGTH) | (<u64>(protocol | tunnelled) << 32) | (<u64>device.id << 40);
}

/** 0: an IPv4 packet without options, and no fragment. */
// @ts-ignore: decorator
@inline
export function notPlain(at: usize): u32 {
  return ((load<u32>(at, 12) & 0x00ffffff) ^ 0x00450008) | ipv4.fragmented(at + ethernet.LENGTH);
}

/** Do the headers that all packets of a way share, its tables' ages and the packet's own sums stand as they must? `summed`: the whole frame's sum, or 0. */
// @ts-ignore: decorator
@inline
function agrees(flow: Flow, track: Track, frame: Frame, at: usize, ip: usize, length: u32, protocol: u32, tunnelled: u32, summed: u32): bool {
  const outside = at + ethernet.LENGTH;
  const l4 = ip + ipv4.LENGTH;
  const tail = length - ipv4.LENGTH;
  const outer = tunnelled ? load<u64>(outside, ipv4.LENGTH) : 0;
  if (!around(flow, track, frame, at, ip, length, tunnelled != 0, outer)) return false;
  if (ipv4.ttl(ip) <= <u32>track.ttl) return false;

  // Checksums: what is inside is read once for both. Where the whole frame's sum is known, so is that of what stands before.
  const front = tunnelled ? halves(outer) : 0;
  const bytes = summed ? <u64>summed + track.inSum + (tunnelled ? NOTHING - front : 0) : <u64>sumHere(l4, tail, 0);
  const addresses = <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16);
  let off = wrong(header12(ip) + addresses);
  if (protocol == ipv4.TCP || udp.check(l4)) off |= wrong(bytes + addresses + <u64>((protocol + tail) << 8));
  else if (encapsulates(track)) return false;
  if (tunnelled) {
    const ends = halves(track.inOuter);
    off |= wrong(header12(outside) + ends);
    // All of it but the innermost IP header, which adds up to nothing.
    if (outer >>> 48) off |= wrong(front + track.insideSum + bytes + ends + <u64>((ipv4.UDP + length + INSIDE - ipv4.LENGTH) << 8));
  }
  return !off;
}
/**
 * All but the innermost packet: the track's ages and all that a packet of it carries with it, Ethernet addresses, and of a tunnel the headers
 * around the frame inside; `outer` the first half of its UDP header.
 */
// @ts-ignore: decorator
@inline
export function around(flow: Flow, track: Track, frame: Frame, at: usize, ip: usize, length: u32, tunnelled: bool, outer: u64): bool {
  const time = frame.time;
  if (track.links != linksGeneration) return false;
  if (time >= track.until) return false;
  if (time < track.since) return false;
  if (length > track.limit) return false;
  if ((load<u64>(at) ^ track.inLow) | (<u64>load<u32>(at, 8) ^ track.inHigh)) return false;
  if (frame.flags ^ <u32>flow.flags | <u32>changetype<usize>(frame.connection) | frame.mark) return false;
  if (frame.flags & SOCKET_HASH) {
    if (frame.hash != flow.hash) return false;
  }
  if (encapsulates(track)) {
    if (headroom(frame) < <usize>vxlan.OVERHEAD) return false;
  }
  if (tunnelled) {
    const outside = at + ethernet.LENGTH;
    if ((load<u64>(outside, 12) ^ track.inOuter) | (load<u64>(outside, ipv4.LENGTH + udp.LENGTH) ^ track.inVxlan) | <u64>(<u32>outer ^ track.inPort ^ <u32>flow.inPort)) return false;
    if ((load<u64>(ip - ethernet.LENGTH) ^ track.insideLow) | (<u64>load<u32>(ip - ethernet.LENGTH, 8) ^ track.insideHigh)) return false;
  }
  return true;
}

/** In a sum: a multiple of 65535, from which something may be taken away. */
export const NOTHING: u64 = 0xffff << 20;

// @ts-ignore: decorator
@inline
function passes(flow: Flow, device: Device, frame: Frame, at: usize, ip: usize, length: u32, padding: u32, protocol: u32, tunnelled: u32, summed: u32): bool {
  const track = flow.track;
  if (!agrees(flow, track, frame, at, ip, length, protocol, tunnelled, summed)) return false;
  if (!mayCross(frame, track.crossings)) return false;
  if (!moves(flow, track, protocol, ip + ipv4.LENGTH, length - ipv4.LENGTH, frame.time)) return false;
  cross(frame, track.crossings);
  leave(flow, track, track, device, frame, at, ip, length, protocol, padding, false);
  return true;
}

/**
 * Every connection on the way: is it the same, alive, and would it stay as it is? Then they move on by the packet whose upper layer
 * is the `tail` bytes at `l4`, and that came at `time`; or none does.
 */
// @ts-ignore: decorator
@inline
export function moves(flow: Flow, track: Track, protocol: u32, l4: usize, tail: u32, time: u64): bool {
  let header = tcp.LENGTH;
  let plain = true;
  if (protocol == ipv4.TCP) {
    plain = (<u32>load<u16>(l4, 12) & (0xf0 | (tcp.FIN << 8))) == 0x50;
    if (!plain) {
      header = tcp.headerLength(l4);
      if (header < tcp.LENGTH) return false;
      if (header > tail) return false;
      plain = (tcp.flags(l4) & tcp.FIN) == 0 && plainOptions(l4);
    }
  }
  if (!plain || !isQuiet(flow, time)) {
    if (meetsTunnelAlone(track)) return movesTunnel(flow, track, time);
    if (!plain || !resumes(flow, track, protocol, time)) return moveEach(flow, track, protocol, l4, tail, time);
  }
  if (protocol == ipv4.UDP) {
    flow.last = time;
    return true;
  }
  const lead = flow.lead;
  if (lead == nobody) {
    flow.last = time;
    return true;
  }
  const reply = <u32>track.reply;
  const sequence = tcp.sequence(l4);
  const acknowledgment = tcp.acknowledgment(l4);
  const end = sequence + tail - header;
  if (!tcpFitsOpen(lead, reply, sequence, acknowledgment, end)) return false;
  tcpFollowOpen(lead, reply, sequence, acknowledgment, end, tcp.window(l4));
  flow.last = time;
  return true;
}

/** Are there no connections on the way, but for the tunnel's own perhaps? */
// @ts-ignore: decorator
@inline
function meetsTunnelAlone(track: Track): bool { return track.connections == track.outers && track.outers < 2 && !track.balanced; }

/**
 * What became of the connections is settled: the packet is counted (by `counts`), seen and rewritten, and is where its way ends.
 * `v6`, a constant: it is an IPv6 packet.
 */
// @ts-ignore: decorator
@inline
export function leave(
  flow: Flow, track: Track, counts: Track, device: Device, frame: Frame, at: usize, ip: usize, length: u32, protocol: u32, padding: u32, v6: bool,
): void {
  const time = frame.time;
  touchAll(track, time);
  count(counts, length);

  const shown = track.sights && ownsFrame(frame);
  if (shown) showBefore(flow, track, at, frame.length, ip, length, time);
  if (padding) {
    device.rxBytes += padding;
    frame.length -= padding;
  }
  const way = track.way;
  const id = encapsulates(track) ? nextIdAt(track.ids) : 0;
  const data = v6 ? rewrite6(ip, protocol, length, flow, track, id) : rewrite(ip, protocol, length, flow, track, id);
  frame.length += <u32>(at - data);
  frame.data = data;
  if (shown) showAfter(track, data, frame.length, time);
  frame.time = time + track.elapsed;
  frame.flags = track.flags;
  if (way < <u8>Way.SEAL) {
    travel(changetype<Segment>(track.target), changetype<Device>(track.device), frame);
    return;
  }
  const to = changetype<Device>(track.device);
  if (way == <u8>Way.SEAL) {
    pull(frame, ethernet.LENGTH);
    frame.mark = track.mark;
    frame.routeType = <u8>track.routeType;
    frame.nextHop = track.port;
    return waitToSeal(frame, changetype<Association>(track.target), to);
  }
  if (track.deaths) dieAll(track, frame);
  frame.device = to;
  frame.port = changetype<Device | null>(track.port);
  frame.out = changetype<Device | null>(track.out);
  frame.mark = track.mark;
  frame.routeType = <u8>track.routeType;
  frame.connectionInfo = track.info & 0x7f;
  if (track.info & 0x80) frame.connection = connectionOf(flow, track.connections - 1);
  if (v6) toProtocol6(changetype<Namespace>(track.target), frame, to, protocol);
  else toProtocol(changetype<Namespace>(track.target), frame, to, track.broadcast != 0);
}

/** The sum of an IP header but for the addresses, in halves. */
// @ts-ignore: decorator
@inline
export function header12(ip: usize): u64 { return <u64>load<u32>(ip) + <u64>load<u32>(ip, 4) + <u64>load<u32>(ip, 8); }
