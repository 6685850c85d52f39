/**
 * One run by several engines, a worker thread each (`worker.ts`). What comes of it is what one engine alone would have made, but for
 * the order of frames with equal times and the outer IP ids of tunnels, which count packets.
 */

import { Worker } from 'node:worker_threads';
import type { CaptureFile, WrittenFile } from '../capture/files.js';
import type { TapDescription } from '../capture/pcapng.js';
import { compile } from '../engine/engine.js';
import type { Account } from '../engine/index.js';
import type { Progress } from '../swarm/swarm.js';
import type { StackSpec } from '../topology/spec.js';
import { CaptureMerge, memoryFor } from './merge-captures.js';
import { mergeFlows } from './merge-reports.js';
import type { Outcome } from './outcome.js';
import { Signals } from './stream.js';
import type { Job, Told } from './worker.js';

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
  /** The capture of all; undefined: nothing is captured. */
  open: ((taps: () => readonly TapDescription[]) => CaptureFile) | undefined;
  onProgress: (progress: Progress) => void;
  /** Asked now and then: is it to leave off? */
  interrupted: () => boolean;
}

const LOOK = 50;

/**
 * Modules of worker.ts in one file (scripts/bundle-worker.mjs): a thread loads that in a quarter of the time. Drivers of a third party
 * import ours one by one, and are to meet the same ones.
 */
const BUNDLE = './bundled-worker.js';
const MODULES = './worker.js';

export async function share(options: ShareOptions): Promise<Shared> {
  const module = await compile();
  const crew = new Crew(options, module);
  const capture = options.open?.(() => crew.taps);
  try {
    const outcomes = await crew.outcomes(capture);
    const [first] = outcomes;
    if (!first) throw new Error('no worker has worked');
    return { outcome: merged(first, outcomes), files: capture?.finish() ?? [], left: crew.left };
  } catch (error) {
    await capture?.discard();
    throw error;
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

/** The workers, and what they say: they are there while `outcomes` waits for them. */
class Crew {
  readonly #workers: Worker[] = [];
  readonly #signals: Signals;
  readonly #steps: number[] = [];
  /** As many as anybody has told of: they are the same everywhere. */
  taps: readonly TapDescription[] = [];
  left: Progress | undefined;

  constructor(
    private readonly options: ShareOptions,
    private readonly module: WebAssembly.Module,
  ) {
    this.#signals = Signals.for(options.workers);
  }

  #start(index: number, records: WebAssembly.Memory | undefined): Worker {
    const { module } = this;
    const { spec, seed, comments, workers: count, drivers } = this.options;
    const { shared: signals } = this.#signals;
    const workerData: Job = { spec, seed, comments, drivers, index, count, records, module, signals };
    return new Worker(new URL(drivers.length > 0 ? MODULES : BUNDLE, import.meta.url), { workerData });
  }

  /** What came of each; what they have captured is in `capture` then. */
  async outcomes(capture: CaptureFile | undefined): Promise<Outcome[]> {
    const looking = setInterval(() => {
      if (this.options.interrupted()) this.#signals.leave();
    }, LOOK);
    const { workers: count } = this.options;
    const free = (engine: number, slot: number) => this.#signals.free(engine, slot);
    let refuse: (error: unknown) => void = () => {};
    const refused = new Promise<never>((_, reject) => {
      refuse = reject;
    });
    let merge: CaptureMerge | undefined;
    try {
      const records = capture && memoryFor(count);
      merge = capture && records && new CaptureMerge(records, count, capture, free, refuse);
      for (let index = 0; index < count; index++) this.#workers.push(this.#start(index, records));
      const all = Promise.all(this.#workers.map((worker, engine) => this.#outcome(worker, engine, merge)));
      const outcomes = await Promise.race([all, refused]);
      const [first] = outcomes;
      if (first) this.taps = first.taps;
      await merge?.finish();
      return outcomes;
    } finally {
      clearInterval(looking);
      merge?.stop();
      for (const worker of this.#workers) void worker.terminate();
    }
  }

  #outcome(worker: Worker, engine: number, merge: CaptureMerge | undefined): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`a worker ended early, with ${code}`)));
      worker.on('message', (told: Told) => {
        try {
          switch (told.kind) {
            case 'records':
              if (told.taps && told.taps.length > this.taps.length) this.taps = told.taps;
              merge?.add(engine, told.slot, told.length);
              break;
            case 'done':
              merge?.end(engine);
              resolve(told.outcome);
              break;
            case 'failed':
              reject(Object.assign(new Error(told.message), { name: told.name }));
              break;
            case 'progress':
              if (engine === 0) this.options.onProgress(told.progress);
              break;
            default:
              this.#leave(told.steps, told.progress);
          }
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** When all have left off, or are at the end, those in between go on until they are where the foremost of them is. */
  #leave(steps: number, progress: Progress | undefined): void {
    this.#steps.push(steps);
    const foremost = Math.max(...this.#steps.filter(Number.isFinite));
    if (steps === foremost) this.left = progress;
    if (this.#steps.length < this.#workers.length) return;
    for (const worker of this.#workers) worker.postMessage(foremost);
  }
}
