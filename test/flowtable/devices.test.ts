/**
 * Devices, addresses and listeners that come, go, move or change their names between two frames of a vector: the next frame meets
 * it, with the flow table as without.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ethernet, ipv4, macBytes, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { connectionEventsOf, watchConnections } from '../../src/engine/connection-events.js';
import { type Device, Engine, type Namespace } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES } from './topologies.js';

const module = await checkedModule();
const { topology } = plan(TWO_NODES, 1);
const STRIDE = 512;
const VECTOR = 8;

interface Interrupted {
  beginVector(device: number, frames: number, lengths: number, stride: number, count: number): void;
  continueVector(device: number, count: number): void;
}
/** To a port that a bridge publishes, from container to container on that bridge, and over an overlay. */
const WAYS = ['published', 'bridged', 'overlay'] as const;
type Way = (typeof WAYS)[number];

class Life {
  readonly seen: string[] = [];
  readonly host: Namespace;
  readonly nic: Device;
  readonly near: Device;
  readonly nearer: Device;
  readonly bridge: Device;
  readonly overlay: Namespace;
  readonly #ways: Record<Way, { into: Device; frame: Uint8Array }>;
  /** From the overlay's other node, whose bridge then knows who is where. */
  readonly #answer: { into: Device; frame: Uint8Array };
  readonly #frames: number;

  private constructor(readonly engine: Engine) {
    realize(engine, topology, { latency: 1000 });
    this.host = this.namespace('node1/host');
    this.overlay = this.namespace('node1/ov-net1');
    this.nic = this.host.device('eth0');
    this.near = this.namespace('node1/ct-near1').device('eth0');
    this.nearer = this.namespace('node1/ct-near2').device('eth0');
    this.bridge = this.near.peer?.master as Device;
    const client = this.namespace('client/host').device('eth0');
    const [from, to] = topology.sandboxes
      .filter(({ kind, name }) => kind === 'task' && name.includes('ingress'))
      .map(({ node, name, endpoints }) => {
        const endpoint = endpoints.find(({ network }) => network === 'net1');
        const device = this.namespace(`${node}/${name}`).device(endpoint?.interface ?? '');
        return { device, address: hostPart(endpoint?.address ?? '') };
      });
    if (!from?.device.peer || !to?.device.peer || !this.near.peer) throw new RangeError('no two tasks, or no bridge');
    for (const { namespace } of [this.near, this.nearer, to.device])
      for (const port of [80, 40_000]) namespace.addForeignSocket('udp', { address: '0.0.0.0', port });
    const says = (into: Device, mac: string, by: string, source = '', destination = '', dport = 80) => {
      const ends = { source: addressNumber(source), destination: addressNumber(destination), protocol: UDP };
      const packet = ipv4({ ...ends, fragment: 0x4000 }, udp(40_000, dport, new Uint8Array(18)));
      return { into, frame: ethernet(macBytes(mac), macBytes(by), TYPE_IPV4, packet) };
    };
    const { near, nearer, nic } = this;
    this.#ways = {
      published: says(nic, nic.mac, client.mac, client.address, nic.address, 9090),
      bridged: says(this.near.peer, nearer.mac, near.mac, near.address, nearer.address),
      overlay: says(from.device.peer, to.device.mac, from.device.mac, from.address, to.address),
    };
    // Of a device that is not there yet.
    this.host.iptables.insert('mangle', 'FORWARD', { out: { name: 'named' }, target: 'DROP' });
    this.#answer = says(to.device.peer, from.device.mac, to.device.mac, to.address, from.address);
    this.#frames = engine.exports.scratch(VECTOR * (STRIDE + 4)) >>> 0;
    engine.onCapture = (records) => void this.seen.push(`captured ${records.length} ${digest(records)}`);
    for (const device of [nic, near, nearer, to.device]) device.tap();
  }
  static async create(fast: boolean): Promise<Life> {
    const engine = await Engine.create({ module, seed: 1, captureBuffer: 1 << 20 });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine);
  }
  namespace(name: string): Namespace {
    const found = this.engine.namespaces.get(name);
    if (!found) throw new RangeError(`no namespace ${name}`);
    return found;
  }
  answer(): void {
    this.engine.receive(this.#answer.into, this.#answer.frame);
    this.engine.run(this.engine.now + 1e6);
  }
  /** A vector of datagrams that way; in the middle of it something happens. */
  say(way: Way, happens?: () => void): void {
    const { engine } = this;
    const { into, frame } = this.#ways[way];
    if (!engine.devices.includes(into)) return;
    const { bytes, view } = engine.memory;
    const lengths = this.#frames + VECTOR * STRIDE;
    for (let i = 0; i < VECTOR; i++) {
      bytes.set(frame, this.#frames + i * STRIDE);
      view.setUint32(lengths + 4 * i, frame.length, true);
    }
    const interrupted = engine.exports as unknown as Interrupted;
    interrupted.beginVector(into.at, this.#frames, lengths, STRIDE, VECTOR);
    interrupted.continueVector(into.at, VECTOR / 2);
    happens?.();
    if (engine.devices.includes(into)) interrupted.continueVector(into.at, VECTOR / 2);
    engine.run(engine.now + 1e6);
  }
}

/** All three ways are fast; then `happens` in the middle of a vector on one of them, and all are gone again. */
async function live(fast: boolean, way: Way, happens: (life: Life) => void) {
  const life = await Life.create(fast);
  const { engine, seen } = life;
  life.answer();
  for (let turn = 0; turn < 3; turn++) for (const one of WAYS) life.say(one);
  const before = engine.exports.fastPackets();
  for (const one of WAYS) life.say(one);
  const went = engine.exports.fastPackets() - before;
  seen.length = 0;
  life.say(way, () => happens(life));
  for (let turn = 0; turn < 3; turn++) for (const one of WAYS) life.say(one);
  const captured = [...seen];
  seen.push(...books(engine), ...state(engine), JSON.stringify(connectionEventsOf(engine) ?? []));
  return { seen, captured, went };
}

const calm = await Promise.all(WAYS.map((way) => live(false, way, () => {})));

it.each<[string, (life: Life) => void]>([
  ['a container’s device goes', ({ near }) => near.namespace.removeDevice(near)],
  ['a bridge goes', ({ host, bridge }) => host.removeDevice(bridge)],
  ['a port leaves its bridge', ({ host, near }) => host.removePort(near.peer as Device)],
  ['a NIC goes', ({ host, nic }) => host.removeDevice(nic)],
  ['a tunnel goes', ({ overlay }) => overlay.removeDevice(overlay.device('vxlan0'))],
  ['a device moves', ({ engine, nearer }) => nearer.namespace.moveDevice(nearer, engine.namespace('node1/aside'))],
  [
    'a port of a bridge moves',
    ({ engine, host, near }) => host.moveDevice(near.peer as Device, engine.namespace('node1/aside')),
  ],
  ['a bridge has another MAC', ({ host, bridge }) => host.setBridgeMac(bridge, '02:00:00:00:aa:01')],
  [
    'a NIC has another MAC',
    ({ nic }) => {
      nic.mac = '02:00:00:00:aa:02';
    },
  ],
  ['an address goes', ({ host, nic }) => host.removeAddress(nic, `${nic.address}/24`)],
  [
    'a container’s address is the host’s, too',
    ({ host, near }) => host.addAddress(host.device('docker0'), `${near.address}/32`),
  ],
  ['another route is better', ({ host, near }) => host.addRoute(`${near.address}/32`, host.device('docker0'))],
  [
    'an ipvlan has the address',
    ({ engine, nic }) => {
      const namespace = engine.namespace('node1/aside');
      namespace.addAddress(namespace.addIpvlan('eth0', { lower: nic, mtu: 1500 }), `${nic.address}/24`);
    },
  ],
  [
    'a macvlan has the MAC',
    ({ engine, nic }) =>
      void engine.namespace('node1/aside').addMacvlan('eth0', { lower: nic, mtu: 1500, mac: nic.mac }),
  ],
  [
    'a macvlan takes all',
    ({ engine, nic }) =>
      void engine
        .namespace('node1/aside')
        .addMacvlan('eth0', { lower: nic, mtu: 1500, mac: '02:00:00:00:aa:03', mode: 'passthru' }),
  ],
  [
    'a chain’s policy changes',
    ({ host }) => {
      host.iptables.chain('mangle', 'FORWARD').policy = 'DROP';
    },
  ],
  ['a rule’s device comes by that name', ({ host, bridge }) => host.renameDevice(bridge, 'named')],
  ['hops take longer', ({ engine }) => engine.exports.setHopDelay(1500)],
  ['words are wanted', ({ engine }) => engine.exports.setTracing(1)],
])('%s', async (_, happens) => {
  const matters: Way[] = [];
  for (const [i, way] of WAYS.entries()) {
    const [slow, quick] = [await live(false, way, happens), await live(true, way, happens)];
    expect(quick.seen).toEqual(slow.seen);
    expect([slow.went, quick.went]).toEqual([0, 4 * VECTOR]);
    if (slow.captured.join() !== calm[i]?.captured.join()) matters.push(way);
  }
  expect(matters.length).toBeGreaterThan(0);
});

it('who watches connections is told of those that were fast before', async () => {
  for (const way of WAYS) {
    const happens = ({ engine }: Life) => void watchConnections(engine);
    const [slow, quick] = [await live(false, way, happens), await live(true, way, happens)];
    expect(quick.seen).toEqual(slow.seen);
  }
});
