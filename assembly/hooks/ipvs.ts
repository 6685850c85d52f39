// IPVS, masquerading (net/netfilter/ipvs): requests at INPUT go on to a destination (ip_vs_in), its answers get the virtual address
// back at INPUT and FORWARD (ip_vs_out). Who gets a new connection is in ipvs-scheduling, states and timers in ipvs-states, errors
// about a balanced connection in ipvs-errors.

import { CT_UNTRACKED, Frame, IPVS_PROPERTY } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import { BalancedConnection, Destination, Service, findBalanced, foundServer, removeBalanced } from "../tables/services";
import { CONFIRMED, destinationOf, dportOf, keyA, keyB, releaseUnconfirmed, removeConnection, sportOf } from "../tables/connections";
import { errorInput, errorReply } from "./ipvs-errors";
import { nextDestination, schedule, serviceOf } from "./ipvs-scheduling";
import { advance, touch } from "./ipvs-states";
import { alterReply, mangle } from "./nat";
import { sendPortUnreachable, sendTimeExceeded, sendFragmentationNeeded } from "../stack/icmp";
import { lookUp } from "../tables/routes";
import { outputBalanced } from "../stack/output";
import { balancedBy, counted, fitted, recording } from "../flowtable/recorder";
import { differs, schedules } from "../flowtable/opening-recorder";
import { note, Note } from "../capture/tap";

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
export function countIn(frame: Frame, destination: Destination): void {
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
export function countOut(frame: Frame, destination: Destination): void {
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
export function untrack(frame: Frame): void {
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
