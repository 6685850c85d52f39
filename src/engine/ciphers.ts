/** Packets that the engine has put down to be sealed or opened (assembly/stack/ciphers.ts): a whole batch at a time, where they lie. */

import type { Cipher, CipherMaker } from '../crypto/cipher.js';
import type { Engine } from './engine.js';
import { Association, CipherWork, Ciphered as Layout } from './generated/layout.js';

const HEADER = 8;
const HEAD = 16;
const ICV = 8;

export class Ciphers {
  /** By the id of their association. */
  readonly #known = new Map<number, { cipher: Cipher; nonce: Uint8Array }>();

  constructor(
    readonly engine: Engine,
    readonly make: CipherMaker,
  ) {}

  /** Does all that has gathered. */
  answer(): void {
    const { exports, memory } = this.engine;
    const count = exports.ciphersLength();
    if (count === 0) return;
    const first = exports.ciphersAt() >>> 0;
    const { bytes } = memory;
    for (let record = first; record < first + count * Layout.size; record += Layout.size) {
      const { cipher, nonce } = this.#cipherOf(record);
      const at = memory.get(record, Layout.at);
      const end = at + HEAD + memory.get(record, Layout.length);
      nonce.set(bytes.subarray(at + HEADER, at + HEAD), 4);
      const associated = bytes.subarray(at, at + HEADER);
      const data = bytes.subarray(at + HEAD, end);
      const icv = bytes.subarray(end, end + ICV);
      let done = true;
      if (memory.get(record, Layout.work) === CipherWork.SEAL) cipher.seal(nonce, associated, data, icv);
      else done = cipher.open(nonce, associated, data, icv);
      memory.set(record, Layout.done, done ? 1 : 0);
    }
    exports.ciphersDone();
  }

  /** The cipher of a record's association, and its nonce with the salt in place. */
  #cipherOf(record: number): { cipher: Cipher; nonce: Uint8Array } {
    const { memory } = this.engine;
    const id = memory.get(record, Layout.id);
    let known = this.#known.get(id);
    if (!known) {
      const key = memory.get(record, Layout.association) + Association.key0.at;
      const nonce = new Uint8Array(12);
      nonce.set(memory.bytes.subarray(key + 16, key + 20));
      known = { cipher: this.make(memory.bytes.slice(key, key + 16)), nonce };
      this.#known.set(id, known);
    }
    return known;
  }

  /** An association has been taken out: its key is not kept. */
  forget(id: number): void {
    this.#known.delete(id);
  }
}
