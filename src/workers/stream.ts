/**
 * What an engine has captured, on its way to the thread that merges: finished records in pieces, copied into memory that the
 * threads share (engine/merge.ts). An engine that is far ahead of the others waits until one of its slots there is free.
 */

import { joined } from '../bytes.js';
import type { OrderedSink } from '../capture/ordered.js';
import type { PacketBlock } from '../capture/packet-block.js';
import type { CaptureSink } from '../capture/recording.js';
import { SLOT, SLOTS, slotOf } from '../engine/merge.js';

/** As many bytes of single blocks gather before they are sent. */
const GATHERED = 1 << 18;
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

export class CaptureStream implements CaptureSink, OrderedSink {
  #blocks: Uint8Array[] = [];
  #gathered = 0;
  /** Pieces that found no slot while it was to leave off. */
  #kept: Uint8Array[] = [];

  constructor(
    private readonly engine: number,
    private readonly signals: Signals,
    private readonly memory: WebAssembly.Memory,
    private readonly send: (slot: number, length: number) => void,
  ) {}

  write({ bytes }: PacketBlock): void {
    this.#blocks.push(bytes);
    this.#gathered += bytes.length;
    if (this.#gathered >= GATHERED) this.#flush();
  }

  writeOrdered(records: Uint8Array): void {
    for (const piece of pieces(records)) this.#pass(piece);
  }

  /** All that is left goes, too. */
  finish(): void {
    this.#flush();
    for (const piece of this.#kept.splice(0)) this.#put(piece, () => true);
  }

  #flush(): void {
    if (this.#gathered === 0) return;
    const records = joined(this.#blocks);
    this.#blocks = [];
    this.#gathered = 0;
    this.writeOrdered(records);
  }

  /** Whoever is to leave off goes on: the others may wait for it to say how far it has come. */
  #pass(piece: Uint8Array): void {
    if (this.#kept.length > 0 || !this.#put(piece, () => !this.signals.leaving)) this.#kept.push(piece.slice());
  }

  #put(piece: Uint8Array, patient: () => boolean): boolean {
    const slot = this.signals.claim(this.engine, patient);
    if (slot === undefined) return false;
    slotOf(this.memory, this.engine, slot).set(piece);
    this.send(slot, piece.length);
    return true;
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
