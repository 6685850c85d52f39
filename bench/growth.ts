/**
 * What growth costs: swarms of more and more containers that stand up, a process each, and packets of the mesh over more and more
 * flows (the row `mesh` of `main.ts`). Drawn as charts into a folder.
 *
 *   npm run bench -- --growth docs [--containers 500,1000,2000,5000,10000] [--flows 1000,…,1000000]
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseStackFile, Swarm } from '../src/index.js';
import { svg } from './chart.js';

const NODES = 100;
/** A stack of a service with so many replicas, on a network of its own. */
const STACK = 20;

export interface SetUp {
  name: 'setup';
  containers: number;
  nodes: number;
  seconds: number;
  cpuSeconds: number;
  msPerContainer: number;
  /** Resident, of the whole process. */
  mebibytes: number;
}

/** In this process: it is to be a fresh one. */
export async function setUp(containers: number): Promise<SetUp> {
  const stacks = Array.from({ length: Math.round(containers / STACK) }, (_, at) => at);
  const text = [
    'services:',
    ...stacks.map((at) => `  web${at}: {image: nginx, networks: [net${at}], deploy: {replicas: ${STACK}}}`),
    'networks:',
    ...stacks.map((at) => `  net${at}: {}`),
    `x-swarmwire: {nodes: ${NODES}}`,
  ].join('\n');
  const { spec } = parseStackFile(text, { file: 'growth.yml' });
  const start = performance.now();
  const before = process.cpuUsage();
  const swarm = await Swarm.create(spec);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const tasks = swarm.topology.sandboxes.filter(({ kind }) => kind === 'task').length;
  if (tasks !== stacks.length * STACK) throw new Error(`${tasks} tasks stand, ${containers} were asked for`);
  return {
    name: 'setup',
    containers,
    nodes: NODES,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    msPerContainer: (seconds * 1000) / containers,
    mebibytes: Math.round(process.memoryUsage().rss / 1024 / 1024),
  };
}

function again(...options: string[]): { results: unknown[] } {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const out = execFileSync(process.execPath, [main, '--json', ...options], { maxBuffer: 1 << 26 });
  return JSON.parse(out.toString()) as { results: unknown[] };
}

export function growth(folder: string, containers: readonly number[], flows: string): object[] {
  const stood = containers.map((count) => again('--containers', String(count)).results[0] as SetUp);
  writeFileSync(
    join(folder, 'setup.svg'),
    svg({
      title: `Standing up containers on ${NODES} nodes`,
      x: 'containers',
      y: 'ms a container (processor time)',
      points: stood.map(({ containers: x, cpuSeconds }) => ({ x, y: (cpuSeconds * 1000) / x })),
    }),
  );
  const rows = again('--only', 'mesh', '--size', '64', '--turns', '2', '--flows', flows).results as {
    flows: number;
    nsPerPacket: number;
  }[];
  const [least] = rows;
  writeFileSync(
    join(folder, 'flows.svg'),
    svg({
      title: 'A packet through the mesh, by the number of flows',
      x: 'flows',
      y: 'ns a packet',
      points: rows.map(({ flows: x, nsPerPacket: y }) => ({ x, y })),
      ...(least ? { goal: { y: 2 * least.nsPerPacket, name: `twice that at ${least.flows} flows` } } : {}),
    }),
  );
  return [...stood, ...rows];
}
