/** IPv6 addresses in words (RFC 4291, RFC 5952), and the addresses of a subnet in the order in which Docker gives them. */

import { describe, expect, it } from 'vitest';
import { cidr6, firstAddress, groupsOf, ipv6Text, isIn, linkLocal, Pool6, prefixOf } from '../../src/topology/ipv6.js';

describe('an address', () => {
  it.each([
    ['2001:db8:1::2', '2001:db8:1::2'],
    ['2001:DB8:0001:0:0:0:0:0002', '2001:db8:1::2'],
    ['::', '::'],
    ['::1', '::1'],
    ['fe80::', 'fe80::'],
    // The longest run, the first of several; one zero group alone stays (RFC 5952, 4.2).
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ])('%s is %s', (text, told) => {
    expect(ipv6Text(groupsOf(text))).toBe(told);
  });

  it.each([
    '',
    ':',
    ':::',
    '1:2:3',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    'g::1',
    '12345::',
    '::1.2.3.400',
    '::1.2.3',
    '1:2:3:4:5:6:7::8:9',
  ])('"%s" is none', (text) => {
    expect(() => groupsOf(text)).toThrow(RangeError);
  });

  it('a prefix is what its length leaves', () => {
    expect(prefixOf('2001:db8:1:ffff::1/50')).toBe('2001:db8:1:c000::');
    expect(prefixOf('fe80::1/10')).toBe('fe80::');
    expect(cidr6('2001:DB8::/64')).toEqual({ address: '2001:db8::', length: 64 });
    expect(() => cidr6('2001:db8::/129')).toThrow(RangeError);
    expect(isIn('2001:db8:1::99', '2001:db8:1::/64')).toBe(true);
    expect(isIn('2001:db8:2::99', '2001:db8:1::/64')).toBe(false);
  });

  it('of a link is the MAC with its universal bit turned, as S12 recorded it', () => {
    expect(linkLocal('02:42:ac:14:00:02')).toBe('fe80::42:acff:fe14:2');
    expect(linkLocal('aa:d0:b4:c8:e0:7b')).toBe('fe80::a8d0:b4ff:fec8:e07b');
  });
});

describe('a subnet', () => {
  it('gives its first address to the gateway and the next ones to containers, the lowest that is free', () => {
    const pool = new Pool6('2001:db8:1::/64');
    expect(firstAddress('2001:db8:1::/64')).toBe('2001:db8:1::1');
    pool.take('2001:db8:1::1');
    pool.take('2001:db8:1::3');
    expect([pool.next(), pool.next()].map((one) => pool.withLength(one))).toEqual([
      '2001:db8:1::2/64',
      '2001:db8:1::4/64',
    ]);
    pool.give('2001:db8:1::2');
    expect(pool.next()).toBe('2001:db8:1::2');
    expect(() => pool.take('2001:db8:1::4')).toThrow('taken already');
    expect(() => pool.take('2001:db8:2::4')).toThrow('is not in');
  });

  it('counts over group boundaries, and ends', () => {
    const pool = new Pool6('2001:db8::fffe/112');
    pool.take('2001:db8::1');
    expect(pool.next()).toBe('2001:db8::2');
    const small = new Pool6('2001:db8::fffc/126');
    expect([small.next(), small.next(), small.next()]).toEqual(['2001:db8::fffd', '2001:db8::fffe', '2001:db8::ffff']);
    expect(() => small.next()).toThrow('no free address');
  });
});
