/** Address management as Docker's (libnetwork ipamutils/utils.go, ipams/defaultipam; swarmkit's serial allocation). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextSubnet, Pool } from '../../src/topology/pools.js';

describe('Docker’s default pools', () => {
  it('for local networks are 172.17 to 172.31 in /16s, then 192.168 in /20s', () => {
    const taken: string[] = [];
    for (let i = 0; i < 31; i++) taken.push(nextSubnet('local', taken));
    expect(taken.slice(0, 15)).toEqual(Array.from({ length: 15 }, (_, i) => `172.${17 + i}.0.0/16`));
    expect(taken.slice(15)).toEqual(Array.from({ length: 16 }, (_, i) => `192.168.${16 * i}.0/20`));
    expect(() => nextSubnet('local', taken)).toThrow(/used up/);
  });

  it('for swarm networks are 10.0.0.0/8 in /24s', () => {
    const taken: string[] = [];
    for (let i = 0; i < 4; i++) taken.push(nextSubnet('swarm', taken));
    expect(taken).toEqual(['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24', '10.0.3.0/24']);
    expect(nextSubnet('swarm', ['10.0.0.0/17', '10.0.128.0/17'])).toBe('10.1.0.0/24');
  });

  it('last for a thousand networks', () => {
    const taken: string[] = [];
    for (let i = 0; i < 1000; i++) taken.push(nextSubnet('swarm', taken));
    expect(taken.at(-1)).toBe('10.3.231.0/24');
  });

  it('skip what overlaps with something else, larger or smaller', () => {
    expect(nextSubnet('local', ['172.17.5.1/32'])).toBe('172.18.0.0/16');
    expect(nextSubnet('local', ['172.16.0.0/14'])).toBe('172.20.0.0/16');
    expect(nextSubnet('local', ['172.18.0.0/16'])).toBe('172.17.0.0/16');
    expect(nextSubnet('swarm', ['10.0.0.0/16'])).toBe('10.1.0.0/24');
    // S6: docker_gwbridge of node1 is 172.19.0.0/16, for a network stood at 172.18.0.0/16 when it was made.
    expect(nextSubnet('local', ['192.168.99.110/24', '172.17.0.0/16', '172.18.0.0/16'])).toBe('172.19.0.0/16');
  });
});

describe('a pool', () => {
  it('of a bridge gives the lowest address that is free', () => {
    const pool = new Pool('172.17.0.0/16', false);
    expect([pool.next(), pool.next()]).toEqual(['172.17.0.1', '172.17.0.2']);
    pool.take('172.17.0.4');
    expect([pool.next(), pool.next()]).toEqual(['172.17.0.3', '172.17.0.5']);
  });

  it('of a swarm network gives the next after the last', () => {
    const pool = new Pool('10.0.1.0/24', true);
    expect([pool.next(), pool.next(), pool.next()]).toEqual(['10.0.1.1', '10.0.1.2', '10.0.1.3']);
  });

  it('skips what was taken by hand, and never gives the network’s or the broadcast address', () => {
    for (const serial of [true, false]) {
      const pool = new Pool('10.0.1.0/29', serial);
      pool.take('10.0.1.2');
      expect([1, 2, 3, 4, 5].map(() => pool.next())).toEqual([
        '10.0.1.1',
        '10.0.1.3',
        '10.0.1.4',
        '10.0.1.5',
        '10.0.1.6',
      ]);
      expect(() => pool.next()).toThrow(/no free address/);
    }
  });

  it('refuses an address that is taken, and one of another network', () => {
    const pool = new Pool('10.0.1.0/24', true);
    pool.take('10.0.1.9');
    expect(() => pool.take('10.0.1.9')).toThrow(/taken already/);
    expect(() => pool.take('10.0.2.9')).toThrow(/not in 10.0.1.0\/24/);
  });

  it('writes an address with the length of its subnet', () => {
    expect(new Pool('172.17.0.0/16', false).withLength('172.17.0.2')).toBe('172.17.0.2/16');
  });

  it('gives each address of any subnet once (property)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 24, max: 30 }), fc.boolean(), (length, serial) => {
        const pool = new Pool(`10.7.3.0/${length}`, serial);
        const size = 2 ** (32 - length) - 2;
        const given = Array.from({ length: size }, () => pool.next());
        expect(new Set(given).size).toBe(size);
        expect(given).not.toContain('10.7.3.0');
        expect(() => pool.next()).toThrow();
      }),
    );
  });
});
