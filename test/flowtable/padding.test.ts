/** Padded frames take the fast way, too, and are counted and captured as on the slow one. */

import { expect, it } from 'vitest';
import { establish, flowOf } from '../../bench/flows.js';
import { ACK, control, fromClient } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { concat } from '../../bench/headers.js';
import { Mesh } from '../../bench/mesh.js';

const module = await checkedModule();

async function life(fast: boolean, padded: 'first' | 'later', handled = false) {
  const mesh = await Mesh.create(true, module);
  // Who stands on the NIC sees the padding, too.
  if (handled)
    mesh.namespace('node1/host').addMacvlan('mv0', { lower: mesh.nic, mac: '02:00:00:00:cc:77', mtu: 1500 }).tap();
  mesh.engine.exports.setFlowTable(fast ? 1 : 0);
  await establish(mesh, 'tcp', 4, undefined);
  mesh.collect(false);
  const before = mesh.engine.exports.fastPackets();
  const seen: unknown[] = [];
  const pad = (frame: Uint8Array, bytes: number) => concat(frame, new Uint8Array(bytes));
  for (let turn = 0; turn < 6; turn++) {
    const frames = [0, 1, 2, 3].map((i) => {
      const flow = flowOf(mesh, 'tcp', i);
      const plain = control(flow, mesh.macs, ACK);
      if (i === 3) return fromClient(flow, mesh.macs, 300, ACK);
      return (turn === 0) === (padded === 'first') ? pad(plain, 6 * i) : plain;
    });
    for (const frame of mesh.pass(frames)) seen.push(Buffer.from(frame).toString('hex'));
    mesh.collect(false);
    const { exports, memory } = mesh.engine;
    const at = exports.orderedAt() >>> 0;
    seen.push(exports.orderedRecords(), Buffer.from(memory.bytes.slice(at, at + 4000)).toString('hex'));
    for (const device of mesh.engine.devices) seen.push([device.path, device.counters]);
  }
  return { seen, fast: mesh.engine.exports.fastPackets() - before };
}

it.each(['first', 'later'] as const)('when what is padded comes %s', async (padded) => {
  const slow = await life(false, padded);
  const quick = await life(true, padded);
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.fast).toBe(0);
  expect(quick.fast).toBeGreaterThanOrEqual(20);
});

it('when a macvlan stands on the device that it comes in by', async () => {
  const [slow, quick] = [await life(false, 'later', true), await life(true, 'later', true)];
  expect(quick.seen).toEqual(slow.seen);
});
