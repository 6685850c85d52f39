/** The one index behind every table, against a Map. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headers } from '../engine/loaded.js';

const engine = await headers();
const view = () => new DataView(engine.memory.buffer);
type Key = readonly [bigint, bigint];
const name = ([a, b]: Key) => `${a}/${b}`;

/** A record with this key, 16 bytes. */
function record([a, b]: Key): number {
  const at = engine.poisoned(16);
  view().setBigUint64(at, a, true);
  view().setBigUint64(at + 8, b, true);
  return at;
}

/** An index beside a Map that holds what the index should. */
class Pair {
  readonly index: number;
  readonly model = new Map<string, { key: Key; at: number }>();
  constructor(capacity: number) {
    this.index = engine.newIndex(capacity);
  }
  find([a, b]: Key): number {
    return engine.indexFind(this.index, a, b) >>> 0;
  }
  insert(key: Key): void {
    if (this.model.has(name(key))) return;
    const at = record(key);
    expect(engine.indexInsert(this.index, at), 'there is room').toBe(1);
    this.model.set(name(key), { key, at });
  }
  remove(key: Key): void {
    const entry = this.model.get(name(key));
    if (!entry) return;
    expect(engine.indexRemove(this.index, entry.at), 'it is there').toBe(1);
    this.model.delete(name(key));
  }
  grow(more: number): void {
    engine.indexEnsure(this.index, more);
  }
  /** Looks for all of them before the first one goes in. */
  enter(keys: readonly Key[]): void {
    const searches = keys.map((key) => ({ key, search: engine.newSearch(...key) }));
    for (const { search } of searches) engine.indexAsk(this.index, search);
    const missing = searches.filter(({ key, search }) => {
      const found = engine.indexSeek(this.index, search) >>> 0;
      expect(found, name(key)).toBe(this.model.get(name(key))?.at ?? 0);
      return found === 0;
    });
    for (const { key, search } of missing) {
      const at = record(key);
      engine.indexEnter(this.index, search, at);
      this.model.set(name(key), { key, at });
    }
  }
  check(keys: Iterable<Key>): void {
    expect(engine.indexCount(this.index)).toBe(this.model.size);
    for (const key of keys) expect(this.find(key), name(key)).toBe(this.model.get(name(key))?.at ?? 0);
  }
}

const MASK = (1n << 64n) - 1n;
/** x with x * odd = 1 (mod 2^64), by Newton. */
function inverse(odd: bigint): bigint {
  let x = odd;
  for (let i = 0; i < 6; i++) x = (x * (2n - odd * x)) & MASK;
  return x;
}
/** The key whose second half is `b` and whose hash is `hash`: assembly/tables/hash.ts backwards. */
function keyOf(hash: bigint, b: bigint): Key {
  const unfold = (x: bigint) => x ^ (x >> 32n);
  let x = unfold((hash * inverse(0x9e3779b97f4a7c15n)) & MASK);
  x = unfold((((x * inverse(0xd6e8feb86659fd93n)) & MASK) - b) & MASK);
  return [((x * inverse(0x9e3779b97f4a7c15n)) & MASK) ^ (b >> 29n), b];
}

const half = fc.bigInt({ min: 0n, max: MASK });
const anyKey: fc.Arbitrary<Key> = fc.oneof(
  fc.tuple(half, half),
  // What real keys look like: small numbers in few bits.
  fc.tuple(fc.bigInt({ min: 0n, max: 7n }), fc.bigInt({ min: 0n, max: 7n })),
  // All alike to the index: one hash, or one that differs in the tag's lowest bit only, which no tag shows.
  half.map((b) => keyOf(0x1234_5679_0000_0003n, b)),
  half.map((b) => keyOf(0x1234_5678_0000_0003n, b)),
);
type Step =
  | { do: 'insert' | 'remove' | 'find'; which: number }
  | { do: 'enter'; which: number; count: number }
  | { do: 'grow'; by: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('insert' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('find' as const), which: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      which: fc.nat(),
      count: fc.integer({ min: 1, max: 10 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('grow' as const), by: fc.nat(64) }) },
);

describe('the hash index', () => {
  it('has keys that collide wholly, for the tests below', () => {
    for (const b of [0n, 1n, MASK, 0x1234567890abcdefn]) {
      const [a] = keyOf(0x1234_5679_0000_0003n, b);
      expect(BigInt.asUintN(64, engine.indexHash(a, b))).toBe(0x1234_5679_0000_0003n);
    }
  });

  it.each([8, 64])('does what a Map does, whatever is put in, taken out and grown, from %i slots on', (capacity) => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyKey, { selector: name, minLength: 1, maxLength: 40 }),
        fc.array(step, { maxLength: 120 }),
        (keys, steps) => {
          const pair = new Pair(capacity);
          for (const step of steps) {
            if (step.do === 'grow') pair.grow(step.by);
            else if (step.do === 'enter') {
              pair.grow(step.count);
              const from = step.which % keys.length;
              pair.enter(keys.slice(from, from + step.count));
            } else {
              const key = keys[step.which % keys.length] as Key;
              if (step.do === 'insert') {
                pair.grow(1);
                pair.insert(key);
              } else if (step.do === 'remove') pair.remove(key);
              else pair.check([key]);
            }
          }
          pair.check(keys);
          // Every key once and no other, by slot as well.
          pair.model.forEach(({ key }) => {
            pair.remove(key);
          });
          pair.check(keys);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('finds its way round the end of the table, and closes gaps there', () => {
    const pair = new Pair(8);
    // Homes 6, 7, 7, 0: the last two run over the end.
    const keys = [6n, 7n, 0x1_0000_0007n, 0x2_0000_0008n].map((hash, i) => keyOf(hash | (1n << 40n), BigInt(i)));
    for (const key of keys) pair.insert(key);
    pair.check(keys);
    pair.remove(keys[1] as Key);
    pair.check(keys);
    pair.remove(keys[0] as Key);
    pair.check(keys);
  });

  it('refuses one more key than fits, keeps what it has, and still says no', () => {
    const pair = new Pair(8);
    const keys = Array.from({ length: 6 }, (_, i) => [BigInt(i), 9n] as const);
    for (const key of keys) pair.insert(key);
    const more = [99n, 9n] as const;
    expect(engine.indexInsert(pair.index, record(more))).toBe(0);
    pair.check([...keys, more]);
    pair.remove(keys[2] as Key);
    pair.insert(more);
    pair.check([...keys, more]);
  });

  it('has room for as many keys as it takes', () => {
    const pair = new Pair(8);
    for (let i = 0; i < 6; i++) {
      expect(engine.indexHasRoom(pair.index, 6 - i)).toBe(1);
      expect(engine.indexHasRoom(pair.index, 7 - i)).toBe(0);
      pair.enter([[BigInt(i), 9n]]);
    }
    expect(engine.indexInsert(pair.index, record([99n, 9n]))).toBe(0);
  });

  it('does not take out a record whose key another one has', () => {
    const pair = new Pair(16);
    const key = [1n, 2n] as const;
    pair.insert(key);
    expect(engine.indexRemove(pair.index, record(key))).toBe(0);
    expect(engine.indexRemove(pair.index, record([3n, 4n]))).toBe(0);
    pair.check([key]);
  });

  it('grows to be at most nine sixteenths full, and only then', () => {
    const pair = new Pair(64);
    engine.indexEnsure(pair.index, 34);
    expect(engine.indexCapacity(pair.index)).toBe(64);
    engine.indexEnsure(pair.index, 35);
    expect(engine.indexCapacity(pair.index)).toBe(128);
    engine.indexEnsure(pair.index, 1000);
    expect(engine.indexCapacity(pair.index)).toBe(2048);
  });

  it('keeps twenty thousand keys through growth and the removal of every second', () => {
    const pair = new Pair(8);
    const keys = Array.from({ length: 20000 }, (_, i) => [BigInt(i) << 32n, BigInt(i % 7)] as const);
    for (const key of keys) {
      pair.grow(1);
      pair.insert(key);
    }
    keys.forEach((key, i) => {
      if (i % 2) pair.remove(key);
    });
    pair.check(keys);
  });
});
