/** Batches of frames from outside: all of them come in, whatever slots they need. */

import { expect, it } from 'vitest';
import { Engine } from '../../src/engine/index.js';

/** Frames of these lengths, all for somebody else, arrive in one call: how many have come in, and the books. */
async function arrive(lengths: readonly number[], stride: number) {
  const engine = await Engine.create({ seed: 1 });
  const segment = engine.segment(1);
  const nic = engine.namespace('node1/host').addPhysical('eth0', segment, { mac: '02:00:00:00:00:01', mtu: 65535 });
  nic.up = true;
  const { exports, memory } = engine;
  const frames = exports.scratch(lengths.length * stride) >>> 0;
  const table = exports.scratch(lengths.length * 4) >>> 0;
  lengths.forEach((length, i) => {
    memory.bytes.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0], frames + i * stride);
    memory.view.setUint32(table + 4 * i, length, true);
  });
  const came = exports.receiveBatch(nic.at, frames, table, stride, lengths.length);
  return { came, ...engine.account };
}

it('takes more frames than there are large slots', async () => {
  expect(await arrive(Array(20).fill(9000), 9216)).toMatchObject({ came: 20, injected: 20, dropped: 20, inFlight: 0 });
});

it('ends at a frame that is longer than any slot, and says so', async () => {
  expect(await arrive([64, 64, 70_000, 64], 70_144)).toMatchObject({ came: 2, injected: 2, dropped: 2, inFlight: 0 });
});
