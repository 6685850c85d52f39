// TCP's send buffer: what was written and not yet acknowledged, in chained chunks of one size (sk_write_queue).
//
// A chunk is a link and CAPACITY bytes. Sequence numbers find their byte by walking the chain; a cursor remembers where
// the last walk ended, so sending a stream in order never walks far.

import { Of } from "../tables/generation";
import { Pool } from "../memory";
import { before } from "../wire/tcp";
import { Socket } from "./sockets";

const CHUNK: u32 = 16384;
const LINK: u32 = 8;
const CAPACITY: u32 = CHUNK - LINK;
/** At most this much is kept for a socket (net.ipv4.tcp_wmem's maximum). */
export const LIMIT: u32 = 4 << 20;
const pool = new Pool(CHUNK, 16, Of.TRAFFIC);

/** Between vectors only. */
export function ensureSendBuffers(chunks: u32): void { pool.ensure(chunks); }
/** Enough chunks for `length` bytes more; from JavaScript only. */
export function ensureSendRoom(length: u32): void { pool.ensure(length / CAPACITY + 16); }

// @ts-ignore: decorator
@inline
export function buffered(socket: Socket): u32 { return socket.writeEnd - socket.bufferStart; }

/** Appends up to `length` bytes; returns how many there was room for. */
export function append(socket: Socket, at: usize, length: u32): u32 {
  let left = min(length, LIMIT - min(LIMIT, buffered(socket)));
  let taken: u32 = 0;
  while (left) {
    if (!socket.lastChunk || socket.lastFill == CAPACITY) {
      const chunk = pool.take(LINK);
      if (!chunk) break;
      if (socket.lastChunk) store<usize>(socket.lastChunk, chunk);
      else {
        socket.chunks = chunk;
        socket.headSkip = 0;
      }
      socket.lastChunk = chunk;
      socket.lastFill = 0;
    }
    const part = min(left, CAPACITY - socket.lastFill);
    memory.copy(socket.lastChunk + LINK + socket.lastFill, at + taken, part);
    socket.lastFill += part;
    taken += part;
    left -= part;
  }
  socket.writeEnd += taken;
  return taken;
}

/** Copies `length` bytes from `sequence` on to `to`; they are in the buffer. */
export function copyOut(socket: Socket, sequence: u32, length: u32, to: usize): void {
  let chunk = socket.cursor;
  let start = socket.cursorStart;
  if (!chunk || before(sequence, start)) {
    chunk = socket.chunks;
    start = socket.bufferStart - socket.headSkip;
  }
  let offset = sequence - start;
  while (length) {
    while (offset >= CAPACITY) {
      chunk = load<usize>(chunk);
      start += CAPACITY;
      offset -= CAPACITY;
    }
    const part = min(length, CAPACITY - offset);
    memory.copy(to, chunk + LINK + offset, part);
    to += part;
    offset += part;
    length -= part;
  }
  socket.cursor = chunk;
  socket.cursorStart = start;
}

/** Everything before `sequence` is acknowledged. */
export function release(socket: Socket, sequence: u32): void {
  let count = sequence - socket.bufferStart;
  socket.bufferStart = sequence;
  while (count) {
    const chunk = socket.chunks;
    const part = min(count, CAPACITY - socket.headSkip);
    socket.headSkip += part;
    count -= part;
    if (socket.headSkip < CAPACITY) break;
    giveHead(socket);
  }
  // An empty buffer holds no chunk: an idle connection costs its record only.
  if (socket.chunks && sequence == socket.writeEnd) giveHead(socket);
}

function giveHead(socket: Socket): void {
  const chunk = socket.chunks;
  socket.chunks = load<usize>(chunk);
  socket.headSkip = 0;
  if (socket.cursor == chunk) socket.cursor = 0;
  if (!socket.chunks) socket.lastChunk = 0;
  pool.give(chunk);
}

export function discard(socket: Socket): void {
  while (socket.chunks) giveHead(socket);
  socket.cursor = 0;
}
