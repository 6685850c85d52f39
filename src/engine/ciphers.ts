/** Packets that the engine has put down to be sealed or opened (assembly/stack/ciphers.ts): a whole batch at a time, where they lie. */

import type { Cipher, CipherMaker } from '../crypto/cipher.js';
import type { Engine } from './engine.js';
import { Association, CipherWork, Ciphered as Layout } from './generated/layout.js';

const HEAD = 16;
const ICV = 8;

export class Ciphers {
  /** By the id of their association. */
  readonly #known = new Map<number, Cipher>();
  /** Those of the packet in hand, as a record has them one behind the other. */
  readonly #head = new DataView(new ArrayBuffer(20));
  readonly #nonce = new Uint8Array(this.#head.buffer, 0, 12);
  readonly #associated = new Uint8Array(this.#head.buffer, 12, 8);

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
    // Nothing that a packet's way rests on is written: by the views, not by `Memory.set`, which would take every flow for changed.
    const { bytes, view } = memory;
    let [id, cipher] = [0, undefined as Cipher | undefined];
    for (let record = first; record < first + count * Layout.size; record += Layout.size) {
      const own = view.getUint32(record + Layout.id.at, true);
      if (own !== id || !cipher) [id, cipher] = [own, this.#cipherOf(own, record)];
      for (let i = 0; i < 20; i += 4) this.#head.setUint32(i, view.getUint32(record + Layout.salt.at + i, true), true);
      const from = view.getUint32(record + Layout.at.at, true) + HEAD;
      const end = from + view.getUint32(record + Layout.length.at, true);
      const data = bytes.subarray(from, end);
      const icv = bytes.subarray(end, end + ICV);
      let done = true;
      if (view.getUint32(record + Layout.work.at, true) === CipherWork.SEAL)
        cipher.seal(this.#nonce, this.#associated, data, icv);
      else done = cipher.open(this.#nonce, this.#associated, data, icv);
      view.setUint32(record + Layout.done.at, done ? 1 : 0, true);
    }
    exports.ciphersDone();
  }

  /** The cipher of a record's association. */
  #cipherOf(id: number, record: number): Cipher {
    const { memory } = this.engine;
    let known = this.#known.get(id);
    if (!known) {
      const key = memory.get(record, Layout.association) + Association.key0.at;
      known = this.make(memory.bytes.slice(key, key + 16));
      this.#known.set(id, known);
    }
    return known;
  }

  /** An association has been taken out: its key is not kept. */
  forget(id: number): void {
    this.#known.delete(id);
  }
}
