/**
 * What an engine's taps see, on its way to a file without a stop: the engine's records are finished blocks, and it puts them
 * in the order of their times itself. For captures without comments, whose words only `recording.ts` finds; the file is the same.
 */

import type { Engine } from '../engine/index.js';
import type { Recorded } from './recording.js';

/** Takes records of many frames in order; the bytes are the engine's, and good until it returns. */
export interface OrderedSink {
  writeOrdered(records: Uint8Array, frames: number): void;
}

export class OrderedRecording implements Recorded {
  frames = 0;
  readonly #engine: Engine;
  /** Frames of each tap that others have had before. */
  readonly #before: number[];

  /** From now on all that `engine` captures goes to `sink`, and to nobody else. */
  constructor(engine: Engine, sink: OrderedSink) {
    this.#engine = engine;
    this.#before = engine.taps.map((_, tap) => engine.exports.recordsAt(tap));
    engine.onOrdered = (records, frames) => {
      sink.writeOrdered(records, frames);
      this.frames += frames;
    };
  }

  framesAt(tap: number): number {
    return this.#engine.exports.recordsAt(tap) - (this.#before[tap] ?? 0);
  }

  get late(): number {
    return this.#engine.exports.lateRecords();
  }

  finish(): void {
    this.#engine.drain(true);
    this.#engine.onOrdered = undefined;
  }
}
