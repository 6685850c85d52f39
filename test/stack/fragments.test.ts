/** Fragments: put together, taken apart, given up (RFC 791, section 3.2; ip_defrag, ip_do_fragment). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import {
  checksum,
  checksumsHold,
  concat,
  echo,
  ethernet,
  hex,
  IPV4,
  ipPacket,
  put16,
  u16,
  udpPacket,
} from '../engine/packets.js';
import { SECOND } from '../engine/state.js';
import { expectConserved, Watch } from '../engine/watch.js';
import { ALICE, BOB, LEFT, MAC, routerWorld } from '../engine/world.js';

const MF = 0x2000;
const DF = 0x4000;

function orders<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((one, i) => orders([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [one, ...rest]));
}

const padded = (length: number, ...parts: string[]) =>
  concat(hex(parts.join(' ')), new Uint8Array(length)).slice(0, length);
const letters = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => 0x41 + ((from + i) % 26));

// Captured from Docker 20.10: `ping -s 4000` between two containers on docker0, there and back, and a datagram of 4000
// letters between two tasks on an overlay (MTU 1450).
const PING = [
  padded(
    1514,
    '0242ac110002 0242ac110003 0800',
    '450005dc 2de3 2000 4001 cf16 ac110003 ac110002',
    '0800 d57c 0013 0000 7439ae36',
  ),
  padded(1514, '0242ac110002 0242ac110003 0800', '450005dc 2de3 20b9 4001 ce5d ac110003 ac110002'),
  padded(1082, '0242ac110002 0242ac110003 0800', '4500042c 2de3 0172 4001 ef54 ac110003 ac110002'),
];
const PONG = [
  padded(
    1514,
    '0242ac110003 0242ac110002 0800',
    '450005dc 437c 2000 4001 b97d ac110002 ac110003',
    '0000 dd7c 0013 0000 7439ae36',
  ),
  padded(1514, '0242ac110003 0242ac110002 0800', '450005dc 437c 20b9 4001 b8c4 ac110002 ac110003'),
  padded(1082, '0242ac110003 0242ac110002 0800', '4500042c 437c 0172 4001 d9bb ac110002 ac110003'),
];
const LETTERS = [
  concat(
    hex('02420a000203 02420a000204 0800 450005a4 833f 2000 4011 ba03 0a000204 0a000203 ab64 232a 0fa8 1c63'),
    letters(0, 1416),
  ),
  concat(hex('02420a000203 02420a000204 0800 450005a4 833f 20b2 4011 b951 0a000204 0a000203'), letters(1416, 1424)),
  concat(hex('02420a000203 02420a000204 0800 4500049c 833f 0164 4011 d9a7 0a000204 0a000203'), letters(2840, 1160)),
];

it('the trains below are what they claim: their checksums hold', () => {
  for (const frame of [...PING, ...PONG, ...LETTERS]) expect(checksum(frame.subarray(14, 34))).toBe(0);
  const whole = concat(...LETTERS.map((frame) => frame.subarray(34)));
  expect(whole.length).toBe(4008);
  const packet = udpPacket(
    { source: '10.0.2.4', destination: '10.0.2.3', sport: 0xab64, dport: 0x232a },
    letters(0, 4000),
  );
  expect(packet.subarray(20)).toEqual(whole);
});

/** docker0: br_netfilter and conntrack, so that datagrams are whole while FORWARD sees them. */
async function docker0(conntrack: boolean) {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const bridge = host.addBridge('docker0', { mac: '02:42:d7:5b:4a:0c', mtu: 1500 });
  host.set('forward', 1);
  if (conntrack) {
    host.set('bridgeNetfilter', 1);
    host.iptables.chain('nat', 'PREROUTING');
  }
  const [from, to] = ['vethccab5a8', 'veth0971476'].map((name, i) => {
    const box = engine.namespace(`node1/ct-${i}`);
    box.set('silent', 1);
    const [port] = host.addVeth(
      name,
      { mac: `02:00:00:00:01:0${i}`, mtu: 1500 },
      { namespace: box, name: 'eth0', mac: `02:00:00:00:02:0${i}`, mtu: 1500 },
    );
    host.addPort(bridge, port);
    return port;
  });
  if (!from || !to) throw new Error('no ports');
  return { engine, host, from, to, watch: new Watch(engine, [to]) };
}

describe.each([
  ['a long ping', PING],
  ['its reply', PONG],
  ['a long datagram', LETTERS],
])('%s', (_, train) => {
  it.each(orders([0, 1, 2]))(
    'leaves docker0 byte by byte as it came, in the order of its offsets: %i, %i, %i came',
    async (...order) => {
      const { engine, host, from, to, watch } = await docker0(true);
      const rule = host.iptables.append('filter', 'FORWARD', { target: 'ACCEPT' });
      order.forEach((which, i) => {
        engine.receive(from, train[which] ?? hex(''), 1000 * i);
      });
      engine.run(SECOND);
      expect(watch.sent(to)).toEqual(train);
      expect([rule.packets, rule.bytes], 'FORWARD sees one whole datagram').toEqual([1, 4028]);
      expectConserved(engine);
    },
  );

  it('passes a bridge without conntrack piece by piece, in the order it came', async () => {
    const { engine, from, to, watch } = await docker0(false);
    for (const which of [2, 0, 1]) engine.receive(from, train[which] ?? hex(''));
    engine.run(SECOND);
    expect(watch.sent(to)).toEqual([train[2], train[0], train[1]]);
    expectConserved(engine);
  });
});

it('a container answers the long ping as it did when it was captured, whatever came first', async () => {
  for (const order of orders([0, 1, 2])) {
    const engine = await checkedEngine();
    const ct = engine.namespace('node1/ct-alpine1');
    const other = engine.namespace('node1/ct-alpine2');
    const [eth0, there] = ct.addVeth(
      'eth0',
      { mac: '02:42:ac:11:00:02', mtu: 1500 },
      { namespace: other, name: 'eth0', mac: '02:42:ac:11:00:03', mtu: 1500 },
    );
    other.set('silent', 1);
    ct.addAddress(eth0, '172.17.0.2/16');
    other.addAddress(there, '172.17.0.3/16');
    ct.addNeighbour(eth0, '172.17.0.3', '02:42:ac:11:00:03');
    const watch = new Watch(engine, [eth0]);
    for (const which of order) engine.receive(eth0, PING[which] ?? hex(''));
    engine.run(SECOND);
    const sent = watch.sent(eth0).map((frame) => frame.slice());
    expect(new Set(sent.map((frame) => u16(frame, 18))).size, 'one id').toBe(1);
    for (const [i, frame] of sent.entries()) {
      expect(checksum(frame.subarray(14, 34))).toBe(0);
      put16(frame, 18, 0x437c);
      put16(frame, 24, u16(PONG[i] ?? hex(''), 24));
    }
    expect(sent).toEqual(PONG);
    expectConserved(engine);
  }
});

const ends = { source: ALICE, destination: BOB };
const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + seed) & 255);

/** A datagram of protocol 99 in pieces of these sizes. */
function pieces(sizes: readonly number[], { id = 1, ttl = 64, flags = 0, tos = 0, to = BOB } = {}): Uint8Array[] {
  const payload = bytes(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  return sizes.map((size, i) => {
    const offset = at;
    at += size;
    const more = i + 1 < sizes.length ? MF : 0;
    return ipPacket(
      { ...ends, destination: to, protocol: 99, id, ttl, tos, flags: (offset / 8) | more | flags },
      payload.subarray(offset, at),
    );
  });
}
/** A piece by where it begins and ends, with its flags as they come. */
const piece = (from: number, to: number, flags = MF) =>
  ipPacket({ ...ends, protocol: 99, id: 1, flags: (from / 8) | flags }, bytes(4000).subarray(from, to));

/** `toEqual` takes its time over long packets. */
function expectSame(got: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  expect(got.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  expect(Buffer.compare(concat(...got), concat(...expected))).toBe(0);
}

/** A router that defragments, for conntrack. */
async function tracking(options: Parameters<typeof routerWorld>[0] = {}) {
  const world = await routerWorld(options);
  world.router.trackConnections();
  return world;
}

describe('a router with conntrack', () => {
  it('sends on the very pieces that came, of any sizes and in any order', async () => {
    const { engine, left, watch, right } = await tracking();
    let id = 1;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 185 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 1480 }),
        fc.infiniteStream(fc.nat()),
        async (eighths, last, shuffle) => {
          const sizes = [...eighths.map((n) => n * 8), last];
          id = (id % 65535) + 1;
          const train = pieces(sizes, { id });
          const mixed = train.map((packet) => ({ packet, at: shuffle.next().value ?? 0 })).sort((a, b) => a.at - b.at);
          watch.clear();
          for (const { packet } of mixed) engine.receive(left, ethernet(MAC.left, MAC.alice, IPV4, packet));
          engine.run(engine.now + 1_000_000);
          const sent = watch.sent(right).map((frame) => frame.subarray(14));
          expectSame(sent, pieces(sizes, { id, ttl: 63 }));
          expectConserved(engine);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('cuts anew what is too long for the way out, no longer than the longest piece was', async () => {
    const { engine, fromAlice, packetsToBob } = await tracking({ mtuRight: 1400 });
    for (const packet of pieces([1480, 1480, 40])) fromAlice(packet);
    expect(packetsToBob()).toEqual(pieces([1376, 1376, 248], { ttl: 63 }));
    expectConserved(engine);
  });

  it('keeps pieces that are shorter than the way out allows', async () => {
    const { engine, fromAlice, packetsToBob } = await tracking();
    for (const packet of pieces([512, 512, 100])) fromAlice(packet);
    expect(packetsToBob()).toEqual(pieces([512, 512, 100], { ttl: 63 }));
    expectConserved(engine);
  });

  it('tells the sender of pieces with DF that do not fit', async () => {
    const { engine, fromAlice, toAlice, toBob, drops } = await tracking({ mtuRight: 1400 });
    for (const packet of pieces([1480, 1480, 40], { flags: DF })) fromAlice(packet);
    expect(toBob()).toEqual([]);
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 3/4`]);
    expect(drops()).toEqual(['node/router/left PKT_TOO_BIG']);
    expectConserved(engine);
  });

  it('does not mix datagrams: other id, protocol, source or destination', async () => {
    const { engine, fromAlice, toBob } = await tracking();
    const [first = hex(''), last = hex('')] = pieces([80, 80]);
    fromAlice(first);
    const altered = (change: (packet: Uint8Array) => void) => {
      const packet = last.slice();
      change(packet);
      put16(packet, 10, 0);
      put16(packet, 10, checksum(packet.subarray(0, 20)));
      return packet;
    };
    fromAlice(altered((packet) => put16(packet, 4, 2)));
    fromAlice(altered((packet) => packet.set([98], 9)));
    fromAlice(altered((packet) => packet.set([3], 15)));
    fromAlice(altered((packet) => packet.set([3], 19)));
    expect(toBob()).toEqual([]);
    expectConserved(engine, { inFlight: 5 });
    fromAlice(last);
    expect(toBob()).toHaveLength(2);
    expectConserved(engine, { inFlight: 4 });
    engine.run(40 * SECOND);
    expectConserved(engine);
  });
});

describe('a piece that comes twice', () => {
  it('is dropped, and the datagram is whole all the same', async () => {
    const { engine, fromAlice, packetsToBob, drops } = await tracking();
    const [a = hex(''), b = hex(''), c = hex('')] = pieces([1480, 1480, 40]);
    for (const packet of [a, a, b, b, a, c]) fromAlice(packet);
    expect(packetsToBob()).toEqual(pieces([1480, 1480, 40], { ttl: 63 }));
    expect(drops()).toEqual(['node/router/left FRAG_OVERLAP x3']);
    expectConserved(engine);
  });
});

describe('pieces that overlap', () => {
  it.each([
    ['the first one’s end', [piece(0, 80), piece(72, 160), piece(160, 200, 0)]],
    ['the next one’s begin', [piece(80, 160), piece(0, 88), piece(160, 200, 0)]],
    ['all of a smaller one', [piece(80, 96), piece(0, 160), piece(160, 200, 0)]],
  ])('take the whole datagram along: %s', async (_, train) => {
    const { engine, fromAlice, toBob, drops } = await tracking();
    for (const packet of train.slice(0, 2)) fromAlice(packet);
    expect(drops()).toEqual(['node/router/left FRAG_OVERLAP x2']);
    expectConserved(engine);
    fromAlice(train[2] ?? hex(''));
    engine.run(60 * SECOND);
    expect(toBob()).toEqual([]);
    expectConserved(engine);
  });
});

describe('pieces that cannot be', () => {
  it.each([
    ['behind the last', [piece(80, 160, 0), piece(160, 240)]],
    ['two last ones', [piece(80, 160, 0), piece(80, 200, 0)]],
    ['a last one before another', [piece(160, 240), piece(8, 80, 0)]],
    ['without data', [piece(0, 80), piece(80, 80)]],
  ])('are dropped with all the others: %s', async (_, train) => {
    const { engine, fromAlice, toBob, drops } = await tracking();
    for (const packet of train) fromAlice(packet);
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual(['node/router/left FRAG_INVALID x2']);
    expectConserved(engine);
  });

  it('of more than 65535 bytes together are dropped', async () => {
    const { engine, fromAlice, toBob, drops } = await tracking();
    // 44 of 1480 and one of 416: 65536 bytes with the header.
    const sizes = [...Array<number>(44).fill(1480), 65516 - 44 * 1480];
    for (const packet of pieces(sizes)) fromAlice(packet);
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual(['node/router/left FRAG_INVALID x45']);
    expectConserved(engine);
  });

  it('but of 65535 bytes they pass', async () => {
    const { engine, fromAlice, packetsToBob, drops } = await tracking();
    const sizes = [...Array<number>(44).fill(1480), 65515 - 44 * 1480];
    for (const packet of pieces(sizes)) fromAlice(packet);
    expectSame(packetsToBob(), pieces(sizes, { ttl: 63 }));
    expect(drops()).toEqual([]);
    expectConserved(engine);
  });
});

describe('a datagram that stays incomplete', () => {
  it('for the host itself is given up after 30 s, and its sender told: time exceeded in reassembly', async () => {
    const { engine, fromAlice, packetsToAlice, drops } = await routerWorld();
    const [first = hex('')] = pieces([1480, 520], { to: LEFT });
    fromAlice(first, SECOND);
    engine.run(31 * SECOND);
    expect(packetsToAlice()).toEqual([]);
    expectConserved(engine, { inFlight: 1 });
    engine.run(31 * SECOND + 1_000_000);
    const [error = hex('')] = packetsToAlice();
    expect(checksumsHold(error)).toBe(true);
    expect(error.subarray(20, 22), 'RFC 792: type 11, code 1').toEqual(hex('0b 01'));
    expect(error.subarray(28)).toEqual(first.subarray(0, 548));
    expect(drops()).toEqual(['node/router/left FRAG_REASM_TIMEOUT']);
    expectConserved(engine);
  });

  it('without its first piece is given up in silence (RFC 792)', async () => {
    const { engine, fromAlice, toAlice, drops } = await routerWorld();
    const [, second = hex(''), third = hex('')] = pieces([1480, 520, 80], { to: LEFT });
    fromAlice(second, SECOND);
    fromAlice(third, 2 * SECOND);
    engine.run(60 * SECOND);
    expect(toAlice()).toEqual([]);
    expect(drops()).toEqual(['node/router/left FRAG_REASM_TIMEOUT x2']);
    expectConserved(engine);
  });

  it('for another host is given up in silence by a router', async () => {
    const { engine, fromAlice, toAlice, drops } = await tracking();
    fromAlice(pieces([1480, 520])[0] ?? hex(''), SECOND);
    engine.run(60 * SECOND);
    expect(toAlice()).toEqual([]);
    expect(drops()).toEqual(['node/router/left FRAG_REASM_TIMEOUT']);
    expectConserved(engine);
  });

  it('has thirty seconds from its first piece, not from its last', async () => {
    const { engine, fromAlice, toBob, drops } = await tracking();
    const [a = hex(''), b = hex(''), c = hex('')] = pieces([80, 80, 80]);
    fromAlice(a, SECOND);
    fromAlice(b, 25 * SECOND);
    fromAlice(c, 32 * SECOND);
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual(['node/router/left FRAG_REASM_TIMEOUT x2']);
    engine.run(100 * SECOND);
    expectConserved(engine);
  });

  it('is given up when 64 other fragments of its source came in between (ipfrag_max_dist)', async () => {
    for (const [others, whole] of [
      [63, true],
      [64, false],
    ] as const) {
      const { engine, fromAlice, toBob, drops } = await tracking();
      const [first = hex(''), last = hex('')] = pieces([80, 80], { id: 60000 });
      fromAlice(first);
      for (let id = 1; id <= others; id++) fromAlice(pieces([80, 80], { id })[0] ?? hex(''));
      fromAlice(last);
      expect(toBob()).toHaveLength(whole ? 2 : 0);
      expect(drops()).toEqual(whole ? [] : ['node/router/left FRAG_TOO_FAR']);
      engine.run(100 * SECOND);
      expectConserved(engine);
    }
  });
});

describe('a packet that is too long for the way out', () => {
  it('without DF leaves in pieces, each but the last a multiple of eight', async () => {
    const { engine, fromAlice, packetsToBob } = await routerWorld({ mtuRight: 1003 });
    const payload = bytes(1480);
    fromAlice(ipPacket({ ...ends, protocol: 99, id: 7, flags: 0 }, payload));
    const sent = (from: number, to: number, flags: number) =>
      ipPacket({ ...ends, protocol: 99, id: 7, ttl: 63, flags: (from / 8) | flags }, payload.subarray(from, to));
    expect(packetsToBob()).toEqual([sent(0, 976, MF), sent(976, 1480, 0)]);
    expectConserved(engine);
  });

  it('leaves in pieces again when it is one already: the middle stays a middle', async () => {
    const { engine, fromAlice, packetsToBob } = await routerWorld({ mtuRight: 600 });
    const [, middle = hex('')] = pieces([1480, 1480, 40]);
    fromAlice(middle);
    const sent = packetsToBob();
    expect(sent.map((packet) => u16(packet, 6))).toEqual([MF | 185, MF | (185 + 72), MF | (185 + 144)]);
    expect(sent.map(({ length }) => length - 20)).toEqual([576, 576, 328]);
    expect(concat(...sent.map((packet) => packet.subarray(20)))).toEqual(middle.subarray(20));
    expect(sent.every(checksumsHold)).toBe(true);
    engine.run(60 * SECOND); // bob waits for the rest
    expectConserved(engine);
  });

  it('takes along only options with the copied bit (RFC 791, 3.1)', async () => {
    const { engine, fromAlice, packetsToBob } = await routerWorld({ mtuRight: 800 });
    // Loose source route (copied), record route (not), NOP.
    const options = hex('83 07 04 01020304  07 07 04 00000000  01 00');
    fromAlice(ipPacket({ ...ends, protocol: 99, flags: 0, options }, bytes(1400)));
    const sent = packetsToBob();
    expect(sent.map((packet) => packet.subarray(20, 36))).toEqual([
      options,
      hex('83 07 04 01020304  01 01 01 01010101  01 00'),
    ]);
    expect(sent.every((packet) => checksum(packet.subarray(0, 36)) === 0)).toBe(true);
    expectConserved(engine);
  });

  it('passes whole through a router without conntrack when its pieces fit', async () => {
    const { engine, fromAlice, packetsToBob } = await routerWorld();
    for (const packet of pieces([1480, 1480, 40]).reverse()) fromAlice(packet);
    expect(packetsToBob()).toEqual(pieces([1480, 1480, 40], { ttl: 63 }).reverse());
    expectConserved(engine);
  });
});

describe('the longest ping there is', () => {
  it('comes in 45 pieces and is answered in 45', async () => {
    const { engine, left, watch } = await routerWorld();
    const request = echo({ source: ALICE, destination: LEFT, flags: 0, id: 9 }, { size: 65507 });
    expect(request.length).toBe(65535);
    for (let at = 0; at < 65515; at += 1480) {
      const part = request.subarray(20 + at, 20 + Math.min(at + 1480, 65515));
      const flags = (at / 8) | (at + 1480 < 65515 ? MF : 0);
      const packet = ipPacket({ source: ALICE, destination: LEFT, protocol: 1, id: 9, flags }, part);
      engine.receive(left, ethernet(MAC.left, MAC.alice, IPV4, packet));
    }
    engine.run(SECOND);
    const sent = watch.sent(left).map((frame) => frame.subarray(14));
    expect(sent).toHaveLength(45);
    const whole = concat(...sent.map((packet) => packet.subarray(20)));
    expect(checksum(whole)).toBe(0);
    expect(Buffer.compare(whole.subarray(4), request.subarray(24))).toBe(0);
    expectConserved(engine);
  });
});
