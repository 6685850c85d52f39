/** What a container finds by name, on the wire: each look-up here is a program's, through its namespace's own lo. */

import { describe, expect, test } from 'vitest';
import type { FoundTarget } from '../../src/dns/index.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';

const SECOND = 1_000_000_000;

async function swarmOf(text: string, seed = 1): Promise<Swarm> {
  return Swarm.create(parseStackFile(text, { file: 'stack.yml' }).spec, { seed });
}

/** Where a task or a container is: `node2/task-web.1`. */
function placeOf(swarm: Swarm, who: string): string {
  const found = swarm.topology.sandboxes.find(({ task, container, name }) => [task, container, name].includes(who));
  if (!found) throw new Error(`nobody is called ${who}`);
  return `${found.node}/${found.name}`;
}

function find(swarm: Swarm, who: string, name: string): FoundTarget {
  const { engine, sockets } = swarm;
  const namespace = swarm.namespace(who.includes('/') ? who : placeOf(swarm, who));
  let found: FoundTarget | undefined;
  swarm.names.find(namespace, name, engine.now + 1000, (result) => {
    found = result;
  });
  for (let i = 0; i < 120 && !found; i++) engine.run(engine.now + SECOND, sockets.handle);
  if (!found) throw new Error(`${name} was never found, nor not found`);
  return found;
}

const addressesOf = (swarm: Swarm, who: string, name: string) => find(swarm, who, name).lookup.addresses;

/** Addresses of a service's tasks on a network. */
function tasksOf(swarm: Swarm, service: string, network: string): string[] {
  return swarm.topology.sandboxes
    .filter((sandbox) => sandbox.service === service)
    .flatMap(({ endpoints }) =>
      endpoints.filter((one) => one.network === network).map(({ address }) => address.split('/')[0] ?? ''),
    );
}

const STACK = `
services:
  web:
    image: nginx
    networks: { front: { aliases: [www] } }
    deploy: { replicas: 3 }
  api:
    image: node:alpine
    networks: [front, back]
    deploy: { endpoint_mode: dnsrr, replicas: 2 }
  db:
    image: redis
    networks: [back]
    hostname: database
  lone:
    image: nginx
    networks: [front]
    deploy: { replicas: 0 }
networks: { front: {}, back: {} }
x-swarmwire: { nodes: 3 }
`;

describe('a service', () => {
  test('with a VIP is its VIP, by its name and its aliases, whatever the case', async () => {
    const swarm = await swarmOf(STACK);
    const vip = swarm.topology.services.find(({ name }) => name === 'web')?.vips.front;
    for (const name of ['web', 'WEB', 'www', 'web.front', 'www.front', 'web.']) {
      expect(addressesOf(swarm, 'api.1', name)).toEqual([vip]);
    }
  });

  test('has its tasks behind tasks.NAME, shuffled anew for each answer, and the same again from the same seed', async () => {
    const swarm = await swarmOf(STACK);
    const again = await swarmOf(STACK);
    const other = await swarmOf(STACK, 2);
    const order = (one: Swarm) => Array.from({ length: 12 }, () => addressesOf(one, 'api.1', 'tasks.web').join());
    const orders = order(swarm);
    for (const one of orders) expect(one.split(',').sort()).toEqual(tasksOf(swarm, 'web', 'front').sort());
    expect(new Set(orders).size).toBeGreaterThan(3);
    expect(order(again)).toEqual(orders);
    expect(order(other)).not.toEqual(orders);
    expect(addressesOf(swarm, 'api.1', 'tasks.www').sort()).toEqual(tasksOf(swarm, 'web', 'front').sort());
  });

  test('of endpoint mode dnsrr is its tasks by its own name', async () => {
    const swarm = await swarmOf(STACK);
    for (const name of ['api', 'tasks.api', 'api.front'])
      expect(addressesOf(swarm, 'web.1', name).sort()).toEqual(tasksOf(swarm, 'api', 'front').sort());
    expect(addressesOf(swarm, 'db.1', 'api').sort()).toEqual(tasksOf(swarm, 'api', 'back').sort());
  });

  test('without tasks has no name', async () => {
    const swarm = await swarmOf(STACK);
    expect(find(swarm, 'web.1', 'lone').failure).toBe('lone does not exist (NXDOMAIN)');
  });

  test('on another network only does not resolve', async () => {
    const swarm = await swarmOf(STACK);
    expect(find(swarm, 'web.1', 'db').failure).toBe('db does not exist (NXDOMAIN)');
    expect(find(swarm, 'web.1', 'api.back').failure).toBe('api.back does not exist (NXDOMAIN)');
    expect(addressesOf(swarm, 'api.1', 'db')).toHaveLength(1);
  });
});

test('a task is known by its container: its name, its short id, its host name', async () => {
  const swarm = await swarmOf(STACK);
  const db = swarm.topology.sandboxes.find(({ task }) => task === 'db.1');
  const own = tasksOf(swarm, 'db', 'back');
  expect(db?.container).toMatch(/^db\.1\.[a-z0-9]{25}$/);
  for (const name of [db?.container ?? '', db?.id?.slice(0, 12) ?? '', 'database', 'tasks.db'])
    expect(addressesOf(swarm, 'api.1', name)).toEqual(own);
  expect(find(swarm, 'api.1', 'db.1').failure).toContain('NXDOMAIN');
  expect(swarm.file(placeOf(swarm, 'db.1'), '/etc/hostname')).toBe('database\n');
  expect(find(swarm, 'db.1', 'database').lookup.from).toBe('hosts');
});

test('names follow the topology as it stands: what leaves is no longer found, what comes is', async () => {
  const swarm = await swarmOf(STACK);
  const { topology } = swarm;
  expect(addressesOf(swarm, 'api.1', 'tasks.web')).toHaveLength(3);
  const gone = topology.sandboxes.findIndex(({ task }) => task === 'web.3');
  const [task] = topology.sandboxes.splice(gone, 1);
  expect(addressesOf(swarm, 'api.1', 'tasks.web')).toHaveLength(2);
  if (task) topology.sandboxes.push(task);
  expect(addressesOf(swarm, 'api.1', 'tasks.web')).toHaveLength(3);
});

describe('Docker’s tutorial of four alpine containers', () => {
  const TUTORIAL = `
networks: { alpine-net: { driver: bridge } }
x-swarmwire:
  swarm: false
  nodes: [node1]
  containers:
    alpine1: { image: alpine, networks: [alpine-net] }
    alpine2: { image: alpine, networks: { alpine-net: { aliases: [second] } } }
    alpine3: { image: alpine }
    alpine4: { image: alpine, networks: [alpine-net, bridge] }
`;

  test('user-defined names are found, those of the default bridge are not, and the world outside is', async () => {
    const swarm = await swarmOf(TUTORIAL);
    expect(addressesOf(swarm, 'alpine1', 'alpine2')).toEqual(['172.18.0.3']);
    expect(addressesOf(swarm, 'alpine1', 'second')).toEqual(['172.18.0.3']);
    expect(addressesOf(swarm, 'alpine4', 'alpine1')).toEqual(['172.18.0.2']);
    for (const who of ['alpine1', 'alpine4'])
      expect(find(swarm, who, 'alpine3').failure).toBe('alpine3 does not exist (NXDOMAIN)');
    for (const who of ['alpine1', 'alpine3', 'alpine4'])
      expect(addressesOf(swarm, who, 'google.com')).toEqual(['203.0.113.10']);
    for (const name of ['alpine1', 'alpine4']) expect(find(swarm, 'alpine3', name).failure).toContain('NXDOMAIN');
  });

  test('on the default bridge the node’s own servers are asked, and no resolver runs', async () => {
    const swarm = await swarmOf(TUTORIAL);
    expect(swarm.file('node1/ct-alpine3', '/etc/resolv.conf')).toBe('nameserver 192.168.99.1\n');
    expect(swarm.file('node1/ct-alpine1', '/etc/resolv.conf')).toBe('nameserver 127.0.0.11\noptions ndots:0\n');
    swarm.tap('node1/ct-alpine3/lo');
    swarm.tap('node1/ct-alpine3/eth0');
    expect(find(swarm, 'alpine3', 'google.com').lookup.server).toBe('192.168.99.1');
    expect(swarm.frames('node1/ct-alpine3/lo')).toEqual([]);
    expect(swarm.frames('node1/ct-alpine3/eth0').filter((frame) => frame.protocols.includes('udp')).length).toBe(4);
  });
});

test('a machine knows the machines from its own file, and asks its server for the rest', async () => {
  const swarm = await swarmOf('services: { web: { image: nginx } }');
  expect(find(swarm, 'node2/host', 'node1').lookup).toMatchObject({ from: 'hosts', addresses: ['192.168.99.110'] });
  expect(find(swarm, 'node2/host', 'www.example.com').lookup).toMatchObject({ from: 'dns', server: '192.168.99.1' });
  expect(find(swarm, 'web.1', 'node3').lookup).toMatchObject({ from: 'dns', addresses: ['192.168.99.112'] });
  expect(find(swarm, 'web.1', '10.1.2.3').lookup).toMatchObject({ from: 'number', addresses: ['10.1.2.3'] });
  expect(find(swarm, 'web.1', 'a..b').failure).toBe('a..b is no name that DNS can ask for');
});

test('a query is forwarded over the container’s own way out, with a socket of its own, and comes back by the bridge', async () => {
  const swarm = await swarmOf('services: { web: { image: nginx, networks: [net] } }\nnetworks: { net: {} }');
  const place = placeOf(swarm, 'web.1');
  const [node] = place.split('/');
  for (const tap of [`${place}/lo`, `${place}/eth1`, `${node}/host/eth0`, 'client/host/eth0']) swarm.tap(tap);
  find(swarm, 'web.1', 'www.example.com');
  const ways = (tap: string) =>
    swarm
      .frames(tap)
      .flatMap((frame) =>
        frame.protocols.includes('udp') ? [`${frame.field('ip.src')} > ${frame.field('ip.dst')}`] : [],
      );
  expect(ways(`${place}/eth1`).sort()).toEqual([
    '172.18.0.3 > 192.168.99.1',
    '172.18.0.3 > 192.168.99.1',
    '192.168.99.1 > 172.18.0.3',
    '192.168.99.1 > 172.18.0.3',
  ]);
  expect(new Set(ways('client/host/eth0'))).toEqual(
    new Set([`192.168.99.110 > 192.168.99.1`, `192.168.99.1 > 192.168.99.110`]),
  );
  // On lo each frame once: the query to the server's random port, the answer from port 53.
  const lo = swarm.frames(`${place}/lo`);
  expect(lo).toHaveLength(4);
  const ports = swarm.topology.sandboxes.find(({ task }) => task === 'web.1')?.resolver;
  expect(lo.map((frame) => [frame.field('udp.srcport'), frame.field('udp.dstport')])).toEqual(
    expect.arrayContaining([[expect.anything(), String(ports?.udp)]]),
  );
  const replies = lo.filter((frame) => frame.field('ip.src') === '127.0.0.11');
  expect(replies.map((frame) => frame.field('udp.srcport'))).toEqual(['53', '53']);
});

test('--dns, --dns-search, --dns-option, --add-host and a host name reach the files and what is asked', async () => {
  const swarm = await swarmOf(`
networks: { net: { driver: bridge } }
x-swarmwire:
  swarm: false
  nodes: [node1]
  outside: [{ name: ns, address: 192.168.99.53/24, resolves: { intra.corp.test: 10.9.9.9 } }]
  containers:
    one:
      networks: [net]
      dns: [192.168.99.53]
      dns_search: corp.test
      dns_opt: ["ndots:2", "timeout:1"]
      extra_hosts: ["db:10.1.2.3", "gate:host-gateway"]
      hostname: first
      domainname: corp.test
    two: { dns: 192.168.99.53, dns_search: [corp.test] }
`);
  expect(swarm.file('node1/ct-one', '/etc/resolv.conf')).toBe(
    'search corp.test\nnameserver 127.0.0.11\noptions ndots:2 timeout:1\n',
  );
  expect(swarm.file('node1/ct-two', '/etc/resolv.conf')).toBe('search corp.test\nnameserver 192.168.99.53\n');
  expect(swarm.file('node1/ct-one', '/etc/hosts')?.split('\n').slice(6)).toEqual([
    '10.1.2.3\tdb',
    '172.17.0.1\tgate',
    '172.18.0.2\tfirst.corp.test first',
    '',
  ]);
  expect(addressesOf(swarm, 'one', 'db')).toEqual(['10.1.2.3']);
  // With ndots set a bare name is not forwarded: the search list finds it.
  expect(find(swarm, 'one', 'intra').lookup).toMatchObject({ addresses: ['10.9.9.9'], server: '127.0.0.11' });
  expect(find(swarm, 'two', 'intra').lookup).toMatchObject({ addresses: ['10.9.9.9'], server: '192.168.99.53' });
});
