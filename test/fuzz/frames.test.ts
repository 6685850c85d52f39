/**
 * A hundred thousand frames, random and mutated, over every kind of device of two whole swarms on the checked build:
 * bad frames are data, not exceptions (design.md). `npm run fuzz` goes on where this ends, and shrinks what it finds.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { corpusOf, type RealFrame } from '../../bench/fuzz/corpus.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { type Life, live, type Outcome, PLACES } from '../../bench/fuzz/life.js';
import type { WorldName } from '../../bench/fuzz/world.js';

const FRAMES = 7200;
const WORLDS: WorldName[] = ['planned', 'recorded'];

let module: WebAssembly.Module;
const corpora = new Map<WorldName, RealFrame[]>();
beforeAll(async () => {
  module = await checkedModule();
  for (const world of WORLDS) corpora.set(world, await corpusOf(world));
});

/** A failure in words that `npm run fuzz` understands. */
async function outcomeOf(life: Life): Promise<Outcome> {
  const outcome = await live(module, life, corpora.get(life.world) ?? []);
  const { failure } = outcome;
  const again = `npm run fuzz -- --world ${life.world} --place ${life.places.join(' --place ')} --life-seed ${life.seed} --life ${life.frames}`;
  expect(failure && `${failure.what} at frame ${failure.frame}; ${again}`).toBeUndefined();
  return outcome;
}

for (const world of WORLDS) {
  describe(`the ${world} swarm`, () => {
    for (const [i, place] of PLACES.entries()) {
      const where = place === 'socket' ? 'out of sockets' : `at a ${place}`;
      it(`takes whatever comes ${where}: no trap, no write outside a slot, every frame accounted for`, async () => {
        const { account, waiting, frames } = await outcomeOf({ world, seed: 20 + i, frames: FRAMES, places: [place] });
        expect(frames).toBeGreaterThanOrEqual(FRAMES);
        expect(account.injected).toBeGreaterThanOrEqual(FRAMES);
        // What is left after ten quiet minutes waits for a hole in a TCP stream, or a neighbour that nobody asks for.
        expect(account.inFlight).toBe(waiting.sockets + waiting.neighbours);
      });
    }
  });
}

it('lives the same life from the same seed', async () => {
  const life: Life = { world: 'planned', seed: 7, frames: 2000, places: PLACES };
  const [first, second] = [await outcomeOf(life), await outcomeOf(life)];
  expect(second).toEqual(first);
  expect(second.drops.size).toBeGreaterThan(10);
});
