/** UDP sockets (RFC 768), datagrams larger than the MTU among them. */

import { describe, expect, it } from 'vitest';
import { address, word } from '../engine/loaded.js';
import { BROADCAST, checksumsHold, concat, ethernet, IPV4, macText, told, u16, udpPacket } from '../engine/packets.js';
import { CLIENT, letters, type Pair, PORT, pair, SERVER } from '../engine/pair.js';
import { SECOND } from '../engine/state.js';
import { dropsOf, expectConserved, packetsIn } from '../engine/watch.js';

/** A server that keeps what it gets and sends it back. */
function echoing({ sockets, server }: Pair, port = PORT) {
  const got: { data: Uint8Array; from: string }[] = [];
  const socket = sockets.openUdp(server, port, ({ data, from, time }, socket) => {
    got.push({ data: data.slice(), from: `${from.address}:${from.port}` });
    socket.send(from, data, sockets.after(time));
  });
  return { got, socket };
}

function asking({ sockets, client }: Pair, port = 0) {
  const got: Uint8Array[] = [];
  const errors: string[] = [];
  const socket = sockets.openUdp(
    client,
    port,
    ({ data }) => got.push(data.slice()),
    (type, code) => errors.push(`${type}/${code}`),
  );
  return {
    got,
    errors,
    socket,
    ask: (data: Uint8Array, time = SECOND) => socket.send({ address: SERVER, port: PORT }, data, time),
  };
}

const sent = ({ watch, clientNic }: Pair) => packetsIn(watch.sent(clientNic));

describe('a datagram', () => {
  it.each([0, 1, 2, 100, 1471, 1472])('of %i bytes goes whole, with DF, and comes back', async (size) => {
    const world = await pair();
    const { got } = echoing(world);
    const client = asking(world);
    client.ask(letters(size));
    world.run(5);
    expect(client.got).toEqual([letters(size)]);
    expect(got).toEqual([{ data: letters(size), from: `${CLIENT}:${client.socket.port}` }]);
    const [packet, ...more] = sent(world);
    expect(more).toEqual([]);
    expect(packet && [packet.length, u16(packet, 6), packet[8], packet[1]]).toEqual([28 + size, 0x4000, 64, 0]);
    expect(packet && checksumsHold(packet)).toBe(true);
    expectConserved(world.engine);
  });

  it.each([
    [1473, [1480, 1]],
    [2952, [1480, 1480]],
    [2953, [1480, 1480, 1]],
    [4000, [1480, 1480, 1048]],
  ])('of %i bytes goes in fragments of %j, without DF, with one id, and comes back', async (size, sizes) => {
    const world = await pair();
    echoing(world);
    const client = asking(world);
    client.ask(letters(size));
    world.run(5);
    expect(client.got).toEqual([letters(size)]);
    const packets = sent(world);
    expect(packets.map(({ length }) => length - 20)).toEqual(sizes);
    const last = sizes.length - 1;
    expect(packets.map((packet) => u16(packet, 6))).toEqual(sizes.map((_, i) => (i * 185) | (i < last ? 0x2000 : 0)));
    expect(new Set(packets.map((packet) => u16(packet, 4))).size).toBe(1);
    const whole = concat(...packets.map((packet) => packet.subarray(20)));
    expect(whole.subarray(8)).toEqual(letters(size));
    expect(u16(whole, 4)).toBe(size + 8);
    expectConserved(world.engine);
  });

  it('of 65507 bytes, the longest, comes back', async () => {
    const world = await pair();
    const { got } = echoing(world);
    const client = asking(world);
    client.ask(letters(65507));
    world.run(5);
    expect(got.map(({ data }) => data.length)).toEqual([65507]);
    expect(client.got.map((data) => Buffer.compare(data, letters(65507)))).toEqual([0]);
    expect(sent(world)).toHaveLength(45);
    expectConserved(world.engine);
  });

  it('of 65508 bytes is not sent', async () => {
    const world = await pair();
    const client = asking(world);
    client.ask(letters(65508));
    world.run(5);
    expect(sent(world)).toEqual([]);
    expectConserved(world.engine);
  });

  it('of which only the first fragment arrives is given up after 30 s, and its sender told', async () => {
    const world = await pair();
    const { got } = echoing(world);
    const client = asking(world);
    client.ask(letters(4000));
    world.engine.run(SECOND + 50_000, world.sockets.handle);
    const [first] = world.watch.sent(world.clientNic);
    world.run(5);
    expect(got).toHaveLength(1);
    world.engine.receive(world.serverNic, first ?? letters(0), 10 * SECOND);
    world.run(60);
    expect(got).toHaveLength(1);
    expect(client.errors).toEqual(['11/1']);
    expect(dropsOf(world.engine)).toEqual(['server/host/eth0 FRAG_REASM_TIMEOUT']);
    const last = packetsIn(world.watch.received(world.clientNic)).map(told).at(-1);
    expect(last).toBe(`${SERVER} > ${CLIENT} ttl 64 icmp 11/1`);
    expectConserved(world.engine);
  });
});

describe('a closed port', () => {
  it('is told to the socket that asked', async () => {
    const world = await pair();
    const client = asking(world);
    client.ask(letters(10));
    world.run(5);
    expect(client.errors).toEqual(['3/3']);
    expect(dropsOf(world.engine)).toEqual(['server/host/eth0 NO_SOCKET']);
    expectConserved(world.engine);
  });

  it('is what a socket leaves behind that is closed', async () => {
    const world = await pair();
    const { got, socket } = echoing(world);
    const client = asking(world);
    client.ask(letters(10));
    world.run(2);
    world.sockets.closeUdp(socket);
    client.ask(letters(20), 3 * SECOND);
    world.run(5);
    expect(got).toHaveLength(1);
    expect(client.errors).toEqual(['3/3']);
    expectConserved(world.engine);
  });
});

describe('a neighbour that does not answer', () => {
  it('is told to the socket that asked: host unreachable, over lo', async () => {
    const world = await pair();
    const client = asking(world);
    client.socket.send({ address: '10.0.0.99', port: PORT }, letters(10), SECOND);
    world.run(10);
    expect(client.errors).toEqual(['3/1']);
    expectConserved(world.engine);
  });
});

describe('a socket', () => {
  it('gets what is for its port, and no other', async () => {
    const world = await pair();
    const [one, two] = [echoing(world, PORT), echoing(world, PORT + 1)];
    const client = asking(world);
    client.socket.send({ address: SERVER, port: PORT + 1 }, letters(3), SECOND);
    client.socket.send({ address: SERVER, port: PORT }, letters(4), SECOND);
    world.run(2);
    expect(one.got.map(({ data }) => data.length)).toEqual([4]);
    expect(two.got.map(({ data }) => data.length)).toEqual([3]);
    expectConserved(world.engine);
  });

  it('has a port of its own: the same one cannot be opened twice in a namespace', async () => {
    const world = await pair();
    asking(world, 5353);
    expect(() => asking(world, 5353)).toThrow('UDP port 5353 is taken');
    world.sockets.openUdp(world.server, 5353, () => {});
    const ports = Array.from({ length: 50 }, () => asking(world).socket.port);
    expect(new Set(ports).size).toBe(50);
    expect(ports.every((port) => port >= 32768 && port <= 60999)).toBe(true);
  });

  it('that is connected hears of its peer alone', async () => {
    const world = await pair();
    const { got, socket } = echoing(world);
    const friend = asking(world, 4000);
    const stranger = asking(world, 4001);
    expect(world.more.udpConnect(socket.socket, address(CLIENT), word(4000))).toBe(1);
    friend.ask(letters(5));
    stranger.ask(letters(6));
    world.run(5);
    expect(got.map(({ from }) => from)).toEqual([`${CLIENT}:4000`]);
    expect(stranger.errors).toEqual(['3/3']);
    expectConserved(world.engine);
  });

  it('without a checksum in its datagram is content: 0 means none', async () => {
    const world = await pair();
    const { got } = echoing(world);
    const client = asking(world, 4000);
    client.ask(letters(9));
    world.run(2);
    const [frame] = world.watch.sent(world.clientNic);
    const other = frame?.slice() ?? new Uint8Array();
    other.set([0, 0], 40);
    world.engine.receive(world.serverNic, other, 3 * SECOND);
    other[50] = 0x21;
    world.engine.receive(world.serverNic, other, 4 * SECOND);
    world.run(6);
    expect(got).toHaveLength(3);
    expectConserved(world.engine);
  });
});

describe('a datagram to all', () => {
  it.each(['10.0.0.255', '255.255.255.255'])(
    'to %s arrives at every socket of its port on the wire',
    async (everyone) => {
      const world = await pair();
      const { got } = echoing(world);
      const client = asking(world);
      const packet = udpPacket(
        { source: CLIENT, destination: everyone, sport: client.socket.port, dport: PORT },
        letters(7),
      );
      world.engine.receive(world.serverNic, ethernet(BROADCAST, '02:00:00:00:00:01', IPV4, packet));
      world.run(2);
      expect(got.map(({ data }) => data)).toEqual([letters(7)]);
      expect(client.got).toEqual([letters(7)]);
      expectConserved(world.engine);
    },
  );

  it('leaves for ff:ff:ff:ff:ff:ff when it is to the network’s broadcast address', async () => {
    const world = await pair();
    const { got } = echoing(world);
    const client = asking(world);
    client.socket.send({ address: '10.0.0.255', port: PORT }, letters(7), SECOND);
    world.run(2);
    expect(world.watch.sent(world.clientNic).map((frame) => macText(frame, 0))).toEqual([BROADCAST]);
    expect(got).toHaveLength(1);
    expectConserved(world.engine);
  });
});

describe('over a wire that loses a fifth', () => {
  it('some of a thousand datagrams arrive, none is changed, and all are accounted for', async () => {
    const world = await pair({ loss: 0.2, seed: 11 });
    const { got } = echoing(world);
    const client = asking(world);
    for (let i = 0; i < 1000; i++) client.ask(letters(1 + (i % 3000), i), SECOND + i * 1_000_000);
    world.run(100);
    expect(got.length).toBeGreaterThan(500);
    expect(got.length).toBeLessThan(1000);
    const known = new Set(Array.from({ length: 1000 }, (_, i) => Buffer.from(letters(1 + (i % 3000), i)).toString()));
    expect(got.every(({ data }) => known.has(Buffer.from(data).toString()))).toBe(true);
    expectConserved(world.engine);
  });
});

describe('ping', () => {
  it('asks as BusyBox does, and is answered', async () => {
    const world = await pair();
    const replies: number[] = [];
    const identifier = world.sockets.openPing(({ sequence, from, ttl }) => {
      expect([from, ttl]).toEqual([SERVER, 64]);
      replies.push(sequence);
    });
    for (const sequence of [0, 1, 2]) {
      world.sockets.ping(world.client, SERVER, { identifier, sequence, size: 56, time: (1 + sequence) * SECOND });
    }
    world.run(10);
    expect(replies).toEqual([0, 1, 2]);
    // 64 bytes of ICMP; the time in microseconds, then zeros.
    const [request] = sent(world);
    expect(request && [request.length, request[20], u16(request, 24), u16(request, 26)]).toEqual([
      84,
      8,
      identifier,
      0,
    ]);
    expect(request?.subarray(32)).toEqual(new Uint8Array(52));
    expectConserved(world.engine);
  });

  it.each([0, 3, 4, 1472, 1473, 4000, 65507])('of %i bytes comes back', async (size) => {
    const world = await pair();
    const replies: number[] = [];
    const identifier = world.sockets.openPing(({ sequence }) => replies.push(sequence));
    world.sockets.ping(world.client, SERVER, { identifier, sequence: 7, size, time: SECOND });
    world.run(10);
    expect(replies).toEqual([7]);
    expectConserved(world.engine);
  });
});
