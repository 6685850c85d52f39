/** Containers on nodes, and what is done before a stack is deployed, under x-swarmwire. */

import { describe, expect, it } from 'vitest';
import { read, refusal } from './reading.js';

const around = (...lines: string[]) => ['x-swarmwire:', ...lines.map((line) => `  ${line}`)].join('\n');

describe('containers', () => {
  it('join networks of the file, publish ports and link, on the first node unless they name another', () => {
    const { spec, ignored, unsupported } = read(`networks:
  net: { driver: bridge }
  unused: { driver: bridge }
${around(
  'containers:',
  '  db: { expose: [5432] }',
  '  web:',
  '    image: nginx',
  '    ports: ["8000:80", "127.0.0.1:9000-9002:81/udp", 82]',
  '    links: ["db:database"]',
  '  other:',
  '    node: node2',
  '    networks: { net: { aliases: [a, b, a], ipv4_address: 172.18.0.9, priority: 5 } }',
)}`);
    expect(spec.containers).toEqual([
      { name: 'db', node: 'node1', networks: [], ports: [], exposes: [{ port: 5432, protocol: 'tcp' }], links: [] },
      {
        name: 'web',
        node: 'node1',
        image: 'nginx',
        networks: [],
        ports: [
          { published: 8000, target: 80, protocol: 'tcp' },
          { published: 9000, publishedLast: 9002, target: 81, protocol: 'udp', hostAddress: '127.0.0.1' },
          { target: 82, protocol: 'tcp' },
        ],
        exposes: [],
        links: [{ container: 'db', alias: 'database' }],
      },
      {
        name: 'other',
        node: 'node2',
        networks: [{ name: 'net', aliases: ['a', 'b'], address: '172.18.0.9', priority: 5 }],
        ports: [],
        exposes: [],
        links: [],
      },
    ]);
    expect(spec.networks).toEqual([{ name: 'net', driver: 'bridge' }]);
    expect(ignored.map(({ key }) => key)).toEqual(['networks.unused']);
    expect(unsupported).toEqual([]);
  });

  it.each([
    ['a: { node: node9 }', 'container "a" is to run on "node9", and there is no such node'],
    ['a: { networks: [nowhere] }', 'container "a" joins network "nowhere", which is not defined'],
    [
      'a: { networks: [over] }',
      'Could not attach to network over: rpc error: code = PermissionDenied desc = network over not manually attachable',
    ],
    ['a: { networks: [bridge, bridge] }', 'container "a" joins network "bridge" twice'],
    ['a: { networks: { bridge: { ipv4_address: 172.17.x } } }', 'invalid IPv4 address: 172.17.x'],
    ['a: { ports: ["99999:80"] }', 'port 99999 is out of range'],
    ['a: { ports: ["here:80:80"] }', 'Invalid ip address: here'],
    ['a: { links: [b] }', 'could not get container for b: No such container: b'],
    ['a: { links: ["b:c:d"] }', 'bad format for links: b:c:d'],
    ['a: { expose: [x] }', 'Invalid range format for --expose: x'],
    ['"a b": {}', 'a container is named with letters, digits, "_", "." and "-"'],
    ['a: { volumes: [] }', 'has no key "volumes"'],
  ])('%s is refused', (container, message) => {
    expect(
      refusal(`networks: { over: { driver: overlay } }\n${around('containers:', `  ${container}`)}`).message,
    ).toContain(message);
  });

  it('speak and are spoken to by their names', () => {
    const text = `${around('containers: { one: {}, two: {} }', 'traffic:', '  - ping: { from: one, to: two }')}`;
    expect(read(text).spec.traffic).toMatchObject([{ from: 'one', to: 'two' }]);
    expect(refusal(`${text}\n    - ping: { from: three, to: two }`).message).toContain('there is no "three" here');
  });
});

describe('before a stack is deployed', () => {
  it('the swarm, its ingress network and docker_gwbridge are as they are asked for', () => {
    const { spec, ignored } = read(
      around(
        'swarm: { data_path_port: 5789, default_addr_pool: 10.40.0.0/16, default_addr_pool_mask_length: 26 }',
        'ingress: { name: mesh, ipam: { config: [{ subnet: 10.11.0.0/16, gateway: 10.11.0.2 }] }, driver_opts: { com.docker.network.mtu: 1200 } }',
        'nodes:',
        '  - { name: a, interfaces: { eth1: { address: 10.99.0.1/24 } }, advertise_addr: eth0, data_path_addr: eth1 }',
        '  - { name: b, docker_gwbridge: { subnet: 172.30.0.0/24, driver_opts: { com.docker.network.bridge.enable_icc: false } } }',
      ),
    );
    expect(spec.swarmInit).toEqual({ dataPathPort: 5789, addressPools: ['10.40.0.0/16'], maskLength: 26 });
    expect(spec.networks.find(({ ingress }) => ingress)).toMatchObject({
      name: 'mesh',
      ingress: true,
      subnet: '10.11.0.0/16',
      gateway: '10.11.0.2',
    });
    expect(spec.nodes[0]).toMatchObject({
      interfaces: [{ name: 'eth1', address: '10.99.0.1/24', segment: 'eth1' }],
      advertiseAddress: '192.168.99.110',
      dataPathAddress: '10.99.0.1',
    });
    expect(spec.nodes[1]?.gwbridge).toEqual({
      subnet: '172.30.0.0/24',
      options: { 'com.docker.network.bridge.enable_icc': 'false' },
    });
    expect(ignored.map(({ key }) => key)).toEqual(['driver_opts.com.docker.network.mtu']);
  });

  it('there may be no swarm at all', () => {
    expect(read(around('swarm: false', 'containers: { one: {} }')).spec.swarm).toBe(false);
  });

  it.each([
    ['swarm: { data_path_port: 80 }', 'x-swarmwire.swarm.data_path_port must be >= 1024'],
    ['swarm: { default_addr_pool: here }', 'invalid CIDR address: here'],
    ['swarm: { default_addr_pool: 10.0.0.0/28 }', 'is smaller than a subnet of /24'],
    ['nodes: [{ data_path_addr: eth7 }]', 'could not find interface "eth7"'],
    ['nodes: [{ advertise_addr: 10.9.9.9 }]', '10.9.9.9 is no address of node1'],
    ['nodes: [{ interfaces: { eth0: { address: 10.99.0.1/24 } } }]', 'eth0 is there already'],
    [
      'nodes: [{ docker_gwbridge: { driver_opts: { com.docker.network.bridge.enable_icc: maybe } } }]',
      'strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
  ])('%s is refused', (line, message) => {
    expect(refusal(around(line)).message).toContain(message);
  });
});
