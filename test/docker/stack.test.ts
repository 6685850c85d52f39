/** A stack file that is served: its firewall, its control plane and its changes are there, and it is told what Docker refuses. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Watch } from '../../src/capture/watch.js';
import { World } from '../../src/docker/world.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Served } from './served.js';

const STACK = `
services:
  web: { image: nginx, ports: ["8080:80"], deploy: { replicas: 3 } }
x-swarmwire:
  nodes: 3
  control-plane: true
  firewall:
    - { block: [2377/tcp], from: node3, to: node1 }
  changes:
    - { at: 1000, scale: { web: 1 } }
`;

let served: Served;
beforeAll(async () => {
  served = await Served.of(3, STACK);
}, 60_000);
afterAll(() => served.close());

test('a node that reaches no manager is in no swarm; the others are', async () => {
  const { json } = await served.ask('GET', '/nodes');
  expect((json as { Description: { Hostname: string } }[]).map(({ Description }) => Description.Hostname)).toEqual([
    'node1',
    'node2',
  ]);
});

test('the nodes speak on their ports', async () => {
  const { world } = served;
  const ports = new Set<number>();
  const device = world.namespace('node1/host').device('eth0');
  const watch = new Watch(world.engine, [device], ({ data }) => {
    if (data.length > 38 && data[12] === 8 && data[13] === 0) ports.add(((data[36] ?? 0) << 8) | (data[37] ?? 0));
  });
  expect(await world.until(() => ports.has(7946) && ports.has(2377))).toBe(true);
  watch.stop();
});

test('its changes come at their times', async () => {
  const { world } = served;
  const running = () =>
    [...(world.cluster.services.get('web')?.tasks ?? [])].filter(({ desired }) => desired === 'running').length;
  expect(await world.until(() => running() === 1)).toBe(true);
});

test('one that Docker refuses is said', async () => {
  const refused: string[] = [];
  const { spec } = parseStackFile(
    'services: { web: { image: nginx } }\nx-swarmwire: { changes: [{ at: 10, rollback: web }] }\n',
    { file: 'stack.yml', nodes: 1 },
  );
  const world = await World.create(spec, { seed: 1, onRefused: (words) => refused.push(words) });
  await world.until(() => refused.length > 0);
  world.close();
  expect(refused).toEqual([expect.stringMatching(/^docker service rollback web: .* does not have a previous spec$/)]);
});

test('a worker that reaches no manager gets no address of the swarm’s for a container, and runs others', async () => {
  const cut = await Served.of(
    2,
    'services: { web: { image: nginx, networks: [back] } }\nnetworks: { back: { attachable: true } }\nx-swarmwire: { nodes: 2, changes: [{ at: 10, lose: node1 }] }\n',
  );
  try {
    const { world } = cut;
    await world.until(() => world.cluster.node('node1').lost);
    await cut.ask('POST', '/images/create?fromImage=alpine&tag=latest', undefined, 2);
    const start = async (name: string, NetworkMode: string) => {
      const body = { Image: 'alpine', Cmd: ['sleep', '9'], HostConfig: { NetworkMode } };
      await cut.ask('POST', `/containers/create?name=${name}`, body, 2);
      return await cut.ask('POST', `/containers/${name}/start`, undefined, 2);
    };
    expect(await start('far', 'back')).toMatchObject({
      status: 500,
      json: { message: 'Could not attach to network back: context deadline exceeded' },
    });
    expect((await start('near', 'bridge')).status).toBe(204);
  } finally {
    cut.close();
  }
});
