// Linear memory: an arena that only grows, pools of fixed-size records on it, and frame slots.
//
// Nothing here runs while a vector of frames moves, but for taking a record or a slot from a free list: pools are
// topped up between vectors (`ensure`), so a record's address never changes. Records are `@unmanaged` classes laid over
// an address; a free record's first word links to the next free one.

import { Of, touched } from "./tables/generation";

/** `bytes` of zeroed memory, 64-byte aligned (a cache line), never given back. */
export function arena(bytes: usize): usize {
  const at = (heap.alloc(bytes + 64) + 63) & ~63;
  memory.fill(at, 0, bytes);
  return at;
}

/** Records of one size. `size` includes a guard zone in the testing build; `kind`: what they are to recorded flows. */
@final
export class Pool {
  private head: usize = 0;
  free: u32 = 0;
  total: u32 = 0;
  constructor(private size: usize, private chunk: u32, private kind: Of = Of.CONFIGURATION) {}

  /** At least `wanted` free records; between vectors only. */
  // @ts-ignore: decorator
  @inline
  ensure(wanted: u32): void {
    if (this.free < wanted) this.grow(wanted);
  }

  private grow(wanted: u32): void {
    while (this.free < wanted) {
      const count = max(this.chunk, min(this.total, 65536));
      let at = arena(this.size * <usize>count);
      for (let i: u32 = 0; i < count; i++) {
        store<usize>(at, this.head);
        this.head = at;
        at += this.size;
      }
      this.free += count;
      this.total += count;
    }
  }

  /** A record as it was left, but for its first word, or 0 when the pool is empty. */
  // @ts-ignore: decorator
  @inline
  lift(): usize {
    const at = this.head;
    if (!at) return 0;
    this.head = load<usize>(at);
    this.free--;
    if (this.kind != Of.TRAFFIC) touched(this.kind);
    return at;
  }

  /** A record whose first `clear` bytes are zero, or 0 when the pool is empty. */
  take(clear: usize): usize {
    const at = this.lift();
    if (!at) return 0;
    if (clear & 15) memory.fill(at, 0, clear);
    else for (let i: usize = 0; i < clear; i += 16) v128.store(at + i, i64x2.splat(0));
    return at;
  }

  /** Of the next three records something of the first two lines, to have them in the cache. */
  lookAhead(): u32 {
    const first = this.head;
    const second = load<usize>(first);
    const third = load<usize>(second);
    return load<u32>(first, 64) | load<u32>(second, 64) | <u32>load<usize>(third) | load<u32>(third, 64);
  }

  give(at: usize): void {
    touched(this.kind);
    store<usize>(at, this.head);
    this.head = at;
    this.free++;
  }

  get used(): u32 { return this.total - this.free; }
}
