/**
 * Captures of several engines become one, in the order of their times, while they come: each is in order already, so the earliest
 * of their next frames is always the one, once there is one of each engine that has not ended.
 */

import { type CaptureFile, PcapngFile } from '../capture/files.js';
import { captureRecords } from '../capture/trace.js';
import { RecordMerge } from '../engine/merge.js';

/** Bytes that may wait for the disk. */
const MOST_WAITING = 64 << 20;

interface Source {
  /** Those that are not merged to their end: the first one is at hand. */
  pieces: { slot: number; length: number }[];
  /** No more come. */
  hasEnded: boolean;
}

export class CaptureMerge {
  readonly #merge: RecordMerge;
  readonly #sources: Source[];
  /** The disk is behind. */
  #pause: Promise<void> | undefined;

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
    this.#flush();
    await this.target.settle();
  }

  #advance(): void {
    for (let goesOn = true; goesOn && !this.#pause; ) {
      const isFull = this.#merge.advance();
      if (isFull) this.#flush();
      goesOn = this.#turnOver() || isFull;
      if (this.target.waiting > MOST_WAITING) this.#rest();
    }
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

  #flush(): void {
    const { frames } = this.#merge;
    if (frames === 0) return;
    const records = this.#merge.take();
    if (this.target instanceof PcapngFile) this.target.writeOrdered(records, frames);
    else for (const { block } of captureRecords(records.slice())) this.target.write(block);
  }
}
