/** Rules that read bytes of a tunnel's packets: what they make of a long packet is not taken for what they make of a short one. */

import { expect, it } from 'vitest';
import type { Engine } from '../../src/engine/index.js';
import type { RuleMatch } from '../../src/engine/rules.js';
import { overlayLife } from './overlay-life.js';
import { TWO_NODES } from './topologies.js';

const COUNT = 60;
/** Total lengths from 78 on; one is 256. */
const size = (i: number) => [300, 0, 178, 20, 180][i % 5] ?? 0;
const VNI = '0>>22&0x3C@12&0xFFFFFF00=1049600';

it.each<[string, Pick<RuleMatch, 'u32' | 'bpf'>]>([
  ['u32 that looks for what short packets do not have', { u32: '200&0=0' }],
  ['u32 that goes there in two steps', { u32: '0&0@200&0=0' }],
  ['bpf that looks for what short packets do not have', { bpf: '2,48 0 0 200,6 0 0 1' }],
  ['bpf that divides by what may be 0', { bpf: '5,48 0 0 3,7 0 0 0,0 0 0 100,60 0 0 0,6 0 0 1' }],
  ['u32 that reads the VXLAN header', { u32: VNI }],
  ['u32 that reads the last bytes of the shortest packet', { u32: '74&0=0' }],
  ['bpf that reads the last byte of the shortest packet', { bpf: '2,48 0 0 77,6 0 0 1' }],
])('%s fares alike', async (_, match) => {
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
});
