/**
 * Packets that the engine has put down to be sealed or opened (assembly/stack/ciphers.ts), a whole batch at a time: the engine
 * lays out blocks, a library encrypts them. Each key is scheduled once.
 */

import type { BlockCipher, BlockCipherMaker } from '../crypto/blocks.js';
import { hashProducts } from '../crypto/ghash.js';
import type { Engine } from './engine.js';
import { Association } from './generated/layout.js';

interface Key {
  /** Its bytes, as text. */
  name: string;
  encrypt: BlockCipher;
  products: Uint8Array;
  /** Associations that have asked for it. */
  users: number;
}

export class Ciphers {
  /** By the id of their association. */
  readonly #known = new Map<number, Key>();
  /** By their names: a swarm's nodes share them. */
  readonly #keys = new Map<string, Key>();
  /** Whose products the engine has. */
  #last: Key | undefined;

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
      const key = this.#keyOf(view.getUint32(at + Association.id.at, true), at);
      if (key !== this.#last) {
        bytes.set(key.products, exports.productsAt() >>> 0);
        exports.takeProducts();
        this.#last = key;
      }
      const from = exports.streamsAt() >>> 0;
      const blocks = bytes.subarray(from, from + exports.streamsLength());
      blocks.set(key.encrypt(blocks));
    }
  }

  /** Of the association with that id, at `at`. */
  #keyOf(id: number, at: number): Key {
    const known = this.#known.get(id);
    if (known) return known;
    const from = at + Association.key0.at;
    const bytes = this.engine.memory.bytes.slice(from, from + 16);
    const name = bytes.join();
    const key = this.#keys.get(name) ?? this.#made(name, bytes);
    key.users++;
    this.#known.set(id, key);
    return key;
  }

  #made(name: string, bytes: Uint8Array): Key {
    const encrypt = this.make(bytes);
    const key = { name, encrypt, products: hashProducts(encrypt), users: 0 };
    this.#keys.set(name, key);
    return key;
  }

  /** An association has been taken out: its key is not kept, unless others have it. */
  forget(id: number): void {
    const key = this.#known.get(id);
    this.#known.delete(id);
    if (!key || --key.users > 0) return;
    this.#keys.delete(key.name);
    if (this.#last === key) this.#last = undefined;
  }
}
