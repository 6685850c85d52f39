/**
 * AES-128 under one key, a block for itself (FIPS 197; ECB in NIST SP 800-38A): all that the engine needs of a library for
 * a batch of packets (assembly/stack/gcm.ts), besides `hashProducts`.
 */

/** Encrypts blocks of 16 bytes, one behind the other; the answer is good until the next call. */
export type BlockCipher = (blocks: Uint8Array) => Uint8Array;

/** Makes one of a key of 16 bytes. */
export type BlockCipherMaker = (key: Uint8Array) => BlockCipher;
