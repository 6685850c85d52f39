/**
 * An Enhanced Packet Block as the engine finishes it (assembly/capture/tap.ts; pcapng, section 4.3), little endian:
 *
 *   0 type 6 | 4 length | 8 interface | 12 time high | 16 time low | 20 captured | 24 original | 28 data, padded to 4
 *   | epb_flags (8 bytes) | opt_endofopt (4 bytes) | length
 *
 * Times are nanoseconds since 1970. `pcapng.ts` reads and writes any such block; here only what a run needs for every frame.
 */

export const PACKET_BLOCK = 6;
const DATA = 28;
/** opt_endofopt and the second length. */
const TAIL = 8;
const OPT_COMMENT = 1;
const OUTBOUND = 2;
/** An option's length has 16 bits. */
const LONGEST_COMMENT = 0xffff;
const utf8 = new TextEncoder();

export class PacketBlock {
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Index of the tap. */
  get interface(): number {
    return this.#view.getUint32(8, true);
  }
  get timeHigh(): number {
    return this.#view.getUint32(12, true);
  }
  get timeLow(): number {
    return this.#view.getUint32(16, true);
  }
  get time(): bigint {
    return (BigInt(this.timeHigh) << 32n) | BigInt(this.timeLow);
  }
  /** The frame, from its Ethernet header on: a view. */
  get data(): Uint8Array {
    return this.bytes.subarray(DATA, DATA + this.#view.getUint32(20, true));
  }

  /** By its epb_flags. */
  get direction(): 'in' | 'out' {
    const flags = DATA + Math.ceil(this.#view.getUint32(20, true) / 4) * 4 + 4;
    return (this.#view.getUint32(flags, true) & 3) === OUTBOUND ? 'out' : 'in';
  }

  /** The same block with another index of its tap. */
  withInterface(index: number): PacketBlock {
    const block = new PacketBlock(this.bytes.slice());
    block.#view.setUint32(8, index, true);
    return block;
  }

  /** The same block with an opt_comment after its flags. */
  withComment(comment: string): PacketBlock {
    const text = utf8.encode(comment).subarray(0, LONGEST_COMMENT);
    const option = 4 + Math.ceil(text.length / 4) * 4;
    const bytes = new Uint8Array(this.bytes.length + option);
    const end = this.bytes.length - TAIL;
    bytes.set(this.bytes.subarray(0, end));
    bytes.set(text, end + 4);
    const block = new PacketBlock(bytes);
    block.#view.setUint16(end, OPT_COMMENT, true);
    block.#view.setUint16(end + 2, text.length, true);
    block.#view.setUint32(4, bytes.length, true);
    block.#view.setUint32(bytes.length - 4, bytes.length, true);
    return block;
  }
}
