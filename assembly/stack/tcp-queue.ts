// Segments that TCP keeps: those that came out of order, by sequence, until the gap before them is closed
// (tcp_data_queue_ofo), and those in order that a paused reader has not taken (sk_receive_queue).
//
// A kept segment stays in its frame: `data` and `length` are its payload, `nextHop` its first sequence number and
// `fragmentMax` 1 if a FIN follows; routing is done with both fields by then.

import { Frame } from "../frame";
import { deliver, drop, Drop } from "../drops";
import { releaseUnconfirmed } from "../tables/connections";
import { after, before } from "../wire/tcp";
import { Punt, punt, puntRoom } from "./punts";
import { Socket } from "./sockets";

/** Segments out of order at the most: the window in pieces of the smallest MSS that anyone has. */
const MOST: u32 = 256;

// @ts-ignore: decorator
@inline
export function blockStart(frame: Frame): u32 { return frame.nextHop; }
/** The FIN counts. */
// @ts-ignore: decorator
@inline
export function blockEnd(frame: Frame): u32 { return frame.nextHop + frame.length + frame.fragmentMax; }

function keep(frame: Frame, sequence: u32, at: usize, length: u32, fin: u32): void {
  // Conntrack lets go of what a socket has taken (nf_reset_ct): the connection may be gone when the frame is read.
  if (frame.connection) releaseUnconfirmed(frame);
  frame.data = at;
  frame.length = length;
  frame.nextHop = sequence;
  frame.fragmentMax = fin;
  frame.next = null;
}

/** Keeps what is new in a segment beyond the gap; the frame is consumed. */
export function keepOutOfOrder(socket: Socket, frame: Frame, sequence: u32, at: usize, length: u32, fin: u32): void {
  let previous: Frame | null = null;
  let following = socket.outOfOrder;
  while (following && !after(blockStart(following), sequence)) {
    previous = following;
    following = following.next;
  }
  if (previous && after(blockEnd(previous), sequence)) {
    const known = blockEnd(previous) - sequence;
    socket.lastOutOfOrder = blockStart(previous);
    if (known >= length + fin) return deliver(frame);
    sequence += known;
    at += known;
    length -= known;
  }
  if (socket.outOfOrderCount >= MOST) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
  // What it covers whole goes; what it covers in part cuts it short.
  const end = sequence + length + fin;
  while (following && !after(blockEnd(following), end)) {
    const covered = following;
    following = covered.next;
    forget(socket, covered);
  }
  if (following && before(blockStart(following), end)) {
    length = blockStart(following) - sequence;
    fin = 0;
  }
  keep(frame, sequence, at, length, fin);
  frame.next = following;
  if (previous) previous.next = frame;
  else socket.outOfOrder = frame;
  socket.outOfOrderCount++;
  socket.receiveQueued += length;
  socket.lastOutOfOrder = sequence;
}

function forget(socket: Socket, frame: Frame): void {
  socket.outOfOrderCount--;
  socket.receiveQueued -= frame.length;
  deliver(frame);
}

/** The next `length` bytes of the stream, to the reader; the frame is consumed. False: no room, it is as if lost. */
export function take(socket: Socket, frame: Frame, at: usize, length: u32): bool {
  if (socket.paused) {
    keep(frame, socket.receiveNext, at, length, 0);
    const last = socket.heldLast;
    if (last) last.next = frame;
    else socket.held = frame;
    socket.heldLast = frame;
    socket.receiveQueued += length;
  } else {
    if (!puntRoom(length)) return false;
    memory.copy(punt(Punt.DATA, frame.time, socket.id, length, 0, 0), at, length);
    deliver(frame);
  }
  socket.receiveNext += length;
  return true;
}

/** What `drain` has found behind the last byte. */
export let finFound: bool = false;

/** The gap is closed, or a part of it: takes what follows the last byte in order. `time` is when that is so. */
export function drain(socket: Socket, time: u64): void {
  finFound = false;
  let frame = socket.outOfOrder;
  while (frame && !finFound && !after(blockStart(frame), socket.receiveNext)) {
    const next = frame.next;
    const known = socket.receiveNext - blockStart(frame);
    const length = frame.length;
    const fin = frame.fragmentMax;
    if (known < length) {
      frame.time = max(frame.time, time);
      if (!take(socket, frame, frame.data + known, length - known)) break;
      socket.outOfOrderCount--;
      socket.receiveQueued -= length;
    } else {
      const end = blockEnd(frame);
      forget(socket, frame);
      if (before(end, socket.receiveNext) || !fin) {
        frame = next;
        socket.outOfOrder = next;
        continue;
      }
    }
    if (fin) finFound = true;
    frame = next;
    socket.outOfOrder = next;
  }
  if (frame) socket.lastOutOfOrder = blockStart(frame);
}

/** The peer's FIN has its place behind the data, also in the ring. */
export function puntFin(socket: Socket, time: u64): void {
  const last = socket.heldLast;
  if (last) last.fragmentMax = 1;
  else punt(Punt.FIN, time, socket.id, 0, 0, 0);
}

/** The reader goes on: what was held goes into the ring. False: the ring has no room for all of it. */
export function flushHeld(socket: Socket, time: u64): bool {
  let frame = socket.held;
  while (frame) {
    const length = frame.length;
    if (!puntRoom(length)) break;
    const next = frame.next;
    memory.copy(punt(Punt.DATA, time, socket.id, length, 0, 0), frame.data, length);
    if (frame.fragmentMax) punt(Punt.FIN, time, socket.id, 0, 0, 0);
    socket.receiveQueued -= length;
    deliver(frame);
    frame = next;
  }
  socket.held = frame;
  if (!frame) socket.heldLast = null;
  return !frame;
}

/** The connection is over: what it kept is nobody's. */
export function discardKept(socket: Socket): void {
  discardList(socket.outOfOrder);
  discardList(socket.held);
  socket.outOfOrder = null;
  socket.held = null;
  socket.heldLast = null;
  socket.outOfOrderCount = 0;
  socket.receiveQueued = 0;
}

function discardList(first: Frame | null): void {
  let frame = first;
  while (frame) {
    const next = frame.next;
    drop(frame, Drop.TCP_CLOSE, frame.device);
    frame = next;
  }
}
