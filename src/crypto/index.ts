/**
 * AES and AES-GCM for ESP: Node's own where there is Node, @noble/ciphers everywhere else. They give the same bytes. A batch of
 * packets is sealed and opened by the engine with a block cipher; who has one packet in hand (a recorded one) takes a
 * library's whole GCM.
 */

import type { BlockCipher, BlockCipherMaker } from './blocks.js';
import type { Cipher, CipherMaker } from './cipher.js';
import { nobleBlocks, nobleCipher } from './noble.js';
import { nodeBlocks, nodeCipher } from './node.js';

export type { BlockCipher, BlockCipherMaker } from './blocks.js';
export { type Cipher, type CipherMaker, ICV_LENGTH } from './cipher.js';
export { hashProducts } from './ghash.js';
export { nobleBlocks, nobleCipher } from './noble.js';
export { nodeBlocks, nodeCipher } from './node.js';

let cipher: CipherMaker | undefined;
let blocks: BlockCipherMaker | undefined;

/** The best that this machine has. */
export function cipherFor(key: Uint8Array): Cipher {
  cipher ??= nodeCipher() ?? nobleCipher;
  return cipher(key);
}

/** The best that this machine has. */
export function blocksFor(key: Uint8Array): BlockCipher {
  blocks ??= nodeBlocks() ?? nobleBlocks;
  return blocks(key);
}
