// A packet of a connection that is there, but whose flow is not: by a precedent it becomes a flow, without the slow way.
// Its connections are looked up one after the other as on that way, and whatever was asked there is asked again; when
// all is as it was, conntrack and IPVS move on as for any packet of a flow (trackers), and the flow stands.
//
// Nothing that can be seen is changed before all has been asked; else the packet goes the slow way untouched.

import { Frame } from "../frame";
import { tablesUsed } from "../devices/device";
import { sourcePortOf } from "../devices/flow-hash";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import {
  Connection, DST_NAT, SRC_NAT, connectionSlot, enterConnection, foundReply, giveConnection, invertA, invertB, keyA, keyB, knownTuple, newConnection, nextTunnel, overIpv6, seekConnection,
} from "../tables/connections";
import { foundServer, seekBalanced } from "../tables/services";
import { generation, linksGeneration } from "../tables/generation";
import { hash } from "../tables/hash";
import { protocolPacket } from "../hooks/conntrack";
import { tcpError } from "../hooks/conntrack-tcp";
import { FLOW, Flow, connectionOf, flowSlot, obtainFlow, setConnection, stand } from "./flows";
import { hashOf, isHost, protocolOver, upperAt } from "./ends";
import { decide, mayPassBy } from "./open";
import { disband } from "./groups";
import { Precedent, Side, addressAt, answersAlike, findPrecedent, legOf, pointBetween, portAt, portsBetween, precedentKey, questionOf, tunnelBinding } from "./precedents";
import { translates } from "./recorder";
import { fillStage, giveStages, takeStages } from "./sights";
import { Track, count, encapsulates, hold, stepOf } from "./track";
import { arena } from "../memory";

/** The flow that the packet may become. */
const draft = changetype<Flow>(arena(FLOW));
let v6: bool = false;
/** What it would leave as, and the new connection of the tunnel's. */
let lastA: u64 = 0;
let lastPorts: u32 = 0;
let tunnel: Connection | null = null;
let fresh = changetype<Track>(0);
/** Another precedent may suit it. */
let elsewhere: u32 = 0;

let gone: f64 = 0;
/** Packets that went by a precedent; for reports. */
export function followed(): f64 { return gone; }

/**
 * The flow that the packet is the first of, or null: it has to go the slow way. (a, b) is its key; the frame begins at `at`, its innermost
 * IP packet, `length` bytes of it, at `ip`. What becomes of it says `joined`.
 */
export function follow(frame: Frame, a: u64, b: u64, at: usize, ip: usize, length: u32): Flow | null {
  v6 = overIpv6(b);
  const l4 = upperAt(ip, v6);
  const ports = load<u32>(l4);
  const sender = precedentKey(b, ports & 0xffff, Side.RESPONDER);
  let found = findPrecedent(<u32>a, 0, sender);
  if (found) return by(found, sender, frame, a, b, at, ip, length);
  if (tcp.flags(l4) & tcp.SYN) return null;
  const receiver = precedentKey(b, ports >>> 16, Side.INITIATOR);
  found = findPrecedent(<u32>(a >>> 32), 0, receiver);
  return found ? by(found, receiver, frame, a, b, at, ip, length) : null;
}

function by(first: Precedent, key: u64, frame: Frame, a: u64, b: u64, at: usize, ip: usize, length: u32): Flow | null {
  lookAhead(first, a, b, at);
  let chosen = first;
  elsewhere = 0;
  draft.hash = hashOf(frame, ip, v6);
  const l4 = upperAt(ip, v6);
  const ports = load<u32>(l4);
  if (!suits(first, frame, a, ports, at)) {
    const other = elsewhere ? findPrecedent(addressAt(a, first.side == Side.INITIATOR), elsewhere, key) : null;
    if (!other || !suits(other, frame, a, ports, at)) return null;
    chosen = other;
  }
  if (tcpError(l4, length - <u32>(l4 - ip))) return null;
  const track = chosen.known!;
  tunnel = null;
  if (track.outers && !tunnels(chosen, track, frame, at)) return null;
  const flow = established(chosen, a, b, ports);
  if (!flow) {
    if (tunnel) giveConnection(tunnel!);
    return null;
  }
  chosen.idle = 0;
  first.idle = 0;
  // Rules have seen more of a packet whose tunnel's connection is new: it is counted there, and its flow's count takes it back.
  if (tunnel) {
    fresh = chosen.fresh!;
    track.packets--;
    track.bytes -= length;
    count(fresh, length);
  }
  return flow;
}

/** What `follow` has made a flow for, `length` bytes long, has gone by it, or not. */
export function joined(flow: Flow, length: u32, done: bool): void {
  if (done) {
    gone++;
    tablesUsed();
    if (tunnel) enterConnection(tunnel!);
    return;
  }
  flow.generation = 0;
  disband(flow);
  if (!tunnel) return;
  giveConnection(tunnel!);
  fresh.packets--;
  fresh.bytes -= length;
  flow.track.packets++;
  flow.track.bytes += length;
}

/** Prefetch by loading, as for openings. */
function lookAhead(precedent: Precedent, a: u64, b: u64, at: usize): void {
  const from = changetype<usize>(precedent);
  const track = precedent.known!;
  let seen = load<u32>(from, 64) | load<u32>(from, 128) | load<u32>(from, 192) | load<u32>(from, 256) | load<u32>(from, 320) | load<u32>(from, 384);
  seen |= load<u32>(flowSlot(hash(a, b)));
  const first = legOf(precedent, 0);
  if (track.ingress) {
    const outside = load<u64>(at, ethernet.LENGTH + 12);
    const ports = load<u32>(at, ethernet.LENGTH + ipv4.LENGTH);
    const key = keyB(first.namespace.id, ipv4.UDP, ports & 0xffff, ports >>> 16);
    seen |= load<u32>(connectionSlot(outside, key)) | load<u32>(connectionSlot(invertA(outside), invertB(key)));
    const more = precedent.fresh;
    if (more) seen |= nextTunnel() | load<u32>(changetype<usize>(more)) | load<u32>(changetype<usize>(more), 64);
  }
  sink = seen;
}
/** So that no compiler takes the loads for useless. */
let sink: u32 = 0;

/** Are its connections there, and is all that was asked of the other initiator true of this one? Then `draft` has them. */
function suits(precedent: Precedent, frame: Frame, firstA: u64, firstPorts: u32, at: usize): bool {
  const track = precedent.known!;
  const time = frame.time;
  if (track.links != linksGeneration || time >= track.until || time < track.since) return false;
  const toInitiator = precedent.side == Side.RESPONDER;
  let a = firstA;
  let ports = firstPorts;
  const steps = <u32>track.connections;
  store<u64>(legs, a);
  store<u32>(legs, ports, 8);
  for (let i: u32 = 0; i < steps; i++) {
    const was = legOf(precedent, i);
    if (!stepOf(track, i).outer) {
      const reply = <u32>precedent.side;
      const connection = seekConnection(a, keyB(was.namespace.id, protocolOver(ipv4.TCP, v6), ports & 0xffff, ports >>> 16));
      if (!connection || foundReply != reply || (connection.status & (SRC_NAT | DST_NAT)) != was.status) return false;
      setConnection(draft, i, connection);
      a = invertA(reply ? connection.originalA : connection.replyA);
      ports = <u32>invertB(reply ? connection.originalB : connection.replyB);
    }
    const leg = legs + ((<usize>i + 1) << 4);
    store<u64>(leg, a);
    store<u32>(leg, ports, 8);
    // At once: behind another destination than the precedent's its next connections are not to be found, and one of that may suit.
    if (i + 1 == precedent.balanced && !balanced(precedent)) return false;
  }
  lastA = a;
  lastPorts = ports;
  if (precedent.side == Side.RESPONDER) elsewhere = addressAt(a, true);
  if (!precedent.balanced && precedent.side == Side.INITIATOR) elsewhere = addressAt(firstA, false);

  // The responder is the same all along, the initiator changes where the other one did.
  for (let i: u32 = 0; i <= steps; i++) {
    const was = legOf(precedent, i);
    const leg = legs + (<usize>i << 4);
    const nowA = load<u64>(leg);
    const nowPorts = load<u32>(leg, 8);
    if (addressAt(nowA, !toInitiator) != addressAt(was.a, !toInitiator) || portAt(nowPorts, !toInitiator) != portAt(was.ports, !toInitiator)) return false;
    const address = addressAt(nowA, toInitiator);
    if (address != addressAt(was.a, toInitiator) && !isHost(address, v6)) return false;
    if (i == 0) continue;
    const then = legOf(precedent, i - 1);
    const before = load<u64>(leg - 16);
    const moved = addressAt(was.a, toInitiator) != addressAt(then.a, toInitiator);
    if ((address != addressAt(before, toInitiator)) != moved) return false;
    const samePort = portAt(was.ports, toInitiator) == portAt(then.ports, toInitiator);
    if (!moved && samePort && portAt(nowPorts, toInitiator) != portAt(load<u32>(leg - 16, 8), toInitiator)) return false;
  }
  if (track.sights && !looksAlike(precedent, steps)) return false;
  for (let i: u32 = 0; i < precedent.questions; i++) {
    const question = questionOf(precedent, i);
    const leg = legs + (<usize>question.leg << 4);
    const address = addressAt(load<u64>(leg), toInitiator);
    const before = addressAt(legOf(precedent, question.leg).a, toInitiator);
    if (!answersAlike(question, precedent.side, address, portAt(load<u32>(leg, 8), toInitiator), before, v6)) return false;
  }
  // Last: which other precedent may suit is known by now.
  if ((load<u64>(at) ^ track.inLow) | (<u64>load<u32>(at, 8) ^ track.inHigh) | <u64>((frame.flags ^ precedent.flags) & 0xffff)) return false;
  draft.flags = <u16>precedent.flags;
  draft.inPort = load<u16>(at, ethernet.LENGTH + ipv4.LENGTH);
  return true;
}
/** What it looks like on its legs, 16 bytes each: addresses, ports. */
const legs: usize = memory.data(80);

/** Does it look the same as on another leg wherever the other one did? Taps tell stages apart by that. */
function looksAlike(precedent: Precedent, steps: u32): bool {
  for (let i: u32 = 0; i <= 2 * steps; i++) {
    for (let j: u32 = 0; j < i; j++) {
      const one = legOf(precedent, i >>> 1);
      const other = legOf(precedent, j >>> 1);
      const wasSame =
        pointBetween(one.a, legOf(precedent, (i + 1) >>> 1).a, true) == pointBetween(other.a, legOf(precedent, (j + 1) >>> 1).a, true) &&
        portsBetween(one.ports, legOf(precedent, (i + 1) >>> 1).ports, true) == portsBetween(other.ports, legOf(precedent, (j + 1) >>> 1).ports, true);
      if (!wasSame) continue;
      const x = legs + (<usize>(i >>> 1) << 4);
      const y = legs + (<usize>(j >>> 1) << 4);
      const x1 = legs + (<usize>((i + 1) >>> 1) << 4);
      const y1 = legs + (<usize>((j + 1) >>> 1) << 4);
      if (pointBetween(load<u64>(x), load<u64>(x1), true) != pointBetween(load<u64>(y), load<u64>(y1), true)) return false;
      if (portsBetween(load<u32>(x, 8), load<u32>(x1, 8), true) != portsBetween(load<u32>(y, 8), load<u32>(y1, 8), true)) return false;
    }
  }
  return true;
}

/** Does IPVS know its connection, of the same destination, and as conntrack does? */
function balanced(precedent: Precedent): bool {
  const i = precedent.balanced - 1;
  const before = legs + (<usize>i << 4);
  const beforeA = load<u64>(before);
  const beforePorts = load<u32>(before, 8);
  const after = before + 16;
  const afterA = load<u64>(after);
  const afterPorts = load<u32>(after, 8);
  const answer = precedent.side == Side.RESPONDER;
  const id = legOf(precedent, i).namespace.id;
  const connection = connectionOf(draft, i);
  // The client that IPVS sees, and the destination: each is what the packet is at where its connection is met, or behind.
  const client = answer ? addressAt(afterA, true) : addressAt(beforeA, false);
  const clientPort = answer ? afterPorts >>> 16 : beforePorts & 0xffff;
  const server = answer ? addressAt(beforeA, false) : addressAt(afterA, true);
  const serverPort = answer ? beforePorts & 0xffff : afterPorts >>> 16;
  const serverA = keyA(server, client);
  const serverB = keyB(id, ipv4.TCP, serverPort, clientPort);
  const found = answer ? seekBalanced(serverA, serverB) : seekBalanced(connection.originalA, connection.originalB);
  if (!found || foundServer != (answer ? 1 : 0)) return false;
  if (!answer) elsewhere = changetype<u32>(found.destination);
  if (found.clientA != connection.originalA || found.clientB != connection.originalB) return false;
  if (found.serverA != serverA || found.serverB != serverB) return false;
  draft.balanced = found;
  draft.balancedStamp = found.stamp;
  return found.destination == precedent.destination;
}

/** The tunnel's connection: the one that is there, or a new one, which is nobody's until the packet goes. */
function tunnels(precedent: Precedent, track: Track, frame: Frame, at: usize): bool {
  let i: u32 = 0;
  while (!stepOf(track, i).outer) i++;
  let a: u64;
  let ports: u32;
  if (precedent.encapsulates) {
    const template = changetype<usize>(track) + offsetof<Track>("template") + ethernet.LENGTH;
    a = load<u64>(template, 12);
    ports = sourcePortOf(lastA, ipv4.TCP, lastPorts, precedent.flags, draft.hash, v6) | (<u32>load<u16>(template, ipv4.LENGTH + 2) << 16);
  } else {
    a = load<u64>(at, ethernet.LENGTH + 12);
    ports = load<u32>(at, ethernet.LENGTH + ipv4.LENGTH);
  }
  const namespace = legOf(precedent, i).namespace;
  const key = keyB(namespace.id, ipv4.UDP, ports & 0xffff, ports >>> 16);
  let connection = seekConnection(a, key);
  if (connection) {
    if (foundReply || !mayPassBy(connection)) return false;
  } else {
    const fresh = precedent.fresh;
    if (!fresh || fresh.links != track.links || namespace.connections >= namespace.connectionsMax) return false;
    connection = newConnection(namespace, a, key);
    if (!connection) return false;
    connection.frames = 1;
    const then = frame.time + stepOf(track, i).after;
    const binding = tunnelBinding(precedent);
    protocolPacket(connection, ipv4.UDP, 0, 0, 0, then);
    if ((binding.destination && !decide(binding, connection, false, then)) || (binding.source && !decide(binding, connection, true, then)) || knownTuple(connection.replyA, connection.replyB)) {
      giveConnection(connection);
      return false;
    }
    tunnel = connection;
  }
  setConnection(draft, i, connection);
  draft.outer = connection;
  draft.outerStamp = connection.stamp;
  return true;
}

/** The flow of that key, with what the draft has. */
function established(precedent: Precedent, a: u64, b: u64, ports: u32): Flow | null {
  const track = precedent.known!;
  draft.generation = generation;
  draft.track = track;
  stand(draft);
  if (!track.outers) draft.outer = null;
  translates(draft, track.ttl, a, ports, lastA, lastPorts, v6);
  draft.outPort = 0;
  if (encapsulates(track)) draft.outPort = <u16>sourcePortOf(lastA, ipv4.TCP, lastPorts, draft.flags, draft.hash, v6);
  draft.stages = 0;
  if (precedent.stages) {
    draft.stages = takeStages();
    if (!draft.stages) return null;
    stage(precedent.stages, draft.stages, a, ports);
  }
  const flow = obtainFlow(a, b, track, changetype<usize>(draft) + offsetof<Flow>("connection0"));
  if (!flow) {
    giveStages(draft);
    return null;
  }
  hold(track);
  memory.copy(changetype<usize>(flow) + 16, changetype<usize>(draft) + 16, FLOW - 16);
  return flow;
}

/** What taps on its way see, at each `Point` out of a precedent's. */
function stage(points: u32, stages: usize, before: u64, portsBefore: u32): void {
  for (let n: u32 = 1; points; n++, points >>>= 8) {
    const at = legs + ((<usize>(points & 0xff) - 1) >>> 1 << 4);
    const mixed = (points & 1) != 0;
    fillStage(stages, n, before, portsBefore, pointBetween(load<u64>(at), load<u64>(at, 16), mixed), portsBetween(load<u32>(at, 8), load<u32>(at, 24), mixed), v6);
  }
}
