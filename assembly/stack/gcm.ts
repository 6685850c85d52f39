// AES-GCM as ESP uses it (NIST SP 800-38D, section 7; RFC 4106), put together from what a library says of a key: neither AES
// nor the arithmetic of GHASH's field is here. The library encrypts the blocks that `counters` lays out; and of each of a
// block's 128 bits it has said what that bit times the hash key is. The product is linear, so a block's is the sum of its
// bits', and a sum is XOR: `times` adds it up, six bits at a time.
//
// A key stream is the block that covers the tag, then those that cover the data. All bytes are as they lie in memory.

import * as esp from "../wire/esp";

const BLOCK: u32 = 16;

/** What JavaScript writes: bit 0 of byte 0 times the hash key, bit 1 of byte 0, …, bit 7 of byte 15. */
const PRODUCTS: usize = memory.data(2048, 16);
/** For each six bits of a block, and the last four of each half, whatever they are, their product. */
const SUMS: usize = memory.data(20992, 16);
/** Those of the second half. */
const HIGH: usize = SUMS + 10496;

export function productsAt(): usize { return PRODUCTS; }

/** The products have changed: another key. */
export function takeProducts(): void {
  let product = PRODUCTS;
  let sums = SUMS;
  for (let bit: u32 = 0; bit < 128; ) {
    const bits: u32 = (bit & 63) == 60 ? 4 : 6;
    const size = <usize>BLOCK << bits;
    v128.store(sums, v128.splat<u64>(0));
    for (let more: usize = BLOCK; more < size; more <<= 1) {
      const one = v128.load(product);
      for (let at = sums; at < sums + more; at += BLOCK) v128.store(at + more, v128.xor(one, v128.load(at)));
      product += BLOCK;
    }
    sums += size;
    bit += bits;
  }
}

/** Sixteen times an offset into the sums of six bits: those at `shift` + 4. */
// @ts-ignore: decorator
@inline
function six(bits: u64, shift: u64): usize { return <usize>((bits >>> shift) & 0x3f0); }

/** `block` times the hash key. */
// @ts-ignore: decorator
@inline
function times(block: v128): v128 {
  const low = v128.extract_lane<u64>(block, 0);
  const high = v128.extract_lane<u64>(block, 1);
  let a = v128.load(<usize>((low << 4) & 0x3f0), SUMS);
  let b = v128.load(<usize>((high << 4) & 0x3f0), HIGH);
  a = v128.xor(a, v128.load(six(low, 2), SUMS + 0x400));
  b = v128.xor(b, v128.load(six(high, 2), HIGH + 0x400));
  a = v128.xor(a, v128.load(six(low, 8), SUMS + 0x800));
  b = v128.xor(b, v128.load(six(high, 8), HIGH + 0x800));
  a = v128.xor(a, v128.load(six(low, 14), SUMS + 0xc00));
  b = v128.xor(b, v128.load(six(high, 14), HIGH + 0xc00));
  a = v128.xor(a, v128.load(six(low, 20), SUMS + 0x1000));
  b = v128.xor(b, v128.load(six(high, 20), HIGH + 0x1000));
  a = v128.xor(a, v128.load(six(low, 26), SUMS + 0x1400));
  b = v128.xor(b, v128.load(six(high, 26), HIGH + 0x1400));
  a = v128.xor(a, v128.load(six(low, 32), SUMS + 0x1800));
  b = v128.xor(b, v128.load(six(high, 32), HIGH + 0x1800));
  a = v128.xor(a, v128.load(six(low, 38), SUMS + 0x1c00));
  b = v128.xor(b, v128.load(six(high, 38), HIGH + 0x1c00));
  a = v128.xor(a, v128.load(six(low, 44), SUMS + 0x2000));
  b = v128.xor(b, v128.load(six(high, 44), HIGH + 0x2000));
  a = v128.xor(a, v128.load(six(low, 50), SUMS + 0x2400));
  b = v128.xor(b, v128.load(six(high, 50), HIGH + 0x2400));
  a = v128.xor(a, v128.load(<usize>((low >>> 56) & 0xf0), SUMS + 0x2800));
  b = v128.xor(b, v128.load(<usize>((high >>> 56) & 0xf0), HIGH + 0x2800));
  return v128.xor(a, b);
}

/** Bytes of the key stream for `length` bytes of data. */
// @ts-ignore: decorator
@inline
export function streamLength(length: u32): u32 { return BLOCK + ((length + BLOCK - 1) & ~(BLOCK - 1)); }

/** Lays out at `to` what becomes the key stream for `length` bytes when it is encrypted. Salt and IV as their bytes lie. */
export function counters(to: usize, salt: u32, iv: u64, length: u32): void {
  const nonce = v128.replace_lane<u32>(v128.splat<u32>(0), 0, salt);
  const block = v128.replace_lane<u32>(v128.replace_lane<u32>(nonce, 1, <u32>iv), 2, <u32>(iv >>> 32));
  const end = to + streamLength(length);
  for (let n: u32 = 1; to < end; n++, to += BLOCK) v128.store(to, v128.replace_lane<u32>(block, 3, bswap<u32>(n)));
}

/** Encrypts the `length` bytes behind the IV of the ESP packet at `packet`, and writes the ICV behind them. */
export function seal(packet: usize, length: u32, stream: usize): void {
  cover(packet + esp.HEAD, length, stream + BLOCK);
  store<u64>(packet + esp.HEAD + length, tag(packet, length, stream));
}

/** Decrypts them if the ICV behind them is right; if it is not, they stay as they are, and the answer is false. */
export function open(packet: usize, length: u32, stream: usize): bool {
  if (load<u64>(packet + esp.HEAD + length) != tag(packet, length, stream)) return false;
  cover(packet + esp.HEAD, length, stream + BLOCK);
  return true;
}

// What does not fill a block is the end of the 16 bytes that end with it: before the data there are as many. A byte whose
// number, as `swizzle` is told, is 16 or more is zero.

/** 0, 1, 2, …, 15. */
// @ts-ignore: decorator
@inline
function inOrder(): v128 { return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

/** XORs the key stream over `length` bytes. */
// @ts-ignore: decorator
@inline
function cover(at: usize, length: u32, stream: usize): void {
  const whole = at + (length & ~(BLOCK - 1));
  for (; at < whole; at += BLOCK, stream += BLOCK) v128.store(at, v128.xor(v128.load(at), v128.load(stream)));
  const left = length & (BLOCK - 1);
  if (!left) return;
  const last = at + left - BLOCK;
  const moved = v128.sub<u8>(inOrder(), v128.splat<u8>(<u8>(BLOCK - left)));
  v128.store(last, v128.xor(v128.load(last), v128.swizzle(v128.load(stream), moved)));
}

/** The first half of the tag of `length` encrypted bytes, as its bytes lie; SPI and sequence number are authenticated with them. */
function tag(packet: usize, length: u32, stream: usize): u64 {
  let at = packet + esp.HEAD;
  let hash = product(v128.replace_lane<u64>(v128.splat<u64>(0), 0, load<u64>(packet)));
  const whole = at + (length & ~(BLOCK - 1));
  for (; at < whole; at += BLOCK) hash = times(v128.xor(hash, v128.load(at)));
  const left = length & (BLOCK - 1);
  if (left) {
    const moved = v128.add<u8>(inOrder(), v128.splat<u8>(<u8>(BLOCK - left)));
    hash = product(v128.xor(hash, v128.swizzle(v128.load(at + left - BLOCK), moved)));
  }
  // How many bits there were of both.
  const bits = v128.replace_lane<u64>(v128.splat<u64>(bswap<u64>(<u64>esp.LENGTH << 3)), 1, bswap<u64>(<u64>length << 3));
  hash = product(v128.xor(hash, bits));
  return v128.extract_lane<u64>(v128.xor(hash, v128.load(stream)), 0);
}

/** `times` where it is not the inner loop. */
function product(block: v128): v128 { return times(block); }
