// Segments that a TCP socket sends (RFC 9293 3.8; net/ipv4/tcp_output.c), and the timers that make it send.
//
// Nothing is sent while a segment is being received: whatever it provokes is noted in `work` and put out by an event a
// processing delay later, since two sockets of one namespace would else call each other without end. One event serves
// all that has come up meanwhile, so a burst is answered by one acknowledgment, as with Linux's GRO.

import { CONFIRM, SOCKET_HASH } from "../frame";
import { random } from "../random";
import { Event, now, schedule } from "../clock/queue";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import { output } from "./output";
import { HOP_LIMIT, output6 } from "./output6";
import { newPacket, outputLater, outputLater6 } from "./own-packets";
import { NEVER, Socket, State, unreference } from "./sockets";
import { backedOff, timedOut } from "./tcp-congestion";
import { copyOut } from "./tcp-buffer";
import { closeSilently, failed } from "./tcp-end";
import * as options from "./tcp-options";
import { Failure } from "./punts";

/** From a segment's arrival to the answer of the stack, ns. */
export const PROCESSING_DELAY: u64 = 1000;

// Socket.work
/** An acknowledgment is due; data that goes out takes it along. */
export const WORK_ACK: u32 = 1;
/** An acknowledgment of its own, even if data follows: the third step of the handshake, a new window. */
export const WORK_ACK_NOW: u32 = 2;
export const WORK_SEND: u32 = 4;
/** SYN or SYN-ACK, by the state. */
export const WORK_SYN: u32 = 8;
/** The first segment that is not acknowledged. */
export const WORK_RETRANSMIT: u32 = 16;

// Socket.timer
export const TIMER_NONE: u8 = 0;
export const TIMER_RETRANSMIT: u8 = 1;
/** The peer's window is closed: ask whether it still is (RFC 9293 3.8.6.1). */
export const TIMER_PERSIST: u8 = 2;
/** Closed on our side, and the peer's FIN does not come (tcp_fin_timeout). */
export const TIMER_FIN_WAIT: u8 = 3;

/** net.ipv4.tcp_syn_retries, tcp_synack_retries, tcp_retries2, tcp_fin_timeout. */
const SYN_RETRIES: u32 = 6;
const SYN_ACK_RETRIES: u32 = 5;
const RETRIES: u32 = 15;
export const FIN_TIMEOUT: u64 = 60_000_000_000;

const TTL: u32 = 64;
/** Segments in one event: slots are topped up between events. */
const BURST: u32 = 64;
/** Half of net.ipv4.tcp_rmem's default 131072: the other half is overhead (tcp_adv_win_scale 1). */
const FULL_SPACE: u32 = 65536;

// --- Events ---

/** Notes `work` for the socket and sees to it that an event comes for it at `time`, or later if more is noted. */
export function request(socket: Socket, work: u32, time: u64): void {
  socket.work |= <u8>work;
  if (time > socket.workAt) socket.workAt = time;
  if (socket.workEvent != NEVER) return;
  socket.workEvent = max(time, now);
  socket.references++;
  schedule(socket.workEvent, Event.TCP, changetype<usize>(socket), 0);
}

export function arm(socket: Socket, timer: u8, deadline: u64): void {
  socket.timer = timer;
  socket.deadline = deadline;
  if (deadline >= socket.timerEvent) return; // the event that is queued will find the later deadline
  socket.timerEvent = deadline;
  socket.references++;
  schedule(deadline, Event.TCP, changetype<usize>(socket), 0);
}

export function disarm(socket: Socket): void {
  socket.timer = TIMER_NONE;
  socket.deadline = NEVER;
}

/** For the run loop: `Event.TCP`. */
export function tcpTimer(at: usize): void {
  const socket = changetype<Socket>(at);
  if (!socket.dead && socket.workEvent <= now) {
    socket.workEvent = NEVER;
    if (socket.work) {
      if (now < socket.workAt) request(socket, 0, socket.workAt);
      else perform(socket);
    }
  }
  if (!socket.dead && socket.timerEvent <= now) {
    socket.timerEvent = NEVER;
    if (socket.timer != TIMER_NONE) {
      if (now < socket.deadline) arm(socket, socket.timer, socket.deadline);
      else expire(socket);
    }
  }
  unreference(socket);
}

/** A write goes out at once, not with what comes next: its own segment, then the FIN's, as send() and close() make them. */
export function sendNow(socket: Socket): void {
  if (socket.work && now < socket.workAt) return request(socket, WORK_SEND, now);
  socket.work |= <u8>WORK_SEND;
  perform(socket);
}

function perform(socket: Socket): void {
  const work = <u32>socket.work;
  socket.work = 0;
  if (work & WORK_SYN) return sendSyn(socket);
  if (socket.state < State.ESTABLISHED) return;
  if (work & WORK_ACK_NOW) sendAck(socket);
  let sent = false;
  if (work & WORK_RETRANSMIT) sent = retransmit(socket);
  if (work & WORK_SEND && pushData(socket)) sent = true;
  if (work & WORK_ACK && !(work & WORK_ACK_NOW) && !sent) sendAck(socket);
}

function expire(socket: Socket): void {
  const timer = socket.timer;
  disarm(socket);
  if (timer == TIMER_FIN_WAIT) return closeSilently(socket, now);
  const most = socket.state == State.SYN_SENT ? SYN_RETRIES : socket.state == State.SYN_RECEIVED ? SYN_ACK_RETRIES : RETRIES;
  if (<u32>socket.retries >= most) return failed(socket, Failure.TIMEOUT, now);
  if (timer == TIMER_PERSIST) {
    socket.retries++;
    socket.backoff++;
    // What a probe says is not new: it provokes an acknowledgment that tells the window (tcp_xmit_probe_skb).
    if (!pushData(socket)) {
      emit(socket, socket.sendUnacknowledged - 1, 0, tcp.ACK, now, false);
      arm(socket, TIMER_PERSIST, now + backedOff(socket));
    }
    return;
  }
  timedOut(socket);
  socket.retries++;
  socket.backoff++;
  socket.hash = random() | 1; // perhaps another path does better (sk_rethink_txhash)
  if (socket.state < State.ESTABLISHED) return sendSyn(socket);
  retransmit(socket);
  arm(socket, TIMER_RETRANSMIT, now + backedOff(socket));
}

// --- Segments ---

/** TSval: milliseconds, from a random start of the connection's own (RFC 7323, 5.4). */
// @ts-ignore: decorator
@inline
function timestamp(socket: Socket, time: u64): u32 {
  return <u32>(time / 1_000_000) + socket.timestampOffset;
}

/** Builds one segment and puts it out, now or at its `time`. False: no slot was free. */
function emit(socket: Socket, sequence: u32, length: u32, flags: u32, time: u64, later: bool): bool {
  const syn = (flags & tcp.SYN) != 0;
  const header = tcp.LENGTH + (syn ? options.synLength(socket) : options.length(socket));
  const network = socket.v6 ? ipv6.LENGTH : ipv4.LENGTH;
  const total = network + header + length;
  const frame = newPacket(total, time);
  if (!frame) return false;
  const ip = frame.data;
  const at = ip + network;
  const acknowledge = (flags & tcp.ACK) != 0;
  const window = syn ? min<u32>(socket.receiveWindow, 65535) : selectWindow(socket) >>> socket.receiveScale;
  tcp.emit(at, socket.localPort, socket.remotePort, sequence, acknowledge ? socket.receiveNext : 0, header, flags, min<u32>(window, 65535));
  if (syn) options.writeSyn(socket, at + tcp.LENGTH, timestamp(socket, time));
  else options.write(socket, at + tcp.LENGTH, timestamp(socket, time));
  if (length) copyOut(socket, sequence, length, at + header);
  frame.hash = socket.hash;
  frame.flags |= SOCKET_HASH;
  if (socket.confirm) {
    frame.flags |= CONFIRM;
    socket.confirm = 0;
  }
  if (socket.v6) {
    tcp.seal6(at, header + length, <usize>socket.local, <usize>socket.remote);
    ipv6.emit(ip, 0, rotl<u32>(socket.hash, 16) & 0xfffff, header + length, ipv4.TCP, HOP_LIMIT, <usize>socket.local, <usize>socket.remote);
    if (later) outputLater6(socket.namespace, frame, null);
    else output6(socket.namespace, frame, null);
    return true;
  }
  tcp.seal(at, header + length, socket.local, socket.remote);
  // A SYN-ACK comes from no full socket in Linux: id 0 (ip_build_and_send_pkt).
  const id = syn && acknowledge ? 0 : socket.ipId++ & 0xffff;
  ipv4.emit(ip, 0, total, id, ipv4.DF, TTL, ipv4.TCP, socket.local, socket.remote);
  if (later) outputLater(socket.namespace, frame);
  else output(socket.namespace, frame);
  return true;
}

/** SYN in SYN_SENT, SYN-ACK in SYN_RECEIVED; again each time the timer fires. */
function sendSyn(socket: Socket): void {
  const flags = socket.state == State.SYN_SENT ? tcp.SYN : tcp.SYN | tcp.ACK;
  if (socket.state != State.SYN_SENT && socket.state != State.SYN_RECEIVED) return;
  if (!socket.retries) {
    socket.timing = 1;
    socket.timedSequence = socket.initialSend + 1;
    socket.timedAt = now;
  }
  emit(socket, socket.initialSend, 0, flags, now, false);
  arm(socket, TIMER_RETRANSMIT, now + backedOff(socket));
}

function sendAck(socket: Socket): void {
  emit(socket, socket.sendMax, 0, tcp.ACK, now, false);
}

/** An acknowledgment of this very moment, put out a processing delay after `time`: each segment out of order has its own. */
export function acknowledgeLater(socket: Socket, time: u64): void {
  emit(socket, socket.sendMax, 0, tcp.ACK, time + PROCESSING_DELAY, true);
}

/** tcp_send_active_reset: the RST of a connection that is given up here. */
export function sendReset(socket: Socket): void {
  emit(socket, socket.sendMax, 0, tcp.RST | tcp.ACK, now, false);
}

/** May this state send data or a FIN? */
// @ts-ignore: decorator
@inline
function sends(state: State): bool {
  return state == State.ESTABLISHED || state == State.CLOSE_WAIT || state == State.FIN_WAIT_1 || state == State.CLOSING || state == State.LAST_ACK;
}

/** Everything written may go, and a FIN comes after it. */
// @ts-ignore: decorator
@inline
function finDue(socket: Socket): bool { return socket.finQueued == 2 && socket.released == socket.writeEnd; }

/** Payload of a full segment: SACK blocks take their part of it (tcp_current_mss). */
// @ts-ignore: decorator
@inline
function payloadRoom(socket: Socket): u32 {
  return socket.outOfOrder ? socket.mss + (socket.timestamps ? 12 : 0) - options.length(socket) : socket.mss;
}

/** Sends what the windows allow (tcp_write_xmit). True: something went out. */
function pushData(socket: Socket): bool {
  let sent = false;
  for (let i: u32 = 0; sends(socket.state); i++) {
    const next = socket.sendNext;
    const fin = finDue(socket);
    if (tcp.after(next, socket.writeEnd)) break; // the FIN is out
    const left = socket.released - next;
    if (!left && !fin) break;
    if (i == BURST) {
      request(socket, WORK_SEND, now);
      break;
    }
    const flight = next - socket.sendUnacknowledged;
    const again = tcp.before(next, socket.sendMax);
    const full = payloadRoom(socket);
    let length = min(left, full);
    if (length) {
      if (flight && flight + length > socket.congestionWindow) break;
      if (flight + length > socket.sendWindow) {
        // A piece that just fills the window goes only when nothing is out (tcp_mss_split_point).
        if (flight || !socket.sendWindow) break;
        length = socket.sendWindow;
      } else if (flight && flight + length == socket.sendWindow) {
        // To the byte full is legal, but Wireshark warns of it: the next acknowledgment is on its way anyhow.
        break;
      }
      // Nagle, after Minshall: a small segment waits while another small one is out, unless the FIN goes with it.
      if (length < full && length == left && !again && !fin && !socket.noDelay && tcp.after(socket.smallEnd, socket.sendUnacknowledged)) break;
    }
    const last = fin && next + length == socket.writeEnd;
    if (!segment(socket, next, length, last)) {
      request(socket, WORK_SEND, now + 1_000_000); // no slot; perhaps later
      break;
    }
    sent = true;
    if (length < full && length == left) socket.smallEnd = next + length;
  }
  if (socket.sendMax != socket.sendUnacknowledged) {
    if (socket.timer != TIMER_RETRANSMIT) arm(socket, TIMER_RETRANSMIT, now + backedOff(socket));
  } else if (sends(socket.state) && socket.released != socket.sendNext && socket.timer == TIMER_NONE && !tcp.after(socket.sendNext, socket.writeEnd)) {
    arm(socket, TIMER_PERSIST, now + backedOff(socket));
  }
  return sent;
}

/** One segment of the stream at `sendNext`, which moves on before the frame leaves: an error may come back at once. */
function segment(socket: Socket, sequence: u32, length: u32, fin: bool): bool {
  const end = sequence + length + <u32>fin;
  let flags: u32 = tcp.ACK;
  if (fin) flags |= tcp.FIN;
  if (length && sequence + length == socket.released) flags |= tcp.PSH;
  const furthest = socket.sendMax;
  socket.sendNext = end;
  if (tcp.after(end, furthest)) {
    if (!socket.timing && sequence == socket.sendMax) {
      socket.timing = 1;
      socket.timedSequence = end;
      socket.timedAt = now;
    }
    socket.sendMax = end;
  }
  if (emit(socket, sequence, length, flags, now, false)) return true;
  socket.sendNext = sequence;
  socket.sendMax = furthest;
  return false;
}

/** The first segment that is not acknowledged, once more; after a timeout all that follows it goes again as well. */
function retransmit(socket: Socket): bool {
  const start = socket.sendUnacknowledged;
  if (start == socket.sendMax || !sends(socket.state)) return false;
  const finSent = tcp.after(socket.sendMax, socket.writeEnd);
  const length = min(payloadRoom(socket), socket.sendMax - start - <u32>finSent);
  const fin = finSent && start + length == socket.writeEnd;
  socket.timing = 0;
  const next = socket.sendNext;
  segment(socket, start, length, fin);
  // In fast recovery new data follows what is already out; after a timeout `sendNext` starts over from here.
  if (socket.recovering) socket.sendNext = next;
  return true;
}

// --- The receive window (tcp_select_initial_window, tcp_init_buffer_space, tcp_select_window) ---

/** The window of a SYN or SYN-ACK: as many whole segments of `mss` as fit into 65535. */
export function startReceiveWindow(socket: Socket, mss: u32): void {
  socket.receiveWindow = 65535 - (65535 % mss);
}

/** Established: one segment is kept in reserve. */
export function settleReceiveWindow(socket: Socket): void {
  let clamp = FULL_SPACE;
  const mss = socket.advertisedMss;
  if (clamp > 2 * mss) clamp = max(2 * mss, FULL_SPACE - mss);
  socket.receiveLimit = min(socket.receiveWindow, clamp);
}

/** What of the window that was told is still open. */
// @ts-ignore: decorator
@inline
export function openWindow(socket: Socket): u32 {
  const end = socket.receiveTold + socket.receiveWindow;
  return tcp.after(end, socket.receiveNext) ? end - socket.receiveNext : 0;
}

/** What may be told: never so little that it makes the peer send crumbs. */
export function freeWindow(socket: Socket): u32 {
  let free = FULL_SPACE - min(FULL_SPACE, socket.receiveQueued);
  if (free < FULL_SPACE >> 1) {
    free &= ~((1 << <u32>socket.receiveScale) - 1);
    if (free < FULL_SPACE >> 4 || free < min(socket.mss, FULL_SPACE)) return 0;
  }
  return align(socket, min(free, socket.receiveLimit));
}

// @ts-ignore: decorator
@inline
function align(socket: Socket, window: u32): u32 {
  const unit: u32 = (1 << <u32>socket.receiveScale) - 1;
  return (window + unit) & ~unit;
}

/** The window for the segment that goes out now; what was once told is never taken back. */
function selectWindow(socket: Socket): u32 {
  const open = openWindow(socket);
  let window = freeWindow(socket);
  if (window < open) window = align(socket, open);
  socket.receiveWindow = window;
  socket.receiveTold = socket.receiveNext;
  return window;
}
