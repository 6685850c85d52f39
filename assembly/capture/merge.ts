// Captured records of several engines become one sequence. Each engine's own are in order already (order.ts), and come in
// pieces: the earliest of their next ones goes first, then by tap, then by engine.
//
// A module of its own, whose memory is shared by the threads of the engines and the one that merges: engines write
// pieces, and what is merged is read where it stands. Who writes where and when is JavaScript's business.

import { copyFrame } from "../copy";

/** An engine's piece: the record at hand, and its end. */
@unmanaged
export class MergeSource {
  at: usize;
  end: usize;
  /** No more pieces come. */
  over: u32;
}

/** Records that the last call has merged. */
export let merged: u32 = 0;

// @ts-ignore: decorator
@inline
function timeOf(record: usize): u64 { return rotl<u64>(load<u64>(record, 12), 32); }

// @ts-ignore: decorator
@inline
function tapOf(record: usize): u32 { return load<u32>(record, 8); }

// @ts-ignore: decorator
@inline
function isBefore(record: usize, time: u64, tap: u32): bool {
  const own = timeOf(record);
  return own < time || (own == time && tapOf(record) < tap);
}

/**
 * Copies records of `count` sources, which stand at `sources` in the order of their engines, to `to` and on, until `limit` is
 * reached or a source has none at hand and is not over: where the next one goes. A record may run over `limit`.
 */
export function merge(sources: usize, count: u32, to: usize, limit: usize): usize {
  const last = sources + <usize>count * offsetof<MergeSource>();
  merged = 0;
  while (to < limit) {
    // The one that is next, and the first record of all others.
    let next: usize = 0;
    let time: u64 = u64.MAX_VALUE;
    let tap: u32 = u32.MAX_VALUE;
    let bound: usize = 0;
    let boundTime: u64 = u64.MAX_VALUE;
    let boundTap: u32 = u32.MAX_VALUE;
    for (let i = sources; i < last; i += offsetof<MergeSource>()) {
      const source = changetype<MergeSource>(i);
      const at = source.at;
      if (at == source.end) {
        if (source.over) continue;
        return to;
      }
      if (!next || isBefore(at, time, tap)) {
        bound = next;
        boundTime = time;
        boundTap = tap;
        next = i;
        time = timeOf(at);
        tap = tapOf(at);
      } else if (!bound || isBefore(at, boundTime, boundTap)) {
        bound = i;
        boundTime = timeOf(at);
        boundTap = tapOf(at);
      }
    }
    if (!next) return to;
    // Of equal ones that of the first engine: it goes on while the other's is no earlier.
    if (bound > next) boundTap++;
    const source = changetype<MergeSource>(next);
    const end = source.end;
    let at = source.at;
    do {
      const bytes = load<u32>(at, 4);
      copyFrame(to, at, bytes);
      at += bytes;
      to += bytes;
      merged++;
    } while (at < end && to < limit && (!bound || isBefore(at, boundTime, boundTap)));
    source.at = at;
  }
  return to;
}
