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
import { flowOf } from './flows.js';
import { masked, sound } from './frames.js';
import { addressNumber, concat, get16, get32, udp, udpOver4 } from './headers.js';
import { framesIn, Mesh, SPEC } from './mesh.js';
import { hex, numbered, Seen, type Way } from './way.js';

export const WAYS = [
  'decapsulation',
  'east-west',
  'vip',
  'encrypted',
  'bridge-publish',
  'bridge-back',
  'ipv6',
  'ipv6-back',
] as const;
export type WayName = (typeof WAYS)[number];

const MILLISECOND = 1e6;
/** By then a packet has crossed all devices of its node, and not the wire if that takes longer, ns. */
const LEFT = 50_000;
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

async function stand(spec: StackSpec, latency = 1): Promise<Realized> {
  const engine = await Engine.create({ seed: 1, captureBuffer: 1 << 20 });
  const realized = realize(engine, plan(spec, 1).topology, { latency });
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
async function decapsulation(): Promise<Way> {
  const mesh = await Mesh.create();
  const realized = await stand(SPEC);
  const { engine, topology } = realized;
  const sockets = new Sockets(engine);
  const overlay = namespaceOf(realized, 'node2/ov-ingress');
  const seen = new Seen();
  for (const { node, name, endpoints, kind } of topology.sandboxes) {
    if (kind !== 'task') continue;
    const task = namespaceOf(realized, `${node}/${name}`);
    sockets.openUdp(task, 80, (datagram) => seen.datagram(name, datagram));
    for (const endpoint of endpoints)
      if (endpoint.interface === 'eth0')
        overlay.learnFdb(overlay.device('br0'), endpoint.mac, peerOf(task.device('eth0')));
  }
  const client = mesh.namespace('client/host').device('eth0').mac;
  const make = (i: number, size: number) => {
    const { source, sport, destination, dport } = flowOf(mesh, 'udp', i);
    const datagram = udp(sport, dport, numbered(i, size - 42));
    const [frame] = mesh.pass([udpOver4(mesh.nic.mac, client, source, destination, datagram)]);
    if (!frame) throw new Error(`nothing left the mesh for flow ${i}`);
    return frame;
  };
  const settle = () => void engine.run(engine.now + MILLISECOND, (punted) => sockets.handle(punted));
  const arrived = () => seen.datagrams;
  const into = namespaceOf(realized, 'node2/host').device('eth0');
  return { engine, into, make, arrived, settle, seen: () => seen.taken() };
}

/** A container of node1 sends to those of node2, or to their service's virtual IP; a bare device stands where node2 was. */
async function overlayWay(name: 'east-west' | 'vip' | 'encrypted'): Promise<Way> {
  const encrypted = name === 'encrypted';
  const realized = await stand(
    encrypted
      ? { ...OVERLAY, networks: OVERLAY.networks.map((one) => ({ ...one, options: { encrypted: '' } })) }
      : OVERLAY,
    encrypted ? 2 * LEFT : 1,
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
  if (!vip) throw new Error('the service has no virtual IP');
  const make = (i: number, size: number) => {
    const task = tasks[i % tasks.length];
    if (!task) throw new Error('nobody to send to');
    const to = name === 'vip' ? { address: vip, mac: balancer.mac } : task;
    const datagram = udp(1024 + (i % 60_000), 80 + Math.floor(i / 60_000), numbered(i, size - 42));
    const [source, destination] = [shell.address, to.address].map((address) => addressNumber(hostPart(address)));
    return udpOver4(to.mac, shell.mac, source ?? 0, destination ?? 0, datagram);
  };
  const seen = new Seen();
  sink.tap();
  const taps = new Set([engine.taps.indexOf(sink)]);
  const own = host.device('eth0').address ?? '';
  const words = (frame: Uint8Array) => hex(encrypted ? opened(engine, own, frame) : masked(checked(frame)));
  engine.onCapture = (records) => {
    for (const frame of framesIn(records, taps)) seen.keep(() => words(frame));
  };
  // Learned entries age after 300 seconds; each time they are learned anew, one packet a destination takes the slow way.
  let fresh = engine.now;
  const settle = () => {
    engine.run(engine.now + MILLISECOND);
    if (engine.now - fresh < 100_000 * MILLISECOND) return;
    learn();
    fresh = engine.now;
  };
  const arrived = () => sink.drops.get('OTHERHOST') ?? 0;
  const into = peerOf(sender);
  const way = { engine, into, make, arrived, settle, seen: () => seen.taken() };
  if (!encrypted) return way;
  // Ciphers are asked while time passes. All of that is timed: until the last packet is on the wire.
  return { ...way, parts: 2, work: () => void engine.run(engine.now + LEFT), expected: hex };
}

function checked(frame: Uint8Array): Uint8Array {
  if (!sound(frame)) throw new Error('a frame left with a wrong checksum');
  return frame;
}

/** What is inside ESP of node1, opened with the key (RFC 4303, RFC 4106). */
function opened(engine: Engine, from: string, frame: Uint8Array): Uint8Array {
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
  return plain.subarray(16, plain.length - 2 - (plain[plain.length - 2] ?? 0));
}
/** Docker's AES-GCM has a check value of 64 bits. */
const ICV = 8;

export function wayOf(name: WayName): Promise<Way> {
  if (name === 'decapsulation') return decapsulation();
  if (name === 'east-west' || name === 'vip' || name === 'encrypted') return overlayWay(name);
  return bridgeWay(name.startsWith('ipv6'), name.endsWith('-back'));
}
