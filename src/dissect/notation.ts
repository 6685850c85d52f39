/** How addresses are written: MACs with colons, IPv4 dotted (RFC 791), IPv6 shortened (RFC 5952). */

import { ipv6Text } from '../topology/ipv6.js';
import { u16 } from './layers.js';

export function mac(bytes: Uint8Array, at: number): string {
  return hex(bytes.subarray(at, at + 6), ':');
}

export function ipv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

export function ipv6(bytes: Uint8Array, at: number): string {
  return ipv6Text(Array.from({ length: 8 }, (_, index) => u16(bytes, at + index * 2)));
}

/** `0a0b0c`, or with a separator between bytes. */
export function hex(bytes: Uint8Array, separator = ''): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(separator);
}

/** A number as `0x` and so many digits. */
export function hexNumber(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
