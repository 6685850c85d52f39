/** What GCM's hash (NIST SP 800-38D, section 6.4) makes of single bits, by @noble/ciphers. */

import { GHASH } from '@noble/ciphers/_polyval.js';
import type { BlockCipher } from './blocks.js';

/** Hashes one block again and again; noble's own makes its tables anew for each. */
class Multiplier extends GHASH {
  times(block: Uint8Array, product: Uint8Array): void {
    this.s0 = this.s1 = this.s2 = this.s3 = 0;
    this.finished = false;
    this.update(block).digestInto(product);
  }
}

/** For each bit of a block (bit 0 of byte 0, bit 1 of byte 0, …, bit 7 of byte 15) that bit times the hash key: 128 blocks. */
export function hashProducts(encrypt: BlockCipher): Uint8Array {
  const block = new Uint8Array(16);
  const multiplier = new Multiplier(Uint8Array.from(encrypt(block)), 16);
  const products = new Uint8Array(128 * 16);
  for (let bit = 0; bit < 128; bit++) {
    block.fill(0);
    block[bit >> 3] = 1 << (bit & 7);
    multiplier.times(block, products.subarray(bit * 16, bit * 16 + 16));
  }
  multiplier.destroy();
  return products;
}
