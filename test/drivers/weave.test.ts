/** Weave Net across nodes: `weave launch`, `weave connect`, `weave run 10.0.1.1/24`, and what is on the wire. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import type { Captured, Swarm } from '../../src/index.js';
import { ipAddr, ipLink, ipRoute } from '../../src/views/index.js';
import { expectConserved } from '../engine/watch.js';
import { rules, swarmOf } from './stack.js';

const tshark = spawnSync('tshark', ['--version']).status === 0;
if (!tshark && process.env.CI) throw new Error('tshark is not installed, and CI must not skip what needs it');
const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
afterAll(() => rmSync(directory, { recursive: true }));

const stack = (containers: string, more = '') => `
networks:
  wnet: { driver: weave, ipam: { config: [{ subnet: 10.0.1.0/24 }] } }
  other: { driver: weave, ipam: { config: [{ subnet: 10.0.2.0/24 }] } }
x-swarmwire:
  nodes: 3
  containers:
${containers}
${more}`;
const onWeave = (name: string, node: string, address: string) =>
  `    ${name}: { node: ${node}, networks: { bridge: {}, wnet: { ipv4_address: ${address} } } }`;
const TWO = stack([onWeave('a1', 'node1', '10.0.1.1'), onWeave('a2', 'node2', '10.0.1.2')].join('\n'));
const THREE = stack(
  [onWeave('a1', 'node1', '10.0.1.1'), onWeave('a2', 'node2', '10.0.1.2'), onWeave('a3', 'node3', '10.0.1.3')].join(
    '\n',
  ),
);

const ping = (swarm: Swarm, from: string, to: string, size = 56) =>
  swarm.send({ kind: 'ping', from, to, count: 1, size }).ok;

/** What is sent to UDP port 6784 at a node's NIC. */
function tunnelled(swarm: Swarm, node: string): Captured[] {
  const to = (data: Uint8Array) => data[23] === 17 && ((data[36] ?? 0) << 8) + (data[37] ?? 0) === 6784;
  return swarm.frames(`${node}/host/eth0`).filter(({ data }) => to(data));
}
const vni = ({ data }: Captured) => ((data[46] ?? 0) << 16) | ((data[47] ?? 0) << 8) | (data[48] ?? 0);

describe('Weave Net', () => {
  it('joins containers of two nodes with addresses given by hand, on ethwe beside eth0', async () => {
    const swarm = await swarmOf(TWO);
    expect(ping(swarm, 'a1', '10.0.1.2')).toBe(true);
    const namespace = swarm.namespace('node1/ct-a1');
    expect(ipAddr(namespace)).toMatch(/ethwe@\S+: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1376/);
    expect(ipAddr(namespace)).toContain('inet 10.0.1.1/24 brd 10.0.1.255 scope global ethwe');
    expect(ipRoute(namespace)).toEqual(expect.stringMatching(/^default via 172\.17\.0\.1 dev eth0/));
    expect(ipRoute(namespace)).toContain('224.0.0.0/4 dev ethwe');
    expect(swarm.send({ kind: 'http', from: 'a2', to: '10.0.1.1', port: 80, path: '/', requests: 1 }).detail).toBe(
      'connection refused',
    );
    expectConserved(swarm.engine);
  });

  it('has the bridge, the datapath, the veth between them and the tunnels on each node that needs it', async () => {
    const swarm = await swarmOf(TWO);
    const links = ipLink(swarm.namespace('node1/host'));
    for (const shown of [
      /vethwe-bridge@vethwe-datapath: .* mtu 1376 .* master weave/,
      /vethwe-datapath@vethwe-bridge: .* mtu 1376 .* master datapath/,
      /vxlan-6784: .* mtu 65485 .* master datapath/,
      /vethwepl[0-9a-f]{7}@\S+: .* mtu 1376 .* master weave/,
    ])
      expect(links).toMatch(shown);
    expect(swarm.namespace('node3/host').devices.has('weave')).toBe(false);
  });

  it('sends VXLAN to UDP 6784 with DF and without a checksum, the short ids of both peers in its VNI', async () => {
    const swarm = await swarmOf(TWO);
    swarm.tap('node1/host/eth0');
    expect(ping(swarm, 'a1', '10.0.1.2')).toBe(true);
    const frames = tunnelled(swarm, 'node1');
    // Gratuitous ARP of both, ARP, echo; each there and back.
    expect(frames).toHaveLength(6);
    for (const { data } of frames) {
      expect([data[20], data[21]], 'DF, no fragment').toEqual([0x40, 0]);
      expect([data[22], data[15]], 'TTL and TOS').toEqual([64, 0]);
      expect([data[40], data[41]], 'checksum').toEqual([0, 0]);
      expect([...data.slice(42, 46)], 'flags').toEqual([8, 0, 0, 0]);
      const port = ((data[34] ?? 0) << 8) + (data[35] ?? 0);
      expect(port).toBeGreaterThanOrEqual(32768);
    }
    const out = new Set(frames.filter(({ direction }) => direction === 'transmitted').map(vni));
    const back = new Set(frames.filter(({ direction }) => direction === 'received').map(vni));
    expect([out.size, back.size]).toEqual([1, 1]);
    const [there = 0] = out;
    const [here = 0] = back;
    expect(here, 'source and destination change places').toBe((there >> 12) | ((there & 0xfff) << 12));
    expect(here).not.toBe(there);
  });

  it('switches as Ethernet does: broadcasts to every peer and no further, a known MAC to its own', async () => {
    const swarm = await swarmOf(THREE);
    for (const node of ['node1', 'node2', 'node3']) swarm.tap(`${node}/host/eth0`);
    swarm.run(10);
    const before = tunnelled(swarm, 'node3').length;
    expect(ping(swarm, 'a1', '10.0.1.2')).toBe(true);
    // node3 hears the ARP request and nothing more.
    expect(tunnelled(swarm, 'node3').length).toBe(before + 1);
    expect(ping(swarm, 'a3', '10.0.1.1')).toBe(true);
    expect(new Set(tunnelled(swarm, 'node1').map(vni)).size).toBe(4);
    expectConserved(swarm.engine);
  });

  it('tells every peer of a new address by gratuitous ARP', async () => {
    const swarm = await swarmOf(TWO);
    swarm.tap('node2/host/vxlan-6784');
    swarm.run(10);
    const [first] = swarm.frames('node2/host/vxlan-6784').filter(({ direction }) => direction === 'received');
    expect(first?.protocols).toBe('eth:arp');
    expect([first?.field('arp.src.proto_ipv4'), first?.field('arp.dst.proto_ipv4')]).toEqual(['10.0.1.1', '10.0.1.1']);
  });

  it('has its rules in FORWARD, INPUT and nat, and its frames pass netfilter on the bridge alone', async () => {
    const swarm = await swarmOf(TWO);
    expect(rules(swarm, 'node1/host', 'filter', 'FORWARD').slice(0, 5)).toEqual([
      '-A FORWARD -i docker0 -o weave -j DROP',
      '-A FORWARD -i weave -o weave -j ACCEPT',
      '-A FORWARD -o weave -j WEAVE-EXPOSE',
      '-A FORWARD -i weave ! -o weave -j ACCEPT',
      '-A FORWARD -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ]);
    expect(rules(swarm, 'node1/host', 'filter', 'INPUT')).toEqual([
      '-A INPUT -d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 6783 -j DROP',
      '-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 6783 -j DROP',
      '-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 6784 -j DROP',
      '-A INPUT -i docker0 -p udp -m udp --dport 53 -j ACCEPT',
      '-A INPUT -i docker0 -p tcp -m tcp --dport 53 -j ACCEPT',
    ]);
    expect(rules(swarm, 'node1/host', 'nat', 'POSTROUTING').at(-1)).toBe('-A POSTROUTING -j WEAVE');
    expect(rules(swarm, 'node1/ct-a1', 'filter')).toEqual([
      '-A INPUT -s 10.0.1.0/24 -d 224.0.0.0/4 -i ethwe -j ACCEPT',
      '-A INPUT -d 224.0.0.0/4 -i ethwe -j DROP',
    ]);
    expect(ping(swarm, 'a1', '10.0.1.2')).toBe(true);
    const { iptables } = swarm.namespace('node1/host');
    expect(iptables.chain('filter', 'FORWARD').rules[1]?.packets, 'the echo and its reply, once each').toBe(2);
  });

  it('leaves no room for what does not fit: 1348 bytes of ping go, one more is cut by the sender', async () => {
    const swarm = await swarmOf(TWO);
    swarm.tap('node1/host/eth0');
    expect(ping(swarm, 'a1', '10.0.1.2', 1348)).toBe(true);
    const echoes = () => tunnelled(swarm, 'node1').filter(({ data }) => data[62] === 8 && data[73] === 1).length;
    expect(echoes()).toBe(2);
    expect(ping(swarm, 'a1', '10.0.1.2', 1349)).toBe(true);
    expect(echoes()).toBe(2 + 4);
    expect(Math.max(...tunnelled(swarm, 'node1').map(({ data }) => data.length))).toBe(1376 + 14 + 50);
  });

  it('gives a container of two networks both addresses on ethwe, and takes one away', async () => {
    const both =
      '    a1: { node: node1, networks: { wnet: { ipv4_address: 10.0.1.1 }, other: { ipv4_address: 10.0.2.1 } } }';
    const swarm = await swarmOf(
      stack(`${both}\n    a2: { node: node2, networks: { other: { ipv4_address: 10.0.2.2 } } }`),
    );
    const namespace = swarm.namespace('node1/ct-a1');
    expect(namespace.device('ethwe').addresses.map(({ address }) => address)).toEqual(['10.0.1.1', '10.0.2.1']);
    expect(ping(swarm, 'a2', '10.0.2.1')).toBe(true);
    swarm.cluster.networkDisconnect('other', swarm.cluster.container('a1'));
    expect(namespace.device('ethwe').addresses.map(({ address }) => address)).toEqual(['10.0.1.1']);
    expect(ping(swarm, 'a2', '10.0.2.1')).toBe(false);
    swarm.cluster.networkDisconnect('wnet', swarm.cluster.container('a1'));
    expect(namespace.devices.has('ethwe')).toBe(false);
    expectConserved(swarm.engine);
  });

  it('gives out each address once on all nodes, and 10.32.0.0/12 without a word', async () => {
    const text = stack('    a1: { node: node1, networks: [wnet] }\n    a2: { node: node2, networks: [wnet] }').replace(
      'wnet: { driver: weave, ipam: { config: [{ subnet: 10.0.1.0/24 }] } }',
      'wnet: { driver: weave }',
    );
    const swarm = await swarmOf(text);
    const own = swarm.topology.sandboxes.map(({ endpoints }) => endpoints[0]?.address);
    expect(own).toEqual(['10.32.0.1/12', '10.32.0.2/12']);
    expect(ping(swarm, 'a2', '10.32.0.1')).toBe(true);
  });

  it('goes from a node with its last network, and peers forget it', async () => {
    const swarm = await swarmOf(TWO);
    expect(ping(swarm, 'a1', '10.0.1.2')).toBe(true);
    const before = rules(swarm, 'node3/host', 'filter');
    for (const name of ['a1', 'a2']) swarm.cluster.containerRemove(swarm.cluster.container(name), true);
    swarm.cluster.networkRemove('wnet', 'node1');
    swarm.run(2000);
    expect([...swarm.namespace('node1/host').devices.keys()].filter((name) => /we|datapath|6784/.test(name))).toEqual(
      [],
    );
    expect(rules(swarm, 'node1/host', 'filter')).toEqual(before);
    expectConserved(swarm.engine);
  });

  it.skipIf(!tshark)('is read by Wireshark, decoded as VXLAN', { timeout: 180_000 }, async () => {
    const swarm = await swarmOf(TWO);
    swarm.tap('node1/host/eth0');
    expect(ping(swarm, 'a1', '10.0.1.2')).toBe(true);
    const path = join(directory, 'weave.pcap');
    const frames = swarm.frames('node1/host/eth0');
    writeFileSync(path, Buffer.concat([pcapHeader(), ...frames.map(({ time, data }) => pcapRecord({ time, data }))]));
    const decode = [
      '-r',
      path,
      '-d',
      'udp.port==6784,vxlan',
      '-o',
      'ip.check_checksum:TRUE',
      '-o',
      'udp.check_checksum:TRUE',
    ];
    const { stdout } = spawnSync(
      'tshark',
      [...decode, '-Y', 'vxlan && icmp', '-T', 'fields', '-e', 'ip.src', '-e', 'vxlan.vni'],
      {
        encoding: 'utf8',
      },
    );
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[0]),
    ).toEqual(['192.168.99.110,10.0.1.1', '192.168.99.111,10.0.1.2']);
    const wrong = spawnSync('tshark', [...decode, '-Y', '_ws.expert.severity >= 0x600000'], { encoding: 'utf8' });
    expect(wrong.stdout).toBe('');
  });
});
