// TCP's states as conntrack knows them (nf_conntrack_proto_tcp.c: tcp_conntracks, tcp_timeouts): which segment leads where, and how
// long each lasts.

import * as tcp from "../wire/tcp";
import { Connection, directionOf } from "../tables/connections";

/** In the kernel's order (enum tcp_conntrack). */
export enum TcpState { NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2 }

/** What a segment is to the table below: RST before SYN before FIN before ACK. */
export enum Kind { SYN, SYN_ACK, FIN, ACK, RST, NONE }

export const NO: u8 = <u8>TcpState.NONE;
export const SS: u8 = <u8>TcpState.SYN_SENT;
export const SR: u8 = <u8>TcpState.SYN_RECV;
export const ES: u8 = <u8>TcpState.ESTABLISHED;
export const FW: u8 = <u8>TcpState.FIN_WAIT;
export const CW: u8 = <u8>TcpState.CLOSE_WAIT;
export const LA: u8 = <u8>TcpState.LAST_ACK;
export const TW: u8 = <u8>TcpState.TIME_WAIT;
export const CL: u8 = <u8>TcpState.CLOSE;
export const S2: u8 = <u8>TcpState.SYN_SENT2;
/** Cannot be right. */
export const XX: u8 = 10;
/** May be right: passes and moves nothing. */
export const IG: u8 = 11;

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
export const WINDOW_SCALE: u8 = 1;
export const SACK_PERMITTED: u8 = 2;
/** It sent the first FIN. */
export const CLOSE_INIT: u8 = 4;
/** Picked up in the middle: its window scale is not known, so nothing of it is refused for its numbers. */
export const BE_LIBERAL: u8 = 8;
export const DATA_UNACKNOWLEDGED: u8 = 16;
export const MAX_ACK_SET: u8 = 32;
/** A SYN went through in LAST_ACK: the ACK that follows may be a challenge (RFC 5961, 4), not that of the FIN. */
export const CHALLENGE_ACK: u8 = 64;
export const SIMULTANEOUS_OPEN: u8 = 128;

// @ts-ignore: decorator
@inline
export function kindOf(flags: u32): u32 {
  if (flags & tcp.RST) return Kind.RST;
  if (flags & tcp.SYN) return flags & tcp.ACK ? Kind.SYN_ACK : Kind.SYN;
  if (flags & tcp.FIN) return Kind.FIN;
  return flags & tcp.ACK ? Kind.ACK : Kind.NONE;
}

// @ts-ignore: decorator
@inline
export function transition(reply: u32, kind: u32, from: u8): u8 {
  return load<u8>(TABLE + (<usize>reply * KINDS + <usize>kind) * STATES + <usize>from);
}

/** How long it lasts after a segment of that kind has led `to` there. */
export function timeoutAfter(connection: Connection, kind: u32, to: u8): u64 {
  const timeout = tcpTimeout(to);
  if (connection.retransmissions >= MAX_RETRANSMISSIONS && timeout > RETRANSMISSION_TIMEOUT) return RETRANSMISSION_TIMEOUT;
  if (kind == Kind.RST) return tcpTimeout(CL);
  const flags = directionOf(connection, 0).flags | directionOf(connection, 1).flags;
  if (flags & DATA_UNACKNOWLEDGED && timeout > UNACKNOWLEDGED_TIMEOUT) return UNACKNOWLEDGED_TIMEOUT;
  if (!connection.lastWindow && timeout > RETRANSMISSION_TIMEOUT) return RETRANSMISSION_TIMEOUT;
  return timeout;
}
