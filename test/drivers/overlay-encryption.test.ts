/** The overlay driver's encryption: which keys, which SPIs, what stands where (libnetwork drivers/overlay/encryption.go). */

import { describe, expect, it } from 'vitest';
import { encryptionIn, NodeEncryption, overlayMtu, spiOf } from '../../src/drivers/overlay-encryption.js';
import { KeyRing } from '../../src/swarm/key-ring.js';
import { Draw } from '../../src/topology/draw.js';
import { ip6tablesSave, iptablesSave, ipXfrmPolicy, ipXfrmState } from '../../src/views/index.js';
import { checkedEngine } from '../engine/checked.js';
import { ASSOCIATIONS } from '../engine/recorded-esp.js';
import { recorded } from '../replay/recorded.js';

const HERE = '192.168.99.110';
const THERE = '192.168.99.111';
const KEYS = [49827, 49828, 49829, 49830].map((tag, i) => ({ key: `${i}`.repeat(32), tag }));
const [OLDEST, PRIMARY, YOUNGEST, NEXT] = KEYS as [
  (typeof KEYS)[0],
  (typeof KEYS)[0],
  (typeof KEYS)[0],
  (typeof KEYS)[0],
];
const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;

describe('an SPI', () => {
  it('is the FNV-1a hash of both addresses and the tag between them: the worked example, both ways', () => {
    expect(hex(spiOf('192.168.50.1', '192.168.50.2', 42))).toBe('0xab5cea32');
    expect(hex(spiOf('192.168.50.2', '192.168.50.1', 42))).toBe('0xd1eb9232');
  });

  it('is what the real swarm computed, for every association that it had', () => {
    const { keys = [] } = recorded('S9-encrypted-overlay').inputs.encryption ?? {};
    expect(ASSOCIATIONS.length).toBe(8);
    for (const { src, dst, spi, key } of ASSOCIATIONS) {
      const tag = keys.find((one) => key.startsWith(one.key))?.tag ?? 0;
      expect(hex(spiOf(src, dst, tag))).toBe(spi);
    }
  });
});

it.each([
  [1500, false, 1450],
  [1500, true, 1424],
  [1400, true, 1324],
  [1501, true, 1424],
  [9000, true, 8924],
])('an underlay of %i, encrypted %s, leaves %i', (mtu, encrypted, inside) => {
  expect(overlayMtu(mtu, encrypted)).toBe(inside);
});

async function node() {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const encryption = new NodeEncryption(host, HERE);
  encryption.setKeys([YOUNGEST, OLDEST, PRIMARY]);
  return { host, encryption };
}
/** `out KEY` and `in KEY`, the newest first. */
const held = ({ xfrm }: Awaited<ReturnType<typeof node>>['host']) =>
  xfrm.associations.map(({ source, destination, spi, key }) => {
    expect([source, destination].sort()).toEqual([HERE, THERE]);
    const tag = KEYS.find((one) => spiOf(source, destination, one.tag) === spi)?.tag;
    expect(key[0]).toBe(Number.parseInt(KEYS.find((one) => one.tag === tag)?.key.slice(0, 2) ?? '', 16));
    expect(new DataView(key.buffer).getUint32(16)).toBe(spi);
    return `${source === HERE ? 'out' : 'in'} ${tag}`;
  });
const sendsWith = ({ xfrm }: Awaited<ReturnType<typeof node>>['host']) =>
  xfrm.policies.map(({ template }) => template.spi);

describe('a node', () => {
  it('has rules for an encrypted network as soon as the network is there: a later one drops first and accepts last', async () => {
    const { host, encryption } = await node();
    encryption.requireFor(4100);
    encryption.requireFor(4103);
    encryption.requireFor(4100);
    const rules = iptablesSave(host)
      .split('\n')
      .filter((line) => line.startsWith('-A'));
    const u32 = (vni: number) => `-m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00=0x${(vni << 8).toString(16)}"`;
    const input = (policy: string, vni: number) =>
      `-A INPUT -p udp -m policy --dir in --pol ${policy} -m udp --dport 4789 ${u32(vni)}`;
    expect(rules).toEqual([
      `-A OUTPUT -p udp -m udp --dport 4789 ${u32(4100)} -j MARK --set-xmark 0xd0c4e3/0xffffffff`,
      `-A OUTPUT -p udp -m udp --dport 4789 ${u32(4103)} -j MARK --set-xmark 0xd0c4e3/0xffffffff`,
      `${input('none', 4103)} -j DROP`,
      `${input('none', 4100)} -j DROP`,
      `${input('ipsec', 4100)} -j ACCEPT`,
      `${input('ipsec', 4103)} -j ACCEPT`,
    ]);
    expect(ipXfrmState(host) + ipXfrmPolicy(host)).toBe('');
  });

  it('of engine 28 finds the VNI by -m bpf, in its data path’s own family, drops, and takes it all away with the network', async () => {
    const engine = await checkedEngine();
    for (const [address, show, other] of [
      [HERE, iptablesSave, ip6tablesSave],
      ['2001:db8:99::110', ip6tablesSave, iptablesSave],
    ] as const) {
      const host = engine.namespace(`${address}/host`);
      const encryption = new NodeEncryption(host, address, { engine: '28', port: 4790 });
      encryption.requireFor(4100);
      const bpf =
        '-m bpf --bytecode "7,32 0 0 4294963252,7 0 0 0,64 0 0 4,116 0 0 8,21 1 0 4100,6 0 0 0,6 0 0 4294967295"';
      const rules = () => show(host).match(/^-A .*/gm) ?? [];
      expect(rules()).toEqual([
        `-A OUTPUT -p udp -m udp --dport 4790 ${bpf} -j MARK --set-xmark 0xd0c4e3/0xffffffff`,
        `-A INPUT -p udp -m policy --dir in --pol none -m udp --dport 4790 ${bpf} -j DROP`,
      ]);
      expect(other(host)).not.toContain('-A ');
      encryption.networkGone(4100);
      expect(rules()).toEqual([]);
    }
  });

  it('of engine 28 sends VXLAN of the data path’s port through ESP; 20.10 that of port 4789, whatever is asked', async () => {
    const engine = await checkedEngine();
    const portOf = (version: string) => {
      const host = engine.namespace(`${version}/host`);
      const encryption = new NodeEncryption(host, HERE, { engine: version, port: 4790 });
      encryption.setKeys([YOUNGEST, OLDEST, PRIMARY]);
      encryption.addPeer(THERE);
      return host.xfrm.policies.map(({ port }) => port);
    };
    expect(portOf('28.5.2')).toEqual([4790]);
    expect(portOf('20.10')).toEqual([4789]);
  });

  it('leaves its rules where they are when the network goes, with engine 20.10', async () => {
    const { host, encryption } = await node();
    encryption.requireFor(4100);
    encryption.networkGone(4100);
    expect(iptablesSave(host).match(/^-A .*/gm)).toHaveLength(3);
  });

  it('receives with three keys and sends with the second oldest', async () => {
    const { host, encryption } = await node();
    encryption.addPeer(THERE);
    encryption.addPeer(THERE);
    expect(held(host)).toEqual(['in 49829', 'in 49827', 'out 49828', 'in 49828']);
    expect(sendsWith(host)).toEqual([spiOf(HERE, THERE, 49828)]);
  });

  it('takes the rules out when a network that is not encrypted gets the VNI', async () => {
    const { host, encryption } = await node();
    encryption.requireFor(4100);
    encryption.requireFor(4103);
    encryption.releaseFor(4100);
    encryption.releaseFor(4100);
    const rules = iptablesSave(host).match(/^-A .*/gm) ?? [];
    expect(rules).toHaveLength(3);
    expect(rules.every((rule) => rule.includes('0x100700'))).toBe(true);
  });

  it('rotates: the oldest key is no longer received, the new one is, and what is sent moves on', async () => {
    const { host, encryption } = await node();
    encryption.addPeer(THERE);
    encryption.rotate([PRIMARY, YOUNGEST, NEXT]);
    expect(held(host)).toEqual(['out 49829', 'in 49830', 'in 49829', 'in 49828']);
    expect(sendsWith(host)).toEqual([spiOf(HERE, THERE, 49829)]);
    expect(encryption.keys[0]).toEqual(YOUNGEST);
  });

  it('rotates on, for ever: always three to receive with, and one to send with', async () => {
    const { host, encryption } = await node();
    encryption.addPeer(THERE);
    const ring = new KeyRing(new Draw(1), [OLDEST, PRIMARY, YOUNGEST]);
    for (let i = 0; i < 20; i++) {
      const keys = ring.rotate();
      encryption.rotate(keys);
      const spis = host.xfrm.associations.map(({ source, destination, spi }) => ({ source, destination, spi }));
      const wanted = [
        ...keys.map(({ tag }) => ({ source: THERE, destination: HERE, spi: spiOf(THERE, HERE, tag) })),
        { source: HERE, destination: THERE, spi: spiOf(HERE, THERE, keys[1]?.tag ?? 0) },
      ];
      expect(spis).toHaveLength(4);
      expect(spis).toEqual(expect.arrayContaining(wanted));
      expect(sendsWith(host)).toEqual([spiOf(HERE, THERE, keys[1]?.tag ?? 0)]);
    }
  });
});

it('is none in a node that has no encrypted network', async () => {
  const engine = await checkedEngine();
  expect(encryptionIn(engine.namespace('node1/host'))).toBeUndefined();
});
