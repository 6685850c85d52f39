import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isIn, isIpv4, numberOf, spanOf, subnetText, textOf } from '../../src/topology/ipv4.js';

it.each(['1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', '0x1.2.3.4', '1.2.3.', '::1', ''])(
  '"%s" is no address',
  (text) => {
    expect(isIpv4(text)).toBe(false);
    expect(() => numberOf(text)).toThrow(RangeError);
  },
);

it.each([
  '10.0.0.0',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0/8',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '/8',
  'fd00::/8',
  '10.0.0.0/024',
])('"%s" is no subnet', (text) => {
  expect(() => spanOf(text)).toThrow(RangeError);
});

it('an address is a number and back', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(textOf(numberOf(address))).toBe(address);
    }),
  );
});

it('a subnet is all addresses whose first bits are the same', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (address, length, other) => {
      const span = spanOf(`${address}/${length}`);
      const bits = (text: string) => numberOf(text).toString(2).padStart(32, '0').slice(0, length);
      expect(isIn(span, address)).toBe(true);
      expect(isIn(span, other)).toBe(bits(other) === bits(address));
      expect([bits(textOf(span.first)), bits(textOf(span.last))]).toEqual([bits(address), bits(address)]);
      expect(span.last - span.first + 1).toBe(2 ** (32 - length));
      expect(spanOf(subnetText(span))).toEqual(span);
    }),
  );
});
