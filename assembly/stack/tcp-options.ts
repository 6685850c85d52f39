// TCP options (MSS: RFC 9293 3.7.1; window scale and timestamps: RFC 7323; SACK: RFC 2018), in the order and with the
// padding that Linux gives them (net/ipv4/tcp_output.c tcp_options_write, tcp_input.c tcp_parse_options).
//
//  SYN            MSS 4 | SACK permitted 2 + timestamps 10 | NOP, window scale 3
//  later          NOP NOP timestamps 10 | NOP NOP SACK 2 + 8 a block

import * as tcp from "../wire/tcp";
import { Socket } from "./sockets";
import { blockStart, blockEnd } from "./tcp-queue";

/** What was found by the last `parse`. */
export let mss: u32 = 0;
/** Window scale, or -1. */
export let scale: i32 = -1;
export let sackPermitted: bool = false;
export let timestamps: bool = false;
export let timestampValue: u32 = 0;
export let timestampEcho: u32 = 0;

/** NOP NOP timestamps 10, as one load reads them: the only options of nearly every segment. */
const ALIGNED_TIMESTAMPS: u32 = 0x0a080101;

/** Reads the options of the header at `p`, whose length has been checked. A malformed option ends the list. */
export function parse(p: usize, headerLength: u32): void {
  mss = 0;
  scale = -1;
  sackPermitted = false;
  timestamps = false;
  let at = p + tcp.LENGTH;
  const end = p + headerLength;
  if (headerLength == tcp.LENGTH + 12 && load<u32>(at) == ALIGNED_TIMESTAMPS) return readTimestamps(at + 2);
  while (at < end) {
    const kind = <u32>load<u8>(at);
    if (kind == tcp.OPTION_END) return;
    if (kind == tcp.OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const length = <usize>load<u8>(at, 1);
    if (length < 2 || at + length > end) return;
    if (kind == tcp.OPTION_MSS && length == 4) mss = bswap<u16>(load<u16>(at, 2));
    else if (kind == tcp.OPTION_WINDOW_SCALE && length == 3) scale = min<i32>(load<u8>(at, 2), 14);
    else if (kind == tcp.OPTION_SACK_PERMITTED && length == 2) sackPermitted = true;
    else if (kind == tcp.OPTION_TIMESTAMPS && length == 10) readTimestamps(at);
    at += length;
  }
}

function readTimestamps(at: usize): void {
  timestamps = true;
  timestampValue = bswap<u32>(load<u32>(at, 2));
  timestampEcho = bswap<u32>(load<u32>(at, 6));
}

/** Length of a SYN's or SYN-ACK's options. */
export function synLength(socket: Socket): u32 {
  // SACK permitted shares the timestamps' padding, or has its own.
  return 4 + (socket.timestamps ? 12 : socket.sack ? 4 : 0) + (socket.scaling ? 4 : 0);
}

export function writeSyn(socket: Socket, at: usize, value: u32): void {
  store<u32>(at, tcp.OPTION_MSS | (4 << 8) | (<u32>bswap<u16>(<u16>socket.advertisedMss) << 16));
  at += 4;
  const padding: u32 = socket.sack ? tcp.OPTION_SACK_PERMITTED | (2 << 8) : tcp.OPTION_NOP | (tcp.OPTION_NOP << 8);
  if (socket.timestamps) {
    writeTimestamps(at, padding, value, socket.timestampRecent);
    at += 12;
  } else if (socket.sack) {
    store<u32>(at, tcp.OPTION_NOP | (tcp.OPTION_NOP << 8) | (padding << 16));
    at += 4;
  }
  if (socket.scaling) store<u32>(at, tcp.OPTION_NOP | (tcp.OPTION_WINDOW_SCALE << 8) | (3 << 16) | (<u32>socket.receiveScale << 24));
}

// @ts-ignore: decorator
@inline
function writeTimestamps(at: usize, padding: u32, value: u32, echo: u32): void {
  store<u32>(at, padding | (tcp.OPTION_TIMESTAMPS << 16) | (10 << 24));
  store<u32>(at, bswap<u32>(value), 4);
  store<u32>(at, bswap<u32>(echo), 8);
}

/** Blocks for the SACK option: segments that lie in `outOfOrder`, joined where they touch. */
function sackBlocks(socket: Socket): u32 {
  if (!socket.sack || !socket.outOfOrder) return 0;
  const most: u32 = socket.timestamps ? 3 : 4;
  let count: u32 = 0;
  let frame = socket.outOfOrder;
  let end: u32 = 0;
  while (frame) {
    if (!count || blockStart(frame) != end) {
      if (count == most) return most;
      count++;
    }
    end = blockEnd(frame);
    frame = frame.next;
  }
  return count;
}

/** Length of the options of any segment but a SYN. */
export function length(socket: Socket): u32 {
  const blocks = socket.outOfOrder ? sackBlocks(socket) : 0;
  return (socket.timestamps ? 12 : 0) + (blocks ? 4 + 8 * blocks : 0);
}

export function write(socket: Socket, at: usize, value: u32): void {
  if (socket.timestamps) {
    writeTimestamps(at, tcp.OPTION_NOP | (tcp.OPTION_NOP << 8), value, socket.timestampRecent);
    at += 12;
  }
  if (!socket.outOfOrder) return;
  const count = sackBlocks(socket);
  if (!count) return;
  store<u32>(at, tcp.OPTION_NOP | (tcp.OPTION_NOP << 8) | (tcp.OPTION_SACK << 16) | ((2 + 8 * count) << 24));
  at += 4;
  // The block of the segment that came last goes first (RFC 2018, section 4), then the others by sequence.
  const first = at;
  let written: u32 = 1;
  let done = false;
  let frame = socket.outOfOrder;
  while (frame) {
    const start = blockStart(frame);
    let end = blockEnd(frame);
    let newest = start == socket.lastOutOfOrder;
    frame = frame.next;
    while (frame && blockStart(frame) == end) {
      if (end == socket.lastOutOfOrder) newest = true;
      end = blockEnd(frame);
      frame = frame.next;
    }
    if (newest && !done) {
      done = true;
      writeBlock(first, start, end);
    } else if (written < count) {
      writeBlock(first + <usize>written * 8, start, end);
      written++;
    }
  }
  // The segment that came last has been read meanwhile: the first block stands twice.
  if (!done) writeBlock(first, blockStart(socket.outOfOrder!), blockEnd(socket.outOfOrder!));
}

// @ts-ignore: decorator
@inline
function writeBlock(at: usize, start: u32, end: u32): void {
  store<u32>(at, bswap<u32>(start));
  store<u32>(at, bswap<u32>(end), 4);
}
