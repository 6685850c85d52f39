// Recording an opening: a packet that makes its connections is recorded as others are (flowtable/recorder), and what is
// decided on its way for its connection's whole life is written down as well, by those who decide it.
//
// What another sender's packet would have met otherwise is either a condition (rules that ask for its address, the check
// that it is no own address), or says `differs`: then there is no opening.

import { arena } from "../memory";
import { Frame } from "../frame";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import { CONFIRMED, Connection, DST_NAT, SEEN_REPLY, SRC_NAT, destinationOf, invertA, invertB } from "../tables/connections";
import { RouteType } from "../tables/routes";
import { BalancedConnection } from "../tables/services";
import { Rule, SOURCE, SOURCE_TYPE, SPORT } from "../tables/rules";
import { CONDITIONS, Decided, Decision, Opening, OPENING, PLACES, bindingOf, conditionOf, decisionOf, isOwn, isWithin, openingKey, placeOf, pointA, pointPorts, putOpening } from "./openings";
import { COUNTERS, Track, counterOf, encapsulates, intern, release, stepOf } from "./track";
import { stagedAs, stagesFound } from "./sights";
import { forgo, isOutside, isRecording, trackedLast, trackedSoFar } from "./recorder";

/** What is known of the packet in hand. */
enum Opens { NEVER, PERHAPS, YES }
let opens: Opens = Opens.NEVER;
let isSyn: bool = false;
/** Its connections cannot be opened by another's example. */
let special: bool = false;
/** NAT has decided something for one of them; is it in hand for the tunnel's connection? */
let binding: bool = false;
let decidedAny: bool = false;
/** IPVS has to choose: this packet is the first that it sees of its connection. */
let scheduling: bool = false;
/** Connections of tunnels on the way, and whether the one was new. */
let tunnels: u32 = 0;
let tunnelNew: bool = false;
let sender: u32 = 0;
let v6: bool = false;
const draft = changetype<Opening>(arena(OPENING));
/** Counters that count only where the tunnel's connection is new: a byte each. */
const conditional: usize = memory.data(<i32>COUNTERS);

/** A packet of `source` has come in; `may`: it is one that may open a connection; `syn`: and nothing else. */
export function beginOpening(may: bool, syn: bool, source: u32, overIpv6: bool): void {
  opens = may ? Opens.PERHAPS : Opens.NEVER;
  isSyn = syn;
  special = false;
  binding = false;
  decidedAny = false;
  scheduling = false;
  tunnels = 0;
  tunnelNew = false;
  sender = source;
  v6 = overIpv6;
  memory.fill(changetype<usize>(draft), 0, OPENING);
  memory.fill(conditional, 0, COUNTERS);
}

/** What it meets depends on more than where it goes. */
export function differs(frame: Frame): void { if (isRecording(frame)) special = true; }

/** Its `n`th connection, which is the tunnel's when `outer`. */
export function meets(connection: Connection, n: u32, reply: u32, outer: bool): void {
  const fresh = !(connection.status & CONFIRMED);
  if (reply && opens != Opens.NEVER) special = true;
  bindingOf(draft, n).namespace = connection.namespace;
  if (outer) {
    tunnels++;
    tunnelNew = fresh;
    // Another sender's packets go by another of the tunnel's connections, which nothing may have come back by.
    if (connection.status & SEEN_REPLY) special = true;
    return;
  }
  if (opens == Opens.NEVER) return;
  if (fresh) opens = Opens.YES;
  else if (opens == Opens.PERHAPS && !decidedAny && !isSyn) opens = Opens.NEVER;
  else forgo();
}

/** NAT is about to decide for the connection that was met last. */
export function decides(frame: Frame, source: bool): void {
  if (!isRecording(frame)) return;
  const connection = frame.connection!;
  // Of an established connection's packet only the tunnel's may be new.
  if ((opens == Opens.NEVER && !isOutside()) || connection != trackedLast() || connection.status & CONFIRMED) return forgo();
  decidedAny = true;
  binding = isOutside();
  decide(source, Decided.AS_IT_IS);
}

/** Of the connection that was met last. */
function decide(source: bool, how: Decided): Decision {
  const one = bindingOf(draft, trackedSoFar() - 1);
  if (source) one.source = <u8>how;
  else one.destination = <u8>how;
  return decisionOf(one, source);
}
export function chosen(frame: Frame, source: bool, rule: u32, address: u32, portMin: u32, portMax: u32): void {
  if (!isRecording(frame)) return;
  // Of another sender's packet one could tell what comes out as it came in here.
  if (binding || (source && (address == sender || portMin != 0))) special = true;
  const decision = decide(source, Decided.BY_RULE);
  decision.rule = rule;
  decision.address = address;
  decision.portMin = <u16>portMin;
  decision.portMax = <u16>portMax;
}
export function decided(): void { binding = false; }

/** The `n`th counter was moved. */
// @ts-ignore: decorator
@inline
export function countedOpening(n: u32): void { if (binding) store<u8>(conditional + n, 1); }

/** IPVS knows no connection of it. */
export function schedules(frame: Frame): void {
  if (!isRecording(frame)) return;
  if (opens == Opens.NEVER) return forgo();
  scheduling = true;
}
/** Now it has one. */
export function scheduled(connection: BalancedConnection): void {
  if (opens == Opens.NEVER) return;
  const n = trackedSoFar();
  // Whose tuple it changes must be the connection that was met last, before its source is decided.
  if (!scheduling || opens != Opens.YES || !n || bindingOf(draft, n - 1).source) special = true;
  draft.destination = connection.destination;
  draft.balanced = n;
}

/** The rule asks for the packet's sender, `source`: its address, or whether that is an own one, is a condition; its port is too much. */
export function asksSender(frame: Frame, namespace: Namespace, source: u32, rule: Rule): void {
  if (opens == Opens.NEVER || !isRecording(frame)) return;
  const inside = !isOutside();
  const another = inside && source == sender;
  if (rule.match & SOURCE) {
    const holds = isWithin(source, rule.sourceMask, rule.source, inside && v6);
    if (another) addCondition(rule.sourceMask, rule.source, holds);
    if (holds == ((rule.invert & SOURCE) != 0)) return;
  }
  if (rule.match & SPORT) special = true;
  if (!(rule.match & SOURCE_TYPE) || !another) return;
  if (rule.sourceType == <u8>RouteType.LOCAL && !isOwn(namespace, source, v6)) addPlace(namespace);
  else special = true;
}

function addCondition(mask: u32, value: u32, holds: bool): void {
  const n = draft.conditions;
  if (n == CONDITIONS) {
    special = true;
    return;
  }
  draft.conditions++;
  const condition = conditionOf(draft, n);
  condition.mask = mask;
  condition.value = value;
  condition.holds = holds ? 1 : 0;
}

function addPlace(namespace: Namespace): void {
  const place = changetype<usize>(namespace);
  for (let i: u32 = 0; i < draft.places; i++) if (load<usize>(placeOf(draft, i)) == place) return;
  if (draft.places == PLACES) special = true;
  else store<usize>(placeOf(draft, draft.places++), place);
}

/** `namespace` makes sure that the sender is not itself. */
export function comesFrom(frame: Frame, namespace: Namespace): void {
  if (opens != Opens.NEVER && isRecording(frame) && !isOutside() && ipv4.source(frame.data) == sender) addPlace(namespace);
}

/** What is known of any packet's tunnel: how many connections, whether the one is new, and NAT's `Binding` of the `n`th. */
export function tunnelsMet(): u32 { return tunnels; }
export function tunnelIsNew(): bool { return tunnelNew; }
export function boundOutside(n: u32): usize { return changetype<usize>(bindingOf(draft, n)); }
export function isSpecial(): bool { return special; }

/** At its end: is it an opening's, a flow's, or neither's? */
export enum Kind { NONE, FLOW, OPENING }
export function kindOfWay(): Kind {
  if (opens == Opens.NEVER) return Kind.FLOW;
  if (opens == Opens.YES || isSyn) return special || tunnels > 1 ? Kind.NONE : Kind.OPENING;
  return decidedAny ? Kind.NONE : Kind.FLOW;
}

/** Do the tuples of its connections follow from each other, from the packet as it came in with (a, ports) to the one that leaves with `lastA`, `lastPorts`? */
export function follows(made: Track, connections: usize, firstA: u64, firstPorts: u32, lastA: u64, lastPorts: u32): bool {
  let a = firstA;
  let ports = firstPorts;
  for (let i: u32 = 0; i < <u32>made.connections; i++) {
    const connection = changetype<Connection>(load<usize>(connections + (<usize>i << 2)));
    if (stepOf(made, i).outer) {
      if (connection.status & (SRC_NAT | DST_NAT)) return false;
      continue;
    }
    if (connection.originalA != a || <u32>connection.originalB != ports) return false;
    a = invertA(connection.replyA);
    ports = <u32>invertB(connection.replyB);
  }
  return a == lastA && ports == lastPorts;
}

/** Are the stages that taps have seen points of its connections? */
export function pointed(made: Track, connections: usize): bool {
  let points: u32 = 0;
  for (let n: u32 = 1; n <= stagesFound(); n++) {
    let found: u32 = 0;
    for (let point: u32 = 1; point <= 2 * <u32>made.connections && !found; point++) {
      const i = (point - 1) >>> 1;
      if (stepOf(made, i).outer) continue;
      const connection = changetype<Connection>(load<usize>(connections + (<usize>i << 2)));
      if (stagedAs(n, pointA(connection, point), pointPorts(connection, point))) found = point;
    }
    if (!found) return false;
    points |= found << ((n - 1) << 3);
  }
  draft.stages = points;
  return true;
}

/** Keeps it for the next: `made` is its track, `a` and `b` are what its flow's key would be, as long as `generation` stands. */
export function keepOpening(made: Track, a: u64, b: u64, flags: u32, generation: u32): void {
  const destination = destinationOf(a);
  const key = (b & ~(<u64>0xffff));
  let known: Track | null = null;
  let fresh: Track | null = null;
  draft.encapsulates = encapsulates(made) ? 1 : 0;
  if (tunnels && draft.encapsulates && made.ingress) return;
  if (tunnelNew) {
    fresh = intern(made);
    if (!fresh) return;
    stamped(fresh, made);
    leaveOut(made);
  }
  known = intern(made);
  if (!known) {
    if (fresh) release(fresh);
    return;
  }
  stamped(known, made);
  draft.generation = generation;
  draft.idle = 0;
  draft.flags = flags;
  draft.known = known;
  draft.fresh = fresh;
  const chosen = draft.destination;
  if (!putOpening(openingKey(destination, chosen), key, draft)) {
    release(known);
    if (fresh) release(fresh);
    return;
  }
  if (!chosen) return;
  draft.service = chosen.service;
  draft.known = null;
  draft.fresh = null;
  putOpening(openingKey(destination, null), key, draft);
}

/** What it rests on, as it is now: a packet that came at `made.since` has just taken the slow way. */
export function stamped(track: Track, made: Track): void {
  track.links = made.links;
  track.until = made.until;
  track.since = made.since;
  track.touched = made.since;
}

/** The counters that a known tunnel's packets do not move. */
export function leaveOut(made: Track): void {
  let kept: u32 = 0;
  const count = <u32>made.counters;
  for (let i: u32 = 0; i < count; i++) {
    if (load<u8>(conditional + i)) continue;
    const to = counterOf(made, kept++);
    const from = counterOf(made, i);
    to.at = from.at;
    to.more = from.more;
  }
  for (let i = kept; i < count; i++) {
    counterOf(made, i).at = 0;
    counterOf(made, i).more = 0;
  }
  made.counters = <u8>kept;
}
