// Conntrack's UDP (nf_conntrack_udp_packet): a datagram keeps its connection for half a minute; a stream, which is answered and
// still alive two seconds after its first datagram, for two. What the flow table asks of it stands here, too.
//
// A packet's time runs ahead by the hops that it has taken, so one that is handled later may have met its connection earlier. A
// clock does not go back, and so no deadline of a living connection does.

import { ASSURED, Connection, SEEN_REPLY, setStreamAt, streamAt } from "../tables/connections";

const SECOND: u64 = 1_000_000_000;
const TIMEOUT: u64 = 30 * SECOND;
const STREAM_TIMEOUT: u64 = 120 * SECOND;
const STREAM_AFTER: u64 = 2 * SECOND;

/** The first datagram of a connection. */
export function udpNew(connection: Connection, time: u64): void {
  setStreamAt(connection, time + STREAM_AFTER);
  connection.deadline = time + TIMEOUT;
}

/** Is a connection a stream for the datagram of this time? */
// @ts-ignore: decorator
@inline
function streams(connection: Connection, time: u64): bool { return connection.status & SEEN_REPLY && time > streamAt(connection); }

// @ts-ignore: decorator
@inline
function keep(connection: Connection, time: u64, stream: bool): void {
  connection.deadline = max(connection.deadline, time + (stream ? STREAM_TIMEOUT : TIMEOUT));
}

/** Moves a connection on. */
// @ts-ignore: decorator
@inline
export function udpFollow(connection: Connection, time: u64): void {
  const stream = streams(connection, time);
  if (stream) connection.status |= ASSURED;
  keep(connection, time, stream);
}

/** Would that leave its status as it is? */
// @ts-ignore: decorator
@inline
export function udpFollows(connection: Connection, time: u64): bool { return connection.status & ASSURED || !streams(connection, time); }

/** Will each datagram from `time` on, of a direction that has been seen, leave it as it is, but for its time? */
export function udpSteady(connection: Connection, time: u64): bool {
  if (!(connection.status & SEEN_REPLY)) return true;
  return connection.status & ASSURED && streams(connection, time);
}
/** As one that is: does another one last as long? */
export function udpTwins(connection: Connection, other: Connection, time: u64): bool {
  return !((connection.status ^ other.status) & SEEN_REPLY) && udpSteady(other, time);
}
/** How long one lasts then. */
export function udpIdle(connection: Connection): u64 { return connection.status & SEEN_REPLY ? STREAM_TIMEOUT : TIMEOUT; }
