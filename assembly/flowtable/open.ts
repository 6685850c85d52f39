// A first packet by an opening: its connections are made, bound and confirmed by the functions that the slow way calls, one
// after the other as they were recorded; everything else is its track's.
//
// All is asked before anything can be seen: until the end its connections are its own. When one of them is there already, its
// port is taken, a table is full or a rule would ask another sender differently, it goes the slow way, and nothing has happened.

import { Frame } from "../frame";
import { Device, cross, mayCross, tablesUsed } from "../devices/device";
import { sourcePortOf } from "../devices/vxlan";
import { Namespace } from "../stack/namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import {
  Connection, DST_NAT, DST_NAT_DONE, DYING, SEEN_REPLY, SRC_NAT, SRC_NAT_DONE, enterConnection, findConnection, foundReply, giveConnection, invertA,
  invertB, keyB, knownTuple, newConnection,
} from "../tables/connections";
import { Destination, findBalanced } from "../tables/services";
import { isLocal } from "../tables/routes";
import { generation, linksGeneration } from "../tables/generation";
import { protocolPacket, udpFollow } from "../hooks/conntrack";
import { tcpError, tcpNew } from "../hooks/conntrack-tcp";
import { decideAgain, alterReply } from "../hooks/nat";
import { advance, nextDestination, portAt, schedule, touch } from "../hooks/ipvs";
import { setConnection } from "./flows";
import { agrees, leave } from "./forward";
import { Decided, Opening, conditionOf, decisionOf, findOpening, namespaceOf, openingKey, placeOf } from "./openings";
import { passing, translates } from "./recorder";
import { Track, stepOf } from "./track";

/** What became of a packet; ANEW: its way may be recorded for the next. */
export enum Opened { DONE, SLOW, ANEW }

/** Of an opening that does not suit every packet, one in so many is recorded anew: others may be more frequent. */
const PATIENCE: u32 = 64;
const INVALID_SENDERS: u32 = 0xe0;

/** The connections in hand. */
const made: usize = memory.data(16);
let count: u32 = 0;

// @ts-ignore: decorator
@inline
function madeAt(i: u32): Connection { return changetype<Connection>(load<usize>(made + (<usize>i << 2))); }

export function open(
  device: Device, frame: Frame, at: usize, outside: usize, ip: usize, l4: usize, length: u32, protocol: u32, encapsulated: u32, padding: u32,
): Opened {
  const to = ipv4.destination(ip);
  const ports = load<u32>(l4);
  const b = <u64>(ports & 0xffff0000) | (<u64>(protocol | encapsulated) << 32) | (<u64>device.id << 40);
  let opening = findOpening(openingKey(to, null), b);
  if (!opening || opening.generation != generation) return Opened.ANEW;
  let destination: Destination | null = null;
  if (opening.service) {
    destination = nextDestination(opening.service!);
    if (!destination) return Opened.SLOW;
    opening = findOpening(openingKey(to, destination), b);
    if (!opening || opening.generation != generation) return Opened.ANEW;
  }
  const time = frame.time;
  let track = opening.known!;
  if (track.links != linksGeneration || time >= track.until || time < track.since) return Opened.ANEW;
  passing.flags = <u16>opening.flags;
  passing.hash = frame.hash;
  passing.inPort = load<u16>(outside, ipv4.LENGTH);
  if (!agrees(passing, track, frame, at, outside, ip, l4, length, protocol)) return refused(opening);
  if (!suits(opening, ipv4.source(ip))) return refused(opening);
  const tail = length - ipv4.LENGTH;
  if (protocol == ipv4.TCP && tcpError(l4, tail)) return Opened.SLOW;
  if (!mayCross(frame, track.crossings)) return Opened.SLOW;

  // Its connections, one after the other; (a, p) is what the packet looks like at that point.
  const before = load<u64>(ip, 12);
  let a = before;
  let p = ports;
  let outPort: u32 = 0;
  let tunnel: Connection | null = null;
  let tunnelTime: u64 = 0;
  let balancedA: u64 = 0;
  let balancedB: u64 = 0;
  count = 0;
  const steps = <u32>track.connections;
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(track, i);
    const namespace = namespaceOf(opening, i);
    const then = time + step.after;
    let keyA = a;
    let l4Protocol = protocol;
    let l4Ports = p;
    if (step.outer) {
      l4Protocol = ipv4.UDP;
      if (opening.encapsulates) {
        const template = changetype<usize>(track) + offsetof<Track>("template") + ethernet.LENGTH;
        outPort = sourcePortOf(a, protocol, p, opening.flags, frame.hash);
        keyA = load<u64>(template, 12);
        l4Ports = outPort | (<u32>load<u16>(template, ipv4.LENGTH + 2) << 16);
      } else {
        keyA = load<u64>(outside, 12);
        l4Ports = load<u32>(outside, ipv4.LENGTH);
      }
    }
    const key = keyB(namespace.id, l4Protocol, l4Ports & 0xffff, l4Ports >>> 16);
    const found = findConnection(keyA, key, then);
    if (found) {
      if (!step.outer || foundReply || !passesBy(found)) return undo(Opened.SLOW);
      tunnel = found;
      tunnelTime = then;
      setConnection(passing, i, found);
      continue;
    }
    if (step.outer) {
      const fresh = opening.fresh;
      if (!fresh || fresh.links != linksGeneration) return undo(Opened.ANEW);
      track = fresh;
    }
    if (namespace.connections + pendingIn(namespace) >= namespace.connectionsMax) return undo(Opened.SLOW);
    const connection = newConnection(namespace, keyA, key);
    if (!connection) return undo(Opened.SLOW);
    store<usize>(made + (<usize>count << 2), changetype<usize>(connection));
    count++;
    connection.frames = 1;
    if (l4Protocol == ipv4.TCP && !tcpNew(connection, l4, tail)) return undo(Opened.SLOW);
    if (protocolPacket(connection, l4Protocol, 0, l4, tail, then) <= 0) return undo(Opened.SLOW);
    if (!decide(opening, connection, i, 0, then)) return undo(Opened.SLOW);
    if (opening.balanced == i + 1) {
      balancedA = invertA(connection.replyA);
      balancedB = invertB(connection.replyB);
      if (findBalanced(balancedA, balancedB, time + track.balancedAt)) return undo(Opened.SLOW);
      alterReply(connection, destination!.address, portAt(destination!, balancedB));
    }
    if (!decide(opening, connection, i, 1, then)) return undo(Opened.SLOW);
    const source = decisionOf(opening, i, 1);
    // What no decision about its source has made sure of: nobody else has the answer's tuple.
    const sure = source.decided != Decided.NOTHING && (!source.portMin || source.portMin != source.portMax);
    if (!sure && knownTuple(connection.replyA, connection.replyB)) return undo(Opened.SLOW);
    if (clashes(connection)) return undo(Opened.SLOW);
    setConnection(passing, i, connection);
    if (step.outer) continue;
    a = invertA(connection.replyA);
    p = <u32>invertB(connection.replyB);
  }
  if (generation != opening.generation) return undo(Opened.SLOW);

  // From here on it goes.
  if (opening.balanced) {
    const balanced = schedule(destination!, balancedA, balancedB);
    if (!balanced) return undo(Opened.SLOW);
    advance(balanced, protocol, 0, l4, time + track.balancedAt);
    if (protocol == ipv4.TCP) touch(balanced);
  }
  tablesUsed();
  cross(frame, track.crossings);
  for (let i: u32 = 0; i < count; i++) enterConnection(madeAt(i));
  if (tunnel) udpFollow(tunnel, tunnelTime);
  // Where the tunnel's packet is not tracked, its port is still its own.
  if (opening.encapsulates && !outPort) outPort = sourcePortOf(a, protocol, p, opening.flags, frame.hash);
  translates(passing, track.ttl, before, ports, a, p);
  passing.outPort = <u16>outPort;
  leave(passing, track, device, frame, at, ip, length, padding);
  return Opened.DONE;
}

/** It does not suit this packet. */
function refused(opening: Opening): Opened { return ++opening.refused & (PATIENCE - 1) ? Opened.SLOW : Opened.ANEW; }

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
function passesBy(tunnel: Connection): bool {
  return (tunnel.status & (SEEN_REPLY | DYING | SRC_NAT | DST_NAT | SRC_NAT_DONE | DST_NAT_DONE)) == (SRC_NAT_DONE | DST_NAT_DONE);
}

// @ts-ignore: decorator
@inline
function decide(opening: Opening, connection: Connection, i: u32, source: u32, time: u64): bool {
  const decision = decisionOf(opening, i, source);
  if (decision.decided == Decided.NOTHING) return true;
  return decideAgain(connection, source != 0, decision.rule, decision.address, decision.portMin, decision.portMax, time);
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
function undo(opened: Opened): Opened {
  while (count) giveConnection(madeAt(--count));
  return opened;
}
