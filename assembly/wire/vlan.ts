// 802.1Q (IEEE 802.1Q, 9.6): a tag between the source MAC and the EtherType.
//
//  0                  12            14            16
//  | destination, source | TPID 0x8100 | PCP|DEI|VID | EtherType …

/** Bytes of a tag. */
export const LENGTH: u32 = 4;
/** Shortest tagged frame that Linux looks into: two bytes past the EtherType (skb_vlan_untag). */
export const SHORTEST: u32 = 20;
/** Customer and service tag (802.1ad), as loaded. */
export const TYPE_8021Q: u32 = 0x0081;
export const TYPE_8021AD: u32 = 0xa888;
/** Identifiers that a device can have; 0 is a priority alone, 4095 is reserved. */
export const ID: u32 = 0xfff;

// @ts-ignore: decorator
@inline
export function isTag(type: u32): bool { return type == TYPE_8021Q || type == TYPE_8021AD; }
/** VID of the tag in the Ethernet header at `p`. */
// @ts-ignore: decorator
@inline
export function id(p: usize): u32 { return <u32>bswap<u16>(load<u16>(p, 14)) & ID; }
/** EtherType behind the tag, network byte order, as loaded. */
// @ts-ignore: decorator
@inline
export function innerType(p: usize): u32 { return <u32>load<u16>(p, 16); }

/** The addresses at `p + LENGTH` move to `p`, and the tag stands behind them: priority 0, not eligible to be dropped. */
export function insert(p: usize, id: u32): void {
  const first = load<u64>(p, 4);
  const last = load<u32>(p, 12);
  store<u64>(p, first);
  store<u32>(p, last, 8);
  store<u16>(p, <u16>TYPE_8021Q, 12);
  store<u16>(p, bswap<u16>(<u16>id), 14);
}

/** The addresses move over the tag: the frame without it begins at `p + LENGTH`. */
export function remove(p: usize): void {
  const first = load<u64>(p);
  const last = load<u32>(p, 8);
  store<u64>(p, first, 4);
  store<u32>(p, last, 12);
}
