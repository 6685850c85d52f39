/** `--workers N`: what comes of a run is the same for any N, but for the order of equal times and the outer IP id of tunnels. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/read.js';
import { swarmwire } from '../cli/command.js';
import { masked } from './masked.js';

const folder = mkdtempSync(join(tmpdir(), 'swarmwire-workers-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SERVICES = `services:
  web: { image: nginx, networks: [net1], ports: ["8080:80", "9090:90/udp"], deploy: { replicas: 3 } }
  api: { image: api, networks: [net1], deploy: { replicas: 2 } }
networks: { net1: {} }
x-swarmwire:`;
const CONTAINERS6 = `networks:
  near: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: 172.30.0.0/16 }, { subnet: "fd00:30::/64" }] } }
x-swarmwire:
  engine: "28"
  nodes: [{ name: node1, address6: "fd00:99::10/64" }]
  client: { address6: "fd00:99::1/64" }
  containers:
    web: { image: nginx, networks: [near], ports: ["8080:80", "9090:90/udp"] }
    other: { networks: [near] }`;
const STACK = (traffic: string, swarm = SERVICES) => `${swarm}
  traffic:
${traffic
  .trim()
  .split('\n')
  .map((line) => `    - ${line.trim()}`)
  .join('\n')}
`;

interface Run {
  report: {
    flows: unknown[];
    drops: unknown;
    frames: unknown;
    captures: { frames: number; interfaces: unknown; late: number };
  };
  frames: string[];
  sorted: boolean;
}

function run(name: string, traffic: string, swarm: string, workers: number): Run {
  const file = join(folder, `${name}.yml`);
  writeFileSync(file, STACK(traffic, swarm));
  const out = join(folder, `${name}-${workers}`);
  const { code, out: text, err } = swarmwire(['run', file, '--json', '--workers', String(workers), '--out', out]);
  expect([code, err]).toEqual([0, '']);
  const { frames } = readCapture(readFileSync(join(out, `${name}.pcapng`)));
  expect(readdirSync(out)).toEqual([`${name}.pcapng`]);
  const report = JSON.parse(text) as Run['report'];
  return {
    report,
    frames: frames
      .map((frame) => `${frame.time} ${frame.interface} ${frame.direction} ${masked(frame.data).toString('hex')}`)
      .sort(),
    sorted: frames.every(({ time }, at) => at === 0 || time >= (frames[at - 1]?.time ?? 0n)),
  };
}

describe.each([
  ['tcp', 'load: { to: "node1:8080", flows: 23, packets: 4000, rate: 50kpps }', SERVICES],
  [
    'mixed',
    `http: { to: "node2:8080" }
     load: { to: "node2:9090", protocol: udp, flows: 40, packets: 3000, imix: { 60: 3, 500: 1 }, rate: 40kpps, arrivals: poisson, answered: true }
     ping: { to: node3 }
     load: { from: api, to: "web:80", flows: 9, packets: 1500, rate: 30kpps, answered: true, arrivals: poisson }
     http: { to: "node1:8080" }`,
    SERVICES,
  ],
  [
    'ipv6',
    `load: { to: "[fd00:99::10]:8080", flows: 23, packets: 2000, rate: 50kpps, answered: true }
     ping: { from: other, to: web }
     load: { to: "[fd00:99::10]:9090", protocol: udp, flows: 40, packets: 2000, imix: { 60: 3, 500: 1 }, rate: 40kpps, arrivals: poisson }
     load: { from: other, to: "web:80", flows: 9, packets: 1500, rate: 30kpps }
     http: { to: "[fd00:99::10]:8080" }`,
    CONTAINERS6,
  ],
])('%s traffic', (name, traffic, swarm) => {
  it('is the same by one engine, by two and by three', () => {
    const one = run(name, traffic, swarm, 1);
    expect(one.frames.length).toBeGreaterThan(10_000);
    for (const workers of [2, 3]) {
      const several = run(name, traffic, swarm, workers);
      expect(several.sorted).toBe(true);
      expect(several.frames.length).toBe(one.frames.length);
      expect(several.frames.findIndex((frame, at) => frame !== one.frames[at])).toBe(-1);
      expect(several.report.flows).toEqual(one.report.flows);
      expect(several.report.drops).toEqual(one.report.drops);
      expect(several.report.frames).toEqual(one.report.frames);
      expect(several.report.captures.interfaces).toEqual(one.report.captures.interfaces);
      expect(several.report.captures.late).toBe(0);
    }
  }, 120_000);
});

it('says what is wrong with a stack file as one engine does', () => {
  const file = join(folder, 'wrong.yml');
  writeFileSync(
    file,
    STACK('load: { to: "node1:8080", flows: 3 }').replace(
      'net1: {}',
      'net1: { ipam: { config: [{ subnet: 10.9.0.0/30 }] } }',
    ),
  );
  const one = swarmwire(['run', file], { cwd: folder });
  const two = swarmwire(['run', file, '--workers', '2'], { cwd: folder });
  expect([two.code, two.err]).toEqual([one.code, one.err]);
  expect(one.code).toBe(2);
});
