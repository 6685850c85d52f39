// Neighbour discovery's messages (RFC 4861, section 4) behind an ICMPv6 header, and their options (4.6).
//
//  solicitation    | type 135 | 0 | check | 0           | target 16 | options
//  advertisement   | type 136 | 0 | check | R S O flags | target 16 | options
//  router solicit. | type 133 | 0 | check | 0           | options
//  option          | type | length in units of 8 | ...

import * as icmpv6 from "./icmpv6";

/** Of a solicitation or an advertisement without options. */
export const LENGTH: u32 = 24;
export const SOURCE_LINK: u32 = 1;
export const TARGET_LINK: u32 = 2;
export const NONCE: u32 = 14;
/** An option with a MAC, or a nonce of six bytes. */
export const OPTION_LENGTH: u32 = 8;

// Flags of an advertisement, in the first byte of the rest
export const ROUTER: u32 = 0x80;
export const SOLICITED: u32 = 0x40;
export const OVERRIDE: u32 = 0x20;

export const AT_TARGET: usize = 8;

// @ts-ignore: decorator
@inline
export function flags(p: usize): u32 { return load<u8>(p, 4); }

/** The options from `at` to `end`: does every one have a length, and end in time (ndisc_parse_options)? */
export function optionsValid(at: usize, end: usize): bool {
  while (at < end) {
    if (at + 2 > end) return false;
    const size = <usize>load<u8>(at, 1) << 3;
    if (!size || at + size > end) return false;
    at += size;
  }
  return true;
}

/** Where the first option of that type begins, or 0. The options are valid. */
export function option(at: usize, end: usize, type: u32): usize {
  while (at < end) {
    if (load<u8>(at) == <u8>type) return at;
    at += <usize>load<u8>(at, 1) << 3;
  }
  return 0;
}

/** The MAC in an option that holds one, as wire/ethernet has it. */
// @ts-ignore: decorator
@inline
export function mac(option: usize): u64 { return load<u64>(option) >>> 16; }
/** Six bytes in an option: a MAC, or a nonce. */
// @ts-ignore: decorator
@inline
export function emitOption(at: usize, type: u32, six: u64): void { store<u64>(at, <u64>(type | 0x100) | (six << 16)); }

/** The 24 bytes of a solicitation or an advertisement, with a zero checksum. */
export function emit(p: usize, type: u32, flags: u32, targetAt: usize): void {
  icmpv6.emit(p, type, 0, flags);
  store<u64>(p, load<u64>(targetAt), 8);
  store<u64>(p, load<u64>(targetAt, 8), 16);
}
