// Recording a way: a packet of an established connection goes the slow way, and whoever does something on it says so
// here. At the end of the way that becomes a flow, if the flow would have made the very same frame of it.
//
// Who does what a flow cannot repeat (clones a frame, draws a number, looks at more than tuple, device, mark and state)
// says `forgo`, and whoever ends a frame has thereby ended its recording. What was recorded rests on tables as they were
// at the start: if one of them has changed meanwhile, there is no flow either.

import { arena } from "../memory";
import { Frame, pull, push } from "../frame";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { fold, sum } from "../wire/checksum";
import { sourcePortOf } from "../devices/flow-hash";
import { CONFIRMED, Connection, SEEN_REPLY, overIpv6, sourceOf } from "../tables/connections";
import { BalancedConnection } from "../tables/services";
import { Entry } from "../tables/fdb";
import { Neighbour } from "../tables/neighbours";
import { Association } from "../tables/xfrm";
import { generation, linksGeneration } from "../tables/generation";
import { FLOW, Flow, SEALED, connectionOf, obtainFlow, setConnection, stampOf } from "./flows";
import { inVain } from "./esp";
import { CONNECTIONS, COUNTERS, HEADERS, TOUCHES, TRACK, Track, Way, counterOf, encapsulates, intern, nowhere, release, stepOf, touchOf } from "./track";
import { AROUND, rewrite } from "./rewrite";
import { rewrite6 } from "./rewrite6";
import { translates6 } from "./recorder6";
import { endsAt, hashOf, portsAt, protocolAt } from "./ends";
import { arrives, flooding, leaveFlood } from "./floods";
import { keepStages, settleSights, sighted } from "./sights";
import { Kind, beginOpening, countedOpening, follows, keepOpening, kindOfWay, leaveOut, meets, pointed, scheduled, stamped, tunnelIsNew } from "./opening-recorder";
import { balances, beginPrecedent, keepPrecedent, partOf } from "./precedent-recorder";

/** The frame whose way is being recorded, or 0. */
export let recording: usize = 0;

const SCRATCH: u32 = 512;
export const made = changetype<Track>(arena(TRACK));
const header = arena(HEADERS);
const scratch = arena(SCRATCH);
const connections: usize = memory.data(16);
let outer: u32 = 0;
let keyA: u64 = 0;
let keyB: u64 = 0;
let start: u64 = 0;
let startHops: u32 = 0;
let startGeneration: u32 = 0;
let startLinks: u32 = 0;
let startFlags: u32 = 0;
let startHash: u32 = 0;
let length: u32 = 0;
/** Behind the packet as it came in: only the first counter, and a tap there, know of it. */
let padding: u32 = 0;
let limit: u32 = 0;
let until: u64 = 0;
let outerPort: u32 = 0;
let balanced: usize = 0;

/**
 * `frame` has come in with that key; `size` bytes from its innermost IP header on, `behind` it padding. `opens`: it may be the
 * first of a connection.
 */
export function begin(frame: Frame, a: u64, b: u64, ip: usize, size: u32, encapsulated: bool, behind: u32, opens: bool): void {
  recording = changetype<usize>(frame);
  if (flooding) leaveFlood();
  const v6 = overIpv6(b);
  const isTcp = protocolAt(ip, v6) == ipv4.TCP;
  beginPrecedent(a, ip, v6, !opens && isTcp);
  beginOpening(opens, opens && isTcp, sourceOf(a), v6);
  memory.fill(changetype<usize>(made), 0, TRACK);
  memory.copy(header, frame.data, HEADERS);
  keyA = a;
  keyB = b;
  start = frame.time;
  startHops = frame.hops;
  startGeneration = generation;
  startLinks = linksGeneration;
  startFlags = frame.flags;
  startHash = hashOf(frame, ip, v6);
  length = size;
  padding = behind;
  limit = 0xffff;
  until = u64.MAX_VALUE;
  balanced = 0;
  outer = encapsulated ? 1 : 0;
  made.ingress = encapsulated ? 1 : 0;
  const at = frame.data;
  made.inLow = load<u64>(at);
  made.inHigh = load<u32>(at, 8);
  let front = sum(at, ethernet.LENGTH);
  if (encapsulated) {
    const l4 = at + ethernet.LENGTH + ipv4.LENGTH;
    made.inOuter = load<u64>(at + ethernet.LENGTH, 12);
    outerPort = load<u16>(l4);
    made.inPort = <u32>load<u16>(l4, 2) << 16;
    made.inVxlan = load<u64>(l4, udp.LENGTH);
    made.insideLow = load<u64>(ip - ethernet.LENGTH);
    made.insideHigh = load<u32>(ip - ethernet.LENGTH, 8);
    made.insideSum = sum(l4 + udp.LENGTH, vxlan.LENGTH + ethernet.LENGTH);
    front += made.insideSum;
  }
  made.inSum = ~fold(front) & 0xffff;
}

/** The way in hand goes on with a copy of its frame. */
export function recordOn(copy: Frame): void { recording = changetype<usize>(copy); }

/** The way in hand is not to be repeated. */
export function forgo(): void { recording = 0; }

/** This frame ends, or is kept: nothing to record any more. */
// @ts-ignore: decorator
@inline
export function forget(frame: Frame): void { if (recording == changetype<usize>(frame)) recording = 0; }

// @ts-ignore: decorator
@inline
export function isRecording(frame: Frame): bool { return recording == changetype<usize>(frame); }

/** Packets and bytes at `at` were counted, for `bytes` bytes. */
export function counted(frame: Frame, at: usize, bytes: u32): void {
  if (!isRecording(frame)) return;
  const n = <u32>made.counters;
  if (n == COUNTERS) return forgo();
  const counter = counterOf(made, n);
  counter.at = at;
  counter.more = <i32>(bytes - length - (n ? 0 : padding));
  countedOpening(n);
  made.counters = <u8>(n + 1);
}

/** A forwarding database entry was learned anew at `time`. */
export function learned(at: usize, time: u64): void { touched(at + offsetof<Entry>("updated"), <u32>(time - start)); }

/** A neighbour was used. */
export function neighbourUsed(at: usize, frame: Frame): void {
  if (isRecording(frame)) touched(at + offsetof<Neighbour>("used"), <u32>(frame.time - start));
}

function touched(at: usize, after: u32): void {
  const n = <u32>made.touches;
  if (n == TOUCHES) return forgo();
  touchOf(made, n).at = at;
  touchOf(made, n).after = after;
  made.touches = <u8>(n + 1);
}

/** What was found at `time` is good until `deadline`. */
export function expires(deadline: u64, time: u64): void { until = min(until, deadline - (time - start)); }

/** Conntrack let the frame pass as part of `connection`. */
export function tracked(frame: Frame, connection: Connection, reply: u32): void {
  if (!isRecording(frame)) return;
  const n = <u32>made.connections;
  if (n == CONNECTIONS) return forgo();
  store<usize>(connections + (<usize>n << 2), changetype<usize>(connection));
  const step = stepOf(made, n);
  step.after = <u32>(frame.time - start);
  step.reply = <u8>reply;
  step.seen = connection.status & SEEN_REPLY ? 1 : 0;
  step.outer = <u8>outer;
  made.connections = <u8>(n + 1);
  meets(connection, n, reply, outer != 0);
  partOf(connection, n, reply, outer != 0);
}
/** How many there are so far, and the last of them. */
export function trackedSoFar(): u32 { return made.connections; }
export function trackedLast(): Connection | null {
  const n = <usize>made.connections;
  return n ? changetype<Connection>(load<usize>(connections + ((n - 1) << 2))) : null;
}
/** Is it in the tunnel's packet at the moment? */
export function isOutside(): bool { return outer != 0; }

/** IPVS let the frame pass as part of `connection`, `answer`: from its destination. */
export function balancedBy(frame: Frame, connection: BalancedConnection, answer: u32): void {
  if (!isRecording(frame)) return;
  if (balanced || outer) return forgo();
  balanced = changetype<usize>(connection);
  made.balanced = 1 + answer;
  made.balancedAt = <u32>(frame.time - start);
  balances();
  scheduled(connection);
}

/** A packet of `size` bytes, as it is now, fits where `room` bytes do. */
export function fitted(frame: Frame, size: u32, room: u32): void {
  if (isRecording(frame) && size <= room) limit = min(limit, length + room - size);
}

/** A tap has seen it. */
// @ts-ignore: decorator
@inline
export function sight(frame: Frame, device: Device, received: bool): void {
  if (isRecording(frame) && !sighted(made, frame, device, received, start, length, padding)) forgo();
}

/** The outer headers came off, or went on with an id out of `ids`. */
export function decapsulated(frame: Frame): void {
  if (isRecording(frame)) outer = 0;
}
export function encapsulated(frame: Frame, ids: usize): void {
  if (!isRecording(frame)) return;
  if (outer || made.ids) return forgo();
  outer = 1;
  made.ids = ids;
}

/** The way ends on a segment, towards `to`. */
export function endsOnSegment(frame: Frame, segment: usize, to: Device): void {
  if (!isRecording(frame)) return;
  recording = 0;
  if (flooding) return;
  made.way = <u8>(frame.length == length + ethernet.LENGTH ? Way.SEGMENT : Way.TUNNEL);
  if (made.way == <u8>Way.TUNNEL && (!made.ids || frame.length != length + ethernet.LENGTH + vxlan.OVERHEAD)) return;
  if (made.way == <u8>Way.SEGMENT && made.ids) return;
  made.target = segment;
  made.device = changetype<usize>(to);
  const inner = frame.data + (made.way == <u8>Way.TUNNEL ? <usize>vxlan.OVERHEAD : 0);
  made.outLow = load<u64>(inner);
  made.outHigh = load<u32>(inner, 8);
  install(frame, inner + ethernet.LENGTH);
}

/** The way ends at the stack of `namespace`, behind INPUT. */
export function endsLocally(frame: Frame, namespace: Namespace, device: Device, broadcast: bool): void {
  if (!isRecording(frame)) return;
  recording = 0;
  if (frame.length != length || made.ids) return;
  made.way = <u8>Way.LOCAL;
  made.target = changetype<usize>(namespace);
  made.device = changetype<usize>(device);
  made.broadcast = broadcast ? 1 : 0;
  // The packet carries its namespace's connection, which must be the last on the way.
  const n = <u32>made.connections;
  const connection = changetype<usize>(frame.connection);
  if (connection && (!n || load<usize>(connections + ((<usize>n - 1) << 2)) != connection)) return;
  made.info = frame.connectionInfo | (connection ? 0x80 : 0);
  made.mark = frame.mark;
  made.port = changetype<u32>(frame.port);
  made.out = changetype<u32>(frame.out);
  made.routeType = frame.routeType;
  if (flooding) return arrives(frame);
  install(frame, frame.data);
}

/** The way ends where the packet waits for its cipher: `SEAL`, in a tunnel's packet that leaves by `device`, or `OPEN`. */
export function endsAtCipher(frame: Frame, way: Way, association: Association, device: Device): void {
  if (!isRecording(frame)) return;
  recording = 0;
  if (flooding) return;
  made.way = <u8>way;
  made.target = changetype<usize>(association);
  made.device = changetype<usize>(device);
  made.mark = frame.mark;
  if (way == Way.OPEN) {
    if (frame.length == length && !made.ids) install(frame, frame.data);
    return;
  }
  made.routeType = frame.routeType;
  if (!made.ids || frame.length != length + vxlan.OVERHEAD) return;
  made.port = frame.nextHop;
  // As where a tunnel's packet leaves, with zeroes for the Ethernet header that it has not yet.
  ethernet.emit(push(frame, ethernet.LENGTH), 0, 0, ethernet.TYPE_IPV4);
  const inner = frame.data + vxlan.OVERHEAD;
  made.outLow = load<u64>(inner);
  made.outHigh = load<u32>(inner, 8);
  install(frame, inner + ethernet.LENGTH);
  pull(frame, ethernet.LENGTH);
}

/** The tunnel's connection is met first, or last. */
function describeSteps(): void {
  let inside = false;
  for (let i: u32 = 0; i < <u32>made.connections; i++) {
    const step = stepOf(made, i);
    if (step.outer) {
      made.outers++;
      made.outerSeen = step.seen;
      made.outerAfter = step.after;
    } else if (!inside) {
      inside = true;
      made.reply = step.reply;
    }
  }
}

function words(value: u64): u32 {
  return (<u32>value & 0xffff) + (<u32>value >>> 16) + (<u32>(value >>> 32) & 0xffff) + <u32>(value >>> 48);
}

/** The frame, with its innermost IP header at `ip`, is as it was where its way ended. */
export function install(frame: Frame, ip: usize): void {
  if (generation != startGeneration || linksGeneration != startLinks || limit < length) return;
  const first = header + (made.ingress ? ethernet.LENGTH + vxlan.OVERHEAD : ethernet.LENGTH);
  const v6 = overIpv6(keyB);
  const protocol = protocolAt(first, v6);
  const after = endsAt(ip, v6);
  if (v6 && !after) return;
  const kind = kindOfWay();
  if (kind == Kind.NONE) return;
  for (let i: u32 = 0; i < <u32>made.connections; i++) {
    const connection = changetype<Connection>(load<usize>(connections + (<usize>i << 2)));
    if (!(connection.status & CONFIRMED)) return;
    if (kind == Kind.OPENING) continue;
    // Rules take a packet that nothing has answered yet for a new connection's.
    if (protocol == ipv4.TCP && !stepOf(made, i).outer && !(connection.status & SEEN_REPLY)) return;
    if (stepOf(made, i).seen != (connection.status & SEEN_REPLY ? 1 : 0)) return;
  }
  describeSteps();
  if (made.touches & 1) touched(nowhere, 0);
  made.limit = limit;
  made.flags = frame.flags;
  made.crossings += frame.hops - startHops;
  made.elapsed = frame.time - start;
  made.ttl = <u8>(v6 ? ipv6.hopLimit(first) - ipv6.hopLimit(ip) : ipv4.ttl(first) - ipv4.ttl(ip));
  // esp.ts asks no track how it ends, and rewrites no IP header.
  if (protocol == ipv4.ESP && (made.way != <u8>endOfEsp(keyB) || made.ttl || load<u64>(first, 12) != load<u64>(ip, 12))) return inVain(keyA, keyB);
  const tunnel = encapsulates(made);
  if (tunnel) {
    // What differs from packet to packet is left out of the outer headers, and so of their sums.
    const at = changetype<usize>(made) + offsetof<Track>("template");
    memory.copy(at, frame.data, vxlan.OVERHEAD);
    const outside = at + ethernet.LENGTH;
    store<u32>(outside, 0x45);
    store<u16>(outside, 0, 4);
    store<u16>(outside, 0, 10);
    const l4 = outside + ipv4.LENGTH;
    store<u16>(l4, 0);
    store<u32>(l4, 0, 4);
    const addresses = load<u64>(outside, 12);
    made.ipSum = fold(0x45 + <u32>load<u16>(outside, 6) + <u32>load<u16>(outside, 8) + words(addresses));
    made.udpSum = fold(
      words(addresses) + (ipv4.UDP << 8) + <u32>load<u16>(l4, 2) + words(load<u64>(l4, 8)) +
      words(made.outLow) + words(made.outHigh) + (v6 ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4 + (AROUND << 8)) + (~(protocol << 8) & 0xffff),
    );
  }
  if (kind == Kind.OPENING) return installOpening(frame, first, ip, protocol, after, v6);
  if (made.sights && !settleSights(made, header, first, frame.data, length)) return;
  made.links = startLinks;
  made.until = until;
  made.since = start;
  // Where the tunnel's connection is new, rules have seen more of it than of the packets behind this one.
  const fresh = tunnelIsNew() ? intern(made) : null;
  if (fresh) {
    stamped(fresh, made);
    leaveOut(made);
  }
  const track = intern(made);
  if (track) {
    stamped(track, made);
    installFlow(frame, ip, protocol, track, fresh, after, v6);
  }
  if (fresh) release(fresh);
}

/** `after`: its addresses as it leaves. */
function installFlow(frame: Frame, ip: usize, protocol: u32, track: Track, fresh: Track | null, after: u64, v6: bool): void {
  const first = header + (made.ingress ? ethernet.LENGTH + vxlan.OVERHEAD : ethernet.LENGTH);
  const flow = obtainFlow(keyA, keyB, track, connections);
  if (!flow) return release(track);
  flow.track = track;
  if (made.sights && !keepStages(flow)) return;
  flow.inPort = <u16>outerPort;
  flow.flags = <u16>startFlags;
  flow.hash = startHash;
  for (let i: u32 = 0; i < <u32>made.connections; i++) setConnection(flow, i, changetype<Connection>(load<usize>(connections + (<usize>i << 2))));
  if (made.outers == 1) {
    const at = stepOf(made, 0).outer ? 0 : <u32>made.connections - 1;
    flow.outer = connectionOf(flow, at);
    flow.outerStamp = stampOf(flow, at);
  }
  if (balanced) {
    flow.balanced = changetype<BalancedConnection>(balanced);
    flow.balancedStamp = flow.balanced.stamp;
  }
  const ports = portsAt(ip, v6);
  // An ESP packet's key has no addresses.
  translates(flow, made.ttl, endsAt(first, v6), portsAt(first, v6), after, ports, v6);
  if (encapsulates(made)) flow.outPort = load<u16>(frame.data + ethernet.LENGTH + ipv4.LENGTH);
  if (!repeats(frame, ip, flow, track, protocol)) return;
  flow.generation = startGeneration;
  keepPrecedent(track, fresh, connections, after, ports, flow.outPort, keyB, frame.time, startHash, startFlags, startGeneration, balanced ? flow.balanced : null);
}

/** Where the way of an ESP packet with that key ends: one that was sealed on a segment, one that came in where it waits to be opened. */
function endOfEsp(b: u64): Way { return b & SEALED ? Way.SEGMENT : Way.OPEN; }

/** What its packets' addresses and ports, and thereby their sums, change by. */
// @ts-ignore: decorator
@inline
export function translates(flow: Flow, ttl: u32, before: u64, ports: u32, after: u64, newPorts: u32, v6: bool): void {
  if (v6) return translates6(flow, before, ports, after, newPorts);
  flow.newA = after;
  flow.newPorts = newPorts;
  flow.innerSum = <u16>fold(words(~after));
  const addresses = before == after ? 0 : fold(words(~before) + words(after));
  flow.ipDelta = before != after || ttl ? <u16>fold(addresses + (ttl ? 0xffff - ttl : 0)) : 0;
  flow.l4Delta = before != after || ports != newPorts ? <u16>fold(addresses + words(<u64>~ports) + words(<u64>newPorts)) : 0;
}

/** Would it have made this very frame? */
function repeats(frame: Frame, ip: usize, flow: Flow, track: Track, protocol: u32): bool {
  const at = scratch + 128;
  memory.copy(at, header, HEADERS);
  const id = encapsulates(track) ? ipv4.id(frame.data + ethernet.LENGTH) : 0;
  const v6 = overIpv6(keyB);
  const inner = at + ethernet.LENGTH + (track.ingress ? <usize>vxlan.OVERHEAD : 0);
  const again = v6 ? rewrite6(inner, protocol, length, flow, track, id) : rewrite(inner, protocol, length, flow, track, id);
  const checked = <u32>(ip - frame.data) + (v6 ? ipv6.LENGTH : ipv4.LENGTH) + (protocol == ipv4.TCP ? 20 : 8);
  return memory.compare(again, frame.data, checked) == 0;
}

/** The way of a packet that has made its connections is kept, if it makes the same of it again. */
function installOpening(frame: Frame, first: usize, ip: usize, protocol: u32, after: u64, v6: bool): void {
  const outPort = encapsulates(made) ? load<u16>(frame.data + ethernet.LENGTH + ipv4.LENGTH) : 0;
  const ports = portsAt(first, v6);
  const newPorts = portsAt(ip, v6);
  if (!follows(made, connections, keyA, ports, after, newPorts) || (outPort && outPort != sourcePortOf(after, protocol, newPorts, startFlags, startHash, v6))) return;
  if (made.sights && !(settleSights(made, header, first, frame.data, length) && pointed(made, connections))) return;
  translates(passing, made.ttl, keyA, ports, after, newPorts, v6);
  passing.outPort = outPort;
  if (!repeats(frame, ip, passing, made, protocol)) return;
  made.links = startLinks;
  made.until = until;
  made.since = start;
  keepOpening(made, keyA, keyB, startFlags, startGeneration);
}
/** A flow for as long as one packet passes. */
export const passing = changetype<Flow>(arena(FLOW));
