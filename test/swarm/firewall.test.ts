/** A firewall between the nodes: what breaks without each of a swarm's ports, and what the run says of it. */

import { describe, expect, it } from 'vitest';
import { forwardingOf } from '../../src/engine/fdb.js';
import { neighboursOf } from '../../src/engine/neighbours.js';
import { parseStackFile, Swarm } from '../../src/index.js';
import { expectConserved } from '../engine/watch.js';

const stack = (rules: string, more = '') => `
services:
  web: { image: nginx, deploy: { replicas: 3 }, ports: ["8080:80"], networks: [net] }
networks: { net: { attachable: true, driver: overlay } }
x-swarmwire:
  nodes: 3
  containers: { cli: { networks: [net], node: node1 } }
  firewall: [${rules}]
${more}`;

async function standing(rules: string, more = ''): Promise<Swarm> {
  return Swarm.create(parseStackFile(stack(rules, more), { file: 'stack.yml' }).spec);
}

function running(swarm: Swarm): string[] {
  const tasks = swarm.cluster.orchestrator.tasks.filter(({ state }) => state === 'running');
  return tasks.map(({ name, node }) => `${name} ${node}`);
}

function missing(swarm: Swarm): string[] {
  return swarm.missingPorts.map(({ words }) => words);
}

/** Forwarding entries of an overlay on a node that lead to others. */
function remotes(swarm: Swarm, node: string, network = 'net'): Set<string | undefined> {
  const entries = forwardingOf(swarm.namespace(`${node}/ov-${network}`));
  return new Set(entries.flatMap(({ remote }) => remote ?? []));
}

/** Endpoints elsewhere that node1 answers for. */
function permanent(swarm: Swarm): string[] {
  const all = neighboursOf(swarm.namespace('node1/ov-net'));
  return all.filter(({ state }) => state === 'PERMANENT').map(({ address }) => address);
}

function ask(swarm: Swarm, node = 'node1') {
  return swarm.send({ kind: 'http', from: 'client', to: node, port: 8080, path: '/', requests: 1 });
}

/** From cli on node1 to a task's address on net. */
function ping(swarm: Swarm, task: string, count = 1) {
  const { endpoints = [] } = swarm.topology.sandboxes.find((one) => one.task === task) ?? {};
  const to = endpoints.find(({ network }) => network === 'net')?.address.split('/')[0] ?? '';
  return swarm.send({ kind: 'ping', from: 'cli', to, count, size: 56 });
}

describe('without tcp/2377', () => {
  it('a worker does not join, and gets no tasks; once it is open it does', async () => {
    const swarm = await standing('{ block: [2377/tcp], from: node3, to: node1 }');
    const { cluster } = swarm;
    expect([...cluster.nodes.values()].map(({ member }) => member)).toEqual([true, true, false]);
    expect(running(swarm)).toEqual(['web.1 node1', 'web.2 node2', 'web.3 node1']);
    expect(missing(swarm)).toEqual([
      'port tcp/2377 is missing between node3 and the managers (node1): the swarm was made without them, and gives them no tasks',
    ]);
    cluster.unblock({ block: [{ protocol: 'tcp', port: 2377 }], from: ['node3'], to: ['node1'] });
    expect(cluster.node('node3').member).toBe(true);
    cluster.serviceUpdate('web', { replicas: 4 });
    swarm.run(2000);
    expect(running(swarm)).toContain('web.4 node3');
    expect(ask(swarm, 'node3').ok).toBe(true);
    expectConserved(swarm.engine);
  });

  it('that closes later, tasks of a worker run on while others take their place', async () => {
    const swarm = await standing('');
    const { cluster } = swarm;
    const rule = { block: [{ protocol: 'tcp' as const, port: 2377 }], to: ['node1'] };
    cluster.block(rule);
    swarm.run(14_000);
    expect(cluster.node('node2').state).toBe('ready');
    swarm.run(8000);
    expect(cluster.node('node2').state).toBe('down');
    expect(running(swarm).filter((task) => task.endsWith('node1'))).toEqual([
      'web.1 node1',
      'web.2 node1',
      'web.3 node1',
    ]);
    // The old ones are still there, and still answer.
    expect(swarm.engine.namespaces.has('node2/task-web.2')).toBe(true);
    const by = new Set(Array.from({ length: 5 }, () => ask(swarm).answeredBy));
    expect(by).toContain('web.2 on node2');
    expect(missing(swarm)[0]).toMatch(/between node2, node3 and the managers \(node1\): no manager hears them/);
    cluster.unblock(rule);
    swarm.run(12_000);
    expect(cluster.node('node2').state).toBe('ready');
    expect(swarm.engine.namespaces.has('node2/task-web.2')).toBe(false);
    expectConserved(swarm.engine);
  });

  it('heartbeats that come back in time are not missed', async () => {
    const swarm = await standing('');
    const rule = { block: [{ protocol: 'tcp' as const, port: 2377 }] };
    for (let i = 0; i < 4; i++) {
      swarm.cluster.block(rule);
      swarm.run(8000);
      swarm.cluster.unblock(rule);
      swarm.run(1000);
    }
    expect(running(swarm)).toEqual(['web.1 node1', 'web.2 node2', 'web.3 node3']);
  });
});

describe('without 7946', () => {
  it('nodes learn nothing of each other: no neighbours, no forwarding entries, no names, no destinations', async () => {
    const swarm = await standing('{ block: [7946] }');
    expect(remotes(swarm, 'node1')).toEqual(new Set());
    expect(permanent(swarm)).toEqual([]);
    const tasks = swarm.send({ kind: 'ping', from: 'cli', to: 'tasks.web', count: 1, size: 56 });
    expect(tasks.lookup).toMatchObject({ addresses: ['10.0.1.3'] });
    expect(ping(swarm, 'web.2').ok).toBe(false);
    expect(new Set(Array.from({ length: 3 }, () => ask(swarm).answeredBy))).toEqual(new Set(['web.1 on node1']));
    expect(new Set(Array.from({ length: 3 }, () => ask(swarm, 'node3').answeredBy))).toEqual(
      new Set(['web.3 on node3']),
    );
    expect(missing(swarm)).toEqual([
      'ports tcp/7946 and udp/7946 are missing between node1 and node2, node1 and node3, node2 and node3: neither learns of ' +
        "the other's containers (no neighbours, no forwarding entries, no names, no destinations of load balancers)",
    ]);
    expectConserved(swarm.engine);
  });

  it('between two of them a third that is on the network passes the news on', async () => {
    const swarm = await standing('{ block: [7946], between: [node1, node2] }');
    expect(remotes(swarm, 'node1')).toEqual(new Set(['192.168.99.111', '192.168.99.112']));
    expect(missing(swarm)).toEqual([]);
    // And no longer when it is lost.
    swarm.cluster.nodeLost('node3');
    swarm.run(6000);
    expect(remotes(swarm, 'node1')).toEqual(new Set());
    expect(remotes(swarm, 'node1', 'ingress')).toEqual(new Set());
    expect(missing(swarm)).toHaveLength(1);
  });

  it('that closes later, they keep what they know for five seconds; when it opens each has what the other has', async () => {
    const swarm = await standing('');
    const before = remotes(swarm, 'node1');
    const rule = {
      block: [
        { protocol: 'tcp' as const, port: 7946 },
        { protocol: 'udp' as const, port: 7946 },
      ],
    };
    swarm.cluster.block(rule);
    swarm.run(4900);
    expect(remotes(swarm, 'node1')).toEqual(before);
    swarm.run(200);
    expect(remotes(swarm, 'node1')).toEqual(new Set());
    // What happens on the other side is not heard.
    swarm.cluster.taskKill('web.2');
    swarm.cluster.taskKill('web.3');
    swarm.run(10_000);
    expect(remotes(swarm, 'node1')).toEqual(new Set());
    swarm.cluster.unblock(rule);
    expect(remotes(swarm, 'node1')).toEqual(before);
    const there = swarm.topology.sandboxes.flatMap(({ node, endpoints }) =>
      endpoints.flatMap((one) => (node !== 'node1' && one.network === 'net' ? [one.address.split('/')[0]] : [])),
    );
    expect(permanent(swarm).sort()).toEqual(there.sort());
    expect(ping(swarm, 'web.2').ok).toBe(true);
    expectConserved(swarm.engine);
  });

  it('on UDP alone, news comes with the half-minute’s TCP', async () => {
    const swarm = await standing('{ block: [7946/udp] }');
    expect(ask(swarm).ok).toBe(true);
    swarm.cluster.serviceUpdate('web', { replicas: 4 });
    swarm.run(5000);
    const [ingress] = swarm.namespace('node3/ingress_sbox').ipvs.services;
    expect(ingress?.destinations).toHaveLength(3);
    swarm.run(30_000);
    expect(ingress?.destinations).toHaveLength(4);
    expect(missing(swarm)[0]).toMatch(/^port udp\/7946 is missing between node1 and node2, .* half a minute late$/);
  });
});

describe('without the data path', () => {
  it('names and neighbours are there, and the data is lost', async () => {
    const swarm = await standing('{ block: [data-path], from: node1, to: node2 }');
    swarm.tap('node1/host/eth0');
    swarm.tap('node2/host/eth0');
    expect(remotes(swarm, 'node1').size).toBe(2);
    expect(ping(swarm, 'web.3').ok).toBe(true);
    expect(ping(swarm, 'web.2', 2).ok).toBe(false);
    const vxlan = (tap: string) =>
      swarm
        .frames(tap)
        .filter((frame) => frame.all('ip.dst')[0] === '192.168.99.111' && frame.protocols.includes('vxlan'));
    expect(vxlan('node1/host/eth0'), 'they leave').toHaveLength(2);
    expect(vxlan('node2/host/eth0'), 'and never arrive').toHaveLength(0);
    expect(missing(swarm)).toEqual([
      'port udp/4789 is missing from node1 to node2: 2 frames lost, all that overlay networks send',
    ]);
    expectConserved(swarm.engine);
  });

  it('is the port that the swarm was told, where it was told one', async () => {
    const swarm = await standing('{ block: [data-path] }', '  swarm: { data_path_port: 5789 }');
    expect(ping(swarm, 'web.2').ok).toBe(false);
    expect(missing(swarm)).toEqual(['port udp/5789 is missing to node2: 1 frame lost, all that overlay networks send']);
    const other = await standing('{ block: [4789/udp] }', '  swarm: { data_path_port: 5789 }');
    expect(ping(other, 'web.2').ok).toBe(true);
    expect(missing(other)).toEqual([]);
  });

  it('is stopped on the wire that it takes', async () => {
    const nodes = ['node1', 'node2', 'node3'].map(
      (name, i) => `{ name: ${name}, interfaces: { eth1: { address: 10.99.0.${i + 1}/24 } }, data_path_addr: eth1 }`,
    );
    const text = stack('{ block: [4789/udp], from: node1, to: node2 }').replace(
      'nodes: 3',
      `nodes: [${nodes.join(', ')}]`,
    );
    const swarm = await Swarm.create(parseStackFile(text, { file: 'stack.yml' }).spec);
    expect(ping(swarm, 'web.2').ok).toBe(false);
    expect(swarm.engine.drops.map(({ device, reason }) => `${device.path} ${reason}`)).toContain(
      'node1/host/eth1 SEGMENT_FIREWALL',
    );
    expect(ping(swarm, 'web.3').ok).toBe(true);
  });
});

describe('without ESP', () => {
  it('encrypted networks are cut, others are not', async () => {
    const text = stack('{ block: [esp] }').replace(
      'driver: overlay }',
      'driver: overlay, driver_opts: { encrypted: "" } }',
    );
    const swarm = await Swarm.create(parseStackFile(text, { file: 'stack.yml' }).spec);
    expect(ping(swarm, 'web.2').ok).toBe(false);
    expect([1, 2, 3].every(() => ask(swarm).ok)).toBe(true);
    expect(missing(swarm)).toEqual(['ESP is missing to node2: 1 frame lost, all that encrypted networks send']);
    expectConserved(swarm.engine);
  });
});

describe('with the flow table and without', () => {
  it('the same frames pass and the same are stopped, while connections are open', async () => {
    const seen = async (on: 0 | 1) => {
      const swarm = await standing('');
      swarm.engine.exports.setFlowTable(on);
      swarm.tap('node1/host/eth0');
      swarm.tap('node2/host/eth0');
      const rule = { block: [{ protocol: 'data-path' as const }], from: ['node1'], to: ['node2'] };
      swarm.engine.at(3e9, () => swarm.cluster.block(rule));
      swarm.engine.at(5e9, () => swarm.cluster.unblock(rule));
      const pings = swarm.send({ kind: 'ping', from: 'cli', to: '10.0.1.4', count: 8, size: 56 });
      const asked = Array.from({ length: 3 }, () => ask(swarm).answeredBy);
      expectConserved(swarm.engine);
      const frames = swarm.frames().map(({ tap, time, data }) => `${tap} ${time} ${Buffer.from(data).toString('hex')}`);
      return { frames, pings: pings.detail, asked, missing: missing(swarm), drops: swarm.engine.drops.length };
    };
    const slow = await seen(0);
    expect(slow.pings).toMatch(/^6 of 8 answered/);
    expect(slow.missing).toHaveLength(1);
    expect(await seen(1)).toEqual(slow);
  });
});
