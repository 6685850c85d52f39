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
    // Of lanes of two words: `whole` adds them up as one number, `high` its upper words; what `whole` lost was theirs.
    let whole = i32x4.splat(0);
    let high = i32x4.splat(0);
    while (left >= 64) {
      const first = v128.load(p);
      const second = v128.load(p, 16);
      const third = v128.load(p, 32);
      const fourth = v128.load(p, 48);
      whole = i32x4.add(i32x4.add(whole, i32x4.add(first, second)), i32x4.add(third, fourth));
      high = i32x4.add(
        i32x4.add(high, i32x4.add(i32x4.shr_u(first, 16), i32x4.shr_u(second, 16))),
        i32x4.add(i32x4.shr_u(third, 16), i32x4.shr_u(fourth, 16)),
      );
      p += 64;
      left -= 64;
    }
    while (left >= 16) {
      const first = v128.load(p);
      whole = i32x4.add(whole, first);
      high = i32x4.add(high, i32x4.shr_u(first, 16));
      p += 16;
      left -= 16;
    }
    total += across(whole, high);
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

/** All words of lanes of which the sum is `whole`, modulo 2^32, and that of their upper words `high`: of up to 64 KiB. */
// @ts-ignore: decorator
@inline
function across(whole: v128, high: v128): u64 {
  const lanes = i32x4.add(i32x4.sub(whole, i32x4.shl(high, 16)), high);
  const halves = i32x4.add(lanes, i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return <u64>(<u32>i32x4.extract_lane(halves, 0)) + <u64>(<u32>i32x4.extract_lane(halves, 1));
}

/** 16 bytes that stay and 16 that go: for what is left of less than 16. */
const KEEP: usize = memory.data<u8>([
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

/**
 * Copies `length` bytes, at least 16, to a place that does not overlap, and answers their unfolded sum (csum_partial_copy_nocheck):
 * each is read once. Up to 15 bytes behind `from + length` are read.
 */
// @ts-ignore: decorator
@inline
export function copySummed(to: usize, from: usize, length: u32): u32 {
  let whole = i32x4.splat(0);
  let high = i32x4.splat(0);
  let p = from;
  const offset = to - from;
  const end = from + length;
  while (p + 64 <= end) {
    const first = v128.load(p);
    const second = v128.load(p, 16);
    const third = v128.load(p, 32);
    const fourth = v128.load(p, 48);
    v128.store(p + offset, first);
    v128.store(p + offset, second, 16);
    v128.store(p + offset, third, 32);
    v128.store(p + offset, fourth, 48);
    whole = i32x4.add(i32x4.add(whole, i32x4.add(first, second)), i32x4.add(third, fourth));
    high = i32x4.add(
      i32x4.add(high, i32x4.add(i32x4.shr_u(first, 16), i32x4.shr_u(second, 16))),
      i32x4.add(i32x4.shr_u(third, 16), i32x4.shr_u(fourth, 16)),
    );
    p += 64;
  }
  while (p + 16 <= end) {
    const first = v128.load(p);
    v128.store(p + offset, first);
    whole = i32x4.add(whole, first);
    high = i32x4.add(high, i32x4.shr_u(first, 16));
    p += 16;
  }
  if (p != end) {
    const rest = v128.and(v128.load(p), v128.load(KEEP + 16 - (end - p)));
    v128.store(to + length - 16, v128.load(end - 16));
    whole = i32x4.add(whole, rest);
    high = i32x4.add(high, i32x4.shr_u(rest, 16));
  }
  return <u32>across(whole, high);
}

/**
 * A sum of words, below 2^47 and not 0, is that of bytes with a right checksum when it folds to all ones: when 65535 divides it.
 * Times the inverse of 65535 modulo 2^64 a multiple gives its quotient, anything else more than 2^48. So `wrong(x) | wrong(y)` is
 * 0 when both sums are right. Wider pieces than words may be added up (2^16, 2^32 leave a rest of 1), and `n << 8` stands
 * for `n` in network byte order.
 */
// @ts-ignore: decorator
@inline
export function wrong(total: u64): u64 { return (total * 0xfffefffefffeffff) & 0xffffffff00000000; }

/** The 16-bit words of `eight`, added up in halves. */
// @ts-ignore: decorator
@inline
export function halves(eight: u64): u64 { return (eight & 0xffffffff) + (eight >>> 32); }

/** The folded sum of two words. */
// @ts-ignore: decorator
@inline
export function fold2(sum: u32): u32 { return (sum & 0xffff) + (sum >>> 16); }

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
