/** Whole swarms, planned and programmed by our own layers: ports published on the host, and the routing mesh with IPVS. */

import { type Plan, plan } from '../../../swarm/plan.js';
import { realize } from '../../../swarm/realize.js';
import type { ServiceSpec, StackSpec } from '../../../topology/spec.js';
import { hostPart } from '../../../topology/topology.js';
import type { Case } from '../case.js';
import { type Lab, labOf } from '../lab.js';
import { echo, tcp, udp } from '../packets.js';
import { CLIENT, NODE1, NODE2, type Place, Stimuli } from './places.js';

function stack(service: Partial<ServiceSpec>, ingress: boolean): Plan {
  const spec: StackSpec = {
    engine: '20.10',
    nodes: [
      { name: 'node1', role: 'manager', address: `${NODE1.address}/24`, mac: NODE1.mac },
      { name: 'node2', role: 'worker', address: `${NODE2.address}/24`, mac: NODE2.mac },
    ],
    outside: [{ name: 'client', address: `${CLIENT.address}/24`, mac: CLIENT.mac }],
    networks: [
      ...(ingress ? [{ name: 'ingress', driver: 'overlay' as const, ingress: true }] : []),
      { name: 'net', driver: 'overlay' },
    ],
    services: [
      {
        name: 'web',
        mode: 'replicated',
        replicas: 2,
        networks: [{ name: 'net', aliases: [] }],
        endpointMode: ingress ? 'vip' : 'dnsrr',
        ports: [],
        constraints: [],
        ...service,
      },
    ],
    calls: [],
    traffic: [],
  };
  return plan(spec, 7);
}

function tasksOf({ topology }: Plan): Place[] {
  const net = topology.networks.find(({ name, ingress }) => name.endsWith('net') && !ingress)?.name;
  return topology.sandboxes.flatMap((sandbox) => {
    const endpoint = sandbox.kind === 'task' ? sandbox.endpoints.find(({ network }) => network === net) : undefined;
    if (!endpoint) return [];
    return [
      {
        at: `${sandbox.node}/${sandbox.name}/${endpoint.interface}`,
        mac: endpoint.mac,
        address: hostPart(endpoint.address),
      },
    ];
  });
}

function namespaceOf({ at }: Place): string {
  return at.slice(0, at.lastIndexOf('/'));
}

/** Names that resolve to tasks: nobody balances, so no IPVS is needed. */
function unbalanced(planned: Plan): Plan {
  for (const service of planned.topology.services) service.balancers = [];
  return planned;
}

const hostMode = () =>
  unbalanced(
    stack(
      {
        ports: [
          { published: 8080, target: 80, protocol: 'tcp', mode: 'host' },
          { published: 8053, target: 53, protocol: 'udp', mode: 'host' },
        ],
      },
      false,
    ),
  );

export const swarmHostMode: Case = {
  name: 'swarm-host-mode',
  needs: ['bridge', 'vxlan', 'iptables', 'br_netfilter'],
  build: ({ engine }): Lab => labOf(realize(engine, hostMode().topology, { latency: 1 })),
  stimuli() {
    const s = new Stimuli();
    const [one, two] = tasksOf(hostMode());
    for (const node of [NODE1, NODE2]) {
      s.frame(
        'TCP SYN to a port published on the host',
        CLIENT,
        node,
        tcp(s.header(CLIENT, node), { sport: 5001, dport: 8080, flags: 'S', seq: 1 }),
      );
      s.frame('UDP to a port published on the host', CLIENT, node, udp(s.header(CLIENT, node), 5002, 8053));
    }
    if (!one || !two) return s.list;
    s.packet('a task to another on the other node', namespaceOf(one), echo(s.header(one, two), 30));
    s.packet('the other way', namespaceOf(two), udp(s.header(two, one), 5003, 9));
    return s.list;
  },
};

const mesh = () =>
  stack(
    {
      ports: [
        { published: 8080, target: 80, protocol: 'tcp', mode: 'ingress' },
        { published: 8053, target: 53, protocol: 'udp', mode: 'ingress' },
      ],
    },
    true,
  );

export const swarmMesh: Case = {
  name: 'swarm-mesh',
  needs: ['bridge', 'vxlan', 'iptables', 'br_netfilter', 'ipvs'],
  build: ({ engine }): Lab => labOf(realize(engine, mesh().topology, { latency: 1 })),
  stimuli() {
    const s = new Stimuli();
    const planned = mesh();
    const [one] = tasksOf(planned);
    for (const node of [NODE1, NODE2]) {
      for (const sport of [5001, 5002, 5003]) {
        s.frame(
          `TCP SYN from ${sport} to a published port`,
          CLIENT,
          node,
          tcp(s.header(CLIENT, node), { sport, dport: 8080, flags: 'S', seq: 1 }),
        );
        s.frame(`UDP from ${sport} to a published port`, CLIENT, node, udp(s.header(CLIENT, node), sport, 8053));
      }
    }
    const vip = Object.entries(planned.topology.services[0]?.vips ?? {}).find(([name]) => name.endsWith('net'))?.[1];
    if (!one || !vip) return s.list;
    for (const sport of [5004, 5005]) {
      s.packet(
        `a task to its own service's address from ${sport}`,
        namespaceOf(one),
        tcp(s.header(one, vip), { sport, dport: 80, flags: 'S', seq: 1 }),
      );
    }
    return s.list;
  },
};
