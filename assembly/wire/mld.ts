// Multicast listener discovery, version 2 (RFC 3810, section 5.2): a report, behind the hop-by-hop header with the router
// alert (RFC 2711) that such messages carry.
//
//  | next | 0 | router alert 05 02 00 00 | PadN 01 00 |
//  | type 143 | 0 | check | 0 | records u16 | record ...
//  record  | kind | 0 | 0 sources u16 | group 16 |

import * as icmpv6 from "./icmpv6";
import * as ipv6 from "./ipv6";

/** The hop-by-hop header. */
export const ALERT_LENGTH: u32 = 8;
export const RECORD_LENGTH: u32 = 20;
/** Of a record: all sources are wanted from now on (a state change). */
export const CHANGE_TO_EXCLUDE: u32 = 4;

export function emitAlert(at: usize): void {
  store<u64>(at, <u64>ipv6.ICMP | (<u64>0x00010000_0205 << 16));
}

/** The 8 bytes before the records. */
export function emit(at: usize, records: u32): void {
  icmpv6.emit(at, icmpv6.LISTENER_REPORT_2, 0, <u32>bswap<u16>(<u16>records) << 16);
}

export function emitRecord(at: usize, kind: u32, high: u64, low: u64): void {
  store<u32>(at, kind);
  store<u64>(at, high, 4);
  store<u64>(at, low, 12);
}
