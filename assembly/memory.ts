// Linear memory: an arena that only grows, pools of fixed-size records on it, and frame slots.
//
// Nothing here runs while a frame moves, but for taking a record or a slot from a free list and giving it back: pools are
// topped up between frames (`ensure`), and a record's address never changes. Records are `@unmanaged` classes laid over
// an address. Some of the free ones list the others, so that the next few can be asked for before the first is here. Those that
// nobody has had yet are not touched before their time.

import { Of, touched } from "./tables/generation";

/** `bytes` of memory, 64-byte aligned (a cache line), never given back. All is zero: nobody has had it before. Its pages are the system's until somebody writes there. */
export function reserve(bytes: usize): usize { return (heap.alloc(bytes + 64) + 63) & ~63; }

/** The same for tables: all of it is written at once, since pages that the system gives in a row are faster to find one's way in. */
export function arena(bytes: usize): usize {
  const at = reserve(bytes);
  memory.fill(at, 0, bytes);
  return at;
}

/** Of its first two cache lines. */
// @ts-ignore: decorator
@inline
function lines(at: usize): u32 { return load<u32>(at) | load<u32>(at, 64); }

/** Records of one size. `size` includes a guard zone in the testing build; `kind`: what they are to recorded flows. */
@final
export class Pool {
  /** A free record that lists others at its beginning: the list before it, then as many addresses as there is `room` for. */
  private list: usize = 0;
  private listed: u32 = 0;
  /** Records that nobody has had yet, in a row; `end` is behind the last one. */
  private fresh: usize = 0;
  private end: usize = 0;
  free: u32 = 0;
  total: u32 = 0;
  /** `room`: so many of a free record's first words may be overwritten. One is the list before it. */
  constructor(private size: usize, private chunk: u32, private kind: Of = Of.CONFIGURATION, private room: u32 = 1) {}

  /** At least `wanted` free records; between frames only. */
  // @ts-ignore: decorator
  @inline
  ensure(wanted: u32): void {
    if (this.free < wanted) this.grow(wanted);
  }

  private grow(wanted: u32): void {
    while (this.free < wanted) {
      for (; this.fresh != this.end; this.fresh += this.size) this.put(this.fresh);
      const count = max(this.chunk, min(this.total, 65536));
      this.fresh = reserve(this.size * <usize>count);
      this.end = this.fresh + this.size * <usize>count;
      this.free += count;
      this.total += count;
    }
  }

  /** A record as it was left, but for its first words, or 0 when the pool is empty. */
  // @ts-ignore: decorator
  @inline
  lift(): usize {
    let at = this.list;
    const listed = this.listed;
    if (listed) {
      this.listed = listed - 1;
      at = load<usize>(at + (<usize>listed << 2));
    } else if (!at) {
      at = this.fresh;
      if (at == this.end) return 0;
      this.fresh = at + this.size;
    } else {
      const before = load<usize>(at);
      this.list = before;
      this.listed = before ? this.room - 1 : 0;
    }
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
  // @ts-ignore: decorator
  @inline
  lookAhead(): u32 {
    const list = this.list;
    if (!list) {
      const fresh = this.fresh;
      return fresh + 3 * this.size <= this.end ? lines(fresh) | lines(fresh + this.size) | lines(fresh + 2 * this.size) : 0;
    }
    const listed = this.listed;
    const last = list + (<usize>listed << 2);
    const before = load<usize>(list);
    const first = listed > 0 ? load<usize>(last) : list;
    const second = listed > 1 ? load<usize>(last - 4) : listed == 1 ? list : before;
    const third = listed > 2 ? load<usize>(last - 8) : listed == 2 ? list : before;
    return lines(first) | lines(second) | lines(third);
  }

  give(at: usize): void {
    touched(this.kind);
    this.put(at);
    this.free++;
  }

  // @ts-ignore: decorator
  @inline
  private put(at: usize): void {
    const listed = this.listed + 1;
    if (this.list && listed < this.room) {
      store<usize>(this.list + (<usize>listed << 2), at);
      this.listed = listed;
    } else {
      store<usize>(at, this.list);
      this.list = at;
      this.listed = 0;
    }
  }

  get used(): u32 { return this.total - this.free; }
}
