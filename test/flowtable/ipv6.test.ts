/**
 * Over IPv6: vectors of frames, with changes between any two of them, fare with the flow table as they do without: first packets of
 * connections by openings, first answers by precedents, all others by their flows.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { lives, PATIENCE } from './lives.js';
import { ENCRYPTED_6, TWO_NODES_6 } from './topologies.js';
import { type Options, vectors } from './vectors.js';

const module = await checkedModule();

it.each<[string, Omit<Options, 'spec' | 'steps'> & Partial<Pick<Options, 'spec'>>]>([
  ['to a port that a bridge publishes', { ways6: ['published'] }],
  ['back from such a port', { ways6: ['published'], side: 'far' }],
  ['from container to container', { ways6: ['bridged'] }],
  ['to the world outside', { ways6: ['outside'] }],
  ['through an overlay', { ways6: ['overlay'] }],
  ['out of a tunnel', { ways6: ['overlay'], tunnelled: 0.7 }],
  ['through an encrypted overlay', { ways6: ['overlay'], spec: ENCRYPTED_6 }],
  ['out of ESP', { ways6: ['overlay'], spec: ENCRYPTED_6, tunnelled: 0.6 }],
  ['everywhere', { ways6: ['published', 'bridged', 'outside', 'overlay'], docker: true }],
])(
  'fares alike %s',
  async (_, options) => {
    const total = { fast: 0, opened: 0, followed: 0 };
    const property = fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
      const slow = await vectors(seed, false, module, { spec: TWO_NODES_6, ...options, steps: 80 });
      const quick = await vectors(seed, true, module, { spec: TWO_NODES_6, ...options, steps: 80 });
      expect(quick.seen).toEqual(slow.seen);
      expect(slow.fast).toBe(0);
      expect(slow.followed).toBe(0);
      total.fast += quick.fast;
      total.opened += quick.opened;
      total.followed += quick.followed;
    });
    await fc.assert(property, lives(4, 3));
    // It would not say much if nothing had been fast.
    expect(total.fast).toBeGreaterThan(2000);
    expect(total.opened).toBeGreaterThan(300);
    expect(total.followed).toBeGreaterThan(200);
  },
  PATIENCE,
);
