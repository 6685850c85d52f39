import { describe, expect, it } from 'vitest';
import { read, refusal, service } from './reading.js';

/** `web` (two replicas) and `db`, then the section with these lines. The section's first line is line 8. */
function stack(...lines: string[]): string {
  const services = 'services:\n  web:\n    image: nginx\n    deploy: { replicas: 2 }\n  db:\n    image: redis\n';
  return `${services}x-swarmwire:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

/** What the world outside is called, unless the file says otherwise. */
const OUTSIDE_NAMES = { 'www.example.com': '203.0.113.10', 'google.com': '203.0.113.10' };

describe('the nodes of a swarm', () => {
  it('are three by default, with a client outside', () => {
    const { nodes, outside, engine, traffic, calls } = read(service()).spec;
    expect(nodes).toEqual([
      { name: 'node1', role: 'manager', address: '192.168.99.110/24' },
      { name: 'node2', role: 'worker', address: '192.168.99.111/24' },
      { name: 'node3', role: 'worker', address: '192.168.99.112/24' },
    ]);
    expect(outside).toEqual([
      { name: 'client', address: '192.168.99.1/24', extraAddresses: ['203.0.113.10/32'], resolves: OUTSIDE_NAMES },
    ]);
    expect([engine, traffic, calls]).toEqual(['20.10', [], []]);
  });

  it('are as many as the file says, or as the caller says', () => {
    expect(read(stack('nodes: 5')).spec.nodes).toHaveLength(5);
    expect(read(stack('nodes: 5'), { nodes: 2 }).spec.nodes.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect(read(stack('nodes: [a, b]'), { nodes: 3 }).spec.nodes.map(({ name }) => name)).toEqual(['a', 'b', 'node3']);
    expect(read(stack('nodes: 140')).spec.nodes.at(-1)?.address).toBe('192.168.99.249/24');
  });

  it('can be named, placed and labelled one by one', () => {
    const { nodes } = read(
      stack(
        'nodes:',
        '  - alpha',
        '  - { name: beta, role: manager, address: 192.168.99.110/24, mac: "02:42:AC:00:00:01", mtu: 9000, labels: { zone: 1 } }',
        '  - {}',
      ),
    ).spec;
    expect(nodes).toEqual([
      { name: 'alpha', role: 'worker', address: '192.168.99.111/24' },
      {
        name: 'beta',
        role: 'manager',
        address: '192.168.99.110/24',
        mac: '02:42:ac:00:00:01',
        mtu: 9000,
        labels: { zone: '1' },
      },
      { name: 'node3', role: 'worker', address: '192.168.99.112/24' },
    ]);
  });

  it.each([
    [['nodes: 0'], '8:10: x-swarmwire.nodes must be >= 1'],
    [['nodes: three'], '8:10: x-swarmwire.nodes must be a whole number or a list, not "three"\nhint: write how many'],
    [['nodes: [a, a]'], '8:14: the name a is given twice (also at line 8, column 11)'],
    [['nodes: [client]'], '8:11: the name client is given twice'],
    [['nodes: [a b]'], '8:11: "a b" is no host name'],
    [['nodes: [{ role: worker }]'], '8:10: no node is a manager'],
    [['nodes: [{ role: boss }]'], '8:19: x-swarmwire.nodes[0].role must be "manager" or "worker"'],
    [
      ['nodes: [{ address: 10.0.0.1 }]'],
      '8:22: "10.0.0.1" is no address with a prefix length\nhint: write 10.0.0.1/24',
    ],
    [['nodes: [{ address: 192.168.99.1/24 }]'], '8:22: the address 192.168.99.1 is given twice'],
    [['nodes: [{ mac: 12 }]'], '8:18: x-swarmwire.nodes[0].mac must be text, not 12'],
    [['node: 3'], '8:3: x-swarmwire has no key "node"\nhint: did you mean "nodes"?'],
  ])('are refused as %j', (lines, message) => {
    expect(refusal(stack(...lines)).message).toContain(`stack.yml:${message}`);
  });

  it('cannot be too many or too few, whoever asks', () => {
    for (const nodes of [0, -1, 1.5, Number.NaN, 1000])
      expect(refusal(service(), { nodes }).message).toContain('1 to 140');
  });
});

describe('the hosts outside', () => {
  it('are the client, whose settings may be changed, and others', () => {
    const { outside } = read(
      stack(
        'client: { address: 192.168.99.7/24, mtu: 1400 }',
        'outside:',
        '  - { name: shop, address: 192.168.99.2/24, extra_addresses: [198.51.100.1/32] }',
      ),
    ).spec;
    expect(outside).toEqual([
      {
        name: 'client',
        address: '192.168.99.7/24',
        mtu: 1400,
        extraAddresses: ['203.0.113.10/32'],
        resolves: OUTSIDE_NAMES,
      },
      { name: 'shop', address: '192.168.99.2/24', extraAddresses: ['198.51.100.1/32'] },
    ]);
  });
});

describe('traffic', () => {
  it('is pings, requests and datagrams, with defaults', () => {
    const { traffic } = read(
      stack(
        'traffic:',
        '  - http: { from: client, to: "node1:8080", path: /a?b=c, requests: 3, at: 5 }',
        '  - http: { to: node2 }',
        '  - ping: { from: client, to: node1, count: 3, size: 100 }',
        '  - ping: { from: web.2, to: db }',
        '  - udp: { from: node1, to: "192.0.2.1:5353", size: 10, datagrams: 2 }',
        '  - http: { from: db, to: tasks.web }',
      ),
    ).spec;
    expect(traffic).toEqual([
      { kind: 'http', from: 'client', to: 'node1', port: 8080, path: '/a?b=c', requests: 3, at: 5 },
      { kind: 'http', from: 'client', to: 'node2', port: 80, path: '/', requests: 1 },
      { kind: 'ping', from: 'client', to: 'node1', count: 3, size: 100 },
      { kind: 'ping', from: 'web.2', to: 'db', count: 1, size: 56 },
      { kind: 'udp', from: 'node1', to: '192.0.2.1', port: 5353, size: 10, datagrams: 2 },
      { kind: 'http', from: 'db', to: 'tasks.web', port: 80, path: '/', requests: 1 },
    ]);
  });

  it.each([
    ['http: { from: cleint, to: "node1:80" }', '9:21: there is no "cleint" here\nhint: did you mean "client"?'],
    ['http: { to: "node7:80" }', '9:19: there is no "node7" here'],
    ['http: { to: "node1:0" }', '9:19: "0" is no port'],
    ['http: { to: "node1:http" }', '9:19: "http" is no port'],
    ['http: { to: "http://node1:80/" }', '9:19: "to" is a host and a port, not the URL'],
    ['http: { to: "web:80" }', '9:19: "client" is outside the networks of service "web"'],
    ['http: { from: web.3, to: node1 }', '9:21: service "web" has no task 3\nhint: its tasks are 1 to 2'],
    ['http: { from: web.0, to: node1 }', '9:21: service "web" has no task 0'],
    ['ping: { from: db, to: web.1 }', '9:29: a single task, "web.1", has no name that others know'],
    ['ping: { to: "node1:80" }', '9:19: a ping goes to a host, not to a port\nhint: write to: node1'],
    ['udp: { to: node1 }', '9:18: "node1" lacks a port'],
    ['http: { from: client }', '9:13: x-swarmwire.traffic[0].http lacks "to"'],
    ['htpp: { to: node1 }', '9:7: x-swarmwire.traffic[0] has no key "htpp"\nhint: did you mean "http"?'],
    [
      'http: { to: node1, path: a }',
      '9:32: x-swarmwire.traffic[0].http.path cannot be "a"\nhint: a path begins with /',
    ],
    ['{}', '9:7: x-swarmwire.traffic[0] must have one key, and no more'],
  ])('is refused as %s', (flow, message) => {
    expect(refusal(stack('traffic:', `  - ${flow}`)).message).toContain(`stack.yml:${message}`);
  });

  it('is refused when a name means two parties, but a file may have such a name', () => {
    const text = 'services: { client: { image: a } }\n';
    expect(read(text).spec.services).toHaveLength(1);
    expect(refusal(`${text}x-swarmwire:\n  traffic: [{ ping: { from: client, to: node1 } }]\n`).message).toContain(
      '"client" is a host outside and a service too',
    );
  });
});

describe('calls', () => {
  it('are made to services, aliases and addresses, with the usual ports', () => {
    const { calls } = read(
      stack('calls:', '  web: [http://db:3000/x, redis://db, http://203.0.113.10]', '  db: redis://web:7000'),
    ).spec;
    expect(calls).toEqual([
      { service: 'web', to: 'db', port: 3000, protocol: 'http', path: '/x' },
      { service: 'web', to: 'db', port: 6379, protocol: 'redis', path: '/' },
      { service: 'web', to: '203.0.113.10', port: 80, protocol: 'http', path: '/' },
      { service: 'db', to: 'web', port: 7000, protocol: 'redis', path: '/' },
    ]);
  });

  it.each([
    ['wbe: http://db/', '9:5: there is no service "wbe" here\nhint: did you mean "web"?'],
    ['web: http://bd/', '9:10: there is no "bd" here\nhint: did you mean "db"?'],
    ['web: https://db/', '9:10: "https://db/" is nothing that a task can call'],
    ['web: db', '9:10: "db" is nothing that a task can call'],
    ['web: http://db:99999/', '9:10: "99999" is no port'],
    ['web: 5', '9:10: x-swarmwire.calls.web must be text or a list, not 5'],
  ])('are refused as %s', (call, message) => {
    expect(refusal(stack('calls:', `  ${call}`)).message).toContain(`stack.yml:${message}`);
  });

  it('between services that share no network are made all the same, with a warning', () => {
    const text =
      'services:\n  a: { networks: [x] }\n  b: { networks: [y] }\nnetworks: { x: , y: }\nx-swarmwire:\n  calls: { a: http://b/ }\n';
    const { spec, warnings } = read(text);
    expect(spec.calls).toHaveLength(1);
    expect(warnings).toMatchObject([{ key: 'b', where: { line: 6, column: 15 } }]);
  });
});
