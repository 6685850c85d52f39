/**
 * Bytes on their way to a file. By default each write is done when it returns; in the background the system writes while the
 * caller goes on, in pieces of a megabyte, and the caller waits now and then (`settle`) so that they do not pile up.
 */

import { closeSync, openSync, write, writeSync } from 'node:fs';

export interface ByteFile {
  /** The bytes are the caller's again when this returns. */
  write(bytes: Uint8Array): void;
  /** Bytes that are not written yet. */
  readonly waiting: number;
  /** All is written, or `most` bytes are left at the most. Rejects with what the system has refused. */
  settle(most?: number): Promise<void>;
  /** Everything must have been settled before. */
  close(): void;
}

const PIECE = 1 << 20;

export class WriteThrough implements ByteFile {
  readonly waiting = 0;
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  /** The system may take fewer bytes than it was given. */
  write(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) at += writeSync(this.#file, bytes, at);
  }

  async settle(): Promise<void> {}

  close(): void {
    closeSync(this.#file);
  }
}

export class WriteBehind implements ByteFile {
  waiting = 0;
  readonly #file: number;
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array(PIECE);
  #filled = 0;
  /** Where the next piece goes. */
  #position = 0;
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  readonly #writes = new Set<Promise<void>>();
  #error: Error | undefined;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  write(bytes: Uint8Array): void {
    if (this.#error) throw this.#error;
    let at = 0;
    while (at < bytes.length) {
      const some = bytes.subarray(at, at + PIECE - this.#filled);
      this.#piece.set(some, this.#filled);
      this.#filled += some.length;
      at += some.length;
      if (this.#filled === PIECE) this.#send();
    }
  }

  #send(): void {
    const piece = this.#piece;
    const length = this.#filled;
    const done = this.#put(piece, 0, length, this.#position)
      .catch((error: Error) => {
        this.#error ??= error;
      })
      .finally(() => {
        this.waiting -= length;
        this.#spare.push(piece);
        this.#writes.delete(done);
      });
    this.#writes.add(done);
    this.waiting += length;
    this.#position += length;
    this.#piece = this.#spare.pop() ?? new Uint8Array(PIECE);
    this.#filled = 0;
  }

  #put(bytes: Uint8Array, from: number, to: number, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      write(this.#file, bytes, from, to - from, position, (error, written) => {
        if (error) reject(error);
        else if (from + written === to) resolve();
        else this.#put(bytes, from + written, to, position + written).then(resolve, reject);
      });
    });
  }

  async settle(most = 0): Promise<void> {
    if (most === 0 && this.#filled > 0) this.#send();
    while (this.waiting > most) await Promise.race(this.#writes);
    if (this.#error) throw this.#error;
  }

  close(): void {
    closeSync(this.#file);
  }
}
