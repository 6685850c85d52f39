// Routes of every namespace: longest prefix first, the local table before main (ip rule 0 and 32766).
//
// One hash entry a prefix, and a bit a prefix length in use: a look-up costs one probe for each length that the
// namespace uses, however many routes there are. Key: a = destination | length << 32 | table << 40, b = namespace.

import { Pool, arena } from "../memory";
import { generation } from "./generation";
import { Index } from "./hash";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import { recording } from "../flowtable/recorder";
import { routed, varies } from "../flowtable/precedent-recorder";

export const LOCAL_TABLE: u32 = 255;
export const MAIN_TABLE: u32 = 254;

export enum RouteType { NONE, UNICAST, LOCAL, BROADCAST, UNREACHABLE }

@unmanaged
export class Route {
  keyA: u64;
  keyB: u64;
  /** Same prefix, higher metric. */
  next: Route | null;
  device: Device;
  /** 0: the destination itself is the next hop. */
  gateway: u32;
  /** Preferred source. */
  source: u32;
  metric: u32;
  type: u8;
  length: u8;
  table: u8;
  scopeHost: u8;
}

const pool = new Pool(offsetof<Route>(), 64);
const index = new Index(256);

/** A prefix of `length` bits as a mask in network byte order. */
// @ts-ignore: decorator
@inline
export function maskOf(length: u32): u32 {
  return length ? bswap<u32>(0xffffffff << (32 - length)) : 0;
}

export function addRoute(namespace: Namespace, table: u32, destination: u32, length: u32, type: RouteType, device: Device, gateway: u32, source: u32, metric: u32): Route {
  pool.ensure(1);
  index.ensure(1);
  const route = changetype<Route>(pool.take(offsetof<Route>()));
  route.keyA = <u64>(destination & maskOf(length)) | (<u64>length << 32) | (<u64>table << 40);
  route.keyB = namespace.id;
  route.device = device;
  route.gateway = gateway;
  route.source = source;
  route.metric = metric;
  route.type = <u8>type;
  route.length = <u8>length;
  route.table = <u8>table;
  if (table == LOCAL_TABLE && destination != LOOPBACK) namespace.ownAddresses |= length == 32 ? bitsOf(destination) : ~<u64>0;
  const head = index.find(route.keyA, route.keyB);
  if (!head) index.insert(changetype<usize>(route));
  else if (changetype<Route>(head).metric > metric) {
    route.next = changetype<Route>(head);
    index.remove(head);
    index.insert(changetype<usize>(route));
  } else {
    let at = changetype<Route>(head);
    while (at.next && at.next!.metric <= metric) at = at.next!;
    route.next = at.next;
    at.next = route;
  }
  if (table == LOCAL_TABLE) namespace.localPrefixes |= <u64>1 << <u64>length;
  else namespace.mainPrefixes |= <u64>1 << <u64>length;
  return route;
}

export function liveRoutes(): u32 { return pool.used; }

/** Bits of lengths that are no longer used stay set: they cost a probe, never an answer. */
export function removeRoute(route: Route): void {
  const head = index.find(route.keyA, route.keyB);
  if (!head) return;
  if (head == changetype<usize>(route)) {
    index.remove(head);
    if (route.next) index.insert(changetype<usize>(route.next!));
  } else {
    let at = changetype<Route>(head);
    while (at.next && at.next != route) at = at.next!;
    if (at.next == route) at.next = route.next;
  }
  pool.give(changetype<usize>(route));
}

function lookUpTable(prefixes: u64, table: u32, namespace: u32, destination: u32): Route | null {
  let left = prefixes;
  while (left) {
    const length = 63 - <u32>clz(left);
    left &= ~(<u64>1 << <u64>length);
    const at = index.find(<u64>(destination & maskOf(length)) | (<u64>length << 32) | (<u64>table << 40), namespace);
    if (at) return changetype<Route>(at);
  }
  return null;
}

/** Answers that were given since a table changed: a destination, a namespace, and what was found, with the generation. */
@unmanaged
class Answer {
  key: u64;
  generation: u32;
  route: Route | null;
}
const ANSWERS: u32 = 2048;
const answers = arena(<usize>ANSWERS << 4);
const localAnswers = arena(<usize>ANSWERS << 4);

// @ts-ignore: decorator
@inline
function answerAt(table: usize, key: u64): Answer {
  return changetype<Answer>(table + (<usize>((key * 0x9e3779b97f4a7c15) >>> 53) << 4));
}

/** The route to `destination`, or null (fib_lookup). */
export function lookUp(namespace: Namespace, destination: u32): Route | null {
  const route = answered(namespace, destination);
  if (recording) routed(namespace, destination, changetype<usize>(route), route != null && route.type == <u8>RouteType.UNICAST && !route.gateway);
  return route;
}

// @ts-ignore: decorator
@inline
function answered(namespace: Namespace, destination: u32): Route | null {
  const key = <u64>destination | (<u64>namespace.id << 32);
  const answer = answerAt(answers, key);
  if (answer.key == key && answer.generation == generation) return answer.route;
  answer.key = key;
  answer.generation = generation;
  answer.route = search(namespace, destination);
  return answer.route;
}

/** The same in the local table alone. */
function lookUpLocal(namespace: Namespace, destination: u32): Route | null {
  const key = <u64>destination | (<u64>namespace.id << 32);
  const answer = answerAt(localAnswers, key);
  if (answer.key == key && answer.generation == generation) return answer.route;
  answer.key = key;
  answer.generation = generation;
  answer.route = lookUpTable(namespace.localPrefixes, LOCAL_TABLE, namespace.id, destination);
  return answer.route;
}

function search(namespace: Namespace, destination: u32): Route | null {
  const route = lookUpTable(namespace.localPrefixes, LOCAL_TABLE, namespace.id, destination);
  if (route) return route;
  return lookUpTable(namespace.mainPrefixes, MAIN_TABLE, namespace.id, destination);
}

/** The route to `destination` among those by `device` alone (fib_lookup with an output interface), or null. */
export function lookUpBy(namespace: Namespace, destination: u32, device: Device): Route | null {
  if (recording) varies();
  for (let table = LOCAL_TABLE; table >= MAIN_TABLE; table--) {
    let left = table == LOCAL_TABLE ? namespace.localPrefixes : namespace.mainPrefixes;
    while (left) {
      const length = 63 - <u32>clz(left);
      left &= ~(<u64>1 << <u64>length);
      let at = index.find(<u64>(destination & maskOf(length)) | (<u64>length << 32) | (<u64>table << 40), namespace.id);
      while (at) {
        const route = changetype<Route>(at);
        if (route.device == device) return route;
        at = changetype<usize>(route.next);
      }
    }
  }
  return null;
}

/** Type of an address as `-m addrtype` sees it (inet_addr_type): by the local table alone. */
export function addressType(namespace: Namespace, address: u32): RouteType {
  if ((address & 0xf0) == 0xe0) return RouteType.NONE; // multicast
  if (address == 0xffffffff || address == 0) return RouteType.BROADCAST;
  const route = lookUpLocal(namespace, address);
  return route ? <RouteType>route.type : RouteType.UNICAST;
}

/** 127.0.0.0/8, which is every namespace's. */
const LOOPBACK: u32 = 127;
/** Which two of `Namespace.ownAddresses` stand for the address. */
// @ts-ignore: decorator
@inline
function bitsOf(address: u32): u64 {
  const mixed = address * 0x9e3779b1;
  return (<u64>1 << <u64>(mixed >>> 26)) | (<u64>1 << <u64>((mixed >>> 20) & 63));
}

// @ts-ignore: decorator
@inline
export function isLocal(namespace: Namespace, address: u32): bool {
  if (~namespace.ownAddresses & bitsOf(address) && (address & 0xff) != LOOPBACK) return false;
  return addressType(namespace, address) == RouteType.LOCAL;
}
