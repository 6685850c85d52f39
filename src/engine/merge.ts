/**
 * What merges the captures of several engines: memory that their threads share, and the module that works on it
 * (assembly/capture/merge). Each engine has slots of its own there, into which it copies pieces of finished records.
 */

import { MergeSource } from './generated/layout.js';
import { mergeWasm } from './generated/merge.js';

const PAGE = 1 << 16;
/** Bytes of a piece at the most, and pieces of an engine that may be on the way. */
export const SLOT = 1 << 20;
export const SLOTS = 16;
/** As much is merged before it is handed on, and a record more. */
const ROOM = 1 << 20;
const LONGEST = 2 * PAGE;

const SOURCES = PAGE;
const MERGED = 2 * PAGE;
const PIECES = MERGED + ROOM + LONGEST;
const slotAt = (engine: number, slot: number) => PIECES + (engine * SLOTS + slot) * SLOT;

/** For `engines` engines; it may be handed to other threads. */
export function sharedMemory(engines: number): WebAssembly.Memory {
  // Whoever copies the last record of all reads a little further.
  const pages = slotAt(engines, 0) / PAGE + 1;
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

export function slotOf(memory: WebAssembly.Memory, engine: number, slot: number): Uint8Array {
  return new Uint8Array(memory.buffer, slotAt(engine, slot), SLOT);
}

interface MergeExports {
  merge(sources: number, count: number, to: number, limit: number): number;
  merged: WebAssembly.Global;
}

export class RecordMerge {
  /** Records in `records`. */
  frames = 0;
  readonly #exports: MergeExports;
  readonly #bytes: Uint8Array;
  /** Of the sources. */
  readonly #numbers: Uint32Array;
  #to = MERGED;

  constructor(
    readonly memory: WebAssembly.Memory,
    private readonly engines: number,
  ) {
    // So small a module may be compiled at once, on any thread.
    const module = new WebAssembly.Module(Uint8Array.from(atob(mergeWasm), (c) => c.charCodeAt(0)));
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as MergeExports;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#numbers = new Uint32Array(memory.buffer, SOURCES, (engines * MergeSource.size) / 4);
  }

  /** Its next piece: `length` bytes in that slot. It must be empty. */
  give(engine: number, slot: number, length: number): void {
    this.#set(engine, MergeSource.at.at, slotAt(engine, slot));
    this.#set(engine, MergeSource.end.at, slotAt(engine, slot) + length);
  }

  /** It is empty, and no more pieces come. */
  end(engine: number): void {
    this.#set(engine, MergeSource.over.at, 1);
  }

  /** Has it no record at hand? */
  isEmpty(engine: number): boolean {
    return this.#get(engine, MergeSource.at.at) === this.#get(engine, MergeSource.end.at);
  }

  /** Until an engine that has not ended has no record at hand, all have none, or the room is full: is it? */
  advance(): boolean {
    this.#to = this.#exports.merge(SOURCES, this.engines, this.#to, MERGED + ROOM);
    this.frames += this.#exports.merged.value;
    return this.#to >= MERGED + ROOM;
  }

  /** Finished records in the order of their times, good until the next `advance`. */
  take(): Uint8Array {
    const records = this.#bytes.subarray(MERGED, this.#to);
    this.#to = MERGED;
    this.frames = 0;
    return records;
  }

  #get(engine: number, field: number): number {
    return this.#numbers[(engine * MergeSource.size + field) / 4] as number;
  }

  #set(engine: number, field: number, value: number): void {
    this.#numbers[(engine * MergeSource.size + field) / 4] = value;
  }
}
