// IPv6 (RFC 8200) and its extension headers.
//
//  0                  4         6      7      8        24             40
//  | v|class|label    | payload | next | hops | source | destination  | extension headers, upper layer
//
// Addresses stay where they are and are handled by their place, 16 bytes, or as two u64 as a little-endian load reads
// them: `high` is the first half. Lengths are host order.

import { pseudo6 } from "./checksum";

export const LENGTH: u32 = 40;
export const FRAGMENT_LENGTH: u32 = 8;

// Next headers (IANA protocol numbers); the rest are those of wire/ipv4.
export const HOP_BY_HOP: u32 = 0;
export const ROUTING: u32 = 43;
export const FRAGMENT: u32 = 44;
export const AUTHENTICATION: u32 = 51;
export const ICMP: u32 = 58;
export const NONE: u32 = 59;
export const DESTINATION_OPTIONS: u32 = 60;

/** Marks a protocol of a key as one over IPv6: bit 63 of a tuple's second half. */
export const V6: u32 = 0x80000000;
/** Every link carries packets of this size (RFC 8200, section 5). */
export const LEAST_MTU: u32 = 1280;

/** Of a fragment header: more fragments follow; the offset in units of 8 bytes lies above. */
export const MF: u32 = 1;
export const OFFSET: u32 = 0xfff8;

export const AT_SOURCE: usize = 8;
export const AT_DESTINATION: usize = 24;

// @ts-ignore: decorator
@inline
export function version(p: usize): u32 { return <u32>load<u8>(p) >>> 4; }
// @ts-ignore: decorator
@inline
export function trafficClass(p: usize): u32 { return (<u32>bswap<u16>(load<u16>(p)) >>> 4) & 0xff; }
// @ts-ignore: decorator
@inline
export function flowLabel(p: usize): u32 { return bswap<u32>(load<u32>(p)) & 0xfffff; }
// @ts-ignore: decorator
@inline
export function payloadLength(p: usize): u32 { return bswap<u16>(load<u16>(p, 4)); }
// @ts-ignore: decorator
@inline
export function nextHeader(p: usize): u32 { return load<u8>(p, 6); }
// @ts-ignore: decorator
@inline
export function hopLimit(p: usize): u32 { return load<u8>(p, 7); }
// @ts-ignore: decorator
@inline
export function setNextHeader(p: usize, value: u32): void { store<u8>(p, <u8>value, 6); }
// @ts-ignore: decorator
@inline
export function setHopLimit(p: usize, value: u32): void { store<u8>(p, <u8>value, 7); }
// @ts-ignore: decorator
@inline
export function setPayloadLength(p: usize, value: u32): void { store<u16>(p, bswap<u16>(<u16>value), 4); }

/** The two bits of congestion in the traffic class. */
// @ts-ignore: decorator
@inline
export function ecn(p: usize): u32 { return (<u32>load<u8>(p, 1) >>> 4) & 3; }
// @ts-ignore: decorator
@inline
export function setEcn(p: usize, value: u32): void { store<u8>(p, <u8>((<u32>load<u8>(p, 1) & 0xcf) | (value << 4)), 1); }

/** Writes the 40 bytes. `payload` is what follows, in bytes; the addresses are copied from their places. */
export function emit(p: usize, trafficClass: u32, flowLabel: u32, payload: u32, next: u32, hopLimit: u32, sourceAt: usize, destinationAt: usize): void {
  store<u32>(p, bswap<u32>(0x60000000 | (trafficClass << 20) | flowLabel));
  store<u16>(p, bswap<u16>(<u16>payload), 4);
  store<u16>(p, <u16>(next | (hopLimit << 8)), 6);
  copyAddress(p + AT_SOURCE, sourceAt);
  copyAddress(p + AT_DESTINATION, destinationAt);
}

// @ts-ignore: decorator
@inline
export function copyAddress(to: usize, from: usize): void {
  const low = load<u64>(from, 8);
  store<u64>(to, load<u64>(from));
  store<u64>(to, low, 8);
}
// @ts-ignore: decorator
@inline
export function sameAddress(a: usize, b: usize): bool {
  return ((load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8))) == 0;
}

// --- Kinds of addresses (RFC 4291) ---

// @ts-ignore: decorator
@inline
export function isMulticast(at: usize): bool { return load<u8>(at) == 0xff; }
/** fe80::/10 */
// @ts-ignore: decorator
@inline
export function isLinkLocal(at: usize): bool { return (<u32>load<u16>(at) & 0xc0ff) == 0x80fe; }
/** Scope of a group: 1 interface, 2 link, 5 site, 14 global. */
// @ts-ignore: decorator
@inline
export function groupScope(at: usize): u32 { return <u32>load<u8>(at, 1) & 15; }
// @ts-ignore: decorator
@inline
export function isUnspecified(at: usize): bool { return (load<u64>(at) | load<u64>(at, 8)) == 0; }
/** ::1 */
// @ts-ignore: decorator
@inline
export function isLoopback(at: usize): bool { return load<u64>(at) == 0 && load<u64>(at, 8) == 0x0100000000000000; }
/** The solicited-node group (ff02::1:ffXX:XXXX) of the address at `at`: the group's second half. */
// @ts-ignore: decorator
@inline
export function solicitedLow(at: usize): u64 { return 0xff01000000 | (<u64>(load<u32>(at, 12) >>> 8) << 40); }
/** ff02::/16 as the first half of a group's address. */
export const LINK_GROUP: u64 = 0x02ff;
/** Is the group at `at` a solicited-node group? */
// @ts-ignore: decorator
@inline
export function isSolicitedNode(at: usize): bool {
  return load<u64>(at) == LINK_GROUP && (load<u64>(at, 8) & 0xffffffffff) == 0xff01000000;
}
/** The MAC that a group maps to: 33:33 and its last four bytes (RFC 2464, section 7). */
// @ts-ignore: decorator
@inline
export function groupMac(at: usize): u64 { return 0x3333 | (<u64>load<u32>(at, 12) << 16); }

// --- Extension headers ---

/** What `walk` found: the header after the last extension header, and where it begins, counted from the IPv6 header. */
export let upper: u32 = 0;
export let upperAt: u32 = 0;
/** Where the fragment header lies, or 0. It ends the walk unless the fragment is the first one. */
export let fragmentAt: u32 = 0;
/** Where the next-header field lies that led to `upper`. */
export let pointerAt: u32 = 0;

/** No packet that anybody means has more. */
const MOST_HEADERS: u32 = 16;

/**
 * Goes over the extension headers of the packet at `p`, of which `length` bytes are there, to its upper layer
 * (ipv6_skip_exthdr). False: one of them runs over the end, or there is no end of them.
 */
export function walk(p: usize, length: u32): bool {
  let next = nextHeader(p);
  let at: u32 = LENGTH;
  let pointer: u32 = 6;
  fragmentAt = 0;
  for (let i: u32 = 0; i < MOST_HEADERS; i++) {
    if (next != HOP_BY_HOP && next != ROUTING && next != FRAGMENT && next != DESTINATION_OPTIONS && next != AUTHENTICATION) {
      upper = next;
      upperAt = at;
      pointerAt = pointer;
      return true;
    }
    if (at + 8 > length) return false;
    const following = <u32>load<u8>(p + at);
    pointer = at;
    if (next == FRAGMENT) {
      fragmentAt = at;
      at += FRAGMENT_LENGTH;
      if (fragmentWord(p + fragmentAt) & OFFSET) {
        upper = following;
        upperAt = at;
        pointerAt = pointer;
        return true;
      }
    } else {
      // An authentication header counts in words of 4 bytes (RFC 4302, 2.2).
      const size = next == AUTHENTICATION ? (<u32>load<u8>(p + at, 1) + 2) << 2 : (<u32>load<u8>(p + at, 1) + 1) << 3;
      if (at + size > length) return false;
      at += size;
    }
    next = following;
  }
  return false;
}

/** Offset and flags of the fragment header at `at`, host order. */
// @ts-ignore: decorator
@inline
export function fragmentWord(at: usize): u32 { return bswap<u16>(load<u16>(at, 2)); }
/** Its identification, as loaded. */
// @ts-ignore: decorator
@inline
export function fragmentId(at: usize): u32 { return load<u32>(at, 4); }
/** Writes a fragment header: `word` in host order, `id` as loaded. */
export function emitFragment(at: usize, next: u32, word: u32, id: u32): void {
  store<u16>(at, <u16>next);
  store<u16>(at, bswap<u16>(<u16>word), 2);
  store<u32>(at, id, 4);
}

/** What becomes of a packet with an options header (RFC 8200, section 4.2). */
export enum Options { FINE, DISCARD, REPORT, REPORT_UNLESS_GROUP }
/** Where the option lies that `checkOptions` did not like, from the header's begin. */
export let badOption: u32 = 0;
export const ROUTER_ALERT: u32 = 5;
/** Linux takes so many options of a kind that it knows, and seven bytes of padding (net.ipv6.max_hbh_opts_number, ip6_parse_tlv). */
const MOST_OPTIONS: u32 = 8;
const MOST_PADDING: u32 = 7;

/** Reads the options of the header at `at`, whose length has been checked (ip6_parse_tlv). */
export function checkOptions(at: usize): Options {
  const size = (<u32>load<u8>(at, 1) + 1) << 3;
  let i: u32 = 2;
  let padding: u32 = 0;
  let count: u32 = 0;
  while (i < size) {
    const kind = <u32>load<u8>(at + i);
    badOption = i;
    if (kind == 0) {
      i++;
      if (++padding > MOST_PADDING) return Options.DISCARD;
      continue;
    }
    if (i + 2 > size) return Options.DISCARD;
    const length = <u32>load<u8>(at + i, 1);
    if (i + 2 + length > size) return Options.DISCARD;
    if (kind == 1) {
      padding += length + 2;
      if (padding > MOST_PADDING) return Options.DISCARD;
      for (let j: u32 = 0; j < length; j++) if (load<u8>(at + i + 2 + j)) return Options.DISCARD;
    } else {
      padding = 0;
      if (++count > MOST_OPTIONS) return Options.DISCARD;
      if (kind == ROUTER_ALERT) {
        if (length != 2) return Options.DISCARD;
      } else {
        const action = kind >>> 6;
        if (action) return <Options>action;
      }
    }
    i += 2 + length;
  }
  return Options.FINE;
}

/** The pseudo-header's part of an upper-layer sum for the packet at `p` (RFC 8200, section 8.1). */
// @ts-ignore: decorator
@inline
export function pseudo(p: usize, protocol: u32, length: u32): u32 {
  return pseudo6(p + AT_SOURCE, p + AT_DESTINATION, protocol, length);
}
