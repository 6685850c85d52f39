/** Any bytes at any device, one frame to a fresh swarm; fast-check makes what fails small. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { type Life, relive, type Step } from '../../bench/fuzz/life.js';
import { Random } from '../../bench/fuzz/random.js';
import { createWorld } from '../../bench/fuzz/world.js';

const LIFE: Life = { world: 'recorded', seed: 1, frames: 0, places: [] };

it('never traps and never loses a frame, whatever its bytes and wherever it comes', async () => {
  const module = await checkedModule();
  const { engine, namespaces } = await createWorld(module, LIFE.world, new Random(LIFE.seed, 1));
  const bytes = fc.uint8Array({ maxLength: 1600, size: 'max' });
  const step = fc.oneof(
    fc.record({
      do: fc.constantFrom('receive' as const, 'transmit' as const, 'batch' as const),
      at: fc.nat({ max: engine.devices.length - 1 }),
      frame: bytes,
    }),
    fc.record({ do: fc.constant('socket' as const), at: fc.nat({ max: namespaces.length - 1 }), frame: bytes }),
    fc.record({ do: fc.constant('run' as const), time: fc.nat({ max: 60_000_000_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps: Step[]) => {
      expect(await relive(module, LIFE, steps)).toBeUndefined();
    }),
    { numRuns: 100, seed: 1 },
  );
});
