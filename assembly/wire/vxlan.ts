// VXLAN (RFC 7348, section 5), between an outer UDP header and an inner Ethernet frame.
//
//  0       1           4     7          8
//  | flags | reserved  | VNI | reserved | inner frame
//
// The I flag (0x08) must be set for the VNI to count; reserved fields are sent as zero.

export const LENGTH: u32 = 8;
/** Outer Ethernet, IPv4, UDP and VXLAN headers together. */
export const OVERHEAD: u32 = 50;
/** The IANA port, 4789, as loaded. */
export const PORT: u32 = 0xb512;

// @ts-ignore: decorator
@inline
export function hasVni(p: usize): bool { return (load<u8>(p) & 0x08) != 0; }
/** 24 bits, host order. */
// @ts-ignore: decorator
@inline
export function vni(p: usize): u32 { return bswap<u32>(load<u32>(p, 4)) >>> 8; }

/** Writes all 8 bytes. */
// @ts-ignore: decorator
@inline
export function emit(p: usize, vni: u32): void {
  store<u64>(p, <u64>0x08 | (<u64>bswap<u32>(vni << 8) << 32));
}
