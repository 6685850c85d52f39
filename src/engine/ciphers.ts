/**
 * Packets that the engine has put down to be sealed or opened (assembly/stack/ciphers.ts), a whole batch at a time: the engine
 * lays out blocks, a library encrypts them. Keys are scheduled once.
 */

import type { BlockCipher, BlockCipherMaker } from '../crypto/blocks.js';
import { hashProducts } from '../crypto/ghash.js';
import type { Engine } from './engine.js';
import { Association } from './generated/layout.js';

interface Key {
  encrypt: BlockCipher;
  products: Uint8Array;
}

export class Ciphers {
  /** By the id of their association. */
  readonly #known = new Map<number, Key>();
  /** Whose products the engine has. */
  #last = 0;

  constructor(
    readonly engine: Engine,
    readonly make: BlockCipherMaker,
  ) {}

  /** Does all that has gathered. */
  answer(): void {
    const { exports, memory } = this.engine;
    for (let at = exports.nextCiphers() >>> 0; at; at = exports.nextCiphers() >>> 0) {
      // Nothing that a packet's way rests on is written: by the views, not by `Memory.set`, which would take every flow for changed.
      const { bytes, view } = memory;
      const id = view.getUint32(at + Association.id.at, true);
      const { encrypt, products } = this.#keyOf(id, at);
      if (id !== this.#last) {
        bytes.set(products, exports.productsAt() >>> 0);
        exports.takeProducts();
        this.#last = id;
      }
      const from = exports.streamsAt() >>> 0;
      const blocks = bytes.subarray(from, from + exports.streamsLength());
      blocks.set(encrypt(blocks));
    }
  }

  /** Of the association with that id, at `at`. */
  #keyOf(id: number, at: number): Key {
    let known = this.#known.get(id);
    if (!known) {
      const key = at + Association.key0.at;
      const encrypt = this.make(this.engine.memory.bytes.slice(key, key + 16));
      known = { encrypt, products: hashProducts(encrypt) };
      this.#known.set(id, known);
    }
    return known;
  }

  /** An association has been taken out: its key is not kept. */
  forget(id: number): void {
    this.#known.delete(id);
  }
}
