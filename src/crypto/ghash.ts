/** What GCM's hash (NIST SP 800-38D, section 6.4) makes of single bits, by @noble/ciphers. */

import { ghash } from '@noble/ciphers/_polyval.js';
import type { BlockCipher } from './blocks.js';

/**
 * For each bit of a block (bit 0 of byte 0, bit 1 of byte 0, …, bit 7 of byte 15) that bit times the hash key: 128 blocks. Takes a
 * millisecond, once a key.
 */
export function hashProducts(encrypt: BlockCipher): Uint8Array {
  const block = new Uint8Array(16);
  const key = Uint8Array.from(encrypt(block));
  const products = new Uint8Array(128 * 16);
  for (let bit = 0; bit < 128; bit++) {
    block.fill(0);
    block[bit >> 3] = 1 << (bit & 7);
    products.set(ghash(block, key), bit * 16);
  }
  return products;
}
