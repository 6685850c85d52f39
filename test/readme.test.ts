import { parseStackFile, Swarm } from 'swarmwire';
import { expect, test } from 'vitest';

test('a request through the mesh leaves in VXLAN, two hops older', async () => {
  const { spec } = parseStackFile('services: { web: { image: nginx, ports: ["8080:80"] } }', { file: 'stack.yml' });
  const swarm = await Swarm.create(spec, { seed: 1 });
  swarm.tap('node2/host/eth0');
  const report = swarm.send({ kind: 'http', from: 'client', to: 'node2', port: 8080, path: '/', requests: 1 });
  expect(report.answeredBy).toBe('web.1 on node1');
  const [syn] = swarm.frames().filter((frame) => frame.field('vxlan.vni') === '4096');
  expect(syn?.all('ip.ttl')).toEqual(['64', '62']);
});

// What follows is not in the README.

import { readFileSync } from 'node:fs';

test('the README shows this very test', () => {
  const own = readFileSync(new URL(import.meta.url), 'utf8');
  const shown = own.slice(0, own.indexOf('\n// What follows'));
  expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(shown);
});
