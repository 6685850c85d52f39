/**
 * One run by several engines, a worker thread each (`worker.ts`). What comes of it is what one engine alone would have made, but for
 * the order of frames with equal times and the outer IP ids of tunnels, which count packets.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CaptureFile, WrittenFile } from '../capture/files.js';
import type { Account } from '../engine/index.js';
import type { Progress } from '../swarm/swarm.js';
import type { StackSpec } from '../topology/spec.js';
import { mergeCaptures } from './merge-captures.js';
import { mergeFlows } from './merge-reports.js';
import type { Outcome } from './outcome.js';
import type { Job, Part, Told } from './worker.js';

export interface Shared {
  outcome: Outcome;
  files: WrittenFile[];
  /** Progress when it was told to leave off, if it was. */
  left: Progress | undefined;
}

export interface ShareOptions {
  spec: StackSpec;
  seed: number;
  comments: boolean;
  workers: number;
  /** URLs of modules. */
  drivers: string[];
  /** Where the engines' own captures are kept until they are merged. */
  directory: string;
  /** The capture of all, once the taps are known; undefined: nothing is captured. */
  open: ((taps: readonly { name: string; mtu: number }[]) => CaptureFile) | undefined;
  onProgress: (progress: Progress) => void;
  /** Asked now and then: is it to leave off? */
  interrupted: () => boolean;
}

const LOOK = 50;

export async function share(options: ShareOptions): Promise<Shared> {
  const { open, directory } = options;
  const own = open && mkdtempSync(join(directory, '.workers-'));
  try {
    const crew = new Crew(options, own);
    const parts = await crew.parts();
    const outcomes = parts.map(({ outcome }) => outcome);
    const [first] = outcomes;
    if (!first) throw new Error('no worker has worked');
    const capture = open?.(first.taps);
    if (capture) {
      try {
        await mergeCaptures(
          parts.flatMap(({ file }) => file ?? []),
          capture,
        );
      } catch (error) {
        capture.discard();
        throw error;
      }
    }
    return { outcome: merged(first, outcomes), files: capture?.finish() ?? [], left: crew.left };
  } finally {
    if (own) rmSync(own, { recursive: true, force: true });
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** All that is no load is the first engine's; counts are those of all. */
function merged(first: Outcome, all: readonly Outcome[]): Outcome {
  const place = new Map(first.taps.map(({ name }, at) => [name, at]));
  const placeOf = ({ device }: Outcome['drops'][number]) => place.get(device.path) ?? place.size;
  return {
    ...first,
    flows: mergeFlows(all.map(({ flows }) => flows)),
    account: accountOf(all),
    // By device, as one engine tells them.
    drops: all.flatMap(({ drops }) => drops).sort((a, b) => placeOf(a) - placeOf(b)),
    taps: first.taps.map((tap, at) => ({ ...tap, frames: sum(all.map(({ taps }) => taps[at]?.frames ?? 0)) })),
    frames: sum(all.map(({ frames }) => frames)),
    late: sum(all.map(({ late }) => late)),
    missed: sum(all.map(({ missed }) => missed)),
  };
}

function accountOf(all: readonly Outcome[]): Account {
  const of = (key: keyof Account) => sum(all.map(({ account }) => account[key]));
  return {
    made: of('made'),
    injected: of('injected'),
    generated: of('generated'),
    cloned: of('cloned'),
    delivered: of('delivered'),
    dropped: of('dropped'),
    inFlight: of('inFlight'),
  };
}

/** The workers, and what they say. */
class Crew {
  readonly #workers: Worker[];
  readonly #stop = new SharedArrayBuffer(4);
  readonly #steps: number[] = [];
  left: Progress | undefined;

  constructor(
    private readonly options: ShareOptions,
    directory: string | undefined,
  ) {
    const { spec, seed, comments, workers, drivers } = options;
    this.#workers = Array.from({ length: workers }, (_, index) => {
      const capture = directory === undefined ? undefined : { directory, name: String(index) };
      const workerData: Job = { spec, seed, comments, drivers, index, count: workers, capture, stop: this.#stop };
      return new Worker(new URL('./worker.js', import.meta.url), { workerData });
    });
  }

  async parts(): Promise<Part[]> {
    const looking = setInterval(() => {
      if (this.options.interrupted()) Atomics.store(new Int32Array(this.#stop), 0, 1);
    }, LOOK);
    try {
      return await Promise.all(this.#workers.map((worker) => this.#part(worker)));
    } finally {
      clearInterval(looking);
      for (const worker of this.#workers) void worker.terminate();
    }
  }

  #part(worker: Worker): Promise<Part> {
    return new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`a worker ended early, with ${code}`)));
      worker.on('message', (told: Told) => {
        if (told.kind === 'done') resolve(told.part);
        else if (told.kind === 'failed') reject(Object.assign(new Error(told.message), { name: told.name }));
        else if (told.kind === 'progress') {
          if (worker === this.#workers[0]) this.options.onProgress(told.progress);
        } else this.#leave(told.steps, told.progress);
      });
    });
  }

  /** When all have left off, they go on until they are where the foremost is. */
  #leave(steps: number, progress: Progress): void {
    this.#steps.push(steps);
    if (steps >= Math.max(...this.#steps)) this.left = progress;
    if (this.#steps.length < this.#workers.length) return;
    for (const worker of this.#workers) worker.postMessage(Math.max(...this.#steps));
  }
}
