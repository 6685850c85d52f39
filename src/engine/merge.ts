/**
 * What merges the captures of several engines: memory that their threads share, and the module that works on it
 * (assembly/capture/merge). Each engine has slots of its own there, into which it copies pieces of finished records. They are
 * merged into other pieces of that memory, from which the system writes a file.
 */

import { bytesOf } from './base64.js';
import { MergeSource } from './generated/layout.js';
import { mergeWasm } from './generated/merge.js';

const PAGE = 1 << 16;
/** Bytes of a piece at the most, and pieces of an engine that may be on the way. */
export const SLOT = 2 << 20;
export const SLOTS = 8;
/**
 * A merged piece has room behind its end for what the last record has more: a frame and a comment of 64 KiB each, what stands around
 * them, and what is copied too much (assembly/copy).
 */
const LONGEST = 3 * PAGE;

const SOURCES = PAGE;
const SLOTS_AT = 2 * PAGE;
const slotAt = (engine: number, slot: number) => SLOTS_AT + (engine * SLOTS + slot) * SLOT;

/** For `engines` engines, with `pieces` of `bytes` that are merged; it may be handed to other threads. */
export function sharedMemory(engines: number, pieces: number, bytes: number): WebAssembly.Memory {
  const pages = sharedBytes(engines, pieces, bytes) / PAGE;
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

export function sharedBytes(engines: number, pieces: number, bytes: number): number {
  return slotAt(engines, 0) + pieces * (bytes + LONGEST);
}

/** Each `bytes` long, and more. */
export function piecesOf({ buffer }: WebAssembly.Memory, engines: number, bytes: number): Uint8Array[] {
  const from = slotAt(engines, 0);
  const length = bytes + LONGEST;
  const count = (buffer.byteLength - from) / length;
  return Array.from({ length: count }, (_, at) => new Uint8Array(buffer, from + at * length, length));
}

export function slotOf(memory: WebAssembly.Memory, engine: number, slot: number): Uint8Array {
  return new Uint8Array(memory.buffer, slotAt(engine, slot), SLOT);
}

interface MergeExports {
  merge(sources: number, count: number, to: number, limit: number): number;
  merged: WebAssembly.Global;
}

export class RecordMerge {
  readonly #exports: MergeExports;
  /** Of the sources. */
  readonly #numbers: Uint32Array;

  constructor(
    memory: WebAssembly.Memory,
    private readonly engines: number,
  ) {
    // So small a module may be compiled at once, on any thread.
    const module = new WebAssembly.Module(bytesOf(mergeWasm));
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as MergeExports;
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

  /**
   * To `piece`, of the same memory: finished records in the order of their times, until an engine that has not ended has none at
   * hand, all have none, or `wanted` bytes are there. What begins before them may end behind them.
   */
  advance(piece: Uint8Array, wanted: number): { bytes: number; frames: number } {
    const from = piece.byteOffset;
    const to = this.#exports.merge(SOURCES, this.engines, from, from + wanted);
    return { bytes: to - from, frames: this.#exports.merged.value };
  }

  #get(engine: number, field: number): number {
    return this.#numbers[(engine * MergeSource.size + field) / 4] as number;
  }

  #set(engine: number, field: number, value: number): void {
    this.#numbers[(engine * MergeSource.size + field) / 4] = value;
  }
}
