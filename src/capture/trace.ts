/**
 * The engine's capture records taken apart: finished packet blocks, and before a block, where hops have changed the frame since
 * its last tap, a trace block with a note a change (assembly/capture/tap.ts). The trace is no part of a file: `comments.ts`
 * finds the words for it.
 *
 *   type 0x80000001 | length | number of notes | NoteRecord … | length
 */

import { NoteRecord } from '../engine/generated/layout.js';
import { PACKET_BLOCK, PacketBlock } from './packet-block.js';

const TRACE_BLOCK = 0x80000001;
const FIRST_NOTE = 12;

/** One change, as numbers. What they mean is the kind's business; addresses and ports are in network byte order as loaded. */
export interface TraceNote {
  /** A member of `Note`. */
  kind: number;
  /** A rule's or destination's id, or a VNI. */
  reference: number;
  before: number;
  after: number;
  beforePort: number;
  afterPort: number;
  /** A device's id; 0 = none. */
  device: number;
}

export interface CaptureRecord {
  block: PacketBlock;
  /** What changed the frame since its last tap, in the order of the hops. */
  notes: TraceNote[];
}

/** `records` is what `Engine.onCapture` is given; the blocks are views into it. */
export function* captureRecords(records: Uint8Array): Generator<CaptureRecord> {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let notes: TraceNote[] = [];
  let at = 0;
  while (at < records.length) {
    const type = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (type === TRACE_BLOCK) notes = readNotes(view, at);
    else if (type === PACKET_BLOCK) {
      yield { block: new PacketBlock(records.subarray(at, at + length)), notes };
      notes = [];
    } else throw new Error(`the engine wrote a capture block of unknown type ${type} at byte ${at}`);
    at += length;
  }
}

function readNotes(view: DataView, block: number): TraceNote[] {
  const count = view.getUint32(block + 8, true);
  return Array.from({ length: count }, (_, index) => {
    const at = block + FIRST_NOTE + index * NoteRecord.size;
    return {
      kind: view.getUint32(at + NoteRecord.kind.at, true),
      reference: view.getUint32(at + NoteRecord.reference.at, true),
      before: view.getUint32(at + NoteRecord.before.at, true),
      after: view.getUint32(at + NoteRecord.after.at, true),
      beforePort: view.getUint16(at + NoteRecord.beforePort.at, true),
      afterPort: view.getUint16(at + NoteRecord.afterPort.at, true),
      device: view.getUint32(at + NoteRecord.device.at, true),
    };
  });
}
