/**
 * Loads with the flow table and without, made by one engine or by one of several that share it, each of which captures and counts its
 * own flows alone: frames, counters, connections and the load's books are the same.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { parseStackFile, Swarm } from '../../src/index.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();

const MESH = `
services:
  web:
    image: nginx
    ports: ["8080:80", "9090:90/udp"]
    networks: [net1]
    deploy: {replicas: 3}
  api: {image: api, networks: [net1], deploy: {replicas: 2}}
networks: {net1: {DRIVER}}
x-swarmwire:
  nodes: 3
  traffic:
`;
const ENCRYPTED = MESH.replace('DRIVER', 'driver: overlay, driver_opts: {encrypted: ""}');
const OVER_IPV6 = `
networks:
  near: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: 172.30.0.0/16 }, { subnet: "fd00:30::/64" }] } }
x-swarmwire:
  engine: "28"
  nodes: [{ name: node1, address6: "fd00:99::10/64" }]
  client: { address6: "fd00:99::1/64" }
  containers:
    web: { image: nginx, networks: { near: { ipv6_address: "fd00:30::b" } }, ports: ["8080:80", "9090:90/udp"] }
    other: { networks: [near] }
  traffic:
`;

interface Shard {
  index: number;
  count: number;
}

async function play(stack: string, load: string, shard: Shard, fast: boolean, tapped: boolean) {
  const { spec } = parseStackFile(`${stack.replace('DRIVER', '')}    - load: {${load}}\n`, { file: 'load.yml' });
  const swarm = await Swarm.create(spec, { seed: 1, module, shard });
  const { engine } = swarm;
  engine.exports.setFlowTable(fast ? 1 : 0);
  const seen: string[] = [];
  const keep = engine.onCapture;
  engine.onCapture = (records) => {
    seen.push(`captured ${records.length} ${digest(records)}`);
    keep?.(records);
  };
  if (tapped) swarm.tapEverything();
  const [report] = swarm.play();
  engine.drain();
  seen.push(JSON.stringify(report?.load), ...books(engine), ...state(engine));
  return { seen, fast: engine.exports.fastPackets(), sent: report?.load?.sent.packets ?? 0 };
}

const WHOLE: Shard = { index: 0, count: 1 };
const HALVES: Shard[] = [
  { index: 0, count: 2 },
  { index: 1, count: 2 },
];

// Packets of flows for each that is sent: there, back, and at each namespace's end.
it.each<[string, number, string, string]>([
  ['through the mesh', 4.4, MESH, 'to: "node1:8080", flows: 30, packets: 900, rate: 20000, answered: true'],
  [
    'through the mesh, at random times',
    3,
    MESH,
    'to: "node1:8080", flows: 9, packets: 900, rate: 2000, arrivals: poisson',
  ],
  [
    'of datagrams',
    4,
    MESH,
    'to: "node1:9090", protocol: udp, flows: 30, packets: 900, imix: {64: 3, 1000: 1}, answered: true',
  ],
  ['that runs into timeouts', 0.5, MESH, 'to: "node1:9090", protocol: udp, flows: 8, packets: 60, rate: 1pps'],
  [
    'of packets that are too big',
    0.7,
    MESH,
    'to: "node1:9090", protocol: udp, flows: 4, packets: 100, imix: {64: 1, 1514: 1}',
  ],
  ['to a virtual IP', 2.9, MESH, 'from: web, to: "api:80", flows: 12, packets: 900, rate: 20000, answered: true'],
  [
    'through an encrypted overlay',
    6,
    ENCRYPTED,
    'from: web, to: "api:80", flows: 12, packets: 900, rate: 20000, answered: true',
  ],
  ['over IPv6', 2.9, OVER_IPV6, 'from: client, to: "[fd00:99::10]:8080", flows: 20, packets: 900, answered: true'],
  [
    'of datagrams over IPv6',
    2.8,
    OVER_IPV6,
    'from: client, to: "[fd00:99::10]:9090", protocol: udp, flows: 20, packets: 900, answered: true',
  ],
  [
    'between containers over IPv6',
    1.4,
    OVER_IPV6,
    'from: other, to: "[fd00:30::b]:80", flows: 5, packets: 900, size: 100',
  ],
])('a load %s', async (_, least, stack, load) => {
  for (const tapped of [false, true])
    for (const shard of [WHOLE, ...HALVES]) {
      const slow = await play(stack, load, shard, false, tapped);
      const quick = await play(stack, load, shard, true, tapped);
      expect(quick.seen).toEqual(slow.seen);
      expect(slow.fast).toBe(0);
      expect(quick.seen.filter((line) => line.startsWith('captured')).length > 0).toBe(tapped);
      expect(quick.fast).toBeGreaterThan(least * quick.sent);
    }
});

it('takes connections to tasks on other nodes the fast way when the first was to one on its own', async () => {
  const flows = 400;
  const load = `to: "node1:8080", flows: ${flows}, packets: ${3 * flows}, rate: 20000`;
  const { spec } = parseStackFile(`${MESH.replace('DRIVER', '')}    - load: {${load}}\n`, { file: 'load.yml' });
  const swarm = await Swarm.create(spec, { seed: 1, module });
  swarm.play();
  const { exports } = swarm.engine;
  // Each connection has some four flows; a few are recorded for the others to follow.
  expect(exports.flows()).toBeGreaterThan(4 * flows);
  expect(exports.flows() - exports.followed()).toBeLessThan(flows / 4);
});
