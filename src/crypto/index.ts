/**
 * AES for ESP: Node's own where there is Node, @noble/ciphers everywhere else. They give the same bytes. The engine seals and
 * opens batches of packets with a block cipher; who has one packet in hand (a recorded one) takes a library's whole GCM (`gcm.ts`).
 */

import type { BlockCipherMaker } from './blocks.js';
import { nodeBlocks } from './node.js';

export type { BlockCipher, BlockCipherMaker } from './blocks.js';
export { type Cipher, type CipherMaker, ICV_LENGTH } from './cipher.js';
export { hashProducts } from './ghash.js';
export { nodeBlocks, nodeCipher } from './node.js';

/** The best that this machine has. Only who needs @noble/ciphers loads its AES, whose tables are made then: it takes a tenth of a thread's start. */
export async function bestBlocks(): Promise<BlockCipherMaker> {
  return nodeBlocks() ?? (await import('./noble.js')).nobleBlocks;
}
