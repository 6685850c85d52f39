// Taps: a captured frame becomes a finished pcapng Enhanced Packet Block (pcapng, section 4.3) in linear memory.
//
//  type 6 | length | interface | time high | time low | captured | original | data, padded to 4 | epb_flags | end | length
//
// With tracing on, a block of our own type stands before it when hops have changed the frame since its last tap: the
// engine makes no strings, so src/capture finds the words for the comment and takes the block out again.

import { arena } from "../memory";
import { changed } from "../tables/generation";
import { Frame, NOTES } from "../frame";
import { forget } from "../flowtable/recorder";
import { Device, Kind } from "../devices/device";

/** Block type of a trace: in the range that pcapng leaves for local use. */
export const TRACE_BLOCK: u32 = 0x80000001;

export enum Note {
  NONE,
  /** a nat rule or an existing connection: reference = rule id */
  DNAT, SNAT, UN_DNAT, UN_SNAT,
  /** reference = rule id, before and after = mark */
  MARK,
  /** reference = destination id */
  IPVS, UN_IPVS,
  /** before and after = TTL */
  FORWARD,
  /** reference = VNI, after = remote VTEP */
  ENCAPSULATE, DECAPSULATE,
  /** answered by the vxlan device's neighbour table; after = address */
  PROXY_ARP,
  FRAGMENT, REASSEMBLE,
  /** reference = SPI, before = sequence number, after = the peer's address */
  SEAL, OPEN,
  /** reference = VID */
  TAG, UNTAG,
}

@unmanaged
export class NoteRecord {
  kind: u32;
  reference: u32;
  before: u32;
  after: u32;
  /** Network byte order. */
  beforePort: u16;
  afterPort: u16;
  device: u32;
}
const NOTE_SIZE: usize = 24;
const AT_NOTES: usize = 128;

let buffer: usize = 0;
let size: u32 = 0;
let used: u32 = 0;
export let captured: u64 = 0;
/** Added to virtual time: ns since 1970 of the run's start. */
export let epoch: u64 = 0;
export let tracing: bool = false;

export function openCapture(bytes: u32): void {
  if (bytes > size) {
    buffer = arena(bytes);
    size = bytes;
  }
  used = 0;
}
export function setEpoch(ns: u64): void { epoch = ns; }
export function setTracing(on: bool): void {
  changed();
  tracing = on;
}
export function captureAt(): usize { return buffer; }
export function captureLength(): u32 { return used; }
export function clearCapture(): void { used = 0; }
/** A run stops to be drained while a burst still fits; what comes beyond the brim is counted, never written. */
export function captureFull(): bool { return size != 0 && size - used < size >>> 1; }
export let missed: u32 = 0;

export function tap(device: Device, frame: Frame, received: bool): void {
  forget(frame);
  // On lo a capture sees each frame once, as it comes in (libpcap leaves the outgoing copy out).
  if (!received && device.kind == <u8>Kind.LOOPBACK) return;
  const length = frame.length;
  const padded = (length + 3) & ~3;
  const total = 44 + padded;
  const notes = tracing ? <u32>frame.noteCount : 0;
  const traceTotal = notes ? 16 + notes * <u32>NOTE_SIZE : 0;
  if (used + total + traceTotal > size) {
    missed++;
    return;
  }
  let at = buffer + used;
  if (notes) {
    store<u32>(at, TRACE_BLOCK);
    store<u32>(at, traceTotal, 4);
    store<u32>(at, notes, 8);
    memory.copy(at + 12, changetype<usize>(frame) + AT_NOTES, <usize>notes * NOTE_SIZE);
    store<u32>(at + traceTotal - 4, traceTotal);
    at += traceTotal;
    frame.noteCount = 0;
  }
  const time = epoch + frame.time;
  store<u32>(at, 6);
  store<u32>(at, total, 4);
  store<u32>(at, device.tap - 1, 8);
  store<u32>(at, <u32>(time >>> 32), 12);
  store<u32>(at, <u32>time, 16);
  store<u32>(at, length, 20);
  store<u32>(at, length, 24);
  memory.copy(at + 28, frame.data, length);
  let end = at + 28 + length;
  while (end < at + 28 + padded) store<u8>(end++, 0);
  store<u32>(end, 0x00040002); // epb_flags, 4 bytes
  store<u32>(end, received ? 1 : 2, 4);
  store<u32>(end, 0, 8); // opt_endofopt
  store<u32>(end, total, 12);
  used += total + traceTotal;
  captured++;
}

/** Remember that this hop changed the frame, for the comment at its next tap. The oldest are kept when there are many. */
export function note(frame: Frame, kind: Note, reference: u32, before: u32, beforePort: u32, after: u32, afterPort: u32, device: Device | null): void {
  if (!tracing || <u32>frame.noteCount >= NOTES) return;
  const record = changetype<NoteRecord>(changetype<usize>(frame) + AT_NOTES + <usize>frame.noteCount * NOTE_SIZE);
  record.kind = kind;
  record.reference = reference;
  record.before = before;
  record.after = after;
  record.beforePort = <u16>beforePort;
  record.afterPort = <u16>afterPort;
  record.device = device ? device.id : 0;
  frame.noteCount++;
}
