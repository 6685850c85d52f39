/** What a thread loads was compiled when it was built: V8 takes it as it is. Whoever has no such file, or other flags, compiles. */

import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

const BUILT = fileURLToPath(new URL('../../dist/workers/', import.meta.url));
const COMPILED = `bundled-worker.${process.version}-${process.platform}-${process.arch}.compiled`;
const code = (folder: string) => `
const { COMPILED, script } = require(${JSON.stringify(join(folder, 'thread.cjs'))});
require('node:worker_threads').parentPort.postMessage({ COMPILED, rejected: script.cachedDataRejected });`;

async function told(folder: string): Promise<unknown> {
  const worker = new Worker(code(folder), { eval: true, execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } });
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  } finally {
    await worker.terminate();
  }
}

// Where another Node has built it there is none for this one.
it.skipIf(!existsSync(join(BUILT, COMPILED)))('takes what was compiled before', async () => {
  expect(await told(BUILT)).toEqual({ COMPILED, rejected: false });
});

it('compiles for itself where there is nothing for its Node', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'thread-'));
  try {
    for (const file of ['thread.cjs', 'bundled-worker.cjs']) copyFileSync(join(BUILT, file), join(folder, file));
    expect(await told(folder)).toEqual({ COMPILED, rejected: undefined });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
