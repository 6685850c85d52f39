// IPv4 fragments: putting datagrams together (net/ipv4/ip_fragment.c: ip_defrag) and taking them apart
// (net/ipv4/ip_output.c: ip_do_fragment). RFC 791, section 3.2; overlaps as RFC 5722 has them for IPv6, which Linux
// follows since 4.19.
//
// `frame.data` is the IPv4 header. The 14 bytes before it, a bridged frame's Ethernet header, go along both ways.
//
// A datagram that was put together remembers where its fragments ended, for it leaves in the same pieces (an skb keeps
// them as its frag_list): their payload lengths, a u16 each, lie behind `frame.end`, which is moved down for them. A
// clone has its own `end` and so knows nothing of them, as a cloned skb's frag_list is not used either.

import { CT_UNTRACKED, Frame, META, headroom, takeFrame, slotEnd } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Event, now, schedule } from "../clock/queue";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as ethernet from "../wire/ethernet";
import { isLocal } from "../tables/routes";
import {
  FRAGMENTS, Queue, User, closeQueue, dropQueue, findQueue, oldestQueue, openQueue, reassemblyKeyB, TIMEOUT, restartQueue, tooFar,
} from "../tables/reassembly";
import { Namespace } from "./namespace";
import { sendReassemblyTimeExceeded } from "./icmp";
import { tellExpired6 } from "./fragments6";

/** The largest datagram that a length field can tell. */
const MAX_LENGTH: u32 = 65535;

/**
 * The whole datagram: the frame itself when it is one, or the one that this fragment completes, or null when the frame was
 * absorbed or dropped. `user` says who asks.
 */
export function defragment(namespace: Namespace, frame: Frame, user: User): Frame | null {
  const ip = frame.data;
  if (frame.length < ipv4.LENGTH || !ipv4.isFragment(ip)) return frame;
  // What a socket sends has come in by no device: if it ends here, it is at lo, as what finds no route.
  if (!frame.device) frame.device = namespace.loopback;
  const header = ipv4.headerLength(ip);
  const total = ipv4.totalLength(ip);
  if (header < ipv4.LENGTH || total < header || total > frame.length) {
    drop(frame, Drop.IP_INHDR, frame.device);
    return null;
  }
  const queue = obtainQueue(namespace, frame, user);
  if (!queue) {
    drop(frame, Drop.NOMEM, frame.device);
    return null;
  }
  if (tooFar(queue)) {
    restartQueue(queue, frame.time);
    armReassembly();
  }
  if (queue.fragments >= FRAGMENTS) return discard(queue, frame, Drop.NOMEM);

  const word = ipv4.flagsAndOffset(ip);
  const offset = (word & ipv4.OFFSET) << 3;
  let end = offset + total - header;
  if (word & ipv4.MF) {
    // What is over a multiple of eight cannot be followed by anything: cut off.
    end &= ~7;
    if (end > queue.end) {
      if (queue.hasLast) return discard(queue, frame, Drop.FRAG_INVALID);
      queue.end = end;
    }
  } else {
    if (end < queue.end || (queue.hasLast && end != queue.end)) return discard(queue, frame, Drop.FRAG_INVALID);
    queue.hasLast = 1;
    queue.end = end;
  }
  if (end == offset) return discard(queue, frame, Drop.FRAG_INVALID);

  switch (insert(queue, frame, offset, end)) {
    case Place.DUPLICATE:
      drop(frame, Drop.FRAG_OVERLAP, frame.device);
      return null;
    case Place.OVERLAP: return discard(queue, frame, Drop.FRAG_OVERLAP);
  }
  const length = header + end - offset;
  frame.length = length;
  queue.time = max(queue.time, frame.time);
  queue.device = frame.device;
  queue.fragments++;
  queue.bytes += end - offset;
  queue.ecn |= 1 << (<u8>ipv4.tos(ip) & 3);
  queue.largest = max(queue.largest, length);
  if (word & ipv4.DF) queue.largestDf = max(queue.largestDf, length);
  if (!offset) queue.hasFirst = 1;
  return queue.hasFirst && queue.hasLast && queue.bytes == queue.end ? merge(queue) : null;
}

/** The queue of this fragment's datagram, made when there is none; one that is over by now has gone before. */
function obtainQueue(namespace: Namespace, frame: Frame, user: User): Queue | null {
  const ip = frame.data;
  const a = <u64>ipv4.source(ip) | (<u64>ipv4.destination(ip) << 32);
  const b = reassemblyKeyB(namespace.id, user, ipv4.protocol(ip), ipv4.id(ip));
  const found = findQueue(a, b);
  if (found) {
    if (frame.time < found.deadline) return found;
    expireQueue(found);
  }
  const queue = openQueue(namespace, a, b, user, frame.time, TIMEOUT);
  if (queue) armReassembly();
  return queue;
}

function discard(queue: Queue, frame: Frame, reason: Drop): Frame | null {
  dropQueue(queue, reason);
  drop(frame, reason, frame.device);
  return null;
}

// @ts-ignore: decorator
@inline
function offsetOf(frame: Frame): u32 {
  if (ipv4.version(frame.data) == 6) return ipv6.fragmentWord(frame.data + frame.upperAt - ipv6.FRAGMENT_LENGTH) & ipv6.OFFSET;
  return (ipv4.flagsAndOffset(frame.data) & ipv4.OFFSET) << 3;
}
/** Where a waiting fragment ends: its padding is cut off already. */
// @ts-ignore: decorator
@inline
function endOf(frame: Frame): u32 {
  return offsetOf(frame) + frame.length - (ipv4.version(frame.data) == 6 ? <u32>frame.upperAt : ipv4.headerLength(frame.data));
}

export enum Place { FREE, DUPLICATE, OVERLAP }

/**
 * In the order of offsets (inet_frag_queue_insert). Fragments that came in order, each where the one before it ended, are
 * a run; what lies wholly inside a run is a duplicate, anything else that is there already an overlap. While a fragment
 * waits, its `fragmentMax` is the end of the run that it begins, or 0 when it continues one.
 */
export function insert(queue: Queue, frame: Frame, offset: u32, end: u32): Place {
  const last = queue.last;
  const edge = last ? endOf(last) : 0;
  if (!last || edge < end) {
    if (last && offset < edge) return Place.OVERLAP;
    if (last && offset == edge) {
      frame.fragmentMax = 0;
      queue.run!.fragmentMax = end;
    } else {
      frame.fragmentMax = end;
      queue.run = frame;
    }
    frame.next = null;
    if (last) last.next = frame;
    else queue.first = frame;
    queue.last = frame;
    return Place.FREE;
  }
  let before: Frame | null = null;
  let at = queue.first;
  while (at) {
    if (at.fragmentMax) {
      const begin = offsetOf(at);
      if (end <= begin) break;
      if (offset < at.fragmentMax) return offset >= begin && end <= at.fragmentMax ? Place.DUPLICATE : Place.OVERLAP;
    }
    before = at;
    at = at.next;
  }
  frame.fragmentMax = end;
  frame.next = at;
  if (before) before.next = frame;
  else queue.first = frame;
  return Place.FREE;
}

/** All are there (ip_frag_reasm): a datagram with the first fragment's header and metadata, and the last one's device and time. */
function merge(queue: Queue): Frame | null {
  const first = queue.first!;
  const header = ipv4.headerLength(first.data);
  const length = header + queue.end;
  const ecn = queue.ecn;
  // Not ECN-capable and ECN-capable do not mix; congestion met by one fragment was met by all (RFC 3168, 5.3).
  if (length > MAX_LENGTH || (ecn & 1 && ecn != 1)) {
    dropQueue(queue, Drop.FRAG_INVALID);
    return null;
  }
  const table = queue.fragments << 1;
  const whole = takeFrame(length + table);
  if (!whole) {
    dropQueue(queue, Drop.NOMEM);
    return null;
  }
  account.generated++;
  inherit(whole, first);
  whole.length = length;
  whole.end -= table;
  whole.device = queue.device;
  whole.time = queue.time;
  whole.fragmentMax = queue.largest;
  whole.fragmentDf = queue.largestDf == queue.largest ? 1 : 0;

  const ip = whole.data;
  memory.copy(ip, first.data, header);
  let to = ip + header;
  let boundary = whole.end;
  let at: Frame | null = first;
  while (at) {
    const next = at.next;
    const skipped = ipv4.headerLength(at.data);
    const bytes = at.length - skipped;
    memory.copy(to, at.data + skipped, bytes);
    to += bytes;
    store<u16>(boundary, <u16>bytes);
    boundary += 2;
    whole.hops = max(whole.hops, at.hops);
    at.next = null;
    deliver(at);
    at = next;
  }
  queue.first = null;
  closeQueue(queue);

  if (ecn & 8 && ecn & 6) store<u8>(ip, <u8>ipv4.tos(ip) | 3, 1);
  store<u16>(ip, bswap<u16>(<u16>length), ipv4.AT_LENGTH);
  // DF comes back when the largest fragment had it; the datagram may be fragmented all the same, at that size.
  store<u16>(ip, bswap<u16>(<u16>(whole.fragmentDf ? ipv4.DF : 0)), ipv4.AT_FLAGS);
  ipv4.seal(ip);
  return whole;
}

/** When the timer is due, or the largest u64. */
let armed: u64 = u64.MAX_VALUE;

/** One timer for all queues: it is due with the oldest. */
export function armReassembly(): void {
  const oldest = oldestQueue();
  if (!oldest || oldest.deadline >= armed) return;
  armed = oldest.deadline;
  schedule(armed, Event.REASSEMBLY, changetype<usize>(oldest), 0);
}

/** Event.REASSEMBLY. `at` is the queue that it was set for; it may be gone by now, and others may be due. */
export function reassemblyTimer(at: usize): void {
  if (now >= armed) armed = u64.MAX_VALUE;
  let oldest = oldestQueue();
  while (oldest && oldest.deadline <= now) {
    expireQueue(oldest);
    oldest = oldestQueue();
  }
  armReassembly();
}

/** Its time is over (ip_expire). The sender hears of it if the first fragment came, from the host that it was for alone (RFC 792). */
export function expireQueue(queue: Queue): void {
  const namespace = queue.namespace;
  const first = queue.first;
  if (first && ipv4.version(first.data) == 6) tellExpired6(queue);
  else if (first && queue.hasFirst && queue.user != User.CONNTRACK_OUT && !namespace.silent && isLocal(namespace, ipv4.destination(first.data))) {
    first.time = queue.deadline;
    first.device = queue.device;
    first.fragmentMax = 0;
    sendReassemblyTimeExceeded(namespace, first);
  }
  dropQueue(queue, Drop.FRAG_REASM_TIMEOUT);
}

/**
 * The frame in pieces of `mtu` bytes at most, linked by `next`; the frame itself ends. A datagram that came in fragments
 * leaves in the same ones, or in pieces no larger than they were. Null: dropped. When memory runs out on the way, what
 * was cut off before goes out. Whether DF forbids it is the caller's question (ip_fragment).
 */
export function fragmentFrame(frame: Frame, mtu: u32): Frame | null {
  const ip = frame.data;
  const header = ipv4.headerLength(ip);
  if (header < ipv4.LENGTH || header > frame.length) {
    drop(frame, Drop.IP_INHDR, frame.device);
    return null;
  }
  const limit = frame.fragmentMax ? min(mtu, frame.fragmentMax) : mtu;
  if (frame.length <= limit) {
    frame.next = null;
    return frame;
  }
  if (limit < header + 8) {
    drop(frame, Drop.PKT_TOO_BIG, frame.device);
    return null;
  }
  const space = limit - header;
  let left = frame.length - header;
  let boundary = boundaries(frame, left, space);
  const word = ipv4.flagsAndOffset(ip);
  // Linux puts DF back on pieces that it cuts, not on those that it kept.
  const keep = (word & ipv4.MF) | (frame.fragmentDf && !boundary ? ipv4.DF : 0);
  let offset = (word & ipv4.OFFSET) << 3;
  let from = ip + header;
  let head: Frame | null = null;
  let tail: Frame | null = null;
  while (left) {
    let bytes = left > space ? space & ~7 : left;
    if (boundary) {
      bytes = load<u16>(boundary);
      boundary += 2;
    }
    const piece = takeFrame(header + bytes);
    if (!piece) {
      drop(frame, Drop.NOMEM, frame.device);
      return head;
    }
    account.generated++;
    inherit(piece, frame);
    const at = piece.data;
    memory.copy(at, ip, header);
    memory.copy(at + header, from, bytes);
    left -= bytes;
    from += bytes;
    store<u16>(at, bswap<u16>(<u16>(header + bytes)), ipv4.AT_LENGTH);
    store<u16>(at, bswap<u16>(<u16>(((offset >>> 3) & ipv4.OFFSET) | keep | (left ? ipv4.MF : 0))), ipv4.AT_FLAGS);
    ipv4.seal(at);
    if (!offset) leaveCopied(ip, header);
    offset += bytes;
    if (tail) tail.next = piece;
    else head = piece;
    tail = piece;
  }
  deliver(frame);
  return head;
}

/** Where the lengths of its fragments begin, when all of them still fit (ip_do_fragment's fast path), or 0. */
function boundaries(frame: Frame, payload: u32, space: u32): usize {
  const end = slotEnd(frame);
  let sum: u32 = 0;
  let at = frame.end;
  while (at < end) {
    const bytes = <u32>load<u16>(at);
    at += 2;
    if (bytes > space || (bytes & 7 && at < end)) return 0;
    sum += bytes;
  }
  return sum == payload && !ipv4.isFragment(frame.data) ? frame.end : 0;
}

/** Later fragments carry only the options whose copied bit is set (RFC 791, 3.1); the others become NOP (ip_options_fragment). */
function leaveCopied(ip: usize, header: u32): void {
  let at = ip + ipv4.LENGTH;
  const end = ip + header;
  while (at < end) {
    const option = load<u8>(at);
    if (!option) return;
    if (option == 1) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const size = <usize>load<u8>(at, 1);
    if (size < 2 || at + size > end) return;
    if (!(option & 0x80)) memory.fill(at, 1, size);
    at += size;
  }
}

/** What a frame made of others keeps of one: all but its slot, its id and its connection, and the bytes before the IP header. */
export function inherit(frame: Frame, from: Frame): void {
  const data = frame.data;
  const length = frame.length;
  const end = frame.end;
  const id = frame.id;
  const slot = frame.slot;
  memory.copy(changetype<usize>(frame), changetype<usize>(from), META);
  frame.data = data;
  frame.length = length;
  frame.end = end;
  frame.id = id;
  frame.slot = slot;
  frame.next = null;
  frame.connection = null;
  frame.connectionInfo = CT_UNTRACKED;
  frame.fragmentMax = 0;
  frame.fragmentDf = 0;
  if (headroom(from) >= ethernet.LENGTH) memory.copy(data - ethernet.LENGTH, from.data - ethernet.LENGTH, ethernet.LENGTH);
}
