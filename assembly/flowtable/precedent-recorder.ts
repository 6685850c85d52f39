// Recording a precedent: beside the flow of an established connection's packet (flowtable/recorder) goes down what the
// slow way has asked about either end of it, and what NAT and IPVS have made of it. Which of the ends is the initiator
// is known once a connection is met; what was asked about the other one needs no second question.

import { arena } from "../memory";
import { Frame } from "../frame";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import { Connection, DST_NAT, SEEN_REPLY, SRC_NAT, destinationOf, invertA, invertB, sourceOf } from "../tables/connections";
import { isLocal } from "../tables/routes";
import { Rule, SPORT } from "../tables/rules";
import { BalancedConnection } from "../tables/services";
import { linksGeneration } from "../tables/generation";
import { sourcePortOf } from "../devices/flow-hash";
import { RECEIVER, SENDER, endMatches } from "../hooks/filter";
import { endMatches6 } from "../hooks/filter6";
import { endsAt, portsAt, upperAt } from "./ends";
import {
  Asked, Precedent, PRECEDENT, QUESTIONS, Side, addressAt, findPrecedent, legOf, pointBetween, portAt, portsBetween, precedentKey, putPrecedent, questionOf, tunnelBinding,
} from "./precedents";
import { boundOutside, isSpecial, tunnelsMet } from "./opening-recorder";
import { isOutside, isRecording, trackedSoFar } from "./recorder";
import { stagedAs, stagesFound } from "./sights";
import { Track, encapsulates, hold, stepOf } from "./track";

/** It is a TCP packet of a connection that is there, and nothing on its way has forbidden a precedent. */
let fit: bool = false;
/** What the packet looks like on its way, and what was asked about its sender if that is the initiator, or its receiver. */
const bySender = changetype<Precedent>(arena(PRECEDENT));
const byReceiver = changetype<Precedent>(arena(PRECEDENT));
let isSynAck: bool = false;
let v6: bool = false;
/** The tunnel's connection, by its place. */
let tunnelAt: u32 = 0;

/** The packet at `ip`, with addresses `a`, has come in. */
export function beginPrecedent(a: u64, ip: usize, overIpv6: bool, may: bool): void {
  fit = may;
  if (!may) return;
  memory.fill(changetype<usize>(bySender), 0, PRECEDENT);
  memory.fill(changetype<usize>(byReceiver), 0, PRECEDENT);
  const first = legOf(bySender, 0);
  v6 = overIpv6;
  first.a = a;
  first.ports = portsAt(ip, v6);
  balancedAfter = 0;
  isSynAck = (tcp.flags(upperAt(ip, v6)) & tcp.SYN) != 0;
}

/** Its way depends on more of its ends than can be asked again. */
export function varies(): void { fit = false; }

/** It is part of `connection`, its `n`th. */
export function partOf(connection: Connection, n: u32, reply: u32, outer: bool): void {
  if (!fit) return;
  const here = legOf(bySender, n);
  const next = legOf(bySender, n + 1);
  here.namespace = connection.namespace;
  next.a = here.a;
  next.ports = here.ports;
  if (outer) {
    tunnelAt = n;
    return;
  }
  here.status = connection.status & (SRC_NAT | DST_NAT);
  if ((reply ? connection.replyA : connection.originalA) != here.a || <u32>(reply ? connection.replyB : connection.originalB) != here.ports) return varies();
  next.a = invertA(reply ? connection.originalA : connection.replyA);
  next.ports = <u32>invertB(reply ? connection.originalB : connection.replyB);
}

/** On which leg is the packet whose end is this now? More than all legs: on none. */
const NOWHERE: u32 = 255;
function legWith(address: u32, port: u32, receiver: bool, any: bool): u32 {
  let i = trackedSoFar();
  for (let tries = 0; tries < 2; tries++) {
    const leg = legOf(bySender, i);
    if (addressAt(leg.a, receiver) == address && (any || portAt(leg.ports, receiver) == port)) return i;
    if (i-- == 0) break;
  }
  return NOWHERE;
}

function ask(receiver: bool, kind: Asked, leg: u32, namespace: Namespace, what: usize, holds: bool): void {
  const draft = receiver ? byReceiver : bySender;
  const n = draft.questions;
  for (let i: u32 = 0; i < n; i++) {
    const known = questionOf(draft, i);
    if (known.kind == <u8>kind && known.leg == <u8>leg && known.namespace == namespace && known.what == what) return;
  }
  // One more than there may be: none is kept.
  draft.questions = min(n + 1, QUESTIONS + 1);
  if (n >= QUESTIONS) return;
  const question = questionOf(draft, n);
  question.kind = <u8>kind;
  question.leg = <u8>leg;
  question.holds = holds ? 1 : 0;
  question.namespace = namespace;
  question.what = what;
}

/** The rule asks for an end of the packet at `ip`; its other end's part is only asked where that matches. */
export function asksEnds(frame: Frame, namespace: Namespace, ip: usize, rule: Rule, ports: u32): void {
  if (!fit || !isRecording(frame)) return;
  const match = rule.match;
  // The tunnel's ends are its track's, all but the port that differs from flow to flow.
  if (isOutside()) {
    if (match & SPORT) varies();
    return;
  }
  const a = endsAt(ip, v6);
  const from = matches(rule, namespace, sourceOf(a), ports & 0xffff, true);
  const to = matches(rule, namespace, destinationOf(a), ports >>> 16, false);
  if (match & SENDER && to) asksEnd(namespace, a, portsAt(ip, v6), rule, false, from);
  if (match & RECEIVER && from) asksEnd(namespace, a, portsAt(ip, v6), rule, true, to);
}
function matches(rule: Rule, namespace: Namespace, address: u32, port: u32, sender: bool): bool {
  return v6 ? endMatches6(rule, namespace, <usize>address, port, sender) : endMatches(rule, namespace, address, port, sender);
}

function asksEnd(namespace: Namespace, a: u64, ports: u32, rule: Rule, receiver: bool, holds: bool): void {
  const leg = legWith(addressAt(a, receiver), portAt(ports, receiver), receiver, false);
  if (leg == NOWHERE) varies();
  else ask(receiver, Asked.RULE, leg, namespace, changetype<usize>(rule), holds);
}

/** `route`, of either family or 0, leads from `namespace` to `destination`; `direct`: that is the next hop. */
export function routed(namespace: Namespace, destination: u32, route: usize, direct: bool): void {
  if (!fit || isOutside()) return;
  const leg = legWith(destination, 0, true, true);
  if (leg == NOWHERE) return;
  ask(true, Asked.ROUTE, leg, namespace, route, true);
  // Without a gateway each address has a MAC of its own.
  if (direct) ask(true, Asked.SAME, leg, namespace, 0, true);
}

/** `namespace` makes sure that the sender is not itself. */
export function sentFrom(frame: Frame, namespace: Namespace, source: u32): void {
  if (!fit || !isRecording(frame) || isOutside()) return;
  const leg = legWith(source, 0, false, true);
  if (leg == NOWHERE) varies();
  else ask(false, Asked.OWN, leg, namespace, 0, isLocal(namespace, source));
}

/**
 * Its way has become `known`, and `fresh` where the tunnel's connection is new; it leaves with `lastA` and `lastPorts` at `time`. Keeps the
 * precedent, if there is one that it does not have, as long as `generation` stands. `connections` are those on the way, `b` is its flow's
 * key's second half.
 */
export function keepPrecedent(
  known: Track, fresh: Track | null, connections: usize, lastA: u64, lastPorts: u32, outPort: u32, b: u64, time: u64, hash: u32, flags: u32, generation: u32,
  balanced: BalancedConnection | null,
): void {
  if (!fit || isSpecial() || tunnelsMet() > 1) return;
  const steps = <u32>known.connections;
  let side: u32 = NOWHERE;
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(known, i);
    if (step.outer) continue;
    if (side != NOWHERE && side != <u32>step.reply) return;
    side = step.reply;
    if (!(changetype<Connection>(load<usize>(connections + (<usize>i << 2))).status & SEEN_REPLY)) return;
  }
  if (side == NOWHERE) {
    if (!isSynAck) return;
    side = Side.RESPONDER;
  }
  const first = legOf(bySender, 0);
  const last = legOf(bySender, steps);
  if (last.a != lastA || last.ports != lastPorts) return;
  const into = encapsulates(known);
  if (into && outPort != sourcePortOf(lastA, ipv4.TCP, lastPorts, flags, hash, v6)) return;
  if (into && known.ingress) return;
  const toInitiator = side == Side.RESPONDER;
  const draft = toInitiator ? byReceiver : bySender;
  if (draft.questions > QUESTIONS) return;
  if (toInitiator) memory.copy(changetype<usize>(legOf(byReceiver, 0)), changetype<usize>(first), changetype<usize>(last) + 16 - changetype<usize>(first));
  if (known.sights && !pointed(draft, steps)) return;
  draft.generation = generation;
  draft.flags = flags;
  draft.side = side;
  draft.encapsulates = into ? 1 : 0;
  if (known.outers) memory.copy(changetype<usize>(tunnelBinding(draft)), boundOutside(tunnelAt), 32);
  if (balanced) {
    draft.destination = balanced.destination;
    draft.balanced = balancedAfter;
    if (!balancedAfter) return;
  }
  const responder = addressAt(first.a, !toInitiator);
  const key = precedentKey(b, portAt(first.ports, !toInitiator), side);
  let variant: u32 = 0;
  const general = findPrecedent(responder, 0, key);
  // One that knows of no new tunnel's connection makes room for one that does.
  if (serves(general, time) && (!fresh || general!.fresh)) {
    variant = variantOf(draft, first.a, last.a);
    const other = findPrecedent(responder, variant, key);
    if (serves(other, time) && ++other!.refused & (PATIENCE - 1)) return;
  }
  draft.known = known;
  draft.fresh = fresh;
  if (putPrecedent(responder, variant, key, draft)) {
    hold(known);
    if (fresh) hold(fresh);
  }
}

/** Are the stages that taps have seen points of its legs? */
function pointed(draft: Precedent, steps: u32): bool {
  let points: u32 = 0;
  for (let n: u32 = 1; n <= stagesFound(); n++) {
    let found: u32 = 0;
    for (let point: u32 = 1; point <= 2 * steps && !found; point++) {
      const leg = legOf(bySender, (point - 1) >>> 1);
      const next = legOf(bySender, ((point - 1) >>> 1) + 1);
      const mixed = (point & 1) != 0;
      if (stagedAs(n, pointBetween(leg.a, next.a, mixed), portsBetween(leg.ports, next.ports, mixed))) found = point;
    }
    if (!found) return false;
    points |= found << ((n - 1) << 3);
  }
  draft.stages = points;
  return true;
}

/** Of one that does not suit a packet, one packet in so many is taken for a better one. */
const PATIENCE: u32 = 16;

/** Does its way still lead anywhere? */
function serves(precedent: Precedent | null, time: u64): bool {
  if (!precedent) return false;
  const track = precedent.known!;
  return track.links == linksGeneration && time < track.until;
}

/** Which other precedent may suit a packet that comes in with the addresses `first`, and leaves with `last`? */
function variantOf(precedent: Precedent, first: u64, last: u64): u32 {
  if (precedent.side == Side.RESPONDER) return addressAt(last, true);
  return precedent.balanced ? changetype<u32>(precedent.destination) : addressAt(first, false);
}

/** IPVS has found it behind so many connections. */
let balancedAfter: u32 = 0;
export function balances(): void { balancedAfter = trackedSoFar(); }
