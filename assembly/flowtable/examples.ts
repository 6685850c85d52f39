// Examples: ways that packets take which are of no flow (yet), as the one before them took it (openings, precedents). Each is
// kept under a key for as long as the tables stand and somebody asks for it.

import { Pool } from "../memory";
import { Index } from "../tables/hash";
import { Of, generation } from "../tables/generation";
import { overIpv6 } from "../tables/connections";
import { Track, release } from "./track";

/** What all begin with. */
@unmanaged
export class Example {
  keyA: u64;
  keyB: u64;
  /** As a flow's. */
  generation: u32;
  /** Sweeps since a packet asked for it. */
  idle: u32;
  /** Its way where the tunnel's connection is known (or there is none), and where that is new as well. */
  known: Track | null;
  fresh: Track | null;
}
const KEY: usize = 16;

/** Never more: who asks for ever other destinations, a port scan for one, opens each of them once. */
const MOST: u32 = 16_384;
/** Sweeps, one a second, that one is kept without a packet. */
const KEPT: u32 = 60;

/** All of one kind, of `size` bytes each. */
@final
export class Examples {
  private pool: Pool;
  private index: Index;
  constructor(private size: usize) {
    this.pool = new Pool(size, 64, Of.TRAFFIC);
    this.index = new Index(128, Of.TRAFFIC);
  }

  find(a: u64, b: u64): usize { return this.index.find(a, b); }

  /** The one of that key, with what `draft` holds, or 0 when there is no room. Tracks are the caller's to count. */
  put(a: u64, b: u64, draft: Example): usize {
    let at = this.index.find(a, b);
    if (at) letGo(changetype<Example>(at));
    else {
      if (this.index.count >= MOST) return 0;
      at = this.pool.take(KEY);
      if (!at) return 0;
      changetype<Example>(at).keyA = a;
      changetype<Example>(at).keyB = b;
      if (!this.index.insert(at)) {
        this.pool.give(at);
        return 0;
      }
    }
    memory.copy(at + KEY, changetype<usize>(draft) + KEY, this.size - KEY);
    return at;
  }

  ensure(): void {
    if (this.index.count >= MOST) return;
    this.pool.ensure(64);
    this.index.ensure(64);
  }

  /** Those of tables as they were go, and those that nobody has asked for in a while. */
  sweep(): void {
    for (let i: u32 = 0; i < this.index.capacity; i++) {
      let at = this.index.keyAt(i);
      while (at && isStale(changetype<Example>(at))) at = this.gone(at, i);
      if (at) changetype<Example>(at).idle++;
    }
  }

  /** Those over IPv6 go: they name addresses by numbers, which are about to be given to others. */
  forget6(): void {
    for (let i: u32 = 0; i < this.index.capacity; i++) {
      let at = this.index.keyAt(i);
      while (at && overIpv6(changetype<Example>(at).keyB)) at = this.gone(at, i);
    }
  }

  /** The one in slot `i` of the index goes; answers who stands there now. */
  private gone(at: usize, i: u32): usize {
    letGo(changetype<Example>(at));
    this.index.remove(at);
    this.pool.give(at);
    return this.index.keyAt(i);
  }

  get count(): u32 { return this.index.count; }
}

function letGo(example: Example): void {
  const known = example.known;
  const fresh = example.fresh;
  example.known = null;
  example.fresh = null;
  if (known) release(known);
  if (fresh) release(fresh);
}

// @ts-ignore: decorator
@inline
function isStale(example: Example): bool { return example.generation != generation || example.idle > KEPT; }
