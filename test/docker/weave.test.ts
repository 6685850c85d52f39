/** The command `weave` on nodes that are served: routers, their connections, and containers on them. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { World } from '../../src/docker/world.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { ipAddr, ipLink } from '../../src/views/index.js';
import { expectConserved } from '../engine/watch.js';
import { on as onNode } from './served.js';

let world: World;

beforeEach(async () => {
  const { spec } = parseStackFile('services: {}\n', { file: 'weave', nodes: 3 });
  world = await World.create({ ...spec, swarm: false }, { seed: 1 });
});
afterEach(() => {
  expectConserved(world.engine);
  world.close();
});

const on = (node: string, line: string) => onNode(world, node, line);
const said = async (node: string, line: string) => (await on(node, line)).out.trim();

function container(name: string, node: string): void {
  const made = world.cluster.containerCreate({
    name,
    node,
    image: 'alpine',
    networks: [],
    ports: [],
    exposes: [],
    links: [],
  });
  world.configOf(made).openStdin = true;
  world.cluster.containerStart(made);
}
async function reaches(from: string, address: string): Promise<boolean> {
  const found = world.cluster.container(from);
  const started = world.computerOf(found)?.run(['ping', '-c', '1', '-W', '4', address]);
  await world.until(() => started?.task.done === true);
  return started?.task.value === 0;
}

describe('weave', () => {
  test('routers are connected where one was told of the other, before it came or after it', async () => {
    await on('node1', 'weave launch 192.168.99.111');
    expect(await said('node1', 'weave status connections')).toBe('');
    await on('node2', 'weave launch');
    expect(await said('node1', 'weave status connections')).toMatch(
      /^-> 192\.168\.99\.111:6783 +established fastdp (?:[0-9a-f]{2}:){5}[0-9a-f]{2}\(node2\) mtu=1376$/,
    );
    expect(await said('node2', 'weave status connections')).toMatch(/^<- 192\.168\.99\.110:6783 /);
  });

  test('who is known by others is connected to as well', async () => {
    for (const node of ['node1', 'node2', 'node3']) await on(node, 'weave launch');
    for (const [node, name] of [
      ['node1', 'a1'],
      ['node3', 'a3'],
    ] as const) {
      container(name, node);
      await on(node, `weave attach 10.0.1.${node.slice(-1)}/24 ${name}`);
    }
    expect(await reaches('a1', '10.0.1.3')).toBe(false);
    await on('node1', 'weave connect node2');
    expect(await reaches('a1', '10.0.1.3')).toBe(false);
    await on('node3', 'weave connect 192.168.99.111:6783');
    expect(await reaches('a1', '10.0.1.3')).toBe(true);
    expect(await said('node1', 'weave status')).toContain('Peers: 3 (with 6 established connections)');
    await on('node2', 'weave stop');
    expect(await reaches('a1', '10.0.1.3')).toBe(false);
  });

  test('gives the lowest address that nobody has on any node, and takes it back', async () => {
    await on('node1', 'weave launch');
    await on('node2', 'weave launch node1');
    container('a1', 'node1');
    container('a2', 'node2');
    expect(await said('node1', 'weave attach a1')).toBe('10.32.0.1');
    expect(await said('node2', 'weave attach a2')).toBe('10.32.0.2');
    expect(await said('node1', 'weave expose')).toBe('10.32.0.3');
    expect(await reaches('a2', '10.32.0.1')).toBe(true);
    expect(await reaches('a2', '10.32.0.3')).toBe(true);
    expect(await said('node1', 'weave ps')).toMatch(
      /^weave:expose \S+ 10\.32\.0\.3\/12\n[0-9a-f]{12} \S+ 10\.32\.0\.1\/12$/,
    );
    expect(await said('node2', 'weave detach a2')).toBe('10.32.0.2');
    expect(ipAddr(world.namespace('node2/ct-a2'))).not.toContain('ethwe');
    expect(await reaches('a1', '10.32.0.2')).toBe(false);
  });

  test('a container that stops leaves the bridge as it was; a reset leaves nothing', async () => {
    const before = ipLink(world.namespace('node1/host'));
    await on('node1', 'weave launch');
    const launched = ipLink(world.namespace('node1/host'));
    container('a1', 'node1');
    await on('node1', 'weave attach 10.0.1.1/24 a1');
    expect(ipLink(world.namespace('node1/host'))).toContain('vethwepl');
    world.cluster.containerRemove(world.cluster.container('a1'), true);
    expect(names(ipLink(world.namespace('node1/host')))).toEqual(names(launched));
    container('a2', 'node1');
    await on('node1', 'weave attach 10.0.1.1/24 a2');
    await on('node1', 'weave reset');
    expect(ipAddr(world.namespace('node1/ct-a2'))).not.toContain('ethwe');
    world.cluster.containerRemove(world.cluster.container('a2'), true);
    expect(names(ipLink(world.namespace('node1/host')))).toEqual(names(before));
    expect(await said('node1', 'iptables -t nat -S')).not.toContain('WEAVE');
  });

  test('refuses in words what it cannot do', async () => {
    for (const [line, words] of [
      ['weave attach 10.0.1.1/24 a1', /No such container: a1/],
      ['weave expose', /weave is not running on this host/],
      ['weave status', /weave container is not present/],
      ['weave expose 10.0.1.300/24', /^Invalid CIDR: 10\.0\.1\.300\/24/],
      ['weave launch nowhere', /lookup nowhere: no such host/],
      ['weave launch --password x', /--password is not simulated/],
      ['weave expose foo', /^Usage:/],
      ['weave hide foo', /^Usage:/],
      ['weave launch --ipalloc-range 999.0.0.0/8', /^Invalid CIDR: 999\.0\.0\.0\/8/],
      ['weave launch --ipalloc-range=10.0.0.0/40', /^Invalid CIDR: 10\.0\.0\.0\/40/],
      ['weave dance', /Unknown weave command 'dance'/],
    ] as const) {
      const { status, out } = await on('node1', line);
      expect([line, status]).toEqual([line, 1]);
      expect(out).toMatch(words);
    }
    await on('node1', 'weave launch');
    expect((await on('node1', 'weave launch')).out).toMatch(/already running/);
    expect((await on('client', 'weave launch')).status).toBe(127);
  });
});

function names(links: string): string[] {
  return [...links.matchAll(/^\d+: ([^:]+):/gm)].map(([, name = '']) => name.replace(/@if\d+/, ''));
}
