/** Files without a swarm: services are containers of one node; `network_mode`, restart policies, and what else Compose has. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pictureOf } from '../../src/draw/index.js';
import { outcomes, swarmOf } from '../drivers/stack.js';
import { read, refusal } from './reading.js';

const composed = (services: string, more = '') =>
  `services:\n${services}\n${more}\nx-swarmwire: { swarm: false, nodes: 1 }`;

describe('services of a file without a swarm', () => {
  it('are containers of the first node, on a bridge of their own, known by their service’s name', () => {
    const { spec } = read(composed('  web: { image: nginx }\n  cache: { image: redis, scale: 2 }'));
    expect(spec.services).toEqual([]);
    expect(spec.networks).toEqual([{ name: 'default', driver: 'bridge' }]);
    expect(spec.containers?.map(({ name, node, networks }) => [name, node, networks])).toEqual([
      ['web', 'node1', [{ name: 'default', aliases: ['web'] }]],
      ['cache-1', 'node1', [{ name: 'default', aliases: ['cache'] }]],
      ['cache-2', 'node1', [{ name: 'default', aliases: ['cache'] }]],
    ]);
  });

  it('have every networking key of Compose', () => {
    const { spec, ignored, unsupported } = read(
      composed(
        `  web:
    image: nginx
    container_name: front
    ports: ["127.0.0.1:8080:80", { target: 81, published: "8081-8082", protocol: udp, host_ip: 127.0.0.2 }]
    expose: [8000]
    networks:
      net: { ipv4_address: 10.7.0.10, aliases: [www], link_local_ips: [169.254.8.8], gw_priority: 3 }
    mac_address: 02:42:AC:11:00:98
    restart: on-failure:3
    sysctls: { net.ipv4.ip_forward: 0, net.core.somaxconn: 1024, kernel.shmmax: 1 }
    hostname: webhost
    dns: 1.1.1.1
    cpu_shares: 3`,
        'networks: { net: { ipam: { config: [{ subnet: 10.7.0.0/24 }] } } }',
      ),
    );
    expect(spec.containers).toEqual([
      {
        name: 'front',
        node: 'node1',
        image: 'nginx',
        hostname: 'webhost',
        dns: { servers: ['1.1.1.1'] },
        networks: [
          {
            name: 'net',
            aliases: ['www', 'web'],
            address: '10.7.0.10',
            linkLocal: ['169.254.8.8'],
            priority: 3,
            mac: '02:42:ac:11:00:98',
          },
        ],
        ports: [
          { published: 8080, target: 80, protocol: 'tcp', hostAddress: '127.0.0.1' },
          { published: 8081, publishedLast: 8082, target: 81, protocol: 'udp', hostAddress: '127.0.0.2' },
        ],
        exposes: [{ port: 8000, protocol: 'tcp' }],
        links: [],
        restart: { name: 'on-failure', most: 3 },
        sysctls: { 'net.ipv4.ip_forward': '0' },
      },
    ]);
    expect(unsupported.map(({ key }) => key)).toEqual(['sysctls.net.core.somaxconn']);
    expect(ignored.map(({ key }) => key).sort()).toEqual(['cpu_shares', 'sysctls.kernel.shmmax']);
  });

  it('start after those that they need', () => {
    const order = (services: string) => read(composed(services)).spec.containers?.map(({ name }) => name);
    expect(order('  a: { depends_on: [b] }\n  b: { network_mode: "service:c" }\n  c: {}')).toEqual(['c', 'b', 'a']);
    expect(order('  a: { links: ["b:x"] }\n  b: { depends_on: { a: {} } }')).toEqual(['b', 'a']);
  });

  it('reach each other, the outside, and are reached at published ports', async () => {
    const swarm = await swarmOf(`services:
  web: { image: nginx, ports: ["8080:80"], networks: { front: { ipv4_address: 10.7.0.10, link_local_ips: [169.254.8.8] } }, links: ["db:database"] }
  db: { image: redis, networks: [front] }
  side: { image: alpine, network_mode: "service:web" }
  outside: { image: nginx, network_mode: host }
  alone: { image: alpine, network_mode: none }
  old: { image: alpine, network_mode: bridge }
networks: { front: { ipam: { config: [{ subnet: 10.7.0.0/24 }] } } }
x-swarmwire:
  swarm: false
  nodes: 1
  traffic:
    - http: { from: client, to: "node1:8080" }
    - http: { from: client, to: "node1:80" }
    - http: { from: side, to: "database:6379" }
    - ping: { from: side, to: 203.0.113.10 }
    - ping: { from: outside, to: 10.7.0.10 }
    - ping: { from: alone, to: 10.7.0.10 }
    - ping: { from: old, to: web }`);
    expect(outcomes(swarm)).toEqual([
      'client > node1:8080: web on node1',
      'client > node1:80: outside on node1',
      'side > database:6379: db on node1',
      'side > 203.0.113.10: ok',
      'outside > 10.7.0.10: ok',
      'alone > 10.7.0.10: no route to 10.7.0.10',
      'old > web: web does not exist (NXDOMAIN)',
    ]);
    const [eth0] = [...swarm.namespace('node1/ct-web').devices.values()].filter(({ kind }) => kind === 'veth');
    expect(eth0?.addresses.map(({ address, length }) => `${address}/${length}`)).toEqual([
      '10.7.0.10/24',
      '169.254.8.8/16',
    ]);
    expect(swarm.engine.namespaces.has('node1/ct-side')).toBe(false);
  });

  it.each([
    ['  web: { network_mode: "service:nobody" }', 'there is no service "nobody" here'],
    ['  web: { network_mode: "container:nobody" }', 'No such container: nobody'],
    ['  web: { network_mode: "service:web" }', 'cannot join own network'],
    ['  web: { network_mode: "pod:x" }', 'invalid network_mode: pod:x'],
    [
      '  web: { network_mode: host, networks: [default] }',
      '"web" declares mutually exclusive network_mode and networks',
    ],
    ['  web: { network_mode: "service:db", ports: ["80:80"] }\n  db: {}', 'conflicting options: port publishing'],
    [
      '  web: { network_mode: "service:db", hostname: x }\n  db: {}',
      'conflicting options: hostname and the network mode',
    ],
    ['  web: { network_mode: host, links: [db] }\n  db: {}', "conflicting options: host type networking can't be used"],
    ['  web: { restart: sometimes }', "invalid restart policy 'sometimes'"],
    ['  web: { restart: "always:3" }', "maximum retry count cannot be used with restart policy 'always'"],
    ['  web: { scale: 2, container_name: one }', 'service "web" has 2 containers, and they cannot all be called "one"'],
    ['  web: { networks: { default: { link_local_ips: [10.0.0.1] } } }', 'invalid link local IP address: 10.0.0.1'],
    ['  web: { sysctls: { net.ipv4.ip_forward: yes } }', 'net.ipv4.ip_forward is 0 or 1'],
    ['  web: { extends: { service: db } }', 'service "web" extends another'],
  ])('%s is refused', (services, message) => {
    expect(refusal(composed(services)).message).toContain(message);
  });
});

it('examples/compose.yml is read without a word, its flows are answered, and a picture shows where its containers are', async () => {
  const text = readFileSync(new URL('../../examples/compose.yml', import.meta.url), 'utf8');
  const { ignored, unsupported, warnings } = read(text);
  expect([...ignored, ...unsupported, ...warnings]).toEqual([]);
  const swarm = await swarmOf(text);
  expect(outcomes(swarm)).toEqual([
    'client > node1:8080: web on node1',
    'client > node1:9100: exporter on node1',
    'sidecar > cache:6379: cache on node1',
    'sidecar > www.example.com: ok',
    'vault > 127.0.0.1: ok',
  ]);
  const [node] = pictureOf(swarm.topology, 'compose.yml').nodes;
  const lines = (box: string) => node?.boxes.find(({ title }) => title === box)?.lines.map(({ text: line }) => line);
  expect([lines('ct-exporter'), lines('ct-sidecar'), lines('ct-vault')]).toEqual([
    ['in the node’s own namespace'],
    ['in ct-web’s namespace'],
    ['lo'],
  ]);
});

describe('the networks that stand on every node', () => {
  const service = (network: string) => `services: { web: { networks: [x] } }\nnetworks: { x: ${network} }`;

  it('are joined by services as external ones, and nothing is made', () => {
    for (const name of ['host', 'bridge']) {
      const { spec, unsupported } = read(service(`{ external: true, name: ${name} }`));
      expect([spec.networks, spec.services[0]?.networks]).toEqual([[], [{ name, aliases: [] }]]);
      expect(unsupported).toEqual([]);
    }
  });

  it.each(['host', 'null'])('there is one of the driver %s', (driver) => {
    expect(refusal(service(`{ driver: "${driver}" }`)).message).toContain(
      `only one instance of "${driver}" network is allowed`,
    );
  });

  it('the mesh does not lead to tasks on host', () => {
    const { message, line } = refusal(
      'services:\n  web:\n    networks: [x]\n    ports: ["80:80"]\nnetworks: { x: { external: true, name: host } }',
    );
    expect(line).toBe(4);
    expect(message).toContain('container cannot be disconnected from host network or connected to host network');
    const host = 'services: { web: { networks: [x], ports: [{ target: 80, published: 80, mode: host }] } }';
    expect(read(`${host}\nnetworks: { x: { external: true, name: host } }`).spec.services).toHaveLength(1);
  });

  it('a global service on host answers at every node', async () => {
    const swarm = await swarmOf(`services:
  agent: { image: nginx, networks: [x], deploy: { mode: global } }
networks: { x: { external: true, name: host } }
x-swarmwire:
  nodes: 2
  traffic:
    - http: { from: client, to: "node1:80" }
    - http: { from: client, to: "192.168.99.111:80" }
    - http: { from: agent, to: "node2:80" }`);
    expect(outcomes(swarm)).toEqual([
      'client > node1:80: agent.node1 on node1',
      'client > 192.168.99.111:80: agent.node2 on node2',
      'agent > node2:80: agent.node2 on node2',
    ]);
  });

  it('a container on host takes connections as long as it lives', async () => {
    const swarm = await swarmOf(`x-swarmwire:
  nodes: 1
  swarm: false
  containers: { mon: { image: nginx, network_mode: host, expose: [9100] } }
  traffic: [{ http: { from: client, to: "node1:9100" } }, { http: { from: client, to: "node1:9200" } }]`);
    expect(outcomes(swarm)).toEqual(['client > node1:9100: mon on node1', 'client > node1:9200: connection refused']);
    swarm.cluster.containerStop(swarm.cluster.container('mon'));
    swarm.run(2000);
    expect(outcomes(swarm)[0]).toBe('client > node1:9100: connection refused');
  });
});

describe('restart policies of containers', () => {
  const cluster = async (restart: string) => {
    const swarm = await swarmOf(
      `x-swarmwire: { swarm: false, nodes: 1, containers: { box: { restart: "${restart}" } } }`,
    );
    const box = swarm.cluster.container('box');
    /** Its process ends by itself, and `seconds` go by. */
    const ends = (exitCode: number, seconds: number) => {
      swarm.cluster.containerExited(box, exitCode);
      swarm.run(seconds * 1000);
      return box.status;
    };
    return { swarm, box, ends };
  };

  it('always: whatever its process ends with, after a wait that grows', async () => {
    const { box, ends, swarm } = await cluster('always');
    // Its endpoints are taken away after half a second; it waits 0.1 s, then 0.2 s.
    expect(ends(0, 0.55)).toBe('restarting');
    swarm.run(100);
    expect(box.status).toBe('running');
    expect(ends(1, 0.65)).toBe('restarting');
    swarm.run(100);
    expect([box.status, box.restarts.count]).toEqual(['running', 2]);
  });

  it('on-failure:2: not when it ends well, and no third time', async () => {
    const { box, ends } = await cluster('on-failure:2');
    expect([ends(1, 5), ends(1, 5), ends(1, 5), box.restarts.count]).toEqual(['running', 'running', 'exited', 2]);
    const well = await cluster('on-failure:2');
    expect(well.ends(0, 5)).toBe('exited');
  });

  it('can be seen in a stack file: a process that exits', async () => {
    const swarm = await swarmOf(`services: { web: { image: nginx, restart: on-failure } }
x-swarmwire:
  swarm: false
  nodes: 1
  changes: [{ at: 1000, exit: { name: web, code: 3 } }, { at: 5000, exit: web }]`);
    const states: string[] = [];
    for (let i = 0; i < 3; i++) {
      swarm.run(i === 0 ? 1700 : 2500);
      states.push(`${swarm.cluster.container('web').status} ${swarm.cluster.container('web').restarts.count}`);
    }
    expect(states).toEqual(['running 1', 'running 1', 'exited 1']);
    expect(swarm.changes.map(({ words }) => words)).toEqual(['web exits with 3', 'web exits with 0']);
  });

  it('stopped or killed by somebody it stays so', async () => {
    const { box, swarm } = await cluster('always');
    swarm.cluster.containerKill(box);
    swarm.run(120_000);
    expect(box.status).toBe('exited');
  });
});
