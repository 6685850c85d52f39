/**
 * Two lives of one swarm, one with the flow table and one without: the same topology, traffic and changes, drawn from a
 * seed. What can be seen of them afterwards is written down as text, to be compared.
 */

import { Random } from '../../bench/fuzz/random.js';
import { chainsOf } from '../../src/engine/chains.js';
import { BalancedConnection, Connection, Entry, Neighbour } from '../../src/engine/generated/layout.js';
import {
  type Datagram,
  type Device,
  Engine,
  type Namespace,
  Sockets,
  type TcpConnection,
  type UdpSocket,
} from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { isIpv6 } from '../../src/topology/ipv6.js';
import type { ServiceSpec, StackSpec } from '../../src/topology/spec.js';
import { hostPart, type Topology } from '../../src/topology/topology.js';

const MILLISECOND = 1e6;

/**
 * One, two or three nodes; services published by TCP and UDP, on an overlay, plain or encrypted; beside them containers by hand, on
 * bridges, with IPv6 where the engine has it, and on a macvlan or an ipvlan of the nodes' own NICs.
 */
export function drawnSpec(random: Random): StackSpec {
  const count = random.between(1, 3);
  const ipv6 = random.chance(0.4);
  const nodes = Array.from({ length: count }, (_, i) => ({
    name: `node${i + 1}`,
    role: i ? ('worker' as const) : ('manager' as const),
    ...(ipv6 ? { address6: `fd00:99::1${i}/64` } : {}),
  }));
  const service = (name: string, i: number): ServiceSpec => ({
    name,
    mode: 'replicated',
    replicas: random.between(1, 3),
    networks: [{ name: 'net1', aliases: [] }],
    endpointMode: random.chance(0.7) ? 'vip' : 'dnsrr',
    ports: (['tcp', 'udp'] as const).map((protocol) => ({
      published: 8080 + i,
      target: 80,
      protocol,
      mode: random.chance(0.8) ? 'ingress' : 'host',
    })),
    constraints: [],
  });
  const services = ['web', 'api'].slice(0, random.between(1, 2)).map(service);
  for (const one of services) {
    if (one.ports.some(({ mode }) => mode === 'host')) one.replicas = 1;
    if (one.endpointMode === 'dnsrr') for (const port of one.ports) port.mode = 'host';
    if (one.endpointMode === 'dnsrr') one.replicas = 1;
  }
  const encrypted = random.chance(0.25) ? { options: { encrypted: '' } } : {};
  const lan = random.chance(0.6) ? random.pick(['macvlan', 'ipvlan'] as const) : undefined;
  const bridged = ipv6 || random.chance(0.3);
  return {
    engine: ipv6 ? '28' : '20.10',
    nodes,
    outside: [{ name: 'client', ...(ipv6 ? { address6: 'fd00:99::1/64' } : {}) }],
    networks: [
      { name: 'net1', driver: 'overlay', subnet: '100.0.0.0/24', ...encrypted },
      { name: 'near', driver: 'bridge', subnet: '172.30.0.0/16', ...(ipv6 ? { ipv6, subnet6: 'fd00:30::/64' } : {}) },
      ...(lan ? [{ name: 'lan', driver: lan, subnet: '10.77.0.0/24', options: { parent: 'eth0' } }] : []),
    ],
    services,
    containers: nodes.flatMap(({ name: node }, i) => [
      ...(bridged ? [by(node, `near${i}`, 'near', i === 0)] : []),
      ...(lan ? [{ ...by(node, `lan${i}`, 'lan', false), networks: [attached('lan', `10.77.0.${10 + i}`)] }] : []),
    ]),
    swarm: true,
    calls: [],
    traffic: [],
  };
}
const attached = (name: string, address?: string) => ({ name, aliases: [], ...(address ? { address } : {}) });
const by = (node: string, name: string, network: string, published: boolean) => ({
  name,
  node,
  networks: [attached(network)],
  ports: published ? (['tcp', 'udp'] as const).map((protocol) => ({ published: 9090, target: 80, protocol })) : [],
  exposes: [],
  links: [],
});

export interface Life {
  /** Everything that can be seen, line by line. */
  seen: string[];
  /** Packets that took the fast way. */
  fast: number;
}

/** `steps` of traffic and change, on a topology or on one that is drawn. */
export async function live(
  seed: number,
  flowTable: boolean,
  steps: number,
  module: WebAssembly.Module,
  given?: Topology,
): Promise<Life> {
  const random = new Random(seed, 7);
  const topology = given ?? plan(drawnSpec(random), seed).topology;
  const engine = await Engine.create({ module, seed, captureBuffer: 8 << 20, hopDelay: random.pick([1000, 1000, 0]) });
  engine.exports.setFlowTable(flowTable ? 1 : 0);
  const { namespaces, underlay } = realize(engine, topology, { latency: 50_000 });
  const sockets = new Sockets(engine);
  const seen: string[] = [];
  const all = [...namespaces.values()];
  const find = (name: string): Namespace => {
    const found = namespaces.get(name);
    if (!found) throw new RangeError(`no namespace ${name}`);
    return found;
  };
  const tasks = topology.sandboxes
    .filter(({ kind }) => kind === 'task' || kind === 'container')
    .map(({ node, name }) => find(`${node}/${name}`));
  const overIpv6 = (one: Namespace) => one.ipv6.routes.length > 0;
  for (const task of tasks) {
    for (const own of overIpv6(task) ? ['0.0.0.0', '::'] : ['0.0.0.0']) {
      sockets.listen(
        task,
        80,
        (connection) => {
          connection.onData = (data, time) => connection.write(data, sockets.after(time));
          connection.onEnd = (time) => connection.close(sockets.after(time));
        },
        own,
      );
      const answer = ({ data, from, time }: Datagram, socket: UdpSocket) => {
        const less = data.map((byte) => byte && byte - 1);
        if (data[0]) socket.send(from, less, sockets.after(time));
      };
      sockets.openUdp(task, 80, answer, undefined, own);
    }
  }
  const outsiders = topology.hosts.map(({ name }) => `${name}/host`);
  const client = all.find(({ name }) => outsiders.includes(name)) ?? (all[0] as Namespace);
  // Where frames are watched: the client always, others now and then, or all. They come out one after the other, with their times.
  const watched = random.pick([0.1, 0.5, 1]);
  let captured = 0;
  engine.onCapture = (records) => {
    captured += records.length;
    seen.push(`capture ${records.length} ${digest(records)}`);
  };
  for (const device of engine.devices) if (device.namespace === client || random.chance(watched)) device.tap();

  const streams: TcpConnection[] = [];
  const over = new Set<TcpConnection>();
  const datagrams = [client, ...tasks].map((from) => ({ from, socket: sockets.openUdp(from, 0, () => {}) }));
  const addresses6 = [...topology.nodes, ...topology.hosts].flatMap(({ nic }) =>
    nic.addresses.filter(isIpv6).map(hostPart),
  );
  const inside6 = topology.sandboxes.flatMap(({ endpoints }) =>
    endpoints.flatMap(({ address6 }) => (address6 ? [hostPart(address6)] : [])),
  );
  const six = [...addresses6, ...inside6];
  const datagrams6 = [client, ...tasks]
    .filter(overIpv6)
    .map((from) => sockets.openUdp(from, 0, () => {}, undefined, '::'));
  const published = topology.services.flatMap(({ ports }) => ports.map(({ published }) => published));
  const ports = [...(published.length > 0 ? published : [80]), ...(six.length > 0 ? [9090] : [])];
  const addresses = [
    ...topology.nodes.flatMap(({ nic }) => nic.addresses.filter((one) => !isIpv6(one)).map(hostPart)),
    ...topology.services.flatMap(({ vips }) => Object.values(vips).map(hostPart)),
  ];
  const inside = topology.sandboxes.flatMap(({ endpoints }) => endpoints.map(({ address }) => hostPart(address)));

  const physical = engine.devices.filter(({ kind }) => kind === 'physical');
  const open = (): void => {
    const outside = random.chance(0.6);
    const from = outside ? client : random.pick(tasks);
    const to =
      outside || random.chance(0.4)
        ? { address: random.pick(addresses), port: random.pick([...ports, 80]) }
        : { address: random.pick(inside), port: 80 };
    const last =
      six.length > 0 && overIpv6(from) && random.chance(0.4)
        ? { address: random.pick(six), port: random.pick([80, 9090]) }
        : to;
    const connection = sockets.connect(from, last, engine.now);
    if (!connection) return;
    streams.push(connection);
    connection.onClosed = () => over.add(connection);
    connection.onFailed = () => over.add(connection);
    connection.onEnd = (time) => connection.close(sockets.after(time));
  };
  /** What is said within `spell` comes at any time of it: tables age and change between two packets of a run. */
  const say = (spell: number): void => {
    for (const stream of streams) {
      if (over.has(stream) || random.chance(0.3)) continue;
      stream.write(
        new Uint8Array(random.pick([1, 10, 600, 1448, 4000])).fill(65),
        engine.now + random.below(random.pick([1000, spell])),
      );
    }
    for (const { socket } of datagrams) {
      const to = { address: random.pick([...addresses, ...inside]), port: random.pick([...ports, 80]) };
      const size = random.pick([1, 18, 500, 1450, 1480]);
      const stride = random.pick([1, Math.ceil(spell / 8)]);
      for (let i = random.below(6); i > 0; i--)
        socket.send(to, new Uint8Array(size).fill(random.below(3)), engine.now + i * stride);
    }
    for (const socket of six.length > 0 ? datagrams6 : []) {
      const to = { address: random.pick(six), port: random.pick([80, 9090]) };
      socket.send(to, new Uint8Array(random.pick([1, 500])).fill(random.below(3)), engine.now);
    }
  };
  const ruled: { remove(): void }[] = [];
  const denied: { remove(): void }[] = [];
  const change = (): void => {
    const device = random.pick(engine.devices) as Device;
    const namespace = random.pick(all);
    switch (random.below(14)) {
      case 0:
        device.up = false;
        break;
      case 1:
        for (const one of engine.devices) one.up = true;
        break;
      case 2:
        ruled.push(
          namespace.iptables.insert(
            random.pick(['filter', 'mangle'] as const),
            random.pick(['INPUT', 'FORWARD', 'OUTPUT']),
            {
              protocol: random.pick(['tcp', 'udp'] as const),
              ...(random.chance(0.5) ? { states: [random.pick(['ESTABLISHED', 'NEW'] as const)] } : {}),
              target: random.pick(['DROP', 'ACCEPT', 'ACCEPT', 'RETURN'] as const),
            },
          ),
        );
        break;
      case 3:
      case 4:
        ruled.pop()?.remove();
        break;
      case 5: {
        const service = namespace.ipvs.services[0];
        const destination = service?.destinations[0];
        if (destination && random.chance(0.5)) destination.weightNow = random.pick([0, 1]);
        break;
      }
      case 6: {
        const balancers = all.flatMap((one) => one.ipvs.services).filter(({ destinations }) => destinations.length > 1);
        if (balancers.length > 0) random.pick(balancers).destinations[0]?.remove();
        break;
      }
      case 7: {
        const known = namespace.neighbours;
        if (known.length > 0) namespace.removeNeighbour(random.pick(known));
        break;
      }
      case 8:
        if (device.kind !== 'loopback') device.mtu = random.pick([1500, 1450, 1400, 576]);
        break;
      case 9:
        namespace.set('forward', random.pick([0, 1, 1]));
        break;
      case 10: {
        const port = random.pick(physical);
        underlay.learn(port.mac, random.pick(physical));
        break;
      }
      case 11:
        engine.exports.setHopDelay(random.pick([0, 1000, 1500]));
        break;
      case 12: {
        const [to, from] = [random.pick(physical), random.pick(physical)];
        const denial = { protocol: random.pick(['tcp', 'udp', 'esp'] as const) };
        denied.push(to.deny(random.chance(0.5) && from !== to ? { ...denial, from } : denial));
        break;
      }
      case 13:
        denied.pop()?.remove();
        break;
    }
  };

  for (let step = 0; step < steps; step++) {
    if (streams.length < 12) open();
    const wait = random.weighted({ short: 70, middle: 20, seconds: 7, minutes: 3 });
    const time = { short: 1, middle: 40, seconds: 4000, minutes: 400_000 }[wait] * MILLISECOND;
    say(time);
    // At once, or in the middle of what follows, between two events.
    if (random.chance(0.25)) change();
    if (random.chance(0.25)) engine.at(engine.now + random.below(time), change);
    if (random.chance(0.05)) {
      const [stream] = streams.splice(random.below(streams.length), 1);
      if (random.chance(0.5)) stream?.close(engine.now);
      else stream?.abort(engine.now);
    }
    engine.run(engine.now + random.between(1, time), (punted) => sockets.handle(punted));
    if (step % 5 === 0) seen.push(`step ${step} at ${engine.now}`, ...books(engine));
    if (step % 12 === 0) seen.push(...state(engine));
  }
  seen.push(...books(engine), ...state(engine), `captured ${captured}, missed ${engine.exports.missed()}`);
  return { seen, fast: engine.exports.fastPackets() };
}

export function digest(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  for (const byte of bytes) a = Math.imul(a ^ byte, 0x01000193);
  return (a >>> 0).toString(16);
}

/** Accounts, drops and every counter. */
export function books(engine: Engine): string[] {
  const lines = [JSON.stringify(engine.account), `connections ${engine.exports.connections()}`];
  for (const { device, reason, count } of engine.drops) lines.push(`${device.path} ${reason} ${count}`);
  for (const device of engine.devices) lines.push(`${device.path} ${JSON.stringify(device.counters)}`);
  for (const namespace of engine.namespaces.values()) {
    for (const { destinations } of namespace.ipvs.services)
      for (const one of destinations) lines.push(`${namespace.name} ${one.address} ${JSON.stringify(one.counters)}`);
    for (const table of ['mangle', 'nat', 'filter'] as const) {
      for (const chain of namespace.iptables.chains[table].values())
        lines.push(`${namespace.name} ${table} ${chain.name} ${chain.packets} ${chain.bytes}`);
      for (const { name, rules } of chainsOf(namespace.iptables, table))
        lines.push(
          `${namespace.name} ${table} ${name} ${rules.map(({ packets, bytes }) => `${packets}/${bytes}`).join(' ')}`,
        );
    }
  }
  return lines;
}

/** Connections of conntrack and IPVS, neighbours and forwarding databases, each with all of its fields. */
export function state(engine: Engine): string[] {
  const { exports, memory } = engine;
  const lines: string[] = [];
  const fields = (at: number, layout: Record<string, unknown>, leave: string[]) =>
    Object.entries(layout)
      .filter(([name]) => name !== 'size' && !leave.includes(name))
      .map(([name, field]) => {
        const { bits } = field as { at: number; bits: number };
        const one = field as { at: number; bits: number };
        const halves = bits === 64 ? memory.halves(at, one) : undefined;
        return `${name} ${halves ? `${halves.high}:${halves.low}` : memory.get(at, one)}`;
      })
      .join(', ');
  for (let i = 0; i < exports.connectionSlots(); i++) {
    const at = exports.connectionAt(i) >>> 0;
    if (at) lines.push(`connection ${fields(at, Connection, ['namespace', 'stamp'])}`);
  }
  for (let i = 0; i < exports.balancedSlots(); i++) {
    const at = exports.balancedAt(i) >>> 0;
    if (at) lines.push(`balanced ${fields(at, BalancedConnection, ['destination', 'stamp', 'lead'])}`);
  }
  for (let i = 0; i < exports.neighbourSlots(); i++) {
    const at = exports.neighbourAt(i) >>> 0;
    if (at) lines.push(`neighbour ${fields(at, Neighbour, ['device', 'first', 'last', 'next', 'previous'])}`);
  }
  for (let i = 0; i < exports.fdbSlots(); i++) {
    const at = exports.fdbAt(i) >>> 0;
    if (at) lines.push(`fdb ${fields(at, Entry, ['port', 'next', 'previous'])}`);
  }
  return lines.sort();
}
