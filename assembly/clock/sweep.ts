// Once a second of virtual time, between vectors: what is over goes, so that a full table is full of the living.
//
// Tables of many entries are gone through only when one may be over. What a packet does to an entry leaves it SHORTEST at least,
// so that who has gone through the table once knows for how long nobody's time runs out; those that end at once say so.

import { VXLAN_IPV6 } from "../devices/device";
import { sweepFlows, sweepFlows6 } from "../flowtable/flows";
import { balancedEnd, end } from "../flowtable/groups";
import { forgetOpenings6, sweepOpenings } from "../flowtable/openings";
import { forgetPrecedents6, sweepPrecedents } from "../flowtable/precedents";
import { socketAt, socketSlots } from "../stack/sockets";
import { beginCollection, collectionDue, finishCollection, markAddress } from "../tables/addresses6";
import { Connection, connectionGap, connectionIn, connectionSlots, connectionsLast, lastingConnections, overIpv6, removeConnection } from "../tables/connections";
import { Entry, fdbAt, fdbSlots } from "../tables/fdb";
import { Neighbour, family, neighbourAt, neighbourSlots } from "../tables/neighbours";
import { Path6, pathAt, pathSlots, sweepPaths } from "../tables/paths6";
import { oldestQueue } from "../tables/reassembly";
import { BalancedConnection, balancedGap, balancedIn, balancedLast, balancedSlots, lastingBalanced, removeBalanced } from "../tables/services";
import { anythingDead, bury } from "./removal";
import { now } from "./queue";

const SECOND: u64 = 1_000_000_000;
/** The shortest timeout of conntrack, and of IPVS: TCP's CLOSE, ns. IPVS's NONE, of two seconds, is nobody's once a packet is through. */
const SHORTEST: u64 = 10 * SECOND;
export let nextSweep: u64 = SECOND;

export function sweep(): void {
  nextSweep = now + SECOND;
  sweepFlows();
  sweepOpenings();
  sweepPrecedents();
  if (now >= connectionsLast || anythingDead()) sweepConnections();
  if (now >= balancedLast) sweepBalanced();
  if (anythingDead()) bury();
  sweepPaths(now);
  if (collectionDue()) collectAddresses();
}

function sweepConnections(): void {
  let soonest = now + SHORTEST;
  const slots = connectionSlots();
  const gap = connectionGap();
  for (let n: u32 = 1; n < slots; n++) {
    const connection = changetype<Connection | null>(connectionIn((gap - n) & (slots - 1)));
    if (!connection) continue;
    const over = end(connection, now);
    if (over <= now || connection.namespace.dead) removeConnection(connection);
    else soonest = min(soonest, over);
  }
  lastingConnections(soonest);
}

function sweepBalanced(): void {
  let soonest = now + SHORTEST;
  const slots = balancedSlots();
  const gap = balancedGap();
  for (let n: u32 = 1; n < slots; n++) {
    const connection = changetype<BalancedConnection | null>(balancedIn((gap - n) & (slots - 1)));
    if (!connection) continue;
    const over = balancedEnd(connection, now);
    if (over <= now) removeBalanced(connection);
    else soonest = min(soonest, over);
  }
  lastingBalanced(soonest);
}

/** IPv6 addresses that no table names any more are forgotten. */
function collectAddresses(): void {
  beginCollection();
  for (let i: u32 = 0; i < connectionSlots(); i++) {
    const at = connectionIn(i);
    if (!at) continue;
    const connection = changetype<Connection>(at);
    if (!overIpv6(connection.originalB)) continue;
    markPair(connection.originalA);
    markPair(connection.replyA);
  }
  for (let i: u32 = 0; i < socketSlots(); i++) {
    const socket = socketAt(i);
    if (socket && socket.v6) markPair(socket.a);
  }
  for (let i: u32 = 0; i < neighbourSlots(); i++) {
    const at = neighbourAt(i);
    if (at && family(changetype<Neighbour>(at))) markAddress(<u32>changetype<Neighbour>(at).keyA);
  }
  for (let i: u32 = 0; i < pathSlots(); i++) {
    const at = pathAt(i);
    if (at) markAddress(<u32>changetype<Path6>(at).keyA);
  }
  // What a tunnel has learned of its other ends.
  for (let i: u32 = 0; i < fdbSlots(); i++) {
    const at = fdbAt(i);
    if (!at) continue;
    const entry = changetype<Entry>(at);
    if (entry.port && entry.port!.flags & VXLAN_IPV6) markAddress(entry.remote);
  }
  let queue = oldestQueue();
  while (queue) {
    if (<i64>queue.keyB < 0) markPair(queue.keyA);
    queue = queue.later;
  }
  sweepFlows6();
  forgetOpenings6();
  forgetPrecedents6();
  finishCollection();
}

function markPair(a: u64): void {
  markAddress(<u32>a);
  markAddress(<u32>(a >>> 32));
}
