// AES-GCM as ESP uses it (NIST SP 800-38D, section 7; RFC 4106), put together from what a library says of a key: neither AES
// nor the arithmetic of GHASH's field is here. The library encrypts the blocks that `counters` lays out; and of each of a
// block's 128 bits it has said what that bit times the hash key is. The product is linear, so a block's is the sum of its
// bits', and a sum is XOR: `times` adds it up, four bits at a time.
//
// A key stream is the block that covers the tag, then those that cover the data. All bytes are as they lie in memory.

import * as esp from "../wire/esp";

const BLOCK: u32 = 16;

/** What JavaScript writes: bit 0 of byte 0 times the hash key, bit 1 of byte 0, …, bit 7 of byte 15. */
const PRODUCTS: usize = memory.data(2048, 16);
/** For each four bits of a block, whatever they are, their product: 32 times 16 blocks. */
const SUMS: usize = memory.data(8192, 16);

export function productsAt(): usize { return PRODUCTS; }

/** The products have changed: another key. */
export function takeProducts(): void {
  let product = PRODUCTS;
  for (let sums = SUMS; sums < SUMS + 8192; sums += 256) {
    v128.store(sums, v128.splat<u64>(0));
    for (let more: usize = 16; more < 256; more <<= 1) {
      const one = v128.load(product);
      for (let at = sums; at < sums + more; at += 16) v128.store(at + more, v128.xor(one, v128.load(at)));
      product += 16;
    }
  }
}

/** Sixteen times an offset into the sums of four bits: those at `shift` + 4. */
// @ts-ignore: decorator
@inline
function four(bits: u64, shift: u64): usize { return <usize>((bits >>> shift) & 0xf0); }

/** `block` times the hash key. */
// @ts-ignore: decorator
@inline
function times(block: v128): v128 {
  const low = v128.extract_lane<u64>(block, 0);
  const high = v128.extract_lane<u64>(block, 1);
  let a = v128.load(<usize>((low << 4) & 0xf0), SUMS);
  let b = v128.load(<usize>((high << 4) & 0xf0), SUMS + 0x1000);
  a = v128.xor(a, v128.load(four(low, 0), SUMS + 0x100));
  b = v128.xor(b, v128.load(four(high, 0), SUMS + 0x1100));
  a = v128.xor(a, v128.load(four(low, 4), SUMS + 0x200));
  b = v128.xor(b, v128.load(four(high, 4), SUMS + 0x1200));
  a = v128.xor(a, v128.load(four(low, 8), SUMS + 0x300));
  b = v128.xor(b, v128.load(four(high, 8), SUMS + 0x1300));
  a = v128.xor(a, v128.load(four(low, 12), SUMS + 0x400));
  b = v128.xor(b, v128.load(four(high, 12), SUMS + 0x1400));
  a = v128.xor(a, v128.load(four(low, 16), SUMS + 0x500));
  b = v128.xor(b, v128.load(four(high, 16), SUMS + 0x1500));
  a = v128.xor(a, v128.load(four(low, 20), SUMS + 0x600));
  b = v128.xor(b, v128.load(four(high, 20), SUMS + 0x1600));
  a = v128.xor(a, v128.load(four(low, 24), SUMS + 0x700));
  b = v128.xor(b, v128.load(four(high, 24), SUMS + 0x1700));
  a = v128.xor(a, v128.load(four(low, 28), SUMS + 0x800));
  b = v128.xor(b, v128.load(four(high, 28), SUMS + 0x1800));
  a = v128.xor(a, v128.load(four(low, 32), SUMS + 0x900));
  b = v128.xor(b, v128.load(four(high, 32), SUMS + 0x1900));
  a = v128.xor(a, v128.load(four(low, 36), SUMS + 0xa00));
  b = v128.xor(b, v128.load(four(high, 36), SUMS + 0x1a00));
  a = v128.xor(a, v128.load(four(low, 40), SUMS + 0xb00));
  b = v128.xor(b, v128.load(four(high, 40), SUMS + 0x1b00));
  a = v128.xor(a, v128.load(four(low, 44), SUMS + 0xc00));
  b = v128.xor(b, v128.load(four(high, 44), SUMS + 0x1c00));
  a = v128.xor(a, v128.load(four(low, 48), SUMS + 0xd00));
  b = v128.xor(b, v128.load(four(high, 48), SUMS + 0x1d00));
  a = v128.xor(a, v128.load(four(low, 52), SUMS + 0xe00));
  b = v128.xor(b, v128.load(four(high, 52), SUMS + 0x1e00));
  a = v128.xor(a, v128.load(four(low, 56), SUMS + 0xf00));
  b = v128.xor(b, v128.load(four(high, 56), SUMS + 0x1f00));
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
