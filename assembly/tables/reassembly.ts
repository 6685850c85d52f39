// Reassembly queues: the fragments of one datagram until all are there (net/ipv4/inet_fragment.c, ip_fragment.c's ipq).
//
// Key: a = source | destination << 32, b = id | protocol << 16 | user << 24 | namespace << 32; addresses and id as loaded.
// IPv6: numbers of addresses, b = id | namespace << 32 | user << 56 | 1 << 63.
// Fragments wait as frames, linked by `next` in the order of their offsets, which stand in their own IP headers.
// Queues are linked in the order of their deadlines, so one timer does for all, and the oldest can be found.

import { Pool } from "../memory";
import { Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Of } from "./generation";
import { Index } from "./hash";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";

/** Queues at a time, of all namespaces. Linux bounds the bytes: ipfrag_high_thresh, 4 MiB a namespace, about 1300 of these. */
export const QUEUES: u32 = 1024;
/** Fragments that a queue holds: the largest datagram in pieces of the smallest MTU that every host must take (RFC 791). */
export const FRAGMENTS: u32 = 128;
/** net.ipv4.ipfrag_time */
export const TIMEOUT: u64 = 30_000_000_000;
/** net.ipv4.ipfrag_max_dist: so many other fragments of the same source may come between two of a datagram. */
export const MAX_DISTANCE: u32 = 64;

/** Who asks for the whole datagram (enum ip_defrag_users): what waits for one is not there for another. */
export enum User { NONE, LOCAL_DELIVER, CONNTRACK_IN, CONNTRACK_OUT, CONNTRACK_BRIDGE_IN }

/** Counts the fragments that came from a source, while a queue of it waits (inet_peer's rid). */
@unmanaged
export class Source {
  /** a = address | namespace << 32, b = 0 */
  keyA: u64;
  keyB: u64;
  fragments: u32;
  queues: u32;
}

@unmanaged
export class Queue {
  keyA: u64;
  keyB: u64;
  /** The fragments are given up at this virtual time; 0 when the queue is none. */
  deadline: u64;
  /** When the last fragment came, and by which device. */
  time: u64;
  device: Device | null;
  namespace: Namespace;
  first: Frame | null;
  last: Frame | null;
  /** Where the last run begins: stack/fragments, insert. */
  run: Frame | null;
  earlier: Queue | null;
  later: Queue | null;
  source: Source | null;
  /** `source.fragments` when the last fragment of this queue came. */
  rank: u32;
  /** Where the highest fragment ends, and how many bytes are there. */
  end: u32;
  bytes: u32;
  fragments: u32;
  /** The largest fragment's IP length, and the largest with DF. */
  largest: u32;
  largestDf: u32;
  user: u8;
  hasFirst: u8;
  hasLast: u8;
  /** A bit for each ECN codepoint seen. */
  ecn: u8;
}

const queues = new Pool(offsetof<Queue>(), 64, Of.TRAFFIC);
const index = new Index(256, Of.TRAFFIC);
const sources = new Pool(offsetof<Source>(), 64, Of.TRAFFIC);
const sourceIndex = new Index(256, Of.TRAFFIC);
let oldest: Queue | null = null;
let newest: Queue | null = null;

/** The queue whose deadline is next, or null. */
export function oldestQueue(): Queue | null { return oldest; }
export function waitingQueues(): u32 { return queues.used; }

// @ts-ignore: decorator
@inline
export function reassemblyKeyB(namespace: u32, user: u32, protocol: u32, id: u32): u64 {
  return <u64>(id | (protocol << 16) | (user << 24)) | (<u64>namespace << 32);
}

export function findQueue(a: u64, b: u64): Queue | null {
  return changetype<Queue | null>(index.find(a, b));
}

/** A queue for this key; the oldest one goes when there is no room. Null: not even so. */
export function openQueue(namespace: Namespace, a: u64, b: u64, user: u32, time: u64, timeout: u64): Queue | null {
  if ((queues.used >= QUEUES || !queues.free) && oldest) dropQueue(oldest!, Drop.NOMEM);
  const at = queues.take(offsetof<Queue>());
  if (!at) return null;
  const queue = changetype<Queue>(at);
  queue.keyA = a;
  queue.keyB = b;
  queue.namespace = namespace;
  queue.user = <u8>user;
  if (!index.insert(at)) {
    queues.give(at);
    return null;
  }
  // IPv6 does not count what comes in between (ip_frag_too_far is IPv4's).
  if (<i64>b >= 0) queue.source = holdSource(namespace.id, <u32>a);
  queue.deadline = time + timeout;
  enlist(queue);
  return queue;
}

/** The caller has taken the fragments. */
export function closeQueue(queue: Queue): void {
  index.remove(changetype<usize>(queue));
  delist(queue);
  const source = queue.source;
  if (source && --source.queues == 0) {
    sourceIndex.remove(changetype<usize>(source));
    sources.give(changetype<usize>(source));
  }
  queue.deadline = 0;
  queues.give(changetype<usize>(queue));
}

/** Its fragments end where they came in. */
export function dropFragments(queue: Queue, reason: Drop): void {
  let frame = queue.first;
  while (frame) {
    const next = frame.next;
    frame.next = null;
    drop(frame, reason, frame.device);
    frame = next;
  }
  queue.first = null;
  queue.last = null;
  queue.run = null;
}

export function dropQueue(queue: Queue, reason: Drop): void {
  dropFragments(queue, reason);
  closeQueue(queue);
}

/** Begins anew at `time` without fragments (ip_frag_reinit). */
export function restartQueue(queue: Queue, time: u64): void {
  dropFragments(queue, Drop.FRAG_TOO_FAR);
  queue.end = 0;
  queue.bytes = 0;
  queue.fragments = 0;
  queue.hasFirst = 0;
  queue.hasLast = 0;
  queue.ecn = 0;
  delist(queue);
  queue.deadline = time + TIMEOUT;
  enlist(queue);
}

/** Have too many fragments of other datagrams come from its source since the last of this one (ip_frag_too_far)? */
export function tooFar(queue: Queue): bool {
  const source = queue.source;
  if (!source) return false;
  const before = queue.rank;
  queue.rank = ++source.fragments;
  return queue.first != null && queue.rank - before > MAX_DISTANCE;
}

function holdSource(namespace: u32, address: u32): Source | null {
  const key = <u64>address | (<u64>namespace << 32);
  const found = sourceIndex.find(key, 0);
  if (found) {
    changetype<Source>(found).queues++;
    return changetype<Source>(found);
  }
  const at = sources.take(offsetof<Source>());
  if (!at) return null;
  const source = changetype<Source>(at);
  source.keyA = key;
  source.queues = 1;
  if (sourceIndex.insert(at)) return source;
  sources.give(at);
  return null;
}

/** A frame's own time runs ahead by the hops taken, so a new deadline is the latest nearly always, not always. */
function enlist(queue: Queue): void {
  let before = newest;
  while (before && before.deadline > queue.deadline) before = before.earlier;
  const behind = before ? before.later : oldest;
  queue.earlier = before;
  queue.later = behind;
  if (before) before.later = queue;
  else oldest = queue;
  if (behind) behind.earlier = queue;
  else newest = queue;
}

function delist(queue: Queue): void {
  const before = queue.earlier;
  const behind = queue.later;
  if (before) before.later = behind;
  else oldest = behind;
  if (behind) behind.earlier = before;
  else newest = before;
}

/** Between vectors: enough queues for the next one. */
export function ensureReassembly(): void {
  const wanted = min<u32>(256, QUEUES - min(queues.used, QUEUES));
  queues.ensure(wanted);
  index.ensure(wanted);
  sources.ensure(wanted);
  sourceIndex.ensure(wanted);
}
