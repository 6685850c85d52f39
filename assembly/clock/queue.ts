// Virtual time: a binary heap of events, earliest first, ties in the order they were pushed.
//
// An event carries two addresses whose meaning its kind gives. A timer of an object fires and finds the object's own
// deadline moved: then it does nothing, so timers need no cancelling.

import { arena } from "../memory";
import { Frame } from "../frame";
import { vectorLength } from "../flowtable/foresee";

export enum Event {
  /** a = device that receives, b = first of a vector of frames linked by `next` */
  FRAMES,
  /** a = neighbour */
  NEIGHBOUR,
  /** a = TCP socket */
  TCP,
  /** a = reassembly queue */
  REASSEMBLY,
  /** a = what a socket owes (stack/tcp) */
  ACTION,
  /** a = device that sends, b = frame */
  TRANSMIT,
  /** a = namespace whose socket sends, b = packet */
  OUTPUT,
  /** a = association, b = first of a vector of packets: their turn to be sealed; sealed; opened (hooks/xfrm) */
  XFRM_SEAL,
  XFRM_SEALED,
  XFRM_OPENED,
  /** a = namespace, b = IPv6 packet, whose `out` is the device that it is to leave by, or null */
  OUTPUT6,
  /** a = device, b = what IPv6 does next as it comes up (stack/start6) */
  START6,
  /** A load's next packet; b = its serial number (load/generator). */
  LOAD,
}

@unmanaged
class Entry {
  time: u64;
  sequence: u32;
  kind: u32;
  a: usize;
  b: usize;
}
const SIZE: usize = offsetof<Entry>();

let heapAt: usize = 0;
let capacity: u32 = 0;
let count: u32 = 0;
let sequence: u32 = 0;

/** Time of the event being handled, ns since the run's start. */
export let now: u64 = 0;
export function setNow(time: u64): void { if (time > now) now = time; }

// @ts-ignore: decorator
@inline
function entry(i: u32): Entry { return changetype<Entry>(heapAt + <usize>i * SIZE); }

/** A copy of its 24 bytes, which memory.copy would make by a call out of the module. */
// @ts-ignore: decorator
@inline
function put(i: u32, from: Entry): void {
  const to = changetype<usize>(entry(i));
  const at = changetype<usize>(from);
  v128.store(to, v128.load(at));
  store<u64>(to, load<u64>(at, 16), 16);
}

// @ts-ignore: decorator
@inline
function earlier(x: Entry, time: u64, seq: u32): bool {
  return x.time < time || (x.time == time && <i32>(x.sequence - seq) < 0);
}

export function schedule(time: u64, kind: Event, a: usize, b: usize): void {
  if (count == capacity) grow();
  room = 0;
  const seq = ++sequence;
  let i = count++;
  while (i) {
    const up = (i - 1) >>> 1;
    if (earlier(entry(up), time, seq)) break;
    put(i, entry(up));
    i = up;
  }
  const e = entry(i);
  e.time = time;
  e.sequence = seq;
  e.kind = kind;
  e.a = a;
  e.b = b;
}

/** Of the vector that was scheduled last, while nothing has been scheduled since and it has not come up: its end, and how many more it takes. */
let tail: usize = 0;
let tailTime: u64 = 0;
let tailDevice: usize = 0;
let room: u32 = 0;

/** Does the frame go into that vector? Its order is as if it had been scheduled by itself. */
// @ts-ignore: decorator
@inline
export function joins(time: u64, device: usize, frame: usize): bool {
  if (!room) return false;
  if (tailDevice != device) return false;
  if (tailTime != time) return false;
  changetype<Frame>(tail).next = changetype<Frame>(frame);
  tail = frame;
  room--;
  return true;
}

/** Others may join the frame that was scheduled just now. */
export function waits(time: u64, device: usize, frame: usize): void {
  tail = frame;
  tailTime = time;
  tailDevice = device;
  room = vectorLength() - 1;
}

/** An event of `kind` for the frame: one with those for the same `a` that were scheduled just before, for the same time. */
export function gather(time: u64, kind: Event, a: usize, frame: Frame): void {
  frame.next = null;
  // Some place within the record: nobody else waits there.
  const who = a + kind;
  if (joins(time, who, changetype<usize>(frame))) return;
  schedule(time, kind, a, changetype<usize>(frame));
  waits(time, who, changetype<usize>(frame));
}

/** What is left of the event that came up last comes up next. */
export function putBack(b: usize): void {
  schedule(now, kind, a, b);
  // In its old place: before whatever is due at the same time. `schedule` has put it where the latest belongs.
  let i: u32 = 0;
  while (entry(i).b != b || entry(i).kind != kind) i++;
  const time = taken;
  const seq = takenSequence;
  while (i) {
    const up = (i - 1) >>> 1;
    if (earlier(entry(up), time, seq)) break;
    put(i, entry(up));
    i = up;
  }
  const e = entry(i);
  e.time = time;
  e.sequence = seq;
  e.kind = kind;
  e.a = a;
  e.b = b;
}

function grow(): void {
  const wider = max<u32>(1024, capacity << 1);
  const at = arena(<usize>wider * SIZE);
  memory.copy(at, heapAt, <usize>count * SIZE);
  heapAt = at;
  capacity = wider;
}

let taken: u64 = 0;
let takenSequence: u32 = 0;
export let kind: u32 = 0;
export let a: usize = 0;
export let b: usize = 0;

/** Takes the earliest event no later than `until` into `now`, `kind`, `a`, `b`. */
export function next(until: u64): bool {
  if (!count || entry(0).time > until) return false;
  const top = entry(0);
  room = 0;
  taken = top.time;
  takenSequence = top.sequence;
  now = max(now, top.time);
  kind = top.kind;
  a = top.a;
  b = top.b;
  const last = entry(--count);
  const time = last.time;
  const seq = last.sequence;
  let i: u32 = 0;
  while (true) {
    let child = (i << 1) + 1;
    if (child >= count) break;
    if (child + 1 < count) {
      const right = entry(child + 1);
      if (earlier(right, entry(child).time, entry(child).sequence)) child++;
    }
    const c = entry(child);
    if (!earlier(c, time, seq)) break;
    put(i, c);
    i = child;
  }
  if (i != count) put(i, last);
  return true;
}

export function pending(): u32 { return count; }
