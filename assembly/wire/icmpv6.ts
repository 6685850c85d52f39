// ICMPv6 (RFC 4443). The checksum covers a pseudo-header, too.
//
//  0      1      2       4              8
//  | type | code | check | rest         | payload
//
// Echo: rest = identifier, sequence. Packet too big: rest = MTU. Errors carry the offending packet; types below 128 are errors.

import { finish, pseudo6, sum } from "./checksum";
import * as ipv6 from "./ipv6";

export const LENGTH: u32 = 8;
export const UNREACHABLE: u32 = 1;
export const TOO_BIG: u32 = 2;
export const TIME_EXCEEDED: u32 = 3;
export const PARAMETER_PROBLEM: u32 = 4;
export const ECHO_REQUEST: u32 = 128;
export const ECHO_REPLY: u32 = 129;
export const LISTENER_QUERY: u32 = 130;
export const LISTENER_DONE: u32 = 132;
export const ROUTER_SOLICITATION: u32 = 133;
export const ROUTER_ADVERTISEMENT: u32 = 134;
export const NEIGHBOUR_SOLICITATION: u32 = 135;
export const NEIGHBOUR_ADVERTISEMENT: u32 = 136;
export const REDIRECT: u32 = 137;
export const LISTENER_REPORT_2: u32 = 143;

// Codes of UNREACHABLE
export const NO_ROUTE: u32 = 0;
export const BEYOND_SCOPE: u32 = 2;
export const ADDRESS_UNREACHABLE: u32 = 3;
export const PORT_UNREACHABLE: u32 = 4;
// Codes of PARAMETER_PROBLEM
export const BAD_FIELD: u32 = 0;
export const UNKNOWN_HEADER: u32 = 1;
export const UNKNOWN_OPTION: u32 = 2;

// @ts-ignore: decorator
@inline
export function type(p: usize): u32 { return load<u8>(p); }
// @ts-ignore: decorator
@inline
export function code(p: usize): u32 { return load<u8>(p, 1); }
// @ts-ignore: decorator
@inline
export function check(p: usize): u32 { return load<u16>(p, 2); }
// @ts-ignore: decorator
@inline
export function setCheck(p: usize, value: u32): void { store<u16>(p, <u16>value, 2); }
// @ts-ignore: decorator
@inline
export function setIdentifier(p: usize, value: u32): void { store<u16>(p, <u16>value, 4); }
/** Echo identifier in network byte order, as loaded. */
// @ts-ignore: decorator
@inline
export function identifier(p: usize): u32 { return load<u16>(p, 4); }
// @ts-ignore: decorator
@inline
export function sequence(p: usize): u32 { return bswap<u16>(load<u16>(p, 6)); }
/** The rest in host order: MTU of a "too big", pointer of a parameter problem. */
// @ts-ignore: decorator
@inline
export function rest(p: usize): u32 { return bswap<u32>(load<u32>(p, 4)); }
// @ts-ignore: decorator
@inline
export function isError(type: u32): bool { return type < 128; }

/** Writes the 8 header bytes with a zero checksum; `seal` comes after the payload. `rest` is as loaded. */
// @ts-ignore: decorator
@inline
export function emit(p: usize, type: u32, code: u32, rest: u32): void {
  store<u32>(p, type | (code << 8));
  store<u32>(p, rest, 4);
}

/** The checksum over pseudo-header, header and payload. */
export function seal(p: usize, length: u32, sourceAt: usize, destinationAt: usize): void {
  store<u16>(p, 0, 2);
  store<u16>(p, finish(sum(p, length, pseudo6(sourceAt, destinationAt, ipv6.ICMP, length))), 2);
}

/** `ip` is the IPv6 header that the message came with. */
export function checksumOk(p: usize, length: u32, ip: usize): bool {
  return sum(p, length, ipv6.pseudo(ip, ipv6.ICMP, length)) == 0xffff;
}
