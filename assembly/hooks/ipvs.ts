// IPVS, masquerading (net/netfilter/ipvs): a virtual service found by firewall mark or by address, round robin over its
// destinations, connections with their own states and timers. ip_vs_in at INPUT, ip_vs_out at FORWARD and INPUT.

import { CT_UNTRACKED, Frame, IPVS_PROPERTY } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import * as icmp from "../wire/icmp";
import * as tcp from "../wire/tcp";
import {
  BalancedConnection, Destination, Service, balancedGap, balancedIn, balancedSlots, findBalanced, findService, foundServer, newBalanced, removeBalanced, removeDestination, removeService,
} from "../tables/services";
import { CONFIRMED, destinationOf, dportOf, findConnection, keyA, keyB, protocolOf, releaseUnconfirmed, removeConnection, sourceOf, sportOf } from "../tables/connections";
import { alterReply, mangle } from "./nat";
import { sendPortUnreachable, sendTimeExceeded, sendFragmentationNeeded } from "../stack/icmp";
import { lookUp } from "../tables/routes";
import { outputBalanced } from "../stack/output";
import { now } from "../clock/queue";
import { balancedBy, counted, fitted, recording } from "../flowtable/recorder";
import { differs, schedules } from "../flowtable/opening-recorder";
import { note, Note } from "../capture/tap";

const SECOND: u64 = 1_000_000_000;
export enum State { NONE, ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, SYNACK, UDP }

/** Seconds, by state (tcp_timeouts, udp_timeouts). */
const TIMEOUTS: usize = memory.data<u16>([2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300]);

// Next state by direction (in, out), event (syn, fin, ack, rst) and state, as ip_vs_proto_tcp.c's tcp_states has them:
//            NONE EST SSENT SRECV FINW TIMEW CLOSE CLOSEW LASTACK LISTEN SYNACK
const NEXT: usize = memory.data<u8>([
  /* in  syn */ 3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3,
  /* in  fin */ 6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 5,
  /* in  ack */ 1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1,
  /* in  rst */ 6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 3,
  /* out syn */ 2, 1, 2, 3, 2, 2, 2, 2, 2, 9, 3,
  /* out fin */ 5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5,
  /* out ack */ 1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1,
  /* out rst */ 6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6,
]);

/** After filter INPUT: replies first, then requests. False: the frame has been taken over. */
export function ipvsInput(namespace: Namespace, frame: Frame, device: Device): bool {
  if (frame.flags & IPVS_PROPERTY) return true;
  const ip = frame.data;
  const protocol = ipv4.protocol(ip);
  if (protocol == ipv4.ICMP) return errorInput(namespace, frame, device);
  if (protocol != ipv4.TCP && protocol != ipv4.UDP) return true;
  const header = ipv4.headerLength(ip);
  if (frame.length < header + (protocol == ipv4.TCP ? 20 : 8)) return true;
  const l4 = ip + header;
  const a = keyA(ipv4.source(ip), ipv4.destination(ip));
  const b = keyB(namespace.id, protocol, load<u16>(l4), load<u16>(l4, 2));
  let connection = findBalanced(a, b, frame.time);
  if (connection && foundServer) {
    reply(namespace, frame, connection, device);
    return true;
  }
  if (connection && connection.destination.removed) {
    // expire_nodest_conn: the entry goes, conntrack's with it, and this segment meets none.
    if (namespace.ipvsExpireNodest) {
      removeBalanced(connection);
      connection = null;
      const tracked = frame.connection;
      if (tracked && tracked.status & CONFIRMED) {
        frame.connection = null;
        frame.connectionInfo = CT_UNTRACKED;
        removeConnection(tracked);
      }
    } else {
      drop(frame, Drop.IPVS_NO_DESTINATION, device);
      return false;
    }
  }
  if (!connection) {
    if (recording) schedules(frame);
    const service = serviceOf(namespace, frame, protocol, ipv4.destination(ip), load<u16>(l4, 2));
    if (!service) {
      if (recording) differs(frame);
      return true;
    }
    if (protocol == ipv4.TCP && (tcp.flags(l4) & (tcp.SYN | tcp.RST)) != tcp.SYN) return true;
    const destination = nextDestination(service);
    if (!destination) {
      sendPortUnreachable(namespace, frame);
      drop(frame, Drop.IPVS_NO_DESTINATION, device);
      return false;
    }
    connection = schedule(destination, a, b);
    if (!connection) {
      drop(frame, Drop.NOMEM, device);
      return false;
    }
  }
  countIn(frame, connection.destination);
  if (recording) balancedBy(frame, connection, 0);
  advance(connection, protocol, 0, l4, frame.time);
  if (protocol == ipv4.TCP) touch(connection);
  send(namespace, frame, connection, device);
  return false;
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

function serviceOf(namespace: Namespace, frame: Frame, protocol: u32, address: u32, port: u32): Service | null {
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

/** State and timeout (set_tcp_state, udp_state_transition). */
// @ts-ignore: decorator
@inline
export function advance(connection: BalancedConnection, protocol: u32, out: u32, l4: usize, time: u64): void {
  if (protocol == ipv4.UDP) {
    connection.state = <u8>State.UDP;
    connection.deadline = time + <u64>load<u16>(TIMEOUTS + 2 * State.UDP) * SECOND;
    return;
  }
  const flags = tcp.flags(l4);
  const event: u32 = flags & tcp.RST ? 3 : flags & tcp.SYN ? 0 : flags & tcp.FIN ? 1 : flags & tcp.ACK ? 2 : 4;
  if (event < 4) connection.state = load<u8>(NEXT + <usize>((out * 4 + event) * 11 + <u32>connection.state));
  connection.deadline = time + <u64>load<u16>(TIMEOUTS + 2 * <usize>connection.state) * SECOND;
}

/** Would an ACK of either end, or a datagram, leave it as it is, but for its time? */
export function steady(connection: BalancedConnection, protocol: u32): bool {
  if (protocol == ipv4.UDP) return connection.state == <u8>State.UDP;
  return connection.state == <u8>State.ESTABLISHED && connection.counted != 0;
}
/** How long it lasts then. */
export function steadyTimeout(protocol: u32): u64 {
  return <u64>load<u16>(TIMEOUTS + 2 * <usize>(protocol == ipv4.UDP ? State.UDP : State.ESTABLISHED)) * SECOND;
}

/** Active means ESTABLISHED; everything else is inactive. */
// @ts-ignore: decorator
@inline
export function touch(connection: BalancedConnection): void {
  const destination = connection.destination;
  const active = connection.state == <u8>State.ESTABLISHED;
  if (connection.counted && !active) {
    destination.active--;
    destination.inactive++;
    connection.counted = 0;
  } else if (!connection.counted && active) {
    destination.inactive--;
    destination.active++;
    connection.counted = 1;
  }
}

/** To the destination (ip_vs_nat_xmit): one hop less, its address, its port if it has one, and out by way of OUTPUT. */
function send(namespace: Namespace, frame: Frame, connection: BalancedConnection, device: Device): void {
  const ip = frame.data;
  const destination = connection.destination;
  const route = lookUp(namespace, destination.address);
  if (!route) return drop(frame, Drop.IP_OUT_NO_ROUTE, device);
  if (ipv4.ttl(ip) <= 1) {
    sendTimeExceeded(namespace, frame, 0);
    return drop(frame, Drop.IP_TTL_EXPIRED, device);
  }
  ipv4.decrementTtl(ip);
  if (frame.length > route.device.mtu && ipv4.flagsAndOffset(ip) & ipv4.DF) {
    sendFragmentationNeeded(namespace, frame, route.device.mtu);
    return drop(frame, Drop.PKT_TOO_BIG, device);
  }
  if (recording) fitted(frame, frame.length, route.device.mtu);
  const port = sportOf(connection.serverB);
  const before = ipv4.destination(ip);
  const l4 = ip + ipv4.headerLength(ip);
  const beforePort = <u32>load<u16>(l4, 2);
  mangle(ip, frame.length, false, destination.address, ipv4.protocol(ip), port);
  note(frame, Note.IPVS, destination.id, before, beforePort, destination.address, port, null);
  if (namespace.ipvsConntrack) {
    if (frame.connection) alterReply(frame.connection!, destination.address, port);
  } else untrack(frame);
  frame.flags |= IPVS_PROPERTY;
  outputBalanced(namespace, frame, route);
}

/** ip_vs_in_stats */
// @ts-ignore: decorator
@inline
function countIn(frame: Frame, destination: Destination): void {
  const bytes = ipv4.totalLength(frame.data);
  destination.inPackets++;
  destination.inBytes += bytes;
  destination.service.inPackets++;
  destination.service.inBytes += bytes;
  if (!recording) return;
  counted(frame, changetype<usize>(destination) + offsetof<Destination>("inPackets"), bytes);
  counted(frame, changetype<usize>(destination.service) + offsetof<Service>("inPackets"), bytes);
}

/** ip_vs_out_stats */
// @ts-ignore: decorator
@inline
function countOut(frame: Frame, destination: Destination): void {
  const bytes = ipv4.totalLength(frame.data);
  destination.outPackets++;
  destination.outBytes += bytes;
  destination.service.outPackets++;
  destination.service.outBytes += bytes;
  if (!recording) return;
  counted(frame, changetype<usize>(destination) + offsetof<Destination>("outPackets"), bytes);
  counted(frame, changetype<usize>(destination.service) + offsetof<Service>("outPackets"), bytes);
}

/** Without vs.conntrack a balanced packet is not tracked (ip_vs_notrack). */
function untrack(frame: Frame): void {
  if (recording) differs(frame);
  if (frame.connection) releaseUnconfirmed(frame);
  frame.connectionInfo = CT_UNTRACKED;
}

/** A destination's answer gets the virtual address back (handle_response). */
function reply(namespace: Namespace, frame: Frame, connection: BalancedConnection, device: Device): void {
  const ip = frame.data;
  const protocol = ipv4.protocol(ip);
  const l4 = ip + ipv4.headerLength(ip);
  const destination = connection.destination;
  countOut(frame, destination);
  if (recording) balancedBy(frame, connection, 1);
  const before = ipv4.source(ip);
  const beforePort = <u32>load<u16>(l4);
  const virtual = destinationOf(connection.clientA);
  const port = dportOf(connection.clientB);
  mangle(ip, frame.length, true, virtual, protocol, port);
  note(frame, Note.UN_IPVS, destination.id, before, beforePort, virtual, port, device);
  advance(connection, protocol, 1, l4, frame.time);
  if (protocol == ipv4.TCP) touch(connection);
  if (!namespace.ipvsConntrack) untrack(frame);
  frame.flags |= IPVS_PROPERTY;
}

/** At FORWARD: errors about balanced connections, then replies (ip_vs_forward_icmp, ip_vs_reply4). */
export function ipvsForward(namespace: Namespace, frame: Frame, device: Device, out: Device): bool {
  if (frame.flags & IPVS_PROPERTY) return true;
  const ip = frame.data;
  const protocol = ipv4.protocol(ip);
  const header = ipv4.headerLength(ip);
  const l4 = ip + header;
  if (protocol == ipv4.ICMP) {
    errorReply(namespace, frame, device);
    return true;
  }
  if (protocol != ipv4.TCP && protocol != ipv4.UDP) return true;
  if (frame.length < header + (protocol == ipv4.TCP ? 20 : 8)) return true;
  const connection = findBalanced(keyA(ipv4.source(ip), ipv4.destination(ip)), keyB(namespace.id, protocol, load<u16>(l4), load<u16>(l4, 2)), frame.time);
  if (connection && foundServer) reply(namespace, frame, connection, device);
  else if (recording) differs(frame);
  return true;
}

/** At OUTPUT, behind nat: an error of this namespace's own about a balanced connection (ip_vs_reply4 at LOCAL_OUT). */
export function ipvsOutput(namespace: Namespace, frame: Frame, out: Device): void {
  if (!(frame.flags & IPVS_PROPERTY) && ipv4.protocol(frame.data) == ipv4.ICMP) errorReply(namespace, frame, out);
}

/** The connection of the packet that the ICMP error at `l4` quotes, seen the way that packet went. */
function quoted(namespace: Namespace, l4: usize, length: u32, time: u64, swap: bool): BalancedConnection | null {
  if (length < icmp.LENGTH + ipv4.LENGTH + 8 || !icmp.isError(icmp.type(l4))) return null;
  const inner = l4 + icmp.LENGTH;
  const header = ipv4.headerLength(inner);
  const protocol = ipv4.protocol(inner);
  if (length < icmp.LENGTH + header + 8 || (protocol != ipv4.TCP && protocol != ipv4.UDP)) return null;
  const inL4 = inner + header;
  return swap
    ? findBalanced(keyA(ipv4.destination(inner), ipv4.source(inner)), keyB(namespace.id, protocol, load<u16>(inL4, 2), load<u16>(inL4)), time)
    : findBalanced(keyA(ipv4.source(inner), ipv4.destination(inner)), keyB(namespace.id, protocol, load<u16>(inL4), load<u16>(inL4, 2)), time);
}

/** What an error quotes: address and port change, the transport checksum stays as it was (ip_vs_nat_icmp mends the IP header's alone). */
function mangleQuoted(inner: usize, source: bool, address: u32, port: u32): void {
  const header = ipv4.headerLength(inner);
  mangle(inner, header, source, address, 0, 0);
  store<u16>(inner + header + (source ? 0 : 2), <u16>port);
}

/** An error from a destination or from a router on the way to it: back to the client with the virtual address (ip_vs_nat_icmp, outward). */
function errorReply(namespace: Namespace, frame: Frame, device: Device): void {
  const ip = frame.data;
  const l4 = ip + ipv4.headerLength(ip);
  const length = ipv4.totalLength(ip) - ipv4.headerLength(ip);
  const connection = quoted(namespace, l4, length, frame.time, true);
  if (!connection || !foundServer) return;
  const virtual = destinationOf(connection.clientA);
  const inner = l4 + icmp.LENGTH;
  mangleQuoted(inner, false, virtual, dportOf(connection.clientB));
  icmp.seal(l4, length);
  mangle(ip, ipv4.headerLength(ip), true, virtual, 0, 0);
  countOut(frame, connection.destination);
  note(frame, Note.UN_IPVS, connection.destination.id, sourceOf(connection.serverA), 0, virtual, 0, device);
  if (!namespace.ipvsConntrack) untrack(frame);
  frame.flags |= IPVS_PROPERTY;
}

/** An error from the client's side about an answer: on to the destination (ip_vs_in_icmp). */
function errorInput(namespace: Namespace, frame: Frame, device: Device): bool {
  const ip = frame.data;
  const l4 = ip + ipv4.headerLength(ip);
  const length = ipv4.totalLength(ip) - ipv4.headerLength(ip);
  const connection = quoted(namespace, l4, length, frame.time, true);
  if (!connection) return true;
  if (foundServer) {
    errorReply(namespace, frame, device);
    return true;
  }
  const destination = connection.destination;
  countIn(frame, destination);
  const route = lookUp(namespace, destination.address);
  if (!route || ipv4.ttl(ip) <= 1) return true;
  const inner = l4 + icmp.LENGTH;
  mangleQuoted(inner, true, destination.address, sportOf(connection.serverB));
  icmp.seal(l4, length);
  ipv4.decrementTtl(ip);
  mangle(ip, ipv4.headerLength(ip), false, destination.address, 0, 0);
  if (!namespace.ipvsConntrack) untrack(frame);
  frame.flags |= IPVS_PROPERTY;
  outputBalanced(namespace, frame, route);
  return false;
}
