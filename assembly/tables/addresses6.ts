// IPv6 addresses in tables: each is kept once, and tables hold its number, the place of its 16 bytes in memory. So every
// key and record that holds an IPv4 address holds an IPv6 address as well, and 0, no address, is the unspecified one.
//
// What packets bring in is forgotten again when no connection, socket or neighbour names it any more (`collectAddresses`,
// between vectors); what JavaScript names stays.

import { Pool } from "../memory";
import { Of } from "./generation";
import { Index } from "./hash";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";

@unmanaged
export class Address6 {
  high: u64;
  low: u64;
  /** The collection that found it in use last. */
  seen: u32;
  pinned: u32;
}
const SIZE: usize = 32;

const pool = new Pool(SIZE, 256, Of.TRAFFIC);
const index = new Index(512, Of.TRAFFIC);
let collection: u32 = 1;
let collectAt: u32 = 4096;

/** The number of this address, or 0 when no table names it. */
// @ts-ignore: decorator
@inline
export function numberOf(high: u64, low: u64): u32 { return <u32>index.find(high, low); }
/** The same for the address at `at`. */
// @ts-ignore: decorator
@inline
export function numberAt(at: usize): u32 { return <u32>index.find(load<u64>(at), load<u64>(at, 8)); }

/** The addresses of the packet at `ip` as tables have them: one of IPv6 by its number, or 0 when no table names it. */
export function sourceAt(ip: usize, v6: bool): u32 { return v6 ? numberAt(ip + ipv6.AT_SOURCE) : ipv4.source(ip); }
export function destinationAt(ip: usize, v6: bool): u32 { return v6 ? numberAt(ip + ipv6.AT_DESTINATION) : ipv4.destination(ip); }

/** The number of the address at `at`, made when there is none; 0 for the unspecified address, or when there is no memory. */
export function keepAt(at: usize): u32 { return keep(load<u64>(at), load<u64>(at, 8)); }

export function keep(high: u64, low: u64): u32 {
  const found = <u32>index.find(high, low);
  if (found || !(high | low)) return found;
  const at = pool.take(SIZE);
  if (!at) return 0;
  const address = changetype<Address6>(at);
  address.high = high;
  address.low = low;
  address.seen = collection;
  if (index.insert(at)) return <u32>at;
  pool.give(at);
  return 0;
}

/** For JavaScript and what it programs: kept for good. Addresses come as four words as loaded. */
export function pinAddress(a: u32, b: u32, c: u32, d: u32): u32 {
  ensureAddresses();
  return pin(<u64>a | (<u64>b << 32), <u64>c | (<u64>d << 32));
}
export function pin(high: u64, low: u64): u32 {
  ensureAddresses();
  const number = keep(high, low);
  if (number) changetype<Address6>(<usize>number).pinned = 1;
  return number;
}

export function ensureAddresses(): void {
  pool.ensure(2048);
  index.ensure(2048);
}

// --- Collection: begin, mark whatever tables name, finish ---

/** Worth while? */
export function collectionDue(): bool { return index.count >= collectAt; }
export function beginCollection(): void { collection++; }
// @ts-ignore: decorator
@inline
export function markAddress(number: u32): void { if (number) changetype<Address6>(<usize>number).seen = collection; }

/** Do tables name both addresses? */
export function isPairMarked(a: u64): bool { return isMarked(<u32>a) && isMarked(<u32>(a >>> 32)); }
function isMarked(number: u32): bool {
  if (!number) return true;
  const address = changetype<Address6>(<usize>number);
  return address.pinned != 0 || address.seen == collection;
}

export function finishCollection(): void {
  for (let i: u32 = 0; i < index.capacity; i++) {
    let at = index.keyAt(i);
    while (at) {
      const address = changetype<Address6>(at);
      if (address.pinned || address.seen == collection) break;
      index.remove(at);
      pool.give(at);
      at = index.keyAt(i); // what was shifted back into this slot
    }
  }
  collectAt = max<u32>(4096, index.count << 1);
}
