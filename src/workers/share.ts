/**
 * One run by several engines, a worker thread each (`worker.ts`). What comes of it is what one engine alone would have made, but for
 * the order of frames with equal times and the outer IP ids of tunnels, which count packets.
 */

import type { CaptureFile, WrittenFile } from '../capture/files.js';
import type { TapDescription } from '../capture/pcapng.js';
import { compile } from '../engine/compile.js';
import type { Account } from '../engine/index.js';
import type { Progress } from '../swarm/swarm.js';
import type { StackSpec } from '../topology/spec.js';
import type { Crew } from './crew.js';
import { CaptureMerge, memoryFor } from './merge-captures.js';
import { mergeFlows } from './merge-reports.js';
import type { Counts, Outcome } from './outcome.js';
import { Signals } from './stream.js';
import type { Done, Told } from './worker.js';

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
  /** Threads that do nothing else. They end with what they share. */
  crew: Crew;
  /** The capture of all; undefined: nothing is captured. */
  open: ((taps: () => readonly TapDescription[]) => CaptureFile) | undefined;
  onProgress: (progress: Progress) => void;
  /** Asked now and then: is it to leave off? */
  interrupted: () => boolean;
}

const LOOK = 50;

export async function share(options: ShareOptions): Promise<Shared> {
  const { crew } = options;
  let capture: CaptureFile | undefined;
  try {
    const sharing = new Sharing(options, crew);
    capture = options.open?.(() => sharing.taps);
    const outcome = merged(await sharing.done(capture));
    return { outcome, files: capture?.finish() ?? [], left: sharing.left };
  } catch (error) {
    await capture?.discard();
    throw error;
  } finally {
    void crew.dismiss();
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** All that is no load is the first engine's; counts are those of all. */
function merged(done: readonly Done[]): Outcome {
  const [one] = done;
  if (!one?.common) throw new Error('the first engine has not said what came of it');
  const all = done.map(({ counts }) => counts);
  const first = one.counts;
  const place = new Map(first.taps.map(({ name }, at) => [name, at]));
  const placeOf = ({ device }: Counts['drops'][number]) => place.get(device.path) ?? place.size;
  return {
    ...one.common,
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

export function accountOf(all: readonly Counts[]): Account {
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

/** What the threads say, and what is done about it. */
class Sharing {
  readonly #signals: Signals;
  readonly #steps: number[] = [];
  /** As many as anybody has told of: they are the same everywhere. */
  taps: readonly TapDescription[] = [];
  left: Progress | undefined;

  constructor(
    private readonly options: ShareOptions,
    private readonly crew: Crew,
  ) {
    this.#signals = Signals.for(crew.size);
  }

  /** What came of each; what they have captured is in `capture` then. */
  async done(capture: CaptureFile | undefined): Promise<Done[]> {
    const looking = setInterval(() => {
      if (this.options.interrupted()) this.#signals.leave();
    }, LOOK);
    const { spec, seed, comments } = this.options;
    const { size: count } = this.crew;
    const free = (engine: number, slot: number) => this.#signals.free(engine, slot);
    let refuse: (error: unknown) => void = () => {};
    const refused = new Promise<never>((_, reject) => {
      refuse = reject;
    });
    let merge: CaptureMerge | undefined;
    try {
      const records = capture && memoryFor(count);
      merge = capture && records && new CaptureMerge(records, count, capture, free, refuse);
      const job = { spec, seed, comments, records, module: await compile(), signals: this.#signals.shared };
      const all = this.crew.work(job, (engine, told) => this.#hear(engine, told, merge));
      const done = await Promise.race([all, refused]);
      const [first] = done;
      if (first) this.taps = first.counts.taps;
      await merge?.finish();
      return done;
    } finally {
      clearInterval(looking);
      merge?.stop();
    }
  }

  #hear(engine: number, told: Told, merge: CaptureMerge | undefined): void {
    switch (told.kind) {
      case 'records':
        if (told.taps && told.taps.length > this.taps.length) this.taps = told.taps;
        merge?.add(engine, told.slot, told.length);
        break;
      case 'done':
        merge?.end(engine);
        break;
      case 'progress':
        if (engine === 0) this.options.onProgress(told.progress);
        break;
      case 'left':
        this.#leave(told.steps, told.progress);
        break;
      default:
    }
  }

  /** When all have left off, or are at the end, those in between go on until they are where the foremost of them is. */
  #leave(steps: number, progress: Progress | undefined): void {
    this.#steps.push(steps);
    const foremost = Math.max(...this.#steps.filter(Number.isFinite));
    if (steps === foremost) this.left = progress;
    if (this.#steps.length === this.crew.size) this.crew.send(foremost);
  }
}
