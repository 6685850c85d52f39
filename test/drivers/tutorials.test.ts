/** Tutorials of Docker's documentation: the addresses, names and reachability that their readers see. */

import { describe, expect, it } from 'vitest';
import { addresses, defaultRoute, outcomes, rules, swarmOf } from './stack.js';

describe('networking with standalone containers', () => {
  it('the default bridge: two alpines reach each other by address, and not by name', async () => {
    const swarm = await swarmOf(`x-swarmwire:
  nodes: 1
  containers: { alpine1: { image: alpine }, alpine2: { image: alpine } }
  traffic:
    - ping: { from: alpine1, to: google.com, count: 2 }
    - ping: { from: alpine1, to: 172.17.0.3, count: 2 }
    - ping: { from: alpine1, to: alpine2, count: 2 }`);
    expect(addresses(swarm, 'node1/ct-alpine1')).toEqual({ eth0: '172.17.0.2/16' });
    expect(addresses(swarm, 'node1/ct-alpine2')).toEqual({ eth0: '172.17.0.3/16' });
    expect(addresses(swarm, 'node1/host')).toMatchObject({ docker0: '172.17.0.1/16' });
    const heard = outcomes(swarm);
    expect(heard.slice(0, 2)).toEqual(['alpine1 > google.com: ok', 'alpine1 > 172.17.0.3: ok']);
    expect(heard[2]).toMatch(/alpine2: alpine2 .*(could not be looked up|not known|does not exist)/);
  });

  const four = `networks:
  alpine-net: { driver: bridge }
x-swarmwire:
  nodes: 1
  containers:
    alpine1: { image: alpine, networks: [alpine-net] }
    alpine2: { image: alpine, networks: [alpine-net] }
    alpine3: { image: alpine }
    alpine4: { image: alpine, networks: [alpine-net, bridge] }`;

  it('four alpines on two bridges: who has which address', async () => {
    const swarm = await swarmOf(four);
    expect(swarm.topology.networks.map(({ name }) => name)).toEqual(['bridge', 'alpine-net']);
    expect(addresses(swarm, 'node1/ct-alpine1')).toEqual({ eth0: '172.18.0.2/16' });
    expect(addresses(swarm, 'node1/ct-alpine2')).toEqual({ eth0: '172.18.0.3/16' });
    expect(addresses(swarm, 'node1/ct-alpine3')).toEqual({ eth0: '172.17.0.2/16' });
    expect(addresses(swarm, 'node1/ct-alpine4')).toEqual({ eth0: '172.18.0.4/16', eth1: '172.17.0.3/16' });
    expect(defaultRoute(swarm, 'node1/ct-alpine4')).toBe('via 172.18.0.1 dev eth0');
    expect(swarm.namespace('node1/ct-alpine1').device('eth0').mac).toBe('02:42:ac:12:00:02');
  });

  it('four alpines on two bridges: who reaches whom, by name and by address', async () => {
    const swarm = await swarmOf(`${four}
  traffic:
    - ping: { from: alpine1, to: alpine2 }
    - ping: { from: alpine1, to: alpine4 }
    - ping: { from: alpine1, to: alpine1 }
    - ping: { from: alpine1, to: alpine3 }
    - ping: { from: alpine1, to: 172.17.0.2 }
    - ping: { from: alpine4, to: alpine1 }
    - ping: { from: alpine4, to: alpine2 }
    - ping: { from: alpine4, to: alpine3 }
    - ping: { from: alpine4, to: 172.17.0.2 }
    - ping: { from: alpine3, to: 172.17.0.3 }
    - ping: { from: alpine1, to: 203.0.113.10 }
    - ping: { from: alpine3, to: 203.0.113.10 }
    - ping: { from: alpine4, to: 203.0.113.10 }`);
    const heard = outcomes(swarm);
    const unknown = (line: string | undefined) =>
      expect(line).toMatch(/alpine3: .*(could not be looked up|not known|does not exist)/);
    unknown(heard[3]);
    unknown(heard[7]);
    expect(heard.filter((_, i) => i !== 3 && i !== 7)).toEqual([
      'alpine1 > alpine2: ok',
      'alpine1 > alpine4: ok',
      'alpine1 > alpine1: ok',
      'alpine1 > 172.17.0.2: no answer within 10 s',
      'alpine4 > alpine1: ok',
      'alpine4 > alpine2: ok',
      'alpine4 > 172.17.0.2: ok',
      'alpine3 > 172.17.0.3: ok',
      'alpine1 > 203.0.113.10: ok',
      'alpine3 > 203.0.113.10: ok',
      'alpine4 > 203.0.113.10: ok',
    ]);
  });
});

describe('networking using the host network', () => {
  it('an nginx on the host’s port 80, which nobody else has, and no rule or new device for it', async () => {
    const swarm = await swarmOf(`x-swarmwire:
  nodes: 1
  swarm: false
  containers: { my_nginx: { image: nginx, network_mode: host } }
  traffic: [{ http: { from: client, to: "node1:80" } }, { http: { from: node1, to: "127.0.0.1:80" } }]`);
    expect(Object.keys(addresses(swarm, 'node1/host'))).toEqual(['eth0', 'docker0']);
    const without = await swarmOf('x-swarmwire: { nodes: 1, swarm: false }');
    for (const table of ['nat', 'filter'] as const)
      expect(rules(swarm, 'node1/host', table)).toEqual(rules(without, 'node1/host', table));
    expect(outcomes(swarm)).toEqual([
      'client > node1:80: my_nginx on node1',
      'node1 > 127.0.0.1:80: my_nginx on node1',
    ]);
    swarm.cluster.containerStop(swarm.cluster.container('my_nginx'));
    swarm.run(2000);
    expect(outcomes(swarm)[0]).toBe('client > node1:80: connection refused');
  });
});

describe('networking with overlay networks', () => {
  it('an overlay is on a node while somebody on that node needs it', async () => {
    const swarm = await swarmOf(`networks:
  test-net: { driver: overlay, attachable: true }
x-swarmwire:
  nodes: [host1, host2]
  containers:
    alpine1: { node: host1, image: alpine, networks: [test-net] }
    alpine2: { node: host2, image: alpine, networks: [test-net] }`);
    const { cluster } = swarm;
    const on = () => Object.keys(swarm.topology.networks.find(({ name }) => name === 'test-net')?.onNode ?? {}).sort();
    expect(on()).toEqual(['host1', 'host2']);
    cluster.containerStop(cluster.container('alpine2'));
    swarm.run(2000);
    expect(on()).toEqual(['host1']);
    expect(swarm.engine.namespaces.has('host2/ov-test-net')).toBe(false);
    cluster.containerStart(cluster.container('alpine2'));
    expect(on()).toEqual(['host1', 'host2']);
    expect(swarm.send({ kind: 'ping', from: 'alpine1', to: 'alpine2', count: 2, size: 56 }).ok).toBe(true);
  });

  it('a service moves to another overlay: --network-add, --network-rm', async () => {
    const swarm = await swarmOf(`services:
  my-nginx: { image: nginx, networks: [nginx-net], ports: ["80:80"], deploy: { replicas: 5 } }
  other: { image: nginx, networks: [nginx-net-2] }
networks: { nginx-net: { driver: overlay }, nginx-net-2: { driver: overlay } }
x-swarmwire: { nodes: [manager, worker-1, worker-2] }`);
    swarm.cluster.serviceUpdate('my-nginx', { networks: [{ name: 'nginx-net-2', aliases: [] }] });
    swarm.run(60_000);
    const tasks = swarm.topology.sandboxes.filter(({ kind, service }) => kind === 'task' && service === 'my-nginx');
    expect(tasks.map(({ endpoints }) => endpoints.map(({ network }) => network).sort())).toEqual(
      Array.from({ length: 5 }, () => ['docker_gwbridge', 'ingress', 'nginx-net-2']),
    );
    expect(
      swarm.topology.sandboxes.filter(({ endpoints }) => endpoints.some(({ network }) => network === 'nginx-net')),
    ).toEqual([]);
    expect(swarm.send({ kind: 'http', from: 'client', to: 'worker-1', port: 80, path: '/', requests: 1 }).ok).toBe(
      true,
    );
  });

  it('two hosts with an attachable overlay: standalone containers reach each other by name, over VXLAN', async () => {
    const swarm = await swarmOf(`networks:
  test-net: { driver: overlay, attachable: true }
x-swarmwire:
  nodes: [host1, host2]
  containers:
    alpine1: { node: host1, image: alpine, networks: [test-net] }
    alpine2: { node: host2, image: alpine, networks: [test-net] }
  traffic:
    - ping: { from: alpine1, to: alpine2, count: 2 }
    - ping: { from: alpine2, to: alpine1, count: 2 }
    - ping: { from: alpine1, to: 203.0.113.10 }`);
    swarm.tap('host1/host/eth0');
    // Ingress has 10.0.0.0/24 already. eth1 is the way out.
    expect(addresses(swarm, 'host1/ct-alpine1')).toEqual({ eth0: '10.0.1.2/24', eth1: '172.18.0.3/16' });
    expect(Object.keys(addresses(swarm, 'host2/ct-alpine2'))).toEqual(['eth0', 'eth1']);
    expect(defaultRoute(swarm, 'host1/ct-alpine1')).toBe('via 172.18.0.1 dev eth1');
    expect(outcomes(swarm)).toEqual(['alpine1 > alpine2: ok', 'alpine2 > alpine1: ok', 'alpine1 > 203.0.113.10: ok']);
    const tunnelled = swarm.frames('host1/host/eth0').filter((frame) => frame.field('vxlan.vni') === '4097');
    expect(tunnelled).toHaveLength(8);
  });

  it('a swarm of three with five replicas: each node answers on the published port, and all replicas take turns', async () => {
    const swarm = await swarmOf(`services:
  my-nginx:
    image: nginx
    networks: [nginx-net]
    ports: [{ target: 80, published: 80 }]
    deploy: { replicas: 5 }
networks:
  nginx-net: { driver: overlay }
x-swarmwire:
  nodes: [manager, worker-1, worker-2]
  traffic:
    - http: { from: client, to: "manager:80", requests: 5 }
    - http: { from: client, to: "worker-1:80", requests: 5 }
    - http: { from: client, to: "worker-2:80", requests: 5 }
    - ping: { from: my-nginx.1, to: my-nginx }
    - http: { from: my-nginx.1, to: "my-nginx:80", requests: 5 }`);
    const tasks = swarm.topology.sandboxes.filter(({ kind }) => kind === 'task');
    const perNode = ['manager', 'worker-1', 'worker-2'].map((name) => tasks.filter(({ node }) => node === name).length);
    expect(perNode).toEqual([2, 2, 1]);
    const network = swarm.topology.networks.find(({ name }) => name === 'nginx-net');
    expect(network).toMatchObject({ driver: 'overlay', vni: 4097, mtu: 1450 });
    expect(Object.keys(network?.onNode ?? {}).sort()).toEqual(['manager', 'worker-1', 'worker-2']);
    // Ingress, the way out, and the service's own network.
    for (const { node, name } of tasks)
      expect(Object.values(addresses(swarm, `${node}/${name}`))).toEqual([
        expect.stringMatching(/^10\.0\.0\.\d+\/24$/),
        expect.stringMatching(/^172\.18\.0\.\d+\/16$/),
        expect.stringMatching(/^10\.0\.1\.\d+\/24$/),
      ]);
    const heard = outcomes(swarm);
    const answered = (from: number) => new Set(heard.slice(from, from + 5).map((line) => line.split(': ')[1]));
    for (const first of [0, 5, 10, 16]) expect(answered(first).size).toBe(5);
    expect(heard[15]).toBe('my-nginx.1 > my-nginx: ok');
  });
});
