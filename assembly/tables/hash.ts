// The one hash index behind every table: 16-byte keys that lie inside fixed-size records.
//
// An index slot is 8 bytes: a 32-bit tag of the hash (never 0) and the address of the key. Linear probing, at most
// half full, deletion by shifting back, so a look-up never degrades with age. Keys are two u64; whoever builds one says
// what its bits mean. Doubling happens between frames (`ensure`).

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
  /** `kind`: what its records are to recorded flows. */
  constructor(capacity: u32, private kind: Of = Of.CONFIGURATION) {
    this.mask = capacity - 1;
    this.slots = arena(<usize>capacity << 3);
  }

  /** The address of the key equal to (a, b), or 0. */
  find(a: u64, b: u64): usize {
    const h = hash(a, b);
    const mask = this.mask;
    const slots = this.slots;
    const tag = tagOf(h);
    let i = <u32>h & mask;
    while (true) {
      const slot = slots + (<usize>i << 3);
      const t = load<u32>(slot);
      if (t == tag) {
        const key = <usize>load<u32>(slot, 4);
        if (((load<u64>(key) ^ a) | (load<u64>(key, 8) ^ b)) == 0) return key;
      } else if (!t) return 0;
      i = (i + 1) & mask;
    }
  }

  /** Where a look-up begins, to be asked for before it is needed: of (a, b), or of a key with that hash. */
  // @ts-ignore: decorator
  @inline
  slotOf(a: u64, b: u64): usize { return this.slotOfHash(hash(a, b)); }
  // @ts-ignore: decorator
  @inline
  slotOfHash(hash: u64): usize { return this.slots + (<usize>(<u32>hash & this.mask) << 3); }

  /** The caller knows that the key is not in yet. False when the index is full to the brim (never, if `ensure` is called). */
  insert(key: usize): bool {
    if (this.count + 1 >= this.mask) return false;
    touched(this.kind);
    const h = hash(load<u64>(key), load<u64>(key, 8));
    this.place(tagOf(h), <u32>h, <u32>key);
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
    let slot = search.slot;
    while (true) {
      const t = load<u32>(slot);
      if (!t) {
        search.slot = slot;
        return 0;
      }
      if (t == tag) {
        const key = <usize>load<u32>(slot, 4);
        if (((load<u64>(key) ^ search.a) | (load<u64>(key, 8) ^ search.b)) == 0) return key;
      }
      slot = this.after(slot);
    }
  }
  /** Last: the key goes in, where `seek` has found none, and nothing was taken out since. There is room (`hasRoom`). */
  enter(search: Search, key: usize): void {
    touched(this.kind);
    let slot = search.slot;
    // Another one that was looked for at the same time may have gone there.
    while (load<u32>(slot)) slot = this.after(slot);
    store<u32>(slot, tagOf(search.hash));
    store<u32>(slot, <u32>key, 4);
    this.count++;
  }
  // @ts-ignore: decorator
  @inline
  hasRoom(more: u32): bool { return this.count + more < this.mask; }
  // @ts-ignore: decorator
  @inline
  private after(slot: usize): usize { return this.slots + ((slot + 8 - this.slots) & (<usize>this.mask << 3)); }

  private place(tag: u32, h: u32, key: u32): void {
    const mask = this.mask;
    let i = h & mask;
    while (true) {
      const slot = this.slots + (<usize>i << 3);
      if (!load<u32>(slot)) {
        store<u32>(slot, tag);
        store<u32>(slot, key, 4);
        return;
      }
      i = (i + 1) & mask;
    }
  }

  /** Takes out the entry whose key lies at this very address. */
  remove(key: usize): bool {
    touched(this.kind);
    const mask = this.mask;
    const slots = this.slots;
    let i = <u32>hash(load<u64>(key), load<u64>(key, 8)) & mask;
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
      const home = <u32>hash(load<u64>(k), load<u64>(k, 8)) & mask;
      if (((j - home) & mask) >= ((j - gap) & mask)) {
        store<u64>(slots + (<usize>gap << 3), load<u64>(slot));
        gap = j;
      }
    }
    store<u64>(slots + (<usize>gap << 3), 0);
    this.count--;
    return true;
  }

  /** Room for `more` keys at half load; between frames only. */
  ensure(more: u32): void {
    while ((this.count + more) << 1 > this.mask) {
      const before = this.slots;
      const capacity = this.mask + 1;
      this.mask = (capacity << 1) - 1;
      this.slots = arena(<usize>capacity << 4);
      for (let i: u32 = 0; i < capacity; i++) {
        const slot = before + (<usize>i << 3);
        const tag = load<u32>(slot);
        if (!tag) continue;
        const key = load<u32>(slot, 4);
        this.place(tag, <u32>hash(load<u64>(<usize>key), load<u64>(<usize>key, 8)), key);
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

/**
 * The key that a look-up which begins at `slot` will most likely find: of the first three slots' the one with that tag. No
 * branch: whether a key lies in its first slot nobody can foresee.
 */
// @ts-ignore: decorator
@inline
export function likelyAt(slot: usize, tag: u32): usize {
  const second = select<usize>(8, 16, load<u32>(slot, 8) == tag);
  return <usize>load<u32>(slot + select<usize>(0, second, load<u32>(slot) == tag), 4);
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
