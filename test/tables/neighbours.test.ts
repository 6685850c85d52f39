/** ARP and the states of a neighbour (net/core/neighbour.c, net/ipv4/arp.c), against what a container really did. */

import { describe, expect, it } from 'vitest';
import type { Engine, Namespace } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import {
  ARP,
  arpPacket,
  BROADCAST,
  checksumsHold,
  concat,
  ethernet,
  hex,
  put16,
  u16,
  udpPacket,
} from '../engine/packets.js';
import { neighboursOn, SECOND } from '../engine/state.js';
import { dropsOf, expectConserved, inWords, Watch } from '../engine/watch.js';
import { ALICE, BOB, LEFT, routerWorld } from '../engine/world.js';

const MILLISECOND = SECOND / 1000;
const MAC = { one: '02:42:ac:11:00:02', two: '02:42:ac:11:00:03', three: '02:42:ac:11:00:04' };
const ONE = '172.17.0.2';
const TWO = '172.17.0.3';
const THREE = '172.17.0.4';

/** A container as Docker makes it: 172.17.0.2 on eth0, a /16; the other end of the wire says only what the test says. */
async function container() {
  const engine = await checkedEngine();
  const ct = engine.namespace('node1/ct-alpine1');
  const outside = engine.namespace('node1/host');
  outside.set('silent', 1);
  const [eth0] = ct.addVeth(
    'eth0',
    { mac: MAC.one, mtu: 1500 },
    { namespace: outside, name: 'veth', mac: '02:00:00:00:00:01', mtu: 1500 },
  );
  ct.addAddress(eth0, `${ONE}/16`);
  const lo = ct.device('lo');
  const watch = new Watch(engine, [eth0, lo]);
  const sentAt = () =>
    watch
      .frames(eth0)
      .filter(({ direction }) => direction === 'transmitted')
      .map(({ time, data }) => `${(time / SECOND).toFixed(3)} ${inWords(data)}`);
  const unicast = () =>
    watch
      .sent(eth0)
      .filter((frame) => u16(frame, 12) === ARP && (frame[0] ?? 0) !== 0xff)
      .map(inWords);
  return { engine, ct, eth0, lo, watch, sentAt, unicast };
}

type World = Awaited<ReturnType<typeof container>>;

function send({ engine, ct }: { engine: Engine; ct: Namespace }, destination: string, time: number, sport = 1): void {
  const packet = udpPacket({ source: ONE, destination, sport, dport: 2 });
  engine.sendFromSocket(ct, packet, { address: ONE, port: sport }, { address: destination, port: 2 }, time);
}

function reply(world: World, sender: { mac: string; address: string }, time: number): void {
  const message = arpPacket('reply', sender, { mac: MAC.one, address: ONE });
  world.engine.receive(world.eth0, ethernet(MAC.one, sender.mac, ARP, message), time);
}

function request(world: World, sender: { mac: string; address: string }, target: string, time: number): void {
  const message = arpPacket('request', sender, { address: target });
  world.engine.receive(world.eth0, ethernet(BROADCAST, sender.mac, ARP, message), time);
}

describe('an address that nobody has', () => {
  // ping -c 1 172.17.0.99 in a container on docker0; captured from Docker 20.10.
  const PING = concat(
    hex('45000054 3240 4000 4001 afe1 ac110002 ac110063  08000de9 002d0000 4fb49a35'),
    new Uint8Array(52),
  );
  const REQUEST = hex(
    'ffffffffffff 0242ac110002 0806  0001 0800 06 04 0001 0242ac110002 ac110002 000000000000 ac110063',
  );
  const ERROR = concat(
    hex('000000000000 000000000000 0800  45c00070 56f6 0000 4001 cab0 ac110002 ac110002  0301fcfe 00000000'),
    PING,
  );

  async function pinged() {
    const world = await container();
    const { engine, ct } = world;
    engine.sendFromSocket(ct, PING, { address: ONE, port: 0x2d }, { address: '172.17.0.99', port: 0x2d }, SECOND);
    engine.run(60 * SECOND);
    return world;
  }

  it('is asked for three times, a second apart, by the bytes that were captured', async () => {
    const { watch, eth0, engine } = await pinged();
    const frames = watch.frames(eth0);
    expect(frames.map(({ data }) => data)).toEqual([REQUEST, REQUEST, REQUEST]);
    const [first, second, third] = frames.map(({ time }) => time);
    expect((second ?? 0) - (first ?? 0)).toBeCloseTo(SECOND, -5);
    expect((third ?? 0) - (second ?? 0)).toBeCloseTo(SECOND, -5);
    expectConserved(engine);
  });

  it('is reported to the sender itself over lo after three seconds, by the bytes that were captured', async () => {
    const { watch, lo, engine } = await pinged();
    const [frame, ...more] = watch.frames(lo);
    expect(more).toEqual([]);
    expect((frame?.time ?? 0) / SECOND).toBeCloseTo(4, 3);
    const error = frame?.data.slice() ?? hex('');
    expect(checksumsHold(error.subarray(14))).toBe(true);
    // Its IP id is drawn at random, and the header's checksum with it.
    put16(error, 18, 0x56f6);
    put16(error, 24, 0xcab0);
    expect(error).toEqual(ERROR);
    expect(dropsOf(engine)).toEqual(['node1/ct-alpine1/eth0 NEIGH_FAILED']);
    expectConserved(engine);
  });

  it('has FAILED, and is asked for anew by the next packet', async () => {
    const world = await pinged();
    expect(neighboursOn(world.eth0)).toEqual({ '172.17.0.99': 'FAILED' });
    world.watch.clear();
    send(world, '172.17.0.99', 61 * SECOND);
    world.engine.run(61 * SECOND + MILLISECOND);
    expect(world.watch.sent(world.eth0)).toEqual([REQUEST]);
    expect(neighboursOn(world.eth0)).toEqual({ '172.17.0.99': 'INCOMPLETE' });
    expectConserved(world.engine, { inFlight: 1 });
  });

  it('is reported once for every packet that waited', async () => {
    const world = await container();
    for (let i = 1; i <= 3; i++) send(world, TWO, SECOND, i);
    world.engine.run(60 * SECOND);
    expect(world.watch.frames(world.lo).map(({ data }) => inWords(data))).toEqual(
      Array(3).fill(`${ONE} > ${ONE} ttl 64 icmp 3/1`),
    );
    expect(world.watch.sent(world.eth0)).toHaveLength(3);
    expect(dropsOf(world.engine)).toEqual(['node1/ct-alpine1/eth0 NEIGH_FAILED x3']);
    expectConserved(world.engine);
  });

  it('is reported to a host further away by the router', async () => {
    const { engine, router, left, fromAlice, toAlice, drops } = await routerWorld({ neighbours: false });
    router.addNeighbour(left, ALICE, '02:00:00:00:01:02');
    const packet = udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 });
    fromAlice(packet);
    engine.run(60 * SECOND);
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 3/1`]);
    expect(drops()).toEqual(['node/router/right NEIGH_FAILED']);
    expectConserved(engine);
  });
});

describe('a neighbour that answers', () => {
  it('gets what waited, in order, once its MAC is known, and is asked no more', async () => {
    const world = await container();
    for (let i = 1; i <= 3; i++) send(world, TWO, SECOND, i);
    reply(world, { mac: MAC.two, address: TWO }, 1.5 * SECOND);
    world.engine.run(4 * SECOND);
    expect(world.sentAt().map((line) => line.slice(6))).toEqual([
      `who has ${TWO} tell ${ONE}`,
      ...[1, 2, 3].map((sport) => `${ONE}:${sport} > ${TWO}:2 ttl 64 udp`),
    ]);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'REACHABLE' });
    expect(world.watch.sent(world.lo)).toEqual([]);
    expectConserved(world.engine);
  });

  it('is asked from the address that the waiting packet has', async () => {
    const world = await container();
    world.ct.addAddress(world.eth0, '172.17.9.9/16');
    const packet = udpPacket({ source: '172.17.9.9', destination: TWO, sport: 1, dport: 2 });
    world.engine.sendFromSocket(
      world.ct,
      packet,
      { address: '172.17.9.9', port: 1 },
      { address: TWO, port: 2 },
      SECOND,
    );
    world.engine.run(SECOND + MILLISECOND);
    expect(world.watch.sent(world.eth0).map(inWords)).toEqual([`who has ${TWO} tell 172.17.9.9`]);
    world.engine.run(60 * SECOND);
    expectConserved(world.engine);
  });

  it('finds 101 packets waiting at the most: the oldest goes, NEIGH_QUEUEFULL', async () => {
    const world = await container();
    for (let i = 1; i <= 101; i++) send(world, TWO, SECOND, i);
    world.engine.run(SECOND + MILLISECOND);
    expect(dropsOf(world.engine)).toEqual([]);
    send(world, TWO, SECOND + 2 * MILLISECOND, 102);
    send(world, TWO, SECOND + 3 * MILLISECOND, 103);
    world.engine.run(SECOND + 4 * MILLISECOND);
    expect(dropsOf(world.engine)).toEqual(['node1/ct-alpine1/eth0 NEIGH_QUEUEFULL x2']);
    expectConserved(world.engine, { inFlight: 101 });
    reply(world, { mac: MAC.two, address: TWO }, 1.5 * SECOND);
    world.engine.run(2 * SECOND);
    const ports = world.watch
      .sent(world.eth0)
      .slice(1)
      .map((frame) => u16(frame, 34));
    expect(ports).toEqual(Array.from({ length: 101 }, (_, i) => i + 3));
    expectConserved(world.engine);
  });
});

describe('a neighbour that was reachable', () => {
  async function known() {
    const world = await container();
    send(world, TWO, SECOND);
    reply(world, { mac: MAC.two, address: TWO }, SECOND + MILLISECOND);
    world.engine.run(2 * SECOND);
    world.watch.clear();
    return world;
  }

  it('is used without a question for 15 s at least', async () => {
    const world = await known();
    for (let t = 2; t < 16; t++) send(world, TWO, t * SECOND);
    world.engine.run(30 * SECOND);
    expect(world.unicast()).toEqual([]);
    expect(world.sentAt()).toHaveLength(14);
    expectConserved(world.engine);
  });

  it('is stale after 45 s at most: used all the same, and asked itself five seconds later', async () => {
    const world = await known();
    send(world, TWO, 50 * SECOND);
    world.engine.run(50 * SECOND + MILLISECOND);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'DELAY' });
    world.engine.run(55 * SECOND + MILLISECOND);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'PROBE' });
    expect(world.sentAt()).toEqual([`50.000 ${ONE}:1 > ${TWO}:2 ttl 64 udp`, `55.000 who has ${TWO} tell ${ONE}`]);
    // By unicast: docker0 asked a container so, five seconds after the container had asked it; captured.
    const [, probe] = world.watch.sent(world.eth0);
    expect(probe).toEqual(
      hex('0242ac110003 0242ac110002 0806  0001 0800 06 04 0001 0242ac110002 ac110002 000000000000 ac110003'),
    );
    world.engine.run(120 * SECOND);
    expectConserved(world.engine);
  });

  it('is reachable again when it answers the probe, and asked no more', async () => {
    const world = await known();
    send(world, TWO, 50 * SECOND);
    reply(world, { mac: MAC.two, address: TWO }, 55.5 * SECOND);
    world.engine.run(56 * SECOND);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'REACHABLE' });
    world.engine.run(120 * SECOND);
    expect(world.unicast()).toHaveLength(1);
    expectConserved(world.engine);
  });

  it('has failed when it does not answer three probes, a second apart; meanwhile it is still used', async () => {
    const world = await known();
    send(world, TWO, 50 * SECOND);
    send(world, TWO, 56.5 * SECOND, 9);
    world.engine.run(120 * SECOND);
    expect(world.sentAt()).toEqual([
      `50.000 ${ONE}:1 > ${TWO}:2 ttl 64 udp`,
      `55.000 who has ${TWO} tell ${ONE}`,
      `56.000 who has ${TWO} tell ${ONE}`,
      `56.500 ${ONE}:9 > ${TWO}:2 ttl 64 udp`,
      `57.000 who has ${TWO} tell ${ONE}`,
    ]);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'FAILED' });
    expectConserved(world.engine);
  });

  it('is not asked when its answer comes within the five seconds', async () => {
    const world = await known();
    send(world, TWO, 50 * SECOND);
    reply(world, { mac: MAC.two, address: TWO }, 52 * SECOND);
    world.engine.run(60 * SECOND);
    expect(world.unicast()).toEqual([]);
    expectConserved(world.engine);
  });

  it('gets its frames at the new MAC when a reply tells one', async () => {
    const world = await known();
    reply(world, { mac: MAC.three, address: TWO }, 10 * SECOND);
    send(world, TWO, 11 * SECOND);
    world.engine.run(12 * SECOND);
    expect(world.watch.sent(world.eth0).map((frame) => frame.slice(0, 6))).toEqual([hex('0242ac110004')]);
    expectConserved(world.engine);
  });
});

describe('a request from a neighbour', () => {
  it('for us is answered, and teaches its MAC: stale, so that it is asked before long', async () => {
    const world = await container();
    request(world, { mac: MAC.two, address: TWO }, ONE, SECOND);
    world.engine.run(2 * SECOND);
    expect(world.watch.sent(world.eth0)).toEqual([
      hex('0242ac110003 0242ac110002 0806  0001 0800 06 04 0002 0242ac110002 ac110002 0242ac110003 ac110003'),
    ]);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'STALE' });
    send(world, TWO, 3 * SECOND);
    world.engine.run(8.5 * SECOND);
    expect(world.sentAt().slice(1)).toEqual([
      `3.000 ${ONE}:1 > ${TWO}:2 ttl 64 udp`,
      `8.000 who has ${TWO} tell ${ONE}`,
    ]);
    world.engine.run(60 * SECOND);
    expectConserved(world.engine);
  });

  it('for somebody else teaches nothing about a stranger', async () => {
    const world = await container();
    request(world, { mac: MAC.two, address: TWO }, THREE, SECOND);
    world.engine.run(2 * SECOND);
    expect(neighboursOn(world.eth0)).toEqual({});
    expect(world.watch.sent(world.eth0)).toEqual([]);
    expectConserved(world.engine);
  });

  it('for somebody else teaches the new MAC of one that is known', async () => {
    const world = await container();
    request(world, { mac: MAC.two, address: TWO }, ONE, SECOND);
    request(world, { mac: MAC.three, address: TWO }, THREE, 10 * SECOND);
    send(world, TWO, 11 * SECOND);
    world.engine.run(12 * SECOND);
    expect(world.watch.sent(world.eth0).at(-1)?.slice(0, 6)).toEqual(hex('0242ac110004'));
    world.engine.run(60 * SECOND);
    expectConserved(world.engine);
  });

  it('whose MAC is known leaves a reachable one reachable', async () => {
    const world = await container();
    send(world, TWO, SECOND);
    reply(world, { mac: MAC.two, address: TWO }, SECOND + MILLISECOND);
    request(world, { mac: MAC.two, address: TWO }, ONE, 2 * SECOND);
    world.engine.run(3 * SECOND);
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'REACHABLE' });
    expectConserved(world.engine);
  });

  it('releases what waits for it: it is as good as an answer', async () => {
    const world = await container();
    send(world, TWO, SECOND);
    request(world, { mac: MAC.two, address: TWO }, ONE, 1.5 * SECOND);
    world.engine.run(2 * SECOND);
    expect(world.watch.sent(world.eth0).map(inWords)).toContain(`${ONE}:1 > ${TWO}:2 ttl 64 udp`);
    world.engine.run(60 * SECOND);
    expectConserved(world.engine);
  });

  it('without an address of its own is answered (RFC 5227, 2.1.1: a probe), and nothing is learned of it', async () => {
    const world = await container();
    request(world, { mac: MAC.two, address: '0.0.0.0' }, ONE, SECOND);
    world.engine.run(2 * SECOND);
    expect(world.watch.sent(world.eth0).map(inWords)).toEqual([`${ONE} is at ${MAC.one}`]);
    expect(neighboursOn(world.eth0)).toEqual({});
    expectConserved(world.engine);
  });
});

describe('a reply that nobody asked for', () => {
  it('is not believed (arp_accept 0)', async () => {
    const world = await container();
    reply(world, { mac: MAC.two, address: TWO }, SECOND);
    world.engine.run(2 * SECOND);
    expect(neighboursOn(world.eth0)).toEqual({});
    expectConserved(world.engine);
  });

  it('does not move a permanent neighbour', async () => {
    const world = await container();
    world.ct.addNeighbour(world.eth0, TWO, MAC.two);
    reply(world, { mac: MAC.three, address: TWO }, SECOND);
    request(world, { mac: MAC.three, address: TWO }, ONE, 2 * SECOND);
    send(world, TWO, 3 * SECOND);
    world.engine.run(100 * SECOND);
    expect(world.watch.sent(world.eth0).at(-1)?.slice(0, 6)).toEqual(hex('0242ac110003'));
    expect(neighboursOn(world.eth0)).toEqual({ [TWO]: 'PERMANENT' });
    expectConserved(world.engine);
  });
});

describe('ARP that is none', () => {
  it.each([
    ['too short', (message: Uint8Array) => message.slice(0, 27)],
    ['not for Ethernet', (message: Uint8Array) => message.with(1, 6)],
    ['not for IPv4', (message: Uint8Array) => message.with(2, 0x86)],
    ['an operation that is neither request nor reply', (message: Uint8Array) => message.with(7, 3)],
    ['for a multicast address', (message: Uint8Array) => message.with(24, 224)],
    ['for a loopback address', (message: Uint8Array) => message.with(24, 127)],
  ])('is dropped: %s', async (_, change) => {
    const world = await container();
    const message = change(arpPacket('request', { mac: MAC.two, address: TWO }, { address: ONE }));
    world.engine.receive(world.eth0, ethernet(BROADCAST, MAC.two, ARP, message), SECOND);
    world.engine.run(2 * SECOND);
    expect(world.watch.sent(world.eth0)).toEqual([]);
    expect(dropsOf(world.engine)).toEqual(['node1/ct-alpine1/eth0 ARP_INVALID']);
    expectConserved(world.engine);
  });

  it('or is for another MAC is not ours to answer', async () => {
    const world = await container();
    const message = arpPacket('request', { mac: MAC.two, address: TWO }, { address: ONE });
    world.engine.receive(world.eth0, ethernet(MAC.three, MAC.two, ARP, message), SECOND);
    world.engine.run(2 * SECOND);
    expect(world.watch.sent(world.eth0)).toEqual([]);
    expect(dropsOf(world.engine)).toEqual(['node1/ct-alpine1/eth0 OTHERHOST']);
    expectConserved(world.engine);
  });
});

it('a datagram leaves in order and after the answer, when its first fragment had to ask', async () => {
  const engine = await checkedEngine();
  const [one, two] = [engine.namespace('node1/ct-one'), engine.namespace('node1/ct-two')];
  const [eth0, peer] = one.addVeth(
    'eth0',
    { mac: MAC.one, mtu: 1400 },
    { namespace: two, name: 'eth0', mac: MAC.two, mtu: 1400 },
  );
  one.addAddress(eth0, `${ONE}/16`);
  two.addAddress(peer, `${TWO}/16`);
  const watch = new Watch(engine, [eth0]);
  const packet = udpPacket({ source: ONE, destination: TWO, sport: 1, dport: 2, flags: 0 }, 'x'.repeat(4000));
  engine.sendFromSocket(one, packet, { address: ONE, port: 1 }, { address: TWO, port: 2 }, SECOND);
  engine.run(SECOND + MILLISECOND);
  const seen = watch.frames(eth0).slice(0, 5);
  const offsets = seen.map(({ data }) => (u16(data, 12) === ARP ? 'arp' : 8 * (u16(data, 20) & 0x1fff)));
  expect(offsets).toEqual(['arp', 'arp', 0, 1376, 2752]);
  expect(seen.map(({ time }) => time)).toEqual(seen.map(({ time }) => time).sort((a, b) => a - b));
  expectConserved(engine);
});
