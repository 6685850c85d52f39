// Packets on their way through a cipher: a batch at a time, where they lie.
//
// A packet that needs it is put down here and goes on one hop later in virtual time, whatever the machine took for it: its
// going on is an event of the queue, and the run loop stops just before the first of these (`cipherHorizon`). JavaScript
// then calls `nextCiphers` until there are none: each time it finds blocks laid out, for packets under one key, which
// a library encrypts in place. GCM is made of them here (stack/gcm). So what happens, and when, does not depend on how the
// packets fell into batches, or on which library it was.

import { reserve } from "../memory";
import { Frame } from "../frame";
import { Association } from "../tables/xfrm";
import { Event, gather } from "../clock/queue";
import { hopDelay } from "../devices/device";
import * as esp from "../wire/esp";
import { ownsFrame } from "../load/shards";
import { counters, open, seal, streamLength } from "./gcm";

export enum CipherWork { SEAL, OPEN }

/** `at`: the ESP header. SEAL: `length` bytes are to be encrypted behind the IV, the ICV goes behind them. OPEN: `length` bytes lie between IV and ICV. */
@unmanaged
class Ciphered {
  /** Under the same key. */
  next: Ciphered | null;
  work: u32;
  at: usize;
  length: u32;
  frame: Frame;
  iv: u64;
}
const SIZE: usize = offsetof<Ciphered>();
const ROOM: u32 = 8192;
/** The run loop stops when less than this is left. */
const RESERVE: u32 = 4096;
const records = reserve(<usize>ROOM * SIZE);
let count: u32 = 0;
/** When the first of them goes on. */
let earliest: u64 = u64.MAX_VALUE;
/** Associations that packets wait for. */
let first: Association | null = null;

/** At least the longest packet's; all of it stays in a processor's second cache. */
const STREAMS: u32 = 0x11000;
const streams = reserve(STREAMS);
/** Bytes laid out, and the packets that they are for: from the one to the other, which is left out. */
let laid: u32 = 0;
let from: Ciphered | null = null;
let to: Ciphered | null = null;

/** False: there is no room, and the packet is as it was. */
export function cipher(work: CipherWork, association: Association, frame: Frame, at: usize, length: u32, event: Event): bool {
  // Nobody sees the bytes of a packet that another engine has, too: it stays in clear on its way.
  if (!ownsFrame(frame)) {
    frame.ciphered = 1;
    frame.time += max<u64>(hopDelay, 1);
    gather(frame.time, event, changetype<usize>(association), frame);
    return true;
  }
  if (count == ROOM) return false;
  const record = changetype<Ciphered>(records + <usize>count * SIZE);
  count++;
  record.next = null;
  record.work = work;
  record.at = at;
  record.length = length;
  record.frame = frame;
  record.iv = esp.iv(at);
  if (association.waiting) changetype<Ciphered>(association.waitingLast).next = record;
  else {
    association.waiting = changetype<usize>(record);
    association.waitingNext = first;
    first = association;
  }
  association.waitingLast = changetype<usize>(record);
  frame.time += max<u64>(hopDelay, 1);
  earliest = min(earliest, frame.time);
  gather(frame.time, event, changetype<usize>(association), frame);
  return true;
}

export function ciphersFull(): bool { return ROOM - count < RESERVE; }
/** Until when the clock may run before JavaScript must have done them: the largest u64 when there are none. */
export function cipherHorizon(): u64 { return count ? earliest - 1 : u64.MAX_VALUE; }

/** What lies at `streamsAt`, `streamsLength` bytes, has been encrypted. Lays out the next, to be by this association's key; null: all are done. */
export function nextCiphers(): Association | null {
  finish();
  const association = first;
  if (!association) {
    count = 0;
    earliest = u64.MAX_VALUE;
    return null;
  }
  let record: Ciphered | null = changetype<Ciphered>(association.waiting);
  let whose = association;
  from = record;
  while (record) {
    const length = streamLength(record.length);
    if (laid + length > STREAMS) break;
    counters(streams + laid, whose.salt, record.iv, record.length);
    laid += length;
    if (!record.next) {
      whose.waiting = 0;
      first = whose.waitingNext;
      // A swarm's nodes share their keys: packets of the next association come along.
      if (first && sameKey(first!, association)) {
        whose = first!;
        record.next = changetype<Ciphered>(whose.waiting);
      }
    }
    record = record.next;
  }
  to = record;
  if (record) whose.waiting = changetype<usize>(record);
  return association;
}

function sameKey(a: Association, b: Association): bool {
  return a.key0 == b.key0 && a.key1 == b.key1 && a.key2 == b.key2 && a.key3 == b.key3;
}

export function streamsAt(): usize { return streams; }
export function streamsLength(): u32 { return laid; }

function finish(): void {
  let stream = streams;
  let record = from;
  while (record != to) {
    const one = record!;
    let right = true;
    if (one.work == CipherWork.SEAL) seal(one.at, one.length, stream);
    else right = open(one.at, one.length, stream);
    one.frame.ciphered = right ? 1 : 0;
    stream += streamLength(one.length);
    record = one.next;
  }
  from = null;
  to = null;
  laid = 0;
}
