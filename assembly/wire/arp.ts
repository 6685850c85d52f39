// ARP for IPv4 over Ethernet (RFC 826).
//
//  0      2      4    5    6     8            14         18           24
//  | hrd  | pro  | hl | pl | op  | sender MAC | sender IP | target MAC | target IP |

export const LENGTH: u32 = 28;
export const REQUEST: u32 = 0x0100; // 1 as loaded
export const REPLY: u32 = 0x0200; // 2 as loaded
/** hrd 1, pro 0x0800, hl 6, pl 4, as one little-endian load reads them. */
const IPV4_OVER_ETHERNET: u64 = 0x0406_0008_0100;
const MAC: u64 = 0xffffffffffff;

/** Is it long enough, and of the only kind that is spoken here? */
// @ts-ignore: decorator
@inline
export function valid(p: usize, length: u32): bool {
  return length >= LENGTH && (load<u64>(p) & MAC) == IPV4_OVER_ETHERNET;
}
// @ts-ignore: decorator
@inline
export function operation(p: usize): u32 { return <u32>load<u16>(p, 6); }
// @ts-ignore: decorator
@inline
export function senderMac(p: usize): u64 { return load<u64>(p, 8) & MAC; }
// @ts-ignore: decorator
@inline
export function senderAddress(p: usize): u32 { return load<u32>(p, 14); }
// @ts-ignore: decorator
@inline
export function targetMac(p: usize): u64 { return load<u64>(p, 16) >>> 16; }
// @ts-ignore: decorator
@inline
export function targetAddress(p: usize): u32 { return load<u32>(p, 24); }

/** Writes all 28 bytes. */
export function emit(p: usize, op: u32, senderMac: u64, sender: u32, targetMac: u64, target: u32): void {
  store<u64>(p, IPV4_OVER_ETHERNET | (<u64>op << 48));
  store<u64>(p, (senderMac & MAC) | (<u64>sender << 48), 8);
  store<u64>(p, <u64>(sender >>> 16) | (targetMac << 16), 16);
  store<u32>(p, target, 24);
}
