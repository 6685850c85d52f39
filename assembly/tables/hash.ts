// The one hash index behind every table: 16-byte keys that lie inside fixed-size records.
//
// An index slot is 8 bytes: a 32-bit tag of the hash (never 0) and the address of the key. Eight slots are a line of the cache, and are
// compared at once. Linear probing from the first slot of a line, at most nine sixteenths full, deletion by shifting back, so a look-up
// never degrades with age, and 98 of 100 end in the line where they began. Keys are two u64; whoever builds one says what its bits mean.
// Doubling happens between frames (`ensure`).

import { arena } from "../memory";
import { Of, touched } from "./generation";

/** A key that is looked for, to be entered where it is not: `Index.ask`, `seek`, `enter`. Good while nothing is removed, and for one frame. */
@unmanaged
export class Search {
  a: u64;
  b: u64;
  hash: u64;
  slot: usize;
}

@final
export class Index {
  private slots: usize;
  private mask: u32;
  count: u32 = 0;
  /** `capacity`: a power of two, at least a line's eight. `kind`: what its records are to recorded flows. */
  constructor(capacity: u32, private kind: Of = Of.CONFIGURATION) {
    this.mask = capacity - 1;
    this.slots = arena(<usize>capacity << 3);
  }

  /** The address of the key equal to (a, b), or 0. */
  find(a: u64, b: u64): usize {
    const h = hash(a, b);
    const tag = tagOf(h);
    let line = this.slotOfHash(h);
    while (true) {
      for (let like = alike(line, tag); like; like &= like - 1) {
        const key = keyIn(line, like);
        if (((load<u64>(key) ^ a) | (load<u64>(key, 8) ^ b)) == 0) return key;
      }
      if (alike(line, 0)) return 0;
      line = this.after(line, LINE);
    }
  }

  /** Where a look-up begins, to be asked for before it is needed: of (a, b), or of a key with that hash. */
  // @ts-ignore: decorator
  @inline
  slotOf(a: u64, b: u64): usize { return this.slotOfHash(hash(a, b)); }
  // @ts-ignore: decorator
  @inline
  slotOfHash(hash: u64): usize { return this.slots + (<usize>this.home(hash) << 3); }
  // @ts-ignore: decorator
  @inline
  private home(hash: u64): u32 { return <u32>hash & this.mask & ~7; }

  /** The caller knows that the key is not in yet. False when the index is full to the brim (never, if `ensure` is called). */
  insert(key: usize): bool {
    if (this.count + 1 >= this.mask) return false;
    touched(this.kind);
    const h = hash(load<u64>(key), load<u64>(key, 8));
    this.place(h, <u32>key);
    this.count++;
    return true;
  }

  /** The same in steps, where many keys are looked for at once. First: where the look-up begins, so that all may be asked for together. */
  // @ts-ignore: decorator
  @inline
  ask(search: Search): usize {
    const h = hash(search.a, search.b);
    const slot = this.slotOfHash(h);
    search.hash = h;
    search.slot = slot;
    return slot;
  }
  /** Then: as `find`; 0: its slot is free. */
  seek(search: Search): usize {
    const tag = tagOf(search.hash);
    let line = search.slot;
    while (true) {
      for (let like = alike(line, tag); like; like &= like - 1) {
        const key = keyIn(line, like);
        if (((load<u64>(key) ^ search.a) | (load<u64>(key, 8) ^ search.b)) == 0) return key;
      }
      const free = alike(line, 0);
      if (free) {
        search.slot = line + (<usize>ctz(free) << 3);
        return 0;
      }
      line = this.after(line, LINE);
    }
  }
  /** Last: the key goes in, where `seek` has found none, and nothing was taken out since. There is room (`hasRoom`). */
  enter(search: Search, key: usize): void {
    touched(this.kind);
    let slot = search.slot;
    // Another one that was looked for at the same time may have gone there.
    while (load<u32>(slot)) slot = this.after(slot, 8);
    store<u32>(slot, tagOf(search.hash));
    store<u32>(slot, <u32>key, 4);
    this.count++;
  }
  // @ts-ignore: decorator
  @inline
  hasRoom(more: u32): bool { return this.count + more < this.mask; }
  // @ts-ignore: decorator
  @inline
  private after(slot: usize, bytes: usize): usize { return this.slots + ((slot + bytes - this.slots) & (<usize>this.mask << 3)); }

  private place(h: u64, key: u32): void {
    let line = this.slotOfHash(h);
    let free = alike(line, 0);
    while (!free) {
      line = this.after(line, LINE);
      free = alike(line, 0);
    }
    const slot = line + (<usize>ctz(free) << 3);
    store<u32>(slot, tagOf(h));
    store<u32>(slot, key, 4);
  }

  /** Takes out the entry whose key lies at this very address. */
  remove(key: usize): bool {
    touched(this.kind);
    const mask = this.mask;
    const slots = this.slots;
    let i = this.home(hash(load<u64>(key), load<u64>(key, 8)));
    while (true) {
      const slot = slots + (<usize>i << 3);
      if (!load<u32>(slot)) return false;
      if (load<u32>(slot, 4) == <u32>key) break;
      i = (i + 1) & mask;
    }
    // Shift back whatever the gap would cut off from its home.
    let gap = i;
    let j = i;
    while (true) {
      j = (j + 1) & mask;
      const slot = slots + (<usize>j << 3);
      if (!load<u32>(slot)) break;
      const k = <usize>load<u32>(slot, 4);
      const home = this.home(hash(load<u64>(k), load<u64>(k, 8)));
      if (((j - home) & mask) >= ((j - gap) & mask)) {
        store<u64>(slots + (<usize>gap << 3), load<u64>(slot));
        gap = j;
      }
    }
    store<u64>(slots + (<usize>gap << 3), 0);
    this.count--;
    return true;
  }

  /** Room for `more` keys; between frames only. */
  ensure(more: u32): void {
    while (this.count + more > (this.mask >>> 1) + (this.mask >>> 4)) {
      const before = this.slots;
      const capacity = this.mask + 1;
      this.mask = (capacity << 1) - 1;
      this.slots = arena(<usize>capacity << 4);
      for (let i: u32 = 0; i < capacity; i++) {
        const slot = before + (<usize>i << 3);
        if (!load<u32>(slot)) continue;
        const key = load<u32>(slot, 4);
        this.place(hash(load<u64>(<usize>key), load<u64>(<usize>key, 8)), key);
      }
    }
  }

  /** For sweeps: the key in slot `i`, or 0. */
  keyAt(i: u32): usize {
    return <usize>load<u32>(this.slots + (<usize>i << 3), 4);
  }
  get capacity(): u32 { return this.mask + 1; }
  /**
   * A slot without a key. Who takes out objects of two keys on his way through the slots goes down from here, and round: what
   * `remove` shifts back then stays before him. (Going up, it may come to stand behind him.)
   */
  get gap(): u32 {
    let i: u32 = 0;
    while (load<u32>(this.slots + (<usize>i << 3))) i++;
    return i;
  }
}

/** What tells its key's slot from others'. */
// @ts-ignore: decorator
@inline
export function tagOf(hash: u64): u32 { return <u32>(hash >>> 32) | 1; }

/** Eight slots, as far as they lie in one line of the cache. */
// @ts-ignore: decorator
@inline
const LINE: usize = 64;

/** Which slots of the line have that tag, a bit each; 0: which are free. */
// @ts-ignore: decorator
@inline
function alike(line: usize, tag: u32): u32 {
  const wanted = i32x4.splat(tag);
  const first = v128.shuffle<u32>(v128.load(line), v128.load(line, 16), 0, 2, 4, 6);
  const second = v128.shuffle<u32>(v128.load(line, 32), v128.load(line, 48), 0, 2, 4, 6);
  return <u32>i32x4.bitmask(i32x4.eq(first, wanted)) | (<u32>i32x4.bitmask(i32x4.eq(second, wanted)) << 4);
}
/** The key in the first of those slots; in any of the line, where there are none. */
// @ts-ignore: decorator
@inline
function keyIn(line: usize, which: u32): usize { return <usize>load<u32>(line + (<usize>(ctz(which) & 7) << 3), 4); }

/**
 * The key that a look-up which begins at `line` will most likely find, or else `none`. No branch: where a key lies in its line
 * nobody can foresee.
 */
// @ts-ignore: decorator
@inline
export function likelyAt(line: usize, tag: u32, none: usize): usize {
  const like = alike(line, tag);
  return select<usize>(keyIn(line, like), none, like != 0);
}

/** Multiply and fold: every key bit reaches the low half, which picks the slot, and the high half, which tags it. */
// @ts-ignore: decorator
@inline
export function hash(a: u64, b: u64): u64 {
  let x = (a ^ (b >>> 29)) * 0x9e3779b97f4a7c15;
  x ^= x >>> 32;
  x = (x + b) * 0xd6e8feb86659fd93;
  x ^= x >>> 32;
  return x * 0x9e3779b97f4a7c15;
}
