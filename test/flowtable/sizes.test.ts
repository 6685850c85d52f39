/** What a connection costs in memory, index included: at most two keys of 8 bytes at a load of a quarter, for v4 and v6 alike. */

import { expect, it } from 'vitest';
import { BalancedConnection, Connection, Flow } from '../../src/engine/generated/layout.js';

const key = 8 * 4;

it('keeps a conntrack entry within 192 bytes and an IPVS connection within 128, index included', () => {
  expect(Connection.size + 2 * key).toBeLessThanOrEqual(192);
  expect(BalancedConnection.size + 2 * key).toBeLessThanOrEqual(128);
});

it('keeps a flow within two cache lines, and what each packet needs of it in the first', () => {
  expect(Flow.size).toBeLessThanOrEqual(128);
  expect(Flow.balanced.at).toBe(64);
});

it('keeps what an established packet needs of a conntrack entry in its second cache line', () => {
  const { deadline, stamp, status, lastDirection, direction0 } = Connection;
  for (const { at } of [deadline, stamp, status, lastDirection, direction0]) expect(at).toBeGreaterThanOrEqual(64);
  // Who it is, and all else, is in the first.
  expect(Connection.ruleSnat.at).toBe(60);
  expect(Connection.size).toBe(128);
});

it('has nothing where an entry has its stamp: their cells are one pool', () => {
  expect(Flow.noStamp.at).toBe(Connection.stamp.at);
});
