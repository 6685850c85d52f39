/**
 * A million packets through the mesh with captures of every tap to disk, beside a loop of 1 MiB writes that puts as many bytes on
 * the same disk: both end with fsync. In turns; the ratio is that of the least times.
 *
 *   npm run bench -- --disk DIRECTORY [--packets 1000000] [--turns 3] [--json]
 */

import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openCapture, PcapngFile } from '../src/capture/files.js';
import { OrderedRecording } from '../src/capture/ordered.js';
import { parseStackFile, Swarm } from '../src/index.js';

const PIECE = 1 << 20;
const MOST_WAITING = 64 << 20;

export interface DiskResult {
  name: string;
  flows: number;
  size: number;
  frames: number;
  bytes: number;
  seconds: number;
  writeSeconds: number;
  ratioToWrites: number;
  nsPerPacket: number;
  /** Of all threads, of which the system's own share of the writes is part. */
  cpuSeconds: number;
}

function stack(packets: number, flows: number, size: number): string {
  return `services: {web: {image: nginx, ports: ["8080:80/udp"], deploy: {replicas: 3}}}
x-swarmwire:
  traffic:
    - load: {to: "node1:8080", protocol: udp, flows: ${flows}, packets: ${packets}, size: ${size}, rate: 100kpps}`;
}

function sync(path: string): void {
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
}

/** From the first packet on; the swarm stands already. */
async function captured(directory: string, packets: number, flows: number, size: number) {
  const { spec } = parseStackFile(stack(packets, flows, size), { file: 'disk.yml' });
  const swarm = await Swarm.create(spec);
  swarm.tapEverything();
  const { engine } = swarm;
  engine.onCapture = undefined;
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const capture = openCapture('pcapng', directory, 'mesh', taps, { background: true });
  if (!(capture instanceof PcapngFile)) throw new Error('no pcapng');
  const recording = new OrderedRecording(engine, capture);
  const start = performance.now();
  const before = process.cpuUsage();
  for (const _ of swarm.playing()) if (capture.waiting > MOST_WAITING) await capture.settle(MOST_WAITING / 2);
  recording.finish();
  await capture.settle();
  const [file] = capture.finish();
  if (!file || !swarm.reports[0]?.ok) throw new Error(`the load did not arrive: ${swarm.reports[0]?.detail}`);
  sync(file.path);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  rmSync(file.path);
  return { seconds, cpu: (user + system) / 1e6, bytes: file.bytes, frames: file.frames };
}

function written(directory: string, bytes: number): number {
  const path = join(directory, 'writes');
  const piece = new Uint8Array(PIECE).fill(0x78);
  const start = performance.now();
  const file = openSync(path, 'w');
  for (let left = bytes; left > 0; left -= PIECE) writeSync(file, piece, 0, Math.min(left, PIECE));
  fsyncSync(file);
  closeSync(file);
  const seconds = (performance.now() - start) / 1000;
  rmSync(path);
  return seconds;
}

export async function disk(parent: string, packets: number, turns: number): Promise<DiskResult> {
  const directory = mkdtempSync(join(parent, 'swarmwire-disk-'));
  const flows = 1000;
  const size = 64;
  const ours: number[] = [];
  const theirs: number[] = [];
  const cpu: number[] = [];
  let bytes = 0;
  let frames = 0;
  try {
    for (let turn = 0; turn < turns; turn++) {
      const one = await captured(directory, packets, flows, size);
      ({ bytes, frames } = one);
      ours.push(one.seconds);
      cpu.push(one.cpu);
      theirs.push(written(directory, bytes));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  const seconds = Math.min(...ours);
  const writeSeconds = Math.min(...theirs);
  return {
    name: 'mesh-captured-file',
    flows,
    size,
    frames,
    bytes,
    seconds,
    writeSeconds,
    ratioToWrites: Math.round((seconds / writeSeconds) * 100) / 100,
    nsPerPacket: Math.round((seconds * 1e9) / packets),
    cpuSeconds: Math.min(...cpu),
  };
}
