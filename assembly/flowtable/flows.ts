// Flows: one direction of an established connection, known by what arrives at a device (struct flow_offload_tuple). It
// holds what differs from flow to flow; the rest is its track's.
//
// Key: a = addresses, b = ports | protocol << 32 | opened << 38 | encapsulated << 39 | device << 40 of the innermost packet, as
// it comes in; opened: its tunnel's packet has come out of ESP. Over IPv6 bit 63 of b is set, and addresses are numbers
// (tables/addresses6), here and below. ESP packets have keys of their own (esp.ts), told by their protocol. A flow lives for
// as long as the connections that it crosses; swept when they are gone.

import { ensureCells, giveCell, takeCellNear } from "../cells";
import { Index } from "../tables/hash";
import { Of, generation } from "../tables/generation";
import { Connection, goneConnections, overIpv6 } from "../tables/connections";
import { isPairMarked } from "../tables/addresses6";
import { BalancedConnection, goneBalanced } from "../tables/services";
import { Track, ensureTracks, release, stepOf } from "./track";
import { ensureStages, giveStages, stagesMarked } from "./sights";
import { NEVER, disband, nobody } from "./groups";

@unmanaged
export class Flow {
  keyA: u64;
  keyB: u64;
  /** When its last packet came, while what it moves waits to be told so (flowtable/groups); else NEVER. */
  last: u64;
  /** The rules, routes, services and devices are as they were when its way was recorded. */
  generation: u32;
  track: Track;
  /** Of the group that it moves (flowtable/groups), or `nobody`. */
  lead: Connection;
  /** The sending socket's hash, if it has one. */
  hash: u32;
  /** Addresses and ports as they go out. */
  newA: u64;
  newPorts: u32;
  /** What the checksums of IP and of TCP or UDP change by; 0: they stay. */
  ipDelta: u16;
  l4Delta: u16;
  /** The complement of the addresses that go out, summed: the outer checksum is made of it. */
  innerSum: u16;
  /** The frame's, as it comes in. */
  flags: u16;
  /** Outer source ports: what comes in, what goes out. */
  inPort: u16;
  outPort: u16;
  /** From here on: what an established packet rarely needs. */
  balanced: BalancedConnection;
  balancedStamp: u32;
  /** Where a conntrack entry, which may have had its cell before, has its stamp: 0, so that nobody takes it for that entry. */
  noStamp: u32;
  connection0: Connection; connection1: Connection; connection2: Connection; connection3: Connection;
  stamp0: u32; stamp1: u32; stamp2: u32; stamp3: u32;
  /** What taps on the way see of it (flowtable/sights), or 0. */
  stages: usize;
  /** The tunnel's connection, if the way has one; and the flows before and behind it among those that this one waits for. */
  outer: Connection | null;
  outerStamp: u32;
  next: Flow | null;
  previous: Flow | null;
}
export const FLOW: usize = 128;
export const OVER_IPV6: u64 = 1 << 63;
/** Of an ESP packet: it has just been sealed. */
export const SEALED: u64 = 1 << 39;

const index = new Index(1024, Of.TRAFFIC);

// @ts-ignore: decorator
@inline
export function findFlow(a: u64, b: u64): Flow | null { return changetype<Flow | null>(index.find(a, b)); }

// @ts-ignore: decorator
@inline
export function flowSlot(hash: u64): usize { return index.slotOfHash(hash); }

// @ts-ignore: decorator
@inline
export function connectionOf(flow: Flow, i: u32): Connection {
  return changetype<Connection>(load<usize>(changetype<usize>(flow) + (<usize>i << 2), offsetof<Flow>("connection0")));
}
// @ts-ignore: decorator
@inline
export function stampOf(flow: Flow, i: u32): u32 {
  return load<u32>(changetype<usize>(flow) + (<usize>i << 2), offsetof<Flow>("stamp0"));
}
export function setConnection(flow: Flow, i: u32, connection: Connection): void {
  store<usize>(changetype<usize>(flow) + (<usize>i << 2), changetype<usize>(connection), offsetof<Flow>("connection0"));
  store<u32>(changetype<usize>(flow) + (<usize>i << 2), connection.stamp, offsetof<Flow>("stamp0"));
}

/** The place of its first connection inside the tunnel, if there is one. */
function insideOf(track: Track): u32 { return track.connections > 1 && stepOf(track, 0).outer ? 1 : 0; }

/** The flow of that key, made or emptied for a new way; null when there is no room. */
export function obtainFlow(a: u64, b: u64, track: Track, connections: usize): Flow | null {
  const found = index.find(a, b);
  if (found) {
    const flow = changetype<Flow>(found);
    disband(flow);
    release(flow.track);
    giveStages(flow);
    memory.fill(found + 16, 0, FLOW - 16);
    stand(flow);
    return flow;
  }
  const at = takeCellNear(load<usize>(connections + (<usize>insideOf(track) << 2)));
  if (!at) return null;
  const flow = changetype<Flow>(at);
  flow.keyA = a;
  flow.keyB = b;
  if (!index.insert(at)) {
    giveCell(at);
    return null;
  }
  stand(flow);
  return flow;
}

/** It moves nothing yet. */
export function stand(flow: Flow): void {
  flow.lead = nobody;
  flow.last = NEVER;
}

export function ensureFlows(): void {
  ensureCells(1536);
  index.ensure(512);
  ensureTracks();
  ensureStages();
}

/** Flows of tables as they were, or of connections that are gone, go. */
export function sweepFlows(): void {
  if (sweptAt == generation && sweptConnections == goneConnections && sweptBalanced == goneBalanced) return;
  sweptAt = generation;
  sweptConnections = goneConnections;
  sweptBalanced = goneBalanced;
  for (let i: u32 = 0; i < index.capacity; i++) {
    let at = index.keyAt(i);
    while (at && !lives(changetype<Flow>(at))) {
      forgetFlow(changetype<Flow>(at));
      at = index.keyAt(i);
    }
  }
}

/** What there was when they were swept. */
let sweptAt: u32 = 0;
let sweptConnections: u32 = 0;
let sweptBalanced: u32 = 0;

function forgetFlow(flow: Flow): void {
  const at = changetype<usize>(flow);
  disband(flow);
  release(flow.track);
  giveStages(flow);
  flow.generation = 0;
  index.remove(at);
  giveCell(at);
}

/** Flows over IPv6 that name an address which nobody else names go: it is about to be forgotten. */
export function sweepFlows6(): void {
  for (let i: u32 = 0; i < index.capacity; i++) {
    let at = index.keyAt(i);
    while (at && overIpv6(changetype<Flow>(at).keyB) && !areMarked(changetype<Flow>(at))) {
      forgetFlow(changetype<Flow>(at));
      at = index.keyAt(i);
    }
  }
}

function areMarked(flow: Flow): bool {
  return isPairMarked(flow.keyA) && isPairMarked(flow.newA) && stagesMarked(flow);
}

function lives(flow: Flow): bool {
  if (flow.generation != generation) return false;
  for (let i: u32 = 0; i < <u32>flow.track.connections; i++) if (connectionOf(flow, i).stamp != stampOf(flow, i)) return false;
  return !flow.track.balanced || flow.balanced.stamp == flow.balancedStamp;
}

export function flows(): u32 { return index.count; }
