/**
 * Capture files, read. Which of the two formats a file has is in its first four bytes; `pcap.ts` and `pcapng.ts` know the
 * rest. Other people's files are cut short, damaged, in either byte order: whatever can be read is handed out, and what could
 * not be is said in `warnings`. Only a file that is no capture at all is an error.
 */

import type { Capture } from './capture.js';
import { isPcap, PCAP_HEADER_LENGTH, readPcap } from './pcap.js';
import { isPcapng, readPcapng } from './pcapng.js';

/** The bytes are no capture. */
export class CaptureError extends Error {
  override name = 'CaptureError';
}

/**
 * Reads a pcap or pcapng file. Never throws for damaged records; throws `CaptureError` when the bytes do not begin as a
 * capture does.
 */
export function readCapture(file: Uint8Array): Capture {
  // A Node Buffer is a Uint8Array whose slice() does not copy: the frames are plain views, whatever the file came as.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  if (isPcapng(bytes)) {
    const capture = readPcapng(bytes);
    // The first block's type is also a legal first word of other files: without one readable section header it was chance.
    if (capture === undefined) throw new CaptureError('begins like a pcapng file, but has no readable section header');
    return capture;
  }
  if (isPcap(bytes)) {
    if (bytes.length < PCAP_HEADER_LENGTH) {
      throw new CaptureError(
        `begins like a pcap file, but ends within its header (${bytes.length} of ${PCAP_HEADER_LENGTH} bytes)`,
      );
    }
    return readPcap(bytes);
  }
  throw new CaptureError(`neither pcap nor pcapng: ${describeStart(bytes)}`);
}

function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'the file is empty';
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'the file is compressed with gzip; unpack it first';
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return `the file begins with ${start}`;
}
