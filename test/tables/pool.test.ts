/** Records of one size: handed out once at a time, and what is beyond their first words stays. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { headers } from '../engine/loaded.js';

const engine = await headers();
const SIZE = 128;

it.each([1, 2, 8])('hands out each record once, of which %i words may be overwritten while it is free', (room) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 4 }), { maxLength: 200 }), (steps) => {
      const pool = engine.newPool(SIZE, room);
      const view = () => new DataView(engine.memory.buffer);
      const out: number[] = [];
      const marked = new Map<number, number>();
      let free = 0;
      for (const [turn, step] of steps.entries()) {
        if (step === 0) {
          engine.poolEnsure(pool, 3);
          free = engine.poolFree(pool);
          expect(free).toBeGreaterThanOrEqual(3);
        }
        engine.poolLookAhead(pool);
        for (let i = 0; i < step; i++) {
          const at = engine.poolLift(pool) >>> 0;
          expect(at === 0, 'there is none').toBe(free === 0);
          if (!at) continue;
          free--;
          expect(out).not.toContain(at);
          const mark = marked.get(at);
          if (mark !== undefined)
            for (let word = room; word < SIZE / 4; word++) expect(view().getUint32(at + 4 * word, true)).toBe(mark);
          for (let word = 0; word < SIZE / 4; word++) view().setUint32(at + 4 * word, turn + 1, true);
          marked.set(at, turn + 1);
          out.push(at);
        }
        for (let i = 0; i > step && out.length > 0; i--) {
          const [at = 0] = out.splice(turn % out.length, 1);
          engine.poolGive(pool, at);
          free++;
        }
        expect(engine.poolFree(pool)).toBe(free);
      }
    }),
    { numRuns: 300 },
  );
});
