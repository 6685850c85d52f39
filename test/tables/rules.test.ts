/** Rule chains: order, jumps and returns, policies, counters, and every match with its inverse (ipt_do_table). */

import { describe, expect, it } from 'vitest';
import { Namespace as NamespaceLayout, Rule as RuleLayout } from '../../src/engine/generated/layout.js';
import type { Rule, RuleSpec } from '../../src/engine/index.js';
import { concat, echo, hex, icmpPacket, ipPacket, tcpPacket, udpPacket } from '../engine/packets.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, RIGHT, routerWorld, type World } from '../engine/world.js';

const packet = (dport = 80) => udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport });
const passed = (dport = 80) => `${ALICE}:4000 > ${BOB}:${dport} ttl 63 udp`;
const HEADERS = 28;
const PAYLOAD = 'payload'.length;

/** A router whose FORWARD drops what no rule takes. */
async function strict() {
  const world = await routerWorld();
  const { iptables } = world.router;
  iptables.chain('filter', 'FORWARD').policy = 'DROP';
  const append = (chain: string, spec: RuleSpec) => iptables.append('filter', chain, spec);
  const insert = (spec: RuleSpec, at?: number) => iptables.insert('filter', 'FORWARD', spec, at);
  return { ...world, iptables, append, insert };
}

const counters = (...rules: Rule[]) => rules.map(({ packets }) => packets);

describe('a chain', () => {
  it('asks its rules in order; the first verdict holds', async () => {
    const { engine, append, fromAlice, toBob, drops } = await strict();
    const drop = append('FORWARD', { protocol: 'tcp', target: 'DROP' });
    const accept = append('FORWARD', { protocol: 'udp', target: 'ACCEPT' });
    const late = append('FORWARD', { protocol: 'udp', target: 'DROP' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    expect(counters(drop, accept, late)).toEqual([0, 1, 0]);
    expect(drops()).toEqual([]);
    expectConserved(engine);
  });

  it('drops where its policy says so: NETFILTER_DROP, at the device that the packet came by', async () => {
    const { engine, fromAlice, fromBob, toAlice, toBob, drops } = await strict();
    fromAlice(packet());
    fromBob(udpPacket({ source: BOB, destination: ALICE, sport: 1, dport: 2 }));
    expect([toAlice(), toBob()]).toEqual([[], []]);
    expect(drops()).toEqual(['node/router/left NETFILTER_DROP', 'node/router/right NETFILTER_DROP']);
    expectConserved(engine);
  });

  it('takes a rule in at the front, in the middle and past the end', async () => {
    const { iptables, insert, fromAlice, toBob } = await strict();
    const spec = (dport: number, target: 'ACCEPT' | 'DROP') => ({ protocol: 'udp', dport, target }) as const;
    insert(spec(80, 'DROP'));
    fromAlice(packet());
    expect(toBob()).toEqual([]);
    const front = insert(spec(80, 'ACCEPT'));
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    const middle = insert({ protocol: 'udp', target: 'RETURN' }, 1);
    const end = insert(spec(81, 'ACCEPT'), 99);
    fromAlice(packet(81));
    expect(toBob()).toEqual([]);
    expect(counters(front, middle, end)).toEqual([1, 1, 0]);
    expect(iptables.chain('filter', 'FORWARD').rules.map(({ spec }) => spec.target)).toEqual([
      'ACCEPT',
      'RETURN',
      'DROP',
      'ACCEPT',
    ]);
  });

  it('forgets a rule that is removed, first, middle or last, and no other', async () => {
    const { append, fromAlice, toBob } = await strict();
    const rules = [1, 2, 3, 4].map((dport) => append('FORWARD', { protocol: 'udp', dport, target: 'ACCEPT' }));
    const works = () => {
      for (const dport of [1, 2, 3, 4]) fromAlice(packet(dport));
      return toBob().map((line) => Number(/:(\d) ttl/.exec(line)?.[1]));
    };
    expect(works()).toEqual([1, 2, 3, 4]);
    rules[1]?.remove();
    expect(works()).toEqual([1, 3, 4]);
    rules[3]?.remove();
    expect(works()).toEqual([1, 3]);
    rules[0]?.remove();
    expect(works()).toEqual([3]);
    append('FORWARD', { protocol: 'udp', dport: 2, target: 'ACCEPT' });
    expect(works()).toEqual([2, 3]);
    rules[2]?.remove();
    expect(works()).toEqual([2]);
  });
});

describe('a jump', () => {
  it('comes back after the last rule, to the one behind it', async () => {
    const { append, fromAlice, toBob } = await strict();
    const jump = append('FORWARD', { target: 'JUMP', chain: 'USER' });
    const after = append('FORWARD', { target: 'ACCEPT' });
    const inside = append('USER', { protocol: 'tcp', target: 'DROP' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    expect(counters(jump, inside, after)).toEqual([1, 0, 1]);
  });

  it('is not taken back by a verdict inside', async () => {
    const { append, fromAlice, toBob } = await strict();
    append('FORWARD', { target: 'JUMP', chain: 'USER' });
    const after = append('FORWARD', { target: 'DROP' });
    append('USER', { target: 'ACCEPT' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    expect(counters(after)).toEqual([0]);
  });

  it('into an empty chain changes nothing', async () => {
    const { iptables, append, fromAlice, toBob } = await strict();
    iptables.chain('filter', 'EMPTY');
    append('FORWARD', { target: 'JUMP', chain: 'EMPTY' });
    append('FORWARD', { target: 'ACCEPT' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
  });

  it('nests, and each return goes one chain up', async () => {
    const { append, fromAlice, toBob } = await strict();
    append('FORWARD', { target: 'JUMP', chain: 'ONE' });
    const top = append('FORWARD', { target: 'ACCEPT' });
    append('ONE', { target: 'JUMP', chain: 'TWO' });
    const one = append('ONE', { target: 'RETURN' });
    const skippedInOne = append('ONE', { target: 'DROP' });
    append('TWO', { target: 'JUMP', chain: 'THREE' });
    const two = append('TWO', { protocol: 'udp', target: 'RETURN' });
    const skippedInTwo = append('TWO', { target: 'DROP' });
    const three = append('THREE', { protocol: 'tcp', target: 'DROP' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    expect(counters(top, one, two, three)).toEqual([1, 1, 1, 0]);
    expect(counters(skippedInOne, skippedInTwo)).toEqual([0, 0]);
  });

  it('goes sixteen chains deep and comes back from all of them', async () => {
    const { append, fromAlice, toBob } = await strict();
    append('FORWARD', { target: 'JUMP', chain: 'C1' });
    for (let i = 1; i < 16; i++) append(`C${i}`, { target: 'JUMP', chain: `C${i + 1}` });
    const deepest = append('C16', { protocol: 'tcp', target: 'DROP' });
    const accept = append('FORWARD', { target: 'ACCEPT' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    expect(counters(deepest, accept)).toEqual([0, 1]);
  });

  it('into one chain from two places comes back to each', async () => {
    const { append, fromAlice, toBob } = await strict();
    append('FORWARD', { target: 'JUMP', chain: 'COUNT' });
    append('FORWARD', { target: 'JUMP', chain: 'COUNT' });
    append('FORWARD', { target: 'ACCEPT' });
    const inside = append('COUNT', { target: 'RETURN' });
    fromAlice(packet());
    expect(toBob()).toEqual([passed()]);
    expect(counters(inside)).toEqual([2]);
  });
});

describe('RETURN in a base chain', () => {
  it.each(['ACCEPT', 'DROP'] as const)('meets the policy at once: %s', async (policy) => {
    const { iptables, append, fromAlice, toBob } = await strict();
    const chain = iptables.chain('filter', 'FORWARD');
    chain.policy = policy;
    append('FORWARD', { target: 'RETURN' });
    const after = append('FORWARD', { target: policy === 'DROP' ? 'ACCEPT' : 'DROP' });
    fromAlice(packet());
    expect(toBob()).toEqual(policy === 'ACCEPT' ? [passed()] : []);
    expect([chain.packets, ...counters(after)]).toEqual([1, 0]);
  });
});

describe('counters', () => {
  it('count packets and bytes from the IP header on, on rules and on the policy', async () => {
    const { iptables, append, fromAlice } = await strict();
    const chain = iptables.chain('filter', 'FORWARD');
    const rule = append('FORWARD', { protocol: 'udp', dport: 80, target: 'ACCEPT' });
    fromAlice(packet(80));
    fromAlice(packet(80));
    fromAlice(packet(81));
    expect([rule.packets, rule.bytes]).toEqual([2, 2 * (HEADERS + PAYLOAD)]);
    expect([chain.packets, chain.bytes]).toEqual([1, HEADERS + PAYLOAD]);
  });

  it('leave the policy alone when a rule has spoken', async () => {
    const { iptables, append, fromAlice } = await strict();
    append('FORWARD', { target: 'ACCEPT' });
    fromAlice(packet());
    expect(iptables.chain('filter', 'FORWARD').packets).toBe(0);
  });

  it('do not count Ethernet’s padding', async () => {
    const { append, fromAlice } = await strict();
    const rule = append('FORWARD', { target: 'ACCEPT' });
    fromAlice(concat(udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }, 'x'), new Uint8Array(17)));
    expect(rule.bytes).toBe(29);
  });
});

// --- Matches ---

const MATCH = {
  PROTOCOL: 16,
  SPORT: 32,
  DPORT: 64,
  STATE: 128,
  SOURCE_TYPE: 256,
  DESTINATION_TYPE: 512,
  IPVS: 1024,
  MARK: 2048,
};

/** `!` where a RuleSpec has no name for it. */
function negate(rule: Rule, bit: number): void {
  const { memory } = rule.chain.engine;
  memory.set(rule.at, RuleLayout.invert, memory.get(rule.at, RuleLayout.invert) | bit);
}

interface Case {
  name: string;
  table?: 'mangle' | 'filter';
  chain?: string;
  spec: (world: World) => Omit<RuleSpec, 'target'>;
  /** How its inverse is written, or the bit that makes it so. */
  not: number | ((world: World) => Omit<RuleSpec, 'target'>);
  prepare?: (world: World) => void;
  yes: (world: World) => void;
  no: (world: World) => void;
}

const alice = { source: ALICE, destination: BOB };
const bob = { source: BOB, destination: ALICE };
const udp = (world: World, sport: number, dport: number) => world.fromAlice(udpPacket({ ...alice, sport, dport }));
const syn = (world: World, sport = 4000) =>
  world.fromAlice(tcpPacket({ ...alice, sport, dport: 80 }, { flags: 'S', sequence: 1 }));
const synAck = (world: World) =>
  world.fromBob(tcpPacket({ ...bob, sport: 80, dport: 4000 }, { flags: 'SA', sequence: 9, acknowledgment: 2 }));

const CASES: Case[] = [
  {
    name: '-i',
    spec: ({ left }) => ({ in: left }),
    not: ({ left }) => ({ notIn: left }),
    yes: (world) => udp(world, 1, 2),
    no: (world) => world.fromBob(udpPacket({ ...bob, sport: 1, dport: 2 })),
  },
  {
    name: '-o',
    spec: ({ right }) => ({ out: right }),
    not: ({ right }) => ({ notOut: right }),
    yes: (world) => udp(world, 1, 2),
    no: (world) => world.fromBob(udpPacket({ ...bob, sport: 1, dport: 2 })),
  },
  {
    name: '-s',
    spec: () => ({ source: '10.0.1.0/30' }),
    not: () => ({ notSource: '10.0.1.0/30' }),
    yes: (world) => world.fromAlice(udpPacket({ source: '10.0.1.3', destination: BOB, sport: 1, dport: 2 })),
    no: (world) => world.fromAlice(udpPacket({ source: '10.0.1.4', destination: BOB, sport: 1, dport: 2 })),
  },
  {
    name: '-s with one address',
    spec: () => ({ source: ALICE }),
    not: () => ({ notSource: ALICE }),
    yes: (world) => udp(world, 1, 2),
    no: (world) => world.fromAlice(udpPacket({ source: '10.0.1.3', destination: BOB, sport: 1, dport: 2 })),
  },
  {
    name: '-d',
    spec: () => ({ destination: '10.0.2.0/25' }),
    not: () => ({ notDestination: '10.0.2.0/25' }),
    yes: (world) => udp(world, 1, 2),
    no: (world) => world.fromAlice(udpPacket({ source: ALICE, destination: '10.0.2.129', sport: 1, dport: 2 })),
  },
  {
    name: '-p tcp',
    spec: () => ({ protocol: 'tcp' }),
    not: MATCH.PROTOCOL,
    yes: (world) => syn(world),
    no: (world) => udp(world, 1, 2),
  },
  {
    name: '-p icmp',
    spec: () => ({ protocol: 'icmp' }),
    not: MATCH.PROTOCOL,
    yes: (world) => world.fromAlice(echo(alice)),
    no: (world) => udp(world, 1, 2),
  },
  {
    name: '-p sctp',
    spec: () => ({ protocol: 'sctp' }),
    not: MATCH.PROTOCOL,
    yes: (world) => world.fromAlice(ipPacket({ ...alice, protocol: 132 }, new Uint8Array(20))),
    no: (world) => syn(world),
  },
  {
    name: '-p udp --sport',
    spec: () => ({ protocol: 'udp', sport: 53 }),
    not: MATCH.SPORT,
    yes: (world) => udp(world, 53, 1000),
    no: (world) => udp(world, 1000, 53),
  },
  {
    name: '-p udp --dport',
    spec: () => ({ protocol: 'udp', dport: 53 }),
    not: MATCH.DPORT,
    yes: (world) => udp(world, 1000, 53),
    no: (world) => udp(world, 53, 1000),
  },
  {
    name: '-p tcp --dport, behind IP options',
    spec: () => ({ protocol: 'tcp', dport: 80 }),
    not: MATCH.DPORT,
    yes: (world) => {
      const segment = tcpPacket({ ...alice, sport: 4000, dport: 80 }, { flags: 'S' }).subarray(20);
      world.fromAlice(ipPacket({ ...alice, protocol: 6, options: hex('94040000') }, segment));
    },
    no: (world) => {
      const segment = tcpPacket({ ...alice, sport: 80, dport: 4000 }, { flags: 'S' }).subarray(20);
      world.fromAlice(ipPacket({ ...alice, protocol: 6, options: hex('94040000') }, segment));
    },
  },
  {
    name: '-m conntrack --ctstate NEW',
    spec: () => ({ states: ['NEW'] }),
    not: MATCH.STATE,
    prepare: ({ router }) => router.trackConnections(),
    yes: (world) => syn(world),
    no: (world) => synAck(world),
  },
  {
    name: '-m conntrack --ctstate ESTABLISHED',
    spec: () => ({ states: ['ESTABLISHED'] }),
    not: MATCH.STATE,
    prepare: (world) => {
      world.router.trackConnections();
      syn(world);
    },
    yes: (world) => synAck(world),
    no: (world) => syn(world, 5000),
  },
  {
    name: '-m conntrack --ctstate RELATED,ESTABLISHED with an ICMP error',
    spec: () => ({ states: ['RELATED'] }),
    not: MATCH.STATE,
    prepare: (world) => {
      world.router.trackConnections();
      udp(world, 4000, 53);
    },
    yes: (world) =>
      world.fromBob(
        icmpPacket(bob, { type: 3, code: 3, payload: udpPacket({ ...alice, sport: 4000, dport: 53, ttl: 63 }) }),
      ),
    no: (world) => world.fromBob(udpPacket({ ...bob, sport: 53, dport: 4000 })),
  },
  {
    name: '-m conntrack --ctstate INVALID',
    spec: () => ({ states: ['INVALID'] }),
    not: MATCH.STATE,
    prepare: ({ router }) => router.trackConnections(),
    // An error about a connection that nobody knows.
    yes: (world) =>
      world.fromBob(icmpPacket(bob, { type: 3, code: 3, payload: udpPacket({ ...alice, sport: 9, dport: 9 }) })),
    no: (world) => syn(world),
  },
  {
    name: '-m addrtype --dst-type LOCAL',
    table: 'mangle',
    chain: 'PREROUTING',
    spec: () => ({ destinationType: 'LOCAL' }),
    not: MATCH.DESTINATION_TYPE,
    // The far side's address is as local as the near one's; its network's broadcast address is not.
    yes: (world) => world.fromAlice(udpPacket({ source: ALICE, destination: RIGHT, sport: 1, dport: 2 })),
    no: (world) => world.fromAlice(udpPacket({ source: ALICE, destination: '10.0.1.255', sport: 1, dport: 2 })),
  },
  {
    name: '-m addrtype --src-type LOCAL',
    table: 'mangle',
    chain: 'POSTROUTING',
    spec: () => ({ sourceType: 'LOCAL' }),
    not: MATCH.SOURCE_TYPE,
    yes: (world) => world.fromAlice(echo({ source: ALICE, destination: LEFT })),
    no: (world) => udp(world, 1, 2),
  },
  {
    name: '-m ipvs --ipvs',
    table: 'mangle',
    chain: 'POSTROUTING',
    spec: () => ({ ipvs: true }),
    not: MATCH.IPVS,
    prepare: ({ router }) => {
      router.set('ipvsConntrack', 1);
      router.trackConnections();
      router.ipvs.add({ protocol: 'tcp', address: LEFT, port: 80 }).add(BOB);
    },
    yes: (world) =>
      world.fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 80 }, { flags: 'S' })),
    no: (world) => syn(world, 5000),
  },
];

describe.each(CASES)('$name', ({ table = 'filter', chain = 'FORWARD', spec, not, prepare, yes, no }) => {
  /** Packets that a rule with this match, or its inverse, sees: of those that match and of those that do not. */
  async function seen(inverse: boolean): Promise<{ yes: number; no: number }> {
    const world = await routerWorld();
    for (const n of [3, 4, 129]) {
      world.router.addNeighbour(world.left, `10.0.1.${n}`, '02:00:00:00:01:02');
      world.router.addNeighbour(world.right, `10.0.2.${n}`, '02:00:00:00:02:02');
    }
    prepare?.(world);
    const chosen = inverse && typeof not === 'function' ? not(world) : spec(world);
    const rule = world.router.iptables.append(table, chain, { ...chosen, target: 'RETURN' } as RuleSpec);
    if (inverse && typeof not === 'number') negate(rule, not);
    yes(world);
    const hits = rule.packets;
    no(world);
    expectConserved(world.engine);
    return { yes: hits, no: rule.packets - hits };
  }

  it('matches what it should, and nothing else', async () => expect(await seen(false)).toEqual({ yes: 1, no: 0 }));
  it('with ! matches the rest, and nothing else', async () => expect(await seen(true)).toEqual({ yes: 0, no: 1 }));
});

describe('--ctstate UNTRACKED', () => {
  it('is what a namespace without conntrack sees', async () => {
    const { engine, router, append, fromAlice } = await strict();
    const rule = append('FORWARD', { states: ['UNTRACKED'], target: 'ACCEPT' });
    engine.memory.set(router.at, NamespaceLayout.conntrack, 0);
    fromAlice(packet());
    expect(rule.packets).toBe(1);
  });
});

describe('a match on ports', () => {
  it.each([false, true])('never meets a later fragment: it has none (inverse: %s)', async (inverse) => {
    const { append, fromAlice } = await strict();
    const rule = append('FORWARD', { protocol: 'udp', dport: 0x0101, target: 'ACCEPT' });
    if (inverse) negate(rule, MATCH.DPORT);
    fromAlice(ipPacket({ ...alice, flags: 100 }, new Uint8Array(64).fill(1)));
    expect(rule.packets).toBe(0);
  });

  it('never meets a header that is cut off before them', async () => {
    const { append, fromAlice } = await strict();
    const rule = append('FORWARD', { protocol: 'udp', dport: 0, target: 'ACCEPT' });
    const opposite = append('FORWARD', { protocol: 'udp', dport: 1, target: 'ACCEPT' });
    negate(opposite, MATCH.DPORT);
    fromAlice(ipPacket({ ...alice, protocol: 17 }, hex('0101')));
    expect(counters(rule, opposite)).toEqual([0, 0]);
  });

  it('takes both ends of a range', async () => {
    const { append, fromAlice } = await strict();
    const rule = append('FORWARD', { protocol: 'udp', dport: 1000, target: 'ACCEPT' });
    rule.chain.engine.memory.set(rule.at, RuleLayout.dportMax, 2000);
    for (const dport of [999, 1000, 1500, 2000, 2001]) fromAlice(packet(dport));
    expect(rule.packets).toBe(3);
  });
});

describe('a mark', () => {
  async function marked(before: number, value: number, mask?: number) {
    const world = await strict();
    const { iptables } = world.router;
    iptables.append('mangle', 'PREROUTING', { target: 'MARK', value: before });
    iptables.append('mangle', 'PREROUTING', { target: 'MARK', value, ...(mask === undefined ? {} : { mask }) });
    /** `-m mark --mark VALUE/MASK`, or with "!". */
    const sees = (value: number, mask: number, inverse = false) => {
      const rule = world.append('FORWARD', { target: 'RETURN' });
      const { memory } = world.engine;
      memory.set(rule.at, RuleLayout.match, MATCH.MARK);
      memory.set(rule.at, RuleLayout.markValue, value);
      memory.set(rule.at, RuleLayout.markMask, mask);
      if (inverse) negate(rule, MATCH.MARK);
      world.fromAlice(packet());
      const { packets } = rule;
      rule.remove();
      return packets === 1;
    };
    return sees;
  }

  it('that MANGLE set is matched by FORWARD', async () => {
    const sees = await marked(0, 0x100);
    expect(sees(0x100, 0xffffffff)).toBe(true);
    expect(sees(0x101, 0xffffffff)).toBe(false);
    expect(sees(0x100, 0xffffffff, true)).toBe(false);
    expect(sees(0x101, 0xffffffff, true)).toBe(true);
  });

  it('is compared under the mask alone', async () => {
    const sees = await marked(0, 0xabcd1234);
    expect(sees(0x1200, 0xff00)).toBe(true);
    expect(sees(0x1234, 0xff00), 'a value outside its mask').toBe(false);
  });

  it('is set under its mask: the other bits stay (xt_mark: (mark & ~mask) ^ value)', async () => {
    const sees = await marked(0xaaaa0000, 0x0000_0001, 0x0000_ffff);
    expect(sees(0xaaaa0001, 0xffffffff)).toBe(true);
  });

  it('does not go along into another namespace', async () => {
    const { engine, router, fromAlice } = await routerWorld();
    router.iptables.append('mangle', 'POSTROUTING', { target: 'MARK', value: 7 });
    const bobs = engine.namespaces.get('node/bob');
    const rule = bobs?.iptables.append('mangle', 'PREROUTING', { target: 'RETURN' });
    if (!rule) throw new Error('bob is gone');
    engine.memory.set(rule.at, RuleLayout.match, MATCH.MARK);
    engine.memory.set(rule.at, RuleLayout.markValue, 7);
    engine.memory.set(rule.at, RuleLayout.markMask, 0xffffffff);
    fromAlice(packet());
    expect(rule.packets).toBe(0);
    expectConserved(engine);
  });
});

describe('the hooks', () => {
  it('are met in netfilter’s order, forwarded, delivered and sent', async () => {
    const { engine, router, fromAlice } = await routerWorld();
    const hooks = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const;
    const rules = new Map(hooks.map((hook) => [hook, router.iptables.append('mangle', hook, { target: 'RETURN' })]));
    const met = () => hooks.filter((hook) => rules.get(hook)?.packets);
    fromAlice(packet());
    expect(met()).toEqual(['PREROUTING', 'FORWARD', 'POSTROUTING']);
    fromAlice(echo({ source: ALICE, destination: LEFT }));
    expect([...rules.values()].map(({ packets }) => packets)).toEqual([2, 1, 1, 1, 2]);
    expectConserved(engine);
  });

  it.each([
    ['mangle', 'PREROUTING', 'left'],
    ['mangle', 'FORWARD', 'left'],
    ['filter', 'FORWARD', 'left'],
    ['mangle', 'POSTROUTING', 'left'],
  ] as const)('of %s %s drop a packet that passes', async (table, chain, place) => {
    const { engine, router, fromAlice, toBob, drops } = await routerWorld();
    router.iptables.append(table, chain, { target: 'DROP' });
    fromAlice(packet());
    expect(toBob()).toEqual([]);
    expect(drops()).toEqual([`node/router/${place} NETFILTER_DROP`]);
    expectConserved(engine);
  });

  it.each([
    ['mangle', 'INPUT', 'left'],
    ['filter', 'INPUT', 'left'],
    ['mangle', 'OUTPUT', 'left'],
    ['filter', 'OUTPUT', 'left'],
  ] as const)('of %s %s drop a ping or its answer', async (table, chain, place) => {
    const { engine, router, fromAlice, toAlice, drops } = await routerWorld();
    router.iptables.append(table, chain, { target: 'DROP' });
    fromAlice(echo({ source: ALICE, destination: LEFT }));
    expect(toAlice()).toEqual([]);
    expect(drops()).toEqual([`node/router/${place} NETFILTER_DROP`]);
    expectConserved(engine);
  });
});
