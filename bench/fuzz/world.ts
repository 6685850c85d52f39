/**
 * What is fuzzed: a whole swarm on the checked build of the engine, with listeners in every task, a few taps, and traffic
 * of its own in between. Two kinds: the three tiers that a stack file would plan, and the recorded S6-ingress, whose real
 * captures then fit its addresses.
 */

import {
  type Datagram,
  type Device,
  Engine,
  type Namespace,
  type Punted,
  Sockets,
  type UdpSocket,
} from '../../src/engine/index.js';
import { loadScenario } from '../../src/replay/scenario.js';
import { topologyOf } from '../../src/replay/topology.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import type { StackSpec } from '../../src/topology/spec.js';
import { hostPart, type Topology } from '../../src/topology/topology.js';
import { listenTcp } from '../../src/traffic/listener.js';
import { readIn } from './files.js';
import { filterIpv6 } from './ip6tables.js';
import { addresses6Of, enableIpv6 } from './ipv6.js';
import type { Random } from './random.js';

export type WorldName = 'planned' | 'recorded';
export const RECORDING = 'S6-ingress';

const port = (published: number, target: number, protocol: 'tcp' | 'udp') =>
  ({ published, target, protocol, mode: 'ingress' }) as const;
const service = (name: string, replicas: number, ports: StackSpec['services'][number]['ports'], network = 'net1') =>
  ({
    name,
    mode: 'replicated',
    replicas,
    networks: [{ name: network, aliases: [] }],
    endpointMode: 'vip',
    ports,
    constraints: [],
  }) as const satisfies StackSpec['services'][number];

/** Three nodes, three tiers, TCP and UDP published; one network is encrypted. */
export const SPEC: StackSpec = {
  engine: '20.10',
  nodes: [
    { name: 'node1', role: 'manager' },
    { name: 'node2', role: 'worker' },
    { name: 'node3', role: 'worker' },
  ],
  outside: [{ name: 'client', extraAddresses: ['203.0.113.10/32'] }],
  networks: [
    { name: 'net1', driver: 'overlay', subnet: '100.0.0.0/24' },
    { name: 'net2', driver: 'overlay', options: { encrypted: '' } },
  ],
  services: [
    service('nginx', 2, [port(1080, 80, 'tcp'), port(1053, 53, 'udp')]),
    service('node', 2, [port(3000, 3000, 'tcp')]),
    service('redis', 1, []),
    service('vault', 3, [port(8200, 8200, 'tcp')], 'net2'),
  ],
  calls: [],
  traffic: [
    { kind: 'http', from: 'client', to: 'node1', port: 1080, path: '/', requests: 1 },
    { kind: 'http', from: 'client', to: 'node3', port: 1080, path: '/', requests: 1 },
    { kind: 'udp', from: 'client', to: 'node1', port: 1053, size: 64, datagrams: 1 },
    { kind: 'udp', from: 'client', to: 'node2', port: 1053, size: 4000, datagrams: 1 },
    { kind: 'ping', from: 'client', to: 'node2', count: 2, size: 56 },
    { kind: 'ping', from: 'nginx', to: 'redis', count: 2, size: 56 },
    { kind: 'http', from: 'nginx', to: 'node', port: 3000, path: '/', requests: 1 },
    { kind: 'http', from: 'node', to: 'redis', port: 6379, path: '/', requests: 1 },
    { kind: 'ping', from: 'nginx', to: '203.0.113.10', count: 1, size: 2000 },
    { kind: 'ping', from: 'vault.1', to: 'vault.2', count: 2, size: 2000 },
    { kind: 'http', from: 'vault.2', to: 'vault', port: 8200, path: '/', requests: 1 },
    { kind: 'udp', from: 'redis', to: 'client', port: 9, size: 10, datagrams: 1 },
  ],
};
export const SPEC_SEED = 1;

export function topology(name: WorldName): Topology {
  if (name === 'planned') return plan(SPEC, SPEC_SEED).topology;
  return topologyOf(loadScenario(RECORDING, readIn(`test/oracle/${RECORDING}`)).inputs);
}

export interface World {
  engine: Engine;
  sockets: Sockets;
  topology: Topology;
  /** What kinds of place there are to put a frame, and the places. */
  devices: Map<DeviceKind, Device[]>;
  namespaces: Namespace[];
  /** The NIC of each node. */
  nics: Map<string, string>;
  /** Answers what the engine asks. */
  handle(punted: Punted): void;
  /** One connection, datagram or ping of the swarm's own. */
  say(random: Random, time: number): void;
}

export const DEVICE_KINDS = [
  'physical',
  'veth',
  'bridge-port',
  'bridge',
  'vxlan',
  'loopback',
  'vlan',
  'macvlan',
  'ipvlan',
  'dummy',
] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

export async function createWorld(module: WebAssembly.Module, name: WorldName, random: Random): Promise<World> {
  const shape = topology(name);
  const engine = await Engine.create({
    module,
    seed: random.bits(),
    captureBuffer: 1 << 20,
    comments: random.chance(0.5),
    hopDelay: random.pick([0, 1, 1000]),
  });
  const { namespaces, underlay } = realize(engine, shape, { latency: random.pick([1, 50_000]) });
  if (random.chance(0.3)) underlay.loss = 0.05;
  for (const [i, node] of shape.nodes.entries()) standOn(engine, node, i, random);
  if (random.chance(0.8)) enableIpv6(engine, random);
  if (random.chance(0.7)) filterIpv6(engine, random);
  const sockets = new Sockets(engine);
  const all = [...namespaces.values()];
  for (const namespace of all) {
    if (random.chance(0.05)) namespace.set('connectionsMax', random.pick([4, 16]));
    const task = shape.sandboxes.find(({ node, name: sandbox }) => `${node}/${sandbox}` === namespace.name);
    const ports = shape.services.find((one) => one.name === task?.service)?.ports ?? [];
    const tcp = new Set([80, 6379, ...ports.filter((one) => one.protocol === 'tcp').map(({ target }) => target)]);
    const udp = new Set([53, ...ports.filter((one) => one.protocol === 'udp').map(({ target }) => target)]);
    for (const address of namespace.ipv6.routes.length > 0 ? ['0.0.0.0', '::'] : ['0.0.0.0']) {
      for (const number of tcp) listenTcp(sockets, namespace, number, namespace.name, [], address);
      for (const number of udp) answerOnce(sockets, namespace, number, address);
    }
  }
  for (let i = 0; i < 6; i++) random.pick(engine.devices).tap();
  const devices = new Map<DeviceKind, Device[]>(DEVICE_KINDS.map((kind) => [kind, []]));
  for (const device of engine.devices) devices.get(device.master ? 'bridge-port' : device.kind)?.push(device);
  for (const device of engine.devices) if (device.kind === 'vxlan') devices.get('vxlan')?.push(device);

  const targets = [
    ...shape.nodes.map(({ nic }) => nic.addresses[0]),
    ...shape.hosts.flatMap(({ nic, extraAddresses }) => [nic.addresses[0], ...extraAddresses]),
    ...shape.services.flatMap(({ vips }) => Object.values(vips)),
    ...shape.sandboxes.flatMap(({ endpoints }) => endpoints.map(({ address }) => address)),
    ...engine.devices.flatMap((device) => (device.lower ? device.addresses.map(({ address }) => address) : [])),
    '127.0.0.1',
    '198.51.100.1',
    ...addresses6Of(engine.devices).filter((address) => !address.startsWith('fe80')),
  ].map((address) => hostPart(address ?? '0.0.0.0'));
  const ports = [80, 53, 6379, 7, ...shape.services.flatMap((one) => one.ports.map(({ published }) => published))];
  const say = (chance: Random, time: number): void => {
    const from = chance.pick(all);
    const to = { address: chance.pick(targets), port: chance.pick(ports) };
    const size = chance.pick([0, 1, 100, 1471, 1472, 1473, 4000, 20_000]);
    const kind = chance.weighted({ tcp: 5, udp: 3, ping: 2 });
    if (kind === 'ping') {
      const identifier = sockets.openPing(() => {});
      sockets.ping(from, to.address, { identifier, sequence: 0, size, time });
    } else if (kind === 'udp') {
      const socket = sockets.openUdp(from, 0, () => {}, undefined, to.address.includes(':') ? '::' : '0.0.0.0');
      socket.send(to, new Uint8Array(size), time);
      if (chance.chance(0.5)) sockets.closeUdp(socket);
    } else {
      const connection = sockets.connect(from, to, time);
      if (!connection) return;
      connection.onConnected = (at) => {
        connection.write(new Uint8Array(size).fill(120), sockets.after(at));
        if (chance.chance(0.7)) connection.close(sockets.after(at));
      };
      connection.onEnd = (at) => connection.close(sockets.after(at));
    }
  };
  let step = 0;
  let handled = 0;
  const handle = (punted: Punted): void => {
    if (punted.time > step + LONG) {
      step = punted.time;
      handled = 0;
    }
    if (++handled > TOO_MUCH) throw new Error(`${TOO_MUCH} answers within ${LONG / 1e9} s: this goes on for ever`);
    sockets.handle(punted);
  };
  const nics = new Map(shape.nodes.map(({ name: node, nic }) => [node, nic.name]));
  return { engine, sockets, topology: shape, devices, namespaces: all, nics, handle, say };
}

/** What the seed has on a NIC beside its node: VLANs, and macvlans or ipvlans on it, on a VLAN or on nothing. */
function standOn(engine: Engine, { name, nic }: Topology['nodes'][number], index: number, random: Random): void {
  const host = engine.namespaces.get(`${name}/host`);
  if (!host) return;
  const eth0 = host.device(nic.name);
  const vlan = host.addVlan(`${nic.name}.${VLAN}`, { lower: eth0, id: VLAN });
  host.addAddress(vlan, `10.50.0.${index + 1}/24`);
  const inner = host.addVlan(`${nic.name}.${VLAN}.7`, { lower: vlan, id: 7 });
  const nowhere = host.addDummy('dm-nowhere', { mac: `02:00:00:00:01:0${index}`, mtu: 1500 });
  eth0.hairpin = random.chance(0.2);
  for (const [i, lower] of [eth0, vlan, inner, nowhere].entries()) {
    const macvlans = random.chance(0.5);
    const mode = random.pick(['bridge', 'bridge', 'private', 'vepa'] as const);
    const ipvlanMode = random.pick(['l2', 'l2', 'l3', 'l3s'] as const);
    const flag = random.pick(['bridge', 'bridge', 'private', 'vepa'] as const);
    for (let n = 1; n <= 2; n++) {
      const namespace = engine.namespace(`${name}/on-${lower.name}-${n}`);
      const device = macvlans
        ? namespace.addMacvlan('eth0', { lower, mac: `02:42:0a:3${i}:0${index}:0${n}`, mtu: 1500, mode })
        : namespace.addIpvlan('eth0', { lower, mtu: 1500, mode: ipvlanMode, flag });
      namespace.addAddress(device, `10.5${i}.0.${10 * (index + 1) + n}/24`);
      if (macvlans || ipvlanMode === 'l2') namespace.addRoute('0.0.0.0/0', device, `10.5${i}.0.1`);
      else namespace.addRoute('0.0.0.0/0', device);
      namespace.set('forward', random.chance(0.5) ? 1 : 0);
    }
  }
}
export const VLAN = 50;

/** Nobody here has so much to say in so short a time, ns. */
const TOO_MUCH = 200_000;
const LONG = 10e9;

/** Answers are so short that they are not answered: two of these must not go on for ever. */
function answerOnce(sockets: Sockets, namespace: Namespace, number: number, address: string): void {
  const answer = Uint8Array.of(111, 107);
  const once = ({ data, from, time }: Datagram, socket: UdpSocket): void => {
    if (data.length > answer.length) socket.send(from, answer, sockets.after(time));
  };
  sockets.openUdp(namespace, number, once, undefined, address);
}
