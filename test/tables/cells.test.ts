/** Cells: each is handed out once at a time, empty, and a flow's on its entry's page as long as one is free there (assembly/cells.ts). */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { headers } from '../engine/loaded.js';

const CELL = 128;
const PAGE = 4096;
/** A page's second half is for flows. */
const HALF = PAGE / 2;

const engine = await headers();
const words = (at: number) => new Uint32Array(engine.memory.buffer, at, CELL / 4);
const secondHalf = (at: number) => at - (at % PAGE) + HALF;
/** Taken by tests, and written all over. */
const taken = new Set<number>();

function take(at: number): number {
  expect(at % CELL).toBe(0);
  expect(taken).not.toContain(at);
  expect([...words(at)].every((word) => word === 0)).toBe(true);
  words(at).fill(0xffffffff);
  taken.add(at);
  return at;
}
function give(at: number): void {
  taken.delete(at);
  engine.cellGive(at);
}
function giveAll(): void {
  for (const at of taken) give(at);
}
const takenIn = (half: number) => [...taken].filter((at) => at >= half && at < half + HALF).length;

it('hands out each cell once, empty, as many as are free', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat()), { maxLength: 300 }), (steps) => {
      for (const [what, which] of steps) {
        const all = [...taken];
        const one = all[which % all.length];
        const free = engine.cellsFree();
        if (what === 0) {
          engine.cellsEnsure(which % 700);
          expect(engine.cellsFree()).toBeGreaterThanOrEqual(which % 700);
        } else if (what === 1 && one !== undefined) {
          give(one);
          expect(engine.cellsFree()).toBe(free + 1);
        } else {
          const at = (what === 2 ? engine.cellTake() : engine.cellTakeNear(one ?? 0)) >>> 0;
          expect(at === 0).toBe(free === 0);
          expect(engine.cellsFree()).toBe(at ? free - 1 : free);
          if (at) take(at);
        }
      }
    }),
    { numRuns: 100 },
  );
});

it('hands out a flow’s on its entry’s page, until none is free there', () => {
  giveAll();
  engine.cellsEnsure(64);
  // Not the first one, which has the first free cell of all beside it.
  while (taken.size < 40) take(engine.cellTake() >>> 0);
  const entry = [...taken].at(-1) ?? 0;
  const half = secondHalf(entry);
  expect(entry).toBeLessThan(half);
  while (takenIn(half) < HALF / CELL) {
    const flow = take(engine.cellTakeNear(entry) >>> 0);
    expect(secondHalf(flow), 'on that page, in its second half').toBe(half);
    expect(flow).toBeGreaterThanOrEqual(half);
  }
  const other = take(engine.cellTakeNear(entry) >>> 0);
  expect(other - (other % PAGE)).not.toBe(entry - (entry % PAGE));
  // What is given back there is the next flow's.
  give(half + 5 * CELL);
  expect(take(engine.cellTakeNear(entry) >>> 0)).toBe(half + 5 * CELL);
});

it('hands out cells alone, whatever it is that a flow’s is to be near to', async () => {
  const { cellsEnsure, cellsFree, cellTake, cellTakeNear, cellGive, memory, poisoned } = await headers();
  cellsEnsure(64);
  // Behind the table of blocks, where others would be described, something else is.
  poisoned(1 << 18);
  const all = Array.from({ length: cellsFree() }, () => cellTake() >>> 0);
  const pages = new Set(all.map((at) => at - (at % PAGE)));
  for (const at of all) cellGive(at);
  for (let near = 0; near < memory.buffer.byteLength; near += PAGE) {
    const at = cellTakeNear(near) >>> 0;
    const page = at - (at % PAGE);
    if (pages.has(near)) expect(page).toBe(near);
    expect(pages).toContain(page);
    cellGive(at);
  }
});

it('takes from the other halves when its own are used up, so that none is kept free for anybody', () => {
  engine.cellsEnsure(100);
  while (engine.cellsFree() > 0) take(engine.cellTake() >>> 0);
  expect(engine.cellTake() >>> 0).toBe(0);
  expect(engine.cellTakeNear([...taken][0] ?? 0) >>> 0).toBe(0);
  giveAll();
  while (engine.cellsFree() > 0) take(engine.cellTakeNear(0) >>> 0);
  expect(engine.cellTakeNear(0) >>> 0).toBe(0);
});

it('has all that were free before it has grown many times over, too', async () => {
  const { cellsEnsure, cellsFree, cellTake } = await headers();
  for (const wanted of [600, 300_000]) cellsEnsure(wanted);
  const free = cellsFree();
  let found = 0;
  while (cellTake()) found++;
  expect(found).toBe(free);
});

it('looks at both lines of the two that come next', () => {
  giveAll();
  for (let turn = 0; turn < 40; turn++) {
    const next = [engine.cellTake() >>> 0, engine.cellTake() >>> 0];
    for (const at of next.toReversed()) engine.cellGive(at);
    next.forEach((at, i) => {
      words(at).fill(0);
      words(at)[0] = 1 << (2 * i);
      words(at)[CELL / 8] = 2 << (2 * i);
    });
    expect(engine.cellsNext()).toBe(15);
    for (const at of next) expect(take(engine.cellTake() >>> 0)).toBe(at);
  }
});
