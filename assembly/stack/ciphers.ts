// Packets on their way through a cipher: JavaScript seals and opens them, a batch at a time, where they lie.
//
// A packet that needs it is put down here and goes on one hop later in virtual time, whatever the machine took for it: its
// going on is an event of the queue, and the run loop stops just before the first of these (`cipherHorizon`). JavaScript
// then does all that have gathered, writes into each record how it went, and calls `ciphersDone`. So what happens, and
// when, does not depend on how the packets fell into batches.

import { arena } from "../memory";
import { Frame } from "../frame";
import { Association } from "../tables/xfrm";
import { Event, gather } from "../clock/queue";
import { hopDelay } from "../devices/device";
import * as esp from "../wire/esp";

export enum CipherWork { SEAL, OPEN }

/** `at`: the ESP header. SEAL: `length` bytes are to be encrypted behind the IV, the ICV goes behind them. OPEN: `length` bytes lie between IV and ICV. */
@unmanaged
export class Ciphered {
  work: u32;
  association: Association;
  /** Id of the association: its cipher's. */
  id: u32;
  at: usize;
  length: u32;
  /** 1: JavaScript has done it; the ICV was right. */
  done: u32;
  frame: Frame;
  /** Salt and IV, one behind the other as a nonce of 12 bytes has them; and what is authenticated but not encrypted, 8 bytes. */
  salt: u32;
  iv: u64;
  associated: u64;
}
const SIZE: usize = offsetof<Ciphered>();
const ROOM: u32 = 8192;
/** The run loop stops when less than this is left. */
const RESERVE: u32 = 4096;
const records = arena(<usize>ROOM * SIZE);
let count: u32 = 0;
/** When the first of them goes on. */
let earliest: u64 = u64.MAX_VALUE;

/** False: there is no room, and the packet is as it was. */
export function cipher(work: CipherWork, association: Association, frame: Frame, at: usize, length: u32, event: Event): bool {
  if (count == ROOM) return false;
  const record = changetype<Ciphered>(records + <usize>count * SIZE);
  count++;
  record.work = work;
  record.association = association;
  record.id = association.id;
  record.at = at;
  record.length = length;
  record.done = 0;
  record.frame = frame;
  record.salt = association.salt;
  record.iv = esp.iv(at);
  record.associated = load<u64>(at);
  frame.time += max<u64>(hopDelay, 1);
  earliest = min(earliest, frame.time);
  gather(frame.time, event, changetype<usize>(association), frame);
  return true;
}

export function ciphersAt(): usize { return records; }
export function ciphersLength(): u32 { return count; }
export function ciphersFull(): bool { return ROOM - count < RESERVE; }
/** Until when the clock may run before JavaScript must have done them: the largest u64 when there are none. */
export function cipherHorizon(): u64 { return count ? earliest - 1 : u64.MAX_VALUE; }

export function ciphersDone(): void {
  for (let i: u32 = 0; i < count; i++) {
    const record = changetype<Ciphered>(records + <usize>i * SIZE);
    record.frame.ciphered = <u8>record.done;
  }
  count = 0;
  earliest = u64.MAX_VALUE;
}
