// Puts the modules of a worker thread into one file and lets V8 compile it, so that a thread starts in a fraction of the time
// (src/workers/thread.cts), and puts the licences of the packages that are in it beside it:
//   node scripts/bundle-worker.mjs DIRECTORY    the directory that src/ was compiled to
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'rolldown';
import { licencesOf } from './licences.mjs';

const root = resolve(argv[2]);
const workers = join(root, 'workers');

/** Of the bundle, whose modules are told. */
async function bundle() {
  const { output } = await build({
    input: join(workers, 'worker.js'),
    platform: 'node',
    logLevel: 'warn',
    // A thread is given the engine, compiled.
    external: /[\\/]engine[\\/]compile\.js$/,
    write: false,
    output: { format: 'cjs', minify: true, codeSplitting: false },
  });
  const [{ code, moduleIds }] = output;
  // Other characters than ASCII are in strings alone. A text without them is read in half the time.
  const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  writeFileSync(join(workers, 'bundled-worker.cjs'), code.replace(/[^\0-\x7f]/g, escaped));
  return moduleIds;
}

/** V8 compiles what is called: this calls what a load does. */
const STACK = `services: {web: {image: nginx, networks: [net1], ports: ["8080:80"], deploy: {replicas: 3}}}
networks: {net1: {}}
x-swarmwire:
  traffic:
    - load: {to: "node1:8080", flows: 20, packets: 1000, rate: 100kpps}
    - load: {to: "node1:8080", from: web, flows: 20, packets: 100, rate: 100kpps, answered: true}`;
const THREAD = `
const { COMPILED, script } = require(${JSON.stringify(join(workers, 'thread.cjs'))});
const { parentPort } = require('node:worker_threads');
parentPort.on('message', (message) => {
  if (message === 'compiled') parentPort.postMessage({ kind: 'compiled', name: COMPILED, bytes: script.createCachedData() });
});`;

async function writeCompiled() {
  const load = (module) => import(pathToFileURL(join(root, module)).href);
  const { parseStackFile } = await load('stack-file/index.js');
  const { compile } = await load('engine/compile.js');
  const { memoryFor } = await load('workers/merge-captures.js');
  const { Signals } = await load('workers/stream.js');
  const { spec } = parseStackFile(STACK, { file: 'stack.yml' });
  const signals = Signals.for(1);
  const job = { spec, seed: 1, comments: false, drivers: [], index: 0, count: 1, signals: signals.shared };
  const worker = new Worker(THREAD, { eval: true });
  const made = await new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the thread that was to be compiled ended with ${code}`)));
    worker.on('message', (told) => {
      if (told.kind === 'records') signals.free(0, told.slot);
      if (told.kind === 'done') worker.postMessage('compiled');
      if (told.kind === 'failed') reject(new Error(told.message));
      if (told.kind === 'compiled') resolve(told);
    });
    compile().then((module) => worker.postMessage({ ...job, module, records: memoryFor(1) }), reject);
  });
  await worker.terminate();
  writeFileSync(join(workers, made.name), made.bytes);
}

for (const file of readdirSync(workers).filter((name) => name.endsWith('.compiled'))) rmSync(join(workers, file));
const modules = await bundle();
await writeCompiled();
writeFileSync(join(workers, 'bundled-worker.LICENSES.txt'), licencesOf(modules));
