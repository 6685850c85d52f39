// TCP's windows as conntrack keeps them (nf_conntrack_proto_tcp.c, tcp_in_window): can a segment belong to the connection, and what
// does it say of both ends?

import * as tcp from "../wire/tcp";
import { after, before } from "../wire/tcp";
import { Connection, Direction, directionOf } from "../tables/connections";
import { highestSack, readOptions } from "./tcp-options";
import { BE_LIBERAL, DATA_UNACKNOWLEDGED, Kind, MAX_ACK_SET, SACK_PERMITTED, SR, SS, WINDOW_SCALE } from "./tcp-states";

/** An ACK may lag behind what the other end has sent by that much, or by the largest window seen. */
export const MIN_ACK_WINDOW: u32 = 66000;

/** The sequence number after its last byte; SYN and FIN count as one. */
// @ts-ignore: decorator
@inline
export function endOf(segment: usize, length: u32): u32 {
  const flags = tcp.flags(segment);
  return tcp.sequence(segment) + length - tcp.headerLength(segment) + ((flags >>> 1) & 1) + (flags & 1);
}

/** Where the last segment ended: no more than 65535 behind its number. */
// @ts-ignore: decorator
@inline
export function lastEnd(connection: Connection): u32 { return connection.lastSequence + connection.lastLength; }

export enum Window { IGNORE, OUTSIDE, INSIDE }

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
export function inWindow(connection: Connection, reply: u32, kind: u32, segment: usize, length: u32): Window {
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
export function fits(sender: Direction, receiver: Direction, sequence: u32, end: u32, sack: u32): bool {
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
export function follow(
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
