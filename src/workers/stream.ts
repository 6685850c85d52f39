/**
 * What an engine has captured, on its way to the thread that merges: finished records in pieces, copied into memory that the
 * threads share (engine/merge.ts). An engine that is far ahead of the others waits until one of its slots there is free.
 */

import type { OrderedSink } from '../capture/ordered.js';
import type { PacketBlock } from '../capture/packet-block.js';
import type { CaptureSink } from '../capture/recording.js';
import { SLOT, SLOTS, slotOf } from '../engine/merge.js';

/** Between two looks at whether it is to leave off, ms. */
const LOOK = 50;

/** What the threads share, as 32-bit numbers: whether all are to leave off, and which of its slots each engine has filled, a bit each. */
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

  /** The first free slot: few are used so, and may stay in a cache. Waits for one while `patient` says so. */
  claim(engine: number, patient: () => boolean): number | undefined {
    for (;;) {
      const filled = Atomics.load(this.#numbers, 1 + engine);
      const slot = 31 - Math.clz32(~filled & -~filled);
      if (slot < SLOTS) {
        Atomics.or(this.#numbers, 1 + engine, 1 << slot);
        return slot;
      }
      if (!patient()) return undefined;
      Atomics.wait(this.#numbers, 1 + engine, filled, LOOK);
    }
  }
  free(engine: number, slot: number): void {
    Atomics.and(this.#numbers, 1 + engine, ~(1 << slot));
    Atomics.notify(this.#numbers, 1 + engine);
  }
}

/** Records gather in a slot until no more fit: who merges hears of few pieces. */
export class CaptureStream implements CaptureSink, OrderedSink {
  readonly #slots: Uint8Array[];
  /** The one that is being filled, if any is. */
  #slot: number | undefined;
  #filled = 0;
  /** Pieces that found no slot while it was to leave off. */
  #kept: Uint8Array[] = [];

  constructor(
    private readonly engine: number,
    private readonly signals: Signals,
    memory: WebAssembly.Memory,
    private readonly send: (slot: number, length: number) => void,
  ) {
    this.#slots = Array.from({ length: SLOTS }, (_, slot) => slotOf(memory, engine, slot));
  }

  write({ bytes }: PacketBlock): void {
    this.#pass(bytes);
  }

  writeOrdered(records: Uint8Array): void {
    for (const piece of pieces(records)) this.#pass(piece);
  }

  /** All that is left goes, too. */
  finish(): void {
    for (const piece of this.#kept.splice(0)) this.#put(piece, () => true);
    this.#flush();
  }

  /** Whoever is to leave off goes on: the others may wait for it to say how far it has come. */
  #pass(piece: Uint8Array): void {
    if (this.#kept.length > 0 || !this.#put(piece, () => !this.signals.leaving)) this.#kept.push(piece.slice());
  }

  #put(piece: Uint8Array, patient: () => boolean): boolean {
    if (this.#filled + piece.length > SLOT) this.#flush();
    this.#slot ??= this.signals.claim(this.engine, patient);
    if (this.#slot === undefined) return false;
    this.#slots[this.#slot]?.set(piece, this.#filled);
    this.#filled += piece.length;
    return true;
  }

  #flush(): void {
    if (this.#slot !== undefined) this.send(this.#slot, this.#filled);
    this.#slot = undefined;
    this.#filled = 0;
  }
}

/** Records in pieces that a slot takes. */
function* pieces(records: Uint8Array): Generator<Uint8Array> {
  if (records.length <= SLOT) {
    yield records;
    return;
  }
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let from = 0;
  for (let at = 0; at < records.length; ) {
    const next = at + view.getUint32(at + 4, true);
    if (next - from > SLOT) {
      yield records.subarray(from, at);
      from = at;
    }
    at = next;
  }
  yield records.subarray(from);
}
