// The Internet checksum: whole (RFC 1071) and incremental (RFC 1624, equation 3).
//
// Sums are taken over 16-bit words as a little-endian load reads them. One's complement addition does not mind
// (RFC 1071, section 2 (B)): the folded result is stored back the same way and comes out in network byte order.

/** Fold a sum of 16-bit words into 16 bits. */
// @ts-ignore: decorator
@inline
export function fold(sum: u32): u32 {
  let s = (sum & 0xffff) + (sum >>> 16);
  s = (s & 0xffff) + (s >>> 16);
  return s;
}

// @ts-ignore: decorator
@inline
export function fold64(sum: u64): u32 {
  let s = (sum & 0xffffffff) + (sum >>> 32);
  s = (s & 0xffffffff) + (s >>> 32);
  return fold(<u32>s);
}

/** The unfolded sum of `length` bytes at `at`, added to `seed`; an odd last byte counts as if a zero followed it. */
export function sum(at: usize, length: u32, seed: u32 = 0): u32 { return sumHere(at, length, seed); }

/** The same where a call would cost. */
// @ts-ignore: decorator
@inline
export function sumHere(at: usize, length: u32, seed: u32): u32 {
  let p = at;
  let left = length;
  let total: u64 = seed;
  if (left >= 16) {
    // 64 bytes a turn; a lane of u32 holds 2^15 additions of two u16 before it could overflow: 1 MiB of data.
    let first = i32x4.splat(0);
    let second = i32x4.splat(0);
    while (left >= 64) {
      first = i32x4.add(first, i32x4.extadd_pairwise_i16x8_u(v128.load(p)));
      second = i32x4.add(second, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 16)));
      first = i32x4.add(first, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 32)));
      second = i32x4.add(second, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 48)));
      p += 64;
      left -= 64;
    }
    while (left >= 16) {
      first = i32x4.add(first, i32x4.extadd_pairwise_i16x8_u(v128.load(p)));
      p += 16;
      left -= 16;
    }
    const lanes = i32x4.add(first, second);
    total +=
      <u64>(<u32>i32x4.extract_lane(lanes, 0)) +
      <u64>(<u32>i32x4.extract_lane(lanes, 1)) +
      <u64>(<u32>i32x4.extract_lane(lanes, 2)) +
      <u64>(<u32>i32x4.extract_lane(lanes, 3));
  }
  if (left >= 8) {
    const eight = load<u64>(p);
    total += (eight & 0xffffffff) + (eight >>> 32);
    p += 8;
    left -= 8;
  }
  if (left >= 4) {
    total += <u64>load<u32>(p);
    p += 4;
    left -= 4;
  }
  if (left >= 2) {
    total += <u64>load<u16>(p);
    p += 2;
    left -= 2;
  }
  if (left) total += <u64>load<u8>(p);
  return fold64(total);
}

/** The checksum field for a folded or unfolded sum. */
// @ts-ignore: decorator
@inline
export function finish(total: u32): u16 {
  return <u16>(~fold(total));
}

/** RFC 1624: the checksum after one 16-bit word went from `before` to `after`: HC' = ~(~HC + ~m + m'). */
// @ts-ignore: decorator
@inline
export function update16(check: u32, before: u32, after: u32): u16 {
  return <u16>(~fold((~check & 0xffff) + (~before & 0xffff) + (after & 0xffff)));
}

/** The same for a 32-bit word, an IPv4 address for one. */
// @ts-ignore: decorator
@inline
export function update32(check: u32, before: u32, after: u32): u16 {
  const nb = ~before;
  return <u16>(~fold((~check & 0xffff) + (nb & 0xffff) + (nb >>> 16) + (after & 0xffff) + (after >>> 16)));
}

/** The same for an IPv6 address: the 16 bytes at `beforeAt` became those at `afterAt`. */
export function update128(check: u32, beforeAt: usize, afterAt: usize): u16 {
  const total =
    (<u64>0xffffffff << 2) - <u64>load<u32>(beforeAt) - <u64>load<u32>(beforeAt, 4) - <u64>load<u32>(beforeAt, 8) - <u64>load<u32>(beforeAt, 12) +
    <u64>load<u32>(afterAt) + <u64>load<u32>(afterAt, 4) + <u64>load<u32>(afterAt, 8) + <u64>load<u32>(afterAt, 12);
  return <u16>(~fold((~check & 0xffff) + fold64(total)));
}

/** The pseudo-header's part of a TCP or UDP sum (RFC 768, RFC 9293 3.1). `length` is that of the segment, host order. */
// @ts-ignore: decorator
@inline
export function pseudo(source: u32, destination: u32, protocol: u32, length: u32): u32 {
  return (
    (source & 0xffff) + (source >>> 16) + (destination & 0xffff) + (destination >>> 16) +
    (protocol << 8) + <u32>bswap<u16>(<u16>length)
  );
}

/** The same over IPv6 (RFC 8200, section 8.1); the addresses are given by their places. */
export function pseudo6(sourceAt: usize, destinationAt: usize, protocol: u32, length: u32): u32 {
  const total =
    <u64>load<u32>(sourceAt) + <u64>load<u32>(sourceAt, 4) + <u64>load<u32>(sourceAt, 8) + <u64>load<u32>(sourceAt, 12) +
    <u64>load<u32>(destinationAt) + <u64>load<u32>(destinationAt, 4) + <u64>load<u32>(destinationAt, 8) + <u64>load<u32>(destinationAt, 12) +
    <u64>(protocol << 24) + <u64>bswap<u32>(length);
  return fold64(total);
}
