/**
 * Two published ports of one container, and a client that asks both from one port of its own: the answers would look alike, so
 * conntrack gives one of the connections another source port (nf_nat_used_tuple), whatever is opened by example.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { Engine, Sockets } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES } from './topologies.js';

const module = await checkedModule();
const MILLISECOND = 1e6;
const CLIENTS = [5000, 5001, 5002, 5003, 5004, 5005];

async function life(fast: boolean, turns: (say: (port: number) => void) => void) {
  const engine = await Engine.create({ module, seed: 1, captureBuffer: 4 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const [near] = TWO_NODES.containers ?? [];
  if (!near) throw new RangeError('no container');
  const ports = [9090, 9091].map((published) => ({ published, target: 80, protocol: 'udp' as const }));
  const { topology } = plan({ ...TWO_NODES, containers: [{ ...near, ports }] }, 1);
  const { namespaces } = realize(engine, topology, { latency: 50_000 });
  const sockets = new Sockets(engine);
  const seen: string[] = [];
  engine.onCapture = (records) => seen.push(`capture ${records.length} ${digest(records)}`);
  const client = namespaces.get('client/host');
  const task = namespaces.get(`node1/${topology.sandboxes.find(({ kind }) => kind === 'container')?.name}`);
  if (!client || !task) throw new RangeError('nobody is there');
  client.device('eth0').tap();
  task.device('eth0').tap();
  sockets.openUdp(task, 80, ({ from, data, time }, socket) => socket.send(from, data, sockets.after(time)));
  const node = topology.nodes[0]?.nic.addresses[0]?.split('/')[0] ?? '';
  const own = CLIENTS.map((port) =>
    sockets.openUdp(client, port, ({ from, time }) => seen.push(`${port} ${from.port} ${time}`)),
  );
  turns((port) => {
    for (const socket of own) {
      socket.send({ address: node, port }, new Uint8Array(20), engine.now);
      engine.run(engine.now + MILLISECOND, (punted) => sockets.handle(punted));
    }
  });
  seen.push(...books(engine), ...state(engine), `searches ${engine.exports.natPortSearches()}`);
  return { seen, fast: engine.exports.fastPackets(), searches: engine.exports.natPortSearches() };
}

it.each([
  ['at once', [9090, 9091, 9090, 9091]],
  ['when both ports are known', [9090, 9090, 9091, 9091, 9090, 9091]],
  ['the other way round', [9091, 9090, 9091, 9090, 9090]],
])('tells them apart, %s', async (_, order) => {
  const happens = (say: (port: number) => void) => order.forEach(say);
  const [slow, quick] = [await life(false, happens), await life(true, happens)];
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.searches).toBeGreaterThan(0);
  expect(quick.fast).toBeGreaterThan(0);
});
