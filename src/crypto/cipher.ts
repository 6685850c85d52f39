/**
 * What ESP asks of a cipher: AES in Galois/Counter Mode with a tag of 8 bytes (RFC 4106). Libraries do it; nothing of the
 * cipher is written here.
 */

/** Bytes of the tag that ESP carries, its ICV. */
export const ICV_LENGTH = 8;

/** One key, scheduled once. Nonces are 12 bytes. */
export interface Cipher {
  /** Encrypts `data` where it lies, and writes the tag over it and `associated` into `icv`. */
  seal(nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, icv: Uint8Array): void;
  /** Decrypts `data` where it lies if `icv` is right; if it is not, `data` stays as it is, and the answer is false. */
  open(nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, icv: Uint8Array): boolean;
}

/** Makes a cipher of a key of 16 bytes. */
export type CipherMaker = (key: Uint8Array) => Cipher;
