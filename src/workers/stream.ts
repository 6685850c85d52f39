/**
 * What an engine has captured, on its way to the thread that merges: finished records in pieces, handed over without a copy and
 * without a file in between. An engine that is far ahead of the others waits, so that pieces do not pile up.
 */

import { joined } from '../bytes.js';
import type { OrderedSink } from '../capture/ordered.js';
import type { PacketBlock } from '../capture/packet-block.js';
import type { CaptureSink } from '../capture/recording.js';

/** As many bytes of single blocks gather before they are sent. */
const GATHERED = 1 << 18;
const MOST_WAITING = 64 << 20;
/** Between two looks at whether it is to leave off, ms. */
const LOOK = 50;

/** What the threads share, as 32-bit numbers: whether all are to leave off, and bytes that are on the way from each engine. */
export class Signals {
  readonly #numbers: Int32Array;

  constructor(readonly shared: SharedArrayBuffer) {
    this.#numbers = new Int32Array(shared);
  }

  static for(engines: number): Signals {
    return new Signals(new SharedArrayBuffer(4 * (1 + engines)));
  }

  get leaving(): boolean {
    return Atomics.load(this.#numbers, 0) === 1;
  }
  leave(): void {
    Atomics.store(this.#numbers, 0, 1);
  }

  sent(engine: number, bytes: number): void {
    Atomics.add(this.#numbers, 1 + engine, bytes);
  }
  taken(engine: number, bytes: number): void {
    Atomics.sub(this.#numbers, 1 + engine, bytes);
    Atomics.notify(this.#numbers, 1 + engine);
  }
  /** Until few bytes are on the way. Whoever is to leave off goes on: the others may wait for it to say how far it has come. */
  waitFor(engine: number): void {
    for (;;) {
      const waiting = Atomics.load(this.#numbers, 1 + engine);
      if (waiting <= MOST_WAITING || this.leaving) return;
      Atomics.wait(this.#numbers, 1 + engine, waiting, LOOK);
    }
  }
}

export class CaptureStream implements CaptureSink, OrderedSink {
  #blocks: Uint8Array[] = [];
  #gathered = 0;

  constructor(
    private readonly engine: number,
    private readonly signals: Signals,
    private readonly send: (records: ArrayBuffer) => void,
  ) {}

  write({ bytes }: PacketBlock): void {
    this.#blocks.push(bytes);
    this.#gathered += bytes.length;
    if (this.#gathered >= GATHERED) this.finish();
  }

  writeOrdered(records: Uint8Array): void {
    this.#pass(records.slice().buffer as ArrayBuffer);
  }

  /** What has gathered goes, too. */
  finish(): void {
    if (this.#gathered === 0) return;
    const { buffer } = joined(this.#blocks);
    this.#blocks = [];
    this.#gathered = 0;
    this.#pass(buffer);
  }

  #pass(records: ArrayBuffer): void {
    this.signals.waitFor(this.engine);
    this.signals.sent(this.engine, records.byteLength);
    this.send(records);
  }
}
