/** The embedded server at the edges: long answers, TCP, servers that fail, engine versions, bad messages; all of it as frames. */

import { describe, expect, test } from 'vitest';
import { behaviourOf } from '../../src/dns/behaviour.js';
import { containerFiles } from '../../src/dns/files.js';
import { listenDns } from '../../src/dns/listener.js';
import { FLAG, framed, query, RCODE, type Response, readResponse, reply } from '../../src/dns/message.js';
import { Resolver } from '../../src/dns/resolver.js';
import { zoneHandler } from '../../src/dns/zone.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';

const SECOND = 1_000_000_000;
const EMBEDDED = { address: '127.0.0.11', port: 53 };

/** `web` with so many tasks, a container `cli` that asks; three machines outside that may be servers. */
async function world({ replicas = 2, internal = false, resolvers = ['192.168.99.1'] } = {}) {
  const text = `
services: { web: { image: nginx, networks: [net], deploy: { replicas: ${replicas} } } }
networks: { net: { attachable: true } }
x-swarmwire:
  nodes: [{ name: node1, resolvers: [${resolvers.join(', ')}] }]
  client: { resolves: {} }
  outside: [{ name: two, address: 192.168.99.2/24 }, { name: three, address: 192.168.99.3/24 }]
  containers: { cli: { networks: [net] } }
`;
  const { spec } = parseStackFile(text, { file: 'stack.yml' });
  const swarm = await Swarm.create(spec, { seed: 1 });
  if (internal) for (const network of swarm.topology.networks) network.internal = true;
  return { swarm, cli: swarm.namespace('node1/ct-cli') };
}
type World = Awaited<ReturnType<typeof world>>;

/** Asks over UDP from `cli`; undefined: no answer within 20 s. */
function ask(
  { swarm, cli }: World,
  message: Uint8Array,
  to = EMBEDDED,
): { bytes: Uint8Array; response: Response; took: number } | undefined {
  const { engine, sockets } = swarm;
  const start = engine.now;
  let got: { data: Uint8Array; time: number } | undefined;
  const socket = sockets.openUdp(cli, 0, ({ data, time }) => {
    got ??= { data: data.slice(), time };
  });
  socket.send(to, message, start);
  for (let i = 0; i < 20 && !got; i++) engine.run(engine.now + SECOND, sockets.handle);
  sockets.closeUdp(socket);
  const response = got && readResponse(got.data);
  return got && response && { bytes: got.data, response, took: got.time - start };
}

/** The resolver of `cli` anew, as another engine version's. */
function asEngine({ swarm, cli }: World, engine: string): Resolver {
  const sandbox = swarm.topology.sandboxes.find(({ container }) => container === 'cli');
  if (!sandbox?.resolver) throw new Error('no resolver');
  swarm.sockets.kill(cli, swarm.engine.now);
  swarm.engine.run(swarm.engine.now + 1000, swarm.sockets.handle);
  const topology = { ...swarm.topology, engine: engine as typeof swarm.topology.engine };
  return new Resolver(
    {
      sockets: swarm.sockets,
      topology,
      behaviour: behaviourOf(engine),
      below: () => 0,
      files: () => containerFiles(topology, sandbox),
      host: swarm.namespace('node1/host'),
    },
    sandbox,
    cli,
    sandbox.resolver,
  );
}

describe('an answer that is too long for UDP', () => {
  test('is cut to 512 bytes, says so, and comes whole over TCP, with its length before it', async () => {
    const one = await world({ replicas: 30 });
    const got = ask(one, query(1, 'tasks.web', 'A'));
    expect(got?.response.truncated).toBe(true);
    // 12 + 15 bytes of header and question, 25 bytes a record.
    expect(got?.response.answers).toHaveLength(19);
    expect(got?.bytes.length).toBe(27 + 19 * 25);

    one.swarm.tap('node1/ct-cli/lo');
    const stream: number[] = [];
    const connection = one.swarm.sockets.connect(one.cli, EMBEDDED, one.swarm.engine.now);
    if (!connection) throw new Error('no way to 127.0.0.11');
    connection.onConnected = (time) => connection.write(framed(query(2, 'tasks.web', 'A')), time + 50_000);
    connection.onData = (piece) => stream.push(...piece);
    one.swarm.engine.run(one.swarm.engine.now + SECOND, one.swarm.sockets.handle);
    expect(((stream[0] ?? 0) << 8) | (stream[1] ?? 0)).toBe(stream.length - 2);
    const whole = readResponse(Uint8Array.from(stream.slice(2)));
    expect([whole?.truncated, whole?.answers.length, whole?.id]).toEqual([false, 30, 2]);
    const ports = one.swarm.topology.sandboxes.find(({ container }) => container === 'cli')?.resolver;
    const [syn] = one.swarm.frames('node1/ct-cli/lo');
    expect(syn?.field('tcp.dstport')).toBe(String(ports?.tcp));
  });

  test('fits where the client takes more', async () => {
    const got = ask(await world({ replicas: 30 }), query(1, 'tasks.web', 'A', { udpSize: 4096 }));
    expect([got?.response.truncated, got?.response.answers.length]).toEqual([false, 30]);
  });

  test('is compressed first by engines 28 and later', async () => {
    const one = await world({ replicas: 30 });
    asEngine(one, '28.0');
    const got = ask(one, query(1, 'tasks.web', 'A'));
    // 16 bytes a record: 30 fit.
    expect([got?.response.truncated, got?.response.answers.length, got?.bytes.length]).toEqual([
      false,
      30,
      27 + 30 * 16,
    ]);
  });

  test.each(['glibc', 'musl'] as const)('is asked for again over TCP by a program (%s)', async (libc) => {
    const one = await world({ replicas: 40 });
    const sandbox = one.swarm.topology.sandboxes.find(({ container }) => container === 'cli');
    if (sandbox) sandbox.image = libc === 'musl' ? 'alpine' : 'debian';
    let found: string[] = [];
    one.swarm.names.find(one.cli, 'tasks.web', one.swarm.engine.now, ({ lookup }) => {
      found = lookup.addresses;
    });
    one.swarm.engine.run(one.swarm.engine.now + 10 * SECOND, one.swarm.sockets.handle);
    expect(new Set(found).size).toBe(40);
  });
});

test('a name without IPv6 has an empty AAAA answer; MX too; SRV and the rest are handed on', async () => {
  const one = await world();
  const kind = (type: 'AAAA' | 'MX' | 'SRV' | 'TXT') => {
    const response = ask(one, query(1, 'web', type))?.response;
    return response && [response.flags, response.answers.length];
  };
  expect(kind('AAAA')).toEqual([0x8180, 0]);
  expect(kind('MX')).toEqual([0x8180, 0]);
  expect(kind('SRV')).toEqual([0x8183, 0]);
  expect(kind('TXT')).toEqual([0x8183, 0]);
});

test('a PTR query finds a container’s or a task’s name on its network, and no VIP', async () => {
  const one = await world();
  const cli = one.swarm.topology.sandboxes.find(({ container }) => container === 'cli');
  const own = cli?.endpoints[0]?.address.split('/')[0] ?? '';
  const reversed = (address: string) => `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const answer = ask(one, query(1, reversed(own), 'PTR'))?.response.answers[0];
  expect(answer).toMatchObject({ type: 'PTR', data: 'cli.net', ttl: 600 });
  const task = one.swarm.topology.sandboxes.find(({ service }) => service === 'web');
  const its = task?.endpoints.find(({ network }) => network === 'net')?.address.split('/')[0] ?? '';
  expect(ask(one, query(1, reversed(its), 'PTR'))?.response.answers[0]).toMatchObject({
    data: `${task?.container}.net`,
  });
  const vip = one.swarm.topology.services[0]?.vips.net ?? '';
  expect(ask(one, query(1, reversed(vip), 'PTR'))?.response.rcode).toBe(RCODE.NXDOMAIN);
});

describe('upstream servers', () => {
  /** A server on a machine outside that answers every query with this rcode, or not at all. */
  function serve({ swarm }: World, host: string, rcode: number | 'silent'): { asked: string[] } {
    const asked: string[] = [];
    listenDns(swarm.sockets, swarm.namespace(`${host}/host`), { counts: new Map() }, (got, transport, time, done) => {
      asked.push(`${transport} ${got.name}`);
      done(rcode === 'silent' ? undefined : reply(got, { flags: FLAG.RA, rcode }), swarm.sockets.after(time));
    });
    return { asked };
  }

  test('are asked one after the other: a failure at once, silence after four seconds, a closed port at once', async () => {
    const one = await world({ resolvers: ['192.168.99.2', '192.168.99.3', '192.168.99.1'] });
    const first = serve(one, 'two', RCODE.SERVFAIL);
    const second = serve(one, 'three', 'silent');
    const got = ask(one, query(1, 'www.nowhere.test', 'A'));
    expect(got?.response.rcode).toBe(RCODE.NXDOMAIN);
    expect([first.asked, second.asked]).toEqual([['udp www.nowhere.test'], ['udp www.nowhere.test']]);
    expect(Math.floor((got?.took ?? 0) / SECOND)).toBe(4);
    const closed = await world({ resolvers: ['192.168.99.2', '192.168.99.1'] });
    expect(ask(closed, query(1, 'www.nowhere.test', 'A'))?.took).toBeLessThan(SECOND);
  });

  test('that all fail: 20.10 hands back the last one’s error, or nothing; 28 says SERVFAIL', async () => {
    const failing = await world({ resolvers: ['192.168.99.2'] });
    serve(failing, 'two', RCODE.REFUSED);
    expect(ask(failing, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.REFUSED);
    asEngine(failing, '28.0');
    expect(ask(failing, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.SERVFAIL);
    const silent = await world({ resolvers: ['192.168.99.2'] });
    serve(silent, 'two', 'silent');
    expect(ask(silent, query(1, 'a.test', 'A'))).toBeUndefined();
    expect(silent.swarm.names.counts).toContainEqual({ namespace: 'node1/ct-cli', reason: 'not answered', count: 1 });
    asEngine(silent, '28.0');
    expect(ask(silent, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.SERVFAIL);
  });

  test('say NXDOMAIN: 20.10 asks the next one, unless it was authoritative; 28 believes it', async () => {
    const resolvers = ['192.168.99.2', '192.168.99.3'];
    const old = await world({ resolvers });
    serve(old, 'two', RCODE.NXDOMAIN);
    const { asked } = serve(old, 'three', RCODE.NOERROR);
    expect(ask(old, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.NOERROR);
    expect(asked).toHaveLength(1);
    asEngine(old, '28.0');
    expect(ask(old, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.NXDOMAIN);
    expect(asked).toHaveLength(1);
  });

  test('are asked by the node itself in 28, and not at all for a container without a way out', async () => {
    const one = await world();
    asEngine(one, '28.0');
    for (const tap of ['node1/host/eth0', 'node1/ct-cli/eth1']) one.swarm.tap(tap);
    expect(ask(one, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.NXDOMAIN);
    const udp = (tap: string) => one.swarm.frames(tap).filter((frame) => frame.protocols.includes('udp'));
    expect(udp('node1/ct-cli/eth1')).toEqual([]);
    expect(udp('node1/host/eth0').map((frame) => frame.field('ip.src'))).toEqual(['192.168.99.110', '192.168.99.1']);
    const inside = await world({ internal: true });
    asEngine(inside, '28.0');
    expect(ask(inside, query(1, 'a.test', 'A'))?.response.rcode).toBe(RCODE.SERVFAIL);
  });

  test('give an answer with aliases, which arrives as it was, compressed', async () => {
    const one = await world();
    const zone = new Map([['many.test', ['10.0.0.1', '10.0.0.2']]]);
    listenDns(
      one.swarm.sockets,
      one.swarm.namespace('two/host'),
      { counts: new Map() },
      zoneHandler(
        (name) => zone.get(name),
        (time) => one.swarm.sockets.after(time),
      ),
    );
    const direct = ask(one, query(7, 'many.test', 'A'), { address: '192.168.99.2', port: 53 });
    const node = one.swarm.topology.nodes[0];
    if (node) node.resolvers = ['192.168.99.2'];
    const got = ask(one, query(7, 'many.test', 'A'));
    expect(got?.response.answers).toHaveLength(2);
    expect(got?.bytes).toEqual(direct?.bytes);
    expect(got?.bytes.length).toBe(12 + 15 + 2 * 16);
  });
});

test('messages that are no queries are answered with the error that miekg/dns gives, or not, and counted', async () => {
  const one = await world();
  const good = query(9, 'web', 'A');
  expect(ask(one, good.with(5, 2))?.bytes.length).toBe(12);
  expect(ask(one, good.with(2, 0x28))?.response.rcode).toBe(RCODE.NOTIMP);
  expect(ask(one, good.slice(0, 16))?.response.rcode).toBe(RCODE.FORMERR);
  expect(ask(one, good.slice(0, 5))).toBeUndefined();
  expect(ask(one, good.with(2, 0x81))).toBeUndefined();
  const counted = Object.fromEntries(one.swarm.names.counts.map(({ reason, count }) => [reason, count]));
  expect(counted).toMatchObject({ counts: 1, opcode: 1, malformed: 1, 'too short': 1, 'no query': 1 });
  expect(ask(one, good)?.response.answers).toHaveLength(1);
});

test('a TCP client that says nothing is let go after two seconds, one that has asked after eight', async () => {
  const { swarm, cli } = await world();
  const { engine, sockets } = swarm;
  const ends: number[] = [];
  const open = (message?: Uint8Array) => {
    const start = engine.now;
    const connection = sockets.connect(cli, EMBEDDED, start);
    if (!connection) throw new Error('no way to 127.0.0.11');
    connection.onConnected = (time) => message && connection.write(framed(message), time + 50_000);
    connection.onEnd = (time) => {
      ends.push(Math.round((time - start) / SECOND));
      connection.close(time + 50_000);
    };
  };
  open();
  open(query(1, 'web', 'A'));
  engine.run(engine.now + 20 * SECOND, sockets.handle);
  expect(ends).toEqual([2, 8]);
});
