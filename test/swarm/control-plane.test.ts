/** What nodes say on ports 2377 and 7946, as background of captures. */

import { describe, expect, it } from 'vitest';
import { type Captured, parseStackFile, Swarm } from '../../src/index.js';
import { expectConserved } from '../engine/watch.js';

const STACK = `
services:
  web: { image: nginx, deploy: { replicas: 3 }, ports: ["8080:80"], networks: [net] }
networks: { net: {} }
x-swarmwire:
  nodes: 3
  control-plane: true
`;

async function standing(more = '', seed = 1): Promise<Swarm> {
  const swarm = await Swarm.create(parseStackFile(STACK + more, { file: 'stack.yml' }).spec, { seed });
  for (const node of ['node1', 'node2', 'node3']) swarm.tap(`${node}/host/eth0`);
  return swarm;
}

/** Frames of a port that a node saw at its NIC. */
function seen(swarm: Swarm, node: string, protocol: 'tcp' | 'udp', port: number): Captured[] {
  const on = (frame: Captured, end: string) => frame.field(`${protocol}.${end}`) === String(port);
  return swarm
    .frames(`${node}/host/eth0`)
    .filter((frame) => frame.all('vxlan.vni').length === 0 && (on(frame, 'srcport') || on(frame, 'dstport')));
}

const bytes = (frame: Captured, protocol: 'tcp' | 'udp'): number =>
  protocol === 'udp'
    ? Number(frame.field('udp.length')) - 8
    : Number(frame.field('ip.len')) - 20 - Number(frame.field('tcp.hdr_len'));

/** `node2 111` for each packet with a payload, in order. */
function said(frames: readonly Captured[], protocol: 'tcp' | 'udp'): string[] {
  return frames
    .filter((frame) => bytes(frame, protocol) > 0)
    .map((frame) => `node${Number(frame.field('ip.src')?.split('.')[3]) - 109} ${bytes(frame, protocol)}`);
}

describe('the control plane', () => {
  it('is silent unless it is asked for', async () => {
    const swarm = await Swarm.create(parseStackFile(STACK.replace('control-plane: true', ''), { file: 'a.yml' }).spec);
    swarm.tap('node1/host/eth0');
    swarm.run(60_000);
    expect(swarm.frames()).toEqual([]);
  });

  it('probes another node each second, one after the other, with DF, and gets an acknowledgement', async () => {
    const swarm = await standing();
    swarm.run(20_000);
    const frames = seen(swarm, 'node2', 'udp', 7946);
    const own = frames.filter((frame) => frame.field('ip.src') === '192.168.99.111' && bytes(frame, 'udp') === 111);
    expect(own).toHaveLength(20);
    // DF, without an option before the UDP header.
    expect(own.every(({ data }) => data[14] === 0x45 && data[20] === 0x40)).toBe(true);
    const targets = own.map((frame) => frame.field('ip.dst'));
    // Rounds of two: both, in whichever order.
    for (let i = 0; i < 20; i += 2) expect(new Set(targets.slice(i, i + 2)).size).toBe(2);
    const gaps = own.slice(1).map((frame, i) => Number(frame.time - (own[i]?.time ?? 0n)) / 1e9);
    expect(gaps.every((gap) => gap === 1)).toBe(true);
    expect(frames.filter((frame) => bytes(frame, 'udp') === 48)).toHaveLength(frames.length / 2);
    expectConserved(swarm.engine);
  });

  it('keeps a connection between each worker and a manager, with a heartbeat of four records', async () => {
    const swarm = await standing();
    swarm.run(60_000);
    const frames = seen(swarm, 'node3', 'tcp', 2377);
    expect(
      frames.filter(({ data }) => ((data[47] ?? 0) & 2) !== 0),
      'SYN and SYN, ACK',
    ).toHaveLength(2);
    const records = said(frames, 'tcp').slice(5);
    expect(records.length).toBeGreaterThan(4 * 11);
    for (let i = 0; i + 4 <= records.length; i += 4)
      expect(records.slice(i, i + 4).join(' ')).toMatch(/^node3 87 node1 9[78] node3 69 node1 39$/);
  });

  it('compares notes by TCP: over one connection, and tables over one each way', async () => {
    const swarm = await standing();
    swarm.run(1000);
    const before = said(seen(swarm, 'node2', 'tcp', 7946), 'tcp');
    expect(before.slice(0, 2).map((text) => text.split(' ')[1])).toEqual(['372', '372']);
    swarm.run(90_000);
    const frames = seen(swarm, 'node2', 'tcp', 7946).filter((frame) => bytes(frame, 'tcp') === 855);
    expect(frames.length).toBeGreaterThan(4);
    for (let i = 0; i + 1 < frames.length; i += 2) {
      const [one, other] = [frames[i], frames[i + 1]];
      expect(one?.field('ip.src'), 'the other dials back').toBe(other?.field('ip.dst'));
      expect([one?.field('tcp.dstport'), other?.field('tcp.dstport')]).toEqual(['7946', '7946']);
    }
    expectConserved(swarm.engine);
  });

  it('tells the others of endpoints that come and go', async () => {
    const swarm = await standing();
    swarm.cluster.serviceUpdate('web', { replicas: 4 });
    swarm.run(2000);
    expect(
      said(seen(swarm, 'node1', 'udp', 7946), 'udp').filter((text) => text.endsWith(' 284')).length,
    ).toBeGreaterThan(1);
  });

  it('is the same for the same seed, and another for another', async () => {
    const bytesOf = async (seed: number) => {
      const swarm = await standing('', seed);
      swarm.run(35_000);
      return swarm.frames().map(({ time, data }) => `${time} ${Buffer.from(data).toString('hex')}`);
    };
    const first = await bytesOf(3);
    expect(await bytesOf(3)).toEqual(first);
    expect(await bytesOf(4)).not.toEqual(first);
  });

  it('meets firewalls: SYNs leave and never arrive, and the run says so', async () => {
    const swarm = await standing('  firewall: [{ block: [2377/tcp, 7946], from: node2, to: node1 }]');
    // It stands from the start: node2 is no member, and dials nobody.
    swarm.run(20_000);
    expect(seen(swarm, 'node2', 'tcp', 2377)).toEqual([]);
    const later = await standing();
    later.run(8000);
    later.cluster.block({ block: [{ protocol: 'tcp', port: 2377 }], to: ['node1'] });
    later.run(30_000);
    const syns = seen(later, 'node2', 'tcp', 2377).filter(
      (frame) => frame.time > later.engine.epoch + 15_000_000_000n && frame.field('ip.src') === '192.168.99.111',
    );
    expect(syns.length).toBeGreaterThan(3);
    const arrived = seen(later, 'node1', 'tcp', 2377).filter(
      (frame) => frame.time > later.engine.epoch + 15_000_000_000n && frame.direction === 'received',
    );
    expect(arrived).toEqual([]);
    const [missing] = later.missingPorts;
    expect(missing?.port).toBe('tcp/2377');
    expect(missing?.frames).toBeGreaterThan(6);
    expectConserved(later.engine);
  });

  it('gives a lost node up, and finds it again', async () => {
    const swarm = await standing();
    swarm.run(3000);
    swarm.cluster.nodeLost('node3');
    swarm.run(27_000);
    const probes = (from: number) =>
      seen(swarm, 'node1', 'udp', 7946).filter(
        (frame) =>
          frame.time > swarm.engine.epoch + BigInt(from) * 1_000_000n &&
          bytes(frame, 'udp') === 111 &&
          frame.field('ip.dst') === '192.168.99.112',
      ).length;
    expect(probes(3000)).toBeGreaterThan(0);
    expect(probes(20_000)).toBe(0);
    swarm.cluster.nodeBack('node3');
    swarm.run(40_000);
    expect(probes(50_000)).toBeGreaterThan(5);
    const beats = seen(swarm, 'node3', 'tcp', 2377).filter(
      (frame) => frame.time > swarm.engine.epoch + 50_000_000_000n && bytes(frame, 'tcp') === 87,
    );
    expect(beats.length).toBeGreaterThan(1);
    expectConserved(swarm.engine);
  });

  it('stops with a node that leaves, and starts with one that joins', async () => {
    const swarm = await standing();
    swarm.run(3000);
    swarm.cluster.swarmLeave('node3');
    swarm.run(10_000);
    const count = () => seen(swarm, 'node3', 'udp', 7946).length;
    const left = count();
    swarm.run(10_000);
    expect(count()).toBe(left);
    swarm.cluster.swarmJoin('node3');
    swarm.run(5000);
    expect(count()).toBeGreaterThan(left + 5);
    expectConserved(swarm.engine);
  });
});
