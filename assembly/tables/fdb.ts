// Forwarding databases: MAC to port on a bridge (net/bridge/br_fdb.c) and on a segment's switch, MAC to remote VTEP on a
// vxlan device (drivers/net/vxlan). Key: a = MAC, b = id of the bridge, switch or vxlan device.

import { Pool } from "../memory";
import { Of, linksChanged } from "./generation";
import { Index } from "./hash";
import { Device } from "../devices/device";
import { expires, forgo, learned, recording } from "../flowtable/recorder";

/** br->ageing_time and vxlan's age_interval: 300 s. */
export const AGEING: u64 = 300_000_000_000;

// Entry.flags
export const STATIC: u32 = 1;
/** The bridge's own MAC or that of one of its ports: goes up the stack. */
export const OWN: u32 = 2;

@unmanaged
export class Entry {
  keyA: u64;
  keyB: u64;
  port: Device | null;
  /** vxlan: remote VTEP, network byte order. */
  remote: u32;
  flags: u32;
  updated: u64;
  /** Other entries that lead to the same port. */
  next: Entry | null;
  previous: Entry | null;
}

/** The entry leads to `port` from now on. */
function leadTo(entry: Entry, port: Device | null): void {
  const before = entry.port;
  if (before == port) return;
  if (before) unlink(entry, before);
  entry.port = port;
  if (!port) return;
  const other = port.entries;
  entry.next = other;
  if (other) other.previous = entry;
  port.entries = entry;
}

function unlink(entry: Entry, port: Device): void {
  const next = entry.next;
  const previous = entry.previous;
  if (next) next.previous = previous;
  if (previous) previous.next = next;
  else port.entries = next;
  entry.next = null;
  entry.previous = null;
}

const pool = new Pool(offsetof<Entry>(), 256, Of.LINKS);
const index = new Index(512, Of.LINKS);

/** The live entry, or null: an aged one is none. */
// @ts-ignore: decorator
@inline
export function findEntry(owner: u32, mac: u64, time: u64): Entry | null {
  const at = index.find(mac, owner);
  if (!at) return null;
  const entry = changetype<Entry>(at);
  if (!(entry.flags & STATIC)) {
    if (time > entry.updated && time - entry.updated >= AGEING) {
      // A packet from there makes it a live one again, which nobody would be told of.
      if (recording) forgo();
      return null;
    }
    if (recording) expires(entry.updated + AGEING, time);
  }
  return entry;
}

/** Made or overwritten. */
export function setEntry(owner: u32, mac: u64, port: Device | null, remote: u32, flags: u32, time: u64): Entry {
  ensureFdb();
  return putEntry(owner, mac, port, remote, flags, time)!;
}

function putEntry(owner: u32, mac: u64, port: Device | null, remote: u32, flags: u32, time: u64): Entry | null {
  const found = index.find(mac, owner);
  const at = found ? found : pool.take(offsetof<Entry>());
  if (!at) return null;
  linksChanged();
  const entry = changetype<Entry>(at);
  entry.keyA = mac;
  entry.keyB = owner;
  entry.remote = remote;
  entry.flags = flags;
  entry.updated = time;
  if (!found && !index.insert(at)) {
    pool.give(at);
    return null;
  }
  leadTo(entry, port);
  return entry;
}

/** Learn `mac` behind `port` (br_fdb_update): a static entry stays as it is, and an age never goes back. Nothing is learned when the table is full. */
export function learn(owner: u32, mac: u64, port: Device, remote: u32, time: u64): void {
  const at = index.find(mac, owner);
  if (at) {
    const entry = changetype<Entry>(at);
    if (entry.flags & STATIC) return;
    if (entry.port != port || entry.remote != remote) linksChanged();
    else if (recording) learned(at, time);
    leadTo(entry, port);
    entry.remote = remote;
    entry.updated = max(entry.updated, time);
  } else putEntry(owner, mac, port, remote, 0, time);
}

export function removeEntry(owner: u32, mac: u64): bool {
  const at = index.find(mac, owner);
  if (!at) return false;
  const entry = changetype<Entry>(at);
  if (entry.port) unlink(entry, entry.port!);
  index.remove(at);
  pool.give(at);
  return true;
}

/** The device goes: nothing leads to it any more (br_fdb_delete_by_port, vxlan_flush). */
export function removeEntriesOf(port: Device): void {
  while (port.entries) removeEntry(<u32>port.entries!.keyB, port.entries!.keyA);
}

export function liveEntries(): u32 { return pool.used; }

export function ensureFdb(): void {
  pool.ensure(512);
  index.ensure(512);
}

/** For dumps: the entry in index slot `i`, or 0. */
export function fdbAt(i: u32): usize { return i < index.capacity ? index.keyAt(i) : 0; }
export function fdbSlots(): u32 { return index.capacity; }
