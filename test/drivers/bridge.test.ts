/** The bridge driver from a stack file: docker0, user-defined bridges, what they publish, what keeps them apart. */

import { describe, expect, it } from 'vitest';
import { addresses, defaultRoute, outcomes, rules, swarmOf } from './stack.js';

/** One node, no swarm; containers and what follows. */
const node = (more: string, daemon = '{}') => `x-swarmwire:
  nodes: [{ name: node1, daemon: ${daemon} }]
${more
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`;

describe('docker0', () => {
  const web = `containers:
  web: { ports: ["8000:80", "5353:53/udp"] }
  other: {}
traffic:
  - http: { from: client, to: "node1:8000" }
  - udp: { from: client, to: "node1:5353" }
  - http: { from: other, to: "192.168.99.110:8000" }
  - http: { from: other, to: "172.17.0.1:8000" }
  - udp: { from: other, to: "172.17.0.1:5353" }
  - http: { from: web, to: "192.168.99.110:8000" }
  - http: { from: node1, to: "127.0.0.1:8000" }
  - http: { from: node1, to: "192.168.99.110:8000" }`;
  const everybody = [
    'client > node1:8000: web on node1',
    'client > node1:5353: web on node1',
    'other > 192.168.99.110:8000: web on node1',
    'other > 172.17.0.1:8000: web on node1',
    'other > 172.17.0.1:5353: web on node1',
    'web > 192.168.99.110:8000: web on node1',
    'node1 > 127.0.0.1:8000: web on node1',
    'node1 > 192.168.99.110:8000: web on node1',
  ];

  it('publishes to everybody, to its own containers and to 127.0.0.1 by docker-proxy', async () => {
    const swarm = await swarmOf(node(web));
    swarm.tap('node1/ct-web/eth0');
    expect(outcomes(swarm)).toEqual(everybody);
    expect(rules(swarm, 'node1/host', 'nat')).toEqual([
      '-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER',
      '-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER',
      '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
      '-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE',
      '-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p udp -m udp --dport 53 -j MASQUERADE',
      '-A DOCKER -i docker0 -j RETURN',
      '-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8000 -j DNAT --to-destination 172.17.0.2:80',
      '-A DOCKER ! -i docker0 -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.2:53',
    ]);
    // The proxy's connections come from docker0's own address, all others from whoever asked.
    const sources = connectionsTo(swarm.frames('node1/ct-web/eth0'), '172.17.0.2', 80);
    expect(sources).toEqual(['192.168.99.1', ...Array(4).fill('172.17.0.1'), '192.168.99.110']);
  });

  it('publishes to everybody without docker-proxy too, by rules alone', async () => {
    const swarm = await swarmOf(node(web, '{ userland-proxy: false }'));
    swarm.tap('node1/ct-web/eth0');
    expect(outcomes(swarm)).toEqual(everybody);
    expect(rules(swarm, 'node1/host', 'nat')).toEqual([
      '-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER',
      '-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER',
      '-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE',
      '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
      '-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE',
      '-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p udp -m udp --dport 53 -j MASQUERADE',
      '-A DOCKER -p tcp -m tcp --dport 8000 -j DNAT --to-destination 172.17.0.2:80',
      '-A DOCKER -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.2:53',
    ]);
    // Another container of the bridge keeps its address; the server's own request comes back by hairpin, from docker0's.
    const sources = connectionsTo(swarm.frames('node1/ct-web/eth0'), '172.17.0.2', 80);
    expect(sources).toEqual(['192.168.99.1', '172.17.0.3', '172.17.0.3', '172.17.0.1', '172.17.0.1', '172.17.0.1']);
  });

  it('publishes a range at its first free port, one address alone, and ephemeral ports in order', async () => {
    const swarm = await swarmOf(
      node(`containers:
  one: { ports: ["9000-9002:80", "82", "127.0.0.1:7000:80"] }
  two: { ports: ["9000-9002:80", "82", "9010-9011:90-91"] }
traffic:
  - http: { from: client, to: "node1:9001" }
  - http: { from: client, to: "node1:9011" }
  - http: { from: client, to: "node1:49154" }
  - http: { from: client, to: "node1:7000" }
  - http: { from: node1, to: "127.0.0.1:7000" }`),
    );
    expect(outcomes(swarm)).toEqual([
      'client > node1:9001: two on node1',
      'client > node1:9011: two on node1',
      'client > node1:49154: two on node1',
      'client > node1:7000: connection refused',
      'node1 > 127.0.0.1:7000: one on node1',
    ]);
    // Container ports from the highest down: bridge-rules.test.ts.
    const published = rules(swarm, 'node1/host', 'nat', 'DOCKER').flatMap((line) => {
      const [, address = '', port, target] = /DOCKER (-d \S+ )?.*--dport (\d+).* (\S+)$/.exec(line) ?? [];
      return port ? [`${address}${port} ${target}`] : [];
    });
    expect(published.sort()).toEqual([
      '-d 127.0.0.1/32 7000 172.17.0.2:80',
      '49153 172.17.0.2:82',
      '49154 172.17.0.3:82',
      '9000 172.17.0.2:80',
      '9001 172.17.0.3:80',
      '9010 172.17.0.3:90',
      '9011 172.17.0.3:91',
    ]);
  });

  it('refuses a port that is published already', async () => {
    await expect(
      swarmOf(node('containers:\n  a: { ports: ["80:80"] }\n  b: { ports: ["127.0.0.1:80:80"] }')),
    ).rejects.toThrow('Bind for 127.0.0.1:80 failed: port is already allocated');
  });

  it('lets linked containers through where icc is off, and only to what the other exposes', async () => {
    const swarm = await swarmOf(
      node(
        `containers:
  db: { expose: [5432] }
  web: { links: ["db:database"] }
  stranger: {}
traffic:
  - http: { from: web, to: "database:5432" }
  - http: { from: web, to: "db:5432" }
  - http: { from: web, to: "db:5433" }
  - http: { from: stranger, to: "172.17.0.2:5432" }
  - http: { from: stranger, to: "database:5432" }`,
        '{ icc: false }',
      ),
    );
    expect(outcomes(swarm)).toEqual([
      'web > database:5432: db on node1',
      'web > db:5432: db on node1',
      'web > db:5433: no answer within 10 s',
      'stranger > 172.17.0.2:5432: no answer within 10 s',
      expect.stringMatching(/^stranger > database:5432: .*(could not be looked up|not known|does not exist)/),
    ]);
    expect(rules(swarm, 'node1/host', 'filter', 'DOCKER')).toEqual([
      '-A DOCKER -s 172.17.0.3/32 -d 172.17.0.2/32 -i docker0 -o docker0 -p tcp -m tcp --dport 5432 -j ACCEPT',
      '-A DOCKER -s 172.17.0.2/32 -d 172.17.0.3/32 -i docker0 -o docker0 -p tcp -m tcp --sport 5432 -j ACCEPT',
    ]);
    expect(rules(swarm, 'node1/host', 'filter', 'FORWARD').at(-1)).toBe('-A FORWARD -i docker0 -o docker0 -j DROP');
    const web = swarm.topology.sandboxes.find(({ container }) => container === 'web');
    const db = swarm.topology.sandboxes.find(({ container }) => container === 'db');
    expect(web?.extraHosts).toEqual([{ address: '172.17.0.2', names: ['database', db?.id?.slice(0, 12), 'db'] }]);
  });

  it("has what the node's daemon.json says", async () => {
    const swarm = await swarmOf(
      node(
        `containers:
  one: { ports: ["8000:80"] }
traffic:
  - http: { from: client, to: "node1:8000" }
  - http: { from: node1, to: "127.0.0.1:8000" }
  - ping: { from: one, to: 203.0.113.10 }`,
        '{ bip: 10.9.0.5/16, fixed-cidr: 10.9.8.0/24, mtu: 1300, ip: 192.168.99.110, ip-masq: false }',
      ),
    );
    expect(addresses(swarm, 'node1/host').docker0).toBe('10.9.0.5/16');
    // The whole range is given out, its first address too.
    expect(addresses(swarm, 'node1/ct-one').eth0).toBe('10.9.8.0/16');
    expect(defaultRoute(swarm, 'node1/ct-one')).toBe('via 10.9.0.5 dev eth0');
    expect(swarm.namespace('node1/host').device('docker0').mtu).toBe(1300);
    expect(swarm.namespace('node1/ct-one').device('eth0').mtu).toBe(1300);
    swarm.tap('client/host/eth0');
    expect(outcomes(swarm)).toEqual([
      'client > node1:8000: one on node1',
      'node1 > 127.0.0.1:8000: connection refused',
      'one > 203.0.113.10: no answer within 10 s',
    ]);
    // Nobody has masqueraded it, and the client knows no way back.
    expect(rules(swarm, 'node1/host', 'nat').join()).not.toContain('! -o docker0 -j MASQUERADE');
    expect(rules(swarm, 'node1/host', 'nat', 'DOCKER')).toEqual([
      '-A DOCKER -d 192.168.99.110/32 ! -i docker0 -p tcp -m tcp --dport 8000 -j DNAT --to-destination 10.9.8.0:80',
    ]);
  });

  it('has another gateway if daemon.json names one, and no rule with iptables off', async () => {
    const swarm = await swarmOf(
      node('containers: { one: {} }', '{ default-gateway: 172.17.0.1, iptables: false, ip-forward: false }'),
    );
    expect(defaultRoute(swarm, 'node1/ct-one')).toBe('via 172.17.0.1 dev eth0');
    expect(addresses(swarm, 'node1/host').docker0).toBe('172.17.0.2/16');
    expect(addresses(swarm, 'node1/ct-one').eth0).toBe('172.17.0.3/16');
    expect(rules(swarm, 'node1/host', 'filter')).toEqual([]);
    expect(swarm.namespace('node1/host').get('forward')).toBe(0);
  });
});

describe('user-defined bridges', () => {
  it('have the name, MTU, ICC, masquerading and binding that their options say, and subnets from the pools', async () => {
    const swarm = await swarmOf(
      `networks:
  plain: { driver: bridge }
  named:
    driver: bridge
    driver_opts:
      com.docker.network.bridge.name: br7
      com.docker.network.bridge.enable_icc: "false"
      com.docker.network.bridge.enable_ip_masquerade: "false"
      com.docker.network.bridge.host_binding_ipv4: 192.168.99.110
      com.docker.network.driver.mtu: "1400"
${node(
  `containers:
  one: { networks: [named], ports: ["8000:80"] }
  two: { networks: [named] }
  three: { networks: [plain] }
traffic:
  - ping: { from: one, to: two }
  - http: { from: client, to: "node1:8000" }
  - http: { from: three, to: "192.168.99.110:8000" }
  - http: { from: node1, to: "127.0.0.1:8000" }`,
  '{ default-address-pools: [{ base: 10.200.0.0/16, size: 24 }] }',
)}`,
    );
    expect(addresses(swarm, 'node1/host')).toMatchObject({ docker0: '10.200.0.1/24', br7: '10.200.2.1/24' });
    expect(swarm.namespace('node1/ct-one').device('eth0').mtu).toBe(1400);
    expect(rules(swarm, 'node1/host', 'filter', 'FORWARD')).toEqual([
      '-A FORWARD -j DOCKER-USER',
      '-A FORWARD -j DOCKER-ISOLATION-STAGE-1',
      '-A FORWARD -o br7 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A FORWARD -o br7 -j DOCKER',
      '-A FORWARD -i br7 ! -o br7 -j ACCEPT',
      '-A FORWARD -o plain -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A FORWARD -o plain -j DOCKER',
      '-A FORWARD -i plain ! -o plain -j ACCEPT',
      '-A FORWARD -i plain -o plain -j ACCEPT',
      '-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A FORWARD -o docker0 -j DOCKER',
      '-A FORWARD -i docker0 ! -o docker0 -j ACCEPT',
      '-A FORWARD -i docker0 -o docker0 -j ACCEPT',
      '-A FORWARD -i br7 -o br7 -j DROP',
    ]);
    // Without masquerading there is no RETURN either: what another bridge sends is handed on by DNAT, and dropped between the bridges.
    expect(rules(swarm, 'node1/host', 'nat', 'DOCKER')).toEqual([
      '-A DOCKER -i plain -j RETURN',
      '-A DOCKER -i docker0 -j RETURN',
      '-A DOCKER -d 192.168.99.110/32 ! -i br7 -p tcp -m tcp --dport 8000 -j DNAT --to-destination 10.200.2.2:80',
    ]);
    expect(outcomes(swarm)).toEqual([
      'one > two: no answer within 10 s',
      'client > node1:8000: one on node1',
      'three > 192.168.99.110:8000: one on node1',
      'node1 > 127.0.0.1:8000: connection refused',
    ]);
  });

  it('are kept apart, and an internal one leads nowhere and publishes nothing', async () => {
    const swarm = await swarmOf(
      `networks:
  left: { driver: bridge }
  inside: { driver: bridge, internal: true }
${node(`containers:
  one: { networks: [left] }
  two: { networks: [inside], ports: ["8000:80"] }
  three: { networks: [inside] }
  four: {}
traffic:
  - ping: { from: one, to: 172.17.0.2 }
  - ping: { from: four, to: 172.18.0.2 }
  - ping: { from: two, to: three }
  - ping: { from: two, to: 203.0.113.10 }
  - http: { from: client, to: "node1:8000" }`)}`,
    );
    expect(outcomes(swarm)).toEqual([
      'one > 172.17.0.2: no answer within 10 s',
      'four > 172.18.0.2: no answer within 10 s',
      'two > three: ok',
      'two > 203.0.113.10: no answer within 10 s',
      'client > node1:8000: connection refused',
    ]);
    expect(rules(swarm, 'node1/host', 'filter', 'DOCKER-ISOLATION-STAGE-1')).toEqual([
      '-A DOCKER-ISOLATION-STAGE-1 ! -s 172.19.0.0/16 -o inside -j DROP',
      '-A DOCKER-ISOLATION-STAGE-1 ! -d 172.19.0.0/16 -i inside -j DROP',
      '-A DOCKER-ISOLATION-STAGE-1 -i left ! -o left -j DOCKER-ISOLATION-STAGE-2',
      '-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
      '-A DOCKER-ISOLATION-STAGE-1 -j RETURN',
    ]);
  });

  it.each([
    ['[zeta, alpha]', 'via 172.18.0.1 dev eth1', 'the first by name'],
    ['[bridge, zeta]', 'via 172.17.0.1 dev eth0', 'the first by name, docker0 too'],
    ['[aaa-inside, zeta]', 'via 172.19.0.1 dev eth1', 'an internal network comes last'],
    ['{ zeta: { priority: 10 }, alpha: null }', 'via 172.19.0.1 dev eth0', 'a priority comes before all'],
  ])('a container on %s has its default route %s: %s', async (networks, route) => {
    const swarm = await swarmOf(
      `networks:
  alpha: { driver: bridge, ipam: { config: [{ subnet: 172.18.0.0/16 }] } }
  zeta: { driver: bridge, ipam: { config: [{ subnet: 172.19.0.0/16 }] } }
  aaa-inside: { driver: bridge, internal: true, ipam: { config: [{ subnet: 172.20.0.0/16 }] } }
${node(`containers:
  one: { networks: ${networks}, ports: ["8000:80"] }
traffic:
  - http: { from: client, to: "node1:8000" }`)}`,
    );
    expect(defaultRoute(swarm, 'node1/ct-one')).toBe(route);
    // Its port is published there, and once.
    const published = rules(swarm, 'node1/host', 'nat', 'DOCKER').filter((line) => line.includes('DNAT'));
    expect(published).toEqual([
      expect.stringContaining(route.replace(/via (.*)\.1 dev.*/, '--to-destination $1.2:80')),
    ]);
    expect(outcomes(swarm)).toEqual(['client > node1:8000: one on node1']);
  });
});

/** Source addresses of the SYNs to a socket, in order. */
function connectionsTo(frames: readonly { data: Uint8Array }[], address: string, port: number): string[] {
  return frames.flatMap(({ data }) => {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if (view.getUint16(12) !== 0x0800 || view.getUint8(23) !== 6) return [];
    const dotted = (at: number) => [...data.subarray(at, at + 4)].join('.');
    const syn = (view.getUint8(47) & 0x12) === 0x02;
    return syn && dotted(30) === address && view.getUint16(36) === port ? [dotted(26)] : [];
  });
}
