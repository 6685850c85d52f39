/**
 * AES, and AES-GCM for one packet, by @noble/ciphers, wherever JavaScript runs. It knows tags of 16 bytes only: ESP's is the first half of one
 * (NIST SP 800-38D, section 5.2.1.2). To open, the plaintext is found first, as GCM encrypts by XOR with a key stream, and
 * sealed again: the tag that comes out is compared with the one that came, in constant time.
 */

import { ecb, gcm } from '@noble/ciphers/aes.js';
import { equalBytes } from '@noble/ciphers/utils.js';
import type { BlockCipher } from './blocks.js';
import { type Cipher, ICV_LENGTH } from './cipher.js';

export function nobleBlocks(key: Uint8Array): BlockCipher {
  const own = Uint8Array.from(key);
  return (blocks) => ecb(own, { disablePadding: true }).encrypt(blocks);
}

export function nobleCipher(key: Uint8Array): Cipher {
  const own = Uint8Array.from(key);
  const seal = (nonce: Uint8Array, associated: Uint8Array, data: Uint8Array) => {
    const sealed = gcm(own, nonce, associated).encrypt(data);
    return { data: sealed.subarray(0, data.length), tag: sealed.subarray(data.length, data.length + ICV_LENGTH) };
  };
  return {
    seal(nonce, associated, data, icv) {
      const sealed = seal(nonce, associated, data);
      data.set(sealed.data);
      icv.set(sealed.tag);
    },
    open(nonce, associated, data, icv) {
      const plain = seal(nonce, associated, data).data;
      if (!equalBytes(seal(nonce, associated, plain).tag, Uint8Array.from(icv))) return false;
      data.set(plain);
      return true;
    },
  };
}
