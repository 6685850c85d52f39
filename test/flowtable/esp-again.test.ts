/** ESP packets that come in as a vector: their sums, which are of what is sealed, are not taken for those of what is in them. */

import { expect, it } from 'vitest';
import type { Engine } from '../../src/engine/index.js';
import { overlayLife } from './overlay-life.js';
import { ENCRYPTED } from './topologies.js';

const COUNT = 100;
const AGAIN = 32;
const STRIDE = 512;
const EPB = 6;

it('are fast on both sides of the cipher', async () => {
  let engines: Engine[] = [];
  let before = 0;
  const again = (engine: Engine) => {
    engines = [...engines, engine];
    const nic = engine.namespaces.get('node2/host')?.device('eth0');
    if (!nic) throw new RangeError('no such node');
    const kept: Uint8Array[] = [];
    const keep = engine.onCapture;
    engine.onCapture = (records) => {
      const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
      for (let at = 0; at < records.length; at += view.getUint32(at + 4, true)) {
        if (view.getUint32(at, true) !== EPB || engine.taps[view.getUint32(at + 8, true)] !== nic) continue;
        const frame = records.slice(at + 28, at + 28 + view.getUint32(at + 20, true));
        // What comes in, not what leaves.
        if (frame[23] === 50 && frame[33] === Number(nic.address?.split('.')[3])) kept.push(frame);
      }
      keep?.(records);
    };
    engine.at(engine.now + 5e8, () => {
      engine.drain();
      const frames = engine.exports.scratch(AGAIN * (STRIDE + 4)) >>> 0;
      const lengths = frames + AGAIN * STRIDE;
      const { bytes, view } = engine.memory;
      before = engine.exports.fastPackets();
      expect(kept.length).toBeGreaterThanOrEqual(AGAIN);
      for (const [i, frame] of kept.slice(-AGAIN).entries()) {
        bytes.set(frame, frames + i * STRIDE);
        view.setUint32(lengths + 4 * i, frame.length, true);
      }
      engine.exports.receiveBatch(nic.at, frames, lengths, STRIDE, AGAIN);
    });
  };
  const life = (fast: boolean) =>
    overlayLife({ fast, spec: ENCRYPTED, count: COUNT, size: (i) => 20 + (i % 60), happens: again });
  const [slow, quick] = [await life(false), await life(true)];
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.answers).toBe(COUNT + 3 + AGAIN);
  // In and out of the cipher; the answer into it, out, in and out.
  expect((engines[1]?.exports.fastPackets() ?? 0) - before).toBe(6 * AGAIN);
});
