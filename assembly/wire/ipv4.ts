// IPv4 (RFC 791; ECN and DSCP: RFC 2474, RFC 3168).
//
//  0        1     2         4       6              8     9       10        12       16        20
//  | v|ihl  | tos | length  | id    | flags|offset | ttl | proto | check   | source | destin. | options
//
// Addresses are u32 in network byte order, as a little-endian load reads them. Lengths and ids are host order.

import { finish, sum, update16 } from "./checksum";

export const LENGTH: u32 = 20;
export const ICMP: u32 = 1;
export const TCP: u32 = 6;
export const UDP: u32 = 17;
export const ESP: u32 = 50;
/** Flags and fragment offset, host order. */
export const DF: u32 = 0x4000;
export const MF: u32 = 0x2000;
export const OFFSET: u32 = 0x1fff;

// @ts-ignore: decorator
@inline
export function version(p: usize): u32 { return <u32>load<u8>(p) >>> 4; }
/** Header length in bytes, options included. */
// @ts-ignore: decorator
@inline
export function headerLength(p: usize): u32 { return (<u32>load<u8>(p) & 15) << 2; }
// @ts-ignore: decorator
@inline
export function tos(p: usize): u32 { return load<u8>(p, 1); }
// @ts-ignore: decorator
@inline
export function totalLength(p: usize): u32 { return bswap<u16>(load<u16>(p, 2)); }
// @ts-ignore: decorator
@inline
export function id(p: usize): u32 { return bswap<u16>(load<u16>(p, 4)); }
// @ts-ignore: decorator
@inline
export function flagsAndOffset(p: usize): u32 { return bswap<u16>(load<u16>(p, 6)); }
/** More fragments follow, or this is not the first one. */
// @ts-ignore: decorator
@inline
export function isFragment(p: usize): bool { return fragmented(p) != 0; }
/** Not 0: it is a fragment. */
// @ts-ignore: decorator
@inline
export function fragmented(p: usize): u32 { return load<u16>(p, 6) & 0xff3f; }
// @ts-ignore: decorator
@inline
export function ttl(p: usize): u32 { return load<u8>(p, 8); }
// @ts-ignore: decorator
@inline
export function protocol(p: usize): u32 { return load<u8>(p, 9); }
/** The checksum field as loaded. */
// @ts-ignore: decorator
@inline
export function check(p: usize): u32 { return load<u16>(p, 10); }
// @ts-ignore: decorator
@inline
export function source(p: usize): u32 { return load<u32>(p, 12); }
// @ts-ignore: decorator
@inline
export function destination(p: usize): u32 { return load<u32>(p, 16); }
// @ts-ignore: decorator
@inline
export function setCheck(p: usize, value: u32): void { store<u16>(p, <u16>value, 10); }
// @ts-ignore: decorator
@inline
export function setSource(p: usize, address: u32): void { store<u32>(p, address, 12); }
// @ts-ignore: decorator
@inline
export function setDestination(p: usize, address: u32): void { store<u32>(p, address, 16); }

/** The header's checksum is right when the sum over it is all ones. */
// @ts-ignore: decorator
@inline
export function checksumOk(p: usize): bool { return sum(p, headerLength(p)) == 0xffff; }

/** Compute the header checksum anew. */
// @ts-ignore: decorator
@inline
export function seal(p: usize): void {
  setCheck(p, 0);
  setCheck(p, finish(sum(p, headerLength(p))));
}

/** TTL - 1 with the checksum kept (RFC 1141, as ip_decrease_ttl does). */
// @ts-ignore: decorator
@inline
export function decrementTtl(p: usize): void {
  const before = <u32>load<u16>(p, 8);
  store<u8>(p, <u8>(ttl(p) - 1), 8);
  setCheck(p, update16(check(p), before, <u32>load<u16>(p, 8)));
}

/** Sets total length, id or the flags word, with the checksum kept. `at` is the word's offset, `value` host order. */
// @ts-ignore: decorator
@inline
export function rewrite16(p: usize, at: usize, value: u32): void {
  const before = <u32>load<u16>(p + at);
  const after = <u32>bswap<u16>(<u16>value);
  store<u16>(p + at, <u16>after);
  setCheck(p, update16(check(p), before, after));
}
export const AT_LENGTH: usize = 2;
export const AT_FLAGS: usize = 6;

/** Writes the 20 bytes of a header without options, checksum included. `flags` is the flags-and-offset word, host order. */
export function emit(p: usize, tos: u32, length: u32, id: u32, flags: u32, ttl: u32, protocol: u32, source: u32, destination: u32): void {
  store<u16>(p, <u16>(0x45 | (tos << 8)));
  store<u16>(p, bswap<u16>(<u16>length), 2);
  store<u16>(p, bswap<u16>(<u16>id), 4);
  store<u16>(p, bswap<u16>(<u16>flags), 6);
  store<u16>(p, <u16>(ttl | (protocol << 8)), 8);
  store<u16>(p, 0, 10);
  store<u32>(p, source, 12);
  store<u32>(p, destination, 16);
  setCheck(p, finish(sum(p, LENGTH)));
}
