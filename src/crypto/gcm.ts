/** AES-GCM for one packet, by the best library that this machine has. */

import type { Cipher, CipherMaker } from './cipher.js';
import { nobleCipher } from './noble.js';
import { nodeCipher } from './node.js';

let cipher: CipherMaker | undefined;

export function cipherFor(key: Uint8Array): Cipher {
  cipher ??= nodeCipher() ?? nobleCipher;
  return cipher(key);
}
