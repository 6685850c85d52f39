/**
 * One of the engines that share a run: it stands up the whole swarm, sends all that decides something and, of the loads, the
 * flows that are its own, hands over what it has captured of these, and tells what came of it. Runs in a worker thread.
 */

import { parentPort } from 'node:worker_threads';
import { OrderedRecording } from '../capture/ordered.js';
import { Recording } from '../capture/recording.js';
import type { Driver } from '../drivers/index.js';
import { type Progress, Swarm } from '../swarm/swarm.js';
import type { StackSpec } from '../topology/spec.js';
import { type Common, type Counts, commonOf, countsOf } from './outcome.js';
import { CaptureStream, Signals } from './stream.js';

export interface Job {
  spec: StackSpec;
  seed: number;
  comments: boolean;
  index: number;
  count: number;
  /** Modules of network drivers, as URLs. */
  drivers: readonly string[];
  /** Where captured records go, if any are; all threads share it. */
  records: WebAssembly.Memory | undefined;
  /** The engine, compiled. */
  module: WebAssembly.Module;
  signals: SharedArrayBuffer;
}

export type Told =
  | { kind: 'progress'; progress: Progress }
  /**
   * It was told to leave off, and has done so many steps; it waits to hear until which one it is to go on. Each says so once: whoever
   * is at the end, told or not, with infinitely many, and waits for nothing.
   */
  | { kind: 'left'; steps: number; progress: Progress | undefined }
  /** So many bytes of captured frames are in that slot; with them the taps, if there are more than before. */
  | { kind: 'records'; slot: number; length: number; taps?: { name: string; mtu: number }[] }
  | { kind: 'done'; done: Done }
  | { kind: 'failed'; name: string; message: string };

export interface Done {
  counts: Counts;
  /** The first engine's. */
  common: Common | undefined;
}

/** Seconds. `performance` would have a thread load ten modules of Node's first. */
const TELL = 0.1;

const port = parentPort;
port?.once('message', (job: Job) => work(job).then((done) => tell({ kind: 'done', done }), failed));

function tell(told: Told): void {
  port?.postMessage(told);
}

function failed(error: unknown): void {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  tell({ kind: 'failed', name, message });
}

async function work(job: Job): Promise<Done> {
  const { spec, seed, comments, index, count, module } = job;
  const drivers: Driver[] = [];
  for (const url of job.drivers)
    drivers.push(...([((await import(url)) as { default: Driver }).default].flat() as Driver[]));
  const swarm = await Swarm.create(spec, { seed, comments, drivers, module, shard: { index, count } });
  const { engine } = swarm;
  engine.onCapture = undefined;
  if (job.records) swarm.tapEverything();
  const signals = new Signals(job.signals);
  const stream = job.records && new CaptureStream(index, signals, job.records, handOver(swarm));
  const recording = stream && (comments ? new Recording(engine, stream) : new OrderedRecording(engine, stream));
  await play(swarm, signals);
  recording?.finish();
  stream?.finish();
  return { counts: countsOf(swarm, recording), common: index === 0 ? commonOf(swarm) : undefined };
}

function handOver({ engine }: Swarm): (slot: number, length: number) => void {
  let told = 0;
  return (slot, length) => {
    const news = engine.taps.length > told;
    told = engine.taps.length;
    const taps = news ? { taps: engine.taps.map(({ path, mtu }) => ({ name: path, mtu })) } : {};
    tell({ kind: 'records', slot, length, ...taps });
  };
}

/** Steps are the same everywhere: virtual time is the same after as many. */
async function play(swarm: Swarm, signals: Signals): Promise<void> {
  const steps = swarm.playing();
  let done = 0;
  let last = Number.POSITIVE_INFINITY;
  let hasLeft = false;
  let told = 0;
  for (let step = steps.next(); !step.done; step = steps.next()) {
    done++;
    if (process.uptime() - told > TELL) {
      told = process.uptime();
      tell({ kind: 'progress', progress: step.value });
    }
    if (!hasLeft && signals.leaving) {
      hasLeft = true;
      const answer = new Promise<number>((resolve) => port?.once('message', resolve));
      tell({ kind: 'left', steps: done, progress: step.value });
      last = await answer;
    }
    if (done >= last) {
      steps.return([]);
      return;
    }
  }
  if (!hasLeft) tell({ kind: 'left', steps: Number.POSITIVE_INFINITY, progress: undefined });
}
