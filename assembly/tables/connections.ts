// Connections: conntrack's entries, found by either tuple (struct nf_conn).
//
// A tuple is a 16-byte key: a = source | destination << 32, b = source port | destination port << 16 |
// protocol << 32 | namespace << 40, addresses and ports in network byte order; over IPv6 bit 63 of b is set, and a has the numbers
// of addresses (tables/addresses6). ICMP echo: both "ports" hold the
// identifier and type/code as the kernel's tuple does (source = id, destination = type | code << 8).
// A new connection belongs to its frame alone until it is confirmed at the last hook; then both tuples are in the index.

import { Pool } from "../memory";
import { CELL, ensureCells, freeCells, giveCell, nextCells, takeCell } from "../cells";
import { Frame } from "../frame";
import { Of } from "./generation";
import { Index, Search } from "./hash";
import { Namespace } from "../stack/namespace";
import { Change, noteChange, watching } from "./events";
import { apart, met } from "../flowtable/groups";
import { isPast } from "../flowtable/tunnels";
import * as vxlan from "../wire/vxlan";

// Connection.status (enum ip_conntrack_status)
export const SEEN_REPLY: u16 = 2;
export const ASSURED: u16 = 4;
export const CONFIRMED: u16 = 8;
export const SRC_NAT: u16 = 16;
export const DST_NAT: u16 = 32;
export const SRC_NAT_DONE: u16 = 128;
export const DST_NAT_DONE: u16 = 256;
export const DYING: u16 = 512;

/** What conntrack keeps of one direction of a TCP connection (struct ip_ct_tcp_state): 18 bytes. */
@unmanaged
export class Direction {
  end: u32;
  maxEnd: u32;
  maxWindow: u32;
  maxAck: u32;
  scale: u8;
  flags: u8;
}

/**
 * 128 bytes, 64-byte aligned: a key's address tells which of the two tuples it is. The first line is who it is, the second how it
 * stands: all that an established packet needs. What only TCP keeps is 0 for other protocols.
 */
@unmanaged
export class Connection {
  originalA: u64;
  originalB: u64;
  replyA: u64;
  replyB: u64;
  namespace: Namespace;
  mark: u32;
  /** Frames that carry it while it is not confirmed. */
  frames: u16;
  /** TCP (hooks/conntrack-tcp): its state, what kind of segment came last, and what the last SYN that was ignored said. */
  state: u8;
  lastIndex: u8;
  lastScale: u8;
  lastFlags: u8;
  /**
   * The flows that move it, of either direction, as the lead of a group (flowtable/groups); or its lead, plus 1, and 0; or the first of the
   * flows that it waits for (flowtable/tunnels), plus 2, and 0.
   */
  mover0: usize;
  mover1: usize;
  /** The rules that chose its DNAT and SNAT, for captures' comments. */
  ruleDnat: u32;
  ruleSnat: u32;
  /** It is over at this virtual time; no sooner, while it is in a group or waits for flows. */
  deadline: u64;
  /** Its own for life, 0 when it is over: recorded flows know it again by that. */
  stamp: u32;
  status: u16;
  /** TCP, and of a group's lead: the direction of the last packet. */
  lastDirection: u8;
  retransmissions: u8;
  /** TCP's last segment: its window, what it took of the sequence, from where on, what it acknowledged. */
  lastWindow: u16;
  lastLength: u16;
  lastSequence: u32;
  lastAck: u32;
  /** Two `Direction`s, original then reply: `directionOf`. For UDP the first 8 bytes hold when it becomes a stream. */
  direction0: u32; direction1: u32; direction2: u32; direction3: u32; direction4: u32;
  direction5: u32; direction6: u32; direction7: u32; direction8: u32;
}
const AT_REPLY: usize = 16;

// @ts-ignore: decorator
@inline
export function directionOf(connection: Connection, reply: u32): Direction {
  return changetype<Direction>(changetype<usize>(connection) + offsetof<Connection>("direction0") + <usize>reply * offsetof<Direction>());
}
// @ts-ignore: decorator
@inline
export function streamAt(connection: Connection): u64 {
  return load<u64>(changetype<usize>(connection) + offsetof<Connection>("direction0"));
}
// @ts-ignore: decorator
@inline
export function setStreamAt(connection: Connection, time: u64): void {
  store<u64>(changetype<usize>(connection) + offsetof<Connection>("direction0"), time);
}

/** Tunnels' entries, few and met by everybody's packets, lie together, on few pages; all others in cells, beside their flows. */
const tunnels = new Pool(CELL, 512, Of.TRAFFIC, 8);
// @ts-ignore: decorator
@inline
function isTunnel(b: u64): bool { return protocolOf(b) == UDP && dportOf(b) == vxlan.PORT; }
function give(connection: Connection): void {
  if (isTunnel(connection.originalB)) tunnels.give(changetype<usize>(connection));
  else giveCell(changetype<usize>(connection));
}
const index = new Index(1024, Of.TRAFFIC);
/** Grows when one is confirmed or goes; for reports. */
export let liveConnections: u32 = 0;
let lastStamp: u32 = 0;
/** Counts those that went. */
export let goneConnections: u32 = 0;
/** No confirmed one's time runs out before this, ns: sweeps look for it. */
export let connectionsLast: u64 = 0;
export function lastingConnections(until: u64): void { connectionsLast = until; }

// @ts-ignore: decorator
@inline
export function keyA(source: u32, destination: u32): u64 { return <u64>source | (<u64>destination << 32); }
// @ts-ignore: decorator
@inline
export function keyB(namespace: u32, protocol: u32, sport: u32, dport: u32): u64 {
  return <u64>(sport | (dport << 16)) | (<u64>protocol << 32) | (<u64>namespace << 40);
}
// @ts-ignore: decorator
@inline
export function sourceOf(a: u64): u32 { return <u32>a; }
// @ts-ignore: decorator
@inline
export function destinationOf(a: u64): u32 { return <u32>(a >>> 32); }
// @ts-ignore: decorator
@inline
export function sportOf(b: u64): u32 { return <u32>b & 0xffff; }
// @ts-ignore: decorator
@inline
export function dportOf(b: u64): u32 { return <u32>b >>> 16; }
// @ts-ignore: decorator
@inline
export function protocolOf(b: u64): u32 { return <u32>(b >>> 32) & 0xff; }
/** Is it the second half of a tuple over IPv6? */
// @ts-ignore: decorator
@inline
export function overIpv6(b: u64): bool { return <i64>b < 0; }
const UPPER: u64 = 0xffffffff00000000;

// @ts-ignore: decorator
@inline
export function invertA(a: u64): u64 { return rotl<u64>(a, 32); }
/** The reply's ports: swapped; for ICMP (nf_conntrack_invert_icmp_tuple) the identifier stays and the type is answered. */
export function invertB(b: u64): u64 {
  if (isIcmp(protocolOf(b))) {
    const type = (<u32>b >>> 16) & 0xff;
    const code = <u32>b >>> 24;
    return (b & UPPER) | <u64>(sportOf(b) | (answerType(type) << 16) | (code << 24));
  }
  return (b & UPPER) | <u64>rotl<u32>(<u32>b, 16);
}
/** ICMP or ICMPv6: one identifier takes the place of two ports. */
// @ts-ignore: decorator
@inline
export function isIcmp(protocol: u32): bool { return protocol == 1 || protocol == 58; }
/** Echo of either family; the other questions of IPv4, and of IPv6 that for a node's name (RFC 4620). */
function answerType(type: u32): u32 {
  if (type == 8) return 0;
  if (type == 0) return 8;
  if (type >= 13 && type <= 18) return type & 1 ? type + 1 : type - 1;
  if (type == 128 || type == 129) return type ^ 1;
  if (type == 139 || type == 140) return 279 - type;
  return type;
}

/** Which tuple was found last: 0 original, 1 reply. */
export let foundReply: u32 = 0;

/** The connection with this tuple in either direction, over or not, or null. */
// @ts-ignore: decorator
@inline
export function seekConnection(a: u64, b: u64): Connection | null {
  const key = index.find(a, b);
  if (!key) return null;
  foundReply = <u32>(key & 63) >>> 4;
  const connection = changetype<Connection>(key & ~63);
  met(connection, foundReply);
  return connection;
}

/** The connection with this tuple in either direction, or null; one that is over at `time` goes (nf_ct_gc_expired). */
export function findConnection(a: u64, b: u64, time: u64): Connection | null {
  const connection = seekConnection(a, b);
  if (!connection) return null;
  if (isPast(connection, time)) {
    apart(connection);
    connection.deadline = 0;
    removeConnection(connection);
    return null;
  }
  return connection;
}

/** Is this reply tuple taken by another connection (nf_conntrack_tuple_taken)? */
export function tupleTaken(a: u64, b: u64, self: Connection, time: u64): bool {
  const found = findConnection(a, b, time);
  return found != null && found != self;
}

/** Has any connection this tuple, over or not? */
export function knownTuple(a: u64, b: u64): bool { return index.find(a, b) != 0; }

/** For prefetches: where a look-up of the tuple begins; the records of the next ones. */
export function connectionSlot(a: u64, b: u64): usize { return index.slotOf(a, b); }
export function nextConnection(): u32 { return nextCells(); }
export function nextTunnel(): u32 { return tunnels.lookAhead(); }

/** A new, unconfirmed connection of that original tuple, or null when the pool is empty. */
export function newConnection(namespace: Namespace, a: u64, b: u64): Connection | null {
  const at = isTunnel(b) ? tunnels.take(CELL) : takeCell();
  if (!at) return null;
  const connection = changetype<Connection>(at);
  connection.originalA = a;
  connection.originalB = b;
  connection.replyA = invertA(a);
  connection.replyB = invertB(b);
  connection.namespace = namespace;
  connection.stamp = ++lastStamp;
  return connection;
}

/** Both tuples go into the index. False: another packet has confirmed the same tuple before (a clash). */
export function confirmConnection(connection: Connection): bool {
  if (index.find(connection.originalA, connection.originalB) || index.find(connection.replyA, connection.replyB)) return false;
  return enterConnection(connection);
}

/** The caller knows that both tuples are free. False: there is no room. */
export function enterConnection(connection: Connection): bool {
  const at = changetype<usize>(connection);
  if (!index.insert(at)) return false;
  if (connection.originalA != connection.replyA || connection.originalB != connection.replyB) index.insert(at + AT_REPLY);
  connection.status |= CONFIRMED;
  connection.namespace.connections++;
  liveConnections++;
  if (watching) noteChange(connection, Change.NEW, connection.deadline);
  return true;
}

/** Where several are opened at once: are there so many records, and so much room in the index? */
// @ts-ignore: decorator
@inline
export function roomForConnections(count: u32): bool { return min(freeCells, tunnels.free) >= count && index.hasRoom(2 * count); }
/** Where the look-up of a tuple begins, and who has it, over or not (foundReply): in a group perhaps, which knows more of it. */
// @ts-ignore: decorator
@inline
export function askConnection(tuple: Search): usize { return index.ask(tuple); }
// @ts-ignore: decorator
@inline
export function seekTuple(tuple: Search): Connection | null {
  const key = index.seek(tuple);
  foundReply = <u32>(key & 63) >>> 4;
  return changetype<Connection | null>(key & ~63);
}
/** `enterConnection` for one whose tuples have been looked for and are not the same, while nobody watches. */
export function enterTuples(connection: Connection, original: Search, reply: Search): void {
  index.enter(original, changetype<usize>(connection));
  index.enter(reply, changetype<usize>(connection) + AT_REPLY);
  connection.status |= CONFIRMED;
  connection.namespace.connections++;
  liveConnections++;
}

export function removeConnection(connection: Connection): void {
  apart(connection);
  if (watching && !(connection.status & DYING)) noteChange(connection, Change.DESTROY, connection.deadline);
  const at = changetype<usize>(connection);
  connection.stamp = 0;
  goneConnections++;
  index.remove(at);
  index.remove(at + AT_REPLY);
  connection.namespace.connections--;
  liveConnections--;
  give(connection);
}

/**
 * `conntrack -D`: a namespace's connections of one family that NAT leads to `address` or from it (`--any-nat`), or those of UDP
 * whose first packet was for `port`; 0 stands for none. How many went.
 */
export function forgetConnections(namespace: Namespace, address: u32, port: u32, v6: bool): u32 {
  let gone: u32 = 0;
  const gap = index.gap;
  for (let n: u32 = 1; namespace.connections && n < index.capacity; n++) {
    const at = connectionIn((gap - n) & index.mask);
    if (!at || changetype<Connection>(at).namespace != namespace) continue;
    const connection = changetype<Connection>(at);
    if (overIpv6(connection.originalB) != v6) continue;
    const translated = address != 0 && (sourceOf(connection.replyA) == address || destinationOf(connection.replyA) == address);
    const published = port != 0 && protocolOf(connection.originalB) == UDP && dportOf(connection.originalB) == port;
    if (!translated && !published) continue;
    removeConnection(connection);
    gone++;
  }
  return gone;
}
const UDP: u32 = 17;

/** A frame ends, or leaves the namespace, with a connection that was never confirmed. */
export function releaseUnconfirmed(frame: Frame): void {
  const connection = frame.connection!;
  frame.connection = null;
  if (connection.status & CONFIRMED) return;
  if (--connection.frames == 0) give(connection);
}

/** The frame waits, and its connection may end meanwhile: an entry of the table's is let go. One that is not in it yet is the frame's own. */
export function letGo(frame: Frame): void {
  const connection = frame.connection;
  if (!connection || !(connection.status & CONFIRMED)) return;
  frame.letGo = connection;
  frame.stamp = connection.stamp;
  frame.connection = null;
}
/** And taken back, if it is there still. */
export function takeBack(frame: Frame): void {
  const connection = frame.letGo;
  frame.letGo = null;
  if (connection && connection.stamp == frame.stamp) frame.connection = connection;
}

/** One that no frame carries yet goes unconfirmed. */
export function giveConnection(connection: Connection): void { give(connection); }

export function ensureConnections(): void {
  ensureCells(1536);
  tunnels.ensure(1024);
  index.ensure(2048);
}

/** For sweeps: the connection whose original tuple is in index slot `i`, or 0; it may stand in a group, which knows more of it. */
export function connectionIn(i: u32): usize {
  if (i >= index.capacity) return 0;
  const key = index.keyAt(i);
  return key && (key & 63) == 0 ? key : 0;
}
/** For dumps: the same, with all that its group knows. */
export function connectionAt(i: u32): usize {
  const at = connectionIn(i);
  if (at) apart(changetype<Connection>(at));
  return at;
}
export function connectionSlots(): u32 { return index.capacity; }
/** For sweeps: where they begin, downwards (tables/hash). */
export function connectionGap(): u32 { return index.gap; }
