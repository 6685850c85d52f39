/** The choices that managers and engines make of their own: addresses, VNIs, marks, ports; and that they lead to Docker's tables. */

import { describe, expect, it } from 'vitest';
import { PlanError, plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import type { NetworkSpec, PortSpec, ServiceSpec, StackSpec } from '../../src/topology/spec.js';
import type { Topology } from '../../src/topology/topology.js';
import { checkedEngine } from '../engine/checked.js';
import { byChain, dumpedRules, dumpedServices, ourRules, ourServices } from './dump.js';

const service = (name: string, some: Partial<ServiceSpec> = {}): ServiceSpec => ({
  name,
  mode: 'replicated',
  replicas: 1,
  networks: [],
  endpointMode: 'vip',
  ports: [],
  constraints: [],
  ...some,
});
const port = (published: number | undefined, target: number, protocol: PortSpec['protocol'] = 'tcp'): PortSpec => ({
  ...(published === undefined ? {} : { published }),
  target,
  protocol,
  mode: 'ingress',
});
const network = (name: string, some: Partial<NetworkSpec> = {}): NetworkSpec => ({ name, driver: 'overlay', ...some });
const on = (name: string) => ({ name, aliases: [] });

function stack(services: ServiceSpec[], networks: NetworkSpec[] = [], nodes = 3): StackSpec {
  return {
    engine: '20.10',
    nodes: Array.from({ length: nodes }, (_, i) => ({ name: `node${i + 1}`, role: i === 0 ? 'manager' : 'worker' })),
    outside: [{ name: 'client', address: '192.168.99.1/24' }],
    networks,
    services,
    calls: [],
    traffic: [],
  };
}

const planned = (services: ServiceSpec[], networks?: NetworkSpec[], nodes?: number): Topology =>
  plan(stack(services, networks, nodes), 1).topology;

const addressesOf = (topology: Topology, name: string) =>
  topology.sandboxes.flatMap((sandbox) =>
    sandbox.endpoints
      .filter((endpoint) => endpoint.network === name)
      .map(({ address }) => `${sandbox.node} ${sandbox.name} ${address}`),
  );
const subnetsOf = (topology: Topology) =>
  Object.fromEntries(topology.networks.map(({ name, onNode }) => [name, Object.values(onNode)[0]?.subnet]));

describe('networks', () => {
  it('get subnets and VNIs in order, ingress first', () => {
    const topology = planned(
      [service('web', { networks: [on('one'), on('two')], ports: [port(8080, 80)] })],
      [network('one'), network('two')],
    );
    expect(subnetsOf(topology)).toEqual({
      bridge: '172.17.0.0/16',
      docker_gwbridge: '172.18.0.0/16',
      ingress: '10.0.0.0/24',
      one: '10.0.1.0/24',
      two: '10.0.2.0/24',
    });
    expect(topology.networks.filter(({ vni }) => vni).map(({ name, vni }) => `${name} ${vni}`)).toEqual([
      'ingress 4096',
      'one 4097',
      'two 4098',
    ]);
  });

  it('keep a subnet that was asked for, and others keep clear of it', () => {
    const topology = planned(
      [service('web', { networks: [on('mine'), on('other')] })],
      [network('mine', { subnet: '10.0.1.0/24' }), network('other')],
    );
    expect(subnetsOf(topology)).toMatchObject({ mine: '10.0.1.0/24', other: '10.0.2.0/24' });
  });

  it('keep a gateway that was asked for', () => {
    const topology = planned(
      [service('web', { networks: [on('mine')] })],
      [network('mine', { subnet: '100.0.0.0/24', gateway: '100.0.0.254' })],
    );
    expect(Object.values(topology.networks.at(-1)?.onNode ?? {})[0]?.gateway).toBe('100.0.0.254');
    expect(topology.services[0]?.vips).toEqual({ mine: '100.0.0.1' });
  });

  it('have 50 bytes less than the underlay', () => {
    expect(planned([]).networks.map(({ name, mtu }) => `${name} ${mtu}`)).toEqual([
      'bridge 1500',
      'docker_gwbridge 1500',
      'ingress 1450',
    ]);
  });

  it('are on the nodes that have an endpoint there; ingress is on all', () => {
    const topology = planned(
      [service('web', { networks: [on('one')], constraints: ['node.hostname == node2'] })],
      [network('one')],
    );
    expect(
      Object.fromEntries(topology.networks.map(({ name, onNode }) => [name, Object.keys(onNode).join(' ')])),
    ).toEqual({
      bridge: 'node1 node2 node3',
      docker_gwbridge: 'node1 node2 node3',
      ingress: 'node1 node2 node3',
      one: 'node2',
    });
  });
});

describe('addresses', () => {
  it('of ingress: the sandboxes of the nodes, then each service’s VIP and its tasks', () => {
    const topology = planned([
      service('web', { replicas: 3, ports: [port(8080, 80)] }),
      service('dns', { ports: [port(5353, 53, 'udp')] }),
    ]);
    expect(addressesOf(topology, 'ingress')).toEqual([
      'node1 ingress_sbox 10.0.0.2/24',
      'node2 ingress_sbox 10.0.0.3/24',
      'node3 ingress_sbox 10.0.0.4/24',
      'node1 task-web.1 10.0.0.6/24',
      'node2 task-web.2 10.0.0.7/24',
      'node3 task-web.3 10.0.0.8/24',
      'node1 task-dns.1 10.0.0.10/24',
    ]);
    expect(topology.services.map(({ vips }) => vips)).toEqual([{ ingress: '10.0.0.5' }, { ingress: '10.0.0.9' }]);
  });

  // S5-overlay-vip: VIP .2, tasks .3 to .5, then one balancer a node, .6 and .7.
  it('of an overlay: the VIP, the tasks, a balancer for each node that has one', () => {
    const topology = planned(
      [service('web', { replicas: 3, networks: [on('net')] })],
      [network('net', { subnet: '10.0.3.0/24' })],
      2,
    );
    expect(topology.services[0]?.vips).toEqual({ net: '10.0.3.2' });
    // A node's balancer joins before its first task does.
    expect(addressesOf(topology, 'net')).toEqual([
      'node1 lb-net 10.0.3.6/24',
      'node1 task-web.1 10.0.3.3/24',
      'node2 lb-net 10.0.3.7/24',
      'node2 task-web.2 10.0.3.4/24',
      'node1 task-web.3 10.0.3.5/24',
    ]);
  });

  it('of docker_gwbridge: each node its own, the lowest that is free, ingress_sbox .2', () => {
    expect(
      addressesOf(planned([service('web', { replicas: 4, ports: [port(8080, 80)] })], [], 2), 'docker_gwbridge'),
    ).toEqual([
      'node1 ingress_sbox 172.18.0.2/16',
      'node2 ingress_sbox 172.18.0.2/16',
      'node1 task-web.1 172.18.0.3/16',
      'node2 task-web.2 172.18.0.3/16',
      'node1 task-web.3 172.18.0.4/16',
      'node2 task-web.4 172.18.0.4/16',
    ]);
  });

  it('of a service without VIPs (dnsrr) are its tasks’ alone', () => {
    const topology = planned(
      [service('web', { replicas: 2, endpointMode: 'dnsrr', networks: [on('net')] })],
      [network('net')],
    );
    expect(topology.services[0]?.vips).toEqual({});
    expect(addressesOf(topology, 'net')).toContain('node1 task-web.1 10.0.1.2/24');
  });

  it('are an error when there are none left', () => {
    expect(() =>
      planned([service('web', { replicas: 9, networks: [on('net')] })], [network('net', { subnet: '10.9.0.0/29' })]),
    ).toThrow(PlanError);
  });
});

describe('marks', () => {
  it('count from 256 on each node for itself, a new one for each service and network', () => {
    const topology = planned([
      service('web', { ports: [port(8080, 80)] }),
      service('dns', { ports: [port(5353, 53, 'udp')] }),
    ]);
    expect(
      topology.services.map(
        ({ name, balancers }) => `${name} ${balancers.map(({ node, mark }) => `${node}:${mark}`).join(' ')}`,
      ),
    ).toEqual(['web node1:256 node2:256 node3:256', 'dns node1:257 node2:257 node3:257']);
  });

  it('are unique on a node', () => {
    const topology = planned(
      [
        service('a', { replicas: 2, networks: [on('one'), on('two')], ports: [port(80, 80)] }),
        service('b', { replicas: 3, networks: [on('two')], ports: [port(81, 80)] }),
        service('c', { mode: 'global', networks: [on('one')] }),
      ],
      [network('one'), network('two')],
    );
    for (const { name } of topology.nodes) {
      const marks = topology.services.flatMap(({ balancers }) =>
        balancers.filter(({ node }) => node === name).map(({ mark }) => mark),
      );
      expect(new Set(marks).size, name).toBe(marks.length);
    }
  });

  it('are there for a network’s earlier services on a node that joins it later', () => {
    const topology = planned(
      [
        service('early', { networks: [on('net')], constraints: ['node.hostname == node1'] }),
        service('late', { networks: [on('net')], constraints: ['node.hostname == node2'] }),
      ],
      [network('net')],
    );
    expect(topology.services.map(({ balancers }) => balancers.map(({ node }) => node).sort())).toEqual([
      ['node1', 'node2'],
      ['node1', 'node2'],
    ]);
  });
});

describe('destinations', () => {
  it('stand in the kernel’s order: the task that came up last first', () => {
    const topology = planned([service('web', { replicas: 3, ports: [port(8080, 80)] })]);
    for (const { destinations } of topology.services[0]?.balancers ?? [])
      expect(destinations).toEqual(['10.0.0.8', '10.0.0.7', '10.0.0.6']);
  });
});

describe('published ports', () => {
  it('without a number are 30000 and up, each protocol for itself, around those that were asked for', () => {
    const topology = planned([
      service('a', { ports: [port(undefined, 80), port(undefined, 443), port(undefined, 53, 'udp')] }),
      service('b', { ports: [port(30001, 80), port(undefined, 81)] }),
    ]);
    expect(
      topology.services.map(({ ports }) => ports.map(({ published, protocol }) => `${published}/${protocol}`)),
    ).toEqual([
      ['30000/tcp', '30002/tcp', '30000/udp'],
      ['30001/tcp', '30003/tcp'],
    ]);
  });

  it('bind a service to ingress, and a service without any is not there', () => {
    const topology = planned(
      [service('a', { ports: [port(80, 80)] }), service('b', { networks: [on('net')] })],
      [network('net')],
    );
    const networksOf = (name: string) =>
      topology.sandboxes
        .filter((sandbox) => sandbox.service === name)
        .flatMap(({ endpoints }) => endpoints.map((one) => one.network));
    expect(networksOf('a')).toEqual(['ingress', 'docker_gwbridge']);
    expect(networksOf('b')).toEqual(['net', 'docker_gwbridge']);
  });
});

describe('tasks', () => {
  it('are named after their slot, those of global services after their node', () => {
    const topology = planned([service('web', { replicas: 2 }), service('agent', { mode: 'global' })]);
    expect(
      topology.sandboxes.filter(({ kind }) => kind === 'task').map(({ task, node }) => `${task} on ${node}`),
    ).toEqual([
      'web.1 on node1',
      'web.2 on node2',
      'agent.node1 on node1',
      'agent.node2 on node2',
      'agent.node3 on node3',
    ]);
  });

  it('that no node may have are pending, in words', () => {
    expect(plan(stack([service('web', { constraints: ['node.role == nobody'] })]), 1).pending).toEqual([
      'web: no node meets node.role == nobody',
    ]);
  });
});

describe('a seed', () => {
  const spec = stack(
    [service('web', { replicas: 3, networks: [on('net')], ports: [port(8080, 80)] })],
    [network('net')],
  );

  it('gives the same swarm again', () => {
    expect(plan(spec, 5)).toEqual(plan(spec, 5));
  });

  it('that is another changes what is drawn, and nothing that is chosen', () => {
    const chosen = ({ services, sandboxes, nodes }: Topology) => ({
      services,
      nodes,
      endpoints: sandboxes.map(({ node, name, endpoints }) => [
        node,
        name,
        endpoints.map(({ address, mac }) => [address, mac]),
      ]),
    });
    const [one, two] = [plan(spec, 5).topology, plan(spec, 6).topology];
    expect(chosen(two)).toEqual(chosen(one));
    expect(two).not.toEqual(one);
  });
});

describe('a stack like S6-ingress’s (three replicas, 8080 to 80), planned and realized', async () => {
  // Where S6's tasks were: .3 on node1, .1 and .2 on node2. One node alone runs all here, and node2's numbers are compared.
  const { topology } = plan(stack([service('my-nginx', { replicas: 3, ports: [port(8080, 80)] })], [], 2), 1);
  const { namespaces } = realize(await checkedEngine(), topology);

  /** What S6 had and what this swarm has in its place: numbers ran on there from earlier scenarios. */
  function translated(lines: string[], pairs: [string, string][]): string[] {
    return lines.map((line) =>
      pairs.reduce(
        (text, [real, ours]) => text.replaceAll(new RegExp(`${real.replaceAll('.', '\\.')}(?!\\d)`, 'g'), ours),
        line,
      ),
    );
  }
  const resolverOf = (name: string, node: string) => {
    const resolver = topology.sandboxes.find((sandbox) => sandbox.name === name && sandbox.node === node)?.resolver;
    return { udp: `${resolver?.udp}`, tcp: `${resolver?.tcp}` };
  };
  const rulesOf = (name: string) => {
    const namespace = namespaces.get(name);
    return namespace ? byChain(ourRules(namespace)) : {};
  };
  /** Ports of the embedded DNS server: `udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:44566`. */
  function resolverPairs(lines: string[], ours: { udp: string; tcp: string }): [string, string][] {
    return (['udp', 'tcp'] as const).flatMap((protocol): [string, string][] => {
      const real = lines
        .map((line) => new RegExp(`-p ${protocol} .*127\\.0\\.0\\.11:(\\d+)$`).exec(line)?.[1])
        .find(Boolean);
      return real ? [[real, ours[protocol]]] : [];
    });
  }

  it('has the rules of S6’s node2 on both nodes', () => {
    const real = dumpedRules('S6-ingress', 'node2.host').filter(
      (line) => !/ -m u32 --u32 /.test(line) && !/^mangle :\w+ ACCEPT$/.test(line),
    );
    expect(rulesOf('node1/host')).toEqual(byChain(real));
    expect(rulesOf('node2/host')).toEqual(byChain(real));
  });

  it('has the rules of S6’s balancer', () => {
    const real = dumpedRules('S6-ingress', 'node2.ingress_sbox');
    const pairs: [string, string][] = [
      ...resolverPairs(real, resolverOf('ingress_sbox', 'node2')),
      ['0x102/0xffffffff', '0x100/0xffffffff'],
      ['10.0.0.8/32', '10.0.0.4/32'],
    ];
    expect(rulesOf('node2/ingress_sbox')).toEqual(byChain(translated(real, pairs)));
  });

  it('has the rules of S6’s tasks in each task', () => {
    const real = dumpedRules('S6-ingress', 'node2.task-my-nginx.2');
    for (const sandbox of topology.sandboxes.filter(({ kind }) => kind === 'task')) {
      const own = sandbox.endpoints.find((endpoint) => endpoint.network === 'ingress')?.address.split('/')[0] ?? '';
      const pairs: [string, string][] = [
        ...resolverPairs(real, resolverOf(sandbox.name, sandbox.node)),
        ['10.0.0.11', own],
      ];
      expect(rulesOf(`${sandbox.node}/${sandbox.name}`), sandbox.name).toEqual(byChain(translated(real, pairs)));
    }
  });

  it('has a virtual service of the same kind, with a destination for each task', () => {
    const real = dumpedServices('S6-ingress', 'node2.ingress_sbox');
    const namespace = namespaces.get('node2/ingress_sbox');
    const pairs: [string, string][] = [
      ['FWM 258', 'FWM 256'],
      ['10.0.0.9', '10.0.0.5'],
      ['10.0.0.10', '10.0.0.6'],
      ['10.0.0.11', '10.0.0.7'],
    ];
    expect((namespace ? ourServices(namespace) : []).sort()).toEqual(translated(real, pairs).sort());
  });
});
