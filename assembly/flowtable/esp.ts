// ESP by the flow table. A packet of an encrypted tunnel goes its way in two parts, with the cipher between them, and each
// part is recorded for itself. Where packets are in clear they have flows like all others: out, such a way ends where the
// packet waits to be sealed (`Way.SEAL`), and in, it begins where the packet has been opened (`openedIn`).
//
// The other two parts are here, of packets that have no ports: from the cipher to the segment, and from a device to the
// cipher (`Way.OPEN`). All packets of an association share them. Nothing in them is rewritten but the Ethernet header,
// conntrack's entry, if there is one, is kept from timing out, and what else is done is the track's. A way that ends otherwise or
// changes an address or the TTL on it (namespaces of one node between) becomes no flow, and until something changes its packets
// are not recorded again (`isInVain`): where it goes on to another namespace's cipher, its second half is then a flow of its own.
//
// Keys: in, a = addresses, b = SPI | ESP << 32 | device << 40, as of flows; out, a = mark | next hop << 32, b = the
// association's id | (ESP | 0x80) << 32 | device << 40; bit 38 tells those that a local socket has sent.

import { arena } from "../memory";
import { Frame, SOCKET_HASH, pull, push } from "../frame";
import { Device, cross, mayCross, scrub, tablesUsed } from "../devices/device";
import { Segment, travel } from "../devices/physical";
import { Namespace } from "../stack/namespace";
import { receiveTransformed } from "../stack/input";
import { outputTransformed } from "../stack/output";
import { waitToOpen } from "../hooks/xfrm";
import { GENERIC_TIMEOUT } from "../hooks/conntrack";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import { wrong } from "../wire/checksum";
import { SEEN_REPLY } from "../tables/connections";
import { generation, linksGeneration } from "../tables/generation";
import { Association } from "../tables/xfrm";
import { tracing } from "../capture/tap";
import { ownsFrame } from "../load/shards";
import { Flow, SEALED, connectionOf, findFlow, stampOf } from "./flows";
import { Track, count, stepOf, touchAll } from "./track";
import { ENCAPSULATED, Entered, enabled, enterOpened } from "./forward";
import { otherIn } from "./forward6";
import { begin, forget } from "./recorder";
import { showBefore } from "./sights";

const BY_SOCKET: u32 = 0x40;

/** Flows that were met last, one of each direction: they come many in a row. */
let lastIn = changetype<Flow>(memory.data(128));
let lastOut = changetype<Flow>(memory.data(128));

// @ts-ignore: decorator
@inline
function keyOf(what: u32, frame: Frame, device: Device): u64 {
  const protocol = ipv4.ESP | (frame.flags & SOCKET_HASH ? BY_SOCKET : 0);
  return <u64>what | (<u64>protocol << 32) | (<u64>device.id << 40);
}

/** A frame of at least `forward.enter`'s length that may hold an ESP packet comes in by `device`. */
export function espIn(device: Device, frame: Frame): Entered {
  if (ethernet.type(frame.data) != ethernet.TYPE_IPV4) return otherIn(device, frame, ENCAPSULATED);
  store<u64>(changetype<usize>(frame), 0, offsetof<Frame>("hint"));
  if (!device.namespace.xfrm) return Entered.SLOW;
  const at = frame.data;
  const ip = at + ethernet.LENGTH;
  const length = frame.length - ethernet.LENGTH;
  if (!plain(ip) || ipv4.totalLength(ip) != length) return Entered.SLOW;
  const a = load<u64>(ip, 12);
  const b = keyOf(load<u32>(ip, ipv4.LENGTH), frame, device);
  let flow: Flow | null = lastIn;
  if ((lastIn.keyA ^ a) | (lastIn.keyB ^ b)) flow = findFlow(a, b);
  if (flow && flow.generation == generation) {
    lastIn = flow;
    const track = flow.track;
    const headers = (load<u64>(at) ^ track.inLow) | (<u64>load<u32>(at, 8) ^ track.inHigh) | <u64>frame.mark;
    if (!headers && !wrong(headerSum(ip)) && goes(flow, track, frame, length)) {
      if (track.sights && ownsFrame(frame)) showBefore(flow, track, at, frame.length, ip, length, frame.time);
      pull(frame, ethernet.LENGTH);
      frame.time += track.elapsed;
      frame.flags = track.flags;
      frame.mark = track.mark;
      waitToOpen(frame, changetype<Association>(track.target), changetype<Device>(track.device));
      return Entered.DONE;
    }
  }
  if (frame.mark || !mayRecord(frame) || isInVain(a, b)) return Entered.SLOW;
  begin(frame, a, b, ip, length, false, 0, false);
  return Entered.RECORDED;
}

/** What came out of the cipher of association `id` leaves `namespace` by `out`. */
export function sealedOut(namespace: Namespace, frame: Frame, id: u32, out: Device): void {
  const ip = frame.data;
  const length = frame.length;
  if (enabled && !frame.fragmentMax) {
    const a = <u64>frame.mark | (<u64>frame.nextHop << 32);
    const b = keyOf(id, frame, out) | SEALED;
    let flow: Flow | null = lastOut;
    if ((lastOut.keyA ^ a) | (lastOut.keyB ^ b)) flow = findFlow(a, b);
    if (flow && flow.generation == generation) {
      lastOut = flow;
      const track = flow.track;
      if (load<u64>(ip, 12) == flow.newA && goes(flow, track, frame, length)) {
        if (track.sights && ownsFrame(frame)) showBefore(flow, track, ip, length, ip, length, frame.time);
        const at = push(frame, ethernet.LENGTH);
        store<u64>(at, track.outLow);
        store<u32>(at, <u32>track.outHigh, 8);
        store<u16>(at, <u16>ethernet.TYPE_IPV4, 12);
        frame.time += track.elapsed;
        scrub(frame);
        return travel(changetype<Segment>(track.target), changetype<Device>(track.device), frame);
      }
    }
    if (mayRecord(frame) && !isInVain(a, b)) {
      stand(frame);
      begin(frame, a, b, ip, length, false, 0, false);
      pull(frame, ethernet.LENGTH);
    }
  }
  tablesUsed();
  outputTransformed(namespace, frame, out);
  forget(frame);
}

/** A packet that was opened, its IP header at `frame.data`, enters again where it came in. What came in pieces is told by it until it leaves its tunnel. */
export function openedIn(namespace: Namespace, frame: Frame, device: Device): void {
  if (device.namespace == namespace && !frame.fragmentMax) {
    stand(frame);
    const entered = enterOpened(device, frame);
    if (entered == Entered.DONE) return;
    pull(frame, ethernet.LENGTH);
  }
  tablesUsed();
  receiveTransformed(namespace, frame, device);
  forget(frame);
}

/** In the place of an Ethernet header stands one of zeroes, so that the packet looks as others do where they come in. */
function stand(frame: Frame): void { ethernet.emit(push(frame, ethernet.LENGTH), 0, 0, ethernet.TYPE_IPV4); }

/** No options, and no fragment. */
// @ts-ignore: decorator
@inline
function plain(ip: usize): bool { return load<u8>(ip) == 0x45 && !ipv4.fragmented(ip); }

// @ts-ignore: decorator
@inline
function headerSum(ip: usize): u64 {
  return <u64>load<u32>(ip) + <u64>load<u32>(ip, 4) + <u64>load<u32>(ip, 8) + <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16);
}

/** Nothing on its way is told to who watches connections: `goes` asks for the status that they have. */
function mayRecord(frame: Frame): bool { return !tracing && !frame.connection && !(frame.flags >>> 16); }

/** The way of packets with that key, as it was when it was recorded, becomes no flow. */
@unmanaged
class Vain {
  a: u64;
  b: u64;
  generation: u32;
  links: u32;
}
const VAIN: usize = 32;
const vain = arena(VAIN << 4);

function vainOf(a: u64, b: u64): Vain {
  const mixed = (a ^ (b * 0x9e3779b97f4a7c15)) * 0x9e3779b97f4a7c15;
  return changetype<Vain>(vain + (<usize>(mixed >>> 60)) * VAIN);
}

export function inVain(a: u64, b: u64): void {
  const known = vainOf(a, b);
  known.a = a;
  known.b = b;
  known.generation = generation;
  known.links = linksGeneration;
}

function isInVain(a: u64, b: u64): bool {
  const known = vainOf(a, b);
  return known.a == a && known.b == b && known.generation == generation && known.links == linksGeneration;
}

/** Is all on its way as it was? Then the packet of `length` bytes goes: what it moves is moved, and it is counted. */
function goes(flow: Flow, track: Track, frame: Frame, length: u32): bool {
  const time = frame.time;
  if (track.links != linksGeneration || time >= track.until || time < track.since || length > track.limit) return false;
  if (frame.flags ^ <u32>flow.flags | <u32>changetype<usize>(frame.connection)) return false;
  if (!mayCross(frame, track.crossings)) return false;
  const steps = <u32>track.connections;
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(track, i);
    const connection = connectionOf(flow, i);
    if (connection.stamp != stampOf(flow, i) || time + step.after >= connection.deadline) return false;
    if ((connection.status & SEEN_REPLY ? 1 : 0) != <i32>step.seen) return false;
  }
  for (let i: u32 = 0; i < steps; i++) connectionOf(flow, i).deadline = time + stepOf(track, i).after + GENERIC_TIMEOUT;
  cross(frame, track.crossings);
  touchAll(track, time);
  count(track, length);
  return true;
}
