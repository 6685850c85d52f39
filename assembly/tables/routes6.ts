// IPv6 routes of every namespace: longest prefix first, the local table before main (net/ipv6/route.c, ip6_fib.c).
//
// As for IPv4 one hash entry a prefix; the prefix lengths that a table of a namespace uses are a list, longest first. Key:
// a = number of the prefix | length << 32 | table << 40, b = namespace. The link-local and multicast prefixes have a route
// for each device, linked by `next`: who looks up says which device is meant.

import { Pool } from "../memory";
import { Index } from "./hash";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv6 from "../wire/ipv6";
import { Address6, numberAt, numberOf, pin } from "./addresses6";
import { LOCAL_TABLE, MAIN_TABLE } from "./routes";
import { recording } from "../flowtable/recorder";
import { routed } from "../flowtable/precedent-recorder";

export enum Route6Type { NONE, UNICAST, LOCAL, ANYCAST, MULTICAST, UNREACHABLE }

@unmanaged
export class Route6 {
  keyA: u64;
  keyB: u64;
  /** Same prefix, higher metric, or another device. */
  next: Route6 | null;
  device: Device;
  /** Number of the gateway; 0: the destination itself is the next hop. */
  gateway: u32;
  /** Preferred source. */
  source: u32;
  metric: u32;
  type: u8;
  length: u8;
  table: u8;
}

const pool = new Pool(offsetof<Route6>(), 64);
const index = new Index(256);

/** The lengths that a table uses, longest first: how many, then one byte each. */
const LENGTHS: usize = 130;
const lengthLists = new Pool(2 * LENGTHS + 4, 32);
export function giveLengths6(namespace: Namespace): void {
  if (namespace.lengths6) lengthLists.give(namespace.lengths6);
  namespace.lengths6 = 0;
}

// @ts-ignore: decorator
@inline
function maskHigh(length: u32): u64 { return length >= 64 ? <u64>-1 : length ? bswap<u64>(<u64>-1 << <u64>(64 - length)) : 0; }
// @ts-ignore: decorator
@inline
function maskLow(length: u32): u64 { return length <= 64 ? 0 : bswap<u64>(<u64>-1 << <u64>(128 - length)); }

/** Is the address at `at` within the prefix at `prefix`? */
export function within(at: usize, prefix: usize, length: u32): bool {
  return ((load<u64>(at) ^ load<u64>(prefix)) & maskHigh(length)) == 0 && ((load<u64>(at, 8) ^ load<u64>(prefix, 8)) & maskLow(length)) == 0;
}

/** `destination`, `gateway` and `source` are numbers of addresses; 0 is none, and as a destination the default. */
export function addRoute6(namespace: Namespace, table: u32, destination: u32, length: u32, type: Route6Type, device: Device, gateway: u32, source: u32, metric: u32): Route6 {
  pool.ensure(1);
  index.ensure(1);
  const route = changetype<Route6>(pool.take(offsetof<Route6>()));
  let prefix: u32 = 0;
  if (destination) {
    const address = changetype<Address6>(<usize>destination);
    prefix = pin(address.high & maskHigh(length), address.low & maskLow(length));
  }
  route.keyA = <u64>prefix | (<u64>length << 32) | (<u64>table << 40);
  route.keyB = namespace.id;
  route.device = device;
  route.gateway = gateway;
  route.source = source;
  route.metric = metric;
  route.type = <u8>type;
  route.length = <u8>length;
  route.table = <u8>table;
  const head = index.find(route.keyA, route.keyB);
  if (!head) index.insert(changetype<usize>(route));
  else if (changetype<Route6>(head).metric > metric) {
    route.next = changetype<Route6>(head);
    index.remove(head);
    index.insert(changetype<usize>(route));
  } else {
    let at = changetype<Route6>(head);
    while (at.next && at.next!.metric <= metric) at = at.next!;
    route.next = at.next;
    at.next = route;
  }
  if (!namespace.lengths6) {
    lengthLists.ensure(1);
    namespace.lengths6 = lengthLists.take(2 * LENGTHS);
  }
  noteLength(lengthsOf(namespace, table), length);
  return route;
}

// @ts-ignore: decorator
@inline
function lengthsOf(namespace: Namespace, table: u32): usize {
  return namespace.lengths6 + (table == LOCAL_TABLE ? 0 : LENGTHS);
}

/** Lengths that are no longer used stay in the list: they cost a probe, never an answer. */
function noteLength(lengths: usize, length: u32): void {
  const count = <u32>load<u8>(lengths);
  let i: u32 = 0;
  while (i < count && <u32>load<u8>(lengths + 1 + i) > length) i++;
  if (i < count && <u32>load<u8>(lengths + 1 + i) == length) return;
  memory.copy(lengths + 2 + i, lengths + 1 + i, count - i);
  store<u8>(lengths + 1 + i, <u8>length);
  store<u8>(lengths, <u8>(count + 1));
}

export function removeRoute6(route: Route6): void {
  const head = index.find(route.keyA, route.keyB);
  if (!head) return;
  if (head == changetype<usize>(route)) {
    index.remove(head);
    if (route.next) index.insert(changetype<usize>(route.next!));
  } else {
    let at = changetype<Route6>(head);
    while (at.next && at.next != route) at = at.next!;
    if (at.next == route) at.next = route.next;
  }
  pool.give(changetype<usize>(route));
}

function lookUpTable(namespace: Namespace, table: u32, at: usize, device: Device | null): Route6 | null {
  const lengths = lengthsOf(namespace, table);
  const count = <usize>load<u8>(lengths);
  const high = load<u64>(at);
  const low = load<u64>(at, 8);
  for (let i: usize = 0; i < count; i++) {
    const length = <u32>load<u8>(lengths + 1 + i);
    const prefix = numberOf(high & maskHigh(length), low & maskLow(length));
    if (!prefix && length) continue;
    let route = changetype<Route6 | null>(index.find(<u64>prefix | (<u64>length << 32) | (<u64>table << 40), namespace.id));
    while (route && device && route.device != device) route = route.next;
    if (route) return route;
  }
  return null;
}

/** Is a device part of what the address at `at` means (rt6_need_strict)? */
// @ts-ignore: decorator
@inline
export function needsDevice(at: usize): bool { return ipv6.isMulticast(at) || ipv6.isLinkLocal(at); }

/**
 * The route to the address at `at`, or null. `device`: the one that the packet came by, or is to leave by; it counts where
 * the address means nothing without.
 */
export function lookUp6(namespace: Namespace, at: usize, device: Device | null): Route6 | null {
  const route = search(namespace, at, device);
  if (recording) routed(namespace, numberAt(at), changetype<usize>(route), route != null && route.type == <u8>Route6Type.UNICAST && !route.gateway);
  return route;
}

function search(namespace: Namespace, at: usize, device: Device | null): Route6 | null {
  if (!namespace.lengths6) return null;
  const strict = needsDevice(at) ? device : null;
  const route = lookUpTable(namespace, LOCAL_TABLE, at, strict);
  if (route) return route;
  return lookUpTable(namespace, MAIN_TABLE, at, strict);
}

/** Type of an address as `-m addrtype` sees it (xt_addrtype's match_lookup_rt6): by the route to it. */
export function addressType6(namespace: Namespace, at: usize, device: Device | null): Route6Type {
  if (ipv6.isMulticast(at)) return Route6Type.MULTICAST;
  const route = search(namespace, at, device);
  return route ? <Route6Type>route.type : Route6Type.UNREACHABLE;
}

/** An address of this namespace's own (ipv6_chk_addr); a link-local one of that device alone, when one is given. */
export function isLocal6(namespace: Namespace, at: usize, device: Device | null): bool {
  if (!namespace.lengths6 || ipv6.isMulticast(at)) return false;
  const route = lookUpTable(namespace, LOCAL_TABLE, at, ipv6.isLinkLocal(at) ? device : null);
  return route != null && route.type == <u8>Route6Type.LOCAL;
}
