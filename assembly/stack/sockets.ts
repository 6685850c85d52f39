// Sockets: the records of UDP and TCP, found by their addresses (net/ipv4/udp.c __udp4_lib_lookup, inet_hashtables.c
// __inet_lookup), the ids by which JavaScript knows them, and port numbers.
//
// A key is a connection's tuple seen from here: a = local | remote << 32, b = local port | remote port << 16 |
// protocol << 32 | namespace << 40; a remote of 0 is anyone, a local address of 0 is every address of the namespace. A
// protocol with V6 is one over IPv6, whose addresses are numbers (tables/addresses6).
// A record is given back only when no event and no list can reach it any more (`references`), so a late timer finds a
// dead socket and never a stranger.

import { arena, Pool } from "../memory";
import { Frame, ensureFrames } from "../frame";
import { below } from "../random";
import { now } from "../clock/queue";
import { Of } from "../tables/generation";
import { Index } from "../tables/hash";
import { keyA, keyB } from "../tables/connections";
import { TCP } from "../wire/ipv4";
import { Namespace } from "./namespace";
import { ensureActions } from "./socket-actions";
import { ensureSendBuffers } from "./tcp-buffer";
import { closeSilently } from "./tcp-end";
import { sweepTimeWait } from "./time-wait";

export const NEVER: u64 = u64.MAX_VALUE;

/** TCP's states (RFC 9293 3.3.2). A UDP socket is BOUND. */
export enum State {
  CLOSED, LISTEN, SYN_SENT, SYN_RECEIVED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT, BOUND,
  /** The process is outside the simulation: what arrives is taken and not answered. */
  FOREIGN,
}

@unmanaged
export class Socket {
  /** The key in the index; must come first. */
  a: u64;
  b: u64;
  namespace: Namespace;
  /** JavaScript's handle; 0 once the last record about the socket is in the ring. */
  id: u32;
  /** Events in the clock's queue and lists that hold this record's address. */
  references: u32;
  /** Next in the TIME_WAIT list, oldest first. */
  next: Socket | null;
  state: State;
  protocol: u8;
  dead: u8;
  indexed: u8;
  local: u32;
  remote: u32;
  localPort: u32;
  remotePort: u32;
  /** Id of its next IP packet (inet_id), and the random transmit hash (sk_txhash). */
  ipId: u32;
  hash: u32;

  // LISTEN, and SYN_RECEIVED on behalf of a listener
  listener: u32;
  backlog: u32;
  backlogMax: u32;

  // What the peer said in its SYN, and what both agreed on
  timestamps: u8;
  sack: u8;
  scaling: u8;
  sendScale: u8;
  /** net.ipv4.tcp_window_scaling's result for a 6 MiB tcp_rmem: 7. */
  receiveScale: u8;
  noDelay: u8;
  /** IP_TTL; 0 is the default, 64. */
  ttl: u8;
  /** What must be put out at `workAt`: WORK_* of tcp-output. */
  work: u8;
  /** What `deadline` is for: TIMER_* of tcp-output. */
  timer: u8;

  // Sending (RFC 9293 3.3.1)
  initialSend: u32;
  sendUnacknowledged: u32;
  /** Goes back to `sendUnacknowledged` when the retransmission timer fires; `sendMax` never does. */
  sendNext: u32;
  sendMax: u32;
  /** The peer's window in bytes, and the segment that last told it. */
  sendWindow: u32;
  windowSequence: u32;
  windowAck: u32;
  /** End of all bytes written, and of those whose time has come. */
  writeEnd: u32;
  released: u32;
  /** End of the last segment that was smaller than the MSS (Minshall's variant of Nagle's algorithm). */
  smallEnd: u32;
  /** 1: close asked for, 2: its time has come: a FIN follows the data. */
  finQueued: u8;
  /** Nobody reads any more: data that still comes is answered by RST, as after close(). */
  orphan: u8;
  paused: u8;
  wantsWrite: u8;
  /** Something new was acknowledged: the next segment confirms the neighbour. */
  confirm: u8;
  /** 1: over IPv6. */
  v6: u8;
  /** MSS told to the peer, and payload of a full segment towards it (timestamps already taken off). */
  advertisedMss: u32;
  mss: u32;

  // The send buffer (tcp-buffer): chained chunks; `bufferStart` is the sequence of the first byte in `chunks`.
  chunks: usize;
  lastChunk: usize;
  lastFill: u32;
  headSkip: u32;
  bufferStart: u32;
  cursor: usize;
  cursorStart: u32;

  // Congestion (tcp-congestion)
  congestionWindow: u32;
  slowStartThreshold: u32;
  duplicateAcks: u32;
  recover: u32;
  recovering: u8;
  backoff: u8;
  retries: u8;
  /** A round trip is being timed: of `timedSequence`, sent at `timedAt`. */
  timing: u8;
  timedSequence: u32;
  timedAt: u64;
  smoothedRtt: u64;
  rttVariance: u64;
  /** Retransmission timeout without backoff, ns. */
  timeout: u64;

  // Receiving
  receiveNext: u32;
  /** What was last told: acknowledged `receiveTold`, with a window of `receiveWindow` from there. */
  receiveTold: u32;
  receiveWindow: u32;
  receiveLimit: u32;
  /** Bytes kept in the two lists below, and the segments of `outOfOrder`. */
  receiveQueued: u32;
  outOfOrderCount: u32;
  timestampOffset: u32;
  timestampRecent: u32;
  /** Segments that came too early, by sequence (tcp-queue). */
  outOfOrder: Frame | null;
  /** Start of the segment that came last out of order: its block leads the SACK option (RFC 2018, section 4). */
  lastOutOfOrder: u32;
  /** Segments in order that a paused reader has not taken. */
  held: Frame | null;
  heldLast: Frame | null;
  /** The last answer to an unacceptable segment without data (tcp_invalid_ratelimit). */
  challengedAt: u64;

  // Timers: each is one event at the most that matters; `…Event` is when it fires, NEVER when none is queued
  workAt: u64;
  workEvent: u64;
  deadline: u64;
  timerEvent: u64;
}

const pool = new Pool(offsetof<Socket>(), 256, Of.TRAFFIC);
const index = new Index(4096, Of.TRAFFIC);

// Ids: an array of addresses that doubles; an id is never used twice.
let ids: usize = arena(4096 << 2);
let idCapacity: u32 = 4096;
let lastId: u32 = 0;

export function socketById(id: u32): Socket | null {
  return id && id <= lastId ? changetype<Socket | null>(<usize>load<u32>(ids + (<usize>id << 2))) : null;
}

/** Between vectors: room for the sockets, ids, actions and chunks of the next one; TIME_WAITs that are over go. */
export function ensureSockets(): void {
  sweepTimeWait(now);
  pool.ensure(512);
  index.ensure(2048);
  ensureActions();
  ensureSendBuffers(16);
  if (lastId + 2048 >= idCapacity) {
    const grown = arena(<usize>idCapacity << 3);
    memory.copy(grown, ids, <usize>idCapacity << 2);
    ids = grown;
    idCapacity <<= 1;
  }
}

/** From JavaScript only, between vectors: whatever the call needs is there. */
export function prepare(): void {
  ensureSockets();
  ensureFrames();
}

/** A new record with an id, in no index yet; null when the pool or the ids are used up until the next `ensureSockets`. */
export function newSocket(namespace: Namespace, protocol: u32, local: u32, localPort: u32, remote: u32, remotePort: u32): Socket | null {
  if (lastId + 1 >= idCapacity) return null;
  const at = pool.take(offsetof<Socket>());
  if (!at) return null;
  const socket = changetype<Socket>(at);
  socket.namespace = namespace;
  socket.protocol = <u8>protocol;
  socket.v6 = <u8>(protocol >>> 31);
  socket.id = ++lastId;
  store<u32>(ids + (<usize>socket.id << 2), <u32>at);
  socket.workEvent = NEVER;
  socket.timerEvent = NEVER;
  socket.deadline = NEVER;
  address(socket, local, localPort, remote, remotePort);
  return socket;
}

function address(socket: Socket, local: u32, localPort: u32, remote: u32, remotePort: u32): void {
  socket.local = local;
  socket.localPort = localPort;
  socket.remote = remote;
  socket.remotePort = remotePort;
  socket.a = keyA(local, remote);
  socket.b = keyB(socket.namespace.id, protocolOf(socket), localPort, remotePort);
}

/** As keys have it: with V6 for a socket over IPv6. */
// @ts-ignore: decorator
@inline
export function protocolOf(socket: Socket): u32 { return <u32>socket.protocol | (<u32>socket.v6 << 31); }

/** A process outside the simulation has this socket (a replay's). Remote 0: any. False: the tuple is taken. */
export function foreignSocket(namespace: Namespace, protocol: u32, local: u32, localPort: u32, remote: u32, remotePort: u32): bool {
  prepare();
  const socket = newSocket(namespace, protocol, local, localPort, remote, remotePort);
  if (!socket) return false;
  socket.state = State.FOREIGN;
  if (indexSocket(socket)) return true;
  removeSocket(socket);
  return false;
}

/** Grows whenever a socket gets a tuple or loses it. */
export let bindings: u32 = 1;

/** Into the index. False: that tuple is taken, or the index is full. */
export function indexSocket(socket: Socket): bool {
  if (index.find(socket.a, socket.b) || !index.insert(changetype<usize>(socket))) return false;
  socket.indexed = 1;
  bindings++;
  return true;
}

/** connect() on a UDP socket: it moves to its full tuple. */
export function moveSocket(socket: Socket, local: u32, remote: u32, remotePort: u32): bool {
  if (index.find(keyA(local, remote), keyB(socket.namespace.id, protocolOf(socket), socket.localPort, remotePort))) return false;
  index.remove(changetype<usize>(socket));
  socket.indexed = 0;
  bindings++;
  address(socket, local, socket.localPort, remote, remotePort);
  return indexSocket(socket);
}

/** JavaScript hears no more of it. */
export function forgetId(socket: Socket): void {
  if (!socket.id) return;
  store<u32>(ids + (<usize>socket.id << 2), 0);
  socket.id = 0;
}

/** Out of index and ids; the record itself goes with its last reference. */
export function removeSocket(socket: Socket): void {
  if (socket.dead) return;
  if (socket.indexed) index.remove(changetype<usize>(socket));
  socket.indexed = 0;
  bindings++;
  forgetId(socket);
  socket.dead = 1;
  socket.state = State.CLOSED;
  if (!socket.references) pool.give(changetype<usize>(socket));
}

export function unreference(socket: Socket): void {
  if (--socket.references == 0 && socket.dead) pool.give(changetype<usize>(socket));
}

/** Whoever is to have a packet for this tuple, the most particular first; TIME_WAITs that are over at `time` do not count. */
export function findSocket(namespace: Namespace, protocol: u32, local: u32, localPort: u32, remote: u32, remotePort: u32, time: u64): Socket | null {
  let at = index.find(keyA(local, remote), keyB(namespace.id, protocol, localPort, remotePort));
  if (at) {
    const socket = changetype<Socket>(at);
    if (socket.state != State.TIME_WAIT || time < socket.deadline) return socket;
    removeSocket(socket);
  }
  return findBound(namespace, protocol, local, localPort);
}

/** The socket that is bound to a local address and port without a peer. */
export function findBound(namespace: Namespace, protocol: u32, local: u32, localPort: u32): Socket | null {
  const b = keyB(namespace.id, protocol, localPort, 0);
  let at = index.find(keyA(local, 0), b);
  if (!at) at = index.find(0, b);
  return changetype<Socket | null>(at);
}

// --- Ports ---

// @ts-ignore: decorator
@inline
function wire(port: u32): u32 { return bswap<u16>(<u16>port); }

/**
 * A free port of net.ipv4.ip_local_port_range, wire order; 0 when there is none. The search starts at a random one.
 * TCP's connect() tries the even ones first, bind(0) leaves them alone (__inet_hash_connect, inet_csk_find_open_port).
 */
export function freePort(namespace: Namespace, protocol: u32, local: u32, remote: u32, remotePort: u32): u32 {
  const low = namespace.portMin;
  const count = namespace.portMax - low + 1;
  const start = below(count) & ~1;
  const step: u32 = remote ? 2 : 1;
  for (let parity: u32 = 0; parity < step; parity++) {
    for (let i: u32 = parity; i < count; i += step) {
      let offset = start + i;
      if (offset >= count) offset -= count;
      const port = wire(low + offset);
      if (findBound(namespace, protocol, local, port)) continue;
      if (remote && index.find(keyA(local, remote), keyB(namespace.id, protocol, port, remotePort))) continue;
      return port;
    }
  }
  return 0;
}

// --- For JavaScript ---

export function socketPort(id: u32): u32 {
  const socket = socketById(id);
  return socket ? socket.localPort : 0;
}
export function socketAddress(id: u32): u32 {
  const socket = socketById(id);
  return socket ? socket.local : 0;
}
export function socketRemotePort(id: u32): u32 {
  const socket = socketById(id);
  return socket ? socket.remotePort : 0;
}
export function socketRemoteAddress(id: u32): u32 {
  const socket = socketById(id);
  return socket ? socket.remote : 0;
}
/** With V6 for one over IPv6. */
export function socketProtocol(id: u32): u32 {
  const socket = socketById(id);
  return socket ? protocolOf(socket) : 0;
}
export function socketTtl(id: u32, ttl: u32): void {
  const socket = socketById(id);
  if (socket) socket.ttl = <u8>ttl;
}
export function socketState(id: u32): u32 {
  const socket = socketById(id);
  return socket ? socket.state : 0;
}
/** A namespace is gone: its sockets go without a word. */
export function removeSocketsOfTheDead(): void {
  for (let i: u32 = 0; i < index.capacity; i++) {
    let at = index.keyAt(i);
    while (at && changetype<Socket>(at).namespace.dead) {
      endSilently(changetype<Socket>(at));
      at = index.keyAt(i);
    }
  }
}

function endSilently(socket: Socket): void {
  if (socket.protocol == TCP && socket.state != State.LISTEN && socket.state != State.FOREIGN && socket.state != State.TIME_WAIT) closeSilently(socket, now);
  else removeSocket(socket);
}

/** The socket in index slot `i`, or null; for whoever goes through what sockets hold. */
export function socketAt(i: u32): Socket | null { return changetype<Socket | null>(index.keyAt(i)); }
export function socketSlots(): u32 { return index.capacity; }

/** Records in use, TIME_WAITs included; for leak tests. */
export function liveSockets(): u32 { return pool.used; }
