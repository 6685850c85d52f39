/**
 * ESP packets that come in pieces: what is in them has come in one piece once it has left its tunnel, and is not cut by whoever
 * forwards it afterwards, with the flow table as without.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import {
  addressNumber,
  concat,
  ethernet,
  get16,
  ipv4,
  macBytes,
  put16,
  seal,
  TYPE_IPV4,
  UDP,
  udp,
} from '../../bench/headers.js';
import { type Device, Engine, type Namespace } from '../../src/engine/index.js';
import { PORT, protect } from '../engine/protect.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const [NODE1, NODE2] = [
  { mac: '52:54:00:00:00:01', address: '10.1.0.1' },
  { mac: '52:54:00:00:00:02', address: '10.1.0.2' },
];
const TASK = { mac: '02:42:0a:00:00:02', address: '10.0.0.2' };
const ROUTER = { mac: '02:42:0a:00:00:03', address: '10.0.0.3' };
const FAR = '10.2.0.9';
const mac = (n: number) => `02:00:00:00:00:0${n}`;
const ETHERNET = 14;
const EPB = 6;

/** A tunnel between two nodes, by ESP; behind the one a task, behind the other a router that leads to a wire, where another router is. */
async function life(fast: boolean) {
  const engine = await Engine.create({ module, seed: 1, captureBuffer: 4 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const wire = engine.segment(1000);
  const [one, two] = [NODE1, NODE2].map(({ mac: own, address }, i) => {
    const host = engine.namespace(`node${i + 1}/host`);
    const nic = host.addPhysical('eth0', wire, { mac: own, mtu: 1500 });
    host.addAddress(nic, `${address}/24`);
    host.iptables.append('filter', 'INPUT', { states: ['INVALID'], target: 'DROP' });
    return { host, nic };
  });
  if (!one || !two) throw new RangeError('no two nodes');
  one.host.addNeighbour(one.nic, NODE2.address, NODE2.mac);
  two.host.addNeighbour(two.nic, NODE1.address, NODE1.mac);
  protect(one.host, NODE1.address, NODE2.address, 1, 2);
  protect(two.host, NODE2.address, NODE1.address, 2, 1);
  const overlay = (host: Namespace, node: number, inside: Namespace, own: typeof TASK): Device => {
    const namespace = engine.namespace(`node${node}/overlay`);
    const vxlan = namespace.addVxlan('vxlan0', { mac: mac(1), mtu: 1400, vni: 4097, port: PORT, underlay: host });
    const link = { namespace, name: 'veth0', mac: mac(2), mtu: 1400 };
    const [eth0, veth] = inside.addVeth('eth0', { mac: own.mac, mtu: 1400 }, link);
    inside.addAddress(eth0, `${own.address}/24`);
    const bridge = namespace.addBridge('br0', { mac: mac(1), mtu: 1400 });
    for (const port of [vxlan, veth]) namespace.addPort(bridge, port);
    const [to, at] = node === 1 ? [ROUTER, NODE2] : [TASK, NODE1];
    namespace.addVxlanFdb(vxlan, to.mac, at.address);
    return veth;
  };
  const router = engine.namespace('node2/router');
  const into = overlay(one.host, 1, engine.namespace('node1/task'), TASK);
  overlay(two.host, 2, router, ROUTER);
  const [beyond, last] = [engine.segment(1000), engine.segment(1000)];
  const out = router.addPhysical('eth1', beyond, { mac: mac(3), mtu: 1500 });
  router.addAddress(out, '10.3.0.1/24');
  router.set('forward', 1);
  const next = engine.namespace('far/router');
  const eth0 = next.addPhysical('eth0', beyond, { mac: mac(4), mtu: 1500 });
  const eth1 = next.addPhysical('eth1', last, { mac: mac(5), mtu: 1500 });
  next.addAddress(eth0, '10.3.0.2/24');
  next.addAddress(eth1, '10.2.0.1/24');
  next.set('forward', 1);
  // It looks at each packet for itself.
  next.iptables.append('filter', 'FORWARD', { u32: '0&0xFFFF=0:0xFFFF', target: 'NONE' });
  engine.namespace('far/host').addPhysical('eth0', last, { mac: mac(6), mtu: 1500 });
  router.addNeighbour(out, '10.3.0.2', mac(4));
  router.addRoute('10.2.0.0/24', out, '10.3.0.2');
  next.addNeighbour(eth1, FAR, mac(6));
  const seen: string[] = [];
  const kept: Uint8Array[] = [];
  engine.onCapture = (records) => {
    seen.push(`captured ${records.length} ${digest(records)}`);
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let at = 0; at < records.length; at += view.getUint32(at + 4, true)) {
      if (view.getUint32(at, true) !== EPB) continue;
      const frame = records.slice(at + 28, at + 28 + view.getUint32(at + 20, true));
      if (frame[23] === 50) kept.push(frame);
    }
  };
  for (const device of [two.nic, eth1]) device.tap();
  const run = () => engine.run(engine.now + 1e6);
  const says = (size: number) => {
    const ends = { source: addressNumber(TASK.address), destination: addressNumber(FAR), protocol: UDP };
    const packet = ipv4({ ...ends, fragment: 0 }, udp(40_000, 80, new Uint8Array(size)));
    engine.receive(into, ethernet(macBytes(ROUTER.mac), macBytes(TASK.mac), TYPE_IPV4, packet));
    run();
  };
  for (let i = 0; i < 6; i++) says(1000);
  engine.drain();
  const [esp = new Uint8Array()] = kept;
  for (const first of [400, 800, 800, 400]) {
    for (const piece of pieces(esp, first)) engine.receive(two.nic, piece);
    run();
    engine.receive(two.nic, esp);
    run();
  }
  engine.drain();
  return {
    seen: [...seen, ...books(engine), ...state(engine)],
    fast: engine.exports.fastPackets(),
    left: eth1.counters.txPackets,
  };
}

function pieces(frame: Uint8Array, first: number): Uint8Array[] {
  const start = ETHERNET + 20;
  const piece = (bytes: Uint8Array, offset: number) => {
    const one = concat(frame.slice(0, start), bytes);
    put16(one, ETHERNET + 2, one.length - ETHERNET);
    put16(one, ETHERNET + 6, offset);
    return seal(one, ETHERNET);
  };
  const end = ETHERNET + get16(frame, ETHERNET + 2);
  return [piece(frame.slice(start, start + first), 0x2000), piece(frame.slice(start + first, end), first / 8)];
}

it('leave their tunnel whole', async () => {
  const [slow, quick] = [await life(false), await life(true)];
  expect(quick.seen).toEqual(slow.seen);
  expect([quick.left, slow.left]).toEqual([14, 14]);
  expect(slow.fast).toBe(0);
  expect(quick.fast).toBeGreaterThan(15);
});
