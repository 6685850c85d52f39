// Runs tests against mutants, one mutant after the other, in a process that may be killed (scripts/mutate.mjs):
//   node runner.mjs FOLDER    the folder with tests.mjs and the engine of all mutants; what to do comes as messages
import { join } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';

let mutant = 0;
let instances = [];
const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate(...given);
  const { exports } = made.instance ?? made;
  if (exports.setMutant) {
    exports.setMutant(mutant);
    instances.push(exports);
  }
  return made;
};

const { tests, before } = await import(pathToFileURL(join(argv[2], 'tests.mjs')));
for (const run of before) await run();
// Engines that a file's tests share.
const shared = instances;
process.send({ ready: tests.map(({ name }) => name) });

const metIn = ({ memory, mutantsMet }, count) => new Uint8Array(memory.buffer, mutantsMet() >>> 0, count + 1);

/** Mutants that made a difference to what was asked or done since the last look. */
function reached(count) {
  const found = [];
  for (const one of instances) {
    const met = metIn(one, count);
    for (let n = 1; n <= count; n++) if (met[n]) found.push(n);
  }
  return [...new Set(found)];
}

process.on('message', async ({ test, number, count }) => {
  mutant = number;
  instances = [...shared];
  for (const one of shared) {
    one.setMutant(mutant);
    metIn(one, count).fill(0);
  }
  const began = performance.now();
  let failed;
  try {
    await tests[test].run();
  } catch (error) {
    failed = String(error.message ?? error)
      .split('\n')
      .slice(0, 2)
      .join(' ')
      .slice(0, 200);
  }
  // Whoever comes next would find them as a mutant has left them.
  const spoiled = number > 0 && shared.some((one) => metIn(one, count).includes(1));
  process.send({ failed, took: performance.now() - began, reached: number ? [] : reached(count), spoiled });
});
