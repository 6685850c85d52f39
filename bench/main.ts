/**
 * How fast the data path is: ns a packet, and how many times a C program's time.
 *
 *   npm run bench -- [--json] [--compare FILE] [--flows 1000,100000] [--size 64,1400] [--only mesh,mesh-back] [--time MS] [--turns N]
 *
 * Batches are timed by tinybench; warm-up goes on until V8's optimizing compiler has had its time and each flow a packet. Rows of as
 * many flows run in turns, the C reference (bench/native) right after each with as many batches; the least of all batches is the
 * figure, the median beside it. After every turn frames, digests and counters are checked. Progress goes to standard error.
 */

import { readFileSync } from 'node:fs';
import { Bench } from 'tinybench';
import { type Measured, standing } from './all.js';
import { gigahertz, hugePages } from './machine.js';
import { BATCH } from './mesh.js';
import { asked, more } from './more.js';
import { build } from './native.js';
import { BadOption, type Options, options } from './options.js';
import { LEGEND, NotResults, type Result, readResults, resultOf, slower, table } from './report.js';

const WHO_HAS: Record<string, string> = {
  always: ' (the engine and the C reference have them)',
  madvise: ' (the C reference asks for them, WebAssembly cannot: with many flows the engine waits for page tables)',
};
const started = performance.now();
const say = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text) process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s: ${text}\n`);
};

try {
  const chosen = options(process.argv.slice(2));
  if (asked(chosen)) await more(chosen);
  else await rows(chosen);
} catch (error) {
  if (!(error instanceof BadOption)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function rows(chosen: Options): Promise<void> {
  const earlier = chosen.compare === undefined ? undefined : earlierResults(chosen.compare);
  const built = build();
  const results: Result[] = [];
  const ghz = gigahertz();
  for (const flows of chosen.flows) {
    const measured: Measured[] = [];
    const { natives } = await standing(chosen, flows, built, measured, say);
    for (let turn = 0; turn < chosen.turns; turn++) {
      for (const one of measured) {
        say(`turn ${turn + 1} of ${chosen.turns}: ${one.row.name}, ${flows} flows, ${one.row.size} bytes`);
        await take(one, turn, chosen.time);
      }
    }
    for (const native of natives) native.end();
    for (const { row, samples, native } of measured) {
      const { name, size } = row;
      results.push(resultOf({ name, flows, size, batches: samples, native }, ghz));
    }
  }
  say('');
  if (chosen.json) process.stdout.write(`${JSON.stringify({ results })}\n`);
  else {
    console.log(table(results, earlier));
    console.log(LEGEND);
    const pages = hugePages();
    if (pages) console.log(`Transparent huge pages: ${pages}${WHO_HAS[pages] ?? ''}.`);
    if ('skipped' in built) console.log(`The C reference was skipped: ${built.skipped}.`);
  }
  const worse = earlier ? slower(results, earlier) : [];
  if (worse.length > 0) {
    const names = worse.map(({ name, flows, size }) => `${name} ${flows}/${size}`);
    console.error(`slower by more than a tenth: ${names.join(', ')}`);
    process.exitCode = 1;
  }
}

function earlierResults(file: string): Result[] {
  try {
    return readResults(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof NotResults || (error as NodeJS.ErrnoException).code)
      throw new BadOption(`--compare ${file}: ${(error as Error).message}`);
    throw error;
  }
}

/** One turn of a row, and of its C reference; what it has done is checked before another row uses the same swarm. */
async function take({ row, world, samples, native }: Measured, turn: number, time: number): Promise<void> {
  // Long enough for the compiler, and for a packet of each flow: its first one finds more to do than those after it.
  const warm = { warmup: turn === 0, warmupTime: time, warmupIterations: Math.ceil(row.flows / BATCH) };
  const bench = new Bench({ time, ...warm, throws: true, retainSamples: true });
  row.begin();
  const before = world.books;
  const opened = row.opened();
  let batches = 0;
  bench.add(row.name, row.batch, {
    async: false,
    beforeEach: () => {
      row.stage();
      batches++;
    },
    afterEach: () => row.settle(),
  });
  bench.runSync();
  const result = bench.tasks[0]?.result;
  if (result?.state !== 'completed' || !result.latency.samples) throw new Error(`${row.name} was not measured`);
  for (const sample of result.latency.samples) samples.push(sample);
  if (row.native) native.push(await row.native.run(batches));
  try {
    await row.verify(batches, before, opened);
  } catch (error) {
    const drops = world.engine.drops.map(({ device, reason, count }) => `${device.path} ${reason} ${count}`).join(', ');
    throw new Error(
      `${row.name}, ${row.flows} flows, ${row.size} bytes: ${(error as Error).message} (drops: ${drops})`,
    );
  }
}
