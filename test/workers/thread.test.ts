/** What a thread loads was compiled when it was built: V8 takes it as it is. */

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

const THREAD = new URL('../../dist/workers/bundled-thread.cjs', import.meta.url);
const CODE = `
const { script } = require(${JSON.stringify(fileURLToPath(THREAD))});
require('node:worker_threads').parentPort.postMessage({ rejected: script.cachedDataRejected });`;

it('takes what was compiled before', async () => {
  const worker = new Worker(CODE, { eval: true, execArgv: [] });
  const told = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  expect(told).toEqual({ rejected: false });
});
