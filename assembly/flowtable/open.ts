// A first packet by an opening: its connections are made, bound and confirmed by the functions that the slow way calls, one
// after the other as they were recorded; everything else is its track's.
//
// All is asked before anything can be seen: until the end its connections are its own. When one of them is there already, its
// port is taken, a table is full or a rule would ask another sender differently, it goes the slow way, and nothing has happened.

import { arena } from "../memory";
import { Frame } from "../frame";
import { tablesUsed } from "../devices/device";
import { sourcePortOf } from "../devices/vxlan";
import { Namespace } from "../stack/namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import {
  Connection, DST_NAT, DST_NAT_DONE, DYING, SEEN_REPLY, SRC_NAT, SRC_NAT_DONE, connectionSlot, destinationOf, enterConnection, findConnection, foundReply,
  giveConnection, invertA, invertB, keyA, keyB, knownTuple, newConnection, nextConnection, sourceOf,
} from "../tables/connections";
import { Destination, balancedSlot, findBalanced, nextBalanced } from "../tables/services";
import { isLocal } from "../tables/routes";
import { generation, linksGeneration } from "../tables/generation";
import { protocolPacket, udpFollow } from "../hooks/conntrack";
import { tcpError, tcpNew } from "../hooks/conntrack-tcp";
import { alterReply, decideAgain } from "../hooks/nat";
import { advance, nextDestination, portAt, schedule, touch } from "../hooks/ipvs";
import { Flow, connectionOf, setConnection } from "./flows";
import { Binding, Decided, Opening, bindingOf, conditionOf, decisionOf, findOpening, openingKey, placeOf, pointA, pointPorts } from "./openings";
import { STAGE, STAGES, fillStage } from "./sights";
import { passing, translates } from "./recorder";
import { Track, stepOf } from "./track";

/** Of an opening that does not suit every packet, one in so many is recorded anew: others may be more frequent. */
const PATIENCE: u32 = 64;
const INVALID_SENDERS: u32 = 0xe0;

/** The opening in hand, and the destination that IPVS would choose. */
let opening = changetype<Opening>(0);
let destination: Destination | null = null;
let counts = changetype<Track>(0);
/** The way of the packet in hand may be recorded for the next. */
let anew: bool = false;
/** Counts what went by an opening. */
let opened: u32 = 0;

/** The connections in hand. */
const made: usize = memory.data(16);
let count: u32 = 0;

// @ts-ignore: decorator
@inline
function madeAt(i: u32): Connection { return changetype<Connection>(load<usize>(made + (<usize>i << 2))); }

/** A flow for the one packet for `address` whose key ends on `b`, if there is an opening; its outermost IP header is at `outside`. */
export function prospect(frame: Frame, b: u64, address: u32, outside: usize): Flow | null {
  const key = b & ~(<u64>0xffff);
  anew = true;
  let found = findOpening(openingKey(address, null), key);
  if (!found || found.generation != generation) return null;
  found.idle = 0;
  destination = null;
  if (found.service) {
    destination = nextDestination(found.service!);
    if (!destination) {
      anew = false;
      return null;
    }
    found = findOpening(openingKey(address, destination), key);
    if (!found || found.generation != generation) return null;
    found.idle = 0;
  }
  const track = found.known!;
  const time = frame.time;
  if (track.links != linksGeneration || time >= track.until || time < track.since) return null;
  // One in so many that do not suit it.
  anew = (++found.refused & (PATIENCE - 1)) == 0;
  opening = found;
  counts = track;
  // Its lines, and the track's, on their way from memory all together.
  const seen = load<u32>(changetype<usize>(found), 64) | load<u32>(changetype<usize>(found), 128) | load<u32>(changetype<usize>(found), 192);
  const from = changetype<usize>(track);
  sink = seen | load<u32>(from, 128) | load<u32>(from, 192) | load<u32>(from, 256) | load<u32>(from, 320) | load<u32>(from, 384) | load<u32>(from, 448);
  passing.generation = generation;
  passing.track = track;
  passing.flags = <u16>found.flags;
  passing.hash = frame.hash;
  passing.inPort = load<u16>(outside, ipv4.LENGTH);
  return passing;
}

/** Its stages, for the taps on its way. */
function stage(before: u64, portsBefore: u32): void {
  let points = opening.stages;
  for (let n: u32 = 1; points; n++, points >>>= 8) {
    const point = points & 0xff;
    const connection = connectionOf(passing, (point - 1) >>> 1);
    fillStage(stages, n, before, portsBefore, pointA(connection, point), pointPorts(connection, point));
  }
  passing.stages = stages;
}
const stages = arena(STAGE * STAGES);

/** What counts the packet: where the tunnel's connection is new, rules have seen more of it; all else is the same. */
export function countsOf(): Track { return counts; }

/** The packet did not take it: is its way to be recorded? */
export function isAnew(): bool { return anew; }

/**
 * Makes the connections of the packet whose header is known to agree with the opening's track. False: it has to go the slow way.
 * Its upper layer begins at `l4` and is `tail` bytes long.
 */
export function open(frame: Frame, outside: usize, ip: usize, l4: usize, tail: u32, protocol: u32): bool {
  if (!suits(opening, ipv4.source(ip))) return false;
  opening.refused--;
  anew = false;
  if (protocol == ipv4.TCP && tcpError(l4, tail)) return false;
  const time = frame.time;
  const track = passing.track;

  // One after the other; (a, ports) is what the packet looks like at that point.
  const before = load<u64>(ip, 12);
  const portsBefore = load<u32>(l4);
  let a = before;
  let ports = portsBefore;
  let outPort: u32 = 0;
  let tunnel: Connection | null = null;
  let tunnelTime: u64 = 0;
  let balancedA: u64 = 0;
  let balancedB: u64 = 0;
  lookAhead(frame, before, portsBefore, protocol);
  count = 0;
  const steps = <u32>track.connections;
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(track, i);
    const outer = step.outer != 0;
    const binding = bindingOf(opening, i);
    const namespace = binding.namespace;
    const then = time + step.after;
    let itsA = a;
    let itsProtocol = protocol;
    let itsPorts = ports;
    if (outer) {
      itsProtocol = ipv4.UDP;
      if (opening.encapsulates) {
        const template = changetype<usize>(track) + offsetof<Track>("template") + ethernet.LENGTH;
        outPort = sourcePortOf(a, protocol, ports, opening.flags, frame.hash);
        itsA = load<u64>(template, 12);
        itsPorts = outPort | (<u32>load<u16>(template, ipv4.LENGTH + 2) << 16);
      } else {
        itsA = load<u64>(outside, 12);
        itsPorts = load<u32>(outside, ipv4.LENGTH);
      }
    }
    const key = keyB(namespace.id, itsProtocol, itsPorts & 0xffff, itsPorts >>> 16);
    const found = findConnection(itsA, key, then);
    if (found) {
      if (!outer || foundReply || !mayPassBy(found)) return undo();
      tunnel = found;
      tunnelTime = then;
      setConnection(passing, i, found);
      continue;
    }
    if (outer) {
      const fresh = opening.fresh;
      anew = true;
      if (!fresh || fresh.links != linksGeneration) return undo();
      anew = false;
      counts = fresh;
    }
    if (namespace.connections + pendingIn(namespace) >= namespace.connectionsMax) return undo();
    const connection = newConnection(namespace, itsA, key);
    if (!connection) return undo();
    store<usize>(made + (<usize>count << 2), changetype<usize>(connection));
    count++;
    connection.frames = 1;
    if (itsProtocol == ipv4.TCP && !tcpNew(connection, l4, tail)) return undo();
    if (protocolPacket(connection, itsProtocol, 0, l4, tail, then) <= 0) return undo();
    if (binding.destination && !decide(binding, connection, false, then)) return undo();
    if (opening.balanced == i + 1) {
      balancedA = invertA(connection.replyA);
      balancedB = invertB(connection.replyB);
      if (findBalanced(balancedA, balancedB, time + track.balancedAt)) return undo();
      alterReply(connection, destination!.address, portAt(destination!, balancedB));
    }
    if (binding.source && !decide(binding, connection, true, then)) return undo();
    // Where no decision about its source has made sure of it: nobody else has the answer's tuple.
    const ranged = decisionOf(binding, true);
    const sure = binding.source != 0 && (!ranged.portMin || ranged.portMin != ranged.portMax);
    if (!sure && knownTuple(connection.replyA, connection.replyB)) return undo();
    if (i && clashes(connection)) return undo();
    setConnection(passing, i, connection);
    if (outer) continue;
    a = invertA(connection.replyA);
    ports = <u32>invertB(connection.replyB);
  }
  if (generation != opening.generation) return undo();

  // From here on it goes.
  if (opening.balanced) {
    const balanced = schedule(destination!, balancedA, balancedB);
    if (!balanced) return undo();
    advance(balanced, protocol, 0, l4, time + track.balancedAt);
    if (protocol == ipv4.TCP) touch(balanced);
  }
  // Many find room in what tables have free (clock/run).
  if ((++opened & 15) == 0) tablesUsed();
  for (let i: u32 = 0; i < count; i++) enterConnection(madeAt(i));
  if (tunnel) udpFollow(tunnel, tunnelTime);
  // Where the tunnel's packet is not tracked, its port is still its own.
  if (opening.encapsulates && !outPort) outPort = sourcePortOf(a, protocol, ports, opening.flags, frame.hash);
  translates(passing, track.ttl, before, portsBefore, a, ports);
  passing.outPort = <u16>outPort;
  if (opening.stages) stage(before, portsBefore);
  return true;
}

/**
 * Prefetch by loading, as for vectors (flowtable/foresee): the lines of indexes and of free records that its connections will need are
 * asked for all together. A guess that is wrong costs a load.
 */
function lookAhead(frame: Frame, before: u64, portsBefore: u32, protocol: u32): void {
  const track = passing.track;
  let a = before;
  let ports = portsBefore;
  let seen = nextConnection() | nextBalanced();
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const binding = bindingOf(opening, i);
    const id = binding.namespace.id;
    if (stepOf(track, i).outer) {
      if (!opening.encapsulates) continue;
      const template = changetype<usize>(track) + offsetof<Track>("template") + ethernet.LENGTH;
      const keyA = load<u64>(template, 12);
      const key = keyB(id, ipv4.UDP, sourcePortOf(a, protocol, ports, opening.flags, frame.hash), load<u16>(template, ipv4.LENGTH + 2));
      seen |= load<u32>(connectionSlot(keyA, key)) | load<u32>(connectionSlot(invertA(keyA), invertB(key)));
      continue;
    }
    let key = keyB(id, protocol, ports & 0xffff, ports >>> 16);
    seen |= load<u32>(connectionSlot(a, key));
    if (binding.destination == <u8>Decided.BY_RULE) {
      const decision = decisionOf(binding, false);
      a = keyA(sourceOf(a), decision.address);
      if (decision.portMin) ports = (ports & 0xffff) | (<u32>bswap<u16>(decision.portMin) << 16);
    }
    if (opening.balanced == i + 1) {
      const chosen = destination!;
      const address = sourceOf(a);
      key = keyB(id, protocol, ports & 0xffff, ports >>> 16);
      seen |= load<u32>(balancedSlot(a, key));
      ports = (ports & 0xffff) | (portAt(chosen, key) << 16);
      a = keyA(address, chosen.address);
      seen |= load<u32>(balancedSlot(invertA(a), invertB(keyB(id, protocol, ports & 0xffff, ports >>> 16))));
    }
    if (binding.source == <u8>Decided.BY_RULE) a = keyA(decisionOf(binding, true).address, destinationOf(a));
    seen |= load<u32>(connectionSlot(invertA(a), invertB(keyB(id, protocol, ports & 0xffff, ports >>> 16))));
  }
  sink = seen;
}
/** So that no compiler takes the loads for useless. */
let sink: u32 = 0;

/** Would the rules and namespaces on the way treat this sender as they treated the one before? */
function suits(opening: Opening, sender: u32): bool {
  const first = sender & 0xff;
  if (!first || first == 127 || first >= INVALID_SENDERS) return false;
  for (let i: u32 = 0; i < opening.conditions; i++) {
    const condition = conditionOf(opening, i);
    if (((sender & condition.mask) == condition.value ? 1 : 0) != condition.holds) return false;
  }
  for (let i: u32 = 0; i < opening.places; i++) {
    if (isLocal(changetype<Namespace>(load<usize>(placeOf(opening, i))), sender)) return false;
  }
  return true;
}

/** May a packet of this tunnel's connection pass without moving more than its time? */
// @ts-ignore: decorator
@inline
export function mayPassBy(tunnel: Connection): bool {
  return (tunnel.status & (SEEN_REPLY | DYING | SRC_NAT | DST_NAT | SRC_NAT_DONE | DST_NAT_DONE)) == (SRC_NAT_DONE | DST_NAT_DONE);
}

export function decide(binding: Binding, connection: Connection, source: bool, time: u64): bool {
  const decision = decisionOf(binding, source);
  return decideAgain(connection, source, decision.rule, decision.address, decision.portMin, decision.portMax, time);
}

/** How many of those in hand are this namespace's. */
function pendingIn(namespace: Namespace): u32 {
  let n: u32 = 0;
  for (let i: u32 = 0; i < count; i++) if (madeAt(i).namespace == namespace) n++;
  return n;
}

/** Does the newest of those in hand share a tuple with another of them? */
function clashes(connection: Connection): bool {
  for (let i: u32 = 0; i + 1 < count; i++) {
    const other = madeAt(i);
    if (other.namespace != connection.namespace) continue;
    if (same(other.originalA, other.originalB, connection) || same(other.replyA, other.replyB, connection)) return true;
  }
  return false;
}
function same(a: u64, b: u64, connection: Connection): bool {
  return (connection.originalA == a && connection.originalB == b) || (connection.replyA == a && connection.replyB == b);
}

/** Nothing has happened. */
function undo(): bool {
  while (count) giveConnection(madeAt(--count));
  return false;
}
