/** AES, and AES-GCM for one packet, by Node's own crypto (OpenSSL). Asked for by `process.getBuiltinModule`, so that nothing imports it elsewhere. */

import type * as crypto from 'node:crypto';
import type { BlockCipher, BlockCipherMaker } from './blocks.js';
import { type Cipher, type CipherMaker, ICV_LENGTH } from './cipher.js';

const ALGORITHM = 'aes-128-gcm';
const BLOCKS = 'aes-128-ecb';
const TAG = { authTagLength: ICV_LENGTH };

interface NodeProcess {
  versions?: { openssl?: string };
  getBuiltinModule: (name: string) => unknown;
}

/** Undefined where there is no Node, or one without OpenSSL. Who has no key need not load it: that takes 1.5 ms of a thread's start. */
function openssl(): (() => typeof crypto) | undefined {
  const { process } = globalThis as { process?: NodeProcess };
  return process?.versions?.openssl ? () => process.getBuiltinModule('node:crypto') as typeof crypto : undefined;
}

/** Undefined where there is none. */
export function nodeBlocks(): BlockCipherMaker | undefined {
  const module = openssl();
  return module && ((key) => blocksOf(module(), key));
}

/** Undefined where there is none. */
export function nodeCipher(): CipherMaker | undefined {
  const module = openssl();
  return module && ((key) => cipherOf(module(), key));
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
