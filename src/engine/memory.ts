/**
 * Records in the engine's memory, read and written by field. Views are taken anew after every call into the engine,
 * since growing memory detaches them.
 */

export interface Field {
  readonly at: number;
  readonly bits: number;
}

export class Memory {
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  constructor(
    private readonly memory: WebAssembly.Memory,
    /** Counters are brought up to date: before they are read. */
    private readonly settle: () => void = () => {},
    /** What is about to be written may change packets' ways. */
    private readonly changed: () => void = () => {},
  ) {}

  get bytes(): Uint8Array {
    this.#refresh();
    return this.#bytes;
  }

  get view(): DataView {
    this.#refresh();
    return this.#view;
  }

  #refresh(): void {
    // A buffer whose memory has grown is detached: it has no length any more, which is quicker seen than that it is another.
    if (this.#bytes.length !== 0) return;
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#view = new DataView(this.memory.buffer);
  }

  /** An unsigned field; 64-bit ones come as numbers, exact up to 2^53. */
  get(record: number, field: Field): number {
    const at = (record >>> 0) + field.at;
    const { view } = this;
    switch (field.bits) {
      case 8:
        return view.getUint8(at);
      case 16:
        return view.getUint16(at, true);
      case 64:
        this.settle();
        return Number(view.getBigUint64(at, true));
      default:
        return view.getUint32(at, true);
    }
  }

  set(record: number, field: Field, value: number): void {
    this.changed();
    const at = (record >>> 0) + field.at;
    const { view } = this;
    switch (field.bits) {
      case 8:
        view.setUint8(at, value);
        break;
      case 16:
        view.setUint16(at, value, true);
        break;
      case 64:
        view.setBigUint64(at, BigInt(value), true);
        break;
      default:
        view.setUint32(at, value, true);
    }
  }

  /** The low and high half of a 64-bit field. */
  halves(record: number, field: Field): { low: number; high: number } {
    const at = (record >>> 0) + field.at;
    return { low: this.view.getUint32(at, true), high: this.view.getUint32(at + 4, true) };
  }

  setHalves(record: number, field: Field, { low, high }: { low: number; high: number }): void {
    this.changed();
    const at = (record >>> 0) + field.at;
    this.view.setUint32(at, low, true);
    this.view.setUint32(at + 4, high, true);
  }
}
