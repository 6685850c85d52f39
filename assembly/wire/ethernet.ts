// Ethernet II (IEEE 802.3 clause 3; EtherTypes: RFC 9542).
//
//  0               6               12      14
//  | destination   | source        | type  | payload
//
// A MAC address is handled as the low 48 bits of a u64, as a little-endian load reads it.

export const LENGTH: u32 = 14;
export const TYPE_IPV4: u32 = 0x0008; // 0x0800 as loaded
export const TYPE_ARP: u32 = 0x0608; // 0x0806 as loaded
export const TYPE_IPV6: u32 = 0xdd86; // 0x86dd as loaded
export const BROADCAST: u64 = 0xffffffffffff;
const MAC: u64 = 0xffffffffffff;

// @ts-ignore: decorator
@inline
export function destination(p: usize): u64 { return load<u64>(p) & MAC; }
// @ts-ignore: decorator
@inline
export function source(p: usize): u64 { return load<u64>(p, 6) & MAC; }
/** EtherType in network byte order, as loaded. */
// @ts-ignore: decorator
@inline
export function type(p: usize): u32 { return <u32>load<u16>(p, 12); }
/** The group bit: broadcast or multicast. */
// @ts-ignore: decorator
@inline
export function isGroup(mac: u64): bool { return (mac & 1) != 0; }

/** Writes all 14 bytes. */
// @ts-ignore: decorator
@inline
export function emit(p: usize, destination: u64, source: u64, type: u32): void {
  store<u64>(p, (destination & MAC) | (source << 48));
  store<u32>(p, <u32>(source >>> 16), 8);
  store<u16>(p, <u16>type, 12);
}
