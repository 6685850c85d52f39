/**
 * The bridge driver as engine 28.5.2 has it (libnetwork drivers/bridge, internal/iptabler): both families filtered, translated
 * and published, containers out of reach but for their ports.
 */

import { describe, expect, it } from 'vitest';
import type { Swarm } from '../../src/index.js';
import { ip6tablesSave, iptablesSave } from '../../src/views/iptables-save.js';
import { addresses, outcomes, swarmOf } from './stack.js';

const NODE6 = '2001:db8:99::110';
const CLIENT6 = '2001:db8:99::1';
const NOBODY = 'no answer within 10 s';

/** One node with IPv6 on the underlay; networks, containers and what follows. */
const stack = ({ networks = '{}', daemon = '{}', more }: { networks?: string; daemon?: string; more: string }) => `
networks: ${networks}
x-swarmwire:
  engine: "28"
  nodes: [{ name: node1, address6: "${NODE6}/64", daemon: ${daemon} }]
  client: { address6: "${CLIENT6}/64" }
${more
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`;

const SIX = '{ driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: "fd00:1::/64" }] } }';

/** `-A …` of all tables, in order; the bridge of the one user-defined network is `front`. */
function saved(swarm: Swarm, family: 'ip' | 'ip6', wanted: RegExp): string[] {
  const host = swarm.namespace('node1/host');
  const text = family === 'ip6' ? ip6tablesSave(host) : iptablesSave(host);
  const bridge = swarm.topology.networks.find(({ name }) => name === 'front')?.onNode.node1?.bridge ?? 'front';
  return text
    .replaceAll(bridge, 'front')
    .split('\n')
    .filter((line) => wanted.test(line));
}

describe('a published port', () => {
  const web = {
    networks: `{ front: ${SIX}, back: { driver: bridge, enable_ipv6: true } }`,
    more: `containers:
  web: { networks: [front], ports: ["8080:80", "5353:53/udp", "[::1]:8081:80"] }
  db: { networks: [back] }
  four: { ports: ["8070:80", "127.0.0.1:9000:80"] }
traffic:
  - http: { from: client, to: "node1:8080" }
  - http: { from: client, to: "[${NODE6}]:8080" }
  - udp: { from: client, to: "[${NODE6}]:5353" }
  - http: { from: node1, to: "[::1]:8080" }
  - http: { from: node1, to: "[::1]:8081" }
  - http: { from: client, to: "[${NODE6}]:8081" }
  - http: { from: web, to: "[${NODE6}]:8080" }
  - http: { from: db, to: "[${NODE6}]:8080" }
  - http: { from: client, to: "[${NODE6}]:8070" }
  - http: { from: node1, to: "127.0.0.1:9000" }`,
  };

  it('is at every address of both families, by DNAT from outside and by docker-proxy from within', async () => {
    const swarm = await swarmOf(stack(web));
    swarm.tap('node1/ct-web/eth0');
    expect(outcomes(swarm)).toEqual([
      'client > node1:8080: web on node1',
      `client > ${NODE6}:8080: web on node1`,
      `client > ${NODE6}:5353: web on node1`,
      'node1 > ::1:8080: web on node1',
      'node1 > ::1:8081: web on node1',
      `client > ${NODE6}:8081: connection refused`,
      `web > ${NODE6}:8080: web on node1`,
      `db > ${NODE6}:8080: web on node1`,
      // Its container has no IPv6: docker-proxy listens on [::], and carries on over IPv4.
      `client > ${NODE6}:8070: four on node1`,
      'node1 > 127.0.0.1:9000: four on node1',
    ]);
    expect(saved(swarm, 'ip6', /DNAT|DROP$|MASQ/)).toEqual([
      '-A PREROUTING -d fd00:1::2/128 ! -i front -j DROP',
      expect.stringMatching(/^-A PREROUTING -d fd\S+::2\/128 ! -i br-\S+ -j DROP$/),
      '-A DOCKER ! -i front -o front -j DROP',
      expect.stringMatching(/^-A DOCKER ! -i br-\S+ -o br-\S+ -j DROP$/),
      expect.stringMatching(/^-A DOCKER-ISOLATION-STAGE-2 -o br-\S+ -j DROP$/),
      '-A DOCKER-ISOLATION-STAGE-2 -o front -j DROP',
      expect.stringMatching(/^-A POSTROUTING -s fd\S+::\/64 ! -o br-\S+ -j MASQUERADE$/),
      '-A POSTROUTING -s fd00:1::/64 ! -o front -j MASQUERADE',
      '-A DOCKER ! -s fe80::/10 ! -i front -p udp -m udp --dport 5353 -j DNAT --to-destination [fd00:1::2]:53',
      '-A DOCKER ! -s fe80::/10 ! -i front -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:1::2]:80',
      '-A DOCKER ! -s fe80::/10 -d ::1/128 ! -i front -p tcp -m tcp --dport 8081 -j DNAT --to-destination [fd00:1::2]:80',
    ]);
    // What is published on a loopback address alone is guarded in raw.
    expect(saved(swarm, 'ip', /--dport 9000/)).toEqual([
      '-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 9000 -j DROP',
      '-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 172.17.0.2:80',
    ]);
  });

  it('is taken back over both families', async () => {
    const swarm = await swarmOf(stack(web));
    swarm.cluster.containerRemove(swarm.cluster.container('web'), true);
    expect(saved(swarm, 'ip6', /DNAT|fd00:1::2/)).toEqual([]);
    expect(saved(swarm, 'ip', /172\.18\.0\.2/)).toEqual([]);
  });

  it('without docker-proxy is reached from its own network by DNAT and MASQUERADE', async () => {
    const swarm = await swarmOf(
      stack({
        networks: `{ front: ${SIX} }`,
        daemon: '{ userland-proxy: false }',
        more: `containers:
  web: { networks: [front], ports: ["8080:80"] }
  other: { networks: [front] }
traffic:
  - http: { from: client, to: "[${NODE6}]:8080" }
  - http: { from: other, to: "[${NODE6}]:8080" }
  - http: { from: web, to: "[${NODE6}]:8080" }`,
      }),
    );
    expect(outcomes(swarm)).toEqual([
      `client > ${NODE6}:8080: web on node1`,
      `other > ${NODE6}:8080: web on node1`,
      `web > ${NODE6}:8080: web on node1`,
    ]);
    // br_netfilter is loaded, for both families at once.
    const host = swarm.namespace('node1/host');
    expect([host.get('bridgeNetfilter'), host.get('bridgeNetfilter6')]).toEqual([1, 1]);
    expect(saved(swarm, 'ip6', /POSTROUTING.*fd00:1::2|src-type/)).toEqual([
      '-A POSTROUTING -o front -m addrtype --src-type LOCAL -j MASQUERADE',
      '-A POSTROUTING -s fd00:1::2/128 -d fd00:1::2/128 -p tcp -m tcp --dport 80 -j MASQUERADE',
    ]);
  });
});

describe('a container', () => {
  const reach = (option: string, daemon = '{}') =>
    stack({
      networks: `{ front: { driver: bridge, enable_ipv6: true, ${option} ipam: { config: [{ subnet: 172.30.0.0/16 }, { subnet: "2001:db8:30::/64" }] } } }`,
      daemon,
      more: `containers:
  web: { networks: [front], ports: ["8080:80"] }
  db: {}
traffic:
  - http: { from: client, to: "[2001:db8:30::2]:80" }
  - http: { from: client, to: "172.30.0.2:80" }
  - ping: { from: client, to: "2001:db8:30::2" }
  - udp: { from: client, to: "[2001:db8:30::2]:53" }
  - http: { from: node1, to: "[2001:db8:30::2]:80" }
  - ping: { from: web, to: "${CLIENT6}" }`,
    });
  /** The client knows the way to the container's own addresses. */
  async function directly(text: string): Promise<{ swarm: Swarm; heard: string[] }> {
    const swarm = await swarmOf(text);
    const client = swarm.namespace('client/host');
    const nic = client.device('eth0');
    client.addRoute('2001:db8:30::/64', nic, NODE6);
    client.addRoute('172.30.0.0/16', nic, '192.168.99.110');
    return { swarm, heard: outcomes(swarm).map((line) => line.replace(/^.*: /, '')) };
  }

  it('is not to be reached by its own address but from its node, and is masqueraded', async () => {
    const { swarm, heard } = await directly(reach(''));
    expect(heard).toEqual([...Array(4).fill(NOBODY), 'web on node1', 'ok']);
    const refused = swarm.engine.drops.find(({ reason }) => reason === 'NETFILTER_DROP');
    expect(refused?.device.path).toBe('node1/host/eth0');
  });

  it('is with gateway mode routed: its ports and ICMP, and its own address is what others see', async () => {
    const modes =
      'driver_opts: { com.docker.network.bridge.gateway_mode_ipv4: routed, com.docker.network.bridge.gateway_mode_ipv6: routed },';
    const { swarm, heard } = await directly(reach(modes));
    expect(heard).toEqual(['web on node1', 'web on node1', 'ok', NOBODY, 'web on node1', 'ok']);
    expect(saved(swarm, 'ip6', /front/)).toEqual([
      '-A DOCKER -d 2001:db8:30::2/128 ! -i front -o front -p tcp -m tcp --dport 80 -j ACCEPT',
      '-A DOCKER -o front -p ipv6-icmp -j ACCEPT',
      '-A DOCKER ! -i front -o front -j DROP',
      '-A DOCKER-BRIDGE -o front -j DOCKER',
      '-A DOCKER-CT -o front -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A DOCKER-FORWARD -i front -j ACCEPT',
      '-A DOCKER-ISOLATION-STAGE-1 -i front -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A DOCKER-ISOLATION-STAGE-1 -o front -j RETURN',
      '-A DOCKER-ISOLATION-STAGE-1 -i front ! -o front -j DOCKER-ISOLATION-STAGE-2',
      '-A DOCKER-ISOLATION-STAGE-2 -o front -j DROP',
      '-A DOCKER -i front -j RETURN',
    ]);
  });

  it('is with nat-unprotected, whatever the port', async () => {
    const modes =
      'driver_opts: { com.docker.network.bridge.gateway_mode_ipv4: nat-unprotected, com.docker.network.bridge.gateway_mode_ipv6: nat-unprotected },';
    const { heard } = await directly(reach(modes));
    expect(heard.slice(0, 3)).toEqual(['web on node1', 'web on node1', 'ok']);
  });

  it('is with allow-direct-routing, at its published ports', async () => {
    const { heard } = await directly(reach('', '{ allow-direct-routing: true }'));
    expect(heard.slice(0, 3)).toEqual(['web on node1', 'web on node1', NOBODY]);
  });

  it('with ip6tables off is routed as it is', async () => {
    const { swarm, heard } = await directly(reach('', '{ ip6tables: false }'));
    expect(heard.slice(0, 3)).toEqual(['web on node1', NOBODY, 'ok']);
    expect(ip6tablesSave(swarm.namespace('node1/host'))).toBe('');
  });
});

describe('bridges', () => {
  it('are kept apart over IPv6, and without icc their own containers, too', async () => {
    const swarm = await swarmOf(
      stack({
        networks:
          '{ front: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: "fd00:1::/64" }] } }, back: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: "fd00:2::/64" }] } }, ' +
          'alone: { driver: bridge, enable_ipv6: true, driver_opts: { com.docker.network.bridge.enable_icc: "false" }, ipam: { config: [{ subnet: "fd00:3::/64" }] } }, ' +
          'inside: { driver: bridge, enable_ipv6: true, internal: true, ipam: { config: [{ subnet: "fd00:4::/64" }] } } }',
        more: `containers:
  a: { networks: { front: { ipv6_address: "fd00:1::a" } } }
  b: { networks: { front: { ipv6_address: "fd00:1::b" } } }
  c: { networks: { back: { ipv6_address: "fd00:2::c" } } }
  d: { networks: { alone: { ipv6_address: "fd00:3::d" } } }
  e: { networks: { alone: { ipv6_address: "fd00:3::e" } } }
  f: { networks: { inside: { ipv6_address: "fd00:4::f" } } }
  g: { networks: { inside: { ipv6_address: "fd00:4::10" } } }
traffic:
  - ping: { from: a, to: "fd00:1::b" }
  - ping: { from: a, to: "fd00:2::c" }
  - ping: { from: d, to: "fd00:3::e" }
  - ping: { from: d, to: "${CLIENT6}" }
  - ping: { from: f, to: "fd00:4::10" }`,
      }),
    );
    expect(outcomes(swarm).map((line) => line.replace(/^.*: /, ''))).toEqual(['ok', NOBODY, NOBODY, 'ok', 'ok']);
    expect(saved(swarm, 'ip6', /FORWARD DROP/)).toEqual([':FORWARD DROP [0:0]']);
    expect(saved(swarm, 'ip6', /fd00:4/)).toEqual([
      expect.stringMatching(/^-A DOCKER-ISOLATION-STAGE-1 ! -s fd00:4::\/64 ! -i (\S+) -o \1 -j DROP$/),
      expect.stringMatching(/^-A DOCKER-ISOLATION-STAGE-1 ! -d fd00:4::\/64 -i (\S+) ! -o \1 -j DROP$/),
    ]);
  });

  it('of IPv6 networks without a subnet get the next /64 of the node, and docker0 as well', async () => {
    const swarm = await swarmOf(
      stack({
        networks: '{ front: { driver: bridge, enable_ipv6: true } }',
        daemon: '{ ipv6: true }',
        more: 'containers: { a: { networks: [front] }, b: {} }\ntraffic: [{ ping: { from: b, to: client } }]',
      }),
    );
    const on = (name: string) => swarm.topology.networks.find((one) => one.name === name)?.onNode.node1;
    const [, prefix] = /^(fd[0-9a-f]{2}:[0-9a-f]+:[0-9a-f]+)::\/64$/.exec(on('bridge')?.subnet6 ?? '') ?? [];
    expect(prefix).toBeDefined();
    expect(on('front')?.subnet6).toBe(`${prefix}:1::/64`);
    // Addresses of bridges and containers are drawn, and no bridge is fe80::1.
    expect(on('front')?.bridgeMac.startsWith('02:42')).toBe(false);
    const bridge = swarm.namespace('node1/host').device(on('front')?.bridge ?? '');
    expect(bridge.addresses6.map(({ address }) => address)).not.toContain('fe80::1');
  });
});

describe('an isolated network', () => {
  const isolated = (internal: boolean) =>
    stack({
      networks: `{ front: { driver: bridge, internal: ${internal}, driver_opts: { com.docker.network.bridge.gateway_mode_ipv4: isolated } } }`,
      more: 'containers: { a: { networks: [front] }, b: { networks: [front] } }\ntraffic: [{ ping: { from: a, to: b } }]',
    });

  it('has a bridge without an address, and the first address is a container’s', async () => {
    const swarm = await swarmOf(isolated(true));
    expect(outcomes(swarm)).toEqual(['a > b: ok']);
    const bridge = swarm.topology.networks.find(({ name }) => name === 'front')?.onNode.node1?.bridge ?? '';
    expect(swarm.namespace('node1/host').device(bridge).addresses).toEqual([]);
    expect(addresses(swarm, 'node1/ct-a')).toEqual({ eth0: '172.18.0.1/16' });
  });

  it('has to be internal', async () => {
    await expect(swarmOf(isolated(false))).rejects.toThrow(
      "gateway mode 'isolated' can only be used for an internal network",
    );
  });
});

describe('the routing mesh', () => {
  it('stands in DOCKER-FORWARD, and answers by conntrack', async () => {
    const swarm = await swarmOf(`
services:
  web: { image: nginx, ports: ["8080:80"] }
x-swarmwire: { engine: 28.5.2, nodes: 2 }
`);
    expect(outcomes(swarm)).toEqual(['client > node1:8080: web.1 on node1', 'client > node2:8080: web.1 on node1']);
    expect(saved(swarm, 'ip', /^-A (FORWARD|DOCKER-FORWARD -j|DOCKER-INGRESS -p)/)).toEqual([
      '-A FORWARD -j DOCKER-USER',
      '-A FORWARD -j DOCKER-FORWARD',
      '-A DOCKER-FORWARD -j DOCKER-INGRESS',
      '-A DOCKER-FORWARD -j DOCKER-CT',
      '-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1',
      '-A DOCKER-FORWARD -j DOCKER-BRIDGE',
      '-A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j ACCEPT',
      '-A DOCKER-INGRESS -p tcp -m tcp --sport 8080 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:8080',
    ]);
  });
});
