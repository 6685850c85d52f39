/** ICMP: what is answered, what errors say, and what none is sent about (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3). */

import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import {
  addressText,
  BROADCAST,
  checksumsHold,
  concat,
  echo,
  ethernet,
  hex,
  IPV4,
  icmpPacket,
  ipPacket,
  put16,
  tcpPacket,
  u16,
  udpPacket,
} from '../engine/packets.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';
import { ALICE, BOB, LEFT, MAC, RIGHT, routerWorld } from '../engine/world.js';

/** A host at `address` that gets one real frame; what it sends back, with IP id and header checksum of the captured answer. */
async function answerTo(
  host: { mac: string; address: string },
  peer: { mac: string; address: string },
  frame: Uint8Array,
  captured: Uint8Array,
): Promise<{ engine: Engine; answer: Uint8Array[] }> {
  const engine = await checkedEngine();
  const namespace = engine.namespace('node/host');
  const other = engine.namespace('node/peer');
  const [eth0, there] = namespace.addVeth(
    'eth0',
    { mac: host.mac, mtu: 1500 },
    { namespace: other, name: 'eth0', mac: peer.mac, mtu: 1500 },
  );
  other.set('silent', 1);
  other.addAddress(there, `${peer.address}/24`);
  namespace.addAddress(eth0, `${host.address}/24`);
  // Where the packets of the outside would go on.
  namespace.addRoute('203.0.113.0/24', eth0, peer.address);
  namespace.set('forward', 1);
  namespace.addNeighbour(eth0, peer.address, peer.mac);
  const watch = new Watch(engine, [eth0]);
  engine.receive(eth0, frame);
  engine.run(1e9);
  const answer = watch.sent(eth0).map((frame) => {
    expect(checksumsHold(frame.subarray(14)), 'checksums').toBe(true);
    const bytes = frame.slice();
    put16(bytes, 18, u16(captured, 18));
    put16(bytes, 24, u16(captured, 24));
    return bytes;
  });
  return { engine, answer };
}

describe('what Linux answered, captured from Docker 20.10', () => {
  const zeros = (n: number) => new Uint8Array(n);

  it('docker0 tells a container that its TTL is over: ping -t 1', async () => {
    const ping = concat(
      hex(
        '0242d75b4a0c 0242ac110003 0800  45000054 918e 4000 0101 fffb ac110003 cb00710a  0800 0a9f 000d0000 f61df735',
      ),
      zeros(52),
    );
    const error = concat(
      hex('0242ac110003 0242d75b4a0c 0800  45c00070 2dbe 0000 4001 f3e8 ac110001 ac110003  0b00 f4ff 00000000'),
      ping.subarray(14),
    );
    const { engine, answer } = await answerTo(
      { mac: '02:42:d7:5b:4a:0c', address: '172.17.0.1' },
      { mac: '02:42:ac:11:00:03', address: '172.17.0.3' },
      ping,
      error,
    );
    expect(answer).toEqual([error]);
    expect(dropsOf(engine)).toEqual(['node/host/eth0 IP_TTL_EXPIRED']);
    expectConserved(engine);
  });

  it('a task tells that its port is closed: the whole datagram is quoted', async () => {
    const datagram = hex(`02420a000403 02420a000404 0800  4500003a 8007 4000 4011 9ea5 0a000404 0a000403
      8a0e 270e 0026 c0fe 4142434445464748494a4b4c4d4e4f505152535455565758595a41424344`);
    const error = concat(
      hex('02420a000404 02420a000403 0800  45c00056 de25 0000 4001 7fbb 0a000403 0a000404  0303 193b 00000000'),
      datagram.subarray(14),
    );
    const { engine, answer } = await answerTo(
      { mac: '02:42:0a:00:04:03', address: '10.0.4.3' },
      { mac: '02:42:0a:00:04:04', address: '10.0.4.4' },
      datagram,
      error,
    );
    expect(answer).toEqual([error]);
    expect(dropsOf(engine)).toEqual(['node/host/eth0 NO_SOCKET']);
    expectConserved(engine);
  });

  it('a router tells that it knows no way to a network', async () => {
    const ping = concat(
      hex(
        '525400000002 0242ac105602 0800  45000054 2319 4000 4001 f166 ac105602 c0a8636e  0800 e86c 001b0000 6b99a3de',
      ),
      zeros(52),
    );
    const error = concat(
      hex('0242ac105602 525400000002 0800  45c00070 70b3 0000 4001 04f6 ac105601 ac105602  0300 fcff 00000000'),
      ping.subarray(14),
    );
    const { engine, answer } = await answerTo(
      { mac: '52:54:00:00:00:02', address: '172.16.86.1' },
      { mac: '02:42:ac:10:56:02', address: '172.16.86.2' },
      ping,
      error,
    );
    expect(answer).toEqual([error]);
    expect(dropsOf(engine)).toEqual(['node/host/eth0 IP_IN_NO_ROUTE']);
    expectConserved(engine);
  });

  it('a container answers a ping: same identifier, sequence, data and TOS, no DF', async () => {
    const ping = concat(
      hex(
        '0242ac110003 0242ac110002 0800  45000054 3fe8 4000 4001 a299 ac110002 ac110003  0800 0cc1 0007 0000 6b038034',
      ),
      zeros(52),
    );
    const { engine, answer } = await answerTo(
      { mac: '02:42:ac:11:00:03', address: '172.17.0.3' },
      { mac: '02:42:ac:11:00:02', address: '172.17.0.2' },
      ping,
      ping,
    );
    const [reply = hex('')] = answer;
    // RFC 792: addresses swapped, type 0, checksum anew; icmp_echo: tos as it came, flags clear.
    expect(reply.subarray(0, 18)).toEqual(hex('0242ac110002 0242ac110003 0800 4500 0054'));
    expect(reply.subarray(20, 24)).toEqual(hex('0000 4001'));
    expect(reply.subarray(26)).toEqual(concat(hex('ac110003 ac110002  0000 14c1 0007 0000 6b038034'), zeros(52)));
    expectConserved(engine);
  });
});

describe('an echo', () => {
  it.each([0, 0x10, 0x88, 0xb8])('keeps TOS %i and any data, and has a TTL of its own', async (tos) => {
    const { engine, fromAlice, packetsToAlice } = await routerWorld();
    for (const size of [0, 1, 56, 1400]) {
      const request = echo(
        { source: ALICE, destination: LEFT, tos, ttl: 3 },
        { identifier: 0xabcd, sequence: 9, size },
      );
      fromAlice(request);
      const [reply = hex('')] = packetsToAlice();
      expect(checksumsHold(reply)).toBe(true);
      expect([reply[1], reply[8], reply[20], u16(reply, 24), u16(reply, 26)]).toEqual([tos, 64, 0, 0xabcd, 9]);
      expect(reply.subarray(28)).toEqual(request.subarray(28));
    }
    expectConserved(engine);
  });

  it('to a broadcast address is not answered (icmp_echo_ignore_broadcasts)', async () => {
    const { engine, left, toAlice } = await routerWorld();
    for (const destination of ['10.0.1.255', '255.255.255.255']) {
      engine.receive(left, ethernet(BROADCAST, MAC.alice, IPV4, echo({ source: ALICE, destination })));
    }
    engine.run(1e9);
    expect(toAlice()).toEqual([]);
    expectConserved(engine);
  });
});

const ends = { source: ALICE, destination: BOB, sport: 4000, dport: 53 };

describe('a packet on its way', () => {
  it('loses one of its TTL', async () => {
    const { engine, fromAlice, toBob } = await routerWorld();
    fromAlice(udpPacket({ ...ends, ttl: 2 }));
    expect(toBob()).toEqual([`${ALICE}:4000 > ${BOB}:53 ttl 1 udp`]);
    expectConserved(engine);
  });

  it.each([1, 0])('with TTL %i is dropped, and its sender told: time exceeded in transit', async (ttl) => {
    const { engine, fromAlice, packetsToAlice, toBob, drops } = await routerWorld();
    const packet = udpPacket({ ...ends, ttl });
    fromAlice(packet);
    const [error = hex('')] = packetsToAlice();
    expect([error[20], error[21]]).toEqual([11, 0]);
    expect(error.subarray(28), 'the quote, TTL as it came').toEqual(packet);
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual(['node/router/left IP_TTL_EXPIRED']);
    expectConserved(engine);
  });

  it('with TTL 1 for the host itself has arrived', async () => {
    const { fromAlice, toAlice } = await routerWorld();
    fromAlice(echo({ source: ALICE, destination: LEFT, ttl: 1 }));
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 0/0`]);
  });

  it('that is too long for the way out, with DF, is dropped, and its sender told the MTU (RFC 1191)', async () => {
    const { engine, fromAlice, packetsToAlice, toBob, drops } = await routerWorld({ mtuRight: 1450 });
    const packet = udpPacket(ends, new Uint8Array(1423));
    expect(packet.length).toBe(1451);
    fromAlice(packet);
    const [error = hex('')] = packetsToAlice();
    expect(checksumsHold(error)).toBe(true);
    expect(addressText(error, 12)).toBe(LEFT);
    expect(error.subarray(20, 22)).toEqual(hex('03 04'));
    expect(error.subarray(24, 28)).toEqual(hex('0000 05aa'));
    expect(error.length, 'RFC 1812, 4.3.2.3').toBe(576);
    expect(error.subarray(28)).toEqual(packet.subarray(0, 548));
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual(['node/router/left PKT_TOO_BIG']);
    expectConserved(engine);
  });

  it('that just fits passes', async () => {
    const { fromAlice, packetsToBob } = await routerWorld({ mtuRight: 1450 });
    fromAlice(udpPacket(ends, new Uint8Array(1422)));
    expect(packetsToBob().map(({ length }) => length)).toEqual([1450]);
  });
});

describe('an error', () => {
  it('has TOS c0 over the packet’s, TTL 64, no DF, the host’s own address, and right checksums', async () => {
    const { engine, fromAlice, packetsToAlice } = await routerWorld();
    fromAlice(udpPacket({ source: ALICE, destination: RIGHT, sport: 1, dport: 2, tos: 0x11 }));
    const [error = hex('')] = packetsToAlice();
    expect(checksumsHold(error)).toBe(true);
    // icmp_send: precedence "internetwork control" over the TOS bits 1e.
    expect([error[1], u16(error, 6), error[8], error[9]]).toEqual([0xc0 | 0x10, 0, 64, 1]);
    expect(addressText(error, 12), 'the address that was asked').toBe(RIGHT);
    expect(error.subarray(20, 22)).toEqual(hex('03 03'));
    expectConserved(engine);
  });

  it('says that a protocol is not spoken: 3/2', async () => {
    const { engine, fromAlice, toAlice, drops } = await routerWorld();
    fromAlice(ipPacket({ source: ALICE, destination: LEFT, protocol: 47 }, new Uint8Array(20)));
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 3/2`]);
    expect(drops()).toEqual(['node/router/left IP_NOPROTO']);
    expectConserved(engine);
  });

  it('quotes options as well', async () => {
    const { fromAlice, packetsToAlice } = await routerWorld();
    const packet = udpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2, options: hex('94040000') });
    fromAlice(packet);
    expect(packetsToAlice().map((error) => error.subarray(28))).toEqual([packet]);
  });

  it('quotes at most what makes it 576 bytes long', async () => {
    const { fromAlice, packetsToAlice } = await routerWorld();
    for (const size of [519, 520, 521, 1400]) {
      fromAlice(udpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }, new Uint8Array(size)));
    }
    expect(packetsToAlice().map(({ length }) => length)).toEqual([575, 576, 576, 576]);
  });
});

describe('no error is sent', () => {
  async function silentAbout(packet: Uint8Array, mac = MAC.left) {
    const world = await routerWorld();
    world.engine.receive(world.left, ethernet(mac, MAC.alice, IPV4, packet));
    world.engine.run(1e9);
    expect([world.toAlice(), world.toBob()]).toEqual([[], []]);
    expectConserved(world.engine);
    return dropsOf(world.engine);
  }

  const expired = { source: ALICE, destination: BOB, ttl: 1 };
  it.each([3, 4, 5, 11, 12])('about an error: type %i', async (type) => {
    expect(await silentAbout(icmpPacket(expired, { type, payload: udpPacket(ends) }))).toEqual([
      'node/router/left IP_TTL_EXPIRED',
    ]);
  });
  it.each([1, 2, 6, 7, 9, 10, 19, 40, 255])('about ICMP of the unknown type %i, which may be one', async (type) => {
    await silentAbout(icmpPacket(expired, { type }));
  });
  it.each([0, 8, 13, 14, 17, 18])('but about ICMP type %i, which asks or answers, it is', async (type) => {
    const { fromAlice, toAlice } = await routerWorld();
    fromAlice(icmpPacket(expired, { type }));
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 11/0`]);
  });

  it('about a later fragment', async () => {
    expect(await silentAbout(ipPacket({ ...expired, flags: 185 }, new Uint8Array(64)))).toEqual([
      'node/router/left IP_TTL_EXPIRED',
    ]);
  });
  it('but about the first fragment it is', async () => {
    const { fromAlice, toAlice } = await routerWorld();
    fromAlice(ipPacket({ ...expired, flags: 0x2000 }, new Uint8Array(64)));
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 11/0`]);
  });

  it.each(['255.255.255.255', '10.0.1.255'])('about a datagram to %s', async (destination) => {
    expect(await silentAbout(udpPacket({ source: ALICE, destination, sport: 1, dport: 2 }), BROADCAST)).toEqual([
      'node/router/left NO_SOCKET',
    ]);
  });
  it('about a protocol that is not spoken, to a broadcast address', async () => {
    const packet = ipPacket({ source: ALICE, destination: '10.0.1.255', protocol: 47 }, new Uint8Array(20));
    expect(await silentAbout(packet, BROADCAST)).toEqual(['node/router/left IP_NOPROTO']);
  });
  it('to a sender that is no single host', async () => {
    await silentAbout(udpPacket({ source: '10.0.1.255', destination: LEFT, sport: 1, dport: 2 }));
    await silentAbout(udpPacket({ source: '0.0.0.0', destination: '255.255.255.255', sport: 1, dport: 2 }), BROADCAST);
  });
  it('about a RST', async () => {
    const packet = tcpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }, { flags: 'R' });
    expect(await silentAbout(packet)).toEqual(['node/router/left NO_SOCKET']);
  });
  it('by a namespace that is silent', async () => {
    const { engine, router, fromAlice, toAlice } = await routerWorld();
    router.set('silent', 1);
    fromAlice(udpPacket({ ...ends, ttl: 1 }));
    fromAlice(udpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }));
    expect(toAlice()).toEqual([]);
    expectConserved(engine);
  });
});
