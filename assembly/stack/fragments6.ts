// IPv6 fragments (RFC 8200, section 4.5): putting datagrams together (net/ipv6/reassembly.c) and, at the sender alone,
// taking packets apart (ip6_fragment). Overlapping fragments end their datagram (RFC 5722); an exact repetition does not.
//
// Order, runs and overlaps are fragments.ts's business for both families. A waiting fragment's `upperAt` tells where its
// payload begins; its fragment header lies right before that.

import { Frame, headroom } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Device } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";
import { keepAt } from "../tables/addresses6";
import { isLocal6 } from "../tables/routes6";
import { FRAGMENTS, Queue, User, closeQueue, dropQueue, findQueue, openQueue } from "../tables/reassembly";
import { takeFrame } from "../frame";
import { fragmentIdOf } from "../load/flows";
import { random } from "../random";
import { Namespace } from "./namespace";
import { Place, armReassembly, expireQueue, inherit, insert } from "./fragments";
import { sendParameterProblem, sendTimeExceeded6 } from "./icmp6";

/** net.ipv6.ip6frag_time */
const TIMEOUT: u64 = 60_000_000_000;

/**
 * The whole packet that this fragment completes, or null when it was absorbed or dropped. The fragment header lies at
 * `at`, the next-header field that leads to it at `pointer`, both from the IPv6 header on. The whole has no fragment header.
 * Senders hear of bad fragments from who receives them, not from conntrack.
 */
export function defragment6(namespace: Namespace, frame: Frame, at: u32, pointer: u32, user: User): Frame | null {
  const ip = frame.data;
  if (!frame.device) frame.device = namespace.loopback;
  const device = frame.device!;
  const begin = at + ipv6.FRAGMENT_LENGTH;
  if (begin > frame.length) return refuse(frame, Drop.IPV6_BAD_EXTHDR);
  const header = ip + at;
  const word = ipv6.fragmentWord(header);
  const offset = word & ipv6.OFFSET;
  const size = frame.length - begin;
  if (!(word & (ipv6.OFFSET | ipv6.MF))) return atomic(frame, at, pointer);
  const end = offset + size;
  if (at - ipv6.LENGTH + end > 65535) {
    if (user == User.LOCAL_DELIVER) sendParameterProblem(namespace, frame, device, icmpv6.BAD_FIELD, at + 2);
    return refuse(frame, Drop.FRAG_INVALID);
  }
  if (word & ipv6.MF && size & 7) {
    if (user == User.LOCAL_DELIVER) sendParameterProblem(namespace, frame, device, icmpv6.BAD_FIELD, 4);
    return refuse(frame, Drop.FRAG_INVALID);
  }
  const source = keepAt(ip + ipv6.AT_SOURCE);
  const destination = keepAt(ip + ipv6.AT_DESTINATION);
  const a = <u64>source | (<u64>destination << 32);
  const b = <u64>ipv6.fragmentId(header) | (<u64>(namespace.id | (<u32>user << 24) | ipv6.V6) << 32);
  let queue = findQueue(a, b);
  if (queue && frame.time >= queue.deadline) {
    expireQueue(queue);
    queue = null;
  }
  if (!queue) {
    if (source && destination) queue = openQueue(namespace, a, b, user, frame.time, TIMEOUT);
    if (!queue) return refuse(frame, Drop.NOMEM);
    armReassembly();
  }
  if (queue.fragments >= FRAGMENTS) return discard(queue, frame, Drop.NOMEM);
  if (word & ipv6.MF) {
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
  frame.upperAt = <u16>begin;
  switch (insert(queue, frame, offset, end)) {
    case Place.DUPLICATE: return refuse(frame, Drop.FRAG_OVERLAP);
    case Place.OVERLAP: return discard(queue, frame, Drop.FRAG_OVERLAP);
  }
  queue.time = max(queue.time, frame.time);
  queue.device = device;
  queue.fragments++;
  queue.bytes += size;
  queue.ecn |= 1 << <u8>ipv6.ecn(ip);
  queue.largest = max(queue.largest, frame.length);
  if (!offset) queue.hasFirst = 1;
  return queue.hasFirst && queue.hasLast && queue.bytes == queue.end ? merge(queue) : null;
}

function refuse(frame: Frame, reason: Drop): Frame | null {
  drop(frame, reason, frame.device);
  return null;
}

function discard(queue: Queue, frame: Frame, reason: Drop): Frame | null {
  dropQueue(queue, reason);
  return refuse(frame, reason);
}

/** A fragment of one (RFC 6946): the header just goes. */
function atomic(frame: Frame, at: u32, pointer: u32): Frame {
  const ip = frame.data;
  const next = load<u8>(ip + at);
  memory.copy(ip + at, ip + at + ipv6.FRAGMENT_LENGTH, frame.length - at - ipv6.FRAGMENT_LENGTH);
  store<u8>(ip + pointer, next);
  frame.length -= ipv6.FRAGMENT_LENGTH;
  ipv6.setPayloadLength(ip, frame.length - ipv6.LENGTH);
  return frame;
}

/** All are there (ip6_frag_reasm): a packet with the first fragment's headers, and the last one's device and time. */
function merge(queue: Queue): Frame | null {
  const first = queue.first!;
  const before = <u32>first.upperAt - ipv6.FRAGMENT_LENGTH;
  const length = before + queue.end;
  const ecn = queue.ecn;
  if (length - ipv6.LENGTH > 65535 || (ecn & 1 && ecn != 1)) {
    dropQueue(queue, Drop.FRAG_INVALID);
    return null;
  }
  const whole = takeFrame(length);
  if (!whole) {
    dropQueue(queue, Drop.NOMEM);
    return null;
  }
  account.generated++;
  inherit(whole, first);
  whole.length = length;
  whole.device = queue.device;
  whole.time = queue.time;
  whole.fragmentMax = queue.largest;
  const ip = whole.data;
  const next = load<u8>(first.data + before);
  findFragment(first.data, first.length);
  const pointer = fragmentPointer;
  memory.copy(ip, first.data, before);
  let to = ip + before;
  let at: Frame | null = first;
  while (at) {
    const following = at.next;
    const bytes = at.length - at.upperAt;
    memory.copy(to, at.data + at.upperAt, bytes);
    to += bytes;
    whole.hops = max(whole.hops, at.hops);
    at.next = null;
    deliver(at);
    at = following;
  }
  queue.first = null;
  closeQueue(queue);
  store<u8>(ip + pointer, next);
  ipv6.setPayloadLength(ip, length - ipv6.LENGTH);
  if (ecn & 8 && ecn & 6) ipv6.setEcn(ip, 3);
  return whole;
}

/** Where the next-header field lies that leads to what `findFragment` found. */
let fragmentPointer: u32 = 6;

/** Where the first fragment header of the packet at `ip` lies, or 0 (find_prev_fhdr). */
function findFragment(ip: usize, length: u32): u32 {
  let next = ipv6.nextHeader(ip);
  let at: u32 = ipv6.LENGTH;
  fragmentPointer = 6;
  while (at + 8 <= length) {
    if (next == ipv6.FRAGMENT) return at;
    if (next != ipv6.HOP_BY_HOP && next != ipv6.ROUTING && next != ipv6.DESTINATION_OPTIONS) return 0;
    next = load<u8>(ip + at);
    fragmentPointer = at;
    at += (<u32>load<u8>(ip + at, 1) + 1) << 3;
  }
  return 0;
}

/** For conntrack: what is no fragment goes on, a fragment when it completes its packet; null: it waits, or was dropped (ipv6_defrag). */
export function gather6(namespace: Namespace, frame: Frame, user: User): Frame | null {
  const at = findFragment(frame.data, frame.length);
  return at ? defragment6(namespace, frame, at, fragmentPointer, user) : frame;
}

/** Its time is over: the sender hears of it if the first fragment came (ip6frag_expire_frag_queue). */
export function tellExpired6(queue: Queue): void {
  const first = queue.first;
  const namespace = queue.namespace;
  if (!first || !queue.hasFirst || queue.user != <u8>User.LOCAL_DELIVER) return;
  if (!isLocal6(namespace, first.data + ipv6.AT_DESTINATION, queue.device)) return;
  first.time = queue.deadline;
  first.fragmentMax = 0;
  sendTimeExceeded6(namespace, first, queue.device, 1);
}

/**
 * The packet in fragments of `mtu` bytes at most, linked by `next`; the frame itself ends. Null: dropped. What stands before
 * the fragment header is what every router on the way must see (ip6_find_1stfragopt).
 */
export function fragmentFrame6(namespace: Namespace, frame: Frame, mtu: u32): Frame | null {
  const ip = frame.data;
  const fixed = unfragmentable(ip, frame.length);
  if (mtu < fixed + ipv6.FRAGMENT_LENGTH + 8) {
    drop(frame, Drop.PKT_TOO_BIG, frame.out);
    return null;
  }
  const space = (mtu - fixed - ipv6.FRAGMENT_LENGTH) & ~7;
  const id = frame.load ? fragmentIdOf(frame) : random();
  const next = <u32>load<u8>(ip + unfragmentablePointer);
  let left = frame.length - fixed;
  let from = ip + fixed;
  let offset: u32 = 0;
  let head: Frame | null = null;
  let tail: Frame | null = null;
  while (left) {
    const bytes = left + fixed + ipv6.FRAGMENT_LENGTH <= mtu ? left : space;
    const piece = takeFrame(fixed + ipv6.FRAGMENT_LENGTH + bytes);
    if (!piece) {
      drop(frame, Drop.NOMEM, frame.out);
      return head;
    }
    account.generated++;
    inherit(piece, frame);
    const at = piece.data;
    memory.copy(at, ip, fixed);
    store<u8>(at + unfragmentablePointer, <u8>ipv6.FRAGMENT);
    left -= bytes;
    ipv6.emitFragment(at + fixed, next, offset | (left ? ipv6.MF : 0), id);
    memory.copy(at + fixed + ipv6.FRAGMENT_LENGTH, from, bytes);
    ipv6.setPayloadLength(at, fixed + ipv6.FRAGMENT_LENGTH + bytes - ipv6.LENGTH);
    from += bytes;
    offset += bytes;
    if (tail) tail.next = piece;
    else head = piece;
    tail = piece;
  }
  deliver(frame);
  return head;
}

let unfragmentablePointer: u32 = 6;

/** Length of the headers that every fragment repeats: all up to hop-by-hop and routing headers. */
function unfragmentable(ip: usize, length: u32): u32 {
  let next = ipv6.nextHeader(ip);
  let at: u32 = ipv6.LENGTH;
  let pointer: u32 = 6;
  let fixed: u32 = ipv6.LENGTH;
  unfragmentablePointer = 6;
  while ((next == ipv6.HOP_BY_HOP || next == ipv6.ROUTING || next == ipv6.DESTINATION_OPTIONS) && at + 8 <= length) {
    const size = (<u32>load<u8>(ip + at, 1) + 1) << 3;
    if (at + size > length) break;
    pointer = at;
    at += size;
    const here = next;
    next = load<u8>(ip + pointer);
    if (here != ipv6.DESTINATION_OPTIONS) {
      fixed = at;
      unfragmentablePointer = pointer;
    } else if (next == ipv6.ROUTING) {
      // Options for the stops on the way stand before it.
      fixed = at;
      unfragmentablePointer = pointer;
    }
  }
  return fixed;
}
