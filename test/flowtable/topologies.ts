/** Swarms, drawn. */

import type { Random } from '../../bench/fuzz/random.js';
import type { ServiceSpec, StackSpec } from '../../src/topology/spec.js';

const attached = (name: string, address?: string) => ({ name, aliases: [], ...(address ? { address } : {}) });
const by = (node: string, name: string, network: string, published: boolean) => ({
  name,
  node,
  networks: [attached(network)],
  ports: published ? (['tcp', 'udp'] as const).map((protocol) => ({ published: 9090, target: 80, protocol })) : [],
  exposes: [],
  links: [],
});

/**
 * Up to four nodes of either engine; overlays, plain and encrypted, with services of one or several tasks, a task a node, or none
 * balanced, published by TCP and UDP, by the mesh or by the task's node; beside them containers by hand, on bridges, with IPv6 where
 * the engine has it, and on a macvlan or an ipvlan of the nodes' own NICs.
 */
export function drawnSpec(random: Random): StackSpec {
  const count = random.between(1, 4);
  const ipv6 = random.chance(0.4);
  const nodes = Array.from({ length: count }, (_, i) => ({
    name: `node${i + 1}`,
    role: i ? ('worker' as const) : ('manager' as const),
    ...(ipv6 ? { address6: `fd00:99::1${i}/64` } : {}),
  }));
  const overlays = ['net1', 'net2', 'net3'].slice(0, random.pick([1, 1, 2, 3]));
  const service = (name: string, i: number): ServiceSpec => {
    const endpointMode = random.chance(0.75) ? 'vip' : 'dnsrr';
    const ports = random.pick([['tcp', 'udp'], ['tcp', 'udp'], ['tcp'], ['udp'], []] as const).map((protocol) => ({
      published: 8080 + i,
      target: 80,
      protocol,
      mode: endpointMode === 'vip' && random.chance(0.8) ? ('ingress' as const) : ('host' as const),
    }));
    // A port of a node is one task's.
    const most = ports.some(({ mode }) => mode === 'host') ? count : 4;
    return {
      name,
      mode: random.chance(0.15) ? 'global' : 'replicated',
      replicas: random.between(1, most),
      networks: [...new Set([random.pick(overlays), random.pick(overlays)])].map((net) => ({ name: net, aliases: [] })),
      endpointMode,
      ports: [...ports],
      constraints: [],
    };
  };
  const services = ['web', 'api', 'db'].slice(0, random.between(1, 3)).map(service);
  const lan = random.chance(0.4) ? random.pick(['macvlan', 'ipvlan'] as const) : undefined;
  const bridged = ipv6 || random.chance(0.5);
  return {
    engine: ipv6 || random.chance(0.3) ? '28' : '20.10',
    nodes,
    outside: [{ name: 'client', ...(ipv6 ? { address6: 'fd00:99::1/64' } : {}) }],
    networks: [
      ...overlays.map((name, i) => ({
        name,
        driver: 'overlay',
        subnet: `100.0.${i}.0/24`,
        ...(random.chance(0.15) ? { options: { encrypted: '' } } : {}),
      })),
      { name: 'near', driver: 'bridge', subnet: '172.30.0.0/16', ...(ipv6 ? { ipv6, subnet6: 'fd00:30::/64' } : {}) },
      ...(lan ? [{ name: 'lan', driver: lan, subnet: '10.77.0.0/24', options: { parent: 'eth0' } }] : []),
    ],
    services,
    containers: nodes.flatMap(({ name: node }, i) => [
      ...(bridged ? [by(node, `near${i}`, 'near', i === 0)] : []),
      ...(bridged && i === 0 ? [by(node, 'nearer', 'near', false)] : []),
      ...(lan ? [{ ...by(node, `lan${i}`, 'lan', false), networks: [attached('lan', `10.77.0.${10 + i}`)] }] : []),
    ]),
    swarm: true,
    calls: [],
    traffic: [],
  };
}
/** Two nodes of Engine 28 with IPv6: a bridge that publishes a port, and an overlay whose endpoints get addresses by hand. */
export const TWO_NODES_6: StackSpec = {
  engine: '28',
  nodes: [
    { name: 'node1', role: 'manager', address6: 'fd00:99::10/64' },
    { name: 'node2', role: 'worker', address6: 'fd00:99::11/64' },
  ],
  outside: [{ name: 'client', address6: 'fd00:99::1/64' }],
  networks: [
    { name: 'net1', driver: 'overlay', subnet: '100.0.0.0/24' },
    { name: 'near', driver: 'bridge', subnet: '172.30.0.0/16', ipv6: true, subnet6: 'fd00:30::/64' },
  ],
  services: [
    {
      name: 'web',
      mode: 'replicated',
      replicas: 4,
      networks: [{ name: 'net1', aliases: [] }],
      endpointMode: 'vip',
      ports: [],
      constraints: [],
    },
  ],
  containers: [by('node1', 'near1', 'near', true), by('node1', 'near2', 'near', false)],
  swarm: true,
  calls: [],
  traffic: [],
};
/** Two nodes with a way of each kind: by the mesh, by a task's node, to a bridge, by a virtual IP, between containers. */
export const TWO_NODES: StackSpec = {
  engine: '20.10',
  nodes: [
    { name: 'node1', role: 'manager' },
    { name: 'node2', role: 'worker' },
  ],
  outside: [{ name: 'client' }],
  networks: [
    { name: 'net1', driver: 'overlay', subnet: '100.0.0.0/24' },
    { name: 'near', driver: 'bridge', subnet: '172.30.0.0/16' },
  ],
  services: (['ingress', 'host'] as const).map((mode, i) => ({
    name: mode,
    mode: 'replicated',
    replicas: 2,
    networks: [{ name: 'net1', aliases: [] }],
    endpointMode: 'vip',
    ports: (['tcp', 'udp'] as const).map((protocol) => ({ published: 8080 + i, target: 80, protocol, mode })),
    constraints: [],
  })),
  containers: [by('node1', 'near1', 'near', true), by('node1', 'near2', 'near', false)],
  swarm: true,
  calls: [],
  traffic: [],
};
const encrypted = (spec: StackSpec): StackSpec => ({
  ...spec,
  networks: spec.networks.map((one) => (one.driver === 'overlay' ? { ...one, options: { encrypted: '' } } : one)),
});
/** The same with encrypted overlays. */
export const ENCRYPTED = encrypted(TWO_NODES);
export const ENCRYPTED_6 = encrypted(TWO_NODES_6);
