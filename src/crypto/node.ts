/** AES-GCM by Node's own crypto (OpenSSL). Asked for by `process.getBuiltinModule`, so that nothing imports it elsewhere. */

import type * as crypto from 'node:crypto';
import { type Cipher, type CipherMaker, ICV_LENGTH } from './cipher.js';

const ALGORITHM = 'aes-128-gcm';
const TAG = { authTagLength: ICV_LENGTH };

/** Undefined where there is no Node, or where its OpenSSL has no AES-GCM. */
export function nodeCipher(): CipherMaker | undefined {
  const process = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process;
  const module = process?.getBuiltinModule?.('node:crypto') as typeof crypto | undefined;
  if (!module?.getCiphers?.().includes(ALGORITHM)) return undefined;
  return (key) => cipherOf(module, key);
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
