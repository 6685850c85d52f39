/** AES, and AES-GCM for one packet, by Node's own crypto (OpenSSL). Asked for by `process.getBuiltinModule`, so that nothing imports it elsewhere. */

import type * as crypto from 'node:crypto';
import type { BlockCipher, BlockCipherMaker } from './blocks.js';
import { type Cipher, type CipherMaker, ICV_LENGTH } from './cipher.js';

const ALGORITHM = 'aes-128-gcm';
const BLOCKS = 'aes-128-ecb';
const TAG = { authTagLength: ICV_LENGTH };

/** Undefined where there is no Node, or where its OpenSSL does not know this. */
function cryptoWith(algorithm: string): typeof crypto | undefined {
  const process = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process;
  const module = process?.getBuiltinModule?.('node:crypto') as typeof crypto | undefined;
  return module?.getCipherInfo?.(algorithm) ? module : undefined;
}

/** Undefined where there is none. */
export function nodeBlocks(): BlockCipherMaker | undefined {
  const module = cryptoWith(BLOCKS);
  return module && ((key) => blocksOf(module, key));
}

/** Undefined where there is none. */
export function nodeCipher(): CipherMaker | undefined {
  const module = cryptoWith(ALGORITHM);
  return module && ((key) => cipherOf(module, key));
}

/** One stream for all blocks to come: each call to OpenSSL encrypts what it is given. */
function blocksOf({ createCipheriv }: typeof crypto, key: Uint8Array): BlockCipher {
  const cipher = createCipheriv(BLOCKS, key, null).setAutoPadding(false);
  return (blocks) => cipher.update(blocks);
}

function cipherOf({ createCipheriv, createDecipheriv, createSecretKey }: typeof crypto, key: Uint8Array): Cipher {
  const secret = createSecretKey(key);
  return {
    seal(nonce, associated, data, icv) {
      const cipher = createCipheriv(ALGORITHM, secret, nonce, TAG);
      cipher.setAAD(associated);
      data.set(cipher.update(data));
      cipher.final();
      icv.set(cipher.getAuthTag());
    },
    open(nonce, associated, data, icv) {
      const decipher = createDecipheriv(ALGORITHM, secret, nonce, TAG);
      decipher.setAAD(associated);
      decipher.setAuthTag(icv);
      const plain = decipher.update(data);
      try {
        decipher.final();
      } catch {
        return false;
      }
      data.set(plain);
      return true;
    },
  };
}
