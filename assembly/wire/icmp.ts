// ICMP (RFC 792; next-hop MTU: RFC 1191; codes: RFC 1812 5.2.7).
//
//  0      1      2       4              8
//  | type | code | check | rest         | payload
//
// Echo: rest = identifier, sequence. Errors: the rest holds the next-hop MTU (code 4), the payload the offending packet.

import { finish, sum } from "./checksum";

export const LENGTH: u32 = 8;
export const ECHO_REPLY: u32 = 0;
export const UNREACHABLE: u32 = 3;
export const REDIRECT: u32 = 5;
export const ECHO_REQUEST: u32 = 8;
export const TIME_EXCEEDED: u32 = 11;
export const PARAMETER_PROBLEM: u32 = 12;
export const NET_UNREACHABLE: u32 = 0;
export const HOST_UNREACHABLE: u32 = 1;
export const PROTOCOL_UNREACHABLE: u32 = 2;
export const PORT_UNREACHABLE: u32 = 3;
export const FRAGMENTATION_NEEDED: u32 = 4;

// @ts-ignore: decorator
@inline
export function type(p: usize): u32 { return load<u8>(p); }
// @ts-ignore: decorator
@inline
export function code(p: usize): u32 { return load<u8>(p, 1); }
// @ts-ignore: decorator
@inline
export function check(p: usize): u32 { return load<u16>(p, 2); }
/** Echo identifier in network byte order, as loaded. */
// @ts-ignore: decorator
@inline
export function identifier(p: usize): u32 { return load<u16>(p, 4); }
// @ts-ignore: decorator
@inline
export function sequence(p: usize): u32 { return bswap<u16>(load<u16>(p, 6)); }
/** Next-hop MTU of a "fragmentation needed", host order. */
// @ts-ignore: decorator
@inline
export function mtu(p: usize): u32 { return bswap<u16>(load<u16>(p, 6)); }

/** Errors quote the packet that caused them. */
// @ts-ignore: decorator
@inline
export function isError(type: u32): bool {
  return type == UNREACHABLE || type == TIME_EXCEEDED || type == PARAMETER_PROBLEM || type == REDIRECT || type == 4;
}

/** The checksum covers header and payload. */
// @ts-ignore: decorator
@inline
export function seal(p: usize, length: u32): void {
  store<u16>(p, 0, 2);
  store<u16>(p, finish(sum(p, length)), 2);
}

/** Writes the 8 header bytes with a zero checksum; `seal` comes after the payload. `rest` is as loaded. */
// @ts-ignore: decorator
@inline
export function emit(p: usize, type: u32, code: u32, rest: u32): void {
  store<u32>(p, type | (code << 8));
  store<u32>(p, rest, 4);
}
