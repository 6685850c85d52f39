/** A swarm that changes while traffic runs: what open and new connections see, and that nothing is left behind. */

import { describe, expect, it } from 'vitest';
import { DockerError, parseStackFile, Swarm } from '../../src/index.js';
import { expectConserved } from '../engine/watch.js';

const WEB = `
services:
  web: { image: nginx, deploy: { replicas: 2 }, ports: ["8080:80"], networks: [net] }
networks: { net: {} }
`;

async function standing(text = WEB): Promise<Swarm> {
  return Swarm.create(parseStackFile(text, { file: 'stack.yml' }).spec);
}

/** Addresses that node1 balances the service to at its published port, in the kernel's order. */
function balanced(swarm: Swarm, node = 'node1'): string[] {
  const [service] = swarm.namespace(`${node}/ingress_sbox`).ipvs.services;
  return service?.destinations.map(({ address }) => address) ?? [];
}

function ask(swarm: Swarm, hold = 0): ReturnType<Swarm['send']> {
  return swarm.send({ kind: 'http', from: 'client', to: 'node1', port: 8080, path: '/', requests: 1, hold });
}

describe('scaling', () => {
  it('puts a new task at the head of the list, with an address that nobody had before', async () => {
    const swarm = await standing();
    expect(balanced(swarm)).toEqual(['10.0.0.7', '10.0.0.6']);
    swarm.cluster.serviceUpdate('web', { replicas: 1 });
    swarm.run(3000);
    expect(balanced(swarm)).toEqual(['10.0.0.6']);
    swarm.cluster.serviceUpdate('web', { replicas: 2 });
    swarm.run(3000);
    expect(balanced(swarm)).toEqual(['10.0.0.8', '10.0.0.6']);
    expect(balanced(swarm, 'node3')).toEqual(['10.0.0.8', '10.0.0.6']);
    expect([1, 2].map(() => ask(swarm).answeredBy).sort()).toEqual(['web.1 on node1', 'web.2 on node2']);
    expectConserved(swarm.engine);
  });

  it('ends an open connection of the task that goes, and no other', async () => {
    const swarm = await standing();
    swarm.engine.at(1e9, () => swarm.cluster.serviceUpdate('web', { replicas: 1 }));
    const [gone, kept] = [ask(swarm, 3000), ask(swarm, 3000)];
    expect([gone.ok, gone.detail]).toEqual([false, 'closed without an answer']);
    expect([kept.ok, kept.answeredBy]).toEqual([true, 'web.1 on node1']);
    expectConserved(swarm.engine);
  });
});

describe('a killed task', () => {
  it('is out of the list within a second, and replaced some seconds later', async () => {
    const swarm = await standing();
    swarm.cluster.taskKill('web.1');
    swarm.run(1000);
    expect(balanced(swarm)).toEqual(['10.0.0.7']);
    expect(ask(swarm).answeredBy).toBe('web.2 on node2');
    swarm.run(6000);
    expect(balanced(swarm)).toEqual(['10.0.0.8', '10.0.0.7']);
    const states = swarm.cluster.orchestrator.tasks.map(({ name, state }) => `${name} ${state}`);
    expect(states).toEqual(['web.1 failed', 'web.2 running', 'web.1 running']);
  });
});

describe('nodes', () => {
  it('that are drained hand their tasks on', async () => {
    const swarm = await standing();
    swarm.cluster.nodeUpdate('node2', { availability: 'drain' });
    swarm.run(3000);
    const running = swarm.cluster.orchestrator.tasks.filter(({ state }) => state === 'running');
    expect(running.map(({ name, node }) => `${name} ${node}`)).toEqual(['web.1 node1', 'web.2 node3']);
    expect([1, 2].every(() => ask(swarm).ok)).toBe(true);
  });

  it('that are lost are balanced to for five seconds, and their tasks replaced when the managers know', async () => {
    const swarm = await standing();
    swarm.cluster.nodeLost('node2');
    swarm.run(4000);
    expect(balanced(swarm)).toHaveLength(2);
    swarm.run(2000);
    expect(balanced(swarm)).toEqual(['10.0.0.6']);
    swarm.run(20_000);
    expect(swarm.cluster.node('node2').state).toBe('down');
    expect(balanced(swarm)).toHaveLength(2);
    swarm.cluster.nodeBack('node2');
    swarm.run(3000);
    expect(balanced(swarm, 'node2')).toEqual(expect.arrayContaining(balanced(swarm)));
    expect(ask(swarm).ok).toBe(true);
  });
});

describe('a container on two networks', () => {
  it('answers on the second once it is connected, and no longer when it is disconnected', async () => {
    const swarm = await standing();
    const { cluster } = swarm;
    for (const name of ['one', 'two']) cluster.networkCreate({ name, driver: 'bridge' }, 'node1');
    const container = (name: string, network: string) =>
      cluster.containerCreate({
        name,
        node: 'node1',
        networks: [{ name: network, aliases: [] }],
        ports: [],
        exposes: [],
        links: [],
      });
    const [a, b] = [container('a', 'one'), container('b', 'two')];
    for (const one of [a, b]) cluster.containerStart(one);
    swarm.run(10);
    const ping = () => swarm.send({ kind: 'ping', from: 'a', to: 'b', count: 1, size: 56 }).ok;
    expect(ping()).toBe(false);
    cluster.networkConnect('two', a);
    swarm.run(10);
    expect(ping()).toBe(true);
    expect(a.sandbox?.endpoints.map((one) => one.interface)).toEqual(['eth0', 'eth1']);
    cluster.networkDisconnect('two', a);
    swarm.run(10);
    expect(ping()).toBe(false);
    expectConserved(swarm.engine);
  });
});

describe('a container with a published UDP port', () => {
  it('takes the node’s connections with it: datagrams of the same flow find the next one', async () => {
    const swarm = await standing();
    const { cluster } = swarm;
    const container = (name: string) =>
      cluster.containerCreate({
        name,
        node: 'node1',
        networks: [],
        ports: [{ published: 5000, target: 7, protocol: 'udp' }],
        exposes: [],
        links: [],
      });
    const first = container('first');
    cluster.containerStart(first);
    const host = swarm.namespace('node1/host');
    const client = swarm.sockets.openUdp(swarm.namespace('client/host'), 40_000, () => {});
    const send = () => {
      client.send({ address: '192.168.99.110', port: 5000 }, new Uint8Array(8), swarm.engine.now);
      swarm.run(100);
    };
    send();
    expect(host.get('connections')).toBe(1);
    cluster.containerRemove(first, true);
    expect(host.get('connections')).toBe(0);
    send();
    const second = container('second');
    cluster.containerStart(second);
    // The node itself had taken the flow meanwhile.
    expect(host.get('connections')).toBe(0);
    send();
    expect(second.sandbox?.publishes).toHaveLength(1);
    expect(swarm.namespace('node1/ct-second').device('eth0').counters.rxPackets).toBeGreaterThan(0);
    expectConserved(swarm.engine);
  });
});

describe('what is removed', () => {
  it('leaves nothing behind: a thousand containers come and go', async () => {
    const swarm = await standing();
    const { cluster, engine } = swarm;
    cluster.networkCreate({ name: 'one', driver: 'bridge' }, 'node1');
    const round = (from: number, count: number) => {
      const containers = Array.from({ length: count }, (_, i) =>
        cluster.containerCreate({
          name: `c${from + i}`,
          node: 'node1',
          networks: [{ name: 'one', aliases: [] }],
          ports: [{ target: 80, published: 9000 + i, protocol: 'udp' }],
          exposes: [],
          links: [],
        }),
      );
      for (const container of containers) cluster.containerStart(container);
      swarm.run(1);
      for (const container of containers) cluster.containerRemove(container, true);
      swarm.run(2000);
      engine.collect();
    };
    round(0, 1);
    const before = engine.live;
    for (let i = 1; i <= 10; i++) round(i * 100, 100);
    expect(engine.live).toEqual(before);
    expect(engine.namespaces.size).toBe(before.namespaces);
    expect(cluster.containers.size).toBe(2);
    expectConserved(engine);
  }, 120_000);

  it('is refused while somebody needs it, in Docker’s words', async () => {
    const { cluster } = await standing();
    const refusal = (call: () => void) => {
      try {
        call();
      } catch (error) {
        return error instanceof DockerError ? `${error.status} ${error.message.replace(/[a-z0-9]{25}/g, 'ID')}` : error;
      }
      return undefined;
    };
    expect(refusal(() => cluster.networkRemove('ingress'))).toBe(
      '400 rpc error: code = FailedPrecondition desc = ingress network cannot be removed because service ID depends on it',
    );
    expect(refusal(() => cluster.networkCreate({ name: 'second', driver: 'overlay', ingress: true }))).toBe(
      '409 rpc error: code = AlreadyExists desc = ingress network (ID) is already present',
    );
    expect(refusal(() => cluster.networkRemove('bridge'))).toBe(
      '403 bridge is a pre-defined network and cannot be removed',
    );
  });

  it('may be ingress once nobody publishes: services without it keep running', async () => {
    const swarm = await standing(`
services:
  web: { image: nginx, ports: ["8080:80"], networks: [net] }
  db: { image: redis, networks: [net] }
networks: { net: {} }
`);
    swarm.cluster.serviceRemove('web');
    swarm.run(2000);
    swarm.cluster.networkRemove('ingress');
    swarm.run(1000);
    expect(swarm.engine.namespaces.has('node1/ingress_sbox')).toBe(false);
    expect(swarm.cluster.task('db.1').state).toBe('running');
    expect(() =>
      swarm.cluster.serviceUpdate('db', { ports: [{ target: 1, protocol: 'tcp', mode: 'ingress' }] }),
    ).toThrow(/no ingress network is present/);
  });
});

describe('random changes', () => {
  it.each([1, 2, 3])(
    'leave what standing up the same would have made (%i)',
    async (seed) => {
      const swarm = await standing();
      let state = seed * 7919;
      const random = (below: number) => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return (state >>> 8) % below;
      };
      const { cluster } = swarm;
      for (let i = 0; i < 25; i++) {
        const node = `node${1 + random(3)}`;
        switch (random(6)) {
          case 0:
            cluster.serviceUpdate('web', { replicas: random(5) });
            break;
          case 1: {
            const running = cluster.orchestrator.tasks.filter(({ container }) => container?.sandbox);
            const victim = running[random(Math.max(running.length, 1))];
            if (victim?.container) cluster.containerKill(victim.container);
            break;
          }
          case 2:
            cluster.nodeUpdate(node, { availability: 'drain' });
            break;
          case 3:
            cluster.nodeUpdate(node, { availability: 'active' });
            break;
          case 4:
            cluster.nodeLost(node);
            break;
          default:
            cluster.nodeBack(node);
        }
        swarm.run(random(4000));
      }
      for (const node of ['node1', 'node2', 'node3']) {
        cluster.nodeBack(node);
        cluster.nodeUpdate(node, { availability: 'active' });
      }
      cluster.serviceUpdate('web', { replicas: 3 });
      swarm.run(40_000);
      const running = cluster.orchestrator.tasks.filter(({ state: one }) => one === 'running');
      expect(running).toHaveLength(3);
      const addresses = running.map(({ container }) => container?.sandbox?.endpoints[0]?.address.split('/')[0]).sort();
      for (const node of ['node1', 'node2', 'node3']) {
        expect([...balanced(swarm, node)].sort(), node).toEqual(addresses);
        const host = swarm.namespace(`${node}/host`);
        expect(host.iptables.chain('nat', 'DOCKER-INGRESS').rules).toHaveLength(2);
      }
      expect([1, 2, 3].every(() => ask(swarm).ok)).toBe(true);
      cluster.serviceRemove('web');
      swarm.run(5000);
      cluster.networkRemove('net');
      const fresh = await standing('services: { web: { image: nginx, deploy: { replicas: 0 } } }');
      fresh.cluster.serviceRemove('web');
      fresh.run(1000);
      for (const one of [swarm, fresh]) one.run(400_000);
      const tables = ({ engine }: Swarm) => {
        engine.collect();
        const {
          namespaces,
          devices,
          routes,
          chains,
          rules,
          services,
          destinations,
          balanced: connections,
          frames,
        } = engine.live;
        return { namespaces, devices, routes, chains, rules, services, destinations, connections, frames };
      };
      const left = tables(swarm);
      // A load balancer keeps the SNAT of what it balanced, and the empty chains of its marks.
      expect({ ...left, chains: 0, rules: 0 }).toEqual({ ...tables(fresh), chains: 0, rules: 0 });
      expectConserved(swarm.engine);
    },
    120_000,
  );
});

describe('the changes of a stack file', () => {
  it('are made at their times, and told', async () => {
    const swarm = await standing(`${WEB.replace('net: {}', 'net: { attachable: true }')}
x-swarmwire:
  changes:
    - { at: 1000, scale: { web: 3 } }
    - { at: 4000, lose: node3 }
    - { at: 5000, start: cli }
  containers: { cli: { node: node1, networks: [net] } }
  traffic:
    - http: { from: client, to: "node1:8080" }
    - http: { from: client, to: "node1:8080", at: 3000 }
`);
    const reports = swarm.play();
    expect(reports.map(({ ok }) => ok)).toEqual([true, true]);
    expect(swarm.changes.map(({ at, words }) => `${at / 1e9} ${words}`)).toEqual([
      '1 docker service scale web=3',
      '4 node3 is lost',
      '5 docker start cli',
    ]);
  });

  it('that name what is not there are refused with line and column', () => {
    expect(() =>
      parseStackFile(`${WEB}x-swarmwire: { changes: [ { at: 1, drain: node9 } ] }`, { file: 'stack.yml' }),
    ).toThrow(/stack\.yml:\d+:\d+: there is no node "node9"/);
  });
});

it('dockerd has a socket open for each port of the mesh, as long as a task is behind it', async () => {
  const swarm = await standing();
  const open = () => swarm.sockets.entries(swarm.namespace('node3/host')).filter(({ local }) => local.port === 8080);
  expect(open()).toMatchObject([{ protocol: 'tcp', ipv6: true, state: 'LISTEN', local: { address: '::' } }]);
  expect(ask(swarm).ok).toBe(true);
  swarm.cluster.serviceUpdate('web', { replicas: 0 });
  swarm.run(30_000);
  expect(open()).toEqual([]);
});
