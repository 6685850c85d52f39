// How a TCP connection ends, and the RST for a segment that belongs to none (RFC 9293 3.5.2, 3.10.7.1;
// tcp_v4_send_reset, tcp_time_wait, tcp_done). Whatever way it ends, JavaScript gets one last record about it: CLOSED,
// RESET or FAILED.

import { Frame } from "../frame";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { HOP_LIMIT, flowLabelFor } from "./output6";
import * as tcp from "../wire/tcp";
import { Namespace } from "./namespace";
import { Failure, Punt, punt } from "./punts";
import { newPacket, outputLater, outputLater6 } from "./own-packets";
import { forgetId, removeSocket, Socket, socketById, State } from "./sockets";
import { startTimeWait } from "./time-wait";
import { discard } from "./tcp-buffer";
import { disarm, PROCESSING_DELAY, TIMER_NONE } from "./tcp-output";
import { discardKept, flushHeld } from "./tcp-queue";

/** A listener's child that nobody has been told of has no last record either. */
function last(socket: Socket, kind: Punt, reason: u32, time: u64): void {
  leaveBacklog(socket);
  flushHeld(socket, time);
  if (!socket.listener && socket.id) punt(kind, time, socket.id, 0, reason, 0);
  discardKept(socket);
  discard(socket);
}

/** No longer one of those that the listener waits for. */
export function leaveBacklog(socket: Socket): void {
  if (!socket.listener) return;
  const listener = socketById(socket.listener);
  if (listener && listener.backlog) listener.backlog--;
}

/** Both FINs are acknowledged, or we gave up waiting for the other one. */
export function closeSilently(socket: Socket, time: u64): void {
  last(socket, Punt.CLOSED, 0, time);
  removeSocket(socket);
}

/** We closed first: the tuple is kept for 60 s; for JavaScript it is over. */
export function timeWait(socket: Socket, time: u64): void {
  last(socket, Punt.CLOSED, 0, time);
  forgetId(socket);
  disarm(socket);
  startTimeWait(socket, time);
  socket.timer = TIMER_NONE;
}

/** tcp_reset: the peer has given up. */
export function wasReset(socket: Socket, time: u64): void {
  if (socket.state == State.LAST_ACK || socket.state == State.CLOSING) return closeSilently(socket, time);
  last(socket, Punt.RESET, 0, time);
  removeSocket(socket);
}

export function failed(socket: Socket, reason: Failure, time: u64): void {
  last(socket, Punt.FAILED, reason, time);
  removeSocket(socket);
}

/** Answers the segment at `frame.data`, unless it is a RST itself, with one; the caller still owns the frame. */
export function resetFor(namespace: Namespace, frame: Frame): void {
  const ip = frame.data;
  const v6 = ipv4.version(ip) == 6;
  const skip = v6 ? <u32>frame.upperAt : ipv4.headerLength(ip);
  const at = ip + skip;
  const flags = tcp.flags(at);
  if (flags & tcp.RST || namespace.silent) return;
  let sequence: u32 = 0;
  let acknowledgment: u32 = 0;
  let answer = tcp.RST;
  if (flags & tcp.ACK) {
    sequence = tcp.acknowledgment(at);
  } else {
    answer |= tcp.ACK;
    acknowledgment = tcp.sequence(at) + <u32>((flags & tcp.SYN) != 0) + <u32>((flags & tcp.FIN) != 0) + frame.length - skip - tcp.headerLength(at);
  }
  const total = (v6 ? ipv6.LENGTH : ipv4.LENGTH) + tcp.LENGTH;
  const reset = newPacket(total, frame.time + PROCESSING_DELAY);
  if (!reset) return;
  if (v6) {
    const from = ip + ipv6.AT_DESTINATION;
    const to = ip + ipv6.AT_SOURCE;
    const header = reset.data + ipv6.LENGTH;
    tcp.emit(header, tcp.destination(at), tcp.source(at), sequence, acknowledgment, tcp.LENGTH, answer, 0);
    tcp.seal6(header, tcp.LENGTH, from, to);
    const label = flowLabelFor(namespace, from, to, ipv4.TCP, tcp.destination(at) | (tcp.source(at) << 16));
    ipv6.emit(reset.data, 0, label, tcp.LENGTH, ipv4.TCP, HOP_LIMIT, from, to);
    return outputLater6(namespace, reset, frame.device);
  }
  const source = ipv4.destination(ip);
  const destination = ipv4.source(ip);
  const header = reset.data + ipv4.LENGTH;
  tcp.emit(header, tcp.destination(at), tcp.source(at), sequence, acknowledgment, tcp.LENGTH, answer, 0);
  tcp.seal(header, tcp.LENGTH, source, destination);
  // No socket, so no counter: id 0, with DF (ip_send_unicast_reply).
  ipv4.emit(reset.data, 0, total, 0, ipv4.DF, 64, ipv4.TCP, source, destination);
  outputLater(namespace, reset);
}
