/** The overlay driver's options from a stack file, and what is done before a stack is deployed. */

import { describe, expect, it } from 'vitest';
import { addresses, defaultRoute, outcomes, rules, swarmOf } from './stack.js';

const two = 'nodes: 2';

describe('an overlay network', () => {
  it('has the subnet, gateway, MTU and VNI that it is given', async () => {
    const swarm = await swarmOf(`services:
  web: { image: nginx, networks: [front], deploy: { mode: global } }
networks:
  front:
    driver_opts:
      com.docker.network.driver.mtu: "1400"
      com.docker.network.driver.overlay.vxlanid_list: "5000"
    ipam: { config: [{ subnet: 10.50.0.0/24, gateway: 10.50.0.254 }] }
x-swarmwire:
  ${two}
  traffic:
    - http: { from: web.1, to: "tasks.web:80", requests: 2 }
    - http: { from: web.1, to: "web:80", requests: 2 }`);
    swarm.tap('node1/host/eth0');
    expect(addresses(swarm, 'node1/ov-front').br0).toBe('10.50.0.254/24');
    for (const device of ['br0', 'vxlan0', 'veth0'])
      expect(swarm.namespace('node1/ov-front').device(device).mtu).toBe(1350);
    expect(swarm.namespace('node1/task-web.node1').device('eth0').mtu).toBe(1350);
    expect(outcomes(swarm).every((line) => /: web\..* on node/.test(line))).toBe(true);
    const vnis = new Set(swarm.frames('node1/host/eth0').flatMap((frame) => frame.field('vxlan.vni') ?? []));
    expect([...vnis]).toEqual(['5000']);
  });

  it('that is internal leads nowhere; with another one beside it there is a way out', async () => {
    const swarm = await swarmOf(`services:
  inner: { image: nginx, networks: [inside] }
  both: { image: nginx, networks: [inside, outside] }
networks:
  inside: { internal: true }
  outside: {}
x-swarmwire:
  nodes: 1
  traffic:
    - http: { from: both, to: "inner:80" }
    - ping: { from: inner, to: 203.0.113.10 }
    - ping: { from: both, to: 203.0.113.10 }`);
    expect(Object.keys(addresses(swarm, 'node1/task-inner.1'))).toEqual(['eth0']);
    expect(defaultRoute(swarm, 'node1/task-inner.1')).toBeUndefined();
    expect(defaultRoute(swarm, 'node1/task-both.1')).toMatch(/^via 172.18.0.1 /);
    expect(outcomes(swarm)).toEqual([
      'both > inner:80: inner.1 on node1',
      'inner > 203.0.113.10: no route to 203.0.113.10',
      'both > 203.0.113.10: ok',
    ]);
  });

  it('has no virtual address for a dnsrr service, and a port in host mode on each node of a global one', async () => {
    const swarm = await swarmOf(`services:
  cli: { image: busybox, networks: [net] }
  shy: { image: nginx, networks: [net], deploy: { endpoint_mode: dnsrr, replicas: 2 } }
  probe:
    image: exporter
    networks: [net]
    ports: [{ target: 9100, published: 9100, mode: host }]
    deploy: { mode: global }
networks: { net: {} }
x-swarmwire:
  ${two}
  traffic:
    - http: { from: cli, to: "shy:80" }
    - http: { from: client, to: "node1:9100" }
    - http: { from: client, to: "node2:9100" }`);
    expect(swarm.topology.services.find(({ name }) => name === 'shy')?.vips).toEqual({});
    const tasks = swarm.topology.sandboxes.filter(({ service }) => service === 'shy');
    swarm.tap('node1/task-cli.1/eth0');
    const heard = outcomes(swarm);
    expect(heard[0]).toMatch(/^cli > shy:80: shy\.[12] on node[12]$/);
    expect(heard.slice(1)).toEqual([
      'client > node1:9100: probe.node1 on node1',
      'client > node2:9100: probe.node2 on node2',
    ]);
    // The client spoke to a task itself, not to a balancer.
    const asked = swarm
      .frames('node1/task-cli.1/eth0')
      .flatMap((frame) => (frame.field('tcp.dstport') === '80' ? [frame.field('ip.dst')] : []));
    expect(tasks.map(({ endpoints }) => endpoints[0]?.address.split('/')[0])).toContain(asked[0]);
    expect(rules(swarm, 'node1/host', 'nat', 'DOCKER').at(-1)).toMatch(
      /! -i docker_gwbridge -p tcp -m tcp --dport 9100 -j DNAT/,
    );
  });
});

describe('before a stack is deployed', () => {
  it('another ingress network: its name, subnet, gateway and MTU', async () => {
    const swarm = await swarmOf(`services:
  web: { image: nginx, ports: ["8080:80"] }
x-swarmwire:
  ${two}
  ingress: { name: my-ingress, ipam: { config: [{ subnet: 10.11.0.0/16, gateway: 10.11.0.2 }] }, driver_opts: { com.docker.network.driver.mtu: 1200 } }
  traffic:
    - http: { from: client, to: "node2:8080" }`);
    expect(swarm.topology.networks.filter(({ driver }) => driver === 'overlay').map(({ name }) => name)).toEqual([
      'my-ingress',
      'default',
    ]);
    expect(addresses(swarm, 'node1/ov-my-ingress').br0).toBe('10.11.0.2/16');
    // Its own, and the service's virtual address.
    expect(addresses(swarm, 'node1/ingress_sbox').eth0).toBe('10.11.0.1/16 10.11.0.4/32');
    expect(swarm.namespace('node2/ingress_sbox').device('eth0').mtu).toBe(1150);
    expect(outcomes(swarm)).toEqual(['client > node2:8080: web.1 on node1']);
  });

  it('a docker_gwbridge made by hand, on one node', async () => {
    const swarm = await swarmOf(`services:
  web: { image: nginx, ports: ["8080:80"], deploy: { mode: global } }
x-swarmwire:
  nodes:
    - name: node1
      docker_gwbridge:
        subnet: 172.30.0.0/24
        gateway: 172.30.0.254
        driver_opts: { com.docker.network.bridge.enable_ip_masquerade: "false", com.docker.network.driver.mtu: 1400 }
    - node2
  traffic:
    - http: { from: client, to: "node1:8080" }
    - ping: { from: web.1, to: 203.0.113.10 }
    - ping: { from: web.2, to: 203.0.113.10 }`);
    expect(addresses(swarm, 'node1/host').docker_gwbridge).toBe('172.30.0.254/24');
    expect(addresses(swarm, 'node2/host').docker_gwbridge).toBe('172.18.0.1/16');
    expect(swarm.namespace('node1/host').device('docker_gwbridge').mtu).toBe(1400);
    // Nobody said enable_icc=false here.
    const within = (node: string) =>
      rules(swarm, `${node}/host`, 'filter', 'FORWARD').filter((line) =>
        line.includes('-i docker_gwbridge -o docker_gwbridge'),
      );
    expect(within('node1')).toEqual(['-A FORWARD -i docker_gwbridge -o docker_gwbridge -j ACCEPT']);
    expect(within('node2')).toEqual(['-A FORWARD -i docker_gwbridge -o docker_gwbridge -j DROP']);
    expect(outcomes(swarm)).toEqual([
      expect.stringMatching(/^client > node1:8080: web\.node\d on node\d$/),
      'web.1 > 203.0.113.10: no answer within 10 s',
      'web.2 > 203.0.113.10: ok',
    ]);
  });

  it('docker swarm init with a data path port and address pools; VXLAN over a second NIC', async () => {
    const swarm = await swarmOf(`services:
  web: { image: nginx, networks: [net], deploy: { mode: global } }
networks: { net: {} }
x-swarmwire:
  swarm: { data_path_port: 5789, default_addr_pool: 10.40.0.0/16, default_addr_pool_mask_length: 26 }
  nodes:
    - { name: node1, interfaces: { eth1: { address: 10.99.0.110/24, mtu: 9000 } }, advertise_addr: eth0, data_path_addr: eth1 }
    - { name: node2, interfaces: { eth1: { address: 10.99.0.111/24, mtu: 9000 } }, data_path_addr: 10.99.0.111 }
  traffic:
    - http: { from: web.1, to: "web:80", requests: 2 }`);
    swarm.tapEverything();
    expect(outcomes(swarm)).toHaveLength(2);
    expect(Object.values(swarm.topology.networks.find(({ name }) => name === 'ingress')?.onNode ?? {})[0]?.subnet).toBe(
      '10.40.0.0/26',
    );
    expect(addresses(swarm, 'node1/ov-net').br0).toBe('10.40.0.65/26');
    expect(swarm.frames('node1/host/eth0').filter((frame) => frame.field('udp.dstport') === '5789')).toEqual([]);
    const outer = swarm.frames('node1/host/eth1').filter((frame) => frame.all('udp.dstport')[0] === '5789');
    expect(outer.length).toBeGreaterThan(0);
    expect(new Set(outer.flatMap((frame) => [frame.all('ip.src')[0], frame.all('ip.dst')[0]]))).toEqual(
      new Set(['10.99.0.110', '10.99.0.111']),
    );
  });
});
