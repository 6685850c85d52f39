/**
 * The classic capture file (IETF draft-ietf-opsawg-pcap; `man pcap-savefile`).
 *
 *   file   = header, record*
 *   header = magic(4) major(2)=2 minor(2)=4 zone(4) accuracy(4) snaplen(4) linktype(4)     24 bytes
 *   record = seconds(4) fraction(4) captured length(4) original length(4) bytes            16 bytes + data, no padding
 *
 * The magic number gives the byte order of every other number, and the fraction's unit: a1b2c3d4 = microseconds,
 * a1b23c4d = nanoseconds. The linktype's upper 16 bits hold other things (frame check sequence). No direction, no comment.
 */

import type { Capture, CapturedFrame } from './capture.js';
import { Warnings } from './read-warnings.js';

export const PCAP_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const LINKTYPE_ETHERNET = 1;
/** What tcpdump and Wireshark take for "no limit"; they refuse records that are longer than a file's snap length. */
const LONGEST_SNAP_LENGTH = 262_144;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads the magic number: byte order and ticks a second, or undefined when it is another file's. */
function magicOf(bytes: Uint8Array): { littleEndian: boolean; resolution: bigint } | undefined {
  if (bytes.length < 4) return undefined;
  for (const littleEndian of [true, false]) {
    const magic = view(bytes).getUint32(0, littleEndian);
    if (magic === MAGIC_MICROSECONDS) return { littleEndian, resolution: 1_000_000n };
    if (magic === MAGIC_NANOSECONDS) return { littleEndian, resolution: 1_000_000_000n };
  }
  return undefined;
}

export function isPcap(bytes: Uint8Array): boolean {
  return magicOf(bytes) !== undefined;
}

/** Reads a file for which `isPcap` holds and that is at least `PCAP_HEADER_LENGTH` long. */
export function readPcap(bytes: Uint8Array): Capture {
  const { littleEndian, resolution } = magicOf(bytes) ?? { littleEndian: true, resolution: 1_000_000_000n };
  const file = view(bytes);
  const warnings = new Warnings();
  const frames: CapturedFrame[] = [];
  const nanosecondsPerTick = 1_000_000_000n / resolution;
  let truncated = false;
  let at = PCAP_HEADER_LENGTH;
  while (at < bytes.length) {
    const number = frames.length + 1;
    if (bytes.length - at < RECORD_HEADER_LENGTH) {
      warnings.add(`cut short at byte ${bytes.length}, within the header of frame ${number}`);
      truncated = true;
      break;
    }
    const seconds = file.getUint32(at, littleEndian);
    const fraction = file.getUint32(at + 4, littleEndian);
    const capturedLength = file.getUint32(at + 8, littleEndian);
    const originalLength = file.getUint32(at + 12, littleEndian);
    const start = at + RECORD_HEADER_LENGTH;
    if (capturedLength > bytes.length - start) {
      const there = bytes.length - start;
      warnings.add(`cut short at byte ${bytes.length}: frame ${number} has ${there} of its ${capturedLength} bytes`);
      truncated = true;
      break;
    }
    if (capturedLength > originalLength) {
      warnings.add(`frame ${number} claims ${capturedLength} bytes kept of ${originalLength}`);
    }
    frames.push({
      time: BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * nanosecondsPerTick,
      interface: 0,
      data: bytes.subarray(start, start + capturedLength),
      originalLength,
    });
    at = start + capturedLength;
  }
  return {
    interfaces: [
      { linkType: file.getUint32(20, littleEndian) & 0xffff, snapLength: file.getUint32(16, littleEndian), resolution },
    ],
    frames,
    warnings: warnings.finish(),
    truncated,
  };
}

/** The first 24 bytes of a file of Ethernet frames: little endian, nanoseconds. */
export function pcapHeader(): Uint8Array {
  const bytes = new Uint8Array(PCAP_HEADER_LENGTH);
  const header = view(bytes);
  header.setUint32(0, MAGIC_NANOSECONDS, true);
  header.setUint16(4, 2, true);
  header.setUint16(6, 4, true);
  header.setUint32(16, LONGEST_SNAP_LENGTH, true);
  header.setUint32(20, LINKTYPE_ETHERNET, true);
  return bytes;
}

/** One record after `pcapHeader()`. `time` in nanoseconds since 1970; the format has room up to the year 2106. */
export function pcapRecord({ time, data }: { time: bigint; data: Uint8Array }): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_LENGTH + data.length);
  const record = view(bytes);
  record.setUint32(0, Number(time / 1_000_000_000n), true);
  record.setUint32(4, Number(time % 1_000_000_000n), true);
  record.setUint32(8, data.length, true);
  record.setUint32(12, data.length, true);
  bytes.set(data, RECORD_HEADER_LENGTH);
  return bytes;
}
