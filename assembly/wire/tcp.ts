// TCP (RFC 9293; options: MSS and the rest 3.2, window scale and timestamps RFC 7323, SACK RFC 2018).
//
//  0        2             4     8     12         13      14       16      18       20
//  | source | destination | seq | ack | offset   | flags | window | check | urgent | options | payload
//
// Ports as loaded; sequence numbers and the window in host order.

import { finish, pseudo, pseudo6, sum } from "./checksum";
import * as ipv6 from "./ipv6";

export const LENGTH: u32 = 20;
export const FIN: u32 = 1;
export const SYN: u32 = 2;
export const RST: u32 = 4;
export const PSH: u32 = 8;
export const ACK: u32 = 16;
export const URG: u32 = 32;
export const ECE: u32 = 64;
export const CWR: u32 = 128;

export const OPTION_END: u32 = 0;
export const OPTION_NOP: u32 = 1;
export const OPTION_MSS: u32 = 2;
export const OPTION_WINDOW_SCALE: u32 = 3;
export const OPTION_SACK_PERMITTED: u32 = 4;
export const OPTION_SACK: u32 = 5;
export const OPTION_TIMESTAMPS: u32 = 8;

// @ts-ignore: decorator
@inline
export function source(p: usize): u32 { return load<u16>(p); }
// @ts-ignore: decorator
@inline
export function destination(p: usize): u32 { return load<u16>(p, 2); }
// @ts-ignore: decorator
@inline
export function sequence(p: usize): u32 { return bswap<u32>(load<u32>(p, 4)); }
// @ts-ignore: decorator
@inline
export function acknowledgment(p: usize): u32 { return bswap<u32>(load<u32>(p, 8)); }
/** Header length in bytes, options included. */
// @ts-ignore: decorator
@inline
export function headerLength(p: usize): u32 { return (<u32>load<u8>(p, 12) >>> 4) << 2; }
// @ts-ignore: decorator
@inline
export function flags(p: usize): u32 { return load<u8>(p, 13); }
// @ts-ignore: decorator
@inline
export function window(p: usize): u32 { return bswap<u16>(load<u16>(p, 14)); }
// @ts-ignore: decorator
@inline
export function check(p: usize): u32 { return load<u16>(p, 16); }
// @ts-ignore: decorator
@inline
export function setCheck(p: usize, value: u32): void { store<u16>(p, <u16>value, 16); }

/** Writes the 20 fixed bytes with a zero checksum. `headerLength` in bytes; ports as loaded. */
export function emit(p: usize, source: u32, destination: u32, sequence: u32, acknowledgment: u32, headerLength: u32, flags: u32, window: u32): void {
  store<u32>(p, source | (destination << 16));
  store<u32>(p, bswap<u32>(sequence), 4);
  store<u32>(p, bswap<u32>(acknowledgment), 8);
  store<u16>(p, <u16>((headerLength << 2) | (flags << 8)), 12);
  store<u16>(p, bswap<u16>(<u16>window), 14);
  store<u32>(p, 0, 16);
}

/** Compute the checksum over pseudo-header, header and payload. */
// @ts-ignore: decorator
@inline
export function seal(p: usize, length: u32, source: u32, destination: u32): void {
  setCheck(p, 0);
  setCheck(p, finish(sum(p, length, pseudo(source, destination, 6, length))));
}

// @ts-ignore: decorator
@inline
export function checksumOk(p: usize, length: u32, source: u32, destination: u32): bool {
  return sum(p, length, pseudo(source, destination, 6, length)) == 0xffff;
}

/** The same over IPv6, the addresses by their places. */
export function seal6(p: usize, length: u32, sourceAt: usize, destinationAt: usize): void {
  setCheck(p, 0);
  setCheck(p, finish(sum(p, length, pseudo6(sourceAt, destinationAt, 6, length))));
}

/** In the IPv6 packet at `ip`. */
export function checksumOk6(p: usize, length: u32, ip: usize): bool {
  return sum(p, length, ipv6.pseudo(ip, 6, length)) == 0xffff;
}

/** Sequence space is circular: is a before b (RFC 9293 3.4)? */
// @ts-ignore: decorator
@inline
export function before(a: u32, b: u32): bool { return <i32>(a - b) < 0; }
// @ts-ignore: decorator
@inline
export function after(a: u32, b: u32): bool { return <i32>(a - b) > 0; }
