/**
 * Two lives of one swarm, one with the flow table and one without: the same topology, traffic and changes, drawn from a
 * seed. What can be seen of them afterwards is written down as text, to be compared.
 */

import { Random } from '../../bench/fuzz/random.js';
import {
  type Datagram,
  Engine,
  type Namespace,
  Sockets,
  type TcpConnection,
  type UdpSocket,
} from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { isIpv6 } from '../../src/topology/ipv6.js';
import { hostPart, type Topology } from '../../src/topology/topology.js';
import { Changes } from './changes.js';
import { books, digest, state } from './seen.js';
import { drawnSpec } from './topologies.js';

const MILLISECOND = 1e6;

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
  const changes = new Changes(engine, underlay, random);
  const change = () => changes.change();

  for (let step = 0; step < steps; step++) {
    if (streams.length < 12) open();
    const wait = random.weighted({ short: 70, middle: 20, seconds: 7, minutes: 3 });
    const time = { short: 1, middle: 40, seconds: 4000, minutes: 400_000 }[wait] * MILLISECOND;
    say(time);
    // At once, or in the middle of what follows, between two events.
    if (random.chance(0.25)) change();
    if (random.chance(0.25)) engine.at(engine.now + random.below(time), change);
    if (random.chance(0.1)) changes.mend();
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
