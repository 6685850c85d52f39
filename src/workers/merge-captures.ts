/**
 * Captures of several engines become one, in the order of their times: each is in order already, so the earliest of their next
 * frames is always the one. Files are read in pieces: they may be larger than memory.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import type { CaptureFile } from '../capture/files.js';
import { PACKET_BLOCK, PacketBlock } from '../capture/packet-block.js';

const PIECE = 1 << 22;

/** The packet blocks of one file, one after the other. */
class Source {
  readonly #file: number;
  #buffer = Buffer.alloc(0);
  #at = 0;
  #end = false;
  /** Of the block at hand, whose first byte is at `start` of `bytes`. */
  high = 0;
  low = 0;
  tap = 0;
  block: PacketBlock | undefined;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
    this.next();
  }

  next(): void {
    while (true) {
      if (!this.#holds(8) || !this.#holds(this.#buffer.readUInt32LE(this.#at + 4))) {
        this.block = undefined;
        return;
      }
      const at = this.#at;
      const length = this.#buffer.readUInt32LE(at + 4);
      this.#at += length;
      if (this.#buffer.readUInt32LE(at) !== PACKET_BLOCK) continue;
      this.block = new PacketBlock(this.#buffer.subarray(at, at + length));
      this.tap = this.#buffer.readUInt32LE(at + 8);
      this.high = this.#buffer.readUInt32LE(at + 12);
      this.low = this.#buffer.readUInt32LE(at + 16);
      return;
    }
  }

  /** So many bytes from here on are in memory, unless the file ends before. */
  #holds(bytes: number): boolean {
    while (this.#buffer.length - this.#at < bytes && !this.#end) {
      const rest = this.#buffer.subarray(this.#at);
      // A new one: blocks that were handed on are views into the old.
      const buffer = Buffer.allocUnsafe(rest.length + Math.max(PIECE, bytes));
      rest.copy(buffer);
      const read = readSync(this.#file, buffer, rest.length, buffer.length - rest.length, null);
      this.#end = read === 0;
      this.#buffer = buffer.subarray(0, rest.length + read);
      this.#at = 0;
    }
    return this.#buffer.length - this.#at >= bytes;
  }

  before(other: Source): boolean {
    return (
      this.high - other.high < 0 || (this.high === other.high && (this.low - other.low || this.tap - other.tap) < 0)
    );
  }

  close(): void {
    closeSync(this.#file);
  }
}

const MOST_WAITING = 64 << 20;
const LOOK = 10_000;

/** All frames of `paths` go to `target`, which is settled and still to be finished. */
export async function mergeCaptures(paths: readonly string[], target: CaptureFile): Promise<void> {
  const sources = paths.map((path) => new Source(path));
  let frames = 0;
  while (true) {
    let first: Source | undefined;
    for (const source of sources) if (source.block && (!first || source.before(first))) first = source;
    if (!first?.block) break;
    target.write(first.block);
    first.next();
    if (++frames % LOOK === 0 && target.waiting > MOST_WAITING) await target.settle(MOST_WAITING / 2);
  }
  for (const source of sources) source.close();
  await target.settle();
}
