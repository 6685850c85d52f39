// Taps: a captured frame becomes a finished pcapng Enhanced Packet Block (pcapng, section 4.3) in linear memory.
//
//  type 6 | length | interface | time high | time low | captured | original | data, padded to 4 | epb_flags | end | length
//
// With tracing on, a block of our own type stands before it when hops have changed the frame since its last tap: the
// engine makes no strings, so src/capture finds the words for the comment and takes the block out again.

import { copyFrame } from "../copy";
import { reserve } from "../memory";
import { changed } from "../tables/generation";
import { Frame, NOTES } from "../frame";
import { sight } from "../flowtable/recorder";
import { ownsFrame } from "../load/shards";
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

/** Added to a kind: V6 says that before and after are numbers of IPv6 addresses. */
export enum NoteFamily { V4, V6 = 256 }

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

/** Room behind the buffer: copies of frames may run over (`copyFrame`). */
export const SLACK: u32 = 64;
export let buffer: usize = 0;
/** Bytes that the buffer holds. */
export let room: u32 = 0;
let used: u32 = 0;
/** Bytes that were there already after the last time that it was drained. */
let left: u32 = 0;
/** As much is worth a stop: the records are still in the processor's cache when they are put in order and copied. */
const WORTH: u32 = 512 << 10;
export let captured: u64 = 0;
/** Added to virtual time: ns since 1970 of the run's start. */
export let epoch: u64 = 0;
export let tracing: bool = false;

export function openCapture(bytes: u32): void {
  if (bytes > room) {
    buffer = reserve(bytes + SLACK);
    room = bytes;
  }
  setCaptureLength(0);
}
/** Twice the room: what is there waits, and fills it. Between vectors only. */
export function widenCapture(): void {
  const before = buffer;
  buffer = reserve((room << 1) + SLACK);
  memory.copy(buffer, before, used);
  room <<= 1;
}
export function setEpoch(ns: u64): void { epoch = ns; }
export function setTracing(on: bool): void {
  changed();
  tracing = on;
}
export function captureAt(): usize { return buffer; }
export function captureLength(): u32 { return used; }
export function setCaptureLength(bytes: u32): void {
  used = bytes;
  left = bytes;
}
export function clearCapture(): void { setCaptureLength(0); }
/** A run stops to be drained, and always while a burst still fits; what comes beyond the brim is counted, never written. */
export function captureFull(): bool { return used - left > WORTH || (room != 0 && room - used < room >>> 1); }
export let missed: u32 = 0;

export function tap(device: Device, frame: Frame, received: bool): void {
  // On lo a capture sees each frame once, as it comes in (libpcap leaves the outgoing copy out).
  if (!received && device.kind == <u8>Kind.LOOPBACK) return;
  sight(frame, device, received);
  if (!ownsFrame(frame)) return;
  const length = frame.length;
  const notes = tracing ? <u32>frame.noteCount : 0;
  if (notes) {
    const traceTotal = 16 + notes * <u32>NOTE_SIZE;
    if (used + traceTotal + recordSize(length) > room) {
      missed++;
      return;
    }
    const at = buffer + used;
    store<u32>(at, TRACE_BLOCK);
    store<u32>(at, traceTotal, 4);
    store<u32>(at, notes, 8);
    memory.copy(at + 12, changetype<usize>(frame) + AT_NOTES, <usize>notes * NOTE_SIZE);
    store<u32>(at + traceTotal - 4, traceTotal);
    used += traceTotal;
    frame.noteCount = 0;
  }
  const at = openRecord(device.tap - 1, frame.time, length);
  if (!at) return;
  copyFrame(at, frame.data, length);
  closeRecord(at, length, received);
}

/** Fields before the data, and behind it. */
const BEFORE: u32 = 28;
const BEHIND: u32 = 16;
// @ts-ignore: decorator
@inline
function recordSize(length: u32): u32 { return BEFORE + ((length + 3) & ~3) + BEHIND; }

/** A record for a frame of `length` bytes: where these belong, or 0 when there is no room. `closeRecord` completes it. */
// @ts-ignore: decorator
@inline
export function openRecord(tap: u32, time: u64, length: u32): usize {
  const total = recordSize(length);
  if (used + total > room) {
    missed++;
    return 0;
  }
  const at = buffer + used;
  store<u64>(at, 6 | (<u64>total << 32));
  store<u32>(at, tap, 8);
  store<u64>(at, rotl<u64>(epoch + time, 32), 12);
  store<u64>(at, <u64>length | (<u64>length << 32), 20);
  used += total;
  captured++;
  return at + BEFORE;
}

// @ts-ignore: decorator
@inline
export function closeRecord(at: usize, length: u32, received: bool): void {
  store<u32>(at + length, 0); // padding
  const end = at + ((length + 3) & ~3);
  // epb_flags, 4 bytes; opt_endofopt
  store<u64>(end, 0x00040002 | (received ? <u64>1 << 32 : <u64>2 << 32));
  store<u64>(end, <u64>recordSize(length) << 32, 8);
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
