/**
 * Captures of several engines become one, in the order of their times, while they come: each is in order already, so the earliest
 * of their next frames is always the one, once there is one of each engine that has not ended.
 */

import { type CaptureFile, PcapngFile } from '../capture/files.js';
import { captureRecords } from '../capture/trace.js';
import { LENT, MOST_WAITING, PIECE } from '../capture/write-behind.js';
import { piecesOf, RecordMerge, sharedBytes, sharedMemory } from '../engine/merge.js';

export class SharedMemoryError extends Error {
  override name = 'SharedMemoryError';
}

/** What the threads of so many engines share with the one that merges. @throws SharedMemoryError */
export function memoryFor(engines: number): WebAssembly.Memory {
  try {
    return sharedMemory(engines, LENT, PIECE);
  } catch (cause) {
    const mebibytes = Math.ceil(sharedBytes(engines, LENT, PIECE) / (1 << 20));
    throw new SharedMemoryError(
      `the system does not give ${mebibytes} MiB of memory, in which ${engines} engines share what they capture`,
      { cause },
    );
  }
}

interface Source {
  /** Those that are not merged to their end: the first one is at hand. */
  pieces: { slot: number; length: number }[];
  /** No more come. */
  hasEnded: boolean;
}

export class CaptureMerge {
  readonly #merge: RecordMerge;
  readonly #sources: Source[];
  /** Where records go on their way to other targets than a pcapng. */
  readonly #piece: Uint8Array;
  /** The disk is behind. */
  #pause: Promise<void> | undefined;
  #hasStopped = false;

  /**
   * `free`: a slot of an engine's is done with. `refused`: the disk took no more while it was waited for. Nothing more is
   * taken then, so engines that wait would do so for good.
   */
  constructor(
    memory: WebAssembly.Memory,
    engines: number,
    private readonly target: CaptureFile,
    private readonly free: (engine: number, slot: number) => void,
    private readonly refused: (error: unknown) => void,
  ) {
    this.#merge = new RecordMerge(memory, engines);
    const pieces = piecesOf(memory, engines, PIECE);
    this.#piece = pieces[0] as Uint8Array;
    if (target instanceof PcapngFile) target.borrow(pieces);
    this.#sources = Array.from({ length: engines }, () => ({ pieces: [], hasEnded: false }));
  }

  /** A piece of its records is in that slot. Throws what the system has refused. */
  add(engine: number, slot: number, length: number): void {
    const source = this.#sources[engine];
    if (!source) return;
    source.pieces.push({ slot, length });
    if (source.pieces.length === 1) this.#merge.give(engine, slot, length);
    this.#advance();
  }

  end(engine: number): void {
    const source = this.#sources[engine];
    if (!source) return;
    source.hasEnded = true;
    if (source.pieces.length === 0) this.#merge.end(engine);
    this.#advance();
  }

  /** All have ended: the target is settled, and still to be finished. */
  async finish(): Promise<void> {
    while (this.#pause) await this.#pause;
    await this.target.settle();
  }

  /** The target gets nothing more, whatever comes. */
  stop(): void {
    this.#hasStopped = true;
  }

  #advance(): void {
    for (let goesOn = true; goesOn && !this.#pause && !this.#hasStopped; ) {
      const isFull = this.#step();
      goesOn = this.#turnOver() || isFull;
      if (this.target.waiting > MOST_WAITING) this.#rest();
    }
  }

  /** Is a piece full, and may there be more? */
  #step(): boolean {
    let isFull = false;
    const step = (piece: Uint8Array, wanted: number) => {
      const done = this.#merge.advance(piece, wanted);
      isFull = done.bytes >= wanted;
      return done;
    };
    if (this.target instanceof PcapngFile) this.target.fill(step);
    else {
      const { bytes } = step(this.#piece, PIECE);
      for (const { block } of captureRecords(this.#piece.slice(0, bytes))) this.target.write(block);
    }
    return isFull;
  }

  /** What comes after pieces that are merged to their end. Is there anything to go on with? */
  #turnOver(): boolean {
    let goesOn = false;
    for (const [engine, { pieces, hasEnded }] of this.#sources.entries()) {
      const [piece, next] = pieces;
      if (!piece || !this.#merge.isEmpty(engine)) continue;
      pieces.shift();
      this.free(engine, piece.slot);
      if (next) this.#merge.give(engine, next.slot, next.length);
      else if (hasEnded) this.#merge.end(engine);
      goesOn ||= next !== undefined || hasEnded;
    }
    return goesOn;
  }

  #rest(): void {
    const pause = this.target.settle(MOST_WAITING / 2).then(() => {
      this.#pause = undefined;
      this.#advance();
    });
    this.#pause = pause;
    pause.catch(this.refused);
  }
}
