// Neighbours: IP address to MAC on a device, with the states that matter (include/net/neighbour.h, NUD_*).
//
//  NONE → INCOMPLETE → REACHABLE → STALE → DELAY → PROBE → FAILED, and PERMANENT.
//
// Key: a = address, b = device id, and FAMILY6 where the address is the number of an IPv6 one. Packets for an unresolved
// neighbour wait in its queue, at most QUEUE of them.

import { Pool } from "../memory";
import { Frame } from "../frame";
import { Of, linksChanged } from "./generation";
import { Index } from "./hash";
import { Device } from "../devices/device";

export enum Nud { NONE, INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, PERMANENT }

/** Linux bounds the bytes (unres_qlen_bytes, 212992); that many full frames. */
export const QUEUE: u32 = 101;

@unmanaged
export class Neighbour {
  keyA: u64;
  keyB: u64;
  device: Device;
  mac: u64;
  first: Frame | null;
  last: Frame | null;
  queued: u32;
  probes: u32;
  /** When the state was confirmed last, and when its timer is due (0: none). */
  confirmed: u64;
  deadline: u64;
  used: u64;
  /** Redirects that were sent to it, and the time of the last (struct inet_peer). */
  redirects: u32;
  redirected: u64;
  /** When MAC or state changed last (locktime). */
  updated: u64;
  /** The device's other neighbours. */
  next: Neighbour | null;
  previous: Neighbour | null;
  /** How long it stays reachable after it was confirmed: 15 to 45 s, drawn anew each time. */
  reachable: u64;
  state: u8;
  /** IPv6: it says that it is a router (NTF_ROUTER). */
  router: u8;
  /** Told to its timers, so that one of an entry that is gone does not act on the next in its place. */
  serial: u32;
}

const pool = new Pool(offsetof<Neighbour>(), 256, Of.LINKS);
const index = new Index(512, Of.LINKS);
let lastSerial: u32 = 0;

export function findNeighbour(device: Device, address: u32): Neighbour | null {
  return changetype<Neighbour | null>(index.find(address, device.id));
}

const FAMILY6: u64 = 1 << 32;

/** Not 0: its address is an IPv6 one. */
// @ts-ignore: decorator
@inline
export function family(neighbour: Neighbour): u64 { return neighbour.keyB & FAMILY6; }

export function findNeighbour6(device: Device, address: u32): Neighbour | null {
  return changetype<Neighbour | null>(index.find(address, <u64>device.id | FAMILY6));
}

/** The entry, made when there is none; null when the table is full. */
export function obtainNeighbour(device: Device, address: u32): Neighbour | null {
  const found = findNeighbour(device, address);
  return found ? found : make(device, address, 0);
}
export function obtainNeighbour6(device: Device, address: u32): Neighbour | null {
  const found = findNeighbour6(device, address);
  return found ? found : make(device, address, FAMILY6);
}

function make(device: Device, address: u32, kind: u64): Neighbour | null {
  const at = pool.take(offsetof<Neighbour>());
  if (!at) return null;
  const neighbour = changetype<Neighbour>(at);
  neighbour.keyA = address;
  neighbour.keyB = <u64>device.id | kind;
  neighbour.device = device;
  neighbour.serial = ++lastSerial;
  if (!index.insert(at)) {
    pool.give(at);
    return null;
  }
  const other = device.neighbours;
  neighbour.next = other;
  if (other) other.previous = neighbour;
  device.neighbours = neighbour;
  return neighbour;
}

/** Every change of state goes by here. */
export function moveNeighbour(neighbour: Neighbour, state: Nud): void {
  if (neighbour.state == <u8>state) return;
  neighbour.state = <u8>state;
  neighbourChanged();
}

/** Of the changes of links, those that change no way: where a neighbour stands, and until when. */
export let neighbourChanges: u32 = 0;
export function neighbourChanged(): void {
  neighbourChanges++;
  linksChanged();
}

export function setNeighbour(device: Device, address: u32, mac: u64, state: Nud, time: u64): Neighbour {
  ensureNeighbours();
  return fill(obtainNeighbour(device, address)!, mac, state, time);
}
export function setNeighbour6(device: Device, address: u32, mac: u64, state: Nud, time: u64): Neighbour {
  ensureNeighbours();
  return fill(obtainNeighbour6(device, address)!, mac, state, time);
}
function fill(neighbour: Neighbour, mac: u64, state: Nud, time: u64): Neighbour {
  linksChanged();
  neighbour.mac = mac;
  neighbour.state = <u8>state;
  neighbour.confirmed = time;
  neighbour.reachable = 30_000_000_000;
  return neighbour;
}

/** The caller has emptied the queue. */
export function removeNeighbour(neighbour: Neighbour): void {
  index.remove(changetype<usize>(neighbour));
  const next = neighbour.next;
  const previous = neighbour.previous;
  if (next) next.previous = previous;
  if (previous) previous.next = next;
  else neighbour.device.neighbours = next;
  neighbour.serial = 0;
  pool.give(changetype<usize>(neighbour));
}

export function ensureNeighbours(): void {
  pool.ensure(256);
  index.ensure(256);
}

export function liveNeighbours(): u32 { return pool.used; }

/** For dumps: the entry in index slot `i`, or 0. */
export function neighbourAt(i: u32): usize { return i < index.capacity ? index.keyAt(i) : 0; }
export function neighbourSlots(): u32 { return index.capacity; }
