// Tunnels' entries of conntrack: each is met by all flows that go through its port, and their packets only put off its end. So no packet
// looks at it: the entry waits for its flows, which it knows. It hears from each when that one's last packet came, as soon as the flow's
// group is settled (flowtable/groups), or as the entry would else be over. Until then its deadline is the least that it may be.
//
// It waits for flows that have a `last` packet (one that has none yet tells it nothing), and only while datagrams leave all of it but its time as it is: one that is
// answered for the first time, or taken away, waits for nobody any more.

import { Connection, SEEN_REPLY } from "../tables/connections";
import { udpFollow, udpFollows, udpIdle, udpSteady } from "../hooks/conntrack-udp";
import { Flow } from "./flows";
import { NEVER, ungroup } from "./groups";
import { Track } from "./track";

/**
 * May the tunnel's entry, if there is one, wait for the flow, whose `last` packet came at `time`: is it as the way has it, alive, and will
 * datagrams from then on leave it as it is but for its time? Of a packet before, that came later, it hears first.
 */
export function mayWait(flow: Flow, track: Track, time: u64): bool {
  const outer = flow.outer;
  if (!outer) return true;
  if (time < flow.last) hear(outer, flow);
  const then = time + track.outerAfter;
  return outer.stamp == flow.outerStamp && isSeen(outer) == <u32>track.outerSeen && !isPast(outer, then) && udpSteady(outer, then);
}
// @ts-ignore: decorator
@inline
function isSeen(connection: Connection): u32 { return connection.status & SEEN_REPLY ? 1 : 0; }

/** Of a way that meets no other: moves the tunnel's entry on, if there is one and it stays as it is. */
export function movesTunnel(flow: Flow, track: Track, time: u64): bool {
  if (mayWait(flow, track, time)) {
    if (flow.last == NEVER) tie(flow);
    flow.last = time;
    return true;
  }
  const outer = flow.outer!;
  const then = time + track.outerAfter;
  if (outer.stamp != flow.outerStamp || isSeen(outer) != <u32>track.outerSeen || isPast(outer, then) || !udpFollows(outer, then)) return false;
  ungroup(outer);
  udpFollow(outer, then);
  return true;
}

/** The flow's tunnel's entry waits for it from now on. */
export function tie(flow: Flow): void {
  const outer = flow.outer;
  if (!outer) return;
  ungroup(outer);
  const next = waitsFor(outer);
  flow.next = next;
  flow.previous = null;
  if (next) next.previous = flow;
  outer.mover0 = changetype<usize>(flow) | WAITS;
}
/** No longer: it hears when the flow's last packet came. */
export function untie(flow: Flow): void {
  const outer = flow.outer;
  if (!outer) return;
  hear(outer, flow);
  const next = flow.next;
  const previous = flow.previous;
  if (next) next.previous = previous;
  if (previous) previous.next = next;
  else outer.mover0 = next ? changetype<usize>(next) | WAITS : 0;
}
/** In the first `mover` of a tunnel's entry: it is the first of those that it waits for. */
const WAITS: usize = 2;
// @ts-ignore: decorator
@inline
export function waits(connection: Connection): bool { return (connection.mover0 & WAITS) != 0; }
/** The first of those that it waits for, if it waits. */
export function waitsFor(connection: Connection): Flow | null { return changetype<Flow | null>(connection.mover0 & ~WAITS); }

// @ts-ignore: decorator
@inline
function hear(tunnel: Connection, flow: Flow): void {
  if (flow.last != NEVER) tunnel.deadline = max(tunnel.deadline, flow.last + flow.track.outerAfter + udpIdle(tunnel));
}

/** Is its time over at `time`, whatever it waits for? */
// @ts-ignore: decorator
@inline
export function isPast(connection: Connection, time: u64): bool { return time >= connection.deadline && (!waits(connection) || isPastAll(connection, time)); }
function isPastAll(tunnel: Connection, time: u64): bool {
  let flow = waitsFor(tunnel);
  while (flow) {
    hear(tunnel, flow);
    flow = flow.next;
  }
  return time >= tunnel.deadline;
}
