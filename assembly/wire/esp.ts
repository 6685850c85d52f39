// ESP (RFC 4303) with AES-GCM as RFC 4106 uses it: an IV of 8 bytes before the ciphertext, an ICV of 8 behind it.
//
//  0     4          8    16
//  | SPI | sequence | IV | payload | padding 1 2 3 … | pad length | next header | ICV
//                        |                  encrypted                           |
//
// What is authenticated besides is SPI and sequence number; the nonce is the association's salt and the IV. How it is
// encrypted is not the engine's business: these functions lay the bytes out and read them back.

/** SPI and sequence number. */
export const LENGTH: u32 = 8;
export const IV: u32 = 8;
export const ICV: u32 = 8;
/** What stands before the payload. */
export const HEAD: u32 = LENGTH + IV;
/** Pad length and next header. */
export const TRAILER: u32 = 2;

/** Padding, pad length, next header and ICV at the most. */
export const MOST_TAIL: u32 = 3 + TRAILER + ICV;

/** Network byte order, as loaded. */
// @ts-ignore: decorator
@inline
export function spi(p: usize): u32 { return load<u32>(p); }
/** Host order. */
// @ts-ignore: decorator
@inline
export function sequence(p: usize): u32 { return bswap<u32>(load<u32>(p, 4)); }

/** As its bytes lie. */
// @ts-ignore: decorator
@inline
export function iv(p: usize): u64 { return load<u64>(p, 8); }

/** Bytes of padding that make payload, pad length and next header a multiple of four (RFC 4303, section 2.4). */
// @ts-ignore: decorator
@inline
export function padding(payload: u32): u32 { return -(payload + TRAILER) & 3; }

/** Writes SPI (as loaded), sequence number and IV (as loaded). */
// @ts-ignore: decorator
@inline
export function emit(p: usize, spi: u32, sequence: u32, iv: u64): void {
  store<u32>(p, spi);
  store<u32>(p, bswap<u32>(sequence), 4);
  store<u64>(p, iv, 8);
}

/** Writes padding and trailer behind a payload of `payload` bytes at `p`. Returns how many bytes are to be encrypted. */
export function close(p: usize, payload: u32, next: u32): u32 {
  const pad = padding(payload);
  let at = p + payload;
  for (let i: u32 = 1; i <= pad; i++) store<u8>(at++, <u8>i);
  store<u8>(at, <u8>pad);
  store<u8>(at, <u8>next, 1);
  return payload + pad + TRAILER;
}

/** Of `length` decrypted bytes at `p`: how many are padding, and what they carry. */
// @ts-ignore: decorator
@inline
export function padLength(p: usize, length: u32): u32 { return load<u8>(p + length - 2); }
// @ts-ignore: decorator
@inline
export function nextHeader(p: usize, length: u32): u32 { return load<u8>(p + length - 1); }
