/**
 * Captures at every device, and at devices that are first captured between two frames of a vector, hold the same bytes in the same
 * order with the flow table as without: over IPv4, IPv6, tunnels and ESP.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { ENCRYPTED, ENCRYPTED_6, TWO_NODES, TWO_NODES_6 } from './topologies.js';
import { type Options, vectors } from './vectors.js';

const module = await checkedModule();

it.each<[string, Omit<Options, 'steps'>]>([
  ['through the mesh', { spec: TWO_NODES, ways: ['published'], published: [8080], side: 'near' }],
  ['back through the mesh', { spec: TWO_NODES, ways: ['published'], published: [8080], side: 'far' }],
  ['to a port that a bridge publishes', { spec: TWO_NODES, ways: ['published'], published: [9090] }],
  ['out of tunnels', { spec: TWO_NODES, ways: ['endpoint', 'vip'], tunnelled: 0.5 }],
  ['over an encrypted overlay', { spec: ENCRYPTED, ways: ['endpoint'] }],
  ['out of ESP', { spec: ENCRYPTED, ways: ['vip'], tunnelled: 0.5 }],
  ['over IPv6', { spec: TWO_NODES_6, ways6: ['published', 'bridged', 'outside'] }],
  ['over IPv6, out of tunnels', { spec: TWO_NODES_6, ways6: ['overlay'], tunnelled: 0.5 }],
  ['over IPv6, out of ESP', { spec: ENCRYPTED_6, ways6: ['overlay'], tunnelled: 0.5 }],
])('captured alike %s', async (_, options) => {
  let fast = 0;
  for (const [seed, watched, change] of [
    [1, 1, 'a neighbour is learned, or set'],
    [2, 0, 'tap'],
    [4, 0, 'tap'],
  ] as const) {
    const told = { ...options, watched, changing: [change], steps: 40 };
    const [slow, quick] = [await vectors(seed, false, module, told), await vectors(seed, true, module, told)];
    expect(quick.seen).toEqual(slow.seen);
    fast += quick.fast;
  }
  expect(fast).toBeGreaterThan(500);
});
