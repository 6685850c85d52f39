/**
 * What an engine's taps see, on its way out: records are taken apart, traces become comments, frames get into the order of
 * their times, and go to a sink: a file (`files.ts`), or memory in a browser.
 */

import type { Engine } from '../engine/index.js';
import { Comments } from './comments.js';
import type { PacketBlock } from './packet-block.js';
import { TimeOrder } from './time-order.js';
import { captureRecords } from './trace.js';

/** Takes frames in order. The block's bytes are its own to keep. */
export interface CaptureSink {
  write(block: PacketBlock): void;
}

/** What was recorded so far. */
export interface Recorded {
  readonly frames: number;
  framesAt(tap: number): number;
  /** Frames that stand after later ones in the file; see time-order. */
  readonly late: number;
  /** Hands on what still waits, and listens no longer. */
  finish(): void;
}

export class Recording implements Recorded {
  readonly #engine: Engine;
  readonly #sink: CaptureSink;
  readonly #comments: Comments;
  readonly #order = new TimeOrder();
  /** By tap. */
  readonly #frames: number[] = [];
  readonly #before: Engine['onCapture'];

  /** From now on all that `engine` captures goes to `sink`; whoever listened before still does. */
  constructor(engine: Engine, sink: CaptureSink) {
    this.#engine = engine;
    this.#sink = sink;
    this.#comments = new Comments(engine);
    this.#before = engine.onCapture;
    engine.onCapture = (records) => {
      this.#before?.(records);
      this.#take(records);
    };
  }

  get frames(): number {
    return this.#frames.reduce((sum, count) => sum + count, 0);
  }

  framesAt(tap: number): number {
    return this.#frames[tap] ?? 0;
  }

  get late(): number {
    return this.#order.late;
  }

  finish(): void {
    this.#engine.drain();
    this.#engine.onCapture = this.#before;
    this.#write(this.#order.release());
  }

  #take(records: Uint8Array): void {
    const { taps, epoch, now } = this.#engine;
    for (const { block, notes } of captureRecords(records)) {
      const comment = this.#comments.text(notes, taps[block.interface]);
      this.#order.add(comment === undefined ? block : block.withComment(comment));
    }
    this.#write(this.#order.release(epoch + BigInt(now)));
  }

  #write(blocks: readonly PacketBlock[]): void {
    for (const block of blocks) {
      this.#sink.write(block);
      this.#frames[block.interface] = this.framesAt(block.interface) + 1;
    }
  }
}
