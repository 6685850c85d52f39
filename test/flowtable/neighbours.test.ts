/** A neighbour that is confirmed again ages anew, sooner perhaps than it would have: flows by it know. */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ethernet, ipv4, macBytes, put32, TYPE_ARP, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { type Device, Engine } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES } from './topologies.js';

const module = await checkedModule();
const SECOND = 1e9;

async function life(fast: boolean, seed: number) {
  const engine = await Engine.create({ module, seed, captureBuffer: 8 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const { topology } = plan(TWO_NODES, 1);
  const { namespaces } = realize(engine, topology, { latency: 1 });
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`captured ${records.length} ${digest(records)}`);
  const web = topology.sandboxes.find(({ name }) => name.includes('near1'));
  const [endpoint] = web?.endpoints ?? [];
  const eth0 = namespaces.get(`${web?.node}/${web?.name}`)?.device('eth0');
  const host = namespaces.get('node1/host');
  const nic = host?.device('eth0');
  const client = namespaces.get('client/host')?.device('eth0');
  const bridge = eth0?.peer?.master;
  if (!eth0 || !nic || !client || !bridge || !endpoint) throw new RangeError('no such container');
  eth0.namespace.addForeignSocket('udp', { address: '0.0.0.0', port: 80 });
  for (const device of [eth0, bridge]) device.tap();
  const own = addressNumber(client.address ?? '');
  const datagram = ethernet(
    macBytes(nic.mac),
    macBytes(client.mac),
    TYPE_IPV4,
    ipv4(
      { source: own, destination: addressNumber(nic.address ?? ''), protocol: UDP, fragment: 0x4000 },
      udp(40_000, 9090, new Uint8Array(18)),
    ),
  );
  const reply = new Uint8Array(28);
  reply.set([0, 1, 8, 0, 6, 4, 0, 2, ...macBytes(eth0.mac)]);
  put32(reply, 14, addressNumber(hostPart(endpoint.address)));
  reply.set(macBytes(bridge.mac), 18);
  put32(reply, 24, addressNumber(bridge.address ?? ''));
  const says = ethernet(macBytes(bridge.mac), macBytes(eth0.mac), TYPE_ARP, reply);
  for (let second = 0; second < 50; second++) {
    engine.receive(nic, datagram);
    if (second === 3) engine.receive(eth0.peer as Device, says);
    engine.run(engine.now + SECOND);
    seen.push(...state(engine));
  }
  return { seen: [...seen, ...books(engine)], fast: engine.exports.fastPackets() };
}

it('a neighbour that is confirmed again is stale when its last answer has run out', async () => {
  for (const seed of [1, 2, 3, 4]) {
    const [slow, quick] = [await life(false, seed), await life(true, seed)];
    expect(quick.seen).toEqual(slow.seen);
    expect(quick.fast).toBeGreaterThan(25);
  }
});
