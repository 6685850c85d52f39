// TIME_WAIT (RFC 9293 3.6.1; net/ipv4/tcp_minisocks.c): 60 s for all, so the list is sorted by itself and no event is needed.

import { Socket, State, removeSocket, unreference } from "./sockets";

const TIME_WAIT_NS: u64 = 60_000_000_000;
let oldest: Socket | null = null;
let newest: Socket | null = null;

/** The socket stays in the index until its time is over (tcp_time_wait). */
export function startTimeWait(socket: Socket, time: u64): void {
  socket.state = State.TIME_WAIT;
  socket.deadline = time + TIME_WAIT_NS;
  socket.next = null;
  socket.references++;
  const last = newest;
  if (last) last.next = socket;
  else oldest = socket;
  newest = socket;
}

export function restartTimeWait(socket: Socket, time: u64): void { socket.deadline = time + TIME_WAIT_NS; }

/** Those that are over at `time` go. */
export function sweepTimeWait(time: u64): void {
  let socket = oldest;
  while (socket && (socket.dead || socket.deadline <= time)) {
    const next = socket.next;
    removeSocket(socket);
    unreference(socket);
    socket = next;
  }
  oldest = socket;
  if (!socket) newest = null;
}
