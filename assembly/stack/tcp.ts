// TCP as JavaScript uses it: listen, connect, write, close (RFC 9293 3.10.1-3.10.5). The chapters:
//
//  tcp-input       segments that arrive: handshake, acknowledgments, data, FIN, RST
//  tcp-output      segments that are sent; timers; the receive window
//  tcp-options     MSS, window scale, SACK, timestamps
//  tcp-congestion  round trips, timeouts, congestion window
//  tcp-buffer      bytes written and not yet acknowledged
//  tcp-queue       segments that came out of order, or that a paused reader has not taken
//  tcp-end         the ways a connection ends; RST
//
// No call here sends: each notes what is wanted and an event at `time` does it. Addresses and ports are in network byte
// order as loaded; `time` is in ns and no earlier than now.

import * as ipv4 from "../wire/ipv4";
import { V6 } from "../wire/ipv6";
import * as icmp from "../wire/icmp";
import * as tcp from "../wire/tcp";
import { now } from "../clock/queue";
import { Namespace } from "./namespace";
import { pathMtu, sourceFor } from "./output";
import { pathMtu6, sourceFor6 } from "./output6";
import { Failure } from "./punts";
import { Ask, ask } from "./socket-actions";
import { findBound, freePort, indexSocket, newSocket, prepare, removeSocket, Socket, socketById, State } from "./sockets";
import { append, ensureSendRoom } from "./tcp-buffer";
import { closeSilently, failed } from "./tcp-end";
import { mssOf, prepareConnection } from "./tcp-handshake";
import {
  arm, FIN_TIMEOUT, freeWindow, openWindow, PROCESSING_DELAY, request, sendNow, sendReset, startReceiveWindow, TIMER_FIN_WAIT, WORK_ACK_NOW, WORK_RETRANSMIT,
  WORK_SEND, WORK_SYN,
} from "./tcp-output";
import { flushHeld } from "./tcp-queue";

export { tcpReceive } from "./tcp-input";
export { tcpTimer } from "./tcp-output";

/** Listeners wait for this many handshakes at once, unless told otherwise (net.core.somaxconn). */
const BACKLOG: u32 = 4096;

/** bind() and listen(): `address` 0 is every address. The listener's id; 0: address in use. */
export function tcpListen(namespace: Namespace, address: u32, port: u32, backlog: u32 = BACKLOG): u32 {
  return listen(namespace, ipv4.TCP, address, port, backlog);
}
/** The same over IPv6: `address` is a number. */
export function tcpListen6(namespace: Namespace, address: u32, port: u32, backlog: u32 = BACKLOG): u32 {
  return listen(namespace, ipv4.TCP | V6, address, port, backlog);
}

function listen(namespace: Namespace, protocol: u32, address: u32, port: u32, backlog: u32): u32 {
  prepare();
  if (!port) port = freePort(namespace, protocol, address, 0, 0);
  if (!port || findBound(namespace, protocol, address, port)) return 0;
  const socket = newSocket(namespace, protocol, address, port, 0, 0);
  if (!socket) return 0;
  socket.state = State.LISTEN;
  socket.backlogMax = max<u32>(backlog, 1);
  if (indexSocket(socket)) return socket.id;
  removeSocket(socket);
  return 0;
}

/** connect() at `time`; `source` and `sourcePort` 0 are chosen. The socket's id; 0: no route, or no port is free. CONNECTED or FAILED follows. */
export function tcpConnect(namespace: Namespace, destination: u32, port: u32, source: u32, sourcePort: u32, time: u64): u32 {
  if (!source) source = sourceFor(namespace, destination);
  return connect(namespace, ipv4.TCP, destination, port, source, sourcePort, pathMtu(namespace, destination), time);
}
/** The same over IPv6: addresses are numbers. */
export function tcpConnect6(namespace: Namespace, destination: u32, port: u32, source: u32, sourcePort: u32, time: u64): u32 {
  if (!source) source = sourceFor6(namespace, destination, null);
  return connect(namespace, ipv4.TCP | V6, destination, port, source, sourcePort, pathMtu6(namespace, destination, time), time);
}

function connect(namespace: Namespace, protocol: u32, destination: u32, port: u32, source: u32, sourcePort: u32, mtu: u32, time: u64): u32 {
  prepare();
  if (!source || !port) return 0;
  if (!sourcePort) sourcePort = freePort(namespace, protocol, source, destination, port);
  if (!sourcePort) return 0;
  const socket = newSocket(namespace, protocol, source, sourcePort, destination, port);
  if (!socket) return 0;
  if (!indexSocket(socket)) {
    removeSocket(socket);
    return 0;
  }
  socket.state = State.SYN_SENT;
  prepareConnection(socket, mtu);
  socket.mss = socket.advertisedMss;
  startReceiveWindow(socket, socket.advertisedMss);
  ask(Ask.CONNECT, socket, 0, time);
  return socket.id;
}

/** send() at `time`: how many bytes were taken. Less than `length`: the buffer (4 MiB) is full and WRITABLE will follow, or nothing may be written any more. */
export function tcpWrite(id: u32, at: usize, length: u32, time: u64): u32 {
  const socket = socketById(id);
  if (!socket || socket.protocol != ipv4.TCP || socket.finQueued) return 0;
  const state = socket.state;
  if (state != State.ESTABLISHED && state != State.CLOSE_WAIT && state != State.SYN_SENT && state != State.SYN_RECEIVED) return 0;
  prepare();
  ensureSendRoom(length);
  const taken = append(socket, at, length);
  if (taken < length) socket.wantsWrite = 1;
  if (taken) ask(Ask.RELEASE, socket, socket.writeEnd, time);
  return taken;
}

/** shutdown(SHUT_WR) at `time`: a FIN follows the data; reading goes on. */
export function tcpShutdown(id: u32, time: u64): void { end(id, Ask.SHUTDOWN, time); }
/** close() at `time`: a FIN follows the data; data that still comes is answered by RST. A listener just goes. */
export function tcpClose(id: u32, time: u64): void { end(id, Ask.CLOSE, time); }
/** RST at `time`; what was not sent yet is lost. */
export function tcpAbort(id: u32, time: u64): void { end(id, Ask.ABORT, time); }
/** The reader takes no more from `time` on; the window closes as data comes. */
export function tcpPause(id: u32, time: u64): void { end(id, Ask.PAUSE, time); }
export function tcpResume(id: u32, time: u64): void { end(id, Ask.RESUME, time); }

function end(id: u32, kind: Ask, time: u64): void {
  const socket = socketById(id);
  if (!socket || socket.protocol != ipv4.TCP) return;
  prepare();
  if ((kind == Ask.SHUTDOWN || kind == Ask.CLOSE) && !socket.finQueued) socket.finQueued = 1;
  ask(kind, socket, 0, time);
}

/** TCP_NODELAY; a listener hands it on. */
export function tcpNoDelay(id: u32, on: bool): void {
  const socket = socketById(id);
  if (socket) socket.noDelay = <u8>on;
}

/** The time of an action has come. */
export function tcpAction(socket: Socket, kind: Ask, value: u32): void {
  switch (kind) {
    case Ask.CONNECT:
      if (socket.state == State.SYN_SENT) request(socket, WORK_SYN, now);
      break;
    case Ask.RELEASE:
      // What was written later for an earlier time has taken what stands before it along.
      if (tcp.after(value, socket.released)) socket.released = value;
      if (socket.state >= State.ESTABLISHED) sendNow(socket);
      break;
    case Ask.SHUTDOWN: return shutdown(socket);
    case Ask.CLOSE:
      if (socket.state == State.LISTEN) return closeSilently(socket, now);
      // Unread data: the peer learns that it was for nothing (RFC 2525, 2.17).
      if (socket.held) return abort(socket);
      socket.orphan = 1;
      if (socket.state == State.FIN_WAIT_2) return arm(socket, TIMER_FIN_WAIT, now + FIN_TIMEOUT);
      return shutdown(socket);
    case Ask.ABORT: return abort(socket);
    case Ask.PAUSE:
      socket.paused = 1;
      break;
    case Ask.RESUME: return resume(socket);
    case Ask.FAIL:
      if (socket.state == State.SYN_SENT) failed(socket, value, now);
      break;
  }
}

function shutdown(socket: Socket): void {
  switch (socket.state) {
    case State.LISTEN: case State.SYN_SENT: return closeSilently(socket, now);
    case State.SYN_RECEIVED: return abort(socket);
    case State.ESTABLISHED: socket.state = State.FIN_WAIT_1; break;
    case State.CLOSE_WAIT: socket.state = State.LAST_ACK; break;
    default: return;
  }
  socket.finQueued = 2;
  socket.released = socket.writeEnd;
  request(socket, WORK_SEND, now);
}

function abort(socket: Socket): void {
  if (socket.state >= State.SYN_RECEIVED && socket.state < State.TIME_WAIT) sendReset(socket);
  closeSilently(socket, now);
}

function resume(socket: Socket): void {
  socket.paused = 0;
  if (!flushHeld(socket, now)) {
    // The ring is full: the rest a little later.
    socket.paused = 1;
    ask(Ask.RESUME, socket, 0, now + 1_000_000);
  }
  // A window worth telling: twice what is open (tcp_cleanup_rbuf).
  const open = openWindow(socket);
  if (socket.state >= State.ESTABLISHED && freeWindow(socket) >= max<u32>(2 * open, 1)) request(socket, WORK_ACK_NOW, now);
}

/** An ICMP error about one of its segments (tcp_v4_err); may come while it sends, so nothing ends here and now. */
export function tcpError(socket: Socket, kind: u32, info: u32, sequence: u32): void {
  // It must be about a byte that is on its way (tcp_v4_err; RFC 5927, section 4.1).
  if (tcp.before(sequence, socket.sendUnacknowledged) || tcp.after(sequence, socket.sendMax)) return;
  const type = kind >>> 8;
  const code = kind & 0xff;
  if (type == icmp.UNREACHABLE && code == icmp.FRAGMENTATION_NEEDED) {
    const mss = mssOf(socket, info) - (socket.timestamps ? 12 : 0);
    if (socket.state < State.ESTABLISHED || socket.state >= State.TIME_WAIT || mss >= socket.mss) return;
    socket.mss = mss;
    return request(socket, WORK_RETRANSMIT | WORK_SEND, now + PROCESSING_DELAY);
  }
  // Once connected, errors of the way pass (RFC 1122, 4.2.3.9).
  if (socket.state != State.SYN_SENT || type == icmp.REDIRECT || type == 4) return;
  const refused = type == icmp.UNREACHABLE && (code == icmp.PORT_UNREACHABLE || code == icmp.PROTOCOL_UNREACHABLE);
  ask(Ask.FAIL, socket, refused ? Failure.REFUSED : Failure.UNREACHABLE, now);
}
