/** Addresses as text: what is one, and what is none. */

import { describe, expect, it } from 'vitest';
import { cidr, ipv4, ipv4Text, mac, macText } from '../../src/engine/wire.js';

describe('an IPv4 address', () => {
  it.each(['0.0.0.0', '10.0.1.200', '127.0.0.11', '255.255.255.255'])('%s is read and written', (text) => {
    expect(ipv4Text(ipv4(text))).toBe(text);
  });

  it('is held in the order in which its bytes lie in a frame', () => {
    expect(ipv4('1.2.3.4')).toBe(0x04030201);
    expect(ipv4('010.0.0.1')).toBe(ipv4('10.0.0.1'));
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.',
    '1.2.3.4.',
    '1.2.3.4.5',
    '.1.2.3',
    '1..2.3',
    '256.0.0.1',
    '1.2.3.0004',
    '1.2.3.x',
    ' 1.2.3.4',
  ])('"%s" is none', (text) => {
    expect(() => ipv4(text)).toThrow(`"${text}" is no IPv4 address`);
  });

  it('has a prefix length, 32 where none is said', () => {
    expect(cidr('10.0.1.0/24')).toEqual({ address: ipv4('10.0.1.0'), length: 24 });
    expect(cidr('10.0.1.7')).toEqual({ address: ipv4('10.0.1.7'), length: 32 });
    for (const text of ['10.0.0.0/', '10.0.0.0/33', '10.0.0.0/x']) expect(() => cidr(text)).toThrow('no IPv4 prefix');
  });
});

describe('a MAC address', () => {
  it.each(['00:00:00:00:00:00', '02:42:0a:00:00:02', 'fe:dc:ba:98:76:54', 'ff:ff:ff:ff:ff:ff'])(
    '%s is read and written',
    (text) => {
      expect(macText(mac(text))).toBe(text);
    },
  );

  it('may leave out zeros in front, and be in capitals', () => {
    expect(mac('2:42:A:0:0:2')).toEqual(mac('02:42:0a:00:00:02'));
  });

  it.each([
    '',
    '02:42:0a:00:00',
    '02:42:0a:00:00:02:',
    '02:42:0a:00:00:002',
    '02:42:0g:00:00:02',
    '02:42::00:00:02',
    '02-42-0a-00-00-02',
    '02:42:0@:00:00:02',
  ])('"%s" is none', (text) => {
    expect(() => mac(text)).toThrow(`"${text}" is no MAC address`);
  });
});
