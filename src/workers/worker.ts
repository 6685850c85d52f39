/**
 * One of the engines that share a run: it stands up the whole swarm, sends all that decides something and, of the loads, the
 * flows that are its own, captures these to a file of its own, and tells what came of it. Runs in a worker thread.
 */

import { parentPort, workerData } from 'node:worker_threads';
import type { CaptureFormat } from '../capture/files.js';
import { openCapture, PcapngFile } from '../capture/files.js';
import { OrderedRecording } from '../capture/ordered.js';
import { Recording } from '../capture/recording.js';
import type { Driver } from '../drivers/index.js';
import { type Progress, Swarm } from '../swarm/swarm.js';
import type { StackSpec } from '../topology/spec.js';
import { type Outcome, outcomeOf } from './outcome.js';

export interface Job {
  spec: StackSpec;
  seed: number;
  comments: boolean;
  index: number;
  count: number;
  /** Modules of network drivers, as URLs. */
  drivers: string[];
  /** Folder and name of its own capture; undefined: nothing is captured. */
  capture: { directory: string; name: string } | undefined;
  /** [0]: 1 once everybody is to leave off. */
  stop: SharedArrayBuffer;
}

export interface Part {
  outcome: Outcome;
  /** Its own capture. */
  file: string | undefined;
}

export type Told =
  | { kind: 'progress'; progress: Progress }
  /** It was told to leave off, and has done so many steps; it waits to hear until which one it is to go on. */
  | { kind: 'left'; steps: number; progress: Progress }
  | { kind: 'done'; part: Part }
  | { kind: 'failed'; name: string; message: string };

export const FORMAT: CaptureFormat = 'pcapng';
const MOST_WAITING = 32 << 20;
const TELL = 100;

const port = parentPort;
if (port) work(workerData as Job).then((part) => tell({ kind: 'done', part }), failed);

function tell(told: Told): void {
  port?.postMessage(told);
}

function failed(error: unknown): void {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  tell({ kind: 'failed', name, message });
}

async function work(job: Job): Promise<Part> {
  const { spec, seed, comments, index, count } = job;
  const drivers: Driver[] = [];
  for (const url of job.drivers)
    drivers.push(...([((await import(url)) as { default: Driver }).default].flat() as Driver[]));
  const swarm = await Swarm.create(spec, { seed, comments, drivers, shard: { index, count } });
  const { engine } = swarm;
  engine.onCapture = undefined;
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  if (job.capture) swarm.tapEverything();
  const file = job.capture && openCapture(FORMAT, job.capture.directory, job.capture.name, taps, { background: true });
  const recording =
    file &&
    (file instanceof PcapngFile && !comments ? new OrderedRecording(engine, file) : new Recording(engine, file));
  try {
    await play(swarm, new Int32Array(job.stop), async () => {
      if (file && file.waiting > MOST_WAITING) await file.settle(MOST_WAITING / 2);
    });
    recording?.finish();
    await file?.settle();
  } catch (error) {
    file?.discard();
    throw error;
  }
  const [written] = file?.finish() ?? [];
  return { outcome: outcomeOf(swarm, recording), file: written?.path };
}

/** Steps are the same everywhere: virtual time is the same after as many. */
async function play(swarm: Swarm, stop: Int32Array, look: () => Promise<void>): Promise<void> {
  const steps = swarm.playing();
  let done = 0;
  let last = Number.POSITIVE_INFINITY;
  let told = 0;
  for (let step = steps.next(); !step.done; step = steps.next()) {
    done++;
    await look();
    if (performance.now() - told > TELL) {
      told = performance.now();
      tell({ kind: 'progress', progress: step.value });
    }
    if (last === Number.POSITIVE_INFINITY && Atomics.load(stop, 0) === 1) {
      const answer = new Promise<number>((resolve) => port?.once('message', resolve));
      tell({ kind: 'left', steps: done, progress: step.value });
      last = await answer;
    }
    if (done >= last) {
      steps.return([]);
      return;
    }
  }
}
