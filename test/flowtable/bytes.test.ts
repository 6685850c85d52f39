/** Rules that read bytes of a tunnel's packets: what they make of one packet is not taken for what they make of another one. */

import { expect, it } from 'vitest';
import type { Engine } from '../../src/engine/index.js';
import type { RuleMatch } from '../../src/engine/rules.js';
import { overlayLife } from './overlay-life.js';
import { TWO_NODES } from './topologies.js';

const COUNT = 60;
/** Total lengths from 78 on, with 8 in some; one is 256. */
const size = (i: number) => [300, 0, 178, 20, 180][i % 5] ?? 0;
const VNI = '0>>22&0x3C@12&0xFFFFFF00=1049600';
/** Version, protocol, addresses, the port that it is for; what stands behind the UDP header. */
const SAME = [0, 9, 12, 13, 14, 15, 16, 17, 18, 19, 22, 23, ...Array.from({ length: 22 }, (_, i) => 28 + i)];

const program = (...instructions: string[]) => `${instructions.length},${instructions.join(',')}`;
/** Instructions of bpf. */
const [LENGTH, ONE, TAX, TXA] = ['128 0 0 0', '0 0 0 1', '7 0 0 0', '135 0 0 0'];
const [X_LENGTH, X_FIVE] = ['129 0 0 0', '1 0 0 5'];
const EIGHT = '84 0 0 8';
const [RETURN_A, RETURN_ONE, RETURN_NONE] = ['22 0 0 0', '6 0 0 1', '6 0 0 0'];

type Bytes = Pick<RuleMatch, 'u32' | 'bpf'>;
/** Such a rule need not be asked again: packets of one way are the same to it. */
const always: [string, Bytes][] = [
  ['u32 that reads the VXLAN header', { u32: VNI }],
  ['u32 that reads the last bytes of the shortest packet, and asks for none of them', { u32: '74&0=0' }],
  ['bpf that asks for nothing', { bpf: program(LENGTH, RETURN_ONE) }],
  ['bpf that jumps in any case', { bpf: program(LENGTH, '5 0 0 0', RETURN_ONE) }],
  ['bpf that asks for what is no part of the packet', { bpf: program(ONE, '21 0 1 1', RETURN_ONE, RETURN_NONE) }],
  ['bpf that divides by a constant', { bpf: program(X_LENGTH, '0 0 0 100', '52 0 0 5', RETURN_A) }],
  ['bpf that divides by X', { bpf: program(X_FIVE, '0 0 0 100', '60 0 0 0', RETURN_A) }],
  ['bpf that keeps A', { bpf: program(ONE, '2 0 0 0', '96 0 0 0', RETURN_A) }],
  ['bpf that keeps X', { bpf: program(X_FIVE, '3 0 0 0', '96 0 0 0', RETURN_A) }],
  ['bpf that reads bytes at X', { bpf: program(X_FIVE, '80 0 0 23', RETURN_A) }],
  ['bpf that reads the IP header’s length', { bpf: program('177 0 0 0', TXA, RETURN_A) }],
  ['bpf that looks for the last byte of the shortest packet', { bpf: program('48 0 0 77', RETURN_ONE) }],
  ['bpf that takes away the bits that differ', { bpf: program('40 0 0 2', '84 0 0 0', RETURN_A) }],
];
/** Such a rule has to be asked about each packet. */
const differs: [string, Bytes][] = [
  ['u32 that looks for what short packets do not have', { u32: '200&0=0' }],
  ['u32 that goes there in two steps', { u32: '0&0@200&0=0' }],
  ['u32 that asks for the length', { u32: '0&0x8=8' }],
  ['u32 that looks where the length says', { u32: '0&0x8@28>>24=8' }],
  ['bpf that looks for what short packets do not have', { bpf: program('48 0 0 200', RETURN_ONE) }],
  ['bpf that looks for a byte behind it', { bpf: program('48 0 0 78', RETURN_ONE) }],
  ['bpf that divides by what may be 0', { bpf: program('48 0 0 3', EIGHT, TAX, '0 0 0 100', '60 0 0 0', RETURN_ONE) }],
  ['bpf that returns the length’s bit', { bpf: program(LENGTH, EIGHT, RETURN_A) }],
  ['bpf that keeps the length in A', { bpf: program(LENGTH, '2 0 0 0', '96 0 0 0', EIGHT, RETURN_A) }],
  ['bpf that keeps the length in X', { bpf: program(X_LENGTH, '3 0 0 0', '96 0 0 0', EIGHT, RETURN_A) }],
  [
    'bpf that reads bytes where the length says',
    { bpf: program(LENGTH, EIGHT, TAX, '80 0 0 28', '84 0 0 8', RETURN_A) },
  ],
  ['bpf that jumps by the length', { bpf: program(LENGTH, '37 0 1 100', RETURN_ONE, RETURN_NONE) }],
  ['bpf that compares with the length', { bpf: program('0 0 0 100', X_LENGTH, '45 0 1 0', RETURN_ONE, RETURN_NONE) }],
  ['bpf that adds up the length', { bpf: program(ONE, X_LENGTH, '12 0 0 0', EIGHT, RETURN_A) }],
  ['bpf that takes the length’s byte for a header’s', { bpf: program('177 0 0 3', TXA, '84 0 0 32', RETURN_A) }],
];
for (let at = 0; at < 50; at++)
  (SAME.includes(at) ? always : differs).push([`u32 that asks for byte ${at}`, { u32: `${at}>>24&5=0` }]);

it.each([
  ...always.map(([name, match]) => [name, match, true] as const),
  ...differs.map(([name, match]) => [name, match, false] as const),
])('%s fares alike', async (_, match, same) => {
  const prepare = (engine: Engine) => {
    for (const [name, { iptables }] of engine.namespaces)
      if (name.endsWith('/host')) iptables.insert('filter', 'INPUT', { ...match, target: 'NONE' });
  };
  const slow = await overlayLife({ fast: false, spec: TWO_NODES, count: COUNT, size, prepare });
  const quick = await overlayLife({ fast: true, spec: TWO_NODES, count: COUNT, size, prepare });
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.answers).toBe(COUNT + 3);
  expect(slow.fast).toBe(0);
  // There and back: into the tunnel and out of it, or, where the rule is asked each time, from behind the tunnel on.
  expect(quick.fast).toBeGreaterThan(0.9 * COUNT * 4);
  if (same) expect(quick.slow).toBeLessThan(10);
  else expect(quick.slow).toBeGreaterThan(2 * COUNT);
});

it('is asked about each packet at one node, and at the other one not, as its rules are', async () => {
  const prepare = (engine: Engine) => {
    const rules = { 'node1/host': '0&0x8=8', 'node2/host': VNI };
    for (const [name, u32] of Object.entries(rules))
      engine.namespaces.get(name)?.iptables.insert('filter', 'INPUT', { u32, target: 'NONE' });
  };
  const life = (fast: boolean) => overlayLife({ fast, spec: TWO_NODES, count: COUNT, size, prepare });
  const [slow, quick] = [await life(false), await life(true)];
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.slow).toBeGreaterThan(COUNT);
  expect(quick.slow).toBeLessThan(1.2 * COUNT);
});
