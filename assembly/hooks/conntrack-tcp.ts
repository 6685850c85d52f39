// How TCP moves a connection on (nf_conntrack_proto_tcp.c, Linux 6.1): its state and timeout (tcp-states), and whether a segment can
// belong to it at all, judged by both ends' windows (tcp-windows; van Rooij, "Real Stateful TCP Packet Filtering in IP Filter").
// Sysctls as they come: tcp_loose 1, tcp_be_liberal 0, tcp_max_retrans 3, tcp_no_window_check 0, tcp_ignore_invalid_rst 0.
//
// Conntrack stands between the two ends: a segment that it sees may be lost further on, and the windows that it keeps are
// a guess. So a segment that may be right after all passes and moves nothing (ignored); only one that cannot be right is
// refused (invalid).
//
// `segment` is the TCP header, `length` the bytes from there to the end of the IP packet.

import * as tcp from "../wire/tcp";
import { before } from "../wire/tcp";
import { ASSURED, Connection, DYING, SEEN_REPLY, directionOf, lastingConnections } from "../tables/connections";
import { readOptions, scanned, scannedScale, scanOptions } from "./tcp-options";
import {
  BE_LIBERAL, CHALLENGE_ACK, CL, CLOSE_INIT, ES, FW, IG, Kind, kindOf, LA, MAX_ACK_SET, NO, S2, SACK_PERMITTED, SIMULTANEOUS_OPEN,
  SR, SS, timeoutAfter, transition, TW, UNACKNOWLEDGED_TIMEOUT, XX,
} from "./tcp-states";
import { endOf, inWindow, lastEnd, Window } from "./tcp-windows";

// What tcpPacket answers.
export const ACCEPT: i32 = 1;
/** The packet goes on without a connection, as INVALID (-NF_ACCEPT). */
export const INVALID: i32 = 0;
export const DROP: i32 = -1;
/** The entry is over: destroy it, and the packet opens a new one (-NF_REPEAT). */
export const REPEAT: i32 = -2;

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
      lastingConnections(0);
      return ACCEPT;
    }
    // A client that tries a port over and over must not keep the entry, NAT and all, alive.
    if (kind == Kind.SYN && from == SS) return ACCEPT;
    if (to == ES) timeout = min(timeout, UNACKNOWLEDGED_TIMEOUT);
  } else if (to == ES && (from == SR || from == ES)) connection.status |= ASSURED;
  connection.deadline = time + timeout;
  return ACCEPT;
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

