// Which virtual service a packet is for, by firewall mark or by address, and whose turn it is there, round robin (ip_vs_rr.c); what
// becomes of connections when a destination or a service goes.

import { Frame } from "../frame";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import {
  BalancedConnection, Destination, Service, balancedGap, balancedIn, balancedSlots, findService, newBalanced, removeBalanced, removeDestination, removeService,
} from "../tables/services";
import { dportOf, findConnection, protocolOf, removeConnection } from "../tables/connections";
import { now } from "../clock/queue";

/** Of the mark, else of address and port, else of the address. */
export function serviceOf(namespace: Namespace, frame: Frame, protocol: u32, address: u32, port: u32): Service | null {
  if (frame.mark) {
    const marked = findService(namespace.id, 0, frame.mark, 0);
    if (marked) return marked;
  }
  const exact = findService(namespace.id, protocol, address, port);
  return exact ? exact : findService(namespace.id, protocol, address, 0);
}

/** It is the destination's turn: the connection of client and virtual address, (a, b), is its own. Null: there is no room. */
export function schedule(destination: Destination, a: u64, b: u64): BalancedConnection | null {
  destination.service.last = destination;
  const connection = newBalanced(a, b, destination, portAt(destination, b));
  if (connection) bind(connection, destination, protocolOf(b));
  return connection;
}
/** The destination, whose turn it was, gets the connection. */
export function bind(connection: BalancedConnection, destination: Destination, protocol: u32): void {
  const service = destination.service;
  service.last = destination;
  if (protocol == ipv4.TCP) {
    destination.active++;
    connection.counted = 1;
  } else destination.inactive++;
  destination.connections++;
  service.connections++;
}

/** The destination's own port, or the one that was asked for. */
// @ts-ignore: decorator
@inline
export function portAt(destination: Destination, b: u64): u32 { return destination.port ? destination.port : dportOf(b); }

/** From the one chosen last on, wrapping; weight 0 gets nothing new (ip_vs_rr_schedule). */
export function nextDestination(service: Service): Destination | null {
  const last = service.last;
  let at = last ? last.next : service.first;
  let wrapped = last == null;
  while (true) {
    if (!at) {
      if (wrapped) return null;
      wrapped = true;
      at = service.first;
      continue;
    }
    if (at.weight > 0) return at;
    if (wrapped && at == last) return null;
    at = at.next;
  }
}

/**
 * A destination goes. With expire_nodest_conn its connections go at once, conntrack's with them (ip_vs_conn_flush's
 * expire_nodest_conn_flush), so that the next segment meets nothing.
 */
export function withdrawDestination(namespace: Namespace, destination: Destination): void {
  const bound = destination.active + destination.inactive;
  removeDestination(destination);
  if (bound && namespace.ipvsExpireNodest) expire(namespace, destination);
}

/** The service goes with its destinations and, as with a namespace, all of its connections. */
export function withdrawService(namespace: Namespace, service: Service): void {
  while (service.first) {
    const destination = service.first!;
    const bound = destination.active + destination.inactive;
    removeDestination(destination);
    if (bound) expire(namespace, destination);
  }
  removeService(service);
}

/** A removed destination's record goes with the last of its connections. */
function expire(namespace: Namespace, destination: Destination): void {
  let left = destination.active + destination.inactive;
  const slots = balancedSlots();
  const gap = balancedGap();
  for (let n: u32 = 1; left && n < slots; n++) {
    const at = balancedIn((gap - n) & (slots - 1));
    if (!at || changetype<BalancedConnection>(at).destination != destination) continue;
    left--;
    const connection = changetype<BalancedConnection>(at);
    const tracked = findConnection(connection.clientA, connection.clientB, now);
    if (tracked && namespace.ipvsConntrack) removeConnection(tracked);
    removeBalanced(connection);
  }
}
