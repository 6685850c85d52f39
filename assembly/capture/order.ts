// Captured records in the order of their times: those that are complete are copied, sorted by (time, tap, sequence), into
// one piece that can go to a file as it is.
//
// A vector of frames runs to its end, each frame's clock ahead of the event's by the hops that it takes, so records are
// written nearly sorted. Nothing is captured at an earlier time than that of the event which caused it: what is before
// `now` is complete, the rest waits. Each record goes back to its place among those before it, mostly a step or two; where that
// takes too many, all are sorted by digits, the least first: a few steps a record, however they are mixed.

import { copyFrame } from "../copy";
import { arena } from "../memory";
import { now } from "../clock/queue";
import { SLACK, buffer, captureFull, captureLength, epoch, room, setCaptureLength, widenCapture } from "./tap";

/** A record on its way: 16 bytes. */
@unmanaged
class Entry {
  time: u64;
  at: usize;
  tap: u32;
}
const ENTRY: usize = 16;
/** The shortest record, of a frame without a byte. */
const SHORTEST: u32 = 44;
const DIGIT: u32 = 11;
const DIGITS: u32 = 1 << DIGIT;
const histogram = memory.data(8192);

/** Steps back that a record may take on average, and that all may take beside that; where it was too few, so many times nobody tries again. */
const PATIENCE: u32 = 8;
const MORE_PATIENCE: u32 = 1024;
const PAUSE: u32 = 32;
let pause: u32 = 0;

let entries: usize = 0;
let others: usize = 0;
let sorted: usize = 0;
let prepared: u32 = 0;
let passed: u64 = 0;
let ordered: u32 = 0;
/** Records whose time had been handed on before they came. */
let late: u32 = 0;
/** u32 a tap: records that were handed on. */
let counts: usize = 0;
let counted: u32 = 0;

export function orderedAt(): usize { return sorted; }
/** Records that the last call has ordered. */
export function orderedRecords(): u32 { return ordered; }
export function lateRecords(): u32 { return late; }
export function recordsAt(tap: u32): u32 { return tap < counted ? load<u32>(counts + (<usize>tap << 2)) : 0; }

// @ts-ignore: decorator
@inline
function entry(list: usize, i: u32): Entry { return changetype<Entry>(list + <usize>i * ENTRY); }

function prepare(): void {
  if (prepared == room) return;
  prepared = room;
  entries = arena(<usize>(room / SHORTEST + 1) * ENTRY);
  others = arena(<usize>(room / SHORTEST + 1) * ENTRY);
  sorted = arena(room + SLACK);
}

/** Orders what was captured before now, or `all`: bytes at `orderedAt`. What waits stays in the buffer, which grows if need be. */
export function orderCapture(all: bool): u32 {
  prepare();
  const watermark = all ? u64.MAX_VALUE : epoch + now;
  const end = buffer + captureLength();
  let count: u32 = 0;
  let last = room / SHORTEST + 1;
  const top = last;
  let mostTap: u32 = 0;
  let patience = pause ? 0 : PATIENCE;
  let steps = pause ? 0 : MORE_PATIENCE;
  for (let at = buffer; at < end; at += load<u32>(at, 4)) {
    const time = rotl<u64>(load<u64>(at, 12), 32);
    if (time >= watermark) {
      entry(entries, --last).at = at;
      continue;
    }
    const tap = load<u32>(at, 8);
    let place = count++;
    while (place && steps) {
      const before = entry(entries, place - 1);
      if (before.time < time || (before.time == time && before.tap <= tap)) break;
      v128.store(changetype<usize>(entry(entries, place)), v128.load(changetype<usize>(before)));
      place--;
      steps--;
    }
    if (!steps) patience = 0;
    steps += patience;
    const one = entry(entries, place);
    one.time = time;
    one.at = at;
    one.tap = tap;
    mostTap = max(mostTap, tap);
    if (time < passed) late++;
  }
  if (!all) passed = max(passed, watermark);
  if (mostTap >= counted) widenCounts(mostTap + 1);
  ordered = count;
  let length: u32 = 0;
  if (count) {
    const list = patience ? entries : sort(count, mostTap);
    pause = patience ? 0 : pause ? pause - 1 : PAUSE;
    let to = sorted;
    for (let i: u32 = 0; i < count; i++) {
      const one = entry(list, i);
      const bytes = load<u32>(one.at, 4);
      copyFrame(to, one.at, bytes);
      to += bytes;
      const counter = counts + (<usize>one.tap << 2);
      store<u32>(counter, load<u32>(counter) + 1);
    }
    length = <u32>(to - sorted);
  }
  // Those that wait were noted from the end on; `sort` has left them where they were.
  let kept = buffer;
  for (let i = top; i > last; i--) {
    const at = entry(entries, i - 1).at;
    const bytes = load<u32>(at, 4);
    memory.copy(kept, at, bytes);
    kept += bytes;
  }
  setCaptureLength(<u32>(kept - buffer));
  if (captureFull()) widenCapture();
  return length;
}

/** By tap, then by time; equal ones stay in the order in which they were written. */
function sort(count: u32, mostTap: u32): usize {
  let least: u64 = u64.MAX_VALUE;
  let most: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    least = min(least, entry(entries, i).time);
    most = max(most, entry(entries, i).time);
  }
  let list = entries;
  let free = others;
  for (let shift: u32 = 0; mostTap >>> shift; shift += DIGIT) {
    memory.fill(histogram, 0, DIGITS << 2);
    for (let i: u32 = 0; i < count; i++) tally((entry(list, i).tap >>> shift) & (DIGITS - 1));
    sums();
    for (let i: u32 = 0; i < count; i++) move(list, i, free, (entry(list, i).tap >>> shift) & (DIGITS - 1));
    const emptied = list;
    list = free;
    free = emptied;
  }
  for (let shift: u64 = 0; (most - least) >>> shift; shift += DIGIT) {
    memory.fill(histogram, 0, DIGITS << 2);
    for (let i: u32 = 0; i < count; i++) tally(<u32>((entry(list, i).time - least) >>> shift) & (DIGITS - 1));
    sums();
    for (let i: u32 = 0; i < count; i++) move(list, i, free, <u32>((entry(list, i).time - least) >>> shift) & (DIGITS - 1));
    const emptied = list;
    list = free;
    free = emptied;
  }
  return list;
}

// @ts-ignore: decorator
@inline
function tally(digit: u32): void {
  const at = histogram + (<usize>digit << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Counts become places. */
function sums(): void {
  let sum: u32 = 0;
  for (let at = histogram; at < histogram + (DIGITS << 2); at += 4) {
    const here = load<u32>(at);
    store<u32>(at, sum);
    sum += here;
  }
}

// @ts-ignore: decorator
@inline
function move(list: usize, i: u32, free: usize, digit: u32): void {
  const at = histogram + (<usize>digit << 2);
  const place = load<u32>(at);
  store<u32>(at, place + 1);
  v128.store(changetype<usize>(entry(free, place)), v128.load(changetype<usize>(entry(list, i))));
}

function widenCounts(taps: u32): void {
  const wider = max<u32>(64, taps << 1);
  const at = arena(<usize>wider << 2);
  memory.copy(at, counts, <usize>counted << 2);
  counts = at;
  counted = wider;
}
