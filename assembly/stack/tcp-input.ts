// Segments that arrive (RFC 9293 3.10.7, RFC 5961, RFC 7323 5; net/ipv4/tcp_input.c: tcp_validate_incoming, tcp_ack,
// tcp_data_queue, tcp_rcv_state_process). The segment at hand is tcp-segment's; how connections come about is in tcp-handshake.

import { Frame } from "../frame";
import { deliver, drop, Drop } from "../drops";
import * as tcp from "../wire/tcp";
import { Namespace } from "./namespace";
import { loadSegment } from "../load/receiver";
import { Failure, Punt, punt } from "./punts";
import { buffered, LIMIT, release } from "./tcp-buffer";
import * as congestion from "./tcp-congestion";
import { closeSilently, failed, resetFor, timeWait, wasReset } from "./tcp-end";
import { establish, listening, synSent, tellWindow } from "./tcp-handshake";
import * as options from "./tcp-options";
import * as kept from "./tcp-queue";
import {
  acknowledgeLater, arm, disarm, FIN_TIMEOUT, openWindow, PROCESSING_DELAY, request, TIMER_FIN_WAIT, TIMER_RETRANSMIT, WORK_ACK,
  WORK_RETRANSMIT, WORK_SEND, WORK_SYN,
} from "./tcp-output";
import { acknowledgment, flags, header, headerLength, length, local, protocol, readSegment, remote, sequence, time } from "./tcp-segment";
import { findBound, findSocket, removeSocket, Socket, socketById, State } from "./sockets";
import { restartTimeWait } from "./time-wait";

/** net.ipv4.tcp_invalid_ratelimit */
const CHALLENGE_INTERVAL: u64 = 500_000_000;

/** Local delivery of a segment: `frame.data` is the IP header, of either version, which has been checked. */
export function tcpReceive(namespace: Namespace, frame: Frame): void {
  if (!readSegment(frame)) return;
  if (frame.load && loadSegment(namespace, frame, header, headerLength, length)) return;
  const socket = findSocket(namespace, protocol, local, tcp.destination(header), remote, tcp.source(header), time);
  if (!socket) return toNobody(namespace, frame);
  options.parse(header, headerLength);
  switch (socket.state) {
    case State.FOREIGN: return deliver(frame);
    case State.LISTEN: return listening(socket, frame);
    case State.SYN_SENT: return synSent(socket, frame);
    case State.TIME_WAIT: return inTimeWait(namespace, socket, frame);
    default: return synchronized(socket, frame);
  }
}

function toNobody(namespace: Namespace, frame: Frame): void {
  if (namespace.silent) return deliver(frame);
  resetFor(namespace, frame);
  drop(frame, Drop.NO_SOCKET, frame.device);
}

// --- TIME_WAIT (tcp_timewait_state_process) ---

function inTimeWait(namespace: Namespace, socket: Socket, frame: Frame): void {
  if (flags & tcp.RST) {
    if (sequence == socket.receiveNext) removeSocket(socket);
    return deliver(frame);
  }
  const newer = options.timestamps && socket.timestamps && <i32>(options.timestampValue - socket.timestampRecent) > 0;
  if (flags & tcp.SYN && !(flags & tcp.ACK) && (tcp.after(sequence, socket.receiveNext) || newer)) {
    // The same port anew: surely not an old duplicate (RFC 6191).
    const port = socket.localPort;
    removeSocket(socket);
    const listener = findBound(namespace, protocol, local, port);
    if (listener && listener.state == State.LISTEN) return listening(listener, frame);
    return toNobody(namespace, frame);
  }
  if (length || flags & (tcp.SYN | tcp.FIN)) {
    acknowledgeLater(socket, time);
    if (flags & tcp.FIN) restartTimeWait(socket, time);
  }
  deliver(frame);
}

// --- Synchronized ---

function synchronized(socket: Socket, frame: Frame): void {
  const end = sequence + length + <u32>((flags & tcp.SYN) != 0) + <u32>((flags & tcp.FIN) != 0);
  // PAWS (RFC 7323, 5.3) with Linux's leave for one tick and for acknowledgments that overtook each other
  // (TCP_PAWS_WINDOW, tcp_disordered_ack), then the window (tcp_sequence).
  const stale = socket.timestamps && options.timestamps && length && <i32>(options.timestampValue - socket.timestampRecent) < -1;
  if (
    (stale && !(flags & tcp.RST)) ||
    tcp.before(end, socket.receiveTold) ||
    tcp.after(sequence, socket.receiveNext + openWindow(socket))
  ) {
    // A SYN that comes again means that our SYN-ACK was lost.
    if (flags & tcp.SYN && socket.state == State.SYN_RECEIVED && sequence + 1 == socket.receiveNext) request(socket, WORK_SYN, time + PROCESSING_DELAY);
    else if (!(flags & tcp.RST)) challenge(socket);
    return drop(frame, Drop.TCP_INVALID_SEQUENCE, frame.device);
  }
  if (flags & tcp.RST) {
    // RFC 5961, 3.2: only the very next number resets.
    if (sequence == socket.receiveNext) {
      if (socket.state == State.SYN_RECEIVED) failed(socket, Failure.REFUSED, time);
      else wasReset(socket, time);
      return deliver(frame);
    }
    challenge(socket);
    return drop(frame, Drop.TCP_INVALID_SEQUENCE, frame.device);
  }
  if (flags & tcp.SYN) {
    if (socket.state == State.SYN_RECEIVED && sequence + 1 == socket.receiveNext) {
      if (flags & tcp.ACK && acknowledgment == socket.initialSend + 1) {
        // The other half of a simultaneous open.
        socket.sendUnacknowledged = acknowledgment;
        tellWindow(socket, tcp.window(header));
        establish(socket);
        request(socket, WORK_ACK, time + PROCESSING_DELAY);
      } else request(socket, WORK_SYN, time + PROCESSING_DELAY);
      return deliver(frame);
    }
    challenge(socket); // RFC 5961, 4.2
    return drop(frame, Drop.TCP_FLAGS, frame.device);
  }
  if (!(flags & tcp.ACK)) return drop(frame, Drop.TCP_FLAGS, frame.device);
  if (socket.timestamps && options.timestamps && !tcp.after(sequence, socket.receiveTold)) {
    if (<i32>(options.timestampValue - socket.timestampRecent) > 0) socket.timestampRecent = options.timestampValue;
  }

  if (socket.state == State.SYN_RECEIVED) {
    if (acknowledgment != socket.initialSend + 1 || (socket.listener && !socketById(socket.listener))) {
      // It acknowledges what was never sent, or the listener is gone.
      resetFor(socket.namespace, frame);
      if (acknowledgment == socket.initialSend + 1) failed(socket, Failure.REFUSED, time);
      return drop(frame, Drop.TCP_FLAGS, frame.device);
    }
    socket.sendUnacknowledged = acknowledgment;
    tellWindow(socket, tcp.window(header) << socket.sendScale);
    establish(socket);
  } else if (!acknowledged(socket)) return drop(frame, Drop.TCP_INVALID_SEQUENCE, frame.device);
  if (socket.dead || socket.state == State.TIME_WAIT) {
    // LAST_ACK or CLOSING are over with this very acknowledgment.
    return deliver(frame);
  }
  received(socket, frame);
}

/** An acknowledgment for what cannot be right, so that a peer that is right learns where we are; not in endless turns. */
function challenge(socket: Socket): void {
  if (socket.state == State.SYN_RECEIVED && socket.listener && !length) return;
  if (!length || flags & tcp.SYN) {
    if (socket.challengedAt && time < socket.challengedAt + CHALLENGE_INTERVAL) return;
    socket.challengedAt = time;
  }
  acknowledgeLater(socket, time);
}

/** tcp_ack. False: it acknowledges what was not sent. */
function acknowledged(socket: Socket): bool {
  const una = socket.sendUnacknowledged;
  if (tcp.after(acknowledgment, socket.sendMax)) {
    challenge(socket);
    return false;
  }
  if (tcp.before(acknowledgment, una)) return true; // an old one; its data may be new all the same
  socket.retries = 0;
  if (acknowledgment != una) socket.confirm = 1;
  const window = tcp.window(header) << socket.sendScale;
  const flight = socket.sendMax - una;
  let changed = window != socket.sendWindow;
  if (
    acknowledgment != una || tcp.after(sequence, socket.windowSequence) ||
    (sequence == socket.windowSequence && window > socket.sendWindow)
  ) {
    tellWindow(socket, window);
  } else changed = false;

  if (acknowledgment == una) {
    if (flight && !length && !changed && !(flags & tcp.FIN)) {
      congestion.duplicateAck(socket);
      if (congestion.retransmitNow) request(socket, WORK_RETRANSMIT | WORK_SEND, time + PROCESSING_DELAY);
      else if (socket.recovering) request(socket, WORK_SEND, time + PROCESSING_DELAY);
    } else if (changed) {
      if (!flight && window) {
        socket.backoff = 0;
        disarm(socket);
      }
      wantSend(socket);
    }
    return true;
  }

  // Something new is acknowledged.
  socket.sendUnacknowledged = acknowledgment;
  if (tcp.before(socket.sendNext, acknowledgment)) socket.sendNext = acknowledgment;
  if (tcp.before(socket.smallEnd, acknowledgment)) socket.smallEnd = acknowledgment;
  socket.backoff = 0;
  if (socket.timing && !tcp.before(acknowledgment, socket.timedSequence)) {
    socket.timing = 0;
    congestion.sampleRoundTrip(socket, time - socket.timedAt);
  }
  const finAcknowledged = tcp.after(acknowledgment, socket.writeEnd);
  release(socket, finAcknowledged ? socket.writeEnd : acknowledgment);
  congestion.acknowledged(socket, acknowledgment - una, flight);
  if (acknowledgment == socket.sendMax) disarm(socket);
  else arm(socket, TIMER_RETRANSMIT, time + socket.timeout);
  if (socket.wantsWrite && buffered(socket) <= LIMIT >> 1) {
    socket.wantsWrite = 0;
    punt(Punt.WRITABLE, time, socket.id, 0, LIMIT - buffered(socket), 0);
  }
  if (congestion.retransmitNow) request(socket, WORK_RETRANSMIT | WORK_SEND, time + PROCESSING_DELAY);
  else wantSend(socket);
  if (finAcknowledged) {
    switch (socket.state) {
      case State.FIN_WAIT_1:
        socket.state = State.FIN_WAIT_2;
        if (socket.orphan) arm(socket, TIMER_FIN_WAIT, time + FIN_TIMEOUT);
        break;
      case State.CLOSING: timeWait(socket, time); break;
      case State.LAST_ACK: closeSilently(socket, time); break;
    }
  }
  return true;
}

/** An event is worth while only when something waits. */
// @ts-ignore: decorator
@inline
function wantSend(socket: Socket): void {
  const finWaits = socket.finQueued == 2 && !tcp.after(socket.sendNext, socket.writeEnd);
  if (tcp.before(socket.sendNext, socket.released) || finWaits) request(socket, WORK_SEND, time + PROCESSING_DELAY);
}

/** tcp_data_queue: the segment's payload and FIN; consumes the frame. */
function received(socket: Socket, frame: Frame): void {
  let fin = (flags & tcp.FIN) != 0;
  if (!length && !fin) return deliver(frame);
  const state = socket.state;
  if (state != State.ESTABLISHED && state != State.FIN_WAIT_1 && state != State.FIN_WAIT_2) {
    // Behind the peer's FIN there is nothing; it has not seen our acknowledgment of it.
    request(socket, WORK_ACK, time + PROCESSING_DELAY);
    return deliver(frame);
  }
  let start = sequence;
  let at = header + headerLength;
  let bytes = length;
  if (tcp.before(start, socket.receiveNext)) {
    const known = socket.receiveNext - start;
    if (known >= bytes + <u32>fin) {
      // All of it has come before: our acknowledgment was lost, or it was late.
      request(socket, WORK_ACK, time + PROCESSING_DELAY);
      return deliver(frame);
    }
    start += known;
    at += known;
    bytes -= known;
  }
  const room = socket.receiveNext + openWindow(socket) - start;
  if (bytes > room) {
    bytes = room;
    fin = false;
    if (!bytes) {
      request(socket, WORK_ACK, time + PROCESSING_DELAY);
      return drop(frame, Drop.TCP_INVALID_SEQUENCE, frame.device);
    }
  }
  if (bytes && socket.orphan) {
    // Nobody will ever read it (RFC 9293, 3.10.4; tcp_rcv_state_process).
    resetFor(socket.namespace, frame);
    closeSilently(socket, time);
    return deliver(frame);
  }
  if (start != socket.receiveNext) {
    kept.keepOutOfOrder(socket, frame, start, at, bytes, <u32>fin);
    return acknowledgeLater(socket, time); // a duplicate ACK, at once (RFC 5681, 4.2)
  }
  if (bytes) {
    // No room in the ring: as if it had been lost on the way.
    if (!kept.take(socket, frame, at, bytes)) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
  } else deliver(frame);
  if (!fin && socket.outOfOrder) {
    kept.drain(socket, time);
    fin = kept.finFound;
  }
  request(socket, WORK_ACK, time + PROCESSING_DELAY);
  if (fin) finReceived(socket);
}

/** tcp_fin: in its turn, behind all data. */
function finReceived(socket: Socket): void {
  socket.receiveNext++;
  if (!socket.orphan) kept.puntFin(socket, time);
  switch (socket.state) {
    case State.ESTABLISHED: socket.state = State.CLOSE_WAIT; break;
    case State.FIN_WAIT_1: socket.state = State.CLOSING; break;
    case State.FIN_WAIT_2: timeWait(socket, time); break;
  }
}
