/** IPv4 addresses and subnets as numbers: 10.0.0.1 is 0x0a000001. Text is read by ipaddr.js. */

import ipaddr from 'ipaddr.js';

const { IPv4 } = ipaddr;

/** First and last address of a subnet, and the length of its prefix. */
export interface Span {
  readonly first: number;
  readonly last: number;
  readonly length: number;
}

/** Four decimal numbers below 256, without leading zeros. */
export function isIpv4(text: string): boolean {
  return IPv4.isValidFourPartDecimal(text);
}

/** Throws a RangeError for what is no address. */
export function numberOf(address: string): number {
  if (!isIpv4(address)) throw new RangeError(`"${address}" is no IPv4 address`);
  return address.split('.').reduce((value, byte) => value * 256 + Number(byte), 0);
}

export function textOf(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** Reading a prefix costs more than comparing it with thousands of others. */
const spans = new Map<string, Span>();

/** The subnet that an address with its prefix length (192.168.50.1/24) is of. Throws a RangeError for what is none. */
export function spanOf(cidr: string): Span {
  const known = spans.get(cidr);
  if (known) return known;
  // The library takes any number of zeros before a length; nothing else here does.
  if (!IPv4.isValidCIDRFourPartDecimal(cidr) || !/\/\d{1,2}$/.test(cidr))
    throw new RangeError(`"${cidr}" is no IPv4 subnet`);
  const [, length] = IPv4.parseCIDR(cidr);
  const first = numberOf(IPv4.networkAddressFromCIDR(cidr).toString());
  const span = { first, last: first + 2 ** (32 - length) - 1, length };
  spans.set(cidr, span);
  return span;
}

export function isIn({ first, last }: Span, address: string): boolean {
  const value = numberOf(address);
  return first <= value && value <= last;
}

/** The subnet without host bits: 10.1.0.0/24. */
export function subnetText({ first, length }: Span): string {
  return `${textOf(first)}/${length}`;
}
