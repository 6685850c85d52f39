// IPVS's tables: virtual services, their destinations, and their connections (include/net/ip_vs.h).
//
// A service is found by firewall mark or by protocol, address and port. Keys: a = mark (or address), b = port |
// protocol << 32 | namespace << 40 (protocol 0: by mark). A connection has two keys, as conntrack's has: the client's
// side (client → virtual) and the server's (destination → client).

import { Pool } from "../memory";
import { Of, changed } from "./generation";
import { Index, Search } from "./hash";
import { Connection, keyA, keyB, protocolOf, sourceOf, sportOf } from "./connections";
import { balancedApart } from "../flowtable/groups";

@unmanaged
export class Destination {
  /** The list's head is the destination added last (list_add_rcu). */
  next: Destination | null;
  service: Service;
  /** Network byte order; port 0 keeps the packet's. */
  address: u32;
  port: u32;
  weight: i32;
  active: u32;
  inactive: u32;
  id: u32;
  /** Taken out of its service, kept while connections point to it. */
  removed: u8;
  connections: u64;
  inPackets: u64;
  inBytes: u64;
  outPackets: u64;
  outBytes: u64;
}

@unmanaged
export class Service {
  keyA: u64;
  keyB: u64;
  first: Destination | null;
  /** rr: the destination chosen last, or null: start at the head. */
  last: Destination | null;
  id: u32;
  /** Destinations that still have a record, and whether it is gone itself. */
  destinations: u32;
  removed: u8;
  connections: u64;
  inPackets: u64;
  inBytes: u64;
  outPackets: u64;
  outBytes: u64;
}

/** 64-byte aligned like conntrack's, and for the same reason. */
@unmanaged
export class BalancedConnection {
  clientA: u64;
  clientB: u64;
  serverA: u64;
  serverB: u64;
  deadline: u64;
  destination: Destination;
  state: u8;
  /** Counted as active in its destination (not INACTIVE). */
  counted: u8;
  /** As a connection's. */
  stamp: u32;
  /** Of its group (flowtable/groups), or null. */
  lead: Connection | null;
}
const CONNECTION_SIZE: usize = 64;
const AT_SERVER: usize = 16;

const services = new Pool(offsetof<Service>(), 64);
const serviceIndex = new Index(128);
const destinations = new Pool(offsetof<Destination>(), 128);
const connections = new Pool(CONNECTION_SIZE, 256, Of.TRAFFIC, 8);
const connectionIndex = new Index(512, Of.TRAFFIC);
let lastService: u32 = 0;
let lastDestination: u32 = 0;
let lastStamp: u32 = 0;
/** As for connections. */
export let goneBalanced: u32 = 0;
export let balancedLast: u64 = 0;
export function lastingBalanced(until: u64): void { balancedLast = until; }

// @ts-ignore: decorator
@inline
export function serviceKeyB(namespace: u32, protocol: u32, port: u32): u64 { return keyB(namespace, protocol, port, 0); }

export function addService(namespace: u32, protocol: u32, addressOrMark: u32, port: u32): Service {
  services.ensure(1);
  serviceIndex.ensure(1);
  const service = changetype<Service>(services.take(offsetof<Service>()));
  service.keyA = addressOrMark;
  service.keyB = serviceKeyB(namespace, protocol, port);
  service.id = ++lastService;
  serviceIndex.insert(changetype<usize>(service));
  return service;
}

export function findService(namespace: u32, protocol: u32, addressOrMark: u32, port: u32): Service | null {
  return changetype<Service | null>(serviceIndex.find(addressOrMark, serviceKeyB(namespace, protocol, port)));
}

/** Its destinations go with it. */
export function removeService(service: Service): void {
  while (service.first) removeDestination(service.first!);
  serviceIndex.remove(changetype<usize>(service));
  // The record stays while connections reach it through a destination.
  service.removed = 1;
  if (!service.destinations) services.give(changetype<usize>(service));
}
export function liveServices(): u32 { return services.used; }
export function liveDestinations(): u32 { return destinations.used; }
export function liveBalanced(): u32 { return connections.used; }

/** Nobody points to a destination that was taken out: its record goes, and its service's with the last. */
function release(destination: Destination): void {
  const service = destination.service;
  destinations.give(changetype<usize>(destination));
  if (--service.destinations == 0 && service.removed) services.give(changetype<usize>(service));
}

/** At the head of the list (__ip_vs_update_dest). */
export function addDestination(service: Service, address: u32, port: u32, weight: i32): Destination {
  destinations.ensure(1);
  const destination = changetype<Destination>(destinations.take(offsetof<Destination>()));
  destination.service = service;
  destination.address = address;
  destination.port = port;
  destination.weight = weight;
  destination.id = ++lastDestination;
  destination.next = service.first;
  service.first = destination;
  service.destinations++;
  return destination;
}

/** rr steps back to the predecessor, or to the head (ip_vs_rr_del_dest). The record stays while connections point to it. */
export function removeDestination(destination: Destination): void {
  const service = destination.service;
  let before: Destination | null = null;
  let at = service.first;
  while (at && at != destination) {
    before = at;
    at = at.next;
  }
  if (!at) return;
  changed();
  if (before) before.next = destination.next;
  else service.first = destination.next;
  if (service.last == destination) service.last = before;
  destination.removed = 1;
  if (!destination.active && !destination.inactive) release(destination);
}

export let foundServer: u32 = 0;

/** As seekConnection. */
// @ts-ignore: decorator
@inline
export function seekBalanced(a: u64, b: u64): BalancedConnection | null {
  const key = connectionIndex.find(a, b);
  if (!key) return null;
  foundServer = <u32>(key & 63) >>> 4;
  const connection = changetype<BalancedConnection>(key & ~63);
  balancedApart(connection);
  return connection;
}

export function findBalanced(a: u64, b: u64, time: u64): BalancedConnection | null {
  const connection = seekBalanced(a, b);
  if (!connection) return null;
  if (time >= connection.deadline) {
    removeBalanced(connection);
    return null;
  }
  return connection;
}

/** As for connections. */
export function nextBalanced(): u32 { return connections.lookAhead(); }

/** As for connections. */
// @ts-ignore: decorator
@inline
export function roomForBalanced(): bool { return connections.free != 0 && connectionIndex.hasRoom(2); }
// @ts-ignore: decorator
@inline
export function askBalanced(key: Search): usize { return connectionIndex.ask(key); }
// @ts-ignore: decorator
@inline
export function knowsBalanced(key: Search): bool { return connectionIndex.seek(key) != 0; }
/** `newBalanced`, where both keys have been looked for. */
export function enterBalanced(client: Search, server: Search, destination: Destination): BalancedConnection {
  const at = connections.take(CONNECTION_SIZE);
  const connection = changetype<BalancedConnection>(at);
  connection.clientA = client.a;
  connection.clientB = client.b;
  connection.serverA = server.a;
  connection.serverB = server.b;
  connection.destination = destination;
  connection.stamp = ++lastStamp;
  connectionIndex.enter(client, at);
  connectionIndex.enter(server, at + AT_SERVER);
  return connection;
}

/** client → virtual, (a, b), becomes client → destination. Null when there is no room. */
export function newBalanced(a: u64, b: u64, destination: Destination, port: u32): BalancedConnection | null {
  const at = connections.take(CONNECTION_SIZE);
  if (!at) return null;
  const connection = changetype<BalancedConnection>(at);
  connection.clientA = a;
  connection.clientB = b;
  connection.serverA = keyA(destination.address, sourceOf(a));
  connection.serverB = keyB(<u32>(b >>> 40), protocolOf(b), port, sportOf(b));
  connection.destination = destination;
  connection.stamp = ++lastStamp;
  if (!connectionIndex.insert(at)) {
    connections.give(at);
    return null;
  }
  if (!connectionIndex.find(connection.serverA, connection.serverB)) connectionIndex.insert(at + AT_SERVER);
  return connection;
}

export function removeBalanced(connection: BalancedConnection): void {
  balancedApart(connection);
  const at = changetype<usize>(connection);
  connection.stamp = 0;
  goneBalanced++;
  connectionIndex.remove(at);
  connectionIndex.remove(at + AT_SERVER);
  const destination = connection.destination;
  if (connection.counted) destination.active--;
  else destination.inactive--;
  connections.give(at);
  if (destination.removed && !destination.active && !destination.inactive) release(destination);
}

export function ensureServices(): void {
  connections.ensure(1024);
  connectionIndex.ensure(2048);
}

/** For sweeps: the connection whose client key is in index slot `i`, or 0; it may stand in a group, which knows more of it. */
export function balancedIn(i: u32): usize {
  if (i >= connectionIndex.capacity) return 0;
  const key = connectionIndex.keyAt(i);
  return key && (key & 63) == 0 ? key : 0;
}
/** For dumps: the same, with all that its group knows. */
export function balancedAt(i: u32): usize {
  const at = balancedIn(i);
  if (at) balancedApart(changetype<BalancedConnection>(at));
  return at;
}
export function balancedSlots(): u32 { return connectionIndex.capacity; }
export function balancedGap(): u32 { return connectionIndex.gap; }

