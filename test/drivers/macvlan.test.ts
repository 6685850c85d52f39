/**
 * Docker's macvlan tutorial ("Networking using a macvlan network": bridge example, 802.1Q trunked bridge example), and what the
 * driver's options do.
 */

import { describe, expect, it } from 'vitest';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { ipAddr, ipLink, ipRoute } from '../../src/views/index.js';

/** Gateways of all the subnets below, untagged and on VLAN 50. */
const ROUTER = `
  outside:
    - name: router
      address: 172.16.86.1/24
      addresses: [192.168.99.254/24]
      vlans: { 50: 192.168.50.1/24, 60: 192.168.60.1/24 }`;

async function swarmOf(networks: string, containers: string, more = ''): Promise<Swarm> {
  const text = `networks:\n${networks}\nx-swarmwire:${ROUTER}\n  containers:\n${containers}\n${more}`;
  const { spec } = parseStackFile(text, { file: 'stack.yml' });
  return Swarm.create(spec, { seed: 7 });
}

const pings = (swarm: Swarm, from: string, to: string) => swarm.send({ kind: 'ping', from, to, count: 1, size: 56 }).ok;

const BRIDGE = `  my-macvlan-net:
    driver: macvlan
    driver_opts: { parent: eth0 }
    ipam: { config: [{ subnet: 172.16.86.0/24, gateway: 172.16.86.1 }] }`;
const TRUNK = `  my-8021q-macvlan-net:
    driver: macvlan
    driver_opts: { parent: eth0.50 }
    ipam: { config: [{ subnet: 192.168.50.0/24, gateway: 192.168.50.1 }] }`;

describe('the tutorial’s bridge example', () => {
  const build = () =>
    swarmOf(
      BRIDGE,
      '    my-macvlan-alpine: { networks: [my-macvlan-net] }\n    second: { networks: [my-macvlan-net] }\n    far: { node: node2 }',
    );

  it('shows the addresses, MACs and routes that the tutorial shows', async () => {
    const swarm = await build();
    const namespace = swarm.namespace('node1/ct-my-macvlan-alpine');
    const shown = ipAddr(namespace, { details: true });
    expect(shown).toContain('link/ether 02:42:ac:10:56:02 brd ff:ff:ff:ff:ff:ff');
    expect(shown).toContain('inet 172.16.86.2/24 brd 172.16.86.255 scope global eth0');
    expect(shown).toContain('macvlan mode bridge');
    expect(
      ipRoute(namespace)
        .trim()
        .split('\n')
        .map((line) => line.trim()),
    ).toEqual(['default via 172.16.86.1 dev eth0', '172.16.86.0/24 dev eth0 proto kernel scope link src 172.16.86.2']);
  });

  it('lets containers reach each other, by address and by name, the gateway, and not their host', async () => {
    const swarm = await build();
    expect(pings(swarm, 'my-macvlan-alpine', '172.16.86.3')).toBe(true);
    expect(pings(swarm, 'my-macvlan-alpine', 'second')).toBe(true);
    expect(pings(swarm, 'my-macvlan-alpine', '172.16.86.1')).toBe(true);
    expect(pings(swarm, 'router', '172.16.86.2')).toBe(true);
    expect(pings(swarm, 'my-macvlan-alpine', '192.168.99.110')).toBe(false);
    expect(pings(swarm, 'node1', '172.16.86.2')).toBe(false);
  });

  it('lets the host’s neighbours in the same subnet reach a container, and the host itself not', async () => {
    const swarm = await swarmOf(
      `  lan:
    driver: macvlan
    driver_opts: { parent: eth0 }
    ipam: { config: [{ subnet: 192.168.99.0/24, gateway: 192.168.99.254, ip_range: 192.168.99.192/27 }] }`,
      '    one: { networks: [lan] }',
    );
    expect(pings(swarm, 'node2', '192.168.99.193')).toBe(false);
    expect(pings(swarm, 'node2', '192.168.99.192')).toBe(true);
    expect(pings(swarm, 'node1', '192.168.99.192')).toBe(false);
    expect(pings(swarm, 'one', '192.168.99.110')).toBe(false);
    expect(pings(swarm, 'one', '192.168.99.111')).toBe(true);
  });
});

describe('the tutorial’s 802.1Q trunk example', () => {
  it('makes eth0.50, tags on the wire, and keeps VLANs apart', async () => {
    const swarm = await swarmOf(
      `${BRIDGE}\n${TRUNK}\n${TRUNK.replace('my-8021q', 'other-8021q').replaceAll('50', '60')}`,
      `    my-second-macvlan-alpine: { networks: [my-8021q-macvlan-net] }
    sibling: { networks: [my-8021q-macvlan-net] }
    untagged: { networks: [my-macvlan-net] }
    other: { networks: [other-8021q-macvlan-net] }`,
    );
    expect(ipLink(swarm.namespace('node1/host'), { details: true })).toContain(
      'vlan protocol 802.1Q id 50 <REORDER_HDR>',
    );
    for (const tap of ['node1/host/eth0', 'node1/host/eth0.50', 'router/host/eth0.50']) swarm.tap(tap);
    expect(pings(swarm, 'my-second-macvlan-alpine', '192.168.50.1')).toBe(true);
    const onWire = swarm.frames('node1/host/eth0');
    expect(onWire.map((frame) => [frame.field('vlan.id'), frame.field('vlan.priority')])).toEqual(
      onWire.map(() => ['50', '0']),
    );
    expect(swarm.frames('router/host/eth0.50').every((frame) => frame.field('vlan.id') === undefined)).toBe(true);
    expect(pings(swarm, 'my-second-macvlan-alpine', 'sibling')).toBe(true);
    expect(pings(swarm, 'my-second-macvlan-alpine', '192.168.60.2')).toBe(true);
    expect(pings(swarm, 'untagged', 'sibling')).toBe(false);
  });

  it('needs a router to pass from VLAN to VLAN', async () => {
    const swarm = await swarmOf(
      `${TRUNK}\n${TRUNK.replace('my-8021q', 'other-8021q').replaceAll('50', '70')}`,
      '    one: { networks: [my-8021q-macvlan-net] }\n    two: { networks: [other-8021q-macvlan-net] }',
    );
    expect(pings(swarm, 'one', '192.168.70.2')).toBe(false);
  });
});

describe('options', () => {
  const refused = async (options: string, more = '') => {
    const network = `  lan:\n    driver: macvlan\n    driver_opts: ${options}\n    ipam: { config: [{ subnet: 172.16.86.0/24 }] }${more}`;
    try {
      await swarmOf(network, '    one: { networks: [lan] }\n    two: { networks: [lan] }');
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };

  it('refuse in dockerd’s words', async () => {
    expect(await refused('{ parent: lo }')).toContain('loopback interface is not a valid macvlan parent link');
    expect(await refused('{ parent: eth0, macvlan_mode: hub }')).toContain("requested macvlan mode 'hub' is not valid");
    expect(await refused('{ parent: eth1 }')).toContain(
      'invalid subinterface vlan name eth1, example formatting is eth0.10',
    );
    expect(await refused('{ parent: eth1.10 }')).toContain('parent interface eth1 was not found on node1');
    expect(await refused('{ parent: eth0.4095 }')).toContain('vlan id must be between 1-4094, received: 4095');
    expect(await refused('{ parent: eth0.ten }')).toContain('unable to parse a valid vlan id from: ten');
    expect(await refused('{ parent: eth0.10.20 }')).toContain('required interface name format is: name.vlan_id');
    expect(await refused('{ parent: eth0, macvlan_mode: passthru }')).toContain('failed to create the macvlan port');
  });

  it('allow a parent to one network of the driver', async () => {
    const two = `${BRIDGE}\n${BRIDGE.replace('my-macvlan-net', 'again').replaceAll('172.16.86', '172.16.87')}`;
    const containers = '    one: { networks: [my-macvlan-net] }\n    two: { networks: [again] }';
    await expect(swarmOf(two, containers)).rejects.toThrow(/is already using parent interface eth0 on node1/);
    const mixed = `${BRIDGE}\n${BRIDGE.replace('my-macvlan-net', 'again').replace('macvlan', 'ipvlan').replaceAll('172.16.86', '172.16.87')}`;
    await expect(swarmOf(mixed, containers)).rejects.toThrow(/failed to create the ipvlan port of ct-two/);
  });

  it('--internal, or no parent, stands on a dummy that leads nowhere', async () => {
    for (const network of [`${BRIDGE}\n    internal: true`, BRIDGE.replace('driver_opts: { parent: eth0 }', '')]) {
      const swarm = await swarmOf(
        network,
        '    one: { networks: [my-macvlan-net] }\n    two: { networks: [my-macvlan-net] }',
      );
      const [dummy] = [...swarm.namespace('node1/host').devices.keys()].filter((name) => name.startsWith('dm-'));
      expect(dummy).toMatch(/^dm-[0-9a-f]{12}$/);
      expect(pings(swarm, 'one', 'two')).toBe(true);
      expect(pings(swarm, 'one', '172.16.86.1')).toBe(false);
    }
  });

  it('private: siblings cannot talk; the LAN is there', async () => {
    const swarm = await swarmOf(
      BRIDGE.replace('parent: eth0', 'parent: eth0, macvlan_mode: private'),
      '    one: { networks: [my-macvlan-net] }\n    two: { networks: [my-macvlan-net] }',
    );
    expect(pings(swarm, 'one', '172.16.86.3')).toBe(false);
    expect(pings(swarm, 'one', '172.16.86.1')).toBe(true);
  });
});

describe('addresses', () => {
  const addressesOf = (swarm: Swarm) =>
    Object.fromEntries(
      swarm.topology.sandboxes
        .filter(({ kind }) => kind !== 'balancer')
        .map(({ name, endpoints }) => [name, endpoints.map(({ address, mac }) => `${address} ${mac}`)]),
    );

  it('come from the range, leave out auxiliary addresses, or are what a container asks for', async () => {
    const swarm = await swarmOf(
      `  macnet32:
    driver: macvlan
    driver_opts: { parent: eth0 }
    ipam:
      config:
        - { subnet: 192.168.32.0/24, ip_range: 192.168.32.128/25, gateway: 192.168.32.254, aux_addresses: { my-router: 192.168.32.129 } }
        - { subnet: 192.168.34.0/24, gateway: 192.168.34.254 }`,
      `    one: { networks: [macnet32] }
    two: { networks: [macnet32] }
    three: { networks: { macnet32: { ipv4_address: 192.168.32.10, mac_address: 02:42:aa:bb:cc:dd } } }
    four: { networks: { macnet32: { ipv4_address: 192.168.34.10 } } }`,
    );
    expect(addressesOf(swarm)).toEqual({
      'ct-one': ['192.168.32.128/24 02:42:c0:a8:20:80'],
      'ct-two': ['192.168.32.130/24 02:42:c0:a8:20:82'],
      'ct-three': ['192.168.32.10/24 02:42:aa:bb:cc:dd'],
      'ct-four': ['192.168.34.10/24 02:42:c0:a8:22:0a'],
    });
    expect(ipRoute(swarm.namespace('node1/ct-four'))).toContain('default via 192.168.34.254 dev eth0');
    expect(pings(swarm, 'one', '192.168.32.10')).toBe(true);
  });

  it('come from the second subnet when the first is used up', async () => {
    const swarm = await swarmOf(
      `  lan:
    driver: macvlan
    driver_opts: { parent: eth0 }
    ipam: { config: [{ subnet: 10.1.0.0/30 }, { subnet: 10.2.0.0/30 }] }`,
      '    one: { networks: [lan] }\n    two: { networks: [lan] }',
    );
    expect(
      Object.values(addressesOf(swarm))
        .flat()
        .map((one) => one.split(' ')[0]),
    ).toEqual(['10.1.0.2/30', '10.2.0.2/30']);
  });
});

describe('services', () => {
  it('join a network of scope swarm: each node has its own range of it, a name means the tasks', async () => {
    const text = `
services:
  web: { image: nginx, networks: [lan], deploy: { replicas: 2 } }
networks:
  lan:
    driver: macvlan
    driver_opts: { parent: eth0.50 }
    ipam: { config: [{ subnet: 192.168.50.0/24, gateway: 192.168.50.1 }] }
x-swarmwire:${ROUTER}
  nodes:
    - { name: node1, networks: { lan: { ip_range: 192.168.50.64/27 } } }
    - { name: node2, networks: { lan: { ip_range: 192.168.50.96/27 } } }
`;
    const { spec, warnings } = parseStackFile(text, { file: 'stack.yml' });
    expect(warnings.some(({ message }) => message.includes('--scope swarm --config-from'))).toBe(true);
    const swarm = await Swarm.create(spec, { seed: 1 });
    const tasks = swarm.topology.sandboxes.filter(({ service }) => service === 'web');
    expect(tasks.map(({ node, endpoints }) => `${node} ${endpoints.map(({ address }) => address).join()}`)).toEqual([
      'node1 192.168.50.64/24',
      'node2 192.168.50.96/24',
    ]);
    expect(swarm.topology.services[0]?.vips).toEqual({});
    expect(pings(swarm, 'web.1', '192.168.50.96')).toBe(true);
    expect(pings(swarm, 'web.1', 'tasks.web')).toBe(true);
    expect(pings(swarm, 'web.2', '192.168.50.1')).toBe(true);
  });
});
