/** With the flow table and without it a swarm lives the very same life: frames, order, counters, connections, captures. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkedModule, readIn } from '../../bench/fuzz/files.js';
import { Random } from '../../bench/fuzz/random.js';
import { loadScenario } from '../../src/replay/scenario.js';
import { topologyOf } from '../../src/replay/topology.js';
import { lives, PATIENCE } from './lives.js';
import { drawnSpec } from './topologies.js';
import { live } from './twins.js';

it(
  'lives the same life with the flow table as without, whatever changes under it',
  async () => {
    const module = await checkedModule();
    let fast = 0;
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
        const { nodes, engine, networks } = drawnSpec(new Random(seed, 7));
        for (const { driver, options } of networks) kinds.add(options?.encrypted === undefined ? driver : 'encrypted');
        if (nodes[0]?.address6) kinds.add('IPv6');
        kinds.add(engine);
        const slow = await live(seed, false, 60, module);
        const quick = await live(seed, true, 60, module);
        expect(quick.seen).toEqual(slow.seen);
        expect(slow.fast).toBe(0);
        fast += quick.fast;
      }),
      lives(25, 5),
    );
    // It would not say much if nothing had been fast.
    expect(fast).toBeGreaterThan(5000);
    // Nor if the topologies had all been of one kind.
    expect([...kinds].sort()).toEqual(['20.10', '28', 'IPv6', 'bridge', 'encrypted', 'ipvlan', 'macvlan', 'overlay']);
  },
  PATIENCE,
);

it.each([
  'S3-publish',
  'S5-overlay-vip',
  'S6-ingress',
  'S7-ingress-one',
  'S9-encrypted-overlay',
  'S10-macvlan-ipvlan',
  'S11-custom-ingress',
  'S14-scale',
  'S16-vip-two-networks',
  'S17-ingress-ports',
  'S18-icmp-errors',
])(
  'lives the same life on the recorded swarm %s',
  async (name) => {
    const module = await checkedModule();
    const { inputs } = loadScenario(name, readIn(`test/oracle/${name}`));
    let fast = 0;
    for (const seed of [1, 2]) {
      const slow = await live(seed, false, 60, module, topologyOf(inputs));
      const quick = await live(seed, true, 60, module, topologyOf(inputs));
      expect(quick.seen).toEqual(slow.seen);
      fast += quick.fast;
    }
    expect(fast).toBeGreaterThan(0);
  },
  240_000,
);
