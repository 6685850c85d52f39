/** User-defined bridges with IPv6: what a stack file asks for, what containers get, what they say, what Wireshark thinks of it. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ESP_PREFERENCES, espSa } from '../../src/capture/esp-keys.js';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { parseStackFile, Swarm } from '../../src/index.js';
import { ip6tablesSave, ipAddr, ipNeigh, ipRoute6 } from '../../src/views/index.js';
import { read, refusal } from '../stack-file/reading.js';

const tshark = spawnSync('tshark', ['--version']).status === 0;
if (!tshark && process.env.CI) throw new Error('tshark is not installed, and CI must not skip what needs it');
const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function example(): Promise<Swarm> {
  const file = new URL('../../examples/ipv6.yml', import.meta.url);
  const { spec } = parseStackFile(readFileSync(file, 'utf8'), { file: 'ipv6.yml' });
  return Swarm.create(spec);
}

const swarmOf = async (text: string) => Swarm.create(parseStackFile(text, { file: 'stack.yml' }).spec);
const lines = (text: string) => text.split('\n').map((line) => line.trim());

describe('examples/ipv6.yml', () => {
  test('containers have the addresses, routes and groups that S12 shows', async () => {
    const swarm = await example();
    const a6 = swarm.realized.namespaces.get('node1/ct-a6');
    const host = swarm.realized.namespaces.get('node1/host');
    if (!a6 || !host) throw new Error('no such namespace');
    expect(lines(ipAddr(a6)).filter((line) => line.startsWith('inet6'))).toEqual([
      'inet6 ::1/128 scope host',
      'inet6 2001:db8:1::2/64 scope global nodad',
      'inet6 fe80::42:acff:fe14:2/64 scope link',
    ]);
    expect(lines(ipRoute6(a6)).filter(Boolean)).toEqual([
      '2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium',
      'fe80::/64 dev eth0 proto kernel metric 256 pref medium',
      'default via 2001:db8:1::1 dev eth0 metric 1024 pref medium',
    ]);
    const bridge = lines(ipAddr(host)).filter((line) => line.startsWith('inet6'));
    expect(bridge[0]).toBe('inet6 ::1/128 scope host');
    expect(bridge).toContain('inet6 2001:db8:1::1/64 scope global');
    expect(bridge).toContain('inet6 fe80::1/64 scope link');
    // Nobody has switched IPv6 on for the node itself: its NIC and docker0 are without.
    expect(bridge.length).toBe(4);
    expect(host.device('eth0').ipv6).toBe(false);
  });

  test('everything that is said arrives, and Wireshark finds nothing to complain of at any tap', {
    timeout: 120_000,
  }, async () => {
    const swarm = await example();
    swarm.tapEverything();
    const reports = swarm.play();
    expect(reports.map(({ ok, detail }) => (ok ? 'ok' : detail))).toEqual(Array(5).fill('ok'));
    const a6 = swarm.realized.namespaces.get('node1/ct-a6');
    expect(a6 && ipNeigh(a6)).toContain('2001:db8:1::b dev eth0 lladdr');
    expect(swarm.frames('node1/ct-a6/eth0').some((frame) => frame.field('ipv6.fraghdr.offset') === '1448')).toBe(true);
    expect(swarm.frames('node1/host/docker0')).toEqual([]);
    for (const { path: tap } of tshark ? swarm.engine.taps : []) {
      const frames = swarm.frames(tap);
      if (frames.length === 0) continue;
      const path = join(directory, `${tap.replaceAll('/', '.')}.pcap`);
      writeFileSync(path, Buffer.concat([pcapHeader(), ...frames.map(({ time, data }) => pcapRecord({ time, data }))]));
      const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
      const wrong =
        '_ws.expert.severity >= 0x600000 || icmpv6.checksum.status == "Bad" || udp.checksum.status == "Bad" || tcp.checksum.status == "Bad"';
      const { stdout, status, stderr } = spawnSync('tshark', ['-r', path, ...checks, '-Y', wrong], {
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      expect(stdout, tap).toBe('');
    }
  });
});

describe('a stack file that asks for IPv6', () => {
  const network = (words: string) => `
networks: { net: { driver: bridge, ${words} } }
x-swarmwire: { nodes: [node1], containers: { one: { networks: [net] } } }`;

  test('must name a subnet: engine 20.10 has no pool of its own', () => {
    expect(refusal(network('enable_ipv6: true')).message).toMatch(
      'could not find an available, non-overlapping IPv6 address pool',
    );
  });

  test('gets the gateway that it names, and is told of one that is not in the subnet', async () => {
    const swarm = await swarmOf(
      network('enable_ipv6: true, ipam: { config: [{ subnet: "2001:db8:5::/64", gateway: "2001:db8:5::fe" }] }'),
    );
    expect(swarm.topology.networks.find(({ name }) => name === 'net')?.onNode.node1).toMatchObject({
      subnet6: '2001:db8:5::/64',
      gateway6: '2001:db8:5::fe',
    });
    expect(swarm.topology.sandboxes.find(({ name }) => name === 'ct-one')?.endpoints[0]?.address6).toBe(
      '2001:db8:5::1/64',
    );
    expect(
      refusal(network('enable_ipv6: true, ipam: { config: [{ subnet: "2001:db8:5::/64", gateway: "2001:db8:6::1" }] }'))
        .message,
    ).toMatch('gateway "2001:db8:6::1" is no address in 2001:db8:5::/64');
  });

  test('for an overlay is told that those are IPv4 only', () => {
    const text = `
services: { web: { image: nginx, networks: [over] } }
networks: { over: { enable_ipv6: true, ipam: { config: [{ subnet: "2001:db8:5::/64" }] } } }`;
    expect(JSON.stringify(read(text))).toMatch('overlay endpoints, virtual IPs and the routing mesh have IPv4 only');
  });

  test('gives a container the address that it asks for, in its subnet alone', () => {
    const text = (address: string) => `
networks: { net: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: "2001:db8:5::/64" }] } } }
x-swarmwire: { nodes: [node1], containers: { one: { networks: { net: { ipv6_address: "${address}" } } } } }`;
    expect(read(text('2001:db8:5::77')).spec.containers?.[0]?.networks[0]?.address6).toBe('2001:db8:5::77');
    expect(refusal(text('2001:db8:6::77')).message).toMatch('invalid IPv6 address: 2001:db8:6::77');
    expect(refusal(text('10.0.0.1')).message).toMatch('invalid IPv6 address: 10.0.0.1');
  });
});

test('docker0 has IPv6 when daemon.json says so: ipv6, fixed-cidr-v6, default-gateway-v6', async () => {
  const { spec } = parseStackFile('x-swarmwire: { nodes: [node1], swarm: false, containers: { one: {} } }', {
    file: 'stack.yml',
  });
  const [node] = spec.nodes;
  if (!node) throw new Error('no node');
  node.daemon = { ipv6: true, 'fixed-cidr-v6': '2001:db8:9::/80', 'default-gateway-v6': '2001:db8:9::ff' };
  const swarm = await Swarm.create(spec);
  const one = swarm.realized.namespaces.get('node1/ct-one');
  if (!one) throw new Error('no such namespace');
  expect(lines(ipRoute6(one))).toContain('default via 2001:db8:9::ff dev eth0 metric 1024 pref medium');
  expect(one.device('eth0').addresses6.map(({ address }) => address)).toContain('2001:db8:9::2');
});

test('nodes and hosts with IPv6 on the underlay reach each other over it', async () => {
  const swarm = await swarmOf(`
x-swarmwire:
  nodes: [{ name: node1, address6: "2001:db8:99::110/64" }, { name: node2, address6: "2001:db8:99::111/64" }]
  client: { address6: "2001:db8:99::1/64" }
  traffic:
    - ping: { from: client, to: "2001:db8:99::110" }
    - ping: { from: node1, to: "2001:db8:99::111" }
    - http: { from: node2, to: "[2001:db8:99::1]:80" }`);
  expect(swarm.play().map(({ ok, detail }) => (ok ? 'ok' : detail))).toEqual(['ok', 'ok', 'ok']);
});

test('a published port is relayed by docker-proxy from IPv6 to IPv6, on the node itself and from outside', async () => {
  const swarm = await swarmOf(`
services: {}
networks:
  dual: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: 10.55.0.0/24 }, { subnet: "fd00:cafe:7::/80" }] } }
  old: { driver: bridge }
x-swarmwire:
  nodes: [{ name: node1, address6: "2001:db8:99::110/64" }]
  client: { address6: "2001:db8:99::1/64" }
  containers:
    both: { image: nginx, networks: [dual], ports: ["8666:80"] }
    four: { image: nginx, networks: [old], ports: ["8667:80", "127.0.0.1:8668:80"] }
  traffic:
    - http: { from: node1, to: "[::1]:8666" }
    - http: { from: client, to: "[2001:db8:99::110]:8666" }
    - http: { from: client, to: "[2001:db8:99::110]:8667" }
    - http: { from: node1, to: "[::1]:8668" }
`);
  const results = swarm.play().map(({ ok }) => ok);
  // A container without an IPv6 address is reached over IPv4; what has an IPv4 address of its own is not published at ::.
  expect(results).toEqual([true, true, true, false]);
});

test('a node’s IPv6 address as its data path: engine 20.10 says by name that its tunnels cannot, and they carry nothing', async () => {
  const text = (key: string, own: (host: number) => string) => `
services: {}
networks: { net: { driver: overlay, attachable: true } }
x-swarmwire:
  nodes:
    - { name: node1, address6: "2001:db8:99::110/64", ${key}: "${own(110)}" }
    - { name: node2, address6: "2001:db8:99::111/64", ${key}: "${own(111)}" }
  containers:
    one: { node: node1, networks: [net] }
    two: { node: node2, networks: [net] }
  traffic:
    - ping: { from: one, to: two }
`;
  for (const key of ['data_path_addr', 'advertise_addr']) {
    const { spec, warnings } = read(text(key, (host) => `2001:db8:99::${host}`));
    expect(warnings.map((one) => one.key)).toEqual([key, key]);
    expect(warnings[0]?.message).toContain('engine 20.10 makes tunnels for IPv4 alone');
    const swarm = await Swarm.create(spec);
    expect(swarm.play().map(({ ok }) => ok)).toEqual([false]);
    const drops = swarm.engine.drops.map(({ reason, device }) => `${device.path} ${reason}`);
    expect(drops).toContain('node1/ov-net/vxlan0 VXLAN_NO_REMOTE');
  }
  const { spec, warnings } = read(text('data_path_addr', (host) => `192.168.99.${host}`));
  expect(warnings).toEqual([]);
  expect((await Swarm.create(spec)).play().map(({ ok }) => ok)).toEqual([true]);
  expect(() => read(text('data_path_addr', () => '2001:db8:99::999'))).toThrow(
    '2001:db8:99::999 is no address of node1',
  );
});

const IPV6_UNDERLAY = `x-swarmwire:
  engine: "28"
  nodes:
    - { name: node1, address6: "2001:db8:99::110/64", data_path_addr: "2001:db8:99::110" }
    - { name: node2, address6: "2001:db8:99::111/64", data_path_addr: "2001:db8:99::111" }
  containers:
    one: { node: node1, networks: [net] }
    two: { node: node2, networks: [net] }
  traffic:
    - ping: { from: one, to: two }
    - http: { from: one, to: "web:80" }
`;

test('engine 28: overlays go over IPv6 between such nodes, the routing mesh too', async () => {
  const text = (options: string) => `
services:
  web: { image: nginx, networks: [net], ports: ["8080:80"], deploy: { replicas: 1, placement: { constraints: [node.hostname==node2] } } }
networks: { net: { driver: overlay, attachable: true, driver_opts: { ${options} } } }
${IPV6_UNDERLAY}    - http: { from: client, to: "node1:8080" }
`;
  const { spec, warnings } = read(text('com.docker.network.driver.mtu: "1480"'));
  expect(warnings).toEqual([]);
  const swarm = await Swarm.create(spec);
  swarm.tapEverything();
  expect(swarm.play().map(({ ok }) => ok)).toEqual([true, true, true]);
  const wire = swarm.frames('node1/host/eth0').map(({ data }) => data);
  const tunnels = wire.filter((data) => data[12] === 0x86 && data[20] === 17 && data[56] === 0x12 && data[57] === 0xb5);
  expect(tunnels.length).toBeGreaterThan(10);
  expect(wire.some((data) => data[12] === 8 && data[23] === 17 && data[36] === 0x12 && data[37] === 0xb5)).toBe(false);
});

test('engine 28: encrypted overlays go over IPv6 in ESP alone; Wireshark opens every frame by the written keys', async () => {
  const { spec, warnings } = read(`
services:
  web: { image: nginx, networks: [net], deploy: { replicas: 1, placement: { constraints: [node.hostname==node2] } } }
networks: { net: { driver: overlay, attachable: true, driver_opts: { encrypted: "", com.docker.network.driver.mtu: "1480" } } }
${IPV6_UNDERLAY}`);
  expect(warnings).toEqual([]);
  const swarm = await Swarm.create(spec);
  swarm.tapEverything();
  expect(swarm.play().map(({ ok, detail }) => (ok ? 'ok' : detail))).toEqual(['ok', 'ok']);
  swarm.rotateKeys();
  swarm.engine.run(swarm.engine.now + 1e9, swarm.sockets.handle);
  expect(swarm.play().map(({ ok, detail }) => (ok ? 'ok' : detail))).toEqual(['ok', 'ok']);
  const wire = swarm.frames('node1/host/eth0').map(({ data }) => data);
  const over6 = (protocol: number) => wire.filter((data) => data[12] === 0x86 && data[20] === protocol);
  const esp = over6(50);
  expect(esp.length).toBeGreaterThan(20);
  expect(over6(17)).toEqual([]);
  const host = swarm.realized.namespaces.get('node2/host');
  if (!host) throw new Error('no such namespace');
  expect(ip6tablesSave(host)).toMatch(/-A INPUT -p udp -m policy --dir in --pol none .* -m bpf --bytecode .* -j DROP/);
  if (!tshark) return;
  const folder = mkdtempSync(join(directory, 'esp-'));
  writeFileSync(join(folder, 'esp_sa'), espSa(swarm.engine.espKeys));
  writeFileSync(join(folder, 'preferences'), ESP_PREFERENCES);
  const file = join(folder, 'esp.pcap');
  writeFileSync(file, Buffer.concat([pcapHeader(), ...esp.map((data) => pcapRecord({ time: 0n, data }))]));
  const options = ['-o', 'udp.check_checksum:TRUE', '-T', 'fields', '-e', 'esp.icv_good', '-e', 'vxlan.vni'];
  const { stdout, stderr } = spawnSync('tshark', ['-r', file, ...options], {
    encoding: 'utf8',
    env: { ...process.env, WIRESHARK_CONFIG_DIR: folder },
  });
  const vni = swarm.topology.networks.find(({ name }) => name === 'net')?.vni;
  expect(stdout.split('\n').filter(Boolean), stderr).toEqual(esp.map(() => `1\t${vni}`));
});

test('engine 28: what is for an encrypted network and comes in clear over IPv6 is dropped', async () => {
  const { spec } = read(`
services: {}
networks: { net: { driver: overlay, attachable: true, driver_opts: { encrypted: "" } } }
x-swarmwire:
  engine: "28"
  nodes:
    - { name: node1, address6: "2001:db8:99::110/64", data_path_addr: "2001:db8:99::110" }
    - { name: node2, address6: "2001:db8:99::111/64", data_path_addr: "2001:db8:99::111" }
  containers:
    one: { node: node1, networks: [net] }
    two: { node: node2, networks: [net] }
  traffic:
    - ping: { from: one, to: two }
`);
  const swarm = await Swarm.create(spec);
  const sender = swarm.realized.namespaces.get('node1/host');
  // Without its mark it is no policy's.
  for (const rule of [...(sender?.ip6tables.chain('mangle', 'OUTPUT').rules ?? [])]) rule.remove();
  expect(swarm.play().map(({ ok }) => ok)).toEqual([false]);
  const receiver = swarm.realized.namespaces.get('node2/host');
  expect(receiver?.ip6tables.chain('filter', 'INPUT').rules[0]?.packets).toBeGreaterThan(0);
  expect(swarm.engine.drops.map(({ reason, device }) => `${device.path} ${reason}`)).toContain(
    'node2/host/eth0 NETFILTER_DROP',
  );
});
