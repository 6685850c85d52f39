/**
 * What every tunnel must do, whatever it is made of: a template. A tunnel that is new gets its row in TUNNELS, and no other line
 * here changes.
 *
 *   inner frame ── device │ here ── wire ── there │ device ── inner frame
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Device, Engine, Namespace, Segment } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { checksumsHold, echo, ethernet, IPV4, tcpPacket, toHex, u16, udpPacket } from '../engine/packets.js';
import { checksumHolds6 } from '../engine/packets6.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';

interface Tunnel {
  name: string;
  /** Bytes that it puts before an inner frame. */
  overhead: number;
  /** Of machine `n` on the underlay. */
  address(n: number): string;
  prefix: number;
  /** What stands outside: EtherType, both addresses and the place of the TTL; bytes that no checksum covers. */
  outside: { type: string; addresses: [at: number, bytes: string]; ttl: number; unchecked: number[] };
  /** Is the outer packet, from its IP header on, as this tunnel makes them? */
  holds(packet: Uint8Array): boolean;
  /** Connections that conntrack of IPv4 has of it. */
  connections: number;
  /** Makes this end: a device in `namespace`, with `underlay` below, that sends frames for `peer.mac` to `peer.underlay`. */
  add(namespace: Namespace, underlay: Namespace, mac: string, peer: { mac: string; underlay: string }): Device;
}

const TUNNELS: Tunnel[] = [
  {
    name: 'vxlan',
    overhead: 50,
    address: (n) => `192.168.99.${n}`,
    prefix: 24,
    outside: {
      type: '08 00',
      addresses: [26, 'c0 a8 63 01 c0 a8 63 02'],
      ttl: 22,
      unchecked: [],
    },
    // Without DF: routers may cut it.
    holds: (packet) => checksumsHold(packet) && (u16(packet, 6) & 0x4000) === 0,
    connections: 1,
    add(namespace, underlay, mac, peer) {
      const device = namespace.addVxlan('tunnel0', { mac, mtu: 1450, vni: 4096, port: 4789, underlay });
      namespace.addVxlanFdb(device, peer.mac, peer.underlay);
      return device;
    },
  },
  {
    name: 'vxlan over IPv6',
    overhead: 70,
    address: (n) => `2001:db8:99::${n}`,
    prefix: 64,
    outside: {
      type: '86 dd',
      addresses: [
        22,
        '20 01 0d b8 00 99 00 00 00 00 00 00 00 00 00 01 20 01 0d b8 00 99 00 00 00 00 00 00 00 00 00 02',
      ],
      ttl: 21,
      // Traffic class, flow label, hop limit; an IPv6 header has no checksum.
      unchecked: [15, 16, 17, 21],
    },
    // With a checksum, which IPv6 wants, and without a flow label.
    holds: (packet) =>
      u16(packet, 46) !== 0 && checksumHolds6(packet) && toHex(packet.subarray(0, 4)) === '60 00 00 00',
    connections: 0,
    add(namespace, underlay, mac, peer) {
      const device = namespace.addVxlan('tunnel0', { mac, mtu: 1430, vni: 4096, port: 4789, underlay, over: 6 });
      namespace.addVxlanFdb(device, peer.mac, peer.underlay);
      return device;
    },
  },
];

interface End {
  host: Namespace;
  nic: Device;
  device: Device;
  mac: string;
}

interface World {
  engine: Engine;
  segment: Segment;
  here: End;
  there: End;
  watch: Watch;
}

async function world(tunnel: Tunnel): Promise<World> {
  const engine = await checkedEngine();
  const segment = engine.segment(1000);
  const macOf = (n: number) => `02:42:0a:00:00:0${n}`;
  const end = (n: number, other: number): End => {
    const host = engine.namespace(`node${n}/host`);
    const nic = host.addPhysical('eth0', segment, { mac: `52:54:00:00:00:0${n}`, mtu: 1500 });
    host.addAddress(nic, `${tunnel.address(n)}/${tunnel.prefix}`, { nodad: true });
    host.addNeighbour(nic, tunnel.address(other), `52:54:00:00:00:0${other}`);
    const inside = engine.namespace(`node${n}/inside`);
    inside.set('silent', 1);
    const peer = { mac: macOf(other), underlay: tunnel.address(other) };
    const device = tunnel.add(inside, host, macOf(n + 4), peer);
    return { host, nic, device, mac: macOf(n) };
  };
  const here = end(1, 2);
  const there = end(2, 1);
  return { engine, segment, here, there, watch: new Watch(engine, [here.nic, here.device, there.nic, there.device]) };
}

const ends = { source: '10.0.0.1', destination: '10.0.0.2' };
const between = ({ here, there }: World, packet: Uint8Array) => ethernet(there.mac, here.mac, IPV4, packet);

describe.each(TUNNELS)('a $name tunnel', (tunnel) => {
  it.each([
    ['UDP', udpPacket({ ...ends, sport: 4000, dport: 53 })],
    ['TCP', tcpPacket({ ...ends, sport: 4000, dport: 80 }, { flags: 'S' })],
    ['a ping', echo(ends)],
    [
      'the longest packet that fits',
      udpPacket({ ...ends, sport: 1, dport: 2 }, new Uint8Array(1500 - tunnel.overhead - 28)),
    ],
    ['a frame of another protocol', undefined],
  ])('brings %s to the other end as it is', async (_, packet) => {
    const w = await world(tunnel);
    const frame = packet ? between(w, packet) : ethernet(w.there.mac, w.here.mac, 0x88cc, new Uint8Array(60).fill(7));
    w.engine.transmit(w.here.device, frame);
    w.engine.run(1e9);
    expect(w.watch.received(w.there.device).map(toHex)).toEqual([toHex(frame)]);
    expectConserved(w.engine);
  });

  it('brings any bytes through (property)', async () => {
    const w = await world(tunnel);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 1400 }),
        fc.integer({ min: 0x0600, max: 0xffff }),
        (bytes, type) => {
          // ARP may be the tunnel's own business, and an IP header its place for ECN.
          fc.pre(type !== 0x0806 && type !== IPV4);
          w.watch.clear();
          const frame = ethernet(w.there.mac, w.here.mac, type, bytes);
          w.engine.transmit(w.here.device, frame);
          w.engine.run(w.engine.now + 1_000_000);
          expect(w.watch.received(w.there.device).map(toHex)).toEqual([toHex(frame)]);
        },
      ),
      { numRuns: 100 },
    );
    expectConserved(w.engine);
  });

  it('adds its overhead, between the nodes’ own MACs and addresses, with checksums that hold', async () => {
    const w = await world(tunnel);
    const frame = between(w, udpPacket({ ...ends, sport: 4000, dport: 53 }));
    w.engine.transmit(w.here.device, frame);
    w.engine.run(1e9);
    const [outer = new Uint8Array()] = w.watch.sent(w.here.nic);
    expect(outer.length).toBe(frame.length + tunnel.overhead);
    const {
      type,
      addresses: [at, addresses],
      ttl,
    } = tunnel.outside;
    expect(toHex(outer.subarray(0, 14))).toBe(`52 54 00 00 00 02 52 54 00 00 00 01 ${type}`);
    expect(toHex(outer).slice(at * 3, at * 3 + addresses.length)).toBe(addresses);
    expect(tunnel.holds(outer.subarray(14))).toBe(true);
    expect(outer[ttl], 'TTL').toBe(64);
  });

  it('brings the answer back', async () => {
    const w = await world(tunnel);
    const frame = ethernet(
      w.here.mac,
      w.there.mac,
      IPV4,
      echo({ source: '10.0.0.2', destination: '10.0.0.1' }, { reply: true }),
    );
    w.engine.transmit(w.there.device, frame);
    w.engine.run(1e9);
    expect(w.watch.received(w.here.device).map(toHex)).toEqual([toHex(frame)]);
    expectConserved(w.engine);
  });

  it('leaves marks and connections on their own side', async () => {
    const w = await world(tunnel);
    w.here.host.trackConnections();
    w.there.host.trackConnections();
    w.engine.transmit(w.here.device, between(w, tcpPacket({ ...ends, sport: 4000, dport: 80 }, { flags: 'S' })));
    w.engine.run(1e9);
    expect(w.here.host.get('connections'), 'the tunnel itself').toBe(tunnel.connections);
    expect(w.there.host.get('connections'), 'the tunnel itself').toBe(tunnel.connections);
    expect(w.here.device.namespace.get('connections')).toBe(0);
    expect(w.there.device.namespace.get('connections')).toBe(0);
  });

  it('sends nothing while its underlay is down, and says where it ended', async () => {
    const w = await world(tunnel);
    w.here.nic.up = false;
    w.engine.transmit(w.here.device, between(w, echo(ends)));
    w.engine.run(1e9);
    expect(w.watch.received(w.there.device)).toEqual([]);
    expect(dropsOf(w.engine)).toEqual(['node1/host/eth0 DEV_DOWN']);
    expectConserved(w.engine);
  });

  it('takes nothing that is broken, wherever a byte of its own headers is turned over', async () => {
    const w = await world(tunnel);
    const frame = between(w, udpPacket({ ...ends, sport: 4000, dport: 53 }));
    w.engine.transmit(w.here.device, frame);
    w.engine.run(1e9);
    const [outer = new Uint8Array()] = w.watch.sent(w.here.nic);
    for (let at = 14; at < tunnel.overhead; at++) {
      if (tunnel.outside.unchecked.includes(at)) continue;
      w.watch.clear();
      const broken = outer.slice();
      broken[at] = (broken[at] ?? 0) ^ 0x40;
      w.engine.receive(w.there.nic, broken);
      w.engine.run(w.engine.now + 1_000_000);
      expect(w.watch.received(w.there.device), `byte ${at}`).toEqual([]);
    }
    expectConserved(w.engine);
  });
});
