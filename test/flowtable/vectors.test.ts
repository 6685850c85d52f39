/** Vectors of frames, with changes between any two of them: each fares with the flow table as it does without. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { Random } from '../../bench/fuzz/random.js';
import { lives, PATIENCE } from './lives.js';
import { drawnSpec, ENCRYPTED, TWO_NODES } from './topologies.js';
import { type Options, vectors } from './vectors.js';

const module = await checkedModule();
const changes = new Map<string, number>();

/** Packets that took the fast way, and connections that were opened by example, in so many lives of either kind. */
async function alike(count: number, first: number, optionsOf: (seed: number) => Options, examples: [number][] = []) {
  const total = { fast: 0, opened: 0 };
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
    const options = optionsOf(seed);
    const slow = await vectors(seed, false, module, options);
    const quick = await vectors(seed, true, module, options);
    expect(quick.seen).toEqual(slow.seen);
    expect(slow.fast).toBe(0);
    total.fast += quick.fast;
    total.opened += quick.opened;
    for (const [name, times] of quick.changes) changes.set(name, (changes.get(name) ?? 0) + times);
  });
  await fc.assert(property, { ...lives(count, first), examples });
  return total;
}

it(
  'fares alike on any swarm, whatever Docker does to it',
  async () => {
    const anySwarm = (seed: number) => ({ spec: drawnSpec(new Random(seed, 5)), steps: 60, docker: true });
    // 6: a group's datagram, of which a macvlan gets a copy.
    const { fast, opened } = await alike(20, 11, anySwarm, [[6]]);
    // It would not say much if nothing had been fast.
    expect(fast).toBeGreaterThan(3000);
    expect(opened).toBeGreaterThan(50);
  },
  PATIENCE,
);

it.each<[string, Omit<Options, 'spec' | 'steps'>]>([
  ['through the mesh', { ways: ['published'], published: [8080], side: 'near' }],
  ['back through the mesh', { ways: ['published'], published: [8080], side: 'far' }],
  ['out of a tunnel', { ways: ['published'], published: [8080], tunnelled: 0.7 }],
  ['to a port of a task’s node', { ways: ['published'], published: [8081] }],
  ['to a port that a bridge publishes', { ways: ['published'], published: [9090] }],
  ['to a virtual IP', { ways: ['vip'] }],
  ['from container to container', { ways: ['endpoint'] }],
  ['to the world outside', { ways: ['outside'] }],
])(
  'fares alike %s',
  async (_, options) => {
    const { fast } = await alike(4, 3, () => ({ ...options, spec: TWO_NODES, steps: 80 }));
    expect(fast).toBeGreaterThan(600);
  },
  PATIENCE,
);

it.each<[string, Omit<Options, 'steps'>]>([
  ['from container to container', { ways: ['endpoint'], spec: ENCRYPTED }],
  ['as Engine 28 has it', { ways: ['endpoint'], spec: { ...ENCRYPTED, engine: '28' } }],
  ['to a virtual IP', { ways: ['vip'], spec: ENCRYPTED }],
  ['out of ESP', { ways: ['endpoint'], spec: ENCRYPTED, tunnelled: 0.6 }],
])(
  'fares alike over an encrypted overlay, %s',
  async (_, options) => {
    const { fast } = await alike(4, 5, () => ({ ...options, steps: 80 }));
    expect(fast).toBeGreaterThan(1000);
  },
  PATIENCE,
);

it('every change was made', () => {
  expect([...changes].filter(([, times]) => times === 0)).toEqual([]);
  expect(changes.size).toBeGreaterThan(20);
});
