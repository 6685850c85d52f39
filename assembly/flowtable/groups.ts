// Groups: what an established connection's packets move alike, as one. Conntrack's entries in one namespace or two stand in the
// same place of the same windows in almost all of TCP's packets, datagrams only keep theirs from timing out, and both keep
// IPVS's connection so. While a group stands, a TCP packet moves the lead's windows alone, and leaves in its flow when it came;
// deadlines, and all that the others lack, are settled when somebody reads one of them (as counters are).
//
// A flow knows its lead, so that a packet asks the two of them only; the lead knows its flows, one for each direction.
//
// Whoever finds one of the members (by its tuple, for a dump, to take it away) takes the group apart first: then each
// stands for itself, as if it had been moved by each packet. The next packet of its flows brings them together again.

import * as ipv4 from "../wire/ipv4";
import { Connection, SEEN_REPLY, protocolOf } from "../tables/connections";
import { watching } from "../tables/events";
import { BalancedConnection } from "../tables/services";
import { tcpCopy, tcpIdle, tcpOpen, tcpTwins } from "../hooks/tcp-flows";
import { udpIdle, udpSteady, udpTwins } from "../hooks/conntrack-udp";
import { steady, steadyTimeout } from "../hooks/ipvs-states";
import { Flow, connectionOf, stampOf, stand } from "./flows";
import { isPast, mayWait, tie, untie, waitsFor, waits } from "./tunnels";
import { Track, stepOf } from "./track";

const SECOND: u64 = 1_000_000_000;
/** No member times out within this after a packet, however long (LONGEST) its way was: TCP's shortest timeout is 300 s, UDP's 30 s. */
// @ts-ignore: decorator
@inline
function quiet(protocol: u32): u64 { return protocol == ipv4.UDP ? 24 * SECOND : 290 * SECOND; }
const LONGEST: u64 = 5 * SECOND;

/** The lead of a flow that moves no group. */
export const nobody = changetype<Connection>(memory.data(128));
/** So far ahead that the time since is too long for `isQuiet` (it wraps). */
export const NEVER: u64 = 1 << 63;

/** Has one of the flow's packets come so short ago that nothing that it moves can have run out? A tunnel's entry is UDP's. */
// @ts-ignore: decorator
@inline
export function isQuiet(flow: Flow, time: u64): bool { return time - flow.last < quiet(ipv4.UDP); }

/** The flow that moves the lead's group in that direction, or 0. */
// @ts-ignore: decorator
@inline
function moverOf(lead: Connection, reply: u32): usize {
  return load<usize>(changetype<usize>(lead) + (<usize>reply << 2), offsetof<Connection>("mover0"));
}

/** The flow moves the lead's group from now on. */
function move(flow: Flow, lead: Connection, reply: u32): void {
  store<usize>(changetype<usize>(lead) + (<usize>reply << 2), changetype<usize>(flow), offsetof<Connection>("mover0"));
  flow.lead = lead;
}

/** The lead of its group, or 0. */
// @ts-ignore: decorator
@inline
function leadOf(member: Connection): usize {
  const mover = member.mover0;
  if (mover & 1) return mover - 1;
  if (waits(member)) return 0;
  return mover | member.mover1 ? changetype<usize>(member) : 0;
}

/** When the last packet of its group came. */
function latest(lead: Connection): u64 {
  if (protocolOf(lead.originalB) != ipv4.UDP) return changetype<Flow>(moverOf(lead, lead.lastDirection)).last;
  const one = lastOf(lead, 0);
  const other = lastOf(lead, 1);
  return one == NEVER ? other : other == NEVER ? one : max(one, other);
}
// @ts-ignore: decorator
@inline
function lastOf(lead: Connection, reply: u32): u64 {
  const mover = moverOf(lead, reply);
  return mover ? changetype<Flow>(mover).last : NEVER;
}

/** The group that all of the flow's connections are in, and nobody else, and that only a flow of the other direction has moved. */
export function adopt(flow: Flow, track: Track, protocol: u32): bool {
  if (!movesAsOne(track)) return false;
  const reply = <u32>track.reply;
  let lead: usize = 0;
  let first: usize = 0;
  let members: u32 = 0;
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const one = connectionOf(flow, i);
    if (one.stamp != stampOf(flow, i) || step.reply != reply) return false;
    if (protocol == ipv4.UDP && !step.seen != !(one.status & SEEN_REPLY)) return false;
    const its = leadOf(one);
    if (!its || changetype<usize>(one) == first) return false;
    if (members++ == 0) {
      lead = its;
      first = changetype<usize>(one);
    } else if (its != lead) return false;
  }
  if (!members) return false;
  const group = changetype<Connection>(lead);
  const other = moverOf(group, reply ^ 1);
  if (!other || moverOf(group, reply)) return false;
  const theirs = changetype<Flow>(other).track;
  if (<u32>theirs.connections - <u32>theirs.outers != members || !theirs.balanced != !track.balanced) return false;
  if (track.balanced && (flow.balanced.stamp != flow.balancedStamp || flow.balanced.lead != group)) return false;
  move(flow, group, reply);
  tie(flow);
  return true;
}

/** May a packet that comes at `time` move the lead alone, although the flow's last one was long ago, or none was? Nothing that can be seen changes. */
export function resumes(flow: Flow, track: Track, protocol: u32, time: u64): bool {
  if (!mayWait(flow, track, time)) return false;
  if (flow.lead == nobody && !adopt(flow, track, protocol)) return false;
  return time - latest(flow.lead) < quiet(protocol);
}

/** Has this way what a group's packets are checked for, and no more? */
// @ts-ignore: decorator
@inline
function movesAsOne(track: Track): bool { return track.elapsed < LONGEST && track.outers < 2; }

/** A packet that came at `time` has moved each of the flow's connections, which are in no group: do they stand where one can stand for all? */
export function join(flow: Flow, track: Track, protocol: u32, time: u64): void {
  if (!movesAsOne(track)) return;
  const reply = <u32>track.reply;
  let lead: usize = 0;
  let other: usize = 0;
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const one = changetype<usize>(connectionOf(flow, i));
    if (other || step.reply != reply || one == lead) return;
    if (!lead) lead = one;
    else other = one;
  }
  if (!lead) return;
  const first = changetype<Connection>(lead);
  const second = changetype<Connection>(other);
  if (protocol == ipv4.UDP ? !udpSteady(first, time) : !tcpOpen(first)) return;
  // A tunnel's entry is moved by what is inside of it, too, which asks no group.
  if (waits(first) || (other && waits(second)) || !mayWait(flow, track, time)) return;
  if (other && (protocol == ipv4.UDP ? !udpTwins(first, second, time) : !tcpTwins(first, second))) return;
  if (track.balanced && !steady(flow.balanced, protocol)) return;
  move(flow, first, reply);
  tie(flow);
  flow.last = time;
  if (other) second.mover0 = lead + 1;
  if (track.balanced) flow.balanced.lead = first;
}

/** Takes the group that this one is in apart, if it is in one; or all those that it waits for. */
// @ts-ignore: decorator
@inline
export function apart(connection: Connection): void {
  if (connection.mover0 | connection.mover1) part(connection);
}
function part(connection: Connection): void {
  if (!waits(connection)) return settle(changetype<Connection>(leadOf(connection)));
  for (let flow = waitsFor(connection); flow; flow = waitsFor(connection)) disband(flow);
}
/** The same, but that it may go on to wait. */
export function ungroup(connection: Connection): void {
  if (!waits(connection)) apart(connection);
}
/** Found by a packet of that direction, which waits for nobody: a packet like those of its flows moves a tunnel's entry on as they do. */
// @ts-ignore: decorator
@inline
export function met(connection: Connection, reply: u32): void {
  if (connection.mover0 | connection.mover1) {
    if (reply || watching || !waits(connection)) part(connection);
  }
}
// @ts-ignore: decorator
@inline
export function balancedApart(connection: BalancedConnection): void {
  const lead = connection.lead;
  if (lead) settle(lead);
}

/** The groups that the flow's connections are in; a tunnel's entry may go on to wait for others. */
export function allApart(flow: Flow, track: Track): void {
  disband(flow);
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    if (connectionOf(flow, i).stamp != stampOf(flow, i)) continue;
    if (stepOf(track, i).outer) ungroup(connectionOf(flow, i));
    else apart(connectionOf(flow, i));
  }
  if (track.balanced && flow.balanced.stamp == flow.balancedStamp) balancedApart(flow.balanced);
}

/** The flow goes, or gets another way. */
export function disband(flow: Flow): void {
  if (flow.lead != nobody) settle(flow.lead);
  else if (flow.last != NEVER) leave(flow);
}

/** Everybody gets what the packets since have done; the group is no more. */
function settle(lead: Connection): void {
  const one = changetype<Flow | null>(lead.mover0);
  const other = changetype<Flow | null>(lead.mover1);
  if (protocolOf(lead.originalB) == ipv4.UDP) {
    const idle = udpIdle(lead);
    if (one) udpPasses(one, idle);
    if (other) udpPasses(other, idle);
  } else tcpPasses(lead, changetype<Flow>(moverOf(lead, lead.lastDirection)));
  dissolve(one ? one : other!);
  if (one) leave(one);
  if (other) leave(other);
}

/** The others of TCP's group get what the lead has followed, up to its last packet, which was the flow's. */
function tcpPasses(lead: Connection, flow: Flow): void {
  const track = flow.track;
  const idle = tcpIdle(lead);
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const one = connectionOf(flow, i);
    if (one != lead) tcpCopy(lead, one);
    one.deadline = flow.last + step.after + idle;
  }
  if (track.balanced) flow.balanced.deadline = flow.last + track.balancedAt + steadyTimeout(ipv4.TCP);
}

/** What datagrams of the flow have done. */
function udpPasses(flow: Flow, idle: u64): void {
  if (flow.last == NEVER) return;
  const track = flow.track;
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const one = connectionOf(flow, i);
    one.deadline = max(one.deadline, flow.last + step.after + idle);
  }
  if (track.balanced) flow.balanced.deadline = max(flow.balanced.deadline, flow.last + track.balancedAt + steadyTimeout(ipv4.UDP));
}

/** The members of the group that the flow moves are in none any more. */
function dissolve(flow: Flow): void {
  const track = flow.track;
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    if (stepOf(track, i).outer) continue;
    connectionOf(flow, i).mover0 = 0;
    connectionOf(flow, i).mover1 = 0;
  }
  if (track.balanced) flow.balanced.lead = null;
}

/** The flow moves nothing any more. */
function leave(flow: Flow): void {
  untie(flow);
  stand(flow);
}

/** When it runs out at the soonest; up to `time`: it has run out. A group far from any timeout stays as it is. */
export function end(connection: Connection, time: u64): u64 {
  const lead = leadOf(connection);
  const lasting = lead ? lasts(changetype<Connection>(lead), time) : 0;
  if (lasting) return lasting;
  // Who waits for others hears from them.
  isPast(connection, time);
  return connection.deadline;
}
export function balancedEnd(connection: BalancedConnection, time: u64): u64 {
  const lead = connection.lead;
  const lasting = lead ? lasts(lead, time) : 0;
  return lasting ? lasting : connection.deadline;
}

/** Until when the lead's group stands, and no member's time runs out. One that has been quiet for long is taken apart: 0. */
function lasts(lead: Connection, time: u64): u64 {
  const until = latest(lead) + quiet(protocolOf(lead.originalB));
  if (time < until) return until;
  settle(lead);
  return 0;
}
