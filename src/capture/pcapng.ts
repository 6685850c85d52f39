/**
 * The next-generation capture file (IETF draft-ietf-opsawg-pcapng).
 *
 *   file    = section+ ; section = section header block, block*
 *   block   = type(4) total length(4) body, padded to 4   total length(4) again
 *   options = code(2) length(2) value, padded to 4 ... code 0 ends the list; it may also simply stop at the body's end
 *
 *   section header 0x0a0d0d0a  byte-order magic 1a2b3c4d, major, minor, section length(8, -1 = unknown), options
 *   interface      1           linktype(2) reserved(2) snaplen(4) options: 2 name, 3 description, 9 tsresol, 14 tsoffset
 *   packet         2           obsolete: interface(2) drops(2) time high(4) low(4) captured(4) original(4) data, options
 *   simple packet  3           original(4) data: no time, interface 0, kept length = min(original, snaplen)
 *   enhanced packet 6          interface(4) time high(4) low(4) captured(4) original(4) data, options: 1 comment, 2 flags
 *
 * Each section has its own byte order and numbers its interfaces from 0. if_tsresol is a power of ten, or of two where its
 * top bit is set; without it the unit is a microsecond. The lowest two bits of the flags: 1 = received, 2 = transmitted.
 */

import { joined } from '../bytes.js';
import type { Capture, CapturedFrame, CaptureInterface, Direction } from './capture.js';
import { Warnings } from './read-warnings.js';

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

const OPTION_END = 0;
const OPTION_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;
const PACKET_FLAGS = 2;
const FLAG_RECEIVED = 1;
const FLAG_TRANSMITTED = 2;

const NANOSECONDS = 1_000_000_000n;
const text = new TextDecoder();
const utf8 = new TextEncoder();

/** Type and byte-order magic of a section header: the type is the same in both byte orders. */
export function isPcapng(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0) === SECTION_HEADER;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What the blocks of one section share. */
interface Section {
  littleEndian: boolean;
  /** Index in `Capture.interfaces` of the section's interface 0. */
  firstInterface: number;
  /** Of each interface of the section: seconds to add to its times (if_tsoffset). */
  offsets: bigint[];
}

/** Reads a file for which `isPcapng` holds; undefined when not even the first section header can be read. */
export function readPcapng(bytes: Uint8Array): Capture | undefined {
  const file = viewOf(bytes);
  const warnings = new Warnings();
  const capture: Capture = { interfaces: [], frames: [], warnings: [], truncated: false };
  let section: Section | undefined;
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 12) {
      warnings.add(`cut short at byte ${bytes.length}, within a block's header`);
      capture.truncated = true;
      break;
    }
    if (file.getUint32(at) === SECTION_HEADER) {
      const littleEndian = file.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
      if (!littleEndian && file.getUint32(at + 8) !== BYTE_ORDER_MAGIC) {
        warnings.add(`unreadable from byte ${at} on: a section header without its byte-order magic`);
        capture.truncated = true;
        break;
      }
      section = { littleEndian, firstInterface: capture.interfaces.length, offsets: [] };
    }
    if (section === undefined) break;
    const type = file.getUint32(at, section.littleEndian);
    const length = file.getUint32(at + 4, section.littleEndian);
    // Lengths are multiples of four; some writers forget the padding in the count, and every reader forgives them.
    const padded = Math.ceil(length / 4) * 4;
    if (length < 12) {
      warnings.add(`unreadable from byte ${at} on: a block of ${length} bytes`);
      capture.truncated = true;
      break;
    }
    if (padded > bytes.length - at) {
      warnings.add(`cut short at byte ${bytes.length}: the last block has ${bytes.length - at} of its ${length} bytes`);
      capture.truncated = true;
      break;
    }
    if (file.getUint32(at + padded - 4, section.littleEndian) !== length) {
      warnings.add(`the block at byte ${at} ends with another length than it begins with`);
    }
    const block = new Block(bytes, at + 8, at + padded - 4, section.littleEndian);
    if (type === INTERFACE_DESCRIPTION) readInterface(block, capture, section, warnings);
    else if (type === ENHANCED_PACKET || type === PACKET || type === SIMPLE_PACKET) {
      const frame = readPacket(type, block, capture, section, warnings);
      if (frame !== undefined) capture.frames.push(frame);
    }
    at += padded;
  }
  capture.warnings = warnings.finish();
  return section === undefined ? undefined : capture;
}

/** A block's body. Reading past its end gives zero: the lengths are checked where they matter. */
class Block {
  readonly #file: DataView;

  constructor(
    readonly bytes: Uint8Array,
    readonly start: number,
    readonly end: number,
    readonly littleEndian: boolean,
  ) {
    this.#file = viewOf(bytes);
  }

  get length(): number {
    return this.end - this.start;
  }

  u16(offset: number): number {
    return offset + 2 <= this.length ? this.#file.getUint16(this.start + offset, this.littleEndian) : 0;
  }

  u32(offset: number): number {
    return offset + 4 <= this.length ? this.#file.getUint32(this.start + offset, this.littleEndian) : 0;
  }

  data(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(this.start + offset, Math.min(this.start + offset + length, this.end));
  }

  /** The options from an offset of the body on; a list that runs over the body's end stops there. */
  *options(offset: number): Generator<{ code: number; value: Uint8Array }> {
    let at = offset;
    while (at + 4 <= this.length) {
      const code = this.u16(at);
      const length = this.u16(at + 2);
      if (code === OPTION_END || at + 4 + length > this.length) return;
      yield { code, value: this.data(at + 4, length) };
      at += 4 + Math.ceil(length / 4) * 4;
    }
  }
}

function readInterface(block: Block, capture: Capture, section: Section, warnings: Warnings): void {
  if (block.length < 8) {
    warnings.add(`the description of interface ${capture.interfaces.length} is too short`);
  }
  const described: CaptureInterface = { linkType: block.u16(0), snapLength: block.u32(4), resolution: 1_000_000n };
  let offset = 0n;
  for (const { code, value } of block.options(8)) {
    if (code === IF_NAME) described.name = text.decode(value);
    else if (code === IF_DESCRIPTION) described.description = text.decode(value);
    else if (code === IF_TSRESOL && value.length >= 1) {
      const resolution = value[0] ?? 6;
      described.resolution = (resolution & 0x80) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & 0x7f);
    } else if (code === IF_TSOFFSET && value.length >= 8) {
      offset = viewOf(value).getBigInt64(0, section.littleEndian);
    }
  }
  capture.interfaces.push(described);
  section.offsets.push(offset);
}

/** Where each kind of packet block has its fields; -1 = it has none. */
const SHAPES = {
  [ENHANCED_PACKET]: { time: 4, captured: 12, original: 16, data: 20 },
  [PACKET]: { time: 4, captured: 12, original: 16, data: 20 },
  [SIMPLE_PACKET]: { time: -1, captured: -1, original: 0, data: 4 },
} as const;

function readPacket(
  type: keyof typeof SHAPES,
  block: Block,
  capture: Capture,
  section: Section,
  warnings: Warnings,
): CapturedFrame | undefined {
  const shape = SHAPES[type];
  const number = capture.frames.length + 1;
  const local = type === ENHANCED_PACKET ? block.u32(0) : type === PACKET ? block.u16(0) : 0;
  const at = capture.interfaces[section.firstInterface + local];
  if (block.length < shape.data || at === undefined) {
    const why = at === undefined ? `interface ${local}, which the section does not describe` : 'too few bytes';
    warnings.add(`the packet block after frame ${number - 1} was left out: ${why}`);
    return undefined;
  }
  const originalLength = block.u32(shape.original);
  const room = block.length - shape.data;
  let captured: number;
  if (shape.captured >= 0) {
    captured = block.u32(shape.captured);
    if (captured > room) {
      warnings.add(`the packet block after frame ${number - 1} was left out: ${captured} bytes do not fit into it`);
      return undefined;
    }
  } else {
    captured = Math.min(originalLength, at.snapLength === 0 ? originalLength : at.snapLength, room);
    warnings.add(`frame ${number} is a simple packet block: it has no time`);
  }
  const frame: CapturedFrame = {
    time: 0n,
    interface: section.firstInterface + local,
    data: block.data(shape.data, captured),
    originalLength,
  };
  if (shape.time >= 0) {
    const ticks = (BigInt(block.u32(shape.time)) << 32n) | BigInt(block.u32(shape.time + 4));
    frame.time = (ticks * NANOSECONDS) / at.resolution + (section.offsets[local] ?? 0n) * NANOSECONDS;
    for (const { code, value } of block.options(shape.data + Math.ceil(captured / 4) * 4)) {
      if (code === OPTION_COMMENT) {
        frame.comment = frame.comment === undefined ? text.decode(value) : `${frame.comment}\n${text.decode(value)}`;
      } else if (code === PACKET_FLAGS && value.length >= 4) {
        const direction = viewOf(value).getUint32(0, section.littleEndian) & 3;
        if (direction === FLAG_RECEIVED) frame.direction = 'received';
        else if (direction === FLAG_TRANSMITTED) frame.direction = 'transmitted';
      }
    }
  }
  return frame;
}

/** A tap as the file describes it. The format has no place for an MTU: it goes into the description. */
export interface TapDescription {
  /** `node/namespace/device`. */
  name: string;
  mtu?: number;
  description?: string;
}

/** Section header and one interface per tap, in order: Ethernet, nanoseconds, frames kept whole. Little endian. */
export function pcapngHeader(taps: readonly TapDescription[]): Uint8Array {
  const blocks = [
    writeBlock(SECTION_HEADER, [
      u32(BYTE_ORDER_MAGIC),
      u16(1),
      u16(0),
      u32(0xffff_ffff), // the section's length: unknown
      u32(0xffff_ffff),
      writeOption(SHB_USERAPPL, utf8.encode('swarmwire')),
      END_OF_OPTIONS,
    ]),
  ];
  for (const tap of taps) {
    const about = [tap.description, tap.mtu === undefined ? undefined : `MTU ${tap.mtu}`].filter((part) => part);
    blocks.push(
      writeBlock(INTERFACE_DESCRIPTION, [
        u16(LINKTYPE_ETHERNET),
        u16(0),
        u32(0), // snap length: no limit
        writeOption(IF_NAME, utf8.encode(tap.name)),
        ...(about.length > 0 ? [writeOption(IF_DESCRIPTION, utf8.encode(about.join(', ')))] : []),
        writeOption(IF_TSRESOL, Uint8Array.of(9)),
        END_OF_OPTIONS,
      ]),
    );
  }
  return joined(blocks);
}

/** One frame after `pcapngHeader()`. `interface` is the tap's index there, `time` nanoseconds since 1970. */
export function enhancedPacketBlock(frame: {
  interface: number;
  time: bigint;
  data: Uint8Array;
  direction?: Direction;
  comment?: string;
}): Uint8Array {
  const options: Uint8Array[] = [];
  if (frame.direction !== undefined) {
    options.push(writeOption(PACKET_FLAGS, u32(frame.direction === 'received' ? FLAG_RECEIVED : FLAG_TRANSMITTED)));
  }
  if (frame.comment !== undefined) options.push(writeOption(OPTION_COMMENT, utf8.encode(frame.comment)));
  if (options.length > 0) options.push(END_OF_OPTIONS);
  return writeBlock(ENHANCED_PACKET, [
    u32(frame.interface),
    u32(Number((frame.time >> 32n) & 0xffff_ffffn)),
    u32(Number(frame.time & 0xffff_ffffn)),
    u32(frame.data.length),
    u32(frame.data.length),
    paddedTo4(frame.data),
    ...options,
  ]);
}

const END_OF_OPTIONS = new Uint8Array(4);

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}

function paddedTo4(bytes: Uint8Array): Uint8Array {
  if (bytes.length % 4 === 0) return bytes;
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return padded;
}

/** An option's length has 16 bits: a longer text is cut at the last whole character that fits. */
function writeOption(code: number, value: Uint8Array): Uint8Array {
  let length = Math.min(value.length, 0xffff);
  while (length < value.length && length > 0 && ((value[length] ?? 0) & 0xc0) === 0x80) length -= 1;
  return joined([u16(code), u16(length), paddedTo4(value.subarray(0, length))]);
}

function writeBlock(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = joined(parts);
  const length = u32(body.length + 12);
  return joined([u32(type), length, body, length]);
}
