/** `-m bpf`: programs as iptables reads and prints them, and what they match (net/netfilter/xt_bpf.c). */

import { describe, expect, it } from 'vitest';
import { bpfProgram, bpfText } from '../../src/engine/bpf.js';
import { chainsOf } from '../../src/engine/chains.js';
import { ruleText } from '../../src/views/rule.js';
import { udpPacket } from '../engine/packets.js';
import { ALICE, BOB } from '../engine/world.js';
import { dropping, vxlan } from './match-program.js';

/** Engine 28's, for VNI 4100. */
const VNI_4100 = '7,32 0 0 4294963252,7 0 0 0,64 0 0 4,116 0 0 8,21 1 0 4100,6 0 0 0,6 0 0 4294967295';

it('is printed as it was written', () => {
  const program = bpfProgram(VNI_4100);
  expect(bpfText((index) => program[index] ?? 0)).toBe(VNI_4100);
});

it.each([
  ['', 'the number of its instructions'],
  ['2,6 0 0 1', 'the number of its instructions'],
  ['1,6 0 0', 'four numbers'],
  ['1,255 0 0 0', 'no such instruction'],
  ['1,0 0 0 1', 'returns nothing'],
  ['2,21 1 0 5,6 0 0 1', 'jumps behind the end'],
  ['2,5 0 0 1,6 0 0 1', 'jumps behind the end'],
  ['2,52 0 0 0,6 0 0 1', 'a division by 0'],
  ['2,96 0 0 16,6 0 0 1', 'there are 16 words'],
  ['2,32 0 0 4294963200,6 0 0 1', 'of the extensions only'],
])('%j is refused: %s', (bytecode, why) => {
  expect(() => bpfProgram(bytecode)).toThrow(why);
});

describe('a rule with -m bpf', () => {
  it("matches VXLAN of its VNI alone, whatever the IP header's length", async () => {
    const { world, passes } = await dropping({ bpf: VNI_4100 });
    expect(passes(vxlan(4100))).toBe(false);
    expect(passes(vxlan(4100, Uint8Array.of(1, 1, 1, 0)))).toBe(false);
    expect(passes(vxlan(4101))).toBe(true);
    expect(passes(vxlan(4100 + 65536))).toBe(true);
    expect(passes(udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }, new Uint8Array(7)))).toBe(true);
    const [rule] = chainsOf(world.router.iptables, 'filter').find(({ name }) => name === 'FORWARD')?.rules ?? [];
    expect(rule && ruleText('FORWARD', rule)).toBe(`-A FORWARD -m bpf --bytecode "${VNI_4100}" -j DROP`);
    expect(rule?.packets).toBe(2);
  });

  it.each([
    ['the length', '128 0 0 0', 66],
    ['a constant', '0 0 0 7', 7],
    ['two bytes of the packet', '40 0 0 22', 4789],
    ['one byte', '48 0 0 9', 17],
    ['bytes behind the header whose length it asks for', '177 0 0 0,72 0 0 2', 4789],
    ['what A kept', '0 0 0 5,2 0 0 3,0 0 0 0,96 0 0 3', 5],
    ['what X kept', '1 0 0 6,3 0 0 15,1 0 0 0,97 0 0 15,135 0 0 0', 6],
    ['sums and products', '0 0 0 5,4 0 0 7,36 0 0 3,20 0 0 1', 35],
    ['quotient and rest', '0 0 0 100,1 0 0 7,60 0 0 0,148 0 0 10', 4],
    ['bits', '0 0 0 12,84 0 0 10,68 0 0 1,164 0 0 255', 246],
    ['shifts', '0 0 0 1,100 0 0 5,116 0 0 1', 16],
    ['a negation', '0 0 0 1,132 0 0 0', 0xffffffff],
    ['a jump over what follows', '0 0 0 1,5 0 0 1,0 0 0 9,4 0 0 1', 2],
    ['jumps by greater, not less, and bits', '0 0 0 6,37 0 5 5,53 0 4 6,69 0 3 2,4 0 0 1,5 0 0 1,0 0 0 99', 7],
  ])('computes with %s', async (_, steps, result) => {
    const program = (wanted: number) => `${steps.split(',').length + 3},${steps},21 0 1 ${wanted},6 0 0 1,6 0 0 0`;
    expect((await dropping({ bpf: program(result) })).passes(vxlan(4100))).toBe(false);
    expect((await dropping({ bpf: program((result ^ 1) >>> 0) })).passes(vxlan(4100))).toBe(true);
  });

  it('ends with no match at a load behind the packet, and at a division by an X of 0', async () => {
    expect((await dropping({ bpf: '2,32 0 0 5000,6 0 0 1' })).passes(vxlan(1))).toBe(true);
    expect((await dropping({ bpf: '3,1 0 0 0,60 0 0 0,6 0 0 1' })).passes(vxlan(1))).toBe(true);
  });
});
