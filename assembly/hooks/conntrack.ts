// Connection tracking at PREROUTING and OUTPUT (nf_conntrack_in): find or make the connection of a packet, say how the
// packet stands to it, and let its protocol move the state and the timeout on.
// What both families share is here, and what IPv4's packets say; conntrack6 reads IPv6's.
// Timeouts: net.netfilter.nf_conntrack_*; TCP's are in tcp-states, UDP's in conntrack-udp.

import { CT_ESTABLISHED, CT_INVALID, CT_NEW, CT_RELATED, CT_REPLY, CT_UNTRACKED, Frame, IPVS_PROPERTY } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as icmp from "../wire/icmp";
import * as udp from "../wire/udp";
import * as tcp from "../wire/tcp";
import { sum } from "../wire/checksum";
import {
  CONFIRMED, Connection, SEEN_REPLY, destinationOf, findConnection, foundReply, invertA, invertB, isIcmp, keyA, keyB, newConnection,
  releaseUnconfirmed, removeConnection,
} from "../tables/connections";
import { noteProgress, standing, watching } from "../tables/events";
import { recording, tracked } from "../flowtable/recorder";
import { Hook } from "../tables/rules";
import { tcpError, tcpNew, tcpPacket } from "./conntrack-tcp";
import { udpFollow, udpNew } from "./conntrack-udp";

const SECOND: u64 = 1_000_000_000;
const ICMP_TIMEOUT: u64 = 30 * SECOND;
export const GENERIC_TIMEOUT: u64 = 600 * SECOND;

/** The tuple that was read last, by this file's `tupleOf` or conntrack6's. */
let tupleA: u64 = 0;
let tupleB: u64 = 0;
// @ts-ignore: decorator
@inline
export function setTuple(a: u64, b: u64): void {
  tupleA = a;
  tupleB = b;
}

/** Reads the tuple of the packet at `ip`, of which `length` bytes are there. False: it has none. */
function tupleOf(namespace: Namespace, ip: usize, length: u32): bool {
  const header = ipv4.headerLength(ip);
  const protocol = ipv4.protocol(ip);
  const l4 = ip + header;
  let sport: u32 = 0;
  let dport: u32 = 0;
  if (protocol == ipv4.TCP || protocol == ipv4.UDP) {
    if (length < header + 4) return false;
    sport = load<u16>(l4);
    dport = load<u16>(l4, 2);
  } else if (protocol == ipv4.ICMP) {
    if (length < header + 8) return false;
    sport = icmp.identifier(l4);
    dport = icmp.type(l4) | (icmp.code(l4) << 8);
  }
  setTuple(keyA(ipv4.source(ip), ipv4.destination(ip)), keyB(namespace.id, protocol, sport, dport));
  return true;
}

/** False: the frame was dropped. A packet that conntrack refuses goes on, INVALID. */
export function conntrackIn(namespace: Namespace, frame: Frame, hook: Hook, place: Device): bool {
  // Once over lo, or through br_netfilter, it has been here already; IPVS without vs.conntrack leaves it untracked.
  if (frame.connection || frame.flags & IPVS_PROPERTY) return true;
  frame.connectionInfo = CT_INVALID;
  const ip = frame.data;
  const protocol = ipv4.protocol(ip);
  const header = ipv4.headerLength(ip);
  const l4 = ip + header;
  const length = ipv4.totalLength(ip) - header;

  if (protocol == ipv4.ICMP) {
    if (length < icmp.LENGTH) return true;
    if (hook == Hook.PREROUTING && sum(l4, length) != 0xffff) return true;
    if (icmp.isError(icmp.type(l4))) {
      relate(namespace, frame, l4, length);
      return true;
    }
    if (icmp.type(l4) > 18) return true;
  } else if (protocol == ipv4.TCP) {
    if (length < tcp.LENGTH || tcpError(l4, length)) return true;
    if (hook == Hook.PREROUTING && !tcp.checksumOk(l4, length, ipv4.source(ip), ipv4.destination(ip))) return true;
  } else if (protocol == ipv4.UDP) {
    if (length < udp.LENGTH || udp.length(l4) < udp.LENGTH || udp.length(l4) > length) return true;
    if (hook == Hook.PREROUTING && !udp.checksumOk(l4, udp.length(l4), ipv4.source(ip), ipv4.destination(ip))) return true;
  } else if (protocol == ipv6.ICMP) return true;
  if (!tupleOf(namespace, ip, header + length)) return true;
  return follow(namespace, frame, place, protocol, l4, length);
}

/**
 * Finds or makes the connection of the tuple that was read, and moves it on by the packet whose upper layer begins at `l4` and is
 * `length` bytes long (resolve_normal_ct, nf_conntrack_handle_packet). False: the frame was dropped.
 */
export function follow(namespace: Namespace, frame: Frame, place: Device, protocol: u32, l4: usize, length: u32): bool {
  const a = tupleA;
  const b = tupleB;
  while (true) {
    let connection = findConnection(a, b, frame.time);
    const reply = connection ? foundReply : 0;
    if (!connection) {
      if (isIcmp(protocol) && !opensConnection(protocol, icmp.type(l4))) return true;
      if (namespace.connections >= namespace.connectionsMax) {
        drop(frame, Drop.CONNTRACK_TABLE_FULL, place);
        return false;
      }
      connection = newConnection(namespace, a, b);
      if (!connection) {
        drop(frame, Drop.CONNTRACK_TABLE_FULL, place);
        return false;
      }
      connection.frames = 1;
      if (protocol == ipv4.TCP && !tcpNew(connection, l4, length)) {
        frame.connection = connection;
        forget(frame);
        return true;
      }
    }
    frame.connection = connection;
    frame.connectionInfo = reply ? CT_ESTABLISHED + CT_REPLY : connection.status & SEEN_REPLY ? CT_ESTABLISHED : CT_NEW;
    const before = watching ? standing(connection) : 0;
    const deadline = connection.deadline;
    const verdict = protocolPacket(connection, protocol, reply, l4, length, frame.time);
    if (verdict == -2) {
      // The old connection is over and this packet opens a new one (NF_REPEAT).
      frame.connection = null;
      removeConnection(connection);
      continue;
    }
    if (verdict <= 0) {
      if (verdict < 0) {
        drop(frame, Drop.NETFILTER_DROP, place);
        return false;
      }
      forget(frame);
      return true;
    }
    if (reply) connection.status |= SEEN_REPLY;
    if (watching) noteProgress(connection, before, deadline, frame.time);
    if (recording) tracked(frame, connection, reply);
    return true;
  }
}

/** INVALID after all: it goes on without a connection. */
function forget(frame: Frame): void {
  const connection = frame.connection!;
  if (!(connection.status & CONFIRMED)) releaseUnconfirmed(frame);
  frame.connection = null;
  frame.connectionInfo = CT_INVALID;
}

/** Requests that are tracked (icmp_packet's and icmpv6_packet's valid_new): echo, timestamp, information, address mask; echo, node information. */
function opensConnection(protocol: u32, type: u32): bool {
  if (protocol == ipv6.ICMP) return type == 128 || type == 139;
  return type == 8 || type == 13 || type == 15 || type == 17;
}

/** The packet of that protocol moves it on; see tcpPacket for what is answered. */
export function protocolPacket(connection: Connection, protocol: u32, reply: u32, l4: usize, length: u32, time: u64): i32 {
  if (protocol == ipv4.TCP) return tcpPacket(connection, reply, l4, length, time);
  if (protocol == ipv4.UDP) {
    if (connection.status & CONFIRMED) udpFollow(connection, time);
    else udpNew(connection, time);
  } else connection.deadline = time + (isIcmp(protocol) ? ICMP_TIMEOUT : GENERIC_TIMEOUT);
  return 1;
}

/** An ICMP error is RELATED to the connection of the packet that it quotes (nf_conntrack_inet_error). */
function relate(namespace: Namespace, frame: Frame, l4: usize, length: u32): void {
  const inner = l4 + icmp.LENGTH;
  const left = length - icmp.LENGTH;
  if (length < icmp.LENGTH + ipv4.LENGTH || ipv4.version(inner) != 4) return;
  const header = ipv4.headerLength(inner);
  if (header < ipv4.LENGTH || left < header + 8) return;
  if (ipv4.flagsAndOffset(inner) & ipv4.OFFSET) return;
  if (tupleOf(namespace, inner, left)) relateTo(frame, ipv4.destination(frame.data));
}

/** The packet whose tuple was read is quoted by this one, which is for `destination`. */
export function relateTo(frame: Frame, destination: u32): void {
  // The error goes the other way than the packet that it quotes.
  const connection = findConnection(invertA(tupleA), invertB(tupleB), frame.time);
  if (!connection) return;
  const reply = foundReply;
  const expected = reply ? connection.replyA : connection.originalA;
  if (destinationOf(expected) != destination) return;
  frame.connection = connection;
  frame.connectionInfo = reply ? CT_RELATED + CT_REPLY : CT_RELATED;
}

/** The frame goes where conntrack has not looked at it. */
// @ts-ignore: decorator
@inline
export function resetConntrack(frame: Frame): void {
  if (frame.connection) releaseUnconfirmed(frame);
  frame.connectionInfo = CT_UNTRACKED;
}
