// The connections of a flow's way, each for itself: when no group stands for them (flowtable/groups), for a FIN, for a segment
// with options. Everything is asked before anything is changed.

import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import { SEEN_REPLY } from "../tables/connections";
import { ACCEPT, tcpPacket } from "../hooks/conntrack-tcp";
import { tcpFollow, tcpFollows } from "../hooks/tcp-flows";
import { plainOptions } from "../hooks/tcp-options";
import { udpFollow, udpFollows } from "../hooks/conntrack-udp";
import { advance, touch } from "../hooks/ipvs-states";
import { Flow, connectionOf, stampOf } from "./flows";
import { Track, stepOf } from "./track";
import { allApart, join } from "./groups";
import { isPast } from "./tunnels";

/** Moves all of them on by the packet whose upper layer is the `length` bytes at `l4`, and that came at `time`; or none. */
export function moveEach(flow: Flow, track: Track, protocol: u32, l4: usize, length: u32, time: u64): bool {
  const steps = <u32>track.connections;
  let sequence: u32 = 0;
  let acknowledgment: u32 = 0;
  let end: u32 = 0;
  let plain = true;
  let fin: u32 = 0;
  allApart(flow, track);
  if (protocol == ipv4.TCP) {
    plain = (tcp.flags(l4) & tcp.SYN) == 0 && plainOptions(l4);
    fin = tcp.flags(l4) & tcp.FIN;
    sequence = tcp.sequence(l4);
    acknowledgment = tcp.acknowledgment(l4);
    end = sequence + length - tcp.headerLength(l4) + fin;
  }
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(track, i);
    const connection = connectionOf(flow, i);
    const then = time + step.after;
    if (connection.stamp != stampOf(flow, i)) return false;
    if (isPast(connection, then)) return false;
    const seen: u32 = connection.status & SEEN_REPLY ? 1 : 0;
    if (protocol == ipv4.TCP && !step.outer) {
      // An answer is part of an established connection, the first one as well.
      if (!(seen | <u32>step.reply)) return false;
      if (plain) plain = tcpFollows(connection, step.reply, sequence, acknowledgment, end);
    } else {
      if (seen != <u32>step.seen) return false;
      if (!udpFollows(connection, then)) return false;
    }
  }
  if (track.balanced) {
    if (flow.balanced.stamp != flow.balancedStamp) return false;
    if (time + track.balancedAt >= flow.balanced.deadline) return false;
  }
  // More than an ACK or FIN that fits: conntrack itself is asked.
  if (!plain) {
    if (!tcpMoves(flow, track, l4, length, time)) return false;
  }

  // From here on it goes.
  for (let i: u32 = 0; i < steps; i++) {
    const step = stepOf(track, i);
    const connection = connectionOf(flow, i);
    if (protocol != ipv4.TCP || step.outer) udpFollow(connection, time + step.after);
    else if (!plain) connection.status |= <u16>(step.reply ? SEEN_REPLY : 0);
    else tcpFollow(connection, step.reply, fin, sequence, acknowledgment, end, tcp.window(l4), time + step.after);
  }
  if (track.balanced) {
    advance(flow.balanced, protocol, track.balanced - 1, l4, time + track.balancedAt);
    if (protocol == ipv4.TCP) touch(flow.balanced);
  }
  if (plain && !fin) join(flow, track, protocol, time);
  return true;
}

/** As they were, while the connections of a way are moved on one after the other. */
const kept: usize = memory.data(512);

/** Moves the way's TCP connections on, all or none. */
function tcpMoves(flow: Flow, track: Track, l4: usize, length: u32, time: u64): bool {
  for (let i: u32 = 0; i < <u32>track.connections; i++) {
    const step = stepOf(track, i);
    if (step.outer) continue;
    const connection = connectionOf(flow, i);
    keep(kept + (<usize>i << 7), changetype<usize>(connection));
    if (tcpPacket(connection, step.reply, l4, length, time + step.after) == ACCEPT) continue;
    for (let j: u32 = 0; j <= i; j++) {
      if (!stepOf(track, j).outer) keep(changetype<usize>(connectionOf(flow, j)), kept + (<usize>j << 7));
    }
    return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function keep(to: usize, from: usize): void {
  for (let i: usize = 0; i < 128; i += 16) v128.store(to + i, v128.load(from + i));
}
