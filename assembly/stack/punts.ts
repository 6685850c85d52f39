// The ring to JavaScript: what TypeScript must answer (a request's bytes, a datagram, a new connection) gathers here
// until the run loop reaches the horizon, that is, until a fixed service delay after the first record. TypeScript then
// reads everything at once and clears it, so the ring is a plain buffer that fills from its start.
//
//  0      4      8           16          20       24   28   32
//  | size | kind | time u64  | socket id | length | a  | b  | data ... | pad to 8
//
// `size` counts the whole record, pad included; `length` the data alone. Little-endian, as wasm stores; addresses and
// ports inside the data are in network byte order. Kinds below; V6_PUNT is added for IPv6.

import { reserve } from "../memory";

export enum Punt {
  /** A connection on a listener: socket = the new one, a = the listener's id, b = local address; data: remote address, remote port. */
  ACCEPTED = 1,
  /** `tcpConnect` has come through: a = local address, b = local port. */
  CONNECTED,
  /** Bytes of a TCP stream, in order. */
  DATA,
  /** The peer will send no more. */
  FIN,
  /** Over, in order, from both sides or by `tcpAbort`. The last record of its socket. */
  CLOSED,
  /** The peer has reset the connection. The last record of its socket. */
  RESET,
  /** It never came to be, or got no answer any more: a = Failure. The last record of its socket. */
  FAILED,
  /** UDP: a = local address, b = local port; data: remote address 4, remote port 2, pad 2, payload. */
  DATAGRAM,
  /** a = identifier (as loaded), b = sequence; data: source address 4, ttl 1, pad 3, payload length u32. socket = namespace id. */
  ECHO_REPLY,
  /** ICMP about a UDP socket: a = type << 8 | code, b = info (next-hop MTU); data: remote address 4, remote port 2, pad 2, who says so 4. */
  ERROR,
  /** `tcpWrite` took less than it was given; there is room again. */
  WRITABLE,
  /** ICMP about an echo request: a, b and data as in ERROR, identifier for port, then its sequence 4 (host order). socket = namespace id. */
  ECHO_ERROR,
}

/** Added to the kind of a record whose remote address is an IPv6 one: 16 bytes instead of 4. */
export const V6_PUNT: u32 = 0x100;

/** Why a connection FAILED (Linux: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH). */
export enum Failure { REFUSED = 1, TIMEOUT, UNREACHABLE }

const SIZE: u32 = 1 << 20;
/** The run loop stops when less than this is left. */
const RESERVE: u32 = 128 << 10;
const HEADER: u32 = 32;
const at = reserve(SIZE);
let used: u32 = 0;
let serviceDelay: u64 = 50_000;

/** Payload never takes the last of the room: what becomes of a connection must always find a place. */
const CONTROL: u32 = 16 << 10;

/** Room for a record with `length` bytes of payload? */
// @ts-ignore: decorator
@inline
export function puntRoom(length: u32): bool { return used + HEADER + length + 7 + CONTROL <= SIZE; }

/**
 * Appends a record and returns where its `length` data bytes go, or 0 when the ring is full. The pad is zeroed, the
 * data is the caller's to write. Whoever appends payload asks `puntRoom` first.
 */
export function punt(kind: u32, time: u64, socket: u32, length: u32, a: u32, b: u32): usize {
  if (used + HEADER + length + 7 > SIZE) return 0;
  const size = (HEADER + length + 7) & ~7;
  const p = at + used;
  used += size;
  store<u64>(p + size - 8, 0); // the pad; the header's last word when there is no data
  store<u32>(p, size);
  store<u32>(p, kind, 4);
  store<u64>(p, time, 8);
  store<u32>(p, socket, 16);
  store<u32>(p, length, 20);
  store<u32>(p, a, 24);
  store<u32>(p, b, 28);
  return p + HEADER;
}

export function puntsAt(): usize { return at; }
export function puntsLength(): u32 { return used; }
export function clearPunts(): void { used = 0; }
export function puntsFull(): bool { return SIZE - used < RESERVE; }

/** No answer before this long after a record's time, ns. */
export function setServiceDelay(ns: u64): void { serviceDelay = ns; }

/** Until when the clock may run before TypeScript must have read the ring: the largest u64 when it is empty. */
export function puntHorizon(): u64 {
  return used ? load<u64>(at, 8) + serviceDelay : u64.MAX_VALUE;
}
