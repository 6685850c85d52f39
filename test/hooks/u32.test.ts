/** `-m u32`: expressions as iptables reads and prints them, and what they match (net/netfilter/xt_u32.c). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainsOf } from '../../src/engine/chains.js';
import { u32Program, u32Text } from '../../src/engine/u32.js';
import { ruleText } from '../../src/views/rule.js';
import { udpPacket } from '../engine/packets.js';
import { ALICE, BOB, routerWorld } from '../engine/world.js';
import { dropping, vxlan } from './match-program.js';

/** Docker's, as it writes it and as iptables-save shows it. */
const VNI_4100 = '0>>22&0x3C@12&0xFFFFFF00=1049600';
const PRINTED = '0x0>>0x16&0x3c@0xc&0xffffff00=0x100400';

const printed = (expression: string) => {
  const program = u32Program(expression);
  return u32Text((index) => program[index] ?? 0);
};

describe('an expression', () => {
  it.each([
    [VNI_4100, PRINTED],
    ['6&0xFF=1', '0x6&0xff=0x1'],
    ['4&0x3FFF=0 && 0>>22&0x3C@0>>24=0:3,8', '0x4&0x3fff=0x0&&0x0>>0x16&0x3c@0x0>>0x18=0x0:0x3,0x8'],
    ['0<<4=16:0xffffffff', '0x0<<0x4=0x10:0xffffffff'],
  ])('%s is printed as %s', (written, expected) => {
    expect(printed(written)).toBe(expected);
    expect(printed(expected)).toBe(expected);
  });

  it.each(['', '0', '0=', '=1', '0>>=1', '0&1@=2', '0=1 &&', '0=1,', '0=1:', '0 1=2', 'x=1', '0=4294967296'])(
    '%j is refused',
    (expression) => {
      expect(() => u32Program(expression)).toThrow(/is no expression of -m u32/);
    },
  );
});

describe('a rule with -m u32', () => {
  it("matches VXLAN of its VNI alone, whatever the IP header's length", async () => {
    const { world, passes } = await dropping({ u32: VNI_4100 });
    expect(passes(vxlan(4100))).toBe(false);
    expect(passes(vxlan(4100, Uint8Array.of(1, 1, 1, 0)))).toBe(false);
    expect(passes(vxlan(4101))).toBe(true);
    expect(passes(vxlan(4100 + 65536))).toBe(true);
    const [rule] = chainsOf(world.router.iptables, 'filter').find(({ name }) => name === 'FORWARD')?.rules ?? [];
    expect(rule && ruleText('FORWARD', rule)).toBe(`-A FORWARD -m u32 --u32 "${PRINTED}" -j DROP`);
    expect(rule?.packets).toBe(2);
  });

  it('does not match where the packet ends before the bytes that it asks for', async () => {
    const { passes } = await dropping({ u32: '0>>22&0x3C@16=0:0xffffffff' });
    const ends = { source: ALICE, destination: BOB, sport: 1, dport: 2 };
    expect(passes(udpPacket(ends, new Uint8Array(11)))).toBe(true);
    expect(passes(udpPacket(ends, new Uint8Array(12)))).toBe(false);
    const far = await dropping({ u32: '0@0=0:0xffffffff' });
    expect(far.passes(udpPacket(ends))).toBe(true);
  });

  it('matches as the expression says, for any packet and any mask, shift and range', async () => {
    const world = await routerWorld();
    const packet = udpPacket(
      { source: ALICE, destination: BOB, sport: 4000, dport: 53 },
      new Uint8Array(40).fill(0x5a),
    );
    const number = (at: number) => new DataView(packet.buffer, packet.byteOffset).getUint32(at);
    fc.assert(
      fc.property(
        fc.integer({ min: 12, max: packet.length - 4 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 31 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (at, mask, shift, least) => {
          const rule = world.router.iptables.insert('filter', 'FORWARD', {
            u32: `${at}&${mask}>>${shift}=${least}:0xffffffff`,
            target: 'DROP',
          });
          world.fromAlice(packet);
          expect(world.toBob().length).toBe((number(at) & mask) >>> shift >= least ? 0 : 1);
          rule.remove();
        },
      ),
      { numRuns: 200 },
    );
  });
});
