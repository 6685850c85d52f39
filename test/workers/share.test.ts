/** Engines end with what made the run fail. Threads that only do as they are told stand for them here. */

import { EventEmitter } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import type { CaptureFile } from '../../src/capture/files.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { slotOf } from '../../src/engine/merge.js';
import { parseStackFile } from '../../src/index.js';
import { share } from '../../src/workers/share.js';
import type { Job, Told } from '../../src/workers/worker.js';

interface Thread {
  readonly job: Job;
  tell(told: Told): void;
  ended: boolean;
}

const threads = vi.hoisted((): Thread[] => []);

vi.mock('node:worker_threads', () => ({
  Worker: class extends EventEmitter implements Thread {
    ended = false;
    readonly job: Job;
    constructor(_: URL, { workerData }: { workerData: Job }) {
      super();
      this.job = workerData;
      threads.push(this);
    }
    tell(told: Told): void {
      this.emit('message', told);
    }
    async terminate(): Promise<void> {
      this.ended = true;
      this.emit('exit', 1);
    }
  },
}));

beforeEach(() => {
  threads.length = 0;
});

const { spec } = parseStackFile('services: { web: { image: nginx } }', { file: 'web.yml' });
const FULL = new Error('no space is left on the disk');

function sharing(open: () => CaptureFile) {
  const quiet = { onProgress: () => {}, interrupted: () => false };
  return share({ spec, seed: 1, comments: false, workers: 2, drivers: [], open, ...quiet });
}

it('starts no engine when the capture cannot be opened', async () => {
  const sharingFails = sharing(() => {
    throw FULL;
  });
  await expect(sharingFails).rejects.toBe(FULL);
  expect(threads).toEqual([]);
});

it('ends with what the disk has refused while engines wait for it', async () => {
  const discard = vi.fn();
  const settle = () => Promise.reject(FULL);
  const fails = sharing(() => ({ waiting: 65 << 20, write() {}, settle, finish: () => [], discard }));
  await vi.waitUntil(() => threads.length === 2);
  for (const thread of threads) {
    const block = enhancedPacketBlock({ interface: 0, time: 0n, data: new Uint8Array(20) });
    const { index, records } = thread.job;
    if (records) slotOf(records, index, 0).set(block);
    thread.tell({ kind: 'records', slot: 0, length: block.length });
  }
  await expect(fails).rejects.toBe(FULL);
  expect(threads.map(({ ended }) => ended)).toEqual([true, true]);
  expect(discard).toHaveBeenCalledOnce();
});
