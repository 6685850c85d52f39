// What is known of the way to an IPv6 destination: the MTU that a router told (RFC 8201; rt6_update_exceptions), for ten
// minutes. Key: a = number of the destination, b = namespace.

import { Pool } from "../memory";
import { Of } from "./generation";
import { Index } from "./hash";
import { Namespace } from "../stack/namespace";

/** net.ipv6.route.mtu_expires */
const EXPIRES: u64 = 600_000_000_000;
/** At most so many: then the way is learned again. */
const MOST: u32 = 65536;

@unmanaged
export class Path6 {
  keyA: u64;
  keyB: u64;
  mtu: u32;
  deadline: u64;
}

const pool = new Pool(offsetof<Path6>(), 64, Of.TRAFFIC);
const index = new Index(128, Of.TRAFFIC);

/** The MTU that was told, or 0. */
// @ts-ignore: decorator
@inline
export function toldMtu(namespace: Namespace, destination: u32, time: u64): u32 {
  if (!index.count || !destination) return 0;
  const at = index.find(destination, namespace.id);
  if (!at) return 0;
  const path = changetype<Path6>(at);
  return time < path.deadline ? path.mtu : 0;
}

export function tellMtu(namespace: Namespace, destination: u32, mtu: u32, time: u64): void {
  if (!destination) return;
  let at = index.find(destination, namespace.id);
  if (!at) {
    at = pool.take(offsetof<Path6>());
    if (!at) return;
    const path = changetype<Path6>(at);
    path.keyA = destination;
    path.keyB = namespace.id;
    if (!index.insert(at)) return pool.give(at);
  }
  const path = changetype<Path6>(at);
  path.mtu = mtu;
  path.deadline = time + EXPIRES;
}

/** What is over goes. */
export function sweepPaths(time: u64): void {
  if (!index.count) return;
  for (let i: u32 = 0; i < index.capacity; i++) {
    let at = index.keyAt(i);
    while (at && changetype<Path6>(at).deadline <= time) {
      index.remove(at);
      pool.give(at);
      at = index.keyAt(i);
    }
  }
}

export function ensurePaths(): void {
  if (index.count >= MOST) return;
  pool.ensure(64);
  index.ensure(64);
}

/** For collection and dumps: the entry in index slot `i`, or 0. */
export function pathAt(i: u32): usize { return i < index.capacity ? index.keyAt(i) : 0; }
export function pathSlots(): u32 { return index.count ? index.capacity : 0; }
