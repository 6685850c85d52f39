/**
 * Cores: a load through the mesh by one engine and by several, in turns, as `swarmwire run --workers` shares it. Beside the time
 * that passed stands the processor time of the threads, of one more run of each: of the engine that took longest, and of the
 * thread that merges.
 *
 *   npm run bench -- --workers 2 [--packets 1000000,4000000] [--flows 1000] [--disk DIRECTORY] [--turns 3] [--json]
 *
 * With --disk every tap of a million packets is captured to that disk and merged there.
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

interface Processors {
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

interface Load {
  packets: number;
  flows: number;
  /** Where it is captured. */
  directory: string | undefined;
}

/** Seconds from nothing to the end of a run by so many engines. */
async function taken(workers: number, { packets, flows, directory }: Load): Promise<number> {
  const { spec } = parseStackFile(stack(packets, flows), { file: 'workers.yml' });
  const start = performance.now();
  const crew = new Crew(workers, []);
  const { outcome, files } = await share({
    spec,
    seed: 1,
    comments: false,
    crew,
    open:
      directory === undefined
        ? undefined
        : (taps) => openCapture('pcapng', directory, 'mesh', taps, { background: true }),
    onProgress: () => {},
    interrupted: () => false,
  });
  const seconds = (performance.now() - start) / 1000;
  for (const { path } of files) rmSync(path);
  if (!outcome.flows[0]?.ok) throw new Error(`the load did not arrive: ${outcome.flows[0]?.detail}`);
  // The next run has the processors for itself.
  await crew.dismiss();
  return seconds;
}

const LOOK = 20;

/** What such a run has of processors: asked while it runs, which takes some of them, too. */
async function processors(workers: number, load: Load): Promise<Processors> {
  const before = threads();
  const last = new Map<string, number>();
  const look = () => {
    for (const [thread, seconds] of threads()) last.set(thread, seconds - (before.get(thread) ?? 0));
  };
  const looking = setInterval(look, LOOK);
  const cpuBefore = process.cpuUsage();
  await taken(workers, load).finally(() => clearInterval(looking));
  const { user, system } = process.cpuUsage(cpuBefore);
  look();
  const merge = last.get(String(process.pid)) ?? 0;
  // Threads that came meanwhile are the engines, and helpers of theirs, which have less to do.
  const engine = Math.max(0, ...[...last].filter(([thread]) => !before.has(thread)).map(([, ran]) => ran));
  return { cpu: (user + system) / 1e6, engine, merge };
}

export async function cores(
  workers: number,
  packets: number,
  flows: number,
  turns: number,
  parent: string | undefined,
): Promise<WorkersResult> {
  const directory = parent === undefined ? undefined : mkdtempSync(join(parent, 'swarmwire-workers-'));
  const load = { packets, flows, directory };
  const one: number[] = [];
  const several: number[] = [];
  try {
    for (let turn = 0; turn < turns; turn++) {
      one.push(await taken(1, load));
      several.push(await taken(workers, load));
    }
    const alone = await processors(1, load);
    const shared = await processors(workers, load);
    const [seconds, secondsOfOne] = [Math.min(...several), Math.min(...one)];
    return {
      name: 'workers',
      workers,
      packets,
      captured: directory !== undefined,
      seconds: rounded(seconds, 3),
      secondsOfOne: rounded(secondsOfOne, 3),
      gain: rounded(secondsOfOne / seconds, 2),
      engineSeconds: rounded(shared.engine, 3),
      engineSecondsOfOne: rounded(alone.engine, 3),
      mergeSeconds: rounded(shared.merge, 3),
      cpuSeconds: rounded(shared.cpu, 3),
      cpuSecondsOfOne: rounded(alone.cpu, 3),
    };
  } finally {
    if (directory !== undefined) rmSync(directory, { recursive: true });
  }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
