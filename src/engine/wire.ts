/**
 * Addresses as people write them, and as the engine holds them: IPv4 addresses and ports in network byte order as a
 * little-endian load reads them, MACs as the low 48 bits of a u64, given in two halves.
 */

import { hexByte } from '../topology/mac.js';

/** '10.0.0.1' → u32. Throws a RangeError for what is no IPv4 address. Up to `end`, if there is more behind it. */
export function ipv4(text: string, end: number = text.length): number {
  let value = 0;
  let byte = 0;
  let digits = 0;
  let parts = 0;
  for (let i = 0; i <= end; i++) {
    const code = i === end ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || byte > 255 || parts === 4) throw noIpv4(text);
      value |= byte << (8 * parts++);
      byte = digits = 0;
    } else {
      const digit = code - ZERO;
      if (digit < 0 || digit > 9 || ++digits > 3) throw noIpv4(text);
      byte = byte * 10 + digit;
    }
  }
  if (parts !== 4) throw noIpv4(text);
  return value >>> 0;
}

const ZERO = 48;
const DOT = 46;
const COLON = 58;

function noIpv4(text: string): RangeError {
  return new RangeError(`"${text}" is no IPv4 address`);
}

export function ipv4Text(value: number): string {
  return `${value & 255}.${(value >>> 8) & 255}.${(value >>> 16) & 255}.${value >>> 24}`;
}

/** '10.0.1.0/24' → address and prefix length; without a length it is 32. */
export function cidr(text: string): { address: number; length: number } {
  const slash = text.indexOf('/');
  if (slash < 0) return { address: ipv4(text), length: 32 };
  const length = lengthOf(text, slash + 1);
  if (length > 32) throw new RangeError(`"${text}" is no IPv4 prefix`);
  return { address: ipv4(text, slash), length };
}

/** One or two digits from `start` to the end, or more than 32. */
function lengthOf(text: string, start: number): number {
  const digits = text.length - start;
  const first = digits > 0 ? text.charCodeAt(start) - ZERO : -1;
  if (digits > 2 || first < 0 || first > 9) return Number.POSITIVE_INFINITY;
  if (digits === 1) return first;
  const second = text.charCodeAt(start + 1) - ZERO;
  return second < 0 || second > 9 ? Number.POSITIVE_INFINITY : 10 * first + second;
}

/** A mask of `length` bits, network byte order as loaded. */
export function mask(length: number): number {
  const host = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
  return swap32(host);
}

export function swap32(value: number): number {
  return (((value & 255) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

/** A port between host order and as loaded: the same swap either way. */
export function port(value: number): number {
  return ((value & 255) << 8) | (value >>> 8);
}

export interface MacHalves {
  readonly low: number;
  readonly high: number;
}

/** The one that was read last: what all nodes are told of one endpoint is told at a stretch. */
let lastMac = { text: '', halves: { low: 0, high: 0 } };

/** '02:42:0a:00:00:02' → the halves of the u64: two digits at most between colons. Throws a RangeError for what is no MAC. */
export function mac(text: string): MacHalves {
  if (lastMac.text !== text) lastMac = { text, halves: readMac(text) };
  return lastMac.halves;
}

function readMac(text: string): MacHalves {
  let low = 0;
  let high = 0;
  let byte = 0;
  let digits = 0;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? COLON : text.charCodeAt(i);
    if (code === COLON) {
      if (digits === 0 || parts === 6) throw noMac(text);
      if (parts < 4) low |= byte << (8 * parts);
      else high |= byte << (8 * (parts - 4));
      parts++;
      byte = digits = 0;
    } else {
      const digit = hexDigit(code);
      if (digit < 0 || ++digits > 2) throw noMac(text);
      byte = byte * 16 + digit;
    }
  }
  if (parts !== 6) throw noMac(text);
  return { low: low >>> 0, high };
}

function hexDigit(code: number): number {
  if (code >= ZERO && code < ZERO + 10) return code - ZERO;
  const letter = (code | 32) - 97;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

function noMac(text: string): RangeError {
  return new RangeError(`"${text}" is no MAC address`);
}

export function macText({ low, high }: MacHalves): string {
  const byte = (word: number, at: number) => hexByte((word >>> at) & 255);
  return `${byte(low, 0)}:${byte(low, 8)}:${byte(low, 16)}:${byte(low, 24)}:${byte(high, 0)}:${byte(high, 8)}`;
}
