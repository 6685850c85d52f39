/** With the flow table and without it a swarm lives the very same life: frames, order, counters, connections, captures. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { live } from './twins.js';

it('lives the same life with the flow table as without, whatever changes under it', async () => {
  const module = await checkedModule();
  let fast = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
      const slow = await live(seed, false, 60, module);
      const quick = await live(seed, true, 60, module);
      expect(quick.seen).toEqual(slow.seen);
      expect(slow.fast).toBe(0);
      fast += quick.fast;
    }),
    { numRuns: 25, seed: 5 },
  );
  // It would not say much if nothing had been fast.
  expect(fast).toBeGreaterThan(10_000);
}, 300_000);
