/** AES-GCM for ESP: Node's own where there is Node, @noble/ciphers everywhere else. They give the same bytes. */

import type { Cipher, CipherMaker } from './cipher.js';
import { nobleCipher } from './noble.js';
import { nodeCipher } from './node.js';

export { type Cipher, type CipherMaker, ICV_LENGTH } from './cipher.js';
export { nobleCipher } from './noble.js';
export { nodeCipher } from './node.js';

let chosen: CipherMaker | undefined;

/** The best that this machine has. */
export function cipherFor(key: Uint8Array): Cipher {
  chosen ??= nodeCipher() ?? nobleCipher;
  return chosen(key);
}
