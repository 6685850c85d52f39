/**
 * IPv6 packets that something is odd about, between others of their flow, plain and in a tunnel; and tunnels' packets that are odd
 * themselves. Each fares with the flow table as it does without, and those behind it stay fast.
 */

import { describe, expect, it } from 'vitest';
import { concat, get16, put16, seal, sealAll } from '../../bench/headers.js';
import { seal6 } from '../../bench/headers6.js';
import { both, datagram, tunnelled } from './tunnelled6.js';

type Odd = (frame: Uint8Array) => Uint8Array;
const IP = 14;
const L4 = IP + 40;
const OUTER_UDP = IP + 20;

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

describe('an IPv6 packet', () => {
  it.each(inside)('%s', async (_, odd) => {
    const { fast } = await both(({ says, hears }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const [there, back] = [datagram({ label: 5 }), datagram({ back: true, label: 5 })];
        for (const one of [there, odd(there), odd(there), there]) says(one);
        for (const one of [back, odd(back), odd(back), back]) hears(tunnelled(one, 0));
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
        for (const frame of [one, odd(one), odd(one), one]) hears(frame);
      }
    });
    expect(fast).toBeGreaterThan(ROUNDS * 2 - 3);
  });
});
