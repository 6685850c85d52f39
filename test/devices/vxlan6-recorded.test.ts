/**
 * VXLAN and ESP over IPv6 as Linux 6.1 made them (recorded/vxlan6): two nodes with two networks each, set up by the commands
 * that dockerd's netlink calls amount to, the second network encrypted. What the endpoints sent goes in; what the nodes had
 * on the wire and on `lo` must come out.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/read.js';
import { differingFields } from '../../src/dissect/fields.js';
import { layersOf } from '../../src/dissect/layers.js';
import type { Device, Namespace } from '../../src/engine/index.js';
import { compareTap, type TapFrame } from '../../src/replay/compare.js';
import { espOpener } from '../../src/replay/esp.js';
import type { MaskName } from '../../src/replay/masks.js';
import { checkedEngine } from '../engine/checked.js';
import { hex, macText } from '../engine/packets.js';
import { checksumHolds6 } from '../engine/packets6.js';
import { expectConserved, Watch } from '../engine/watch.js';

const NODES = [
  { name: 'node1', mac: '52:54:00:00:00:0a', address: '2001:db8:99::a', host: 2 },
  { name: 'node2', mac: '52:54:00:00:00:0b', address: '2001:db8:99::b', host: 3 },
] as const;
const KEY = '000102030405060708090a0b0c0d0e0f';
const SPIS = [0x1001, 0x1002] as const;
const MASKS = new Set<MaskName>(['vxlan-source-port', 'own-flow-label', 'esp-iv']);

function recorded(tap: string): readonly { time: bigint; data: Uint8Array }[] {
  return readCapture(readFileSync(new URL(`recorded/vxlan6/${tap}.pcap`, import.meta.url))).frames;
}

/** The frames that a node's own stack or tunnel is behind, without neighbour discovery's: its probes hang on random timers. */
function withoutDiscovery<F extends { data: Uint8Array }>(frames: readonly F[]): F[] {
  return frames.filter(({ data }) => data[20] !== 58 || (data[54] ?? 0) < 133);
}

const isEsp = ({ data }: { data: Uint8Array }) => data[20] === 50;

/** What came of everything that the endpoints of network `net` sent, at its times. */
async function replayed(net: 0 | 1, { encrypted }: { encrypted: boolean }) {
  const engine = await checkedEngine();
  const segment = engine.segment(1000);
  const vni = 4097 + net;
  const endpoint = (host: number) => ({ mac: `02:42:0a:00:0${net}:0${host}`, address: `10.0.${net}.${host}` });
  const ends = NODES.map((node, index) => {
    const peer = NODES[1 - index] as (typeof NODES)[number];
    const host = engine.namespace(`${node.name}/host`);
    const nic = host.addPhysical('eth0', segment, { mac: node.mac, mtu: 1500 });
    host.ipv6.enable(host.device('lo'));
    host.ipv6.addLinkLocal(nic);
    host.addAddress(nic, `${node.address}/64`, { nodad: true });
    const overlay = engine.namespace(`${node.name}/overlay`);
    const mac = `02:00:00:00:0${index + 1}:01`;
    const vxlan = overlay.addVxlan('vx0', { mac, mtu: 1450, vni, port: 4789, underlay: host, over: 6 });
    const inside = engine.namespace(`${node.name}/inside`);
    inside.set('silent', 1);
    const own = endpoint(node.host);
    const [device, veth] = inside.addVeth(
      'eth0',
      { mac: own.mac, mtu: 1450 },
      { namespace: overlay, name: 'veth0', mac: `02:00:00:00:0${index + 1}:02`, mtu: 1450 },
    );
    inside.addAddress(device, `${own.address}/24`);
    const bridge = overlay.addBridge('br0', { mac, mtu: 1450 });
    overlay.addPort(bridge, vxlan);
    overlay.addPort(bridge, veth);
    const there = endpoint(peer.host);
    overlay.addNeighbour(vxlan, there.address, there.mac);
    overlay.addVxlanFdb(vxlan, there.mac, peer.address);
    if (encrypted) encrypt(host, node.address, peer.address, index);
    return { node, host, nic, device, own };
  });
  const watch = new Watch(
    engine,
    ends.flatMap(({ host, nic, device }) => [nic, host.device('lo'), device]),
  );
  const stimuli = ends
    .flatMap(({ node, device, own }) =>
      recorded(`${node.name}.inside.eth${net}`)
        .filter(({ data }) => macText(data, 6) === own.mac)
        .map(({ data, time }) => ({ device, data, time })),
    )
    .sort((a, b) => Number(a.time - b.time));
  const start = stimuli[0]?.time ?? 0n;
  for (const { device, data, time } of stimuli) engine.transmit(device, data, Number(time - start) + 1_000_000);
  engine.run(90e9);
  expectConserved(engine);
  const seen = (device: Device): TapFrame[] =>
    watch
      .frames(device)
      .map(({ time, data, direction }) => ({ time: BigInt(time), data, ...(direction ? { direction } : {}) }));
  return { ends, seen, stimuli: stimuli.length };
}

/** Every VXLAN packet between them: what a mark picks out of several networks is the rules' business. */
function encrypt({ xfrm }: Namespace, own: string, peer: string, index: number): void {
  const [sends = 0, receives = 0] = index === 0 ? SPIS : [...SPIS].reverse();
  const key = (spi: number) => hex(`${KEY}${spi.toString(16).padStart(8, '0')}`);
  xfrm.addAssociation({ source: own, destination: peer, spi: sends, reqid: 5, key: key(sends) });
  xfrm.addAssociation({ source: peer, destination: own, spi: receives, reqid: 5, key: key(receives) });
  const template = { source: own, destination: peer, spi: sends, reqid: 5 };
  xfrm.setPolicy({ source: own, destination: peer, protocol: 17, port: 4789, mark: 0, markMask: 0, template });
}

const openEsp = espOpener(
  SPIS.map((spi, index) => ({
    destination: NODES[1 - index]?.address ?? '',
    spi,
    key: hex(`${KEY}${spi.toString(16).padStart(8, '0')}`),
  })),
);

/** What the kernel draws of a packet that an error quotes, and the checksums over it. */
const DRAWN = new Set(['ipv6.flow', 'udp.srcport', 'udp.checksum', 'icmpv6.checksum', 'esp.iv', 'esp.encrypted_data']);
const decoded = (bytes: Uint8Array) => ({ bytes, layers: layersOf(bytes) });

/** Directions are not in the files: nobody's count. */
const bare = (frames: readonly { time: bigint; data: Uint8Array }[]) =>
  frames.map(({ time, data }) => ({ time, data }));

function expectSame(tap: string, real: readonly TapFrame[], ours: readonly TapFrame[]): void {
  const found = compareTap({ tap, frames: bare(real) }, { tap, frames: bare(ours) }, { allowed: MASKS, openEsp });
  expect(found.differences.map(({ kind, words, flow }) => `${kind} ${flow}: ${words.join('; ')}`)).toEqual([]);
  expect(found.compared).toBe(real.length);
  expect(found.compared).toBeGreaterThan(0);
}

describe('what Linux made of it', () => {
  it('VXLAN over IPv6 is the same on the wire', async () => {
    const { ends, seen } = await replayed(0, { encrypted: false });
    const wire = withoutDiscovery(recorded('node1.host.eth0'));
    const first = ends[0];
    if (!first) throw new Error('no node');
    expectSame(
      'node1/eth0',
      wire.filter((frame) => !isEsp(frame)),
      withoutDiscovery(seen(first.nic)),
    );
  });

  it('ESP over IPv6 holds the same, with the same lengths, paddings and sequence numbers', async () => {
    const { ends, seen } = await replayed(1, { encrypted: true });
    const first = ends[0];
    if (!first) throw new Error('no node');
    const real = recorded('node1.host.eth0').filter(isEsp);
    expectSame('node1/eth0', real, withoutDiscovery(seen(first.nic)));
  });

  it.each([0, 1] as const)('what arrives at the endpoints of network %i is what arrived there', async (net) => {
    const { ends, seen } = await replayed(net, { encrypted: net === 1 });
    for (const { node, device, own } of ends) {
      const arrived = (frames: readonly TapFrame[]) => frames.filter(({ data }) => macText(data, 6) !== own.mac);
      expectSame(`${node.name}/inside`, arrived(recorded(`${node.name}.inside.eth${net}`)), arrived(seen(device)));
    }
  });

  it.each([0, 1] as const)(
    'each packet of network %i that is too big is told of on lo, to its sender itself',
    async (net) => {
      const { ends, seen } = await replayed(net, { encrypted: net === 1 });
      const next = net === 1 ? 50 : 17;
      let count = 0;
      for (const { node, host } of ends) {
        // Quoted: behind Ethernet, IPv6 and ICMPv6 headers.
        const about = ({ data }: { data: Uint8Array }) => data[62 + 6] === next;
        const real = recorded(`${node.name}.host.lo`).filter(about);
        const ours = seen(host.device('lo'));
        expect(ours.every(about)).toBe(true);
        expect(ours.length).toBe(real.length);
        for (const [index, { data }] of real.entries()) {
          const own = ours[index]?.data ?? new Uint8Array();
          expect(own.length).toBe(data.length);
          expect(checksumHolds6(own.subarray(14))).toBe(true);
          const differing = differingFields(decoded(data), decoded(own)).map(({ name }) => name);
          expect(differing.filter((name) => !DRAWN.has(name))).toEqual([]);
          count += 1;
        }
      }
      expect(count).toBeGreaterThan(0);
    },
  );
});
