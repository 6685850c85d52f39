/**
 * IPv6 packets that something is odd about, between others of their flow, plain and in a tunnel; and tunnels' packets that are odd
 * themselves. Each fares with the flow table as it does without, and those behind it stay fast.
 */

import { describe, expect, it } from 'vitest';
import { ACK, FIN, SYN, segment } from '../../bench/frames.js';
import { concat, get16, put16, seal, sealAll, TCP, UDP, udp } from '../../bench/headers.js';
import { seal6, udpOver6 } from '../../bench/headers6.js';
import { type Life, NEAR, NEXT, ports, taught, twice } from './published6.js';
import { both, datagram, FAR, NODE2, onward, tunnelled } from './tunnelled6.js';

type Odd = (frame: Uint8Array) => Uint8Array;
const IP = 14;
const L4 = IP + 40;
const OUTER_UDP = IP + 20;
/** What a tunnel puts before a frame. */
const AROUND = 50;

const changed = (frame: Uint8Array, change: (frame: Uint8Array) => void): Uint8Array => {
  const one = frame.slice();
  change(one);
  return one;
};
/** With a header of eight bytes behind the IPv6 header. */
const extended = (frame: Uint8Array, kind: number, header: readonly number[]): Uint8Array =>
  changed(concat(frame.subarray(0, L4), Uint8Array.from(header), frame.subarray(L4)), (one) => {
    one[L4] = frame[IP + 6] ?? 0;
    one[IP + 6] = kind;
    put16(one, IP + 4, one.length - L4);
  });
/** What its checksum would be stands at `to` instead, so that all adds up with `check` in its place. */
const zeroed = (frame: Uint8Array, at: number, to: number, check: number): Uint8Array =>
  changed(frame, (one) => {
    put16(one, to, get16(one, at));
    put16(one, at, check);
  });
const inside: [string, Odd][] = [
  ['has padding behind it', (frame) => concat(frame, new Uint8Array(6))],
  ['says less than it is', (frame) => changed(frame, (one) => put16(one, IP + 4, get16(one, IP + 4) - 8))],
  ['says more than it is', (frame) => changed(frame, (one) => put16(one, IP + 4, get16(one, IP + 4) + 8))],
  ['is of version 5', (frame) => changed(frame, (one) => one.fill(0x50, IP, IP + 1))],
  ['has no hop left', (frame) => changed(frame, (one) => one.fill(0, IP + 7, IP + 8))],
  ['has one hop left', (frame) => changed(frame, (one) => one.fill(1, IP + 7, IP + 8))],
  ['has hop-by-hop options', (frame) => extended(frame, 0, [0, 0, 1, 4, 0, 0, 0, 0])],
  ['has options for its destination', (frame) => extended(frame, 60, [0, 0, 1, 4, 0, 0, 0, 0])],
  ['is the only fragment', (frame) => extended(frame, 44, [0, 0, 0, 0, 0, 0, 0, 1])],
  ['is a first fragment', (frame) => extended(frame, 44, [0, 0, 0, 1, 0, 0, 0, 2])],
  ['has no checksum', (frame) => changed(frame, (one) => put16(one, L4 + 6, 0))],
  ['has no checksum, where it adds up to none', (frame) => zeroed(frame, L4 + 6, L4 + 8, 0)],
  ['lacks its last bytes', (frame) => frame.slice(0, -8)],
  ['has a wrong checksum', (frame) => changed(frame, (one) => put16(one, L4 + 6, get16(one, L4 + 6) ^ 0x100))],
  [
    'has a shorter datagram',
    (frame) =>
      seal6(
        changed(frame, (one) => put16(one, L4 + 4, 20)),
        IP,
      ),
  ],
  ['has a longer datagram', (frame) => changed(frame, (one) => put16(one, L4 + 4, get16(one, L4 + 4) + 4))],
  [
    'is for a group',
    (frame) =>
      seal6(
        changed(frame, (one) => one.set([0xff, 2], IP + 24)),
        IP,
      ),
  ],
  ['is for a group’s MAC', (frame) => changed(frame, (one) => one.set([0x33, 0x33, 0, 0, 0, 1]))],
  ['is for another MAC', (frame) => changed(frame, (one) => one.fill(9, 5, 6))],
  ['is TCP’s by its number', (frame) => changed(frame, (one) => one.fill(6, IP + 6, IP + 7))],
  ['is ICMPv6’s by its number', (frame) => changed(frame, (one) => one.fill(58, IP + 6, IP + 7))],
  ['is cut behind its header', (frame) => frame.slice(0, L4)],
  ['is cut within its datagram’s header', (frame) => frame.slice(0, L4 + 5)],
  ['has an IPv4 packet’s type', (frame) => changed(frame, (one) => put16(one, 12, 0x800))],
];
const outside: [string, Odd][] = [
  ['has padding behind it', (frame) => concat(frame, new Uint8Array(6))],
  ['lacks its last bytes', (frame) => frame.slice(0, -8)],
  [
    'is ICMP’s by its number',
    (frame) =>
      changed(frame, (one) => {
        one.fill(1, IP + 9, IP + 10);
        put16(one, IP + 10, get16(one, IP + 10) + 16);
      }),
  ],
  [
    'is a fragment',
    (frame) =>
      seal(
        changed(frame, (one) => put16(one, IP + 6, 0x2000)),
        IP,
      ),
  ],
  ['has a wrong header checksum', (frame) => changed(frame, (one) => put16(one, IP + 10, get16(one, IP + 10) ^ 1))],
  ['has a wrong datagram’s checksum', (frame) => changed(frame, (one) => put16(one, OUTER_UDP + 6, 0x1234))],
  ['has no datagram’s checksum', (frame) => changed(frame, (one) => put16(one, OUTER_UDP + 6, 0))],
  ['is for another port', (frame) => changed(frame, (one) => put16(one, OUTER_UDP + 2, 4788))],
  ['is another network’s', (frame) => changed(frame, (one) => one.fill(9, OUTER_UDP + 14, OUTER_UDP + 15))],
  ['has no VXLAN header', (frame) => changed(frame, (one) => one.fill(0, OUTER_UDP + 8, OUTER_UDP + 9))],
  ['has a reserved bit', (frame) => changed(frame, (one) => one.fill(1, OUTER_UDP + 15, OUTER_UDP + 16))],
  ['has a shorter datagram', (frame) => changed(frame, (one) => put16(one, OUTER_UDP + 4, 60))],
  [
    'has a longer datagram',
    (frame) => changed(frame, (one) => put16(one, OUTER_UDP + 4, get16(one, OUTER_UDP + 4) + 4)),
  ],
  [
    'is TCP’s by its number',
    (frame) =>
      seal(
        changed(frame, (one) => one.fill(6, IP + 9, IP + 10)),
        IP,
      ),
  ],
  ['comes from another port', (frame) => sealAll(changed(frame, (one) => put16(one, OUTER_UDP, 50_000)))],
];

const ROUNDS = 4;
/** Nobody sums up what is in the tunnel. */
const unchecked: Odd = (frame) => changed(frame, (one) => put16(one, OUTER_UDP + 6, 0));

describe('an IPv6 packet', () => {
  it.each(inside)('%s', async (_, odd) => {
    const { fast } = await both(({ says, hears }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const [there, back] = [datagram({ label: 5 }), datagram({ back: true, label: 5 })];
        for (const one of [there, odd(there), odd(there), there]) says(one);
        for (const one of [back, odd(back), odd(back), back]) hears(tunnelled(one, 0));
        for (const one of [odd(back), back]) hears(unchecked(tunnelled(one, 0)));
      }
    });
    expect(fast).toBeGreaterThan(ROUNDS * 4 - 8);
  });
});

describe('a tunnel’s packet with an IPv6 packet in it', () => {
  it.each(outside)('%s', async (_, odd) => {
    const { fast } = await both(({ hears }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const one = tunnelled(datagram({ back: true, label: 5 }), 0);
        for (const frame of [one, odd(one), odd(one), unchecked(odd(one)), one]) hears(frame);
      }
    });
    expect(fast).toBeGreaterThan(ROUNDS * 2 - 3);
  });
});

const ENDS = { sport: 4000, dport: 80 };
const DATA = new Uint8Array(40);
const otherZero: Odd = (frame) => zeroed(frame, AROUND + L4 + 16, AROUND + L4 + 18, 0xffff);
const padded: Odd = (frame) => concat(frame, Uint8Array.of(1, 2, 3, 4, 5, 6));
describe('as fast as any other out of a tunnel is', () => {
  const same: Odd = (frame) => frame;
  it.each<[string, number, Uint8Array, Odd]>([
    ['a datagram', UDP, udp(4000, 80, DATA), same],
    ['a segment', TCP, segment(ENDS, 1, 1, ACK, DATA), same],
    ['a datagram that nobody sums up', UDP, udp(4000, 80, DATA), unchecked],
    ['a segment that nobody sums up', TCP, segment(ENDS, 1, 1, ACK, DATA), unchecked],
    ['a segment with the other zero for a checksum', TCP, segment(ENDS, 1, 1, ACK, DATA), otherZero],
    ['a padded datagram', UDP, udp(4000, 80, DATA), padded],
    ['a padded segment', TCP, segment(ENDS, 1, 1, ACK, DATA), padded],
  ])('%s', async (_, protocol, payload, odd) => {
    const frame = tunnelled(onward(protocol, payload), 0);
    const { fast, slow } = await both(({ hears }) => {
      for (let round = 0; round < 4; round++) hears(frame);
      for (let round = 0; round < 6; round++) hears(odd(frame));
    });
    expect(fast).toBe(8);
    // Each of the ten at its end, the first two at both devices before, and at three devices what taught the bridge.
    expect(slow).toBe(17);
  });
});

const sealed = (change: (frame: Uint8Array) => void) => (frame: Uint8Array) => seal6(changed(frame, change), IP);
const segments: [string, Odd][] = [
  ...[0x00, 0x10, 0x40, 0x60, 0xf0].map((offset): [string, Odd] => [
    `has a header of ${offset >> 2} bytes`,
    sealed((frame) => frame.fill(offset, L4 + 12, L4 + 13)),
  ]),
  ...[4, 8, 18, 19].map((length): [string, Odd] => [
    `is ${length} bytes long`,
    (frame) => sealed((one) => put16(one, IP + 4, length))(frame.slice(0, L4 + length)),
  ]),
  ...[0, 4, 8, 0x3f, 0xd0, SYN, SYN | FIN, SYN | 4, SYN | ACK, SYN | ACK | FIN, ACK | 4].map((flags): [string, Odd] => [
    `has ${flags} for flags`,
    sealed((frame) => frame.fill(flags, L4 + 13, L4 + 14)),
  ]),
  ...[0, 1, 2].map((hops): [string, Odd] => [
    `has ${hops} hops left`,
    (frame) => changed(frame, (one) => one.fill(hops, IP + 7, IP + 8)),
  ]),
  // The urgent pointer is nobody's as long as no flag says that it is one.
  ...[0, 0xffff].map((zero): [string, Odd] => [
    `has ${zero} for a checksum`,
    (frame) => zeroed(frame, L4 + 16, L4 + 18, zero),
  ]),
  ['has padding behind it', (frame) => concat(frame, new Uint8Array(6).fill(7))],
  [
    'has a wrong checksum that its padding makes up for',
    (frame) =>
      concat(
        changed(frame, (one) => put16(one, L4 + 16, get16(one, L4 + 16) - 1)),
        Uint8Array.of(0, 1, 0, 0),
      ),
  ],
];

const datagrams: [string, Odd][] = [
  ...[-40, -4, -1, 1, 4].map((more): [string, Odd] => [
    `says ${more} bytes more than it is`,
    sealed((frame) => put16(frame, L4 + 4, get16(frame, L4 + 4) + more)),
  ]),
  ['has no checksum', (frame) => changed(frame, (one) => put16(one, L4 + 6, 0))],
  ['has no checksum, where it adds up to none', (frame) => zeroed(frame, L4 + 6, L4 + 8, 0)],
  ...segments.filter(([name]) => /hop|padding behind/.test(name)),
];

/** Connections that are up, with flows of their own. */
const up = ports(3000, 3);
const talk = (life: Life) => life.says(up, ACK).hears(up, ACK);
const among = (life: Life, odd: Odd, happens: () => void) => {
  const { odd: plain } = life;
  life.odd = odd;
  happens();
  life.odd = plain;
};

describe('a TCP segment over IPv6', () => {
  it.each(segments)('%s', async (_, odd) => {
    const { fast } = await twice((life) => {
      taught(life);
      life.says(up, SYN).hears(up, SYN | ACK);
      talk(life);
      among(life, odd, () => talk(life));
      talk(life);
      // The first of its direction, and the first of all.
      const fresh = ports(4000, 3);
      life.says(fresh, SYN);
      among(life, odd, () => life.hears(fresh, SYN | ACK).says(ports(5000, 3), SYN));
      life.hears(fresh, SYN | ACK);
      among(life, odd, () => life.says(fresh, ACK));
      life.says(fresh, ACK).hears(fresh, ACK);
    });
    expect(fast).toBeGreaterThan(10);
  });
});

describe('a datagram over IPv6', () => {
  it.each(datagrams)('%s', async (_, odd) => {
    const { fast } = await twice((life) => {
      const all = () =>
        life
          .datagrams(up)
          .answers(up)
          .outward(up, 7000, () => NEXT);
      for (let turn = 0; turn < 3; turn++) all();
      among(life, odd, all);
      all();
    });
    // Three ways of three each.
    expect(fast).toBeGreaterThan(15);
  });
});

/** A datagram cut to fewer bytes than its header has, which add up to what they should by its source port; what would be a checksum is padding. */
const short = (frame: Uint8Array, length: number) =>
  changed(concat(frame.subarray(0, L4 + length), new Uint8Array(8).fill(1)), (one) => {
    put16(one, IP + 4, length);
    put16(one, L4 + 4, length);
    put16(one, L4, 0);
    one.fill(0, L4 + 6, L4 + length);
    let sum = UDP + length;
    for (let at = IP + 8; at < L4 + length; at += 2) sum += get16(one, at) & (at + 1 < L4 + length ? 0xffff : 0xff00);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    put16(one, L4, 0xffff - sum);
  });
describe('a datagram without a whole header, and nothing else wrong with it,', () => {
  it.each([6, 7])('%i bytes of it, to a port that a bridge publishes', async (length) => {
    const { fast } = await twice((life) => {
      const cut: Odd = (frame) => short(frame, length);
      for (const source of [NEAR, NEXT]) {
        const ends = life.bridge.asks(0, source);
        const port = get16(cut(life.bridge.asked(ends, 'udp', udp(0, ends.dport, DATA))), L4) - 1024;
        // The one’s flow is there, the other one’s connection is not.
        if (source === NEAR) for (let turn = 0; turn < 3; turn++) life.datagrams([port], source);
        else life.datagrams(up);
        among(life, cut, () => life.datagrams([port], source));
        life.datagrams([port], source);
      }
    });
    // Whole ones: two of the one’s flow, and three and one that open a connection.
    expect(fast).toBe(6);
  });

  it.each([6, 7])('%i bytes of it, out of a tunnel', async (length) => {
    const cut = (port: number) => short(onward(UDP, udp(port, 80, DATA)), length);
    const port = get16(cut(0), L4);
    const { fast } = await both(({ hears }) => {
      for (let turn = 0; turn < 3; turn++) hears(tunnelled(onward(UDP, udp(port, 80, DATA)), 0));
      const frame = cut(port);
      hears(concat(tunnelled(frame.subarray(0, L4 + length), 0), frame.subarray(L4 + length)));
    });
    expect(fast).toBe(1);
  });
});

it('goes into a tunnel as one that nobody has put together, when a router has done so', async () => {
  const { fast } = await both(({ engine }) => {
    const task = engine.namespaces.get('node1/task');
    const far = engine.namespaces.get('node2/host');
    if (!task || !far) throw new RangeError('nobody is there');
    // A router that tracks connections, before the tunnel; and one behind its node that cuts what came in pieces into pieces again.
    const mac = '02:00:00:00:02:01';
    const before = task.addPhysical('eth1', engine.segment(1000), { mac, mtu: 1450 });
    task.ipv6.enable(before);
    task.trackConnections('ip6');
    task.ipv6.forwards = true;
    task.addNeighbour(task.device('eth0'), FAR.address, FAR.mac);
    far.set('forward', 1);
    // It has no flows, for a rule that reads bytes.
    far.iptables.append('filter', 'FORWARD', { u32: '0>>24=0:255', target: 'NONE' });
    const wire = engine.segment(1000);
    const behind = far.addPhysical('eth1', wire, { mac: '02:00:00:00:02:02', mtu: 1500 });
    far.addRoute(`${NODE2.address}/32`, behind);
    far.addNeighbour(behind, NODE2.address, '02:00:00:00:02:03');
    const end = engine.namespace('behind').addPhysical('eth0', wire, { mac: '02:00:00:00:02:03', mtu: 1500 });
    end.tap();
    const plain = udpOver6(mac, '02:00:00:00:02:04', 'fd00:1::1', FAR.address, udp(4000, 80, DATA));
    const come = (frame: Uint8Array) => {
      engine.receive(before, frame);
      engine.run(engine.now + 100_000);
    };
    for (let turn = 0; turn < 4; turn++) come(plain);
    // Two fragments, the second one of them so short that the whole is no longer than the first.
    const fragment = (bytes: Uint8Array, id: number, word: number) => {
      const cut = changed(concat(plain.subarray(0, L4), bytes), (one) => put16(one, IP + 4, bytes.length));
      return extended(cut, 44, [0, 0, word >>> 8, word & 255, 0, 0, 0, id]);
    };
    for (const id of [1, 2, 3]) {
      come(fragment(plain.subarray(L4, L4 + 40), id, 1));
      come(fragment(plain.subarray(L4 + 40), id, 40));
    }
    come(plain);
  });
  // Whole ones, but for the first two.
  expect(fast).toBe(3);
});
