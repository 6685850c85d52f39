/** The order of a name's addresses (RFC 6724), as the two C libraries have it. */

import { describe, expect, it } from 'vitest';
import { inOrder } from '../../src/dns/preference.js';

const four = (address: string) => (address.includes(':') ? undefined : '10.0.0.1');
const both = (address: string) =>
  !address.includes(':') ? '10.0.0.1' : address.startsWith('fd') ? 'fd00:7::1' : '2001:db8::1';

describe('addresses of both families', () => {
  it.each(['glibc', 'musl'] as const)('%s tries IPv6 first where there is a way to it', (libc) => {
    expect(inOrder(['10.0.0.2', '2001:db8::2'], libc, both)).toEqual(['2001:db8::2', '10.0.0.2']);
    expect(inOrder(['2001:db8::2', '10.0.0.2'], libc, four)).toEqual(['10.0.0.2', '2001:db8::2']);
  });

  it('a unique local address is first to glibc and last to musl', () => {
    expect(inOrder(['10.0.0.2', 'fd00:7::2'], 'glibc', both)).toEqual(['fd00:7::2', '10.0.0.2']);
    expect(inOrder(['fd00:7::2', '10.0.0.2'], 'musl', both)).toEqual(['10.0.0.2', 'fd00:7::2']);
  });

  it('an address whose source is of another scope or label is behind', () => {
    // To a global address from a unique local one alone: 10.0.0.2 fits better.
    const local = (address: string) => (address.includes(':') ? 'fd00:7::1' : '10.0.0.1');
    for (const libc of ['glibc', 'musl'] as const)
      expect(inOrder(['2001:db8::2', '10.0.0.2'], libc, local)).toEqual(['10.0.0.2', '2001:db8::2']);
    expect(inOrder(['10.0.0.2', '2001:db8::2'], 'glibc', (a) => (a.includes(':') ? 'fe80::1' : '10.0.0.1'))).toEqual([
      '10.0.0.2',
      '2001:db8::2',
    ]);
  });

  it('leaves addresses of one family as they came', () => {
    const shuffled = ['10.0.0.9', '10.0.0.3', '10.0.0.7'];
    expect(inOrder(shuffled, 'glibc', both)).toEqual(shuffled);
    expect(inOrder(['fe80::1%eth0'], 'glibc', both)).toEqual(['fe80::1%eth0']);
  });
});
