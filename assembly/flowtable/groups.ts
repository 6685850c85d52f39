// Groups: what a TCP connection's packets move alike, as one. Conntrack's entries in one namespace or two stand in the same
// place of the same windows in almost all packets, and IPVS's connection is only kept from timing out. While a group
// stands, a packet moves the lead alone, and leaves there when it came and which flow it was of; the lead's deadline, and
// all that the others lack, is settled when somebody reads one of them (as counters are).
//
// Whoever finds one of the members (by its tuple, for a dump, to take it away) takes the group apart first: then each
// stands for itself, as if it had been moved by each packet. The next packet of its flows brings them together again.

import { Connection } from "../tables/connections";
import { BalancedConnection } from "../tables/services";
import { tcpIdle, tcpOpen, tcpTwins, tcpCopy } from "../hooks/conntrack-tcp";
import { STEADY_TIMEOUT, steady } from "../hooks/ipvs";
import { Flow, connectionOf, stampOf } from "./flows";
import { Track, stepOf } from "./track";

const SECOND: u64 = 1_000_000_000;
/** No member times out within this after a packet, however long (LONGEST) its way was: the shortest of their timeouts is 300 s. */
export const QUIET: u64 = 290 * SECOND;
const LONGEST: u64 = 5 * SECOND;

/** Groups are never the same twice. The lowest two bits tell who is in: a second entry, IPVS's connection. */
let last: u32 = 0;
const PAIR: u32 = 1;
const BALANCED: u32 = 2;

/** The lead of a flow that has no group yet: its group is 0, the flow's is `NO_GROUP`, so they are never `together`. */
export const nobody = changetype<Connection>(memory.data(128));
export const NO_GROUP: u32 = 1;

/** Does the group that moves with the flow stand, and far from any timeout? */
// @ts-ignore: decorator
@inline
export function together(flow: Flow, time: u64): bool {
  return flow.group == flow.lead.group && time - flow.lead.deadline < QUIET;
}

/** The group that all of the flow's connections are in, and nobody else: found by the flow of the other direction. */
export function adopt(flow: Flow, track: Track): bool {
  let group: u32 = 0;
  let members: u32 = 0;
  let first: Connection | null = null;
  let lead: usize = 0;
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    if (stepOf(track, i).outer) continue;
    const one = connectionOf(flow, i);
    if (one.stamp != stampOf(flow, i) || !one.group) return false;
    if (members++ == 0) {
      group = one.group;
      first = one;
      lead = changetype<usize>(leadOf(one));
    } else if (one.group != group || one == first) return false;
  }
  let who: u32 = members == 2 ? PAIR : 0;
  if (track.balanced) {
    who |= BALANCED;
    if (flow.balanced.stamp != flow.balancedStamp || flow.balanced.group != group) return false;
  }
  if (!members || members > 2 || (group & 3) != who || !movesAsOne(track)) return false;
  flow.group = group;
  flow.lead = changetype<Connection>(lead);
  return true;
}

/** Has this way what a group's packets are checked for, and no more? */
// @ts-ignore: decorator
@inline
function movesAsOne(track: Track): bool { return track.elapsed < LONGEST && track.outers < 2; }

/** A packet that came at `time` has moved each of the flow's connections: do they stand where one can stand for all? */
export function join(flow: Flow, track: Track, time: u64): void {
  if (!movesAsOne(track)) return;
  let lead: usize = 0;
  let other: usize = 0;
  let reply: u32 = 0;
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    if (other) return;
    const one = changetype<usize>(connectionOf(flow, i));
    if (!lead) {
      lead = one;
      reply = step.reply;
    } else if (step.reply == reply && one != lead) other = one;
    else return;
  }
  if (!lead) return;
  const first = changetype<Connection>(lead);
  if (!tcpOpen(first)) return;
  let who: u32 = 0;
  if (other) {
    if (!tcpTwins(first, changetype<Connection>(other))) return;
    who = PAIR;
  }
  if (track.balanced) {
    if (!steady(flow.balanced)) return;
    who |= BALANCED;
  }
  last = max<u32>(last + 4, 4);
  const group = last | who;
  first.group = group;
  first.mover = changetype<usize>(flow);
  first.deadline = time;
  if (other) {
    changetype<Connection>(other).group = group;
    changetype<Connection>(other).mover = lead + 1;
  }
  if (track.balanced) {
    flow.balanced.group = group;
    flow.balanced.lead = first;
  }
  flow.group = group;
  flow.lead = first;
}

// @ts-ignore: decorator
@inline
function leadOf(member: Connection): Connection {
  return member.mover & 1 ? changetype<Connection>(member.mover - 1) : member;
}

/** Takes the group that this one is in apart, if it is in one. */
// @ts-ignore: decorator
@inline
export function apart(connection: Connection): void {
  if (connection.group) settle(leadOf(connection));
}
// @ts-ignore: decorator
@inline
export function balancedApart(connection: BalancedConnection): void {
  if (connection.group) settle(connection.lead);
}

/** The groups that the flow's connections are in. */
export function allApart(flow: Flow, track: Track): void {
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    if (connectionOf(flow, i).stamp == stampOf(flow, i)) apart(connectionOf(flow, i));
  }
  if (track.balanced && flow.balanced.stamp == flow.balancedStamp) balancedApart(flow.balanced);
}

/** The flow goes, or gets another way: the group that it moved last needs it no more. */
export function disband(flow: Flow): void {
  if (flow.group == flow.lead.group && flow.lead.mover == changetype<usize>(flow)) settle(flow.lead);
}

/** Everybody gets what the packets since have done. */
function settle(lead: Connection): void {
  const flow = changetype<Flow>(lead.mover);
  const track = flow.track;
  const time = lead.deadline;
  const idle = tcpIdle(lead);
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const one = connectionOf(flow, i);
    if (one != lead) tcpCopy(lead, one);
    one.deadline = time + step.after + idle;
    one.group = 0;
    one.mover = 0;
  }
  if (!track.balanced) return;
  flow.balanced.deadline = time + track.balancedAt + STEADY_TIMEOUT;
  flow.balanced.group = 0;
}

/** Has it run out at `time`? A group far from any timeout stays as it is. */
export function isOver(connection: Connection, time: u64): bool {
  if (connection.group) {
    const lead = leadOf(connection);
    if (time < lead.deadline + QUIET) return false;
    settle(lead);
  }
  return connection.deadline <= time;
}
export function isBalancedOver(connection: BalancedConnection, time: u64): bool {
  if (connection.group) {
    if (time < connection.lead.deadline + QUIET) return false;
    settle(connection.lead);
  }
  return connection.deadline <= time;
}
