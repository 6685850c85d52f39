/** TCP between two hosts of ours (RFC 9293), against what Linux puts on the wire. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { checkedEngine } from '../engine/checked.js';
import { checksumsHold, hex, tcpPacket, toHex, u16 } from '../engine/packets.js';
import { connect, End, letters, type Pair, PORT, pair, SERVER, segmentsAt } from '../engine/pair.js';
import { SECOND } from '../engine/state.js';
import { dropsOf, expectConserved, inWords, Watch } from '../engine/watch.js';
import { ALICE, LEFT, routerWorld } from '../engine/world.js';

const told = (world: Pair) => segmentsAt(world).map(({ from, flags }) => `${from} ${flags}`);
const every = (world: Pair, check: (packet: Uint8Array) => boolean) =>
  expect(segmentsAt(world).every(({ packet }) => check(packet))).toBe(true);

describe('what is written', () => {
  it('goes in the order of writing, also where a later write names an earlier time', async () => {
    const world = await pair();
    const { client, server } = connect(world);
    world.run(1);
    client.write(letters(3000), 9 * SECOND);
    client.write(letters(2000, 7), 3 * SECOND);
    world.run(30);
    expect(server.data).toEqual(Uint8Array.of(...letters(3000), ...letters(2000, 7)));
    expectConserved(world.engine);
  });
});

describe('the handshake', () => {
  it('is SYN, SYN-ACK, ACK, and both ends hear of it', async () => {
    const world = await pair();
    const { client, server } = connect(world);
    world.run(1);
    expect(told(world)).toEqual(['client S', 'server SA', 'client A']);
    expect([client.events, server.events]).toEqual([['connected'], ['accepted']]);
    every(world, checksumsHold);
    expectConserved(world.engine);
  });

  // Windows and options as captured: a client at MTU 1500 and one at 1450, servers behind either.
  it.each([
    { mtu: 1500, serverMtu: 1500, syn: 64240, synAck: 65160, mss: '05b4', answer: '05b4' },
    { mtu: 1450, serverMtu: 1450, syn: 64860, synAck: 64308, mss: '0582', answer: '0582' },
    { mtu: 1500, serverMtu: 1450, syn: 64240, synAck: 64308, mss: '05b4', answer: '0582' },
  ])('offers what Linux offers at MTU $mtu to $serverMtu', async ({ mtu, serverMtu, syn, synAck, mss, answer }) => {
    const world = await pair({ mtu, serverMtu });
    connect(world);
    world.run(1);
    const [first, second, third] = segmentsAt(world);
    if (!first || !second || !third) throw new Error('no handshake');
    // MSS, SACK permitted, timestamps, NOP, window scale 7.
    const options = (mss: string) => [`02 04 ${mss.slice(0, 2)} ${mss.slice(2)} 04 02 08 0a`, '01 03 03 07'];
    const split = (bytes: Uint8Array) => [toHex(bytes.subarray(0, 8)), toHex(bytes.subarray(16, 20))];
    expect(split(first.options)).toEqual(options(mss));
    expect(split(second.options)).toEqual(options(answer));
    expect(toHex(third.options.subarray(0, 4))).toBe('01 01 08 0a');
    expect([first.window, second.window]).toEqual([syn, synAck]);
    expect([first.options.length, second.options.length, third.options.length]).toEqual([20, 20, 12]);
    expect([first, second, third].map(({ df, ttl }) => [df, ttl])).toEqual(Array(3).fill([true, 64]));
    expect(second.id, 'a SYN-ACK has IP id 0').toBe(0);
    expect((third.id - first.id) & 0xffff, 'the client counts on').toBe(1);
    // Timestamps are echoed, numbers are acknowledged.
    expect(second.options.subarray(12, 16)).toEqual(first.options.subarray(8, 12));
    expect(third.options.subarray(8, 12)).toEqual(second.options.subarray(8, 12));
    expect(second.acknowledgment).toBe((first.sequence + 1) >>> 0);
    expect([third.sequence, third.acknowledgment]).toEqual([second.acknowledgment, (second.sequence + 1) >>> 0]);
    if (mtu === 1500) expect(third.window, 'scaled, as captured: 64256').toBe(502);
  });

  it('of other seeds has other numbers and ports, of the same seed the same bytes', async () => {
    const bytes = async (seed: number) => {
      const world = await pair({ seed });
      connect(world);
      world.run(1);
      return segmentsAt(world).map(({ packet }) => toHex(packet));
    };
    expect(await bytes(1)).toEqual(await bytes(1));
    expect(await bytes(1)).not.toEqual(await bytes(2));
  });

  it('that nobody answers is tried again after 1, 2, 4 … 32 s and given up after 127', async () => {
    const world = await pair();
    world.server.set('silent', 1);
    const connection = world.sockets.connect(world.client, { address: SERVER, port: PORT }, SECOND);
    if (!connection) throw new Error('no route');
    const end = new End(world.sockets).take(connection);
    world.run(200);
    const times = segmentsAt(world).map(({ time }) => Math.round(time / SECOND) - 1);
    expect(times).toEqual([0, 1, 3, 7, 15, 31, 63]);
    expect(end.failure).toBe('timeout');
    expect(Math.round(end.failedAt / SECOND) - 1).toBe(127);
    expectConserved(world.engine);
  });

  it('whose SYN, SYN-ACK or ACK got lost succeeds all the same', async () => {
    for (const lost of [0, 1, 2]) {
      const world = await pair();
      const { client, server } = connect(world, 0, {
        onAccept: (end, time) => end.write(letters(10), world.sockets.after(time)),
      });
      // From a frame's departure to its arrival the wire takes 100 µs: cut it for the n-th.
      world.engine.run(lost * 100_000 + 50_000, world.sockets.handle);
      world.segment.loss = 1;
      world.engine.run(lost * 100_000 + 150_000, world.sockets.handle);
      world.segment.loss = 0;
      if (lost === 0) expect(told(world)).toEqual(['client S']);
      world.run(20);
      expect(client.events, `frame ${lost}`).toEqual(['connected']);
      expect(server.events, `frame ${lost}`).toEqual(['accepted']);
      expect(client.data).toEqual(letters(10));
      expectConserved(world.engine);
    }
  });
});

describe('a stream', () => {
  it.each([
    [1500, 1500, 1448],
    [1450, 1450, 1398],
    [1500, 1450, 1398],
    [1450, 1500, 1398],
    [576, 576, 524],
  ])('at MTU %i to %i goes in segments of %i bytes and arrives', async (mtu, serverMtu, size) => {
    const world = await pair({ mtu, serverMtu });
    const data = letters(100_001);
    const { client, server } = connect(world, 0, {
      onAccept: (end, time) => end.write(data, world.sockets.after(time)),
    });
    client.write(data, SECOND);
    world.run(10);
    expect(Buffer.compare(server.data, data)).toBe(0);
    expect(Buffer.compare(client.data, data)).toBe(0);
    const segments = segmentsAt(world);
    const sizes = new Set(segments.map(({ payload }) => payload.length));
    expect(Math.max(...sizes)).toBe(size);
    every(world, (packet) => checksumsHold(packet) && packet.length <= Math.min(mtu, serverMtu));
    // Nothing twice: no byte was sent again.
    for (const side of ['client', 'server']) {
      const sent = segments.filter(({ from }) => from === side);
      expect(sent.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(data.length);
    }
    expectConserved(world.engine);
  });

  it('of four mebibytes arrives', async () => {
    const world = await pair({ captureBuffer: 16 << 20 });
    const data = letters(4 << 20);
    const { client, server } = connect(world);
    client.write(data, SECOND);
    client.connection?.close(SECOND);
    world.run(60);
    expect(server.data.length).toBe(data.length);
    expect(Buffer.compare(server.data, data)).toBe(0);
    expect(client.events.at(-1)).toBe('closed');
    expectConserved(world.engine);
  });

  it('pushes what was written last (PSH), and carries every number on', async () => {
    const world = await pair();
    const { client } = connect(world);
    client.write(letters(3000), SECOND);
    world.run(2);
    const sent = segmentsAt(world).filter(({ from, payload }) => from === 'client' && payload.length);
    expect(sent.map(({ flags }) => flags)).toEqual(['A', 'A', 'PA']);
    const [first, second, third] = sent;
    expect(second?.sequence).toBe(((first?.sequence ?? 0) + 1448) >>> 0);
    expect(third?.sequence).toBe(((second?.sequence ?? 0) + 1448) >>> 0);
  });

  it('is acknowledged to the last byte', async () => {
    const world = await pair();
    const { client } = connect(world);
    client.write(letters(5000), SECOND);
    world.run(5);
    const segments = segmentsAt(world);
    const [syn] = segments;
    const last = segments.filter(({ from }) => from === 'server').at(-1);
    expect(last?.acknowledgment).toBe(((syn?.sequence ?? 0) + 1 + 5000) >>> 0);
  });

  it('finds a smaller MTU on its way by "fragmentation needed", and arrives (RFC 1191)', async () => {
    const world = await pair({ serverMtu: 1500 });
    // A host behind the server, over a link of 1300 bytes; its own end says 1500, so its MSS does not tell.
    const far = world.engine.namespace('far/host');
    const [near, eth0] = world.server.addVeth(
      'link',
      { mac: '02:00:00:00:01:01', mtu: 1300 },
      { namespace: far, name: 'eth0', mac: '02:00:00:00:01:02', mtu: 1500 },
    );
    world.server.addAddress(near, '10.0.9.1/24');
    far.addAddress(eth0, '10.0.9.2/24');
    far.addRoute('0.0.0.0/0', eth0, '10.0.9.1');
    world.server.set('forward', 1);
    world.client.addRoute('10.0.9.0/24', world.clientNic, SERVER);
    const server = new End(world.sockets);
    world.sockets.listen(far, PORT, (connection) => {
      server.take(connection);
    });
    const connection = world.sockets.connect(world.client, { address: '10.0.9.2', port: PORT }, 0);
    if (!connection) throw new Error('no route');
    const client = new End(world.sockets).take(connection);
    client.write(letters(60_000), SECOND);
    world.run(30);
    expect(Buffer.compare(server.data, letters(60_000))).toBe(0);
    expect(dropsOf(world.engine).some((drop) => drop.startsWith('server/host/eth0 PKT_TOO_BIG'))).toBe(true);
    expectConserved(world.engine);
  });
});

describe('when frames get lost', () => {
  it.each([
    [1, 0.01],
    [2, 0.05],
    [3, 0.1],
    [4, 0.2],
    [5, 0.3],
  ])(
    'seed %i, a share of %d: all is sent again until it has arrived, both ways, and the ends close',
    async (seed, loss) => {
      const world = await pair({ seed, loss });
      const [request, answer] = [letters(60_000), letters(80_000, 7)];
      const { client, server } = connect(world, 0, {
        onAccept: (end, time) => end.write(answer, world.sockets.after(time)),
        onConnect: (end, time) => {
          end.write(request, world.sockets.after(time));
          world.more.tcpShutdown(end.connection?.socket ?? 0, world.sockets.after(time));
        },
      });
      world.run(3600);
      expect(Buffer.compare(server.data, request)).toBe(0);
      expect(Buffer.compare(client.data, answer)).toBe(0);
      expect(server.events).toEqual(['accepted', 'end', 'closed']);
      every(world, checksumsHold);
      const lost = dropsOf(world.engine).filter((drop) => drop.includes('SEGMENT_LOSS'));
      expect(lost.length, 'something was lost').toBeGreaterThan(0);
      expectConserved(world.engine);
    },
  );
});

describe('a reader that pauses', () => {
  it('closes the window; the writer asks now and then; all arrives when it goes on', async () => {
    const world = await pair();
    const data = letters(400_000);
    let socket = 0;
    const { client, server } = connect(world, 0, {
      onAccept: (end, time) => {
        socket = end.connection?.socket ?? 0;
        world.more.tcpPause(socket, world.sockets.after(time));
      },
    });
    client.write(data, SECOND);
    world.run(10);
    const closed = segmentsAt(world);
    expect(closed.filter(({ from }) => from === 'server').at(-1)?.window).toBe(0);
    expect(server.data.length).toBe(0);
    const probes = closed.filter(({ from, time }) => from === 'client' && time > 2 * SECOND);
    expect(probes.length, 'window probes, farther and farther apart').toBeGreaterThan(2);
    // Where the window ended that the server had told, as the client's tap saw it; scale 7, but not in the SYN-ACK.
    let edge = 0;
    for (const { from, flags, sequence, acknowledgment, window, payload } of closed) {
      const base = closed[0]?.sequence ?? 0;
      if (from === 'server') {
        edge = Math.max(edge, ((acknowledgment - base) >>> 0) + window * (flags.includes('S') ? 1 : 128));
      } else if (payload.length) {
        expect(((sequence - base) >>> 0) + payload.length, 'no byte beyond the window').toBeLessThanOrEqual(edge);
      }
    }
    world.more.tcpResume(socket, 20 * SECOND);
    world.run(60);
    expect(Buffer.compare(server.data, data)).toBe(0);
    expectConserved(world.engine);
  });
});

describe('closing', () => {
  it.each(['client', 'server'] as const)('by the %s is FIN, ACK, FIN, ACK, and both are done', async (first) => {
    const world = await pair();
    const ends = connect(world);
    world.run(1);
    const before = told(world).length;
    ends[first].connection?.close(2 * SECOND);
    world.run(3);
    const second = first === 'client' ? 'server' : 'client';
    expect(told(world).slice(before)).toEqual([`${first} FA`, `${second} A`, `${second} FA`, `${first} A`]);
    expect(ends[first].events.at(-1)).toBe('closed');
    expect(ends[second].events.slice(-2)).toEqual(['end', 'closed']);
    expectConserved(world.engine);
  });

  it('leaves the other direction open: what still comes after a FIN arrives', async () => {
    const world = await pair();
    const { client, server } = connect(world, 0, { closeOnEnd: false });
    world.run(1);
    world.more.tcpShutdown(client.connection?.socket ?? 0, 2 * SECOND);
    world.run(3);
    expect(server.events).toEqual(['accepted', 'end']);
    server.write(letters(5000), 4 * SECOND);
    server.connection?.close(4 * SECOND);
    world.run(5);
    expect(client.data).toEqual(letters(5000));
    expect(client.events).toEqual(['connected', 'end', 'closed']);
    expect(server.events.at(-1)).toBe('closed');
    expectConserved(world.engine);
  });

  it('at once from both sides: each acknowledges the other’s FIN, and both are done (RFC 9293, figure 13)', async () => {
    const world = await pair();
    const { client, server } = connect(world, 0, { closeOnEnd: false });
    world.run(1);
    const before = told(world).length;
    client.connection?.close(2 * SECOND);
    server.connection?.close(2 * SECOND);
    world.run(3);
    expect(told(world).slice(before).sort()).toEqual(['client A', 'client FA', 'server A', 'server FA']);
    expect([client.events.at(-1), server.events.at(-1)]).toEqual(['closed', 'closed']);
    expectConserved(world.engine);
  });

  it('sends what was written first, the FIN with the last of it or behind', async () => {
    const world = await pair();
    const { client, server } = connect(world);
    world.run(1);
    client.write(letters(10_000), 2 * SECOND);
    client.connection?.close(2 * SECOND);
    world.run(3);
    expect(server.data).toEqual(letters(10_000));
    expect(server.events).toEqual(['accepted', 'end', 'closed']);
    const fins = segmentsAt(world).filter(({ flags, from }) => flags.includes('F') && from === 'client');
    expect(fins).toHaveLength(1);
  });

  it('keeps the tuple for 60 s and no longer; then no record is left', async () => {
    const world = await pair();
    const listener = world.more.liveSockets();
    const { client } = connect(world);
    client.connection?.close(SECOND);
    world.run(30);
    expect(world.more.liveSockets(), 'listener and TIME_WAIT').toBe(listener + 2);
    world.run(70);
    world.engine.run(71 * SECOND);
    expect(world.more.liveSockets(), 'the listener').toBe(listener + 1);
    expectConserved(world.engine);
  });

  it('by force is one RST, and the other end hears "reset"', async () => {
    const world = await pair();
    const { client, server } = connect(world);
    world.run(1);
    const before = told(world).length;
    world.engine.exports.tcpAbort(client.connection?.socket ?? 0, 2 * SECOND);
    world.run(3);
    expect(told(world).slice(before)).toEqual(['client RA']);
    expect(server.failure).toBe('reset');
    expectConserved(world.engine);
  });

  it('while data comes that nobody will read is answered by RST (RFC 9293, 3.10.4)', async () => {
    const world = await pair();
    const { client, server } = connect(world, 0, { closeOnEnd: false });
    world.run(1);
    client.connection?.close(2 * SECOND);
    server.write(letters(100), 3 * SECOND);
    world.run(4);
    expect(told(world).slice(-2)).toEqual(['server PA', 'client R']);
    expect(server.failure).toBe('reset');
    expectConserved(world.engine);
  });
});

describe('a closed port', () => {
  it('refuses: the client hears of it', async () => {
    const world = await pair();
    const connection = world.sockets.connect(world.client, { address: SERVER, port: 1 }, 0);
    if (!connection) throw new Error('no route');
    const end = new End(world.sockets).take(connection);
    world.run(1);
    expect(told(world)).toEqual(['client S', 'server RA']);
    expect(end.failure).toBe('refused');
    expect(dropsOf(world.engine)).toEqual(['server/host/eth0 NO_SOCKET']);
    expectConserved(world.engine);
  });

  /** A host that gets one captured segment, and what it sends back. */
  async function answerTo(mac: string, address: string, frame: Uint8Array): Promise<Uint8Array[]> {
    const engine = await checkedEngine();
    const host = engine.namespace('node/host');
    const segment = engine.segment(1000);
    const eth0 = host.addPhysical('eth0', segment, { mac, mtu: 1500 });
    host.addAddress(eth0, `${address}/24`);
    const gateway = frame.slice(6, 12);
    const peer = Array.from(gateway, (byte) => byte.toString(16).padStart(2, '0')).join(':');
    const source = Array.from(frame.subarray(26, 30)).join('.');
    if (!source.startsWith(address.split('.').slice(0, 3).join('.'))) {
      const router = address.replace(/\d+$/, '1');
      host.addRoute('0.0.0.0/0', eth0, router);
      host.addNeighbour(eth0, router, peer);
    } else host.addNeighbour(eth0, source, peer);
    engine.namespace('node/peer').addPhysical('eth0', segment, { mac: peer, mtu: 1500 });
    const watch = new Watch(engine, [eth0]);
    engine.receive(eth0, frame);
    engine.run(SECOND);
    expectConserved(engine);
    return watch.sent(eth0);
  }

  // Captured from Docker 20.10: IP id 0, DF, TTL 64, no options; every byte is determined.
  it('of a task resets a SYN by the bytes that were captured: RST-ACK, sequence 0', async () => {
    const syn = hex(`02420a000403 02420a000404 0800 4500003c 606c 4000 4006 be49 0a000404 0a000403
      a4ae 270f b11c1152 00000000 a002 fd5c e876 0000 0204 0582 0402 080a 8bed2c3e 00000000 01 030307`);
    const reset = hex(`02420a000404 02420a000403 0800 45000028 0000 4000 4006 1eca 0a000403 0a000404
      270f a4ae 00000000 b11c1153 5014 0000 059d 0000`);
    expect(await answerTo('02:42:0a:00:04:03', '10.0.4.3', syn)).toEqual([reset]);
  });

  it('of a node does so as well', async () => {
    const syn = hex(`52540000006e 525400000001 0800 4500003c 32b7 4000 4006 c044 c0a86301 c0a8636e
      9d09 1f41 1aab416a 00000000 a002 faf0 7a66 0000 0204 05b4 0402 080a 8f5de32a 00000000 01 030307`);
    const reset = hex(`525400000001 52540000006e 0800 45000028 0000 4000 4006 f30f c0a8636e c0a86301
      1f41 9d09 00000000 1aab416b 5014 0000 4faf 0000`);
    expect(await answerTo('52:54:00:00:00:6e', '192.168.99.110', syn)).toEqual([reset]);
  });

  it('resets a segment that acknowledges something by a plain RST with that number: a task had gone', async () => {
    const segment = hex(`0242ac130002 024280d1bf1f 0800 45000036 c959 4000 3f06 a2a9 c0a86301 ac130002
      bb82 1f9a 9bc16b82 eaec330c 8018 01f6 adb9 0000 0101 080a 94a6813d 38f39b09 0d0a`);
    const reset = hex(`024280d1bf1f 0242ac130002 0800 45000028 0000 4000 4006 6b11 ac130002 c0a86301
      1f9a bb82 eaec330c 00000000 5004 0000 e70b 0000`);
    expect(await answerTo('02:42:ac:13:00:02', '172.19.0.2', segment)).toEqual([reset]);
  });

  it.each([
    ['A', { flags: 'A', sequence: 7, acknowledgment: 99 }, { flags: 'R', sequence: 99 }],
    ['FA', { flags: 'FA', sequence: 7, acknowledgment: 99 }, { flags: 'R', sequence: 99 }],
    ['F', { flags: 'F', sequence: 7 }, { flags: 'RA', acknowledgment: 8 }],
    ['SF with data', { flags: 'SF', sequence: 7, payload: 'abc' }, { flags: 'RA', acknowledgment: 12 }],
    ['none', { flags: '', sequence: 7, payload: 'ab' }, { flags: 'RA', acknowledgment: 9 }],
  ])('resets flags %s as RFC 9293, 3.10.7.1, has it', async (_, segment, reset) => {
    const { engine, fromAlice, packetsToAlice } = await routerWorld();
    fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 80 }, segment));
    expect(packetsToAlice()).toEqual([
      tcpPacket({ source: LEFT, destination: ALICE, sport: 80, dport: 4000, id: 0 }, { ...reset, window: 0 }),
    ]);
    expectConserved(engine);
  });
});

describe('ports', () => {
  it('can be listened on once; the next one is refused', async () => {
    const world = await pair();
    world.sockets.listen(world.server, PORT, () => {});
    expect(() => world.sockets.listen(world.server, PORT, () => {})).toThrow('TCP port 50000 is taken');
    world.sockets.listen(world.client, PORT, () => {});
  });

  it('of a client lie in ip_local_port_range, even ones first, no two alike', async () => {
    const world = await pair();
    world.sockets.listen(world.server, PORT, () => {});
    for (let i = 0; i < 200; i++) world.sockets.connect(world.client, { address: SERVER, port: PORT }, i * 1000);
    world.run(1);
    const used = segmentsAt(world)
      .filter(({ flags }) => flags === 'S')
      .map(({ packet }) => u16(packet, 20));
    expect(new Set(used).size).toBe(200);
    expect(used.every((port) => port >= 32768 && port <= 60999 && port % 2 === 0)).toBe(true);
    expectConserved(world.engine);
  });

  it('without a route there is no connection', async () => {
    const world = await pair();
    expect(world.sockets.connect(world.client, { address: '192.0.2.1', port: PORT }, 0)).toBeUndefined();
  });

  it('a host that does not answer ARP is unreachable after three seconds', async () => {
    const world = await pair();
    const connection = world.sockets.connect(world.client, { address: '10.0.0.77', port: PORT }, 0);
    if (!connection) throw new Error('no route');
    const end = new End(world.sockets).take(connection);
    world.run(10);
    expect(end.failure).toBe('unreachable');
    expect(end.failedAt / SECOND).toBeCloseTo(3, 2);
    expectConserved(world.engine);
  });
});

describe('over lo', () => {
  it('a host talks to itself', async () => {
    const world = await pair();
    const server = new End(world.sockets);
    world.sockets.listen(world.client, PORT, (connection) => {
      server.take(connection);
    });
    const connection = world.sockets.connect(world.client, { address: '127.0.0.1', port: PORT }, 0);
    if (!connection) throw new Error('no route');
    const client = new End(world.sockets).take(connection);
    client.write(letters(200_000), SECOND);
    client.connection?.close(SECOND);
    world.run(5);
    expect(Buffer.compare(server.data, letters(200_000))).toBe(0);
    expect([client.events.at(-1), server.events.at(-1)]).toEqual(['closed', 'closed']);
    expectConserved(world.engine);
  });
});

const installed = spawnSync('tshark', ['--version']).status === 0;

describe.skipIf(!installed)(`Wireshark${installed ? '' : ' (skipped: tshark is not installed)'}`, () => {
  /** Expert items of severity warning or error that tshark finds at the client's tap. */
  function complaints(world: Pair): string[] {
    const folder = mkdtempSync(join(tmpdir(), 'swarmwire-'));
    const file = join(folder, 'client.pcap');
    const frames = world.watch.frames(world.clientNic);
    writeFileSync(
      file,
      Buffer.concat([pcapHeader(), ...frames.map(({ time, data }) => pcapRecord({ time: BigInt(time), data }))]),
    );
    const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
    const wrong = '_ws.malformed || _ws.expert.severity == 6291456 || _ws.expert.severity == 8388608';
    const fields = ['-T', 'fields', '-e', 'frame.number', '-e', '_ws.expert.message'];
    const { stdout, status } = spawnSync('tshark', ['-r', file, ...checks, '-Y', wrong, ...fields], {
      encoding: 'utf8',
    });
    rmSync(folder, { recursive: true });
    expect(status).toBe(0);
    expect(frames.length).toBeGreaterThan(5);
    return stdout.split('\n').filter(Boolean);
  }

  it('complains of nothing in a conversation', async () => {
    const world = await pair();
    const { client } = connect(world, 0, {
      onAccept: (end, time) => end.write(letters(300), world.sockets.after(time)),
    });
    client.write(letters(100), SECOND);
    client.connection?.close(2 * SECOND);
    world.run(5);
    expect(complaints(world)).toEqual([]);
  });

  it.each([
    [1500, 1500],
    [1450, 1500],
    [9000, 9000],
  ])('complains of nothing in a long stream both ways at MTU %i to %i', async (mtu, serverMtu) => {
    const world = await pair({ mtu, serverMtu });
    const { client } = connect(world, 0, {
      onAccept: (end, time) => end.write(letters(300_000), world.sockets.after(time)),
    });
    client.write(letters(300_000), 0);
    client.connection?.close(5 * SECOND);
    world.run(20);
    expect(complaints(world)).toEqual([]);
  });

  it('complains of nothing when both close at once', async () => {
    const world = await pair();
    const { client, server } = connect(world, 0, { closeOnEnd: false });
    world.run(1);
    client.connection?.close(2 * SECOND);
    server.connection?.close(2 * SECOND);
    world.run(3);
    expect(complaints(world)).toEqual([]);
  });
});

describe('progress', () => {
  // sk_dst_confirm in tcp_ack, neigh_confirm in ip_finish_output2; arp(7): "positive feedback from a higher layer".
  it('confirms the neighbour: while bytes are acknowledged nobody asks for a MAC that is known', async () => {
    const world = await pair();
    for (const host of [world.client, world.server])
      for (const known of [...host.neighbours]) host.removeNeighbour(known);
    world.sockets.listen(world.server, PORT, (connection) => {
      connection.onData = (data, time) => connection.write(data, world.sockets.after(time));
    });
    const connection = world.sockets.connect(world.client, { address: SERVER, port: PORT }, 0);
    for (let second = 1; second < 120; second++) connection?.write(letters(5), second * SECOND);
    world.run(120);
    const asked = world.watch.frames(world.clientNic).filter(({ data }) => u16(data, 12) === 0x0806);
    expect(asked.map(({ time, data }) => `${Math.round(time / SECOND)} ${inWords(data)}`)).toEqual([
      '0 who has 10.0.0.2 tell 10.0.0.1',
      '0 10.0.0.2 is at 02:00:00:00:00:02',
    ]);
    expectConserved(world.engine);
  });
});
