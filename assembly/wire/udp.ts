// UDP (RFC 768).
//
//  0        2             4        6       8
//  | source | destination | length | check | payload
//
// Ports are u16 in network byte order, as loaded; a checksum of 0 means none.

import { finish, pseudo, pseudo6, sum } from "./checksum";
import * as ipv6 from "./ipv6";

export const LENGTH: u32 = 8;

// @ts-ignore: decorator
@inline
export function source(p: usize): u32 { return load<u16>(p); }
// @ts-ignore: decorator
@inline
export function destination(p: usize): u32 { return load<u16>(p, 2); }
/** Length of header and payload, host order. */
// @ts-ignore: decorator
@inline
export function length(p: usize): u32 { return bswap<u16>(load<u16>(p, 4)); }
// @ts-ignore: decorator
@inline
export function check(p: usize): u32 { return load<u16>(p, 6); }
// @ts-ignore: decorator
@inline
export function setCheck(p: usize, value: u32): void { store<u16>(p, <u16>value, 6); }

/** A computed 0 is sent as all ones (RFC 768). */
// @ts-ignore: decorator
@inline
export function neverZero(value: u32): u32 { return value ? value : 0xffff; }

/** Writes the 8 header bytes with a zero checksum. Ports as loaded, length host order. */
// @ts-ignore: decorator
@inline
export function emit(p: usize, source: u32, destination: u32, length: u32): void {
  store<u32>(p, source | (destination << 16));
  store<u32>(p, <u32>bswap<u16>(<u16>length), 4);
}

/** Compute the checksum over pseudo-header, header and payload. */
// @ts-ignore: decorator
@inline
export function seal(p: usize, length: u32, source: u32, destination: u32): void {
  setCheck(p, 0);
  setCheck(p, neverZero(finish(sum(p, length, pseudo(source, destination, 17, length)))));
}

// @ts-ignore: decorator
@inline
export function checksumOk(p: usize, length: u32, source: u32, destination: u32): bool {
  return check(p) == 0 || sum(p, length, pseudo(source, destination, 17, length)) == 0xffff;
}

/** The same over IPv6, the addresses by their places. */
export function seal6(p: usize, length: u32, sourceAt: usize, destinationAt: usize): void {
  setCheck(p, 0);
  setCheck(p, neverZero(finish(sum(p, length, pseudo6(sourceAt, destinationAt, 17, length)))));
}

/** In the IPv6 packet at `ip`: one without a checksum is none (RFC 8200, section 8.1). */
export function checksumOk6(p: usize, length: u32, ip: usize): bool {
  return check(p) != 0 && sum(p, length, ipv6.pseudo(ip, 17, length)) == 0xffff;
}
