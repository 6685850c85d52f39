/**
 * Random and mutated frames at every kind of device of a whole swarm, on the checked build of the engine.
 *
 *   npm run fuzz -- [--frames N] [--seed S] [--life N] [--life-seed S] [--all] [--world planned|recorded] [--place KIND]
 *
 * Ends with 1 when a life fails: then it prints the seed, the frame and the steps that are left after shrinking.
 */

import { parseArgs } from 'node:util';
import { corpusOf } from './fuzz/corpus.js';
import { checkedModule } from './fuzz/files.js';
import { type Life, live, PLACES, type Place } from './fuzz/life.js';
import { Random } from './fuzz/random.js';
import { inWords, shrink } from './fuzz/shrink.js';
import { createWorld, type WorldName } from './fuzz/world.js';

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: '1' },
    /** Frames of one life: a swarm that stands up, is fuzzed and falls quiet. */
    life: { type: 'string', default: '25000' },
    /** One life alone, as a test names it. */
    'life-seed': { type: 'string' },
    world: { type: 'string' },
    place: { type: 'string', multiple: true },
    /** Go on after a failure. */
    all: { type: 'boolean', default: false },
  },
});

const only = values['life-seed'];
const total = Number(only === undefined ? values.frames : values.life);
const worlds = (values.world ? [values.world] : ['planned', 'recorded']) as WorldName[];
const places = (values.place ?? PLACES) as readonly Place[];
const module = await checkedModule();
const corpora = new Map(await Promise.all(worlds.map(async (world) => [world, await corpusOf(world)] as const)));
const drops = new Map<string, number>();
const started = performance.now();
let done = 0;
let failures = 0;
let most = 0;

for (let i = 0; done < total; i++) {
  const world = worlds[i % worlds.length] ?? 'planned';
  const life: Life = {
    world,
    seed: only === undefined ? Number(values.seed) * 1_000_000 + i : Number(only),
    frames: Math.min(Number(values.life), total - done),
    places,
  };
  const outcome = await live(module, life, corpora.get(world) ?? []);
  done += outcome.frames;
  most = Math.max(most, outcome.memory);
  for (const [reason, count] of outcome.drops) drops.set(reason, (drops.get(reason) ?? 0) + count);
  if (outcome.failure) {
    failures++;
    await tell(life, outcome.failure);
    if (!values.all) break;
  } else if (i % 10 === 9 || done >= total) {
    const rate = (done / (performance.now() - started)) * 1000;
    console.log(
      `${done.toLocaleString('en')} frames, ${Math.round(rate)} a second, ${Math.round(most / 2 ** 20)} MiB at most`,
    );
  }
}
console.log(
  [...drops]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', '),
);
console.log(failures === 0 ? `${done.toLocaleString('en')} frames: no trap, nothing lost` : `${failures} lives failed`);
process.exitCode = failures === 0 ? 0 : 1;

async function tell(
  life: Life,
  { what, frame, steps }: { what: string; frame: number; steps: Parameters<typeof shrink>[2] },
) {
  console.log(`\nFAILED: ${what}`);
  console.log(`  world ${life.world}, seed of the life ${life.seed}, frame ${frame}, step ${steps.length}`);
  const names = await createWorld(module, life.world, new Random(life.seed, 1));
  const say = (step: (typeof steps)[number]) =>
    inWords(
      step,
      names.engine.devices.map(({ path }) => path),
      names.namespaces.map(({ name }) => name),
    );
  const last = steps.at(-1);
  if (last) console.log(`  the last step: ${say(last)}`);
  const small = await shrink(module, life, steps);
  if (!small) return;
  console.log(`  ${small.steps.length} steps are enough (${small.what}):`);
  for (const step of small.steps) console.log(`    ${say(step)}`);
}
