/**
 * Ways through a node beside the routing mesh's way out and back: from the tunnel to a task's socket, from a container to one of
 * another node, also encrypted, to a service's virtual IP, and to a port that a bridge publishes. Datagrams of many ports, one of each flow in turn. No C program goes beside them.
 */

import { createDecipheriv } from 'node:crypto';
import { type Device, Engine, Sockets } from '../src/engine/index.js';
import { plan } from '../src/swarm/plan.js';
import { type Realized, realize } from '../src/swarm/realize.js';
import type { ServiceSpec, StackSpec } from '../src/topology/spec.js';
import { hostPart } from '../src/topology/topology.js';
import { bridgeWay } from './bridge.js';
import { fromClient } from './frames.js';
import { addressNumber, concat, ethernet, get16, get32, ipv4, macBytes, seal, TYPE_IPV4, UDP, udp } from './headers.js';
import { BATCH, type Books, framesIn, Mesh, SPEC, STRIDE } from './mesh.js';
import { expect, flowOf, type Row, shuffled } from './rows.js';

export const WAYS = ['decapsulation', 'east-west', 'vip', 'encrypted', 'bridge-publish', 'ipv6'] as const;
export type WayName = (typeof WAYS)[number];

/** A swarm, the device where frames come in, and how many came out so far. */
export interface Way {
  engine: Engine;
  into: Device;
  frames: Uint8Array[];
  arrived(): number;
  settle(): void;
  /** Its packets are not in the flow table: ESP, IPv6. */
  slow?: boolean;
  /** What is timed beside the frames' coming in. */
  work?(): void;
  /** Frames that leave are kept from now on; what it returns throws when one of so many is not what it should be. */
  watch?(): (count: number) => void;
}

const MILLISECOND = 1e6;
const service = (name: string, replicas: number, node: string): ServiceSpec => ({
  name,
  mode: 'replicated',
  replicas,
  networks: [{ name: 'net1', aliases: [] }],
  endpointMode: 'vip',
  ports: [],
  constraints: [`node.hostname==${node}`],
});
const OVERLAY: StackSpec = {
  engine: '20.10',
  nodes: SPEC.nodes,
  outside: [],
  networks: [{ name: 'net1', driver: 'overlay', subnet: '10.9.0.0/24' }],
  services: [service('api', 16, 'node2'), service('shell', 1, 'node1')],
  calls: [],
  traffic: [],
};

async function stand(spec: StackSpec): Promise<Realized> {
  const engine = await Engine.create({ seed: 1, captureBuffer: 1 << 20 });
  const realized = realize(engine, plan(spec, 1).topology, { latency: 1 });
  for (const namespace of engine.namespaces.values()) namespace.set('connectionsMax', 1 << 23);
  return realized;
}
function namespaceOf({ namespaces }: Realized, name: string) {
  const found = namespaces.get(name);
  if (!found) throw new Error(`there is no namespace ${name}`);
  return found;
}
function peerOf(device: Device): Device {
  if (!device.peer) throw new Error(`${device.path} has no peer`);
  return device.peer;
}

/** What the mesh of node1 has sent arrives at node2, and ends at the sockets of its tasks. */
async function decapsulation(flows: number, size: number): Promise<Way> {
  const mesh = await Mesh.create();
  const frames: Uint8Array[] = [];
  for (let from = 0; from < flows; from += BATCH) {
    const some = Array.from({ length: Math.min(BATCH, flows - from) }, (_, i) => flowOf(mesh, 'udp', from + i));
    frames.push(...mesh.pass(some.map((flow) => fromClient(flow, mesh.macs, size, 0))).map((frame) => frame.slice()));
  }
  const realized = await stand(SPEC);
  const { engine, topology } = realized;
  const sockets = new Sockets(engine);
  const overlay = namespaceOf(realized, 'node2/ov-ingress');
  let arrived = 0;
  for (const { node, name, endpoints, kind } of topology.sandboxes) {
    if (kind !== 'task') continue;
    const task = namespaceOf(realized, `${node}/${name}`);
    sockets.openUdp(task, 80, () => {
      arrived++;
    });
    for (const endpoint of endpoints)
      if (endpoint.interface === 'eth0')
        overlay.learnFdb(overlay.device('br0'), endpoint.mac, peerOf(task.device('eth0')));
  }
  const settle = () => void engine.run(engine.now + MILLISECOND, (punted) => sockets.handle(punted));
  return { engine, into: namespaceOf(realized, 'node2/host').device('eth0'), frames, arrived: () => arrived, settle };
}

/** A container of node1 sends to those of node2, or to their service's virtual IP; a bare device stands where node2 was. */
async function overlayWay(flows: number, size: number, name: 'east-west' | 'vip' | 'encrypted'): Promise<Way> {
  const encrypted = name === 'encrypted';
  const realized = await stand(
    encrypted
      ? { ...OVERLAY, networks: OVERLAY.networks.map((one) => ({ ...one, options: { encrypted: '' } })) }
      : OVERLAY,
  );
  const { engine, topology, underlay } = realized;
  const endpointOf = (wanted: (sandbox: (typeof topology.sandboxes)[number]) => boolean) =>
    topology.sandboxes
      .filter(wanted)
      .flatMap(({ node, name, endpoints }) =>
        endpoints.filter(({ network }) => network === 'net1').map((one) => ({ node, name, ...one })),
      );
  const [shell] = endpointOf((sandbox) => sandbox.service === 'shell');
  const [balancer] = endpointOf(({ kind, node }) => kind === 'balancer' && node === 'node1');
  const tasks = endpointOf((sandbox) => sandbox.service === 'api');
  if (!shell || !balancer) throw new Error('no container, or no load balancer on node1');
  const host = namespaceOf(realized, 'node1/host');
  const overlay = namespaceOf(realized, 'node1/ov-net1');
  const sender = namespaceOf(realized, `node1/${shell.name}`).device(shell.interface);
  const lb = namespaceOf(realized, `node1/${balancer.name}`);
  const meant = namespaceOf(realized, 'node2/host').device('eth0');
  meant.up = false;
  const sink = engine.namespace('bench/sink').addPhysical('eth0', underlay, { mac: '02:00:00:00:fe:00', mtu: 1500 });
  const bridge = overlay.device('br0');
  const learn = () => {
    underlay.learn(meant.mac, sink);
    overlay.learnFdb(bridge, shell.mac, peerOf(sender));
    overlay.learnFdb(bridge, balancer.mac, peerOf(lb.device(balancer.interface)));
    for (const { mac } of tasks) overlay.learnFdb(bridge, mac, overlay.device('vxlan0'));
  };
  host.addNeighbour(host.device('eth0'), meant.address ?? '', meant.mac);
  for (const { address, mac } of tasks) lb.addNeighbour(lb.device(balancer.interface), hostPart(address), mac);
  learn();
  const vip = topology.services.find(({ name }) => name === 'api')?.vips.net1;
  const frames = Array.from({ length: flows }, (_, i) => {
    const task = tasks[i % tasks.length];
    if (!task || !vip) throw new Error('nobody to send to');
    const to = name === 'vip' ? { address: vip, mac: balancer.mac } : task;
    const data = udp(1024 + (i % 60_000), 80 + Math.floor(i / 60_000), new Uint8Array(size - 42).fill(0x78));
    const packet = ipv4(
      {
        source: addressNumber(hostPart(shell.address)),
        destination: addressNumber(hostPart(to.address)),
        protocol: UDP,
        fragment: 0x4000,
      },
      data,
    );
    return seal(ethernet(macBytes(to.mac), macBytes(shell.mac), TYPE_IPV4, packet), 14);
  });
  const { exports } = engine;
  // Learned entries age after 300 seconds; each time they are learned anew, one packet a destination takes the slow way.
  let fresh = exports.time();
  const settle = () => {
    exports.run(exports.time() + MILLISECOND);
    if (exports.time() - fresh < 100_000 * MILLISECOND) return;
    learn();
    fresh = exports.time();
  };
  const way = { engine, into: peerOf(sender), frames, arrived: () => sink.drops.get('OTHERHOST') ?? 0, settle };
  if (!encrypted) return way;
  // Ciphers are asked while time passes: a microsecond is enough, and is timed.
  const work = () => void engine.run(engine.now + 1000);
  const own = host.device('eth0').address ?? '';
  return { ...way, slow: true, work, watch: () => decrypts(engine, sink, own, frames) };
}

/** What the sink sees is ESP of node1 whose inside, opened with the key, is a frame that was sent (RFC 4303, RFC 4106). */
function decrypts(engine: Engine, sink: Device, from: string, frames: readonly Uint8Array[]): (count: number) => void {
  const sent = new Map(frames.map((frame) => [flowIn(frame), frame]));
  let captured: Uint8Array[] = [];
  engine.onCapture = (records) => captured.push(records.slice());
  sink.tap();
  const number = engine.taps.indexOf(sink);
  return (count) => {
    engine.drain();
    const seen = captured.flatMap((records) => framesIn(records, new Set([number])));
    captured = [];
    expect(seen.length, count, 'captured frames');
    for (const frame of seen) {
      const spi = get32(frame, 34);
      const key = engine.espKeys.find((one) => one.spi === spi && hostPart(one.source) === hostPart(from))?.key;
      if (frame[23] !== 50 || !key) throw new Error(`a frame left that is no ESP of ours: protocol ${frame[23]}`);
      const nonce = concat(key.subarray(16, 20), frame.subarray(42, 50));
      const opener = createDecipheriv('aes-128-gcm', key.subarray(0, 16), nonce, { authTagLength: ICV });
      opener.setAAD(frame.subarray(34, 42));
      const end = 14 + get16(frame, 16) - ICV;
      opener.setAuthTag(frame.subarray(end, end + ICV));
      const plain = concat(opener.update(frame.subarray(50, end)), opener.final());
      // Outer UDP and VXLAN before it, padding and trailer behind it.
      const inner = plain.subarray(16, plain.length - 2 - (plain[plain.length - 2] ?? 0));
      const meant = sent.get(flowIn(inner));
      if (!meant || Buffer.compare(meant, inner) !== 0) throw new Error('what was encrypted is no frame that was sent');
    }
  };
}
/** Docker's AES-GCM has a check value of 64 bits. */
const ICV = 8;
/** Destination and ports. */
const flowIn = (frame: Uint8Array) => `${get32(frame, 30)} ${get32(frame, 34)}`;

function wayOf(name: WayName, flows: number, size: number): Promise<Way> {
  if (name === 'decapsulation') return decapsulation(flows, size);
  if (name === 'bridge-publish' || name === 'ipv6') return bridgeWay(flows, size, name === 'ipv6');
  return overlayWay(flows, size, name);
}

/** The row, and what its books are. */
export async function wayRow(
  name: WayName,
  flows: number,
  size: number,
  slow: boolean,
): Promise<{ row: Row; world: { engine: Engine; books: Books } }> {
  const way = await wayOf(name, flows, size);
  const { engine, into, frames } = way;
  engine.exports.setFlowTable(slow ? 0 : 1);
  const slots = engine.exports.scratch(BATCH * STRIDE) >>> 0;
  const lengths = engine.exports.scratch(BATCH * 4) >>> 0;
  const order = shuffled(flows);
  let at = 0;
  const stage = () => {
    const { bytes, view } = engine.memory;
    for (let i = 0; i < BATCH; i++) {
      const frame = frames[order[at++] ?? 0] ?? new Uint8Array();
      if (at === flows) at = 0;
      bytes.set(frame, slots + i * STRIDE);
      view.setUint32(lengths + 4 * i, frame.length, true);
    }
  };
  const { work } = way;
  const receive = () => engine.exports.receiveBatch(into.at, slots, lengths, STRIDE, BATCH);
  const batch = work
    ? () => {
        receive();
        work();
      }
    : receive;
  const pass = () => {
    stage();
    batch();
    way.settle();
  };
  // Every flow is there, and recorded.
  for (let i = 0; i < 2 * flows + BATCH; i += BATCH) pass();
  const check = way.watch?.();
  const world = {
    engine,
    get books(): Books {
      const { dropped, injected, generated, inFlight } = engine.account;
      const { rxPackets: received, txPackets: transmitted } = into.counters;
      const fixed = {
        balancedIn: 0,
        balancedOut: 0,
        balancedConnections: 0,
        searches: engine.exports.natPortSearches(),
      };
      const connections = engine.exports.connections();
      return {
        received,
        transmitted,
        arrived: way.arrived(),
        dropped,
        injected,
        generated,
        inFlight,
        ...fixed,
        connections,
      };
    },
  };
  let fast = engine.exports.fastPackets();
  const row: Row = {
    name,
    flows,
    size,
    stage,
    batch,
    settle: way.settle,
    native: undefined,
    opened: () => 0,
    verify: async (batches, before) => {
      const after = world.books;
      expect(after.arrived - before.arrived, batches * BATCH, 'frames that arrived');
      expect(after.received - before.received, batches * BATCH, 'frames in');
      const now = engine.exports.fastPackets();
      check?.(batches * BATCH);
      if (!slow && !way.slow && now - fast < 0.99 * batches * BATCH)
        throw new Error(`${now - fast} of ${batches * BATCH} packets took the fast way`);
      fast = now;
    },
  };
  return { row, world };
}
