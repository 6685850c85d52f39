// How TCP moves a connection on (nf_conntrack_proto_tcp.c, Linux 6.1): its state, its timeout, and whether a segment can
// belong to it at all, judged by both ends' windows (van Rooij, "Real Stateful TCP Packet Filtering in IP Filter").
// Sysctls as they come: tcp_loose 1, tcp_be_liberal 0, tcp_max_retrans 3, tcp_no_window_check 0, tcp_ignore_invalid_rst 0.
//
// Conntrack stands between the two ends: a segment that it sees may be lost further on, and the windows that it keeps are
// a guess. So a segment that may be right after all passes and moves nothing (ignored); only one that cannot be right is
// refused (invalid).
//
// `segment` is the TCP header, `length` the bytes from there to the end of the IP packet.

import * as tcp from "../wire/tcp";
import { after, before } from "../wire/tcp";
import { ASSURED, Connection, Direction, DYING, SEEN_REPLY, directionOf } from "../tables/connections";

/** In the kernel's order (enum tcp_conntrack). */
export enum TcpState { NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2 }

// What tcpPacket answers.
export const ACCEPT: i32 = 1;
/** The packet goes on without a connection, as INVALID (-NF_ACCEPT). */
export const INVALID: i32 = 0;
export const DROP: i32 = -1;
/** The entry is over: destroy it, and the packet opens a new one (-NF_REPEAT). */
export const REPEAT: i32 = -2;

/** What a segment is to the table below: RST before SYN before FIN before ACK. */
enum Kind { SYN, SYN_ACK, FIN, ACK, RST, NONE }

const NO: u8 = <u8>TcpState.NONE;
const SS: u8 = <u8>TcpState.SYN_SENT;
const SR: u8 = <u8>TcpState.SYN_RECV;
const ES: u8 = <u8>TcpState.ESTABLISHED;
const FW: u8 = <u8>TcpState.FIN_WAIT;
const CW: u8 = <u8>TcpState.CLOSE_WAIT;
const LA: u8 = <u8>TcpState.LAST_ACK;
const TW: u8 = <u8>TcpState.TIME_WAIT;
const CL: u8 = <u8>TcpState.CLOSE;
const S2: u8 = <u8>TcpState.SYN_SENT2;
/** Cannot be right. */
const XX: u8 = 10;
/** May be right: passes and moves nothing. */
const IG: u8 = 11;

// The way of most connections, and where each arrow stands in the table:
//
//         SYN           SYN-ACK          ACK              FIN            ACK              FIN            ACK
//   NONE ----> SYN_SENT ------> SYN_RECV ----> ESTABLISHED ----> FIN_WAIT ----> CLOSE_WAIT ----> LAST_ACK ----> TIME_WAIT
//                 | SYN of the other end                            |       FIN               ^                |
//                 v                                                 +-------------------------+            SYN |
//             SYN_SENT2 -- SYN-ACK --> SYN_RECV                                                  (a new entry) v
//   any state -- RST --> CLOSE                                                                          SYN_SENT
//
// A SYN may reopen what is in TIME_WAIT or CLOSE (RFC 1122, 4.2.2.13). A bare ACK opens ESTABLISHED: picked up in the
// middle. A SYN or SYN-ACK to a connection that is up already is ignored: one end may have begun anew.
const STATES: usize = 10;
const KINDS: usize = 6;
const TABLE = memory.data<u8>([
  // original direction
  // NO  SS  SR  ES  FW  CW  LA  TW  CL  S2
     SS, SS, IG, IG, IG, IG, IG, SS, SS, S2, // SYN
     XX, XX, SR, XX, XX, XX, XX, XX, XX, SR, // SYN-ACK
     XX, XX, FW, FW, LA, LA, LA, TW, CL, XX, // FIN
     ES, XX, ES, ES, CW, CW, TW, TW, CL, XX, // ACK
     XX, CL, CL, CL, CL, CL, CL, CL, CL, CL, // RST
     XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, // none of them
  // reply direction
  // NO  SS  SR  ES  FW  CW  LA  TW  CL  S2
     XX, S2, XX, XX, XX, XX, XX, SS, XX, S2, // SYN
     XX, SR, IG, IG, IG, IG, IG, IG, IG, SR, // SYN-ACK
     XX, XX, FW, FW, LA, LA, LA, TW, CL, XX, // FIN
     XX, IG, SR, ES, CW, CW, TW, TW, CL, IG, // ACK
     XX, CL, CL, CL, CL, CL, CL, CL, CL, CL, // RST
     XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, // none of them
]);

const SECOND: u64 = 1_000_000_000;
/** net.netfilter.nf_conntrack_tcp_timeout_*, ns, by state. NONE never lasts. */
const TIMEOUTS = memory.data<u64>([
  0, 120 * SECOND, 60 * SECOND, 432000 * SECOND, 120 * SECOND, 60 * SECOND, 30 * SECOND, 120 * SECOND, 10 * SECOND, 120 * SECOND,
]);
/** Retransmitted MAX_RETRANSMISSIONS times without an answer, or the window is shut. */
export const RETRANSMISSION_TIMEOUT: u64 = 300 * SECOND;
/** Data is not acknowledged yet. */
export const UNACKNOWLEDGED_TIMEOUT: u64 = 300 * SECOND;
const MAX_RETRANSMISSIONS: u8 = 3;

/** How long a connection in `state` lasts without a packet, ns. */
// @ts-ignore: decorator
@inline
export function tcpTimeout(state: u32): u64 { return load<u64>(TIMEOUTS + (<usize>state << 3)); }

// Direction.flags; the last two are in Connection.lastFlags alone (IP_CT_TCP_FLAG_*).
const WINDOW_SCALE: u8 = 1;
const SACK_PERMITTED: u8 = 2;
/** It sent the first FIN. */
const CLOSE_INIT: u8 = 4;
/** Picked up in the middle: its window scale is not known, so nothing of it is refused for its numbers. */
const BE_LIBERAL: u8 = 8;
const DATA_UNACKNOWLEDGED: u8 = 16;
const MAX_ACK_SET: u8 = 32;
/** A SYN went through in LAST_ACK: the ACK that follows may be a challenge (RFC 5961, 4), not that of the FIN. */
const CHALLENGE_ACK: u8 = 64;
const SIMULTANEOUS_OPEN: u8 = 128;

const MAX_SCALE: u8 = 14; // RFC 7323, 2.3
/** An ACK may lag behind what the other end has sent by that much, or by the largest window seen. */
const MIN_ACK_WINDOW: u32 = 66000;

/** Combinations of FIN, SYN, RST, ACK and URG that make sense, a bit each; PSH, ECE and CWR always may stand. */
const VALID_FLAGS: u64 =
  (<u64>1 << tcp.SYN) | (<u64>1 << (tcp.SYN | tcp.URG)) | (<u64>1 << (tcp.SYN | tcp.ACK)) |
  (<u64>1 << tcp.RST) | (<u64>1 << (tcp.RST | tcp.ACK)) |
  (<u64>1 << (tcp.FIN | tcp.ACK)) | (<u64>1 << (tcp.FIN | tcp.ACK | tcp.URG)) |
  (<u64>1 << tcp.ACK) | (<u64>1 << (tcp.ACK | tcp.URG));

/** Is it malformed: cut short, or with flags that no TCP sends together? The checksum is `tcp.checksumOk`, at PREROUTING only. */
export function tcpError(segment: usize, length: u32): bool {
  if (length < tcp.LENGTH) return true;
  const header = tcp.headerLength(segment);
  if (header < tcp.LENGTH || header > length) return true;
  const flags = tcp.flags(segment) & ~(tcp.PSH | tcp.ECE | tcp.CWR);
  return !((VALID_FLAGS >>> <u64>flags) & 1);
}

/** May it open a connection (a SYN, or any segment of one that is under way)? Sets up the windows of its sender; the connection is new. */
export function tcpNew(connection: Connection, segment: usize, length: u32): bool {
  const opens = transition(0, kindOf(tcp.flags(segment)), NO);
  if (opens == XX) return false;
  const sender = directionOf(connection, 0);
  sender.end = endOf(segment, length);
  sender.maxWindow = max(tcp.window(segment), 1);
  sender.maxEnd = sender.end;
  if (opens == SS) readOptions(segment, sender);
  else {
    sender.maxEnd += sender.maxWindow;
    sender.flags = SACK_PERMITTED | BE_LIBERAL;
    directionOf(connection, 1).flags = SACK_PERMITTED | BE_LIBERAL;
  }
  connection.lastIndex = <u8>Kind.NONE;
  return true;
}

/** What `tcpNew` and `tcpPacket` make of a SYN and nothing else that `tcpError` has passed: the connection is all zeroes. Its deadline is left to `tcpTimeout`. */
export function tcpOpened(connection: Connection, segment: usize, length: u32): void {
  const sender = directionOf(connection, 0);
  const window = max(tcp.window(segment), 1);
  const end = endOf(segment, length);
  sender.end = end;
  sender.maxEnd = end;
  sender.maxWindow = window;
  if (tcp.headerLength(segment) != tcp.LENGTH) readOptions(segment, sender);
  directionOf(connection, 1).maxEnd = window;
  connection.lastIndex = <u8>Kind.SYN;
  connection.state = SS;
}

/** Moves the connection on by a segment that `tcpError` has passed; `reply` is its direction, 0 or 1. See ACCEPT … REPEAT. */
export function tcpPacket(connection: Connection, reply: u32, segment: usize, length: u32, time: u64): i32 {
  const kind = kindOf(tcp.flags(segment));
  let from = connection.state;
  let to = transition(reply, kind, from);
  let checkWindow = true;

  switch (to) {
    case SS:
      if (from < TW) break;
      return reopens(connection, reply) ? REPEAT : ignore(connection, reply, kind, segment, length);
    case IG:
      if (!answersIgnored(connection, reply, kind, segment)) return ignore(connection, reply, kind, segment, length);
      // Both ends agree on a connection that is not ours: follow them.
      resume(connection, reply);
      from = SS;
      to = SR;
      break;
    case XX:
      return INVALID;
    case TW:
      if (from == LA && kind == Kind.ACK && challenges(connection, reply)) {
        connection.lastFlags &= ~CHALLENGE_ACK;
        return ACCEPT;
      }
      break;
    case S2:
      connection.lastFlags |= SIMULTANEOUS_OPEN;
      break;
    case SR:
      // Both SYNs are acknowledged: the table, which knows one handshake only, does not say so.
      if (reply && kind == Kind.ACK && connection.lastFlags & SIMULTANEOUS_OPEN) to = ES;
      break;
    case CL:
      if (kind != Kind.RST) break;
      switch (weighReset(connection, reply, segment)) {
        case Reset.REFUSE: return INVALID;
        case Reset.STAY: to = from; break;
        case Reset.CLOSE_UNCHECKED: checkWindow = false; break;
      }
      break;
  }

  if (checkWindow) {
    const verdict = inWindow(connection, reply, kind, segment, length);
    if (verdict == Window.IGNORE) return ACCEPT;
    if (verdict == Window.OUTSIDE) {
      shorten(connection, reply, kind, time);
      return INVALID;
    }
  }

  connection.lastIndex = <u8>kind;
  connection.lastDirection = <u8>reply;
  connection.state = to;
  if (to == FW && from != FW) directionOf(connection, reply).flags |= CLOSE_INIT;

  let timeout = timeoutAfter(connection, kind, to);
  if (!(connection.status & SEEN_REPLY)) {
    // Only a RST ever answered: there was no connection.
    if (kind == Kind.RST) {
      connection.status |= DYING;
      connection.deadline = 0;
      return ACCEPT;
    }
    // A client that tries a port over and over must not keep the entry, NAT and all, alive.
    if (kind == Kind.SYN && from == SS) return ACCEPT;
    if (to == ES) timeout = min(timeout, UNACKNOWLEDGED_TIMEOUT);
  } else if (to == ES && (from == SR || from == ES)) connection.status |= ASSURED;
  connection.deadline = time + timeout;
  return ACCEPT;
}

// @ts-ignore: decorator
@inline
function kindOf(flags: u32): u32 {
  if (flags & tcp.RST) return Kind.RST;
  if (flags & tcp.SYN) return flags & tcp.ACK ? Kind.SYN_ACK : Kind.SYN;
  if (flags & tcp.FIN) return Kind.FIN;
  return flags & tcp.ACK ? Kind.ACK : Kind.NONE;
}

// @ts-ignore: decorator
@inline
function transition(reply: u32, kind: u32, from: u8): u8 {
  return load<u8>(TABLE + (<usize>reply * KINDS + <usize>kind) * STATES + <usize>from);
}

/** The sequence number after its last byte; SYN and FIN count as one. */
// @ts-ignore: decorator
@inline
function endOf(segment: usize, length: u32): u32 {
  const flags = tcp.flags(segment);
  return tcp.sequence(segment) + length - tcp.headerLength(segment) + ((flags >>> 1) & 1) + (flags & 1);
}

/** Where the last segment ended: no more than 65535 behind its number. */
// @ts-ignore: decorator
@inline
function lastEnd(connection: Connection): u32 { return connection.lastSequence + connection.lastLength; }

function timeoutAfter(connection: Connection, kind: u32, to: u8): u64 {
  const timeout = tcpTimeout(to);
  if (connection.retransmissions >= MAX_RETRANSMISSIONS && timeout > RETRANSMISSION_TIMEOUT) return RETRANSMISSION_TIMEOUT;
  if (kind == Kind.RST) return tcpTimeout(CL);
  const flags = directionOf(connection, 0).flags | directionOf(connection, 1).flags;
  if (flags & DATA_UNACKNOWLEDGED && timeout > UNACKNOWLEDGED_TIMEOUT) return UNACKNOWLEDGED_TIMEOUT;
  if (!connection.lastWindow && timeout > RETRANSMISSION_TIMEOUT) return RETRANSMISSION_TIMEOUT;
  return timeout;
}

/** A SYN in TIME_WAIT or CLOSE: does a new connection begin, for the old one was closed or its sender gave it up? */
function reopens(connection: Connection, reply: u32): bool {
  if ((directionOf(connection, 0).flags | directionOf(connection, 1).flags) & CLOSE_INIT) return true;
  return connection.lastDirection == reply && connection.lastIndex == Kind.RST;
}

/** A SYN-ACK to the SYN that was ignored last? */
function answersIgnored(connection: Connection, reply: u32, kind: u32, segment: usize): bool {
  return kind == Kind.SYN_ACK && connection.lastIndex == Kind.SYN && connection.lastDirection != reply &&
    tcp.acknowledgment(segment) == lastEnd(connection);
}

/** The SYN that was ignored is taken for what its direction has sent; the other direction has yet to say. */
function resume(connection: Connection, reply: u32): void {
  connection.lastFlags &= ~CHALLENGE_ACK;
  const opener = directionOf(connection, connection.lastDirection);
  opener.end = lastEnd(connection);
  opener.maxEnd = opener.end;
  opener.maxWindow = max<u32>(connection.lastWindow, 1);
  opener.scale = connection.lastScale;
  opener.flags = connection.lastFlags;
  const answerer = directionOf(connection, reply);
  answerer.end = 0;
  answerer.maxEnd = 0;
  answerer.maxWindow = 0;
  answerer.maxAck = 0;
  answerer.scale = 0;
  answerer.flags &= BE_LIBERAL;
}

/** Passes it, and keeps what a later answer to it will be known by. */
function ignore(connection: Connection, reply: u32, kind: u32, segment: usize, length: u32): i32 {
  connection.lastIndex = <u8>kind;
  connection.lastDirection = <u8>reply;
  connection.lastSequence = tcp.sequence(segment);
  connection.lastLength = <u16>(endOf(segment, length) - connection.lastSequence);
  connection.lastWindow = <u16>tcp.window(segment);
  if (kind == Kind.SYN && !reply) {
    scanOptions(segment);
    connection.lastFlags = connection.state == LA ? scanned | CHALLENGE_ACK : scanned;
    connection.lastScale = scannedScale;
  }
  // A challenge ACK perhaps; a RST with this number may follow.
  if (connection.state == SS && kind == Kind.ACK && reply) connection.lastAck = tcp.acknowledgment(segment);
  return ACCEPT;
}

// @ts-ignore: decorator
@inline
function challenges(connection: Connection, reply: u32): bool {
  return connection.lastDirection != reply && connection.lastIndex == Kind.SYN && (connection.lastFlags & CHALLENGE_ACK) != 0;
}

enum Reset { REFUSE, STAY, CLOSE, CLOSE_UNCHECKED }

/** Is a RST what its sender's peer would believe (RFC 5961, 3)? A blind one must not close the entry. */
function weighReset(connection: Connection, reply: u32, segment: usize): Reset {
  const state = connection.state;
  // It is closing: the ports may be in use again, and the windows mean nothing.
  if (state >= FW && state <= CL) return Reset.CLOSE_UNCHECKED;

  const last = connection.lastIndex;
  const sequence = tcp.sequence(segment);
  const acknowledgment = tcp.acknowledgment(segment);
  const peer = directionOf(connection, reply ^ 1);
  // After a SYN that was let through, what the peer has acknowledged may be out of date.
  if (peer.flags & MAX_ACK_SET && last != Kind.SYN) {
    const established = state == ES && (connection.status & ASSURED) != 0;
    // Most likely the answer to a SYN that was let through.
    if (!sequence && !established) return Reset.CLOSE;
    if (before(sequence, peer.maxAck)) return Reset.REFUSE;
    if (!established || sequence == peer.maxAck) return Reset.CLOSE;
    // Right behind its sender's last data, which the peer has not acknowledged yet.
    if (last == Kind.ACK && connection.lastDirection == reply && sequence == lastEnd(connection)) return Reset.CLOSE;
    // Not the exact number: the peer will challenge it.
    return Reset.STAY;
  }
  // The answer to a SYN or an ACK that was ignored.
  if (acknowledgment == lastEnd(connection)) {
    if (last == Kind.SYN && connection.status & SEEN_REPLY) return Reset.CLOSE_UNCHECKED;
    if (last == Kind.ACK && !(connection.status & ASSURED)) return Reset.CLOSE_UNCHECKED;
  }
  // The answer to a challenge ACK that was let through.
  if (state == SS && last == Kind.ACK && connection.lastDirection == 1 && sequence == connection.lastAck) return Reset.CLOSE_UNCHECKED;
  return Reset.CLOSE;
}

enum Window { IGNORE, OUTSIDE, INSIDE }

/** One that picked up in the middle passes, but what it says is not believed. */
// @ts-ignore: decorator
@inline
function unless(sender: Direction, verdict: Window): Window {
  return sender.flags & BE_LIBERAL ? Window.INSIDE : verdict;
}

// For each direction: end = the highest number after what it has sent; maxEnd = how far its peer's windows let it go;
// maxWindow = the largest window that it has offered, scaled; maxAck = the highest number that it has acknowledged.
// A segment fits when
//   sequence <= sender.maxEnd                        it does not run over the receiver's window
//   end      >= sender.end - receiver.maxWindow      it is not older than a window
//   sack     <= receiver.end                         it acknowledges what was sent
//   sack     >= receiver.end - MIN_ACK_WINDOW        and not something long past
// where sack is the highest edge that its SACK blocks reach, or its acknowledgment.
function inWindow(connection: Connection, reply: u32, kind: u32, segment: usize, length: u32): Window {
  const sender = directionOf(connection, reply);
  const receiver = directionOf(connection, reply ^ 1);
  const flags = tcp.flags(segment);
  const rawWindow = tcp.window(segment);
  let sequence = tcp.sequence(segment);
  let end = endOf(segment, length);
  let acknowledgment = tcp.acknowledgment(segment);
  let sack = acknowledgment;
  if (receiver.flags & SACK_PERMITTED) sack = highestSack(segment, sack);

  if (!sender.maxWindow) {
    // The first of its direction.
    if (flags & tcp.SYN) {
      begin(sender, receiver, reply, segment, end, rawWindow);
      if (!(flags & tcp.ACK)) return Window.INSIDE; // simultaneous open
    } else {
      sender.end = end;
      sender.maxWindow = max(rawWindow << <u32>sender.scale, 1);
      sender.maxEnd = end + sender.maxWindow;
      if (!receiver.maxWindow) {
        receiver.end = sack;
        receiver.maxEnd = sack;
      } else if (sack == receiver.end + 1) receiver.end++; // the answer to a keepalive
    }
  } else if (flags & tcp.SYN && after(end, sender.end) && (connection.state == SS || connection.state == SR)) {
    // Begun anew with a higher number, as RFC 9293 (3.6.1) wants it.
    begin(sender, receiver, reply, segment, end, rawWindow);
    if (reply && !(flags & tcp.ACK)) return Window.INSIDE;
  }

  // Some stacks send a RST with the ACK flag and no number.
  if (!(flags & tcp.ACK) || (flags & tcp.RST && !acknowledgment)) {
    acknowledgment = receiver.end;
    sack = receiver.end;
  }
  // A RST that answers a SYN.
  if (flags & tcp.RST && !sequence && connection.state == SS) {
    sequence = sender.end;
    end = sender.end;
  }

  if (fits(sender, receiver, sequence, end, sack)) {
    follow(connection, reply, sender, receiver, flags, kind, sequence, end, acknowledgment, sack, rawWindow, false);
    return Window.INSIDE;
  }
  const ackWindow = max(sender.maxWindow, MIN_ACK_WINDOW);
  if (!before(sequence, sender.maxEnd + 1)) {
    const overshot = end - sender.maxEnd + 1;
    if (
      receiver.maxWindow && overshot <= receiver.maxWindow &&
      after(end, sender.end - receiver.maxWindow - 1) &&
      after(sack, receiver.end - ackWindow - 1) && before(sack, receiver.end + 1)
    ) {
      // More than the window allows, and nothing else is wrong: if it is acknowledged, we want to follow.
      sender.end = end;
      sender.flags |= DATA_UNACKNOWLEDGED;
      return unless(sender, Window.IGNORE);
    }
    return unless(sender, Window.OUTSIDE);
  }
  if (!before(sack, receiver.end + 1)) return unless(sender, Window.OUTSIDE);
  return unless(sender, Window.IGNORE);
}

/** The four conditions above. */
// @ts-ignore: decorator
@inline
function fits(sender: Direction, receiver: Direction, sequence: u32, end: u32, sack: u32): bool {
  // One by one: what `&&` compiles to costs a few instructions each.
  if (<i32>(sequence - sender.maxEnd - 1) >= 0) return false;
  if (<i32>(sack - receiver.end - 1) >= 0) return false;
  if (<i32>(sack - (receiver.end - max(sender.maxWindow, MIN_ACK_WINDOW) - 1)) <= 0) return false;
  if (!receiver.maxWindow) return true;
  return <i32>(end - (sender.end - receiver.maxWindow - 1)) > 0;
}

/** What a segment that fits says of both ends. `open`, a constant: of a connection that is (`tcpOpen`). */
// @ts-ignore: decorator
@inline
function follow(
  connection: Connection, reply: u32, sender: Direction, receiver: Direction, flags: u32, kind: u32,
  sequence: u32, end: u32, acknowledgment: u32, sack: u32, rawWindow: u32, open: bool,
): void {
  let window = rawWindow;
  // The window of a SYN is never scaled (RFC 7323, 2.2).
  if (!(flags & tcp.SYN)) window <<= <u32>sender.scale;
  const offered = window + (sack - acknowledgment);
  if (offered > sender.maxWindow) sender.maxWindow = offered;
  if (after(end, sender.end)) {
    sender.end = end;
    sender.flags |= DATA_UNACKNOWLEDGED;
  }
  if (open) {
    if (after(acknowledgment, sender.maxAck)) sender.maxAck = acknowledgment;
    if (after(end, sender.maxEnd)) receiver.maxWindow += end - sender.maxEnd;
  } else {
    if (flags & tcp.ACK && (!(sender.flags & MAX_ACK_SET) || after(acknowledgment, sender.maxAck))) {
      sender.maxAck = acknowledgment;
      sender.flags |= MAX_ACK_SET;
    }
    if (receiver.maxWindow && after(end, sender.maxEnd)) receiver.maxWindow += end - sender.maxEnd;
  }
  if (after(sack + window, receiver.maxEnd - 1)) receiver.maxEnd = sack + max(window, 1);
  if (acknowledgment == receiver.end) receiver.flags &= ~DATA_UNACKNOWLEDGED;
  if (kind == Kind.ACK) remember(connection, reply, sequence, end, acknowledgment, rawWindow);
}

/** Is it the ACK that came last, once more? */
// @ts-ignore: decorator
@inline
function remember(connection: Connection, reply: u32, sequence: u32, end: u32, acknowledgment: u32, rawWindow: u32): void {
  // Data moves on, and the first difference tells.
  if (connection.lastSequence == sequence) {
    const differs =
      (connection.lastDirection ^ reply) | (connection.lastAck ^ acknowledgment) | (connection.lastLength ^ (end - sequence)) | (connection.lastWindow ^ rawWindow);
    if (!differs) {
      connection.retransmissions++;
      return;
    }
  }
  connection.lastDirection = <u8>reply;
  connection.lastSequence = sequence;
  connection.lastAck = acknowledgment;
  connection.lastLength = <u16>(end - sequence);
  connection.lastWindow = <u16>rawWindow;
  connection.retransmissions = 0;
}

/** Has this segment no options, or none that say what is acknowledged? */
// @ts-ignore: decorator
@inline
export function plainOptions(segment: usize): bool {
  const header = tcp.headerLength(segment);
  return header == tcp.LENGTH || (header == tcp.LENGTH + 12 && load<u32>(segment, tcp.LENGTH) == TIMESTAMPS_ALONE);
}

/**
 * Would an ACK (with `plainOptions`, and no SYN or RST) fit into this connection, which is up and answered? Changes
 * nothing: the flow table asks each connection of a way before it moves the first.
 */
export function tcpFollows(connection: Connection, reply: u32, sequence: u32, acknowledgment: u32, end: u32): bool {
  if (!tcpSettled(connection)) return false;
  const sender = directionOf(connection, reply);
  if (!sender.maxWindow) return false;
  return fits(sender, directionOf(connection, reply ^ 1), sequence, end, acknowledgment);
}

/** Does another connection stand exactly where this one does? Then whatever moves this one on moves that one to the same place. */
export function tcpTwins(connection: Connection, other: Connection): bool {
  const x = changetype<usize>(connection);
  const y = changetype<usize>(other);
  const low = v128.or(v128.xor(v128.load(x, WINDOWS), v128.load(y, WINDOWS)), v128.xor(v128.load(x, WINDOWS + 16), v128.load(y, WINDOWS + 16)));
  if (v128.any_true(v128.or(low, v128.xor(v128.load(x, WINDOWS + 32), v128.load(y, WINDOWS + 32))))) return false;
  if (load<u16>(x, LAST) != load<u16>(y, LAST) || load<u32>(x, STATE) != load<u32>(y, STATE)) return false;
  return (other.status & (SEEN_REPLY | ASSURED | DYING)) == (SEEN_REPLY | ASSURED);
}
// Where what TCP keeps begins: 4 bytes that ACKs of an open connection leave as they are, then 2 and 48 that they move.
const STATE: usize = offsetof<Connection>("state");
const LAST: usize = offsetof<Connection>("lastDirection");
const WINDOWS: usize = offsetof<Connection>("lastWindow");

/** `other` gets what `connection` has followed so far. */
export function tcpCopy(connection: Connection, other: Connection): void {
  // Not memory.copy, which is a call out of the module.
  const from = changetype<usize>(connection);
  const to = changetype<usize>(other);
  store<u32>(to, load<u32>(from, STATE), STATE);
  store<u16>(to, load<u16>(from, LAST), LAST);
  for (let i = WINDOWS; i < WINDOWS + 48; i += 16) v128.store(to + i, v128.load(from + i));
}

/** Is it up, with windows and an acknowledgment of both ends? */
export function tcpOpen(connection: Connection): bool {
  const one = directionOf(connection, 0);
  const other = directionOf(connection, 1);
  return tcpSettled(connection) && connection.lastIndex == <u8>Kind.ACK && one.maxWindow != 0 && other.maxWindow != 0 && (one.flags & other.flags & MAX_ACK_SET) != 0;
}

/** How long it lasts after the ACK that it followed last. */
export function tcpIdle(connection: Connection): u64 { return timeoutAfter(connection, Kind.ACK, ES); }

/** Would an ACK fit into a connection that is open? `fits`, in one piece: each difference below 0 is one that does not. */
// @ts-ignore: decorator
@inline
export function tcpFitsOpen(connection: Connection, reply: u32, sequence: u32, acknowledgment: u32, end: u32): bool {
  const sender = directionOf(connection, reply);
  const receiver = directionOf(connection, reply ^ 1);
  const ahead = sender.maxEnd - sequence;
  const unsent = receiver.end - acknowledgment;
  const long = acknowledgment - receiver.end + max(sender.maxWindow, MIN_ACK_WINDOW) + 1;
  const old = end - sender.end + receiver.maxWindow + 1;
  return <i32>(ahead | unsent | long | (long - 1) | old | (old - 1)) >= 0;
}

/** Moves an open connection, whose last segment was an ACK, on by such an ACK; its deadline is left to `tcpIdle`. */
// @ts-ignore: decorator
@inline
export function tcpFollowOpen(connection: Connection, reply: u32, sequence: u32, acknowledgment: u32, end: u32, rawWindow: u32): void {
  const sender = directionOf(connection, reply);
  follow(connection, reply, sender, directionOf(connection, reply ^ 1), tcp.ACK, Kind.ACK, sequence, end, acknowledgment, acknowledgment, rawWindow, true);
  connection.lastDirection = <u8>reply;
}

/** Moves a connection that `tcpFollows` on, as `tcpPacket` would; `fin`: 1 if the ACK is a FIN as well, which `end` has counted. */
export function tcpFollow(
  connection: Connection, reply: u32, fin: u32, sequence: u32, acknowledgment: u32, end: u32, rawWindow: u32, time: u64,
): void {
  const sender = directionOf(connection, reply);
  const kind: u32 = fin ? Kind.FIN : Kind.ACK;
  follow(connection, reply, sender, directionOf(connection, reply ^ 1), tcp.ACK, kind, sequence, end, acknowledgment, acknowledgment, rawWindow, false);
  connection.lastIndex = <u8>kind;
  connection.lastDirection = <u8>reply;
  if (fin) {
    connection.state = FW;
    sender.flags |= CLOSE_INIT;
  }
  connection.deadline = time + timeoutAfter(connection, kind, fin ? FW : ES);
}

/** Is it established, and answered? */
// @ts-ignore: decorator
@inline
function tcpSettled(connection: Connection): bool {
  return connection.state == ES && (connection.status & (SEEN_REPLY | ASSURED | DYING)) == (SEEN_REPLY | ASSURED);
}

/** A direction begins with its SYN or SYN-ACK. Windows are scaled only if both ends said so (RFC 7323, 2.2). */
function begin(sender: Direction, receiver: Direction, reply: u32, segment: usize, end: u32, window: u32): void {
  sender.end = end;
  sender.maxEnd = end;
  sender.maxWindow = max(window, 1);
  readOptions(segment, sender);
  if (reply && !(sender.flags & receiver.flags & WINDOW_SCALE)) {
    sender.scale = 0;
    receiver.scale = 0;
  }
}

/** A FIN or RST outside of the window, and the other end's before it: the connection is dead, and five days are too long. */
function shorten(connection: Connection, reply: u32, kind: u32, time: u64): void {
  if (!(connection.status & ASSURED) || (kind != Kind.RST && kind != Kind.FIN)) return;
  const last = connection.lastIndex;
  if (connection.lastDirection != reply && (last == Kind.FIN || last == Kind.RST)) {
    connection.deadline = min(connection.deadline, time + UNACKNOWLEDGED_TIMEOUT);
  } else {
    connection.lastIndex = <u8>kind;
    connection.lastDirection = <u8>reply;
  }
}

/** What a SYN says: window scale and SACK. Without any option the direction stays as it is. */
function readOptions(segment: usize, direction: Direction): void {
  if (tcp.headerLength(segment) == tcp.LENGTH) return;
  scanOptions(segment);
  direction.scale = scannedScale;
  direction.flags = (direction.flags & BE_LIBERAL) | scanned;
}

let scanned: u8 = 0;
let scannedScale: u8 = 0;

function scanOptions(segment: usize): void {
  scanned = 0;
  scannedScale = 0;
  let at = segment + tcp.LENGTH;
  const end = segment + tcp.headerLength(segment);
  while (at < end) {
    const option = <u32>load<u8>(at);
    if (option == tcp.OPTION_END) return;
    if (option == tcp.OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const size = <usize>load<u8>(at, 1);
    if (size < 2 || at + size > end) return;
    if (option == tcp.OPTION_SACK_PERMITTED && size == 2) scanned |= SACK_PERMITTED;
    else if (option == tcp.OPTION_WINDOW_SCALE && size == 3) {
      scanned |= WINDOW_SCALE;
      scannedScale = min(load<u8>(at, 2), MAX_SCALE);
    }
    at += size;
  }
}

/** NOP, NOP, timestamps of 10 bytes, as loaded: what most segments carry and nothing else. */
const TIMESTAMPS_ALONE: u32 = 0x0a080101;

function highestSack(segment: usize, acknowledgment: u32): u32 {
  let at = segment + tcp.LENGTH;
  const end = segment + tcp.headerLength(segment);
  if (at == end || (end - at == 12 && load<u32>(at) == TIMESTAMPS_ALONE)) return acknowledgment;
  while (at < end) {
    const option = <u32>load<u8>(at);
    if (option == tcp.OPTION_END) break;
    if (option == tcp.OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) break;
    const size = <usize>load<u8>(at, 1);
    if (size < 2 || at + size > end) break;
    if (option == tcp.OPTION_SACK && size >= 10 && ((size - 2) & 7) == 0) {
      let highest = acknowledgment;
      for (let block = at + 2; block < at + size; block += 8) {
        const edge = bswap<u32>(load<u32>(block, 4));
        if (after(edge, highest)) highest = edge;
      }
      return highest;
    }
    at += size;
  }
  return acknowledgment;
}
