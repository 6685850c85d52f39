/**
 * Devices, addresses, rules, neighbours, sysctls and connections that come, go, move or change between two frames of a vector: the
 * next frame meets it, with the flow table as without, over IPv4 and over IPv6.
 */

import { describe, expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ethernet, ipv4, macBytes, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { address6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import { connectionEventsOf, watchConnections } from '../../src/engine/connection-events.js';
import { type Device, Engine, type Iptables, type Namespace } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES, TWO_NODES_6 } from './topologies.js';

const module = await checkedModule();
type Family = 'IPv4' | 'IPv6';
const TOPOLOGIES = {
  IPv4: plan(TWO_NODES, 1).topology,
  IPv6: plan(TWO_NODES_6, 1).topology,
};
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

  private constructor(
    readonly engine: Engine,
    readonly family: Family,
  ) {
    const topology = TOPOLOGIES[family];
    realize(engine, topology, { latency: 1000 });
    this.host = this.namespace('node1/host');
    this.overlay = this.namespace('node1/ov-net1');
    this.nic = this.host.device('eth0');
    this.near = this.namespace('node1/ct-near1').device('eth0');
    this.nearer = this.namespace('node1/ct-near2').device('eth0');
    this.bridge = this.near.peer?.master as Device;
    const client = this.namespace('client/host').device('eth0');
    const tasks = topology.sandboxes
      .filter(({ kind, endpoints }) => kind === 'task' && endpoints.some(({ network }) => network === 'net1'))
      .map(({ node, name, endpoints }) => {
        const endpoint = endpoints.find(({ network }) => network === 'net1');
        const device = this.namespace(`${node}/${name}`).device(endpoint?.interface ?? '');
        return { node, device, address: hostPart(endpoint?.address ?? '') };
      });
    const from = tasks.find(({ node }) => node === 'node1');
    const to = tasks.find(({ node }) => node === 'node2');
    for (const [i, end] of [from, to].entries()) {
      if (family === 'IPv4' || !end) continue;
      end.address = `fd00:100::${i + 1}`;
      end.device.namespace.addAddress(end.device, `${end.address}/64`, {
        nodad: true,
      });
    }
    if (!from?.device.peer || !to?.device.peer || !this.near.peer) throw new RangeError('no two tasks, or no bridge');
    for (const { namespace } of [this.near, this.nearer, to.device])
      for (const port of [80, 40_000])
        namespace.addForeignSocket('udp', {
          address: family === 'IPv4' ? '0.0.0.0' : '::',
          port,
        });
    const says = (into: Device, mac: string, by: string, source = '', destination = '', dport = 80) => {
      const text = udp(40_000, dport, new Uint8Array(18));
      if (family === 'IPv6') {
        const ends = {
          source: address6(source),
          destination: address6(destination),
          protocol: UDP,
        };
        return {
          into,
          frame: ethernet(macBytes(mac), macBytes(by), TYPE_IPV6, ipv6(ends, text)),
        };
      }
      const ends = {
        source: addressNumber(source),
        destination: addressNumber(destination),
        protocol: UDP,
      };
      return {
        into,
        frame: ethernet(macBytes(mac), macBytes(by), TYPE_IPV4, ipv4({ ...ends, fragment: 0x4000 }, text)),
      };
    };
    const { near, nearer, nic } = this;
    this.#ways = {
      published: says(nic, nic.mac, client.mac, this.of(client), this.of(nic), 9090),
      bridged: says(this.near.peer, nearer.mac, near.mac, this.of(near), this.of(nearer)),
      overlay: says(from.device.peer, to.device.mac, from.device.mac, from.address, to.address),
    };
    // Of a device that is not there yet.
    this.rules.insert('mangle', 'FORWARD', {
      out: { name: 'named' },
      target: 'DROP',
    });
    this.#answer = says(to.device.peer, from.device.mac, to.device.mac, to.address, from.address);
    this.#frames = engine.exports.scratch(VECTOR * (STRIDE + 4)) >>> 0;
    engine.onCapture = (records) => void this.seen.push(`captured ${records.length} ${digest(records)}`);
    for (const device of [nic, near, nearer, to.device]) device.tap();
  }
  /** The address of a device by which it is reached. */
  of(device: Device): string {
    if (this.family === 'IPv4') return device.address ?? '';
    return device.addresses6.find(({ address }) => !address.startsWith('fe80'))?.address ?? '';
  }
  /** The host's. */
  get rules(): Iptables {
    return this.family === 'IPv4' ? this.host.iptables : this.host.ip6tables;
  }
  /** Of an address alone, and of its network. */
  get whole(): number {
    return this.family === 'IPv4' ? 32 : 128;
  }
  get subnet(): number {
    return this.family === 'IPv4' ? 16 : 64;
  }
  static async create(fast: boolean, family: Family): Promise<Life> {
    const engine = await Engine.create({
      module,
      seed: 1,
      captureBuffer: 1 << 20,
    });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine, family);
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
async function live(fast: boolean, family: Family, way: Way, happens: (life: Life) => void) {
  const life = await Life.create(fast, family);
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

const calmly = (family: Family) => Promise.all(WAYS.map((way) => live(false, family, way, () => {})));
const calm = { IPv4: await calmly('IPv4'), IPv6: await calmly('IPv6') };

const MACS = Object.values(TOPOLOGIES).flatMap(({ sandboxes }) =>
  sandboxes.flatMap(({ endpoints }) => endpoints.map(({ mac }) => mac)),
);
function isDown(device: Device): void {
  device.up = false;
}
function shrink(...devices: Device[]): void {
  for (const device of devices) device.mtu = 40;
}

const CHANGES: [string, (life: Life) => void, Family?][] = [
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
  ['an address goes', ({ host, nic }) => host.removeAddress(nic, `${nic.address}/24`), 'IPv4'],
  [
    'a container’s address goes',
    (life) => life.near.namespace.removeAddress(life.near, `${life.of(life.near)}/${life.subnet}`),
  ],
  [
    'a container’s address is the host’s, too',
    (life) => life.host.addAddress(life.host.device('docker0'), `${life.of(life.near)}/${life.whole}`),
  ],
  [
    'another route is better',
    (life) => life.host.addRoute(`${life.of(life.near)}/${life.whole}`, life.host.device('docker0')),
  ],
  [
    'an ipvlan has the address',
    ({ engine, nic }) => {
      const namespace = engine.namespace('node1/aside');
      namespace.addAddress(namespace.addIpvlan('eth0', { lower: nic, mtu: 1500 }), `${nic.address}/24`);
    },
    'IPv4',
  ],
  [
    'a macvlan has the MAC',
    ({ engine, nic }) =>
      void engine.namespace('node1/aside').addMacvlan('eth0', { lower: nic, mtu: 1500, mac: nic.mac }),
  ],
  [
    'a macvlan takes all',
    ({ engine, nic }) =>
      void engine.namespace('node1/aside').addMacvlan('eth0', {
        lower: nic,
        mtu: 1500,
        mac: '02:00:00:00:aa:03',
        mode: 'passthru',
      }),
  ],
  [
    'a chain’s policy changes',
    ({ rules }) => {
      rules.chain('mangle', 'FORWARD').policy = 'DROP';
    },
  ],
  ['a rule drops all', ({ rules }) => void rules.insert('filter', 'FORWARD', { target: 'DROP' })],
  [
    'a rule drops what is established',
    ({ rules }) =>
      void rules.insert('mangle', 'PREROUTING', {
        states: ['ESTABLISHED', 'NEW'],
        target: 'DROP',
      }),
  ],
  [
    'a rule of a container drops all',
    ({ near, nearer, family }) => {
      for (const { namespace } of [near, nearer]) {
        const { iptables, ip6tables } = namespace;
        (family === 'IPv4' ? iptables : ip6tables).insert('filter', 'INPUT', {
          protocol: 'udp',
          target: 'DROP',
        });
      }
    },
  ],
  [
    'all rules go',
    ({ rules }) => {
      rules.clear();
      rules.chain('filter', 'FORWARD').policy = 'DROP';
    },
  ],
  ['nothing is forwarded', ({ host }) => void host.set('forward', 0), 'IPv4'],
  [
    'nothing is forwarded',
    ({ host }) => {
      host.ipv6.forwards = false;
    },
    'IPv6',
  ],
  [
    'bridges call no rules',
    ({ host, rules, family }) => {
      rules.insert('filter', 'FORWARD', { target: 'DROP' });
      host.set(family === 'IPv4' ? 'bridgeNetfilter' : 'bridgeNetfilter6', 0);
    },
  ],
  ['a NIC is down', ({ nic }) => isDown(nic)],
  ['a bridge is down', ({ bridge }) => isDown(bridge)],
  ['a container’s device is down', ({ near }) => isDown(near)],
  ['a tunnel is down', ({ overlay }) => isDown(overlay.device('vxlan0'))],
  ['packets do not fit any more', ({ bridge, near, overlay }) => void shrink(bridge, near, overlay.device('vxlan0'))],
  [
    'neighbours are forgotten',
    ({ engine: { exports } }) => {
      const all = Array.from({ length: exports.neighbourSlots() }, (_, i) => exports.neighbourAt(i) >>> 0);
      for (const at of all) if (at) exports.removeNeighbour(at);
    },
  ],
  [
    'a neighbour moves',
    (life) => void life.host.addNeighbour(life.bridge, life.of(life.near), '02:00:00:00:aa:04', 'reachable'),
  ],
  [
    'a bridge forgets who is where',
    ({ host, bridge, near, nearer }) => {
      for (const { mac } of [near, nearer]) host.removeFdb(bridge, mac);
    },
  ],
  [
    'a bridge takes one for another',
    ({ host, bridge, near, nearer }) => {
      for (const { mac } of [near, nearer]) host.learnFdb(bridge, mac, near.peer as Device);
    },
  ],
  [
    'a tunnel forgets its other ends',
    ({ overlay }) => {
      for (const mac of MACS) overlay.removeFdb(overlay.device('vxlan0'), mac);
    },
  ],
  ['connections are forgotten', (life) => void life.host.forgetConnectionsOf(life.of(life.near))],
  [
    'the table of connections is full of forgotten ones',
    (life) => {
      life.host.forgetConnectionsOf(life.of(life.near));
      life.host.set('connectionsMax', 1);
    },
  ],
  ['a rule’s device comes by that name', ({ host, bridge }) => host.renameDevice(bridge, 'named')],
  ['hops take longer', ({ engine }) => engine.exports.setHopDelay(1500)],
  ['words are wanted', ({ engine }) => engine.exports.setTracing(1)],
];

describe.each<Family>(['IPv4', 'IPv6'])('over %s', (family) => {
  it.each(CHANGES.filter(([, , only]) => !only || only === family))('%s', async (_, happens) => {
    const matters: Way[] = [];
    for (const [i, way] of WAYS.entries()) {
      const [slow, quick] = [await live(false, family, way, happens), await live(true, family, way, happens)];
      expect(quick.seen).toEqual(slow.seen);
      expect([slow.went, quick.went]).toEqual([0, 4 * VECTOR]);
      if (slow.seen.join() !== calm[family][i]?.seen.join()) matters.push(way);
    }
    expect(matters.length).toBeGreaterThan(0);
  });

  it('who watches connections is told of those that were fast before', async () => {
    for (const way of WAYS) {
      const happens = ({ engine }: Life) => void watchConnections(engine);
      const [slow, quick] = [await live(false, family, way, happens), await live(true, family, way, happens)];
      expect(quick.seen).toEqual(slow.seen);
    }
  });
});
