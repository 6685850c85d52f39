/**
 * Captures of several engines become one, in the order of their times, while they come: each is in order already, so the earliest
 * of their next frames is always the one, once there is one of each engine that has not ended. Frames that stand together in one
 * of them and come before the next of all others are copied together.
 */

import { type CaptureFile, PcapngFile } from '../capture/files.js';
import { captureRecords } from '../capture/trace.js';

/** Words of a packet block (packet-block.ts): its length in bytes, tap and time. */
const LENGTH = 1;
const TAP = 2;
const HIGH = 3;
const LOW = 4;

/** Bytes that gather before they go to the file, and those that may wait for the disk. */
const GATHERED = 1 << 20;
const MOST_WAITING = 64 << 20;

/** The records of one engine, one after the other: `words` has the one at hand at `at`. */
class Source {
  readonly #pieces: Uint32Array[] = [];
  words: Uint32Array = new Uint32Array(0);
  at = 0;
  hasEnded = false;

  constructor(
    readonly index: number,
    /** All of a piece has gone. */
    private readonly taken: (bytes: number) => void,
  ) {}

  get isEmpty(): boolean {
    return this.at === this.words.length;
  }

  add(piece: Uint32Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    if (this.isEmpty) this.#next();
  }

  moveTo(at: number): void {
    this.at = at;
    if (!this.isEmpty) return;
    this.taken(this.words.byteLength);
    this.#next();
  }

  #next(): void {
    this.words = this.#pieces.shift() ?? new Uint32Array(0);
    this.at = 0;
  }

  /** Is its record at `at` before the one that the other has at hand? Of equal ones that of the first engine is. */
  isBefore(at: number, { words, at: there, index }: Source): boolean {
    const mine = this.words;
    let difference = (mine[at + HIGH] as number) - (words[there + HIGH] as number);
    if (difference === 0) difference = (mine[at + LOW] as number) - (words[there + LOW] as number);
    if (difference === 0) difference = (mine[at + TAP] as number) - (words[there + TAP] as number);
    return difference < 0 || (difference === 0 && this.index < index);
  }
}

export class CaptureMerge {
  readonly #sources: Source[];
  readonly #gathered = new Uint32Array(GATHERED / 4);
  #filled = 0;
  #frames = 0;
  /** The disk is behind. */
  #pause: Promise<void> | undefined;

  /**
   * `taken`: so many bytes of an engine's are done with. `refused`: the disk took no more while it was waited for. Nothing more is
   * taken then, so engines that wait would do so for good.
   */
  constructor(
    engines: number,
    private readonly target: CaptureFile,
    taken: (engine: number, bytes: number) => void,
    private readonly refused: (error: unknown) => void,
  ) {
    this.#sources = Array.from({ length: engines }, (_, index) => new Source(index, (bytes) => taken(index, bytes)));
  }

  /** Throws what the system has refused. */
  add(engine: number, records: ArrayBuffer): void {
    this.#sources[engine]?.add(new Uint32Array(records));
    this.#advance();
  }

  end(engine: number): void {
    const source = this.#sources[engine];
    if (source) source.hasEnded = true;
    this.#advance();
  }

  /** All have ended: the target is settled, and still to be finished. */
  async finish(): Promise<void> {
    while (this.#pause) await this.#pause;
    this.#flush();
    await this.target.settle();
  }

  #advance(): void {
    while (!this.#pause) {
      const first = this.#first();
      if (!first) return;
      this.#take(first);
      if (this.target.waiting > MOST_WAITING) this.#rest();
    }
  }

  #rest(): void {
    const pause = this.target.settle(MOST_WAITING / 2).then(() => {
      this.#pause = undefined;
      this.#advance();
    });
    this.#pause = pause;
    pause.catch(this.refused);
  }

  /** The one that has the earliest record; undefined while somebody's next is not here yet, and when all have ended. */
  #first(): Source | undefined {
    let first: Source | undefined;
    for (const source of this.#sources) {
      if (!source.isEmpty) first = first && !source.isBefore(source.at, first) ? first : source;
      else if (!source.hasEnded) return undefined;
    }
    return first;
  }

  /** Its records up to the next of all others. */
  #take(source: Source): void {
    let rest: Source | undefined;
    for (const other of this.#sources)
      if (other !== source && !other.isEmpty && !(rest && !other.isBefore(other.at, rest))) rest = other;
    const { words } = source;
    let at = source.at;
    let frames = 0;
    do {
      at += (words[at + LENGTH] as number) >>> 2;
      frames++;
    } while (at < words.length && (!rest || source.isBefore(at, rest)));
    this.#put(words.subarray(source.at, at), frames);
    source.moveTo(at);
  }

  #put(records: Uint32Array, frames: number): void {
    const { length } = records;
    if (this.#filled + length > this.#gathered.length) this.#flush();
    if (length > this.#gathered.length) {
      this.#write(records, frames);
      return;
    }
    this.#gathered.set(records, this.#filled);
    this.#filled += length;
    this.#frames += frames;
  }

  #flush(): void {
    if (this.#filled === 0) return;
    this.#write(this.#gathered.subarray(0, this.#filled), this.#frames);
    this.#filled = 0;
    this.#frames = 0;
  }

  #write(records: Uint32Array, frames: number): void {
    const bytes = new Uint8Array(records.buffer, records.byteOffset, records.byteLength);
    if (this.target instanceof PcapngFile) this.target.writeOrdered(bytes, frames);
    else for (const { block } of captureRecords(bytes.slice())) this.target.write(block);
  }
}
