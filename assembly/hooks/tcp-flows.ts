// What the flow table asks of TCP's connections, and how it moves them: by segments that are more of the same.

import * as tcp from "../wire/tcp";
import { ASSURED, Connection, DYING, SEEN_REPLY, directionOf } from "../tables/connections";
import { CLOSE_INIT, ES, FW, Kind, MAX_ACK_SET, timeoutAfter } from "./tcp-states";
import { MIN_ACK_WINDOW, fits, follow } from "./tcp-windows";

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
