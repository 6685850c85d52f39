// What conntrack tells about its connections (nf_conntrack_ecache.c; `conntrack -E`): one is new, has changed, is gone.
//
// Off until JavaScript opens the log: then each change is a record of fixed size in memory taken beforehand, and what does
// not fit is counted. A change is noted when the packet is judged (nf_conntrack_event_cache); the kernel delivers it at that
// packet's last hook, so an entry's changes come in the same order.

import { arena } from "../memory";
import { changed } from "./generation";
import { now } from "../clock/queue";
import { ASSURED, CONFIRMED, Connection, DYING, SEEN_REPLY } from "./connections";

export enum Change { NEW, UPDATE, DESTROY }

@unmanaged
export class ConnectionEvent {
  originalA: u64;
  originalB: u64;
  replyA: u64;
  replyB: u64;
  time: u64;
  /** ns until it would have run out; 0: it has. */
  left: u64;
  /** Namespace's record. */
  namespace: usize;
  status: u32;
  mark: u32;
  kind: u8;
  state: u8;
}
const SIZE: usize = 64;

/** The log is open. */
export let watching: bool = false;
let log: usize = 0;
let room: u32 = 0;
let noted: u32 = 0;
let missed: u32 = 0;
/** Time of the packet that conntrack looked at last: `now` is its vector's. */
let packetTime: u64 = 0;

/** Opens the log, with room for that many records; 0 closes it. */
export function watchConnections(records: u32): void {
  changed();
  watching = records > 0;
  noted = 0;
  missed = 0;
  if (records <= room) return;
  log = arena(<usize>records * SIZE);
  room = records;
}
export function connectionEvents(): u32 { return noted; }
export function connectionEventAt(i: u32): usize { return log + <usize>i * SIZE; }
export function connectionEventsMissed(): u32 { return missed; }
export function clearConnectionEvents(): void { noted = 0; }

export function noteChange(connection: Connection, kind: Change, deadline: u64): void {
  note(connection, kind, deadline, connection.status);
}

function note(connection: Connection, kind: Change, deadline: u64, status: u32): void {
  if (noted == room) {
    missed++;
    return;
  }
  const event = changetype<ConnectionEvent>(connectionEventAt(noted));
  noted++;
  const time = max(now, packetTime);
  event.originalA = connection.originalA;
  event.originalB = connection.originalB;
  event.replyA = connection.replyA;
  event.replyB = connection.replyB;
  event.time = time;
  event.left = deadline > time ? deadline - time : 0;
  event.namespace = changetype<usize>(connection.namespace);
  event.status = status;
  event.mark = connection.mark;
  event.kind = <u8>kind;
  event.state = connection.state;
}

/** What a packet may change and an event tells: to be compared by `noteProgress`. */
export function standing(connection: Connection): u32 {
  return connection.status & (SEEN_REPLY | ASSURED | DYING) | (<u32>connection.state << 16);
}

/** A packet at `time` has moved the connection on, from `before`, when it would have run out at `deadline`. */
export function noteProgress(connection: Connection, before: u32, deadline: u64, time: u64): void {
  packetTime = time;
  if (!(connection.status & CONFIRMED)) return;
  const after = standing(connection);
  if (after == before) return;
  // Killed (nf_ct_kill): told at once, with the time that it still had, and as not yet answered.
  if (after & DYING) {
    if (!(before & DYING)) note(connection, Change.DESTROY, deadline, connection.status & (~SEEN_REPLY | before));
  } else noteChange(connection, Change.UPDATE, connection.deadline);
}
