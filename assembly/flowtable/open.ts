// A first packet by an opening. What was decided for the one before decides all tuples of its connections, so they are worked out
// first, hashed once each, and asked for all together: a new connection costs what memory costs, some twenty lines of it, and the
// processor can wait for all of them at once. Then they are made as the slow way leaves them; everything else is the track's.
//
// All is asked before anything is changed. When a connection is there already, over or not, a tuple is taken, a table is nearly full
// or a rule would ask another sender differently, it goes the slow way, and nothing has happened.

import { arena } from "../memory";
import { Frame } from "../frame";
import { tablesUsed } from "../devices/device";
import { sourcePortOf } from "../devices/flow-hash";
import { Namespace } from "../stack/namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import {
  Connection, DST_NAT, DST_NAT_DONE, DYING, SEEN_REPLY, SRC_NAT, SRC_NAT_DONE, askConnection, destinationOf, enterTuples, foundReply, invertA, keyA, keyB,
  newConnection, nextConnection, roomForConnections, seekTuple, sourceOf,
} from "../tables/connections";
import { Destination, askBalanced, enterBalanced, knowsBalanced, nextBalanced, roomForBalanced } from "../tables/services";
import { Search } from "../tables/hash";
import { generation, linksGeneration } from "../tables/generation";
import { udpFollow, udpNew } from "../hooks/conntrack-udp";
import { tcpError, tcpOpened } from "../hooks/conntrack-tcp";
import { tcpCopy } from "../hooks/tcp-flows";
import { tcpTimeout } from "../hooks/tcp-states";
import { decideAgain } from "../hooks/nat";
import { bind, nextDestination, portAt } from "../hooks/ipvs-scheduling";
import { advance, touch } from "../hooks/ipvs-states";
import { Flow, connectionOf, setConnection } from "./flows";
import { isHost, protocolOver } from "./ends";
import { Binding, Decided, Opening, bindingOf, conditionOf, decisionOf, findOpening, isOwn, isWithin, openingKey, placeOf, pointA, pointPorts } from "./openings";
import { STAGE, STAGES, fillStage } from "./sights";
import { passing, translates } from "./recorder";
import { CONNECTIONS, Track, stepOf } from "./track";
import { isPast } from "./tunnels";

/** Of an opening that does not suit every packet, one in so many is recorded anew: others may be more frequent. */
const PATIENCE: u32 = 64;

/** The opening in hand, and the destination that IPVS would choose. */
let opening = changetype<Opening>(0);
let destination: Destination | null = null;
let counts = changetype<Track>(0);
/** The way of the packet in hand may be recorded for the next. */
let anew: bool = false;
let opened: u32 = 0;
/** Packets that went by an opening; for reports. */
export function openedByExample(): u32 { return opened; }

/** A flow for the one packet for `address` whose key ends on `b`, if there is an opening; its outermost IP header is at `outside`, `hash` is `hashOf` it. */
export function prospect(frame: Frame, b: u64, address: u32, outside: usize, hash: u32): Flow | null {
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
  passing.hash = hash;
  passing.inPort = load<u16>(outside, ipv4.LENGTH);
  return passing;
}

/** Its stages, for the taps on its way. */
// @ts-ignore: decorator
@inline
function stage(before: u64, portsBefore: u32, v6: bool): void {
  let points = opening.stages;
  for (let n: u32 = 1; points; n++, points >>>= 8) {
    const point = points & 0xff;
    const connection = connectionOf(passing, (point - 1) >>> 1);
    fillStage(stages, n, before, portsBefore, pointA(connection, point), pointPorts(connection, point), v6);
  }
  passing.stages = stages;
}
const stages = arena(STAGE * STAGES);

/** What counts the packet: where the tunnel's connection is new, rules have seen more of it; all else is the same. */
export function countsOf(): Track { return counts; }

/** The packet did not take it: is its way to be recorded? */
export function isAnew(): bool { return anew; }

/**
 * Makes the connections of the packet with addresses `before` whose header is known to agree with the opening's track. False: it has to
 * go the slow way. Its upper layer begins at `l4` and is `tail` bytes long. `v6` is a constant, here and below: each family has code of its own.
 */
// @ts-ignore: decorator
@inline
export function open(frame: Frame, outside: usize, before: u64, l4: usize, tail: u32, protocol: u32, v6: bool): bool {
  if (protocol == ipv4.TCP) {
    if (tcpError(l4, tail)) {
      anew = false;
      return false;
    }
    // Every conntrack entry makes the same of it: here, before anything waits for memory.
    for (let i: usize = 0; i < 128; i += 16) v128.store(changetype<usize>(first) + i, i64x2.splat(0));
    tcpOpened(first, l4, tail);
  }
  const portsBefore = load<u32>(l4);
  const planned = plan(outside, before, portsBefore, protocol, v6);
  if (!suits(opening, sourceOf(before), v6)) return false;
  opening.refused--;
  anew = false;
  if (!planned) return false;

  const time = frame.time;
  const track = passing.track;
  const steps = <u32>track.connections;
  let tunnel: Connection | null = null;
  let made = steps;
  for (let i: u32 = 0; i < steps; i++) {
    const found = seekTuple(tupleAt(2 * i));
    if (!found) continue;
    const then = time + stepOf(track, i).after;
    if (!stepOf(track, i).outer || foundReply || !mayPassBy(found) || isPast(found, then)) return false;
    tunnel = found;
    made--;
  }
  for (let i: u32 = 0; i < steps; i++) {
    if (tunnel && stepOf(track, i).outer) continue;
    // A tuple that is taken, or would be by the packet's own: another port is to be found.
    if (seekTuple(tupleAt(2 * i + 1))) return false;
    const namespace = bindingOf(opening, i).namespace;
    if (namespace.connections + steps > namespace.connectionsMax) return false;
  }
  if (!roomForConnections(made) || clash(steps)) return false;
  if (opening.balanced) {
    if (knowsBalanced(tupleAt(CLIENT)) || knowsBalanced(tupleAt(SERVER)) || !roomForBalanced()) return false;
  }
  if (track.outers && !tunnel) {
    const fresh = opening.fresh;
    if (!fresh || fresh.links != linksGeneration) {
      anew = true;
      return false;
    }
    counts = fresh;
  }

  // From here on it goes.
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(track, i);
    const then = time + step.after;
    if (tunnel && step.outer) {
      setConnection(passing, i, tunnel!);
      udpFollow(tunnel!, then);
      continue;
    }
    const original = tupleAt(2 * i);
    const reply = tupleAt(2 * i + 1);
    const binding = bindingOf(opening, i);
    const connection = newConnection(binding.namespace, original.a, original.b)!;
    connection.replyA = reply.a;
    connection.replyB = reply.b;
    connection.frames = 1;
    if (protocol == ipv4.TCP && !step.outer) {
      tcpCopy(first, connection);
      connection.deadline = then + tcpTimeout(connection.state);
    } else udpNew(connection, then);
    bound(connection, binding, load<u16>(statuses + (<usize>i << 1)));
    enterTuples(connection, original, reply);
    setConnection(passing, i, connection);
  }
  if (opening.balanced) {
    const balanced = enterBalanced(tupleAt(CLIENT), tupleAt(SERVER), destination!);
    bind(balanced, destination!, protocol);
    advance(balanced, protocol, 0, l4, time + track.balancedAt);
    if (protocol == ipv4.TCP) touch(balanced);
  }
  // Many find room in what tables have free (clock/run).
  if ((++opened & 15) == 0) tablesUsed();
  translates(passing, track.ttl, before, portsBefore, lastA, lastPorts, v6);
  passing.outPort = <u16>outPort;
  if (opening.stages) stage(before, portsBefore, v6);
  return true;
}
/** The state of its conntrack entries. */
const first = changetype<Connection>(arena(128));

/** What the tuples of its connections will be, and IPVS's keys. */
const tuples: usize = memory.data(<i32>(2 * CONNECTIONS + 2) * 32, 16);
// @ts-ignore: decorator
@inline
function tupleAt(i: u32): Search { return changetype<Search>(tuples + <usize>i * offsetof<Search>()); }
const CLIENT: u32 = 2 * CONNECTIONS;
const SERVER: u32 = CLIENT + 1;
/** What NAT makes of their status, a u16 each. */
const statuses: usize = memory.data(<i32>CONNECTIONS * 2, 2);
/** What the packet looks like at the end of its way, and the tunnel's source port. */
let lastA: u64 = 0;
let lastPorts: u32 = 0;
let outPort: u32 = 0;

/**
 * Works out all tuples, and asks for the lines of indexes and of free records that they will need, all together (prefetch by loading, as
 * for vectors: flowtable/foresee). False: a port would have to be searched for.
 */
// @ts-ignore: decorator
@inline
function plan(outside: usize, before: u64, portsBefore: u32, protocol: u32, v6: bool): bool {
  const over = protocolOver(protocol, v6);
  const track = passing.track;
  const steps = <u32>track.connections;
  let a = before;
  let ports = portsBefore;
  outPort = 0;
  for (let i: u32 = 0; i < steps; i++) {
    const binding = bindingOf(opening, i);
    const id = binding.namespace.id;
    let status = (binding.destination ? DST_NAT_DONE : 0) | (binding.source ? SRC_NAT_DONE : 0);
    if (stepOf(track, i).outer) {
      let outerA: u64;
      let outerPorts: u32;
      if (opening.encapsulates) {
        const template = changetype<usize>(track) + offsetof<Track>("template") + ethernet.LENGTH;
        outPort = sourcePortOf(a, protocol, ports, opening.flags, passing.hash, v6);
        outerA = load<u64>(template, 12);
        outerPorts = outPort | (<u32>load<u16>(template, ipv4.LENGTH + 2) << 16);
      } else {
        outerA = load<u64>(outside, 12);
        outerPorts = load<u32>(outside, ipv4.LENGTH);
      }
      expect(i, id, ipv4.UDP, outerA, outerPorts, outerA, outerPorts, status);
      continue;
    }
    const wasA = a;
    const wasPorts = ports;
    if (binding.destination == <u8>Decided.BY_RULE) {
      const decision = decisionOf(binding, false);
      const least = <u32>decision.portMin;
      a = keyA(sourceOf(a), decision.address);
      if (least) {
        if (least == <u32>decision.portMax) ports = (ports & 0xffff) | (<u32>bswap<u16>(<u16>least) << 16);
        else if (<u32>bswap<u16>(<u16>(ports >>> 16)) - least > <u32>decision.portMax - least) return false;
      }
      if (a != wasA || ports != wasPorts) status |= DST_NAT;
    }
    if (opening.balanced == i + 1) {
      const chosen = destination!;
      const client = tupleAt(CLIENT);
      client.a = a;
      client.b = keyB(id, protocol, ports & 0xffff, ports >>> 16);
      askBalanced(client);
      a = keyA(sourceOf(a), chosen.address);
      ports = (ports & 0xffff) | (portAt(chosen, client.b) << 16);
      const server = tupleAt(SERVER);
      server.a = invertA(a);
      server.b = keyB(id, protocol, ports >>> 16, ports & 0xffff);
      askBalanced(server);
    }
    if (binding.source == <u8>Decided.BY_RULE) {
      const middle = a;
      a = keyA(decisionOf(binding, true).address, destinationOf(a));
      if (a != middle) status |= SRC_NAT;
    }
    expect(i, id, over, wasA, wasPorts, a, ports, status);
  }
  // Where the tunnel's packet is not tracked, its port is still its own.
  if (opening.encapsulates && !outPort) outPort = sourcePortOf(a, protocol, ports, opening.flags, passing.hash, v6);
  lastA = a;
  lastPorts = ports;
  let seen: u32 = 0;
  for (let i: u32 = 0; i < steps; i++) seen |= load<u32>(tupleAt(2 * i).slot) | load<u32>(tupleAt(2 * i + 1).slot);
  if (opening.balanced) seen |= load<u32>(tupleAt(CLIENT).slot) | load<u32>(tupleAt(SERVER).slot) | nextBalanced();
  seen |= nextConnection();
  sink = seen;
  return true;
}
/** So that no compiler takes the loads for useless. */
let sink: u32 = 0;

/** The `i`th connection will be of a packet that comes as (a, ports) and leaves as `toA`, `toPorts`. */
// @ts-ignore: decorator
@inline
function expect(i: u32, namespace: u32, protocol: u32, a: u64, ports: u32, toA: u64, toPorts: u32, status: u32): void {
  const original = tupleAt(2 * i);
  original.a = a;
  original.b = keyB(namespace, protocol, ports & 0xffff, ports >>> 16);
  askConnection(original);
  const reply = tupleAt(2 * i + 1);
  reply.a = invertA(toA);
  reply.b = keyB(namespace, protocol, toPorts >>> 16, toPorts & 0xffff);
  askConnection(reply);
  store<u16>(statuses + (<usize>i << 1), <u16>status);
}

/** Is a tuple that will be there twice? Two connections of one namespace may share one, and one whose ends are the same has but one. */
function clash(steps: u32): bool {
  for (let i: u32 = 0; i < steps; i++) {
    if (same(2 * i, 2 * i + 1)) return true;
    for (let j: u32 = 0; j < i; j++) {
      if (bindingOf(opening, i).namespace != bindingOf(opening, j).namespace) continue;
      if (same(2 * i, 2 * j) || same(2 * i, 2 * j + 1) || same(2 * i + 1, 2 * j) || same(2 * i + 1, 2 * j + 1)) return true;
    }
  }
  return false;
}
// @ts-ignore: decorator
@inline
function same(i: u32, j: u32): bool { return ((tupleAt(i).a ^ tupleAt(j).a) | (tupleAt(i).b ^ tupleAt(j).b)) == 0; }

/** NAT is decided as for the one before (hooks/nat). */
// @ts-ignore: decorator
@inline
function bound(connection: Connection, binding: Binding, status: u16): void {
  connection.status = status;
  if (binding.destination == <u8>Decided.BY_RULE) connection.ruleDnat = decisionOf(binding, false).rule;
  if (binding.source == <u8>Decided.BY_RULE) connection.ruleSnat = decisionOf(binding, true).rule;
}

/** Would the rules and namespaces on the way treat this sender as they treated the one before? */
// @ts-ignore: decorator
@inline
function suits(opening: Opening, sender: u32, v6: bool): bool {
  if (!isHost(sender, v6)) return false;
  for (let i: u32 = 0; i < opening.conditions; i++) {
    const condition = conditionOf(opening, i);
    if ((isWithin(sender, condition.mask, condition.value, v6) ? 1 : 0) != condition.holds) return false;
  }
  for (let i: u32 = 0; i < opening.places; i++) {
    if (isOwn(changetype<Namespace>(load<usize>(placeOf(opening, i))), sender, v6)) return false;
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
