/** Padded frames take the fast way, too, and are counted and captured as on the slow one. */

import { expect, it } from 'vitest';
import { establish, flowOf } from '../../bench/flows.js';
import { ACK, control, fromClient } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, concat, udp, udpOver4 } from '../../bench/headers.js';
import { udpOver6 } from '../../bench/headers6.js';
import { Mesh } from '../../bench/mesh.js';
import { Engine } from '../../src/engine/index.js';
import { books, state } from './seen.js';

const module = await checkedModule();

async function life(fast: boolean, padded: 'first' | 'later') {
  const mesh = await Mesh.create(true, module);
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

/** Datagrams to a macvlan of another namespace than its NIC's: it sees the padding, too. */
async function upon(fast: boolean, v6: boolean) {
  const engine = await Engine.create({ module, seed: 1 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const nic = engine
    .namespace('host')
    .addPhysical('eth0', engine.segment(1000), { mac: '02:00:00:00:00:01', mtu: 1500 });
  const inside = engine.namespace('inside');
  const mac = '02:00:00:00:00:02';
  const macvlan = inside.addMacvlan('eth0', { lower: nic, mac, mtu: 1500 });
  if (v6) inside.ipv6.enable(macvlan);
  inside.addAddress(macvlan, v6 ? 'fd00::2/64' : '10.0.0.2/24', v6 ? { nodad: true } : {});
  inside.addForeignSocket('udp', { address: v6 ? '::' : '0.0.0.0', port: 80 });
  const text = udp(4000, 80, new Uint8Array(4));
  const frame = v6
    ? udpOver6(mac, '02:00:00:00:00:03', 'fd00::3', 'fd00::2', text)
    : udpOver4(mac, '02:00:00:00:00:03', addressNumber('10.0.0.3'), addressNumber('10.0.0.2'), text);
  for (const bytes of [0, 0, 0, 0, 6, 6, 0, 0]) {
    engine.receive(nic, concat(frame, new Uint8Array(bytes)));
    engine.run(engine.now + 1e6);
  }
  expect(macvlan.counters.rxBytes).toBe(8 * frame.length + 12);
  return { seen: [...books(engine), ...state(engine)], fast: engine.exports.fastPackets() };
}

it.each([
  ['IPv4', false],
  ['IPv6', true],
] as const)('when it is for a macvlan, over %s', async (_, v6) => {
  const [slow, quick] = [await upon(false, v6), await upon(true, v6)];
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.fast).toBeGreaterThan(3);
});
