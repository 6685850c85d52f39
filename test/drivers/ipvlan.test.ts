/** Docker's IPvlan guide: l2 ("IPvlan L2 mode"), trunks ("IPvlan 802.1Q trunk L2 mode"), l3 ("IPvlan L3 mode"). */

import { describe, expect, it } from 'vitest';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { ipAddr, ipRoute, ipRoute6 } from '../../src/views/index.js';

async function swarmOf(networks: string, containers: string, outside: string): Promise<Swarm> {
  const text = `networks:\n${networks}\nx-swarmwire:\n  outside:\n    - ${outside}\n  containers:\n${containers}\n`;
  const { spec } = parseStackFile(text, { file: 'stack.yml' });
  return Swarm.create(spec, { seed: 3 });
}
const pings = (swarm: Swarm, from: string, to: string) => swarm.send({ kind: 'ping', from, to, count: 1, size: 56 }).ok;
const network = (name: string, subnet: string, options: string, more = '') => `  ${name}:
    driver: ipvlan
    driver_opts: { ${options} }
    ipam: { config: [{ subnet: ${subnet}.0/24, gateway: ${subnet}.1 }${more}] }`;

describe('l2 mode, as in the guide', () => {
  const build = () =>
    swarmOf(
      network('db_net', '192.168.1', 'parent: eth0, ipvlan_mode: l2'),
      '    c1: { networks: [db_net] }\n    c2: { networks: [db_net] }',
      '{ name: router, address: 192.168.1.1/24 }',
    );

  it('gives containers the NIC’s MAC, a gateway on the LAN, and each other', async () => {
    const swarm = await build();
    const namespace = swarm.namespace('node1/ct-c1');
    const shown = ipAddr(namespace, { details: true });
    expect(shown).toContain(`link/ether ${swarm.namespace('node1/host').device('eth0').mac}`);
    expect(shown).toContain('ipvlan  mode l2 bridge');
    expect(ipRoute(namespace)).toContain('default via 192.168.1.1 dev eth0');
    expect(pings(swarm, 'c1', 'c2')).toBe(true);
    expect(pings(swarm, 'c1', '192.168.1.1')).toBe(true);
    expect(pings(swarm, 'router', '192.168.1.3')).toBe(true);
  });

  it('does not reach the host, nor the host a container', async () => {
    const swarm = await build();
    expect(pings(swarm, 'c1', '192.168.99.110')).toBe(false);
    expect(pings(swarm, 'node1', '192.168.1.2')).toBe(false);
  });

  it('says in the topology which MAC its endpoints have, and takes no other', async () => {
    const swarm = await build();
    const [one] = swarm.topology.sandboxes.filter(({ container }) => container === 'c1');
    expect(one?.endpoints[0]?.mac).toBe(swarm.namespace('node1/host').device('eth0').mac);
    await expect(
      swarmOf(
        network('db_net', '192.168.1', 'parent: eth0'),
        '    c1: { networks: { db_net: { mac_address: 02:42:00:00:00:09 } } }',
        '{ name: router, address: 192.168.1.1/24 }',
      ),
    ).rejects.toThrow('ipvlan interfaces do not support custom mac address assignment');
  });
});

describe('l2 mode on 802.1Q trunks, as in the guide', () => {
  it('has a VLAN for each network, and keeps them apart', async () => {
    const swarm = await swarmOf(
      [network('ipvlan20', '192.168.20', 'parent: eth0.20'), network('ipvlan30', '192.168.30', 'parent: eth0.30')].join(
        '\n',
      ),
      ['a20', 'b20', 'a30', 'b30'].map((name) => `    ${name}: { networks: [ipvlan${name.slice(1)}] }`).join('\n'),
      '{ name: router, vlans: { 20: 192.168.20.1/24 } }',
    );
    swarm.tap('node1/host/eth0');
    expect(pings(swarm, 'a20', 'b20')).toBe(true);
    expect(pings(swarm, 'a30', 'b30')).toBe(true);
    expect(pings(swarm, 'a20', '192.168.20.1')).toBe(true);
    expect(pings(swarm, 'a30', '192.168.20.2')).toBe(false);
    expect(new Set(swarm.frames('node1/host/eth0').map((frame) => frame.field('vlan.id')))).toEqual(
      new Set(['20', '30']),
    );
  });
});

describe('l3 mode, as in the guide', () => {
  const networks = network('ipnet210', '192.168.214', 'parent: eth0, ipvlan_mode: l3', ', { subnet: 10.1.214.0/24 }');
  const containers = `    one: { networks: { ipnet210: { ipv4_address: 192.168.214.10 } } }
    two: { networks: { ipnet210: { ipv4_address: 10.1.214.10 } } }`;

  it('reaches from subnet to subnet on one parent, by a default route without a gateway, without ARP', async () => {
    const swarm = await swarmOf(networks, containers, '{ name: router, address: 192.168.99.2/24 }');
    expect(ipRoute(swarm.namespace('node1/ct-one'))).toContain('default dev eth0 scope link');
    swarm.tap('node1/ct-one/eth0');
    expect(pings(swarm, 'one', '10.1.214.10')).toBe(true);
    expect(swarm.frames('node1/ct-one/eth0').every((frame) => frame.protocols.startsWith('eth:ip:'))).toBe(true);
  });

  it('reaches the LAN once the LAN has a route by way of the host', async () => {
    const lost = await swarmOf(networks, containers, '{ name: router, address: 192.168.99.2/24 }');
    expect(pings(lost, 'one', '192.168.99.2')).toBe(false);
    const routed = await swarmOf(
      networks,
      containers,
      '{ name: router, address: 192.168.99.2/24, routes: { 192.168.214.0/24: 192.168.99.110 } }',
    );
    expect(pings(routed, 'one', '192.168.99.2')).toBe(true);
    expect(pings(routed, 'router', '192.168.214.10')).toBe(true);
    expect(pings(routed, 'two', '192.168.99.2')).toBe(false);
  });
});

it('refuses what is no mode and no flag', () => {
  const parse = (options: string) => () =>
    parseStackFile(
      `networks:\n${network('n', '10.1.0', options)}\nx-swarmwire: { containers: { c: { networks: [n] } } }`,
      { file: 'stack.yml' },
    );
  expect(parse('ipvlan_mode: l4')).toThrow(
    "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
  );
  expect(parse('ipvlan_flag: hub')).toThrow("requested ipvlan flag 'hub' is not valid");
  expect(parse('ipvlan_mode: l3s, ipvlan_flag: private')).not.toThrow();
});

describe('dual stack', () => {
  const dual = (driver: string, options: string) => `  lan:
    driver: ${driver}
    enable_ipv6: true
    driver_opts: { ${options} }
    ipam: { config: [{ subnet: 10.41.7.0/24, gateway: 10.41.7.1 }, { subnet: "fd00:41:7::/64", gateway: "fd00:41:7::1" }] }`;
  const router = '{ name: router, address: 10.41.7.1/24, address6: "fd00:41:7::1/64" }';
  const both = '    c1: { networks: [lan] }\n    c2: { networks: { lan: { ipv6_address: "fd00:41:7::99" } } }';

  it.each(['macvlan', 'ipvlan'])('%s: each other, the router and back, by IPv6 and by IPv4', async (driver) => {
    const swarm = await swarmOf(dual(driver, 'parent: eth0'), both, router);
    for (const to of ['fd00:41:7::99', '10.41.7.3', 'fd00:41:7::1', '10.41.7.1'])
      expect(pings(swarm, 'c1', to), to).toBe(true);
    expect(pings(swarm, 'router', 'fd00:41:7::99')).toBe(true);
    expect(ipRoute6(swarm.namespace('node1/ct-c1'))).toContain('default via fd00:41:7::1 dev eth0 metric 1024');
  });

  it('ipvlans of one NIC have link-local addresses of their own, told apart in the middle', async () => {
    const swarm = await swarmOf(dual('ipvlan', 'parent: eth0'), both, router);
    const own = (name: string) =>
      swarm
        .namespace(`node1/ct-${name}`)
        .device('eth0')
        .addresses6.map(({ address }) => address);
    expect(own('c1')).toContain('fe80::5254:0:100:6e');
    expect(own('c2')).toContain('fe80::5254:0:200:6e');
  });

  it('ipvlans in l3 mode reach each other without a neighbour, and have a default route by their device', async () => {
    const swarm = await swarmOf(dual('ipvlan', 'parent: eth0, ipvlan_mode: l3'), both, router);
    const namespace = swarm.namespace('node1/ct-c1');
    expect(pings(swarm, 'c1', 'fd00:41:7::99')).toBe(true);
    expect(namespace.neighbours).toEqual([]);
    expect(ipRoute6(namespace)).toContain('default dev eth0 metric 1024');
  });
});
