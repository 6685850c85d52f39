/** Captures of several engines become one while they come, however they are cut into pieces. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it, vi } from 'vitest';
import { type CaptureFormat, openCapture, pcapName } from '../../src/capture/files.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { readCapture } from '../../src/capture/read.js';
import { SLOTS, slotOf } from '../../src/engine/merge.js';
import { CaptureMerge, memoryFor } from '../../src/workers/merge-captures.js';

const folder = mkdtempSync(join(tmpdir(), 'swarmwire-merge-'));
afterAll(() => rmSync(folder, { recursive: true }));

const EPOCH = 1_767_225_600_000_000_000n;
const TAPS = ['node1/host/eth0', 'node1/ingress_sbox/eth0', 'node2/host/eth0'].map((name) => ({ name, mtu: 1500 }));

interface Frame {
  time: bigint;
  interface: number;
  data: Uint8Array;
}

/** Of one engine: in the order of time, then of taps, as it records them. */
const recorded = fc
  .array(
    fc.record({
      time: fc.bigInt({ min: 0n, max: 40n }).map((tick) => EPOCH + tick * 1_000_000_000n),
      interface: fc.nat({ max: TAPS.length - 1 }),
      // Short records are copied in another way than long ones.
      data: fc.oneof(
        fc.uint8Array({ minLength: 14, maxLength: 40 }),
        fc.uint8Array({ minLength: 90, maxLength: 130 }),
        fc.uint8Array({ minLength: 200, maxLength: 420 }),
      ),
    }),
    { maxLength: 40 },
  )
  .map((frames) => frames.sort(inOrder));

function inOrder(a: Frame, b: Frame): number {
  return a.time < b.time ? -1 : a.time > b.time ? 1 : a.interface - b.interface;
}

function piece(frames: readonly Frame[]): Uint8Array {
  return Buffer.concat(frames.map((frame) => enhancedPacketBlock({ ...frame, direction: 'received' })));
}

/** Each engine's frames in pieces of so many; whose piece comes next is drawn. */
async function merge(
  engines: readonly (readonly Frame[])[],
  cut: number,
  turns: readonly number[],
  format: CaptureFormat = 'pcapng',
) {
  const file = openCapture(format, folder, 'merged', () => TAPS, { background: true });
  const memory = memoryFor(engines.length);
  const free = engines.map(() => Array.from({ length: SLOTS }, (_, slot) => slot));
  const refused: unknown[] = [];
  const merging = new CaptureMerge(
    memory,
    engines.length,
    file,
    (engine, slot) => free[engine]?.unshift(slot),
    (error) => refused.push(error),
  );
  const left = engines.map((frames, engine) => ({ engine, frames: [...frames] }));
  let skipped = 0;
  for (let turn = 0; left.length > 0; turn++) {
    const at = ((turns[turn % turns.length] ?? 0) + skipped) % left.length;
    const [next] = left.slice(at, at + 1);
    if (!next) break;
    if (next.frames.length === 0) {
      merging.end(next.engine);
      left.splice(at, 1);
      continue;
    }
    const slot = free[next.engine]?.shift();
    if (slot === undefined) {
      // It waits for the others.
      skipped++;
      continue;
    }
    const records = piece(next.frames.splice(0, cut));
    slotOf(memory, next.engine, slot).set(records);
    merging.add(next.engine, slot, records.length);
  }
  await merging.finish();
  expect([free.map(({ length }) => length), refused]).toEqual([engines.map(() => SLOTS), []]);
  return file.finish();
}

const text = ({ time, interface: tap, data }: Frame) => `${time} ${tap} ${Buffer.from(data).toString('hex')}`;

it('puts all frames in the order of time, then of taps, then of engines', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(recorded, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 9 }),
      async (engines, cut, turns) => {
        const [file] = await merge(engines, cut, turns);
        const { frames, warnings } = readCapture(readFileSync(join(folder, 'merged.pcapng')));
        expect(warnings).toEqual([]);
        // Sorting keeps equal ones as they are: the first engine's first.
        expect(frames.map(text)).toEqual(engines.flat().sort(inOrder).map(text));
        expect(file?.frames).toBe(frames.length);
      },
    ),
    { numRuns: 60 },
  );
});

it('merges more than there is room for', async () => {
  const data = new Uint8Array(40_001);
  const frames = (engine: number) =>
    Array.from({ length: 180 }, (_, at) => ({ time: EPOCH + BigInt(at * 2 + engine), interface: 0, data }));
  const [file] = await merge([frames(0), frames(1)], 7, [0, 1, 1, 0, 0]);
  const merged = readCapture(readFileSync(join(folder, 'merged.pcapng'))).frames;
  expect(merged.map(({ time }) => time)).toEqual(Array.from({ length: 360 }, (_, at) => EPOCH + BigInt(at)));
  expect([file?.frames, merged.every((frame) => frame.data.length === data.length)]).toEqual([360, true]);
});

it('writes a file per tap as well', async () => {
  const frame = (tick: number, tap: number) => ({
    time: EPOCH + BigInt(tick),
    interface: tap,
    data: new Uint8Array(20).fill(tick),
  });
  const files = await merge(
    [
      [frame(1, 0), frame(4, 2)],
      [frame(2, 0), frame(3, 2)],
    ],
    1,
    [0, 1],
    'pcap',
  );
  expect(files.map(({ tap, frames }) => [tap, frames])).toEqual([
    ['node1/host/eth0', 2],
    ['node2/host/eth0', 2],
  ]);
  const { frames } = readCapture(readFileSync(join(folder, 'merged', pcapName('node2/host/eth0'))));
  expect(frames.map(({ data }) => data[0])).toEqual([3, 4]);
});

it('tells what the disk has refused while it waited for it', async () => {
  const full = new Error('no space is left on the disk');
  const settle = () => Promise.reject(full);
  const target = { waiting: 65 << 20, write() {}, settle, finish: () => [], discard: async () => {} };
  const error = await new Promise((refused) => {
    const memory = memoryFor(1);
    const merging = new CaptureMerge(memory, 1, target, () => {}, refused);
    const records = piece([{ time: EPOCH, interface: 0, data: new Uint8Array(20) }]);
    slotOf(memory, 0, 0).set(records);
    merging.add(0, 0, records.length);
  });
  expect(error).toBe(full);
});

it('writes nothing more when it is stopped', () => {
  const write = vi.fn();
  const target = { waiting: 0, write, settle: async () => {}, finish: () => [], discard: async () => {} };
  const memory = memoryFor(1);
  const merging = new CaptureMerge(
    memory,
    1,
    target,
    () => {},
    () => {},
  );
  const records = piece([{ time: EPOCH, interface: 0, data: new Uint8Array(20) }]);
  for (const slot of [0, 1]) {
    slotOf(memory, 0, slot).set(records);
    merging.add(0, slot, records.length);
    expect(write).toHaveBeenCalledOnce();
    merging.stop();
  }
});
