// Groups: what an established connection's packets move alike, as one. Conntrack's entries in one namespace or two stand in the
// same place of the same windows in almost all of TCP's packets, datagrams only keep theirs from timing out, and both keep
// IPVS's connection so. While a group stands, a packet moves the lead alone, and leaves there when it came and in which direction;
// the lead's deadline, and all that the others lack, is settled when somebody reads one of them (as counters are).
//
// A flow knows its lead, so that a packet asks the two of them only; the lead knows its flows, one for each direction.
//
// Whoever finds one of the members (by its tuple, for a dump, to take it away) takes the group apart first: then each
// stands for itself, as if it had been moved by each packet. The next packet of its flows brings them together again.

import * as ipv4 from "../wire/ipv4";
import { Connection, SEEN_REPLY, isTunnels, protocolOf } from "../tables/connections";
import { BalancedConnection } from "../tables/services";
import { tcpCopy, tcpIdle, tcpOpen, tcpTwins } from "../hooks/tcp-flows";
import { udpIdle, udpSteady, udpTwins } from "../hooks/conntrack-udp";
import { steady, steadyTimeout } from "../hooks/ipvs-states";
import { Flow, connectionOf, stampOf } from "./flows";
import { Track, stepOf } from "./track";

const SECOND: u64 = 1_000_000_000;
/** No member times out within this after a packet, however long (LONGEST) its way was: TCP's shortest timeout is 300 s, UDP's 30 s. */
// @ts-ignore: decorator
@inline
export function quiet(protocol: u32): u64 { return protocol == ipv4.UDP ? 24 * SECOND : 290 * SECOND; }
const LONGEST: u64 = 5 * SECOND;

/** The lead of a flow that moves no group: its last packet is so far ahead that the time since is too long for `together` (it wraps). */
export const nobody = changetype<Connection>(memory.data(128));
nobody.deadline = <u64>1 << 63;

/** Does the flow move a group, far from any timeout? */
// @ts-ignore: decorator
@inline
export function together(flow: Flow, protocol: u32, time: u64): bool { return time - flow.lead.deadline < quiet(protocol); }

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
  return mover | member.mover1 ? changetype<usize>(member) : 0;
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
  return true;
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
  if (protocol == ipv4.UDP && (isTunnels(first) || (other && isTunnels(second)))) return;
  if (other && (protocol == ipv4.UDP ? !udpTwins(first, second, time) : !tcpTwins(first, second))) return;
  if (track.balanced && !steady(flow.balanced, protocol)) return;
  move(flow, first, reply);
  first.deadline = time;
  first.lastDirection = <u8>reply;
  if (other) second.mover0 = lead + 1;
  if (track.balanced) flow.balanced.lead = first;
}

/** Takes the group that this one is in apart, if it is in one. */
// @ts-ignore: decorator
@inline
export function apart(connection: Connection): void {
  if (connection.mover0 | connection.mover1) settle(changetype<Connection>(leadOf(connection)));
}
// @ts-ignore: decorator
@inline
export function balancedApart(connection: BalancedConnection): void {
  const lead = connection.lead;
  if (lead) settle(lead);
}

/** The groups that the flow's connections are in. */
export function allApart(flow: Flow, track: Track): void {
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    if (connectionOf(flow, i).stamp == stampOf(flow, i)) apart(connectionOf(flow, i));
  }
  if (track.balanced && flow.balanced.stamp == flow.balancedStamp) balancedApart(flow.balanced);
}

/** The flow goes, or gets another way. */
export function disband(flow: Flow): void { if (flow.lead != nobody) settle(flow.lead); }

/** Everybody gets what the packets since have done; the group is no more. */
function settle(lead: Connection): void {
  const flow = changetype<Flow>(moverOf(lead, lead.lastDirection));
  const track = flow.track;
  const udp = protocolOf(lead.originalB) == ipv4.UDP;
  const time = lead.deadline;
  const idle = udp ? udpIdle(lead) : tcpIdle(lead);
  if (udp) lead.lastDirection = 0;
  leave(lead.mover0);
  leave(lead.mover1);
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const one = connectionOf(flow, i);
    if (one != lead && !udp) tcpCopy(lead, one);
    one.deadline = time + step.after + idle;
    one.mover0 = 0;
    one.mover1 = 0;
  }
  if (!track.balanced) return;
  flow.balanced.deadline = time + track.balancedAt + steadyTimeout(udp ? ipv4.UDP : ipv4.TCP);
  flow.balanced.lead = null;
}

// @ts-ignore: decorator
@inline
function leave(mover: usize): void { if (mover) changetype<Flow>(mover).lead = nobody; }

/** Has it run out at `time`? A group far from any timeout stays as it is. */
export function isOver(connection: Connection, time: u64): bool {
  const lead = leadOf(connection);
  return !(lead && lasts(changetype<Connection>(lead), time)) && connection.deadline <= time;
}
export function isBalancedOver(connection: BalancedConnection, time: u64): bool {
  const lead = connection.lead;
  return !(lead && lasts(lead, time)) && connection.deadline <= time;
}

/** Does the lead's group stand, and no member's time run out soon? One that has been quiet for long is taken apart. */
function lasts(lead: Connection, time: u64): bool {
  if (time < lead.deadline + quiet(protocolOf(lead.originalB))) return true;
  settle(lead);
  return false;
}
