/**
 * Connection tracking of UDP and ICMP (nf_conntrack_proto_udp.c, nf_conntrack_proto_icmp.c, nf_conntrack_core.c; timeouts as
 * the sysctls of the oracle's dumps have them), the table's limit, and drops of the filter table.
 */

import { describe, expect, it } from 'vitest';
import { echo, icmpPacket, tcpPacket, udpPacket } from '../engine/packets.js';
import { connectionsIn, SECOND } from '../engine/state.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, routerWorld, type World } from '../engine/world.js';

const ASK = { source: ALICE, destination: BOB, sport: 4000, dport: 53 };
const ANSWER = { source: BOB, destination: ALICE, sport: 53, dport: 4000 };
const PING = { source: ALICE, destination: BOB };
const PONG = { source: BOB, destination: ALICE };

async function tracking() {
  const world = await routerWorld();
  world.router.trackConnections();
  /** Seconds that each connection had left right after the packet at `time`. */
  const left = (time: number) =>
    connectionsIn(world.router).map(({ deadline }) => Math.round((deadline - time) / SECOND));
  return { ...world, left };
}

describe('a UDP flow', () => {
  it('is unreplied for 30 s, and replied for 30 s', async () => {
    const { engine, router, fromAlice, fromBob, left } = await tracking();
    fromAlice(udpPacket(ASK), 1 * SECOND);
    expect(left(1 * SECOND)).toEqual([30]);
    expect(connectionsIn(router)).toMatchObject([{ seenReply: false, assured: false }]);
    fromBob(udpPacket(ANSWER), 2 * SECOND);
    expect(left(2 * SECOND)).toEqual([30]);
    expect(connectionsIn(router)).toMatchObject([
      { original: `${ALICE}:4000 > ${BOB}:53`, reply: `${BOB}:53 > ${ALICE}:4000`, seenReply: true, assured: false },
    ]);
    expectConserved(engine);
  });

  it('is a stream, of 120 s and assured, once it is replied and two seconds old', async () => {
    const { router, fromAlice, fromBob, left } = await tracking();
    fromAlice(udpPacket(ASK), 10 * SECOND);
    fromBob(udpPacket(ANSWER), 10.1 * SECOND);
    fromAlice(udpPacket(ASK), 11.9 * SECOND);
    expect(left(11.9 * SECOND)).toEqual([30]);
    fromAlice(udpPacket(ASK), 12.1 * SECOND);
    expect(left(12.1 * SECOND)).toEqual([120]);
    expect(connectionsIn(router)).toMatchObject([{ assured: true }]);
    fromBob(udpPacket(ANSWER), 100 * SECOND);
    expect(left(100 * SECOND)).toEqual([120]);
  });

  it('that nobody answers never is one', async () => {
    const { router, fromAlice, left } = await tracking();
    for (const time of [1, 5, 9, 30].map((seconds) => seconds * SECOND)) {
      fromAlice(udpPacket(ASK), time);
      expect(left(time)).toEqual([30]);
    }
    expect(connectionsIn(router)).toMatchObject([{ seenReply: false, assured: false }]);
  });

  it('begins anew after its time', async () => {
    const { router, fromAlice, fromBob } = await tracking();
    fromAlice(udpPacket(ASK), 1 * SECOND);
    fromBob(udpPacket(ANSWER), 1.5 * SECOND);
    fromAlice(udpPacket(ASK), 31.6 * SECOND);
    expect(connectionsIn(router)).toMatchObject([{ seenReply: false }]);
  });

  it('whose checksum is wrong is INVALID and tracked by nobody; one without a checksum is tracked', async () => {
    const { router, fromAlice, toBob } = await tracking();
    const invalid = router.iptables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'ACCEPT' });
    const wrong = udpPacket(ASK);
    wrong[26] = (wrong[26] ?? 0) ^ 0xff;
    fromAlice(wrong);
    expect(connectionsIn(router)).toEqual([]);
    expect(invalid.packets).toBe(1);
    const none = udpPacket(ASK);
    none.fill(0, 26, 28);
    fromAlice(none);
    expect(connectionsIn(router)).toHaveLength(1);
    expect(toBob(), 'a router forwards either').toHaveLength(2);
  });
});

describe('a ping', () => {
  it('is tracked by its identifier, for 30 s from its last packet', async () => {
    const { engine, router, fromAlice, fromBob, left } = await tracking();
    fromAlice(echo(PING, { identifier: 7 }), 1 * SECOND);
    fromAlice(echo(PING, { identifier: 8 }), 1 * SECOND);
    expect(connectionsIn(router)).toHaveLength(2);
    fromBob(echo(PONG, { reply: true, identifier: 7 }), 4 * SECOND);
    expect(left(4 * SECOND).sort()).toEqual([27, 30]);
    expect(connectionsIn(router).filter(({ seenReply }) => seenReply)).toHaveLength(1);
    expectConserved(engine);
  });

  it('is not opened by a reply, nor by a type that asks nothing', async () => {
    const { router, fromBob } = await tracking();
    const invalid = router.iptables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'ACCEPT' });
    fromBob(echo(PONG, { reply: true }));
    fromBob(icmpPacket(PONG, { type: 14 }));
    fromBob(icmpPacket(PONG, { type: 9 }));
    fromBob(icmpPacket(PONG, { type: 42 }));
    expect(connectionsIn(router)).toEqual([]);
    expect(invalid.packets).toBe(4);
  });

  it.each([8, 13, 15, 17])('of type %i opens a connection', async (type) => {
    const { router, fromAlice } = await tracking();
    fromAlice(icmpPacket(PING, { type, rest: 0x00070001, payload: new Uint8Array(12) }));
    expect(connectionsIn(router)).toHaveLength(1);
  });
});

describe('an ICMP error', () => {
  const quoted = udpPacket(ASK).subarray(0, 28);
  const unreachable = (payload = quoted, ends = PONG) => icmpPacket(ends, { type: 3, code: 3, payload });

  it('about a packet of a connection is RELATED to it, and renews nothing', async () => {
    const { router, fromAlice, fromBob, left } = await tracking();
    const related = router.iptables.append('filter', 'FORWARD', { states: ['RELATED'], target: 'ACCEPT' });
    fromAlice(udpPacket(ASK), 1 * SECOND);
    fromBob(unreachable(), 5 * SECOND);
    expect(related.packets).toBe(1);
    expect(left(5 * SECOND)).toEqual([26]);
    expect(connectionsIn(router)).toMatchObject([{ seenReply: false }]);
  });

  it('about a packet of none is INVALID', async () => {
    const { router, fromBob } = await tracking();
    const invalid = router.iptables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'ACCEPT' });
    fromBob(unreachable());
    expect(invalid.packets).toBe(1);
  });

  it('that is not for whom the quoted packet came from is INVALID', async () => {
    const { router, fromAlice, fromBob } = await tracking();
    const invalid = router.iptables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'ACCEPT' });
    fromAlice(udpPacket(ASK));
    fromBob(unreachable(quoted, { source: BOB, destination: '10.0.1.77' }));
    expect(invalid.packets).toBe(1);
  });

  it('from a router in between is RELATED, too', async () => {
    const { router, fromAlice, fromBob } = await tracking();
    const related = router.iptables.append('filter', 'FORWARD', { states: ['RELATED'], target: 'ACCEPT' });
    fromAlice(udpPacket(ASK));
    fromBob(unreachable(quoted, { source: '10.0.2.99', destination: ALICE }));
    expect(related.packets).toBe(1);
  });
});

describe('states as rules see them', () => {
  it('are NEW until a reply was seen, then ESTABLISHED both ways', async () => {
    const { router, fromAlice, fromBob } = await tracking();
    const fresh = router.iptables.append('filter', 'FORWARD', { states: ['NEW'], target: 'ACCEPT' });
    const established = router.iptables.append('filter', 'FORWARD', { states: ['ESTABLISHED'], target: 'ACCEPT' });
    fromAlice(udpPacket(ASK));
    fromAlice(udpPacket(ASK));
    expect([fresh.packets, established.packets]).toEqual([2, 0]);
    fromBob(udpPacket(ANSWER));
    fromAlice(udpPacket(ASK));
    expect([fresh.packets, established.packets]).toEqual([2, 2]);
  });

  it('need no connection where nothing asked for tracking', async () => {
    const { router, fromAlice } = await routerWorld();
    fromAlice(udpPacket(ASK));
    expect(connectionsIn(router)).toEqual([]);
  });
});

describe('a full table (nf_conntrack_max)', () => {
  it('drops the packet that would open one more, where it came in, and lets known connections pass', async () => {
    const { engine, router, fromAlice, fromBob, toBob, toAlice, drops } = await tracking();
    router.set('connectionsMax', 2);
    fromAlice(udpPacket({ ...ASK, sport: 1 }));
    fromAlice(udpPacket({ ...ASK, sport: 2 }));
    fromAlice(udpPacket({ ...ASK, sport: 3 }));
    expect(drops()).toEqual(['node/router/left CONNTRACK_TABLE_FULL']);
    expect(toBob()).toHaveLength(2);
    fromBob(udpPacket({ ...ANSWER, dport: 2 }));
    expect(toAlice()).toHaveLength(1);
    expect(connectionsIn(router)).toHaveLength(2);
    expectConserved(engine);
  });

  it('has room again when one is over', async () => {
    const { router, fromAlice, toBob } = await tracking();
    router.set('connectionsMax', 1);
    fromAlice(udpPacket({ ...ASK, sport: 1 }), 1 * SECOND);
    fromAlice(udpPacket({ ...ASK, sport: 2 }), 2 * SECOND);
    expect(toBob()).toHaveLength(1);
    fromAlice(udpPacket({ ...ASK, sport: 3 }), 200 * SECOND);
    expect(toBob()).toHaveLength(1);
  });
});

describe('a packet that the filter table drops', () => {
  it.each([
    ['PREROUTING', 'mangle', 'node/router/left'],
    ['FORWARD', 'mangle', 'node/router/left'],
    ['FORWARD', 'filter', 'node/router/left'],
    ['POSTROUTING', 'mangle', 'node/router/left'],
  ] as const)('in %s of %s ends as NETFILTER_DROP at %s, and leaves no connection', async (chain, table, place) => {
    const { engine, router, fromAlice, toBob, drops } = await tracking();
    const rule = router.iptables.append(table, chain, { protocol: 'udp', target: 'DROP' });
    fromAlice(udpPacket(ASK));
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual([`${place} NETFILTER_DROP`]);
    expect([rule.packets, rule.bytes]).toEqual([1, udpPacket(ASK).length]);
    expect(connectionsIn(router)).toEqual([]);
    expect(router.get('connections')).toBe(0);
    expectConserved(engine);
  });

  it('by a policy is counted by the chain', async () => {
    const { router, fromAlice, drops } = await tracking();
    const chain = router.iptables.chain('filter', 'FORWARD');
    chain.policy = 'DROP';
    router.iptables.append('filter', 'FORWARD', { protocol: 'udp', dport: 53, target: 'ACCEPT' });
    fromAlice(udpPacket(ASK));
    expect(chain.packets).toBe(0);
    fromAlice(tcpPacket({ ...ASK, dport: 80 }, { flags: 'S' }));
    expect([chain.packets, chain.bytes]).toEqual([1, 40]);
    expect(drops()).toEqual(['node/router/left NETFILTER_DROP']);
  });

  it('to the namespace itself ends in INPUT at the device it came by', async () => {
    const { router, fromAlice, drops } = await tracking();
    router.iptables.chain('filter', 'INPUT').policy = 'DROP';
    fromAlice(echo({ source: ALICE, destination: '10.0.1.1' }));
    expect(drops()).toEqual(['node/router/left NETFILTER_DROP']);
  });
});

// A record has two keys in one table: taking one out must not hide another record from who walks through the table. With the
// ports of the first round it would, if he went up.
describe('of many connections', () => {
  const MANY = 1500;
  const ROUNDS = 4;
  /** Two thirds are to `port`, a third to the next, ten seconds later. */
  const crowd = ({ engine, fromAlice }: Pick<World, 'engine' | 'fromAlice'>, port: number) => {
    const ask = (i: number, dport: number) =>
      fromAlice(udpPacket({ ...ASK, sport: 1024 + i, dport }), engine.now + 1000);
    for (let i = 0; i < MANY; i++) if (i % 3) ask(i, port);
    engine.run(engine.now + 10 * SECOND);
    for (let i = 0; i < MANY; i += 3) ask(i, port + 1);
  };
  const rounds = Array.from({ length: ROUNDS }, (_, round) => 421 + 2 * round);

  it('the sweep takes each whose time is over, and no other', async () => {
    const world = await tracking();
    for (const port of rounds) {
      crowd(world, port);
      world.engine.run(world.engine.now + 25 * SECOND);
      expect(world.router.get('connections')).toBe(MANY / 3);
      world.engine.run(world.engine.now + 10 * SECOND);
      expect(world.router.get('connections')).toBe(0);
    }
  });

  it('`conntrack -D` takes each that it is asked to, and no other', async () => {
    const world = await tracking();
    for (const port of rounds) {
      crowd(world, port);
      expect(world.router.forgetDatagramsTo(port)).toBe((2 * MANY) / 3);
      expect(world.router.get('connections')).toBe(MANY / 3);
      world.engine.run(world.engine.now + 40 * SECOND);
    }
  });
});
