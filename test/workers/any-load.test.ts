/** Loads drawn at random, with other traffic between and changes meanwhile: several engines make of them what one does. */

import fc from 'fast-check';
import { it } from 'vitest';
import { Random } from '../../bench/fuzz/random.js';
import { lives, PATIENCE } from '../flowtable/lives.js';
import { bridge, compare, mesh, routed } from './shares.js';

/** From whom to where, and what changes meanwhile. */
interface Place {
  stack: (traffic: string, options: { options?: string; more?: string }) => string;
  from: string[];
  tcp: string[];
  udp: string[];
  besides: string[];
  changes: string[];
}

const MESH: Place = {
  stack: mesh,
  from: ['client', 'client, sources: 192.168.99.128/28', 'api', 'node1', '[client, node2]', '[api, node3]'],
  tcp: ['node1:8080', 'node3:8080', 'node2:8080', 'node2:7777'],
  udp: ['node1:9090', 'node3:9090', 'node2:9090', 'node2:7777'],
  besides: ['ping: { to: node3 }', 'http: { to: "node2:8080" }', 'http: { from: api, to: "web:80" }'],
  changes: [
    'scale: { web: 1 }',
    'scale: { web: 4 }',
    'scale: { api: 1 }',
    'kill: web.1',
    'exit: web.2',
    'drain: node2',
    'activate: node2',
    'lose: node3',
    'restore: node3',
  ],
};
const SERVICE: Place = {
  ...MESH,
  from: ['api', '[api.1, api.2]', 'api.1'],
  tcp: ['web:80'],
  udp: ['web:90', 'web:77'],
};
const BRIDGE: Place = {
  stack: bridge,
  from: ['client', 'node1', '[client, node1]'],
  tcp: ['node1:8080', '[fd00:99::10]:8080', 'node1:7777'],
  udp: ['node1:9090', '[fd00:99::10]:9090', '[fd00:99::10]:7777'],
  besides: ['ping: { to: node1 }', 'http: { to: "node1:8080" }', 'ping: { from: other, to: 172.30.0.2 }'],
  changes: ['kill: web', 'start: web', 'stop: web', 'disconnect: { network: near, container: other }', 'kill: third'],
};
const BESIDE: Place = {
  ...BRIDGE,
  from: ['other', 'third', '[third, other]'],
  tcp: ['172.30.0.2:80', 'web:80', 'third:80'],
  udp: ['172.30.0.2:90', 'web:90'],
};
const ROUTED: Place = {
  stack: routed,
  from: ['one'],
  tcp: ['192.168.51.10:80'],
  udp: ['192.168.51.10:90'],
  besides: ['ping: { from: one, to: 192.168.51.10 }'],
  changes: ['kill: two', 'lose: node2'],
};

function load(place: Place, random: Random): string {
  const udp = random.chance(0.5);
  const flows = random.between(1, 9);
  const rate = random.pick([1, 3, 10, 30, 200, 5000]);
  const packets = Math.min(random.between(1, 60) * flows, rate * random.between(5, 60), 300);
  const size = random.pick([
    'size: 64',
    'size: 64',
    'size: 400',
    'size: 1500',
    'imix: { 60: 3, 500: 1 }',
    'imix: true',
  ]);
  return `load: { from: ${random.pick(place.from)}, to: "${random.pick(udp ? place.udp : place.tcp)}", protocol: ${udp ? 'udp' : 'tcp'},
    flows: ${flows}, packets: ${packets}, ${size}, rate: ${rate}${random.pick(['', '', 'kbps'])}, arrivals: ${random.pick(['constant', 'poisson'])},
    answered: ${random.chance(0.4)}${random.chance(0.3) ? `, at: ${random.below(60_000)}` : ''} }`;
}

function drawn(random: Random): string {
  const place = random.pick([MESH, MESH, SERVICE, BRIDGE, BESIDE, ROUTED]);
  const traffic = [load(place, random)];
  while (random.chance(0.5)) traffic.push(random.chance(0.6) ? load(place, random) : random.pick(place.besides));
  const changes: string[] = [];
  while (random.chance(0.5)) changes.push(`{ at: ${random.between(1000, 40_000)}, ${random.pick(place.changes)} }`);
  const options = random.chance(0.1) ? 'driver_opts: { encrypted: "" }' : '';
  return place.stack(traffic.map((one) => `{ ${one} }`).join(', '), {
    options,
    more: `changes: [${changes.join(', ')}]${place.stack === mesh ? ',' : ''}`,
  });
}

it(
  'comes of any load what comes of it by one engine',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const random = new Random(seed);
        await compare(drawn(random), { counts: [random.pick([2, 2, 3, 4])] });
      }),
      lives(12, 1),
    );
  },
  PATIENCE,
);
