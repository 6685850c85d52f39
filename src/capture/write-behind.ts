/**
 * Bytes on their way to a file. By default each write is done when it returns; in the background the system writes while the
 * caller goes on, in pieces of four megabytes, and the caller waits now and then (`settle`) so that they do not pile up.
 *
 * Pieces in the background go past the page cache where the file system lets them (open(2), O_DIRECT): the disk works from the
 * first piece on, not from the moment when a tenth of memory is dirty, and no processor copies pages or waits for the file's lock.
 */

import { closeSync, constants, openSync, write, writeSync } from 'node:fs';

export interface ByteFile {
  /** The bytes are the caller's again when this returns. */
  write(bytes: Uint8Array): void;
  /** Bytes that are not written yet. */
  readonly waiting: number;
  /** All is written, or `most` bytes are left at the most. Rejects with what the system has refused. */
  settle(most?: number): Promise<void>;
  /** Everything must have been settled before. */
  close(): void;
  /** Closed as soon as the system is done with what it was given. */
  discard(): Promise<void>;
}

export const PIECE = 4 << 20;
/** Bytes that may wait for the disk before who makes them waits for it, too. */
export const MOST_WAITING = 64 << 20;
/** What whoever lends pieces lends: as many as may wait, two that may come to those before he looks, and the one that is being filled. */
export const LENT = MOST_WAITING / PIECE + 3;
/** Pieces that are made at once. */
const PIECES = 16;
const WASM_PAGE = 1 << 16;

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

  async discard(): Promise<void> {
    this.close();
  }
}

export class WriteBehind implements ByteFile {
  waiting = 0;
  readonly #file: number;
  /** The same file past the page cache, where the system lets it be opened so. */
  readonly #direct: number | undefined;
  /** A file system may take O_DIRECT when it opens a file and refuse it when it writes. */
  #refused = false;
  readonly #spare: Uint8Array[] = [];
  /** Bytes gather in what somebody has lent, and no other memory. */
  #borrows = false;
  /** Taken when there is something to put there. */
  #piece: Uint8Array | undefined;
  #filled = 0;
  /** Where the next piece goes. */
  #position = 0;
  readonly #writes = new Set<Promise<void>>();
  #error: Error | undefined;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
    this.#direct = openDirect(path);
  }

  write(bytes: Uint8Array): void {
    if (this.#error) throw this.#error;
    let at = 0;
    while (at < bytes.length) {
      const some = bytes.subarray(at, at + PIECE - this.#filled);
      this.#gathering().set(some, this.#filled);
      this.#filled += some.length;
      at += some.length;
      if (this.#filled === PIECE) this.#send();
    }
  }

  /**
   * Bytes gather in these `LENT` pieces, each on a page of its own and a little longer than `PIECE`: who has lent them may put bytes
   * there by himself (`rest`, `added`). Before the first byte only.
   */
  borrow(pieces: readonly Uint8Array[]): void {
    if (this.#position + this.#filled > 0) throw new Error('pieces are lent to a file before its first byte only');
    this.#spare.splice(0, this.#spare.length, ...pieces);
    this.#borrows = true;
  }

  /** Where the next byte goes, in what was lent. Up to `PIECE` are wanted there, and what begins before that may end behind it. */
  get rest(): Uint8Array {
    if (!this.#borrows) throw new Error('nobody has lent pieces to this file');
    return this.#gathering().subarray(this.#filled);
  }
  get wanted(): number {
    return PIECE - this.#filled;
  }
  /** So many bytes have been put there. */
  added(bytes: number): void {
    if (this.#error) throw this.#error;
    const more = this.#gathering().subarray(PIECE, Math.max(PIECE, this.#filled + bytes));
    this.#filled = Math.min(PIECE, this.#filled + bytes);
    if (this.#filled < PIECE) return;
    this.#send();
    this.#gathering().set(more);
    this.#filled = more.length;
  }

  #gathering(): Uint8Array {
    this.#piece ??= this.#take();
    return this.#piece;
  }

  #send(): void {
    const piece = this.#gathering();
    const length = this.#filled;
    const file = length === PIECE && !this.#refused ? (this.#direct ?? this.#file) : this.#file;
    const done = this.#put(file, piece, 0, length, this.#position)
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
    this.#piece = undefined;
    this.#filled = 0;
  }

  /** A piece on a page of its own, as O_DIRECT wants it: WebAssembly's memory is the one that JavaScript gets so. */
  #take(): Uint8Array {
    if (this.#spare.length === 0) {
      if (this.#borrows) throw new Error('more pieces wait for the disk than were lent');
      const pages = (PIECES * PIECE) / WASM_PAGE;
      const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
      for (let at = PIECES; at-- > 0; ) this.#spare.push(new Uint8Array(buffer, at * PIECE, PIECE));
    }
    return this.#spare.pop() as Uint8Array;
  }

  #put(file: number, bytes: Uint8Array, from: number, to: number, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      write(file, bytes, from, to - from, position, (error, written) => {
        if (error && (file === this.#file || error.code !== 'EINVAL')) {
          reject(error);
          return;
        }
        if (error) this.#refused = true;
        const left = from + (error ? 0 : written);
        if (left === to) resolve();
        else this.#put(this.#file, bytes, left, to, position + left - from).then(resolve, reject);
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
    if (this.#direct !== undefined) closeSync(this.#direct);
  }

  /** Not before: the number of a closed file may be another file's by then. */
  async discard(): Promise<void> {
    this.#error ??= new Error('the file is discarded');
    await Promise.all(this.#writes);
    this.close();
  }
}

function openDirect(path: string): number | undefined {
  // Not every system has it.
  const { O_DIRECT } = constants as { O_DIRECT?: number };
  if (O_DIRECT === undefined) return undefined;
  try {
    return openSync(path, constants.O_WRONLY | O_DIRECT);
  } catch {
    return undefined;
  }
}
