/** Engines end with what made the run fail. Threads that only do as they are told stand for them here. */

import { EventEmitter } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import type { CaptureFile } from '../../src/capture/files.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { slotOf } from '../../src/engine/merge.js';
import { parseStackFile } from '../../src/index.js';
import { Crew } from '../../src/workers/crew.js';
import { share } from '../../src/workers/share.js';
import { Signals } from '../../src/workers/stream.js';
import type { Done, Job, Told } from '../../src/workers/worker.js';

interface Thread extends EventEmitter {
  /** The first that it was told. */
  readonly job: Job;
  tell(told: Told): void;
  /** What it was told after that. */
  readonly heard: unknown[];
  ended: boolean;
}

const threads = vi.hoisted((): Thread[] => []);
/** The system gives no more threads than that. */
const system = vi.hoisted(() => ({ most: Number.POSITIVE_INFINITY }));

vi.mock('node:worker_threads', () => ({
  Worker: class extends EventEmitter implements Thread {
    ended = false;
    readonly #told: unknown[] = [];
    constructor() {
      super();
      if (threads.length >= system.most) throw new Error('resource temporarily unavailable');
      threads.push(this);
    }
    get job(): Job {
      return this.#told[0] as Job;
    }
    get heard(): unknown[] {
      return this.#told.slice(1);
    }
    tell(told: Told): void {
      this.emit('message', told);
    }
    postMessage(message: unknown): void {
      this.#told.push(message);
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

function sharing(open: (() => CaptureFile) | undefined, interrupted = () => false) {
  const common = { spec, seed: 1, comments: false, onProgress: () => {} };
  return share({ ...common, crew: new Crew(2, []), open, interrupted });
}

const DONE = {
  counts: {
    flows: [],
    drops: [],
    taps: [],
    account: { made: 0, injected: 0, generated: 0, cloned: 0, delivered: 0, dropped: 0, inFlight: 0 },
  },
  common: {},
} as unknown as Done;
const progress = { flows: 0, of: 1 };

/** Threads work once they have a job. */
const working = () => vi.waitUntil(() => threads.length === 2 && threads.every(({ job }) => job));

it('has no engine do anything when the capture cannot be opened', async () => {
  const sharingFails = sharing(() => {
    throw FULL;
  });
  await expect(sharingFails).rejects.toBe(FULL);
  expect(threads.map(({ job, ended }) => [job, ended])).toEqual([
    [undefined, true],
    [undefined, true],
  ]);
});

it('ends with what the disk has refused while engines wait for it', async () => {
  const discard = vi.fn();
  const settle = () => Promise.reject(FULL);
  const fails = sharing(() => ({ waiting: 65 << 20, write() {}, settle, finish: () => [], discard }));
  await working();
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

function refuseMemory(): never {
  throw new RangeError('could not allocate memory');
}

it('leaves no timer behind when there is no memory to share', async () => {
  const Memory = vi.spyOn(WebAssembly, 'Memory').mockImplementation(refuseMemory);
  const set = vi.spyOn(globalThis, 'setInterval');
  const clear = vi.spyOn(globalThis, 'clearInterval');
  const discard = vi.fn();
  try {
    const fails = sharing(() => ({ waiting: 0, write() {}, settle: async () => {}, finish: () => [], discard }));
    await expect(fails).rejects.toThrow(
      /^the system does not give \d+ MiB of memory, in which 2 engines share what they capture$/,
    );
    expect(clear.mock.calls).toEqual(set.mock.results.map(({ value }) => [value]));
    expect([set.mock.calls.length, discard.mock.calls.length]).toEqual([1, 1]);
    expect(threads.map(({ job, ended }) => [job, ended])).toEqual([
      [undefined, true],
      [undefined, true],
    ]);
  } finally {
    for (const spy of [Memory, set, clear]) spy.mockRestore();
  }
});

it('lets all go on until they are where the foremost is, when they are to leave off', async () => {
  const shared = sharing(undefined, () => true);
  await working();
  const [first, second] = threads as [Thread, Thread];
  await vi.waitUntil(() => new Signals(first.job.signals).leaving);
  first.tell({ kind: 'left', steps: 5, progress });
  expect(threads.map(({ heard }) => heard)).toEqual([[], []]);
  second.tell({ kind: 'left', steps: 4, progress: { flows: 1, of: 1 } });
  expect(threads.map(({ heard }) => heard)).toEqual([[5], [5]]);
  for (const thread of threads) thread.tell({ kind: 'done', done: DONE });
  expect((await shared).left).toEqual(progress);
});

it.each([
  ['first', [0, 1]],
  ['last', [1, 0]],
])('lets those in between end where the foremost of them is, when one is at the end, heard of %s', async (_, order) => {
  const shared = sharing(undefined);
  await working();
  for (const at of order)
    threads[at]?.tell(
      at === 0 ? { kind: 'left', steps: Infinity, progress: undefined } : { kind: 'left', steps: 4, progress },
    );
  expect(threads[1]?.heard).toEqual([4]);
  for (const thread of threads) thread.tell({ kind: 'done', done: DONE });
  expect((await shared).left).toBe(progress);
});

it.each(['before it has anything to do', 'while it works'])('says so when a thread ends %s', async (when) => {
  const discard = vi.fn();
  const fails = sharing(() => ({ waiting: 0, write() {}, settle: async () => {}, finish: () => [], discard }));
  if (when === 'while it works') await working();
  threads[1]?.emit('exit', 134);
  await expect(fails).rejects.toThrow('a worker ended early, with 134');
  expect(discard).toHaveBeenCalledOnce();
  expect(threads.map(({ ended }) => ended)).toEqual([true, true]);
});

it('a thread that the system refuses is an error that says which, and those before it end', () => {
  system.most = 2;
  try {
    expect(() => new Crew(5, [])).toThrow('thread 3 of 5 cannot be started: resource temporarily unavailable');
    expect(threads.map(({ ended }) => ended)).toEqual([true, true]);
  } finally {
    system.most = Number.POSITIVE_INFINITY;
  }
});
