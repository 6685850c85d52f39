/** What dockerd itself has open on a node, and says of ports that are taken. */

import { afterEach, describe, expect, test } from 'vitest';
import { ipLink } from '../../src/views/index.js';
import { on, Served } from './served.js';

let served: Served | undefined;
afterEach(() => served?.close());

describe('the ports of a swarm', () => {
  test('are open on nodes that are in it: 2377 on managers, 7946 on all', async () => {
    served = await Served.of(2);
    const { world } = served;
    const listening = async (node: string) =>
      [
        ...(await on(world, node, 'netstat -tulpn')).out.matchAll(/^(\S+) +0 +0 +(\S+:(?:2377|7946)) .* (\S+) *$/gm),
      ].map((row) => row.slice(1).join(' '));
    expect(await listening('node1')).toEqual([]);
    world.cluster.swarmInit('node1');
    world.cluster.swarmJoin('node2', 'worker');
    expect(await listening('node1')).toEqual([
      'tcp6 :::2377 614/dockerd',
      'tcp6 :::7946 614/dockerd',
      'udp6 :::7946 614/dockerd',
    ]);
    expect(await listening('node2')).toEqual(['tcp6 :::7946 614/dockerd', 'udp6 :::7946 614/dockerd']);
    world.cluster.nodeUpdate('node2', { role: 'manager' });
    expect(await listening('node2')).toContain('tcp6 :::2377 614/dockerd');
    world.cluster.swarmLeave('node2', true);
    expect(await listening('node2')).toEqual([]);
  });
});

describe('a port that is taken', () => {
  test.each([
    [
      '20.10',
      /^driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/,
    ],
    [
      '28',
      /^failed to set up container networking: driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/,
    ],
  ] as const)('is told of with its endpoint by engine %s', async (engine, words) => {
    served = await Served.of(1, `services: {}\nx-swarmwire: { engine: "${engine}" }\n`);
    const url = served.url();
    const post = async (path: string, body?: unknown) => {
      const answer = await fetch(url + path, {
        method: 'POST',
        ...(body ? { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } } : {}),
      });
      const text = await answer.text();
      return { status: answer.status, text };
    };
    await post('/images/create?fromImage=nginx&tag=latest');
    for (const name of ['first', 'second']) {
      const wish = { Image: 'nginx', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } } };
      expect((await post(`/containers/create?name=${name}`, wish)).status).toBe(201);
    }
    expect((await post('/containers/first/start')).status).toBe(204);
    const { status, text } = await post('/containers/second/start');
    expect(status).toBe(500);
    expect((JSON.parse(text) as { message: string }).message).toMatch(words);
  });
});

test('the numbers of a veth and of its other end agree in ip link on both sides', async () => {
  served = await Served.of(1);
  const { world } = served;
  for (const name of ['a1', 'a2', 'a3']) {
    const made = world.cluster.containerCreate({
      name,
      node: 'node1',
      image: 'nginx',
      networks: [],
      ports: [],
      exposes: [],
      links: [],
    });
    world.cluster.containerStart(made);
  }
  world.cluster.containerRemove(world.cluster.container('a2'), true);
  const host = (await on(world, 'node1', 'ip link')).out;
  for (const name of ['a1', 'a3']) {
    const [, own, other] = /^(\d+): eth0@if(\d+):/m.exec(ipLink(world.namespace(`node1/ct-${name}`))) ?? [];
    expect(host).toMatch(new RegExp(`^${other}: veth[0-9a-f]{7}@if${own}:`, 'm'));
  }
});
