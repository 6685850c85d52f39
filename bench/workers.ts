/**
 * Cores: a load through the mesh by one engine and by several, in turns, as `swarmwire run --workers` shares it. Beside the time
 * that passed stands the processor time of the threads: of the engine that took longest, and of the thread that merges.
 *
 *   npm run bench -- --workers 2 [--packets 1000000] [--flows 1000] [--disk DIRECTORY] [--turns 3] [--json]
 *
 * With --disk every tap is captured to that disk and merged there.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openCapture } from '../src/capture/files.js';
import { parseStackFile } from '../src/index.js';
import { Crew } from '../src/workers/crew.js';
import { share } from '../src/workers/share.js';

export interface WorkersResult {
  name: 'workers';
  workers: number;
  packets: number;
  captured: boolean;
  /** From nothing to the end of the run: threads started, swarms stood up, captures merged. Least of all turns. */
  seconds: number;
  secondsOfOne: number;
  /** How many times as fast as one. */
  gain: number;
  /** Processor seconds, where the system tells them of a thread: of the busiest engine, and of all. */
  engineSeconds: number;
  engineSecondsOfOne: number;
  mergeSeconds: number;
  cpuSeconds: number;
  cpuSecondsOfOne: number;
}

interface Taken {
  seconds: number;
  cpu: number;
  engine: number;
  merge: number;
}

function stack(packets: number, flows: number): string {
  return `services: {web: {image: nginx, ports: ["8080:80"], deploy: {replicas: 3}}}
x-swarmwire:
  traffic:
    - load: {to: "node1:8080", flows: ${flows}, packets: ${packets}, size: 64, rate: 100kpps}`;
}

/** Threads of this process by their numbers, and what they have had of a processor, in seconds. */
function threads(): Map<string, number> {
  const found = new Map<string, number>();
  try {
    for (const thread of readdirSync('/proc/self/task')) {
      const [ran = '0'] = readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ');
      found.set(thread, Number(ran) / 1e9);
    }
  } catch {
    // One has just ended; or not every system tells.
  }
  return found;
}

const LOOK = 20;

async function taken(workers: number, packets: number, flows: number, directory: string | undefined): Promise<Taken> {
  const { spec } = parseStackFile(stack(packets, flows), { file: 'workers.yml' });
  const before = threads();
  const last = new Map<string, number>();
  const look = () => {
    for (const [thread, seconds] of threads()) last.set(thread, seconds - (before.get(thread) ?? 0));
  };
  const looking = setInterval(look, LOOK);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const { outcome, files } = await share({
    spec,
    seed: 1,
    comments: false,
    crew: new Crew(workers, []),
    open:
      directory === undefined
        ? undefined
        : (taps) => openCapture('pcapng', directory, 'mesh', taps, { background: true }),
    onProgress: () => {},
    interrupted: () => false,
  }).finally(() => clearInterval(looking));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  look();
  for (const { path } of files) rmSync(path);
  if (!outcome.flows[0]?.ok) throw new Error(`the load did not arrive: ${outcome.flows[0]?.detail}`);
  const merge = last.get(String(process.pid)) ?? 0;
  // Threads that came meanwhile are the engines, and helpers of theirs, which have less to do.
  const engine = Math.max(0, ...[...last].filter(([thread]) => !before.has(thread)).map(([, ran]) => ran));
  return { seconds, cpu: (user + system) / 1e6, engine, merge };
}

export async function cores(
  workers: number,
  packets: number,
  flows: number,
  turns: number,
  parent: string | undefined,
): Promise<WorkersResult> {
  const directory = parent === undefined ? undefined : mkdtempSync(join(parent, 'swarmwire-workers-'));
  const one: Taken[] = [];
  const several: Taken[] = [];
  try {
    for (let turn = 0; turn < turns; turn++) {
      one.push(await taken(1, packets, flows, directory));
      several.push(await taken(workers, packets, flows, directory));
    }
  } finally {
    if (directory !== undefined) rmSync(directory, { recursive: true });
  }
  const least = (all: readonly Taken[], key: keyof Taken) =>
    Math.round(Math.min(...all.map((each) => each[key])) * 1000) / 1000;
  const [seconds, secondsOfOne] = [least(several, 'seconds'), least(one, 'seconds')];
  return {
    name: 'workers',
    workers,
    packets,
    captured: directory !== undefined,
    seconds,
    secondsOfOne,
    gain: Math.round((secondsOfOne / seconds) * 100) / 100,
    engineSeconds: least(several, 'engine'),
    engineSecondsOfOne: least(one, 'engine'),
    mergeSeconds: least(several, 'merge'),
    cpuSeconds: least(several, 'cpu'),
    cpuSecondsOfOne: least(one, 'cpu'),
  };
}
