// ICMP: echo replies, errors sent and errors received (net/ipv4/icmp.c; RFC 792, RFC 1122 3.2.2, RFC 1812 4.3).

import { CT_RELATED, CT_REPLY, Frame, GROUP, takeFrame } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Namespace } from "./namespace";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";
import { sum } from "../wire/checksum";
import { CONFIRMED } from "../tables/connections";
import { RouteType, addressType, isLocal } from "../tables/routes";
import { nextId, output, sourceFor } from "./output";
import { echoReplyReceive } from "./echo";
import { socketError } from "./socket-errors";

/** An error is at most this long, so that any path carries it (RFC 1812 4.3.2.3). */
const ERROR_LENGTH: u32 = 576;
const TTL: u32 = 64;
/** TOS of an error: precedence "internetwork control" over the offending packet's TOS bits. */
const PRECEDENCE: u32 = 0xc0;

/** Delivered to this namespace; `frame.data` is the IP header. */
export function icmpReceive(namespace: Namespace, frame: Frame, broadcast: bool): void {
  const ip = frame.data;
  const header = ipv4.headerLength(ip);
  const l4 = ip + header;
  const length = frame.length - header;
  if (length < icmp.LENGTH || sum(l4, length) != 0xffff) return drop(frame, Drop.ICMP_CSUM, frame.device);
  const type = icmp.type(l4);
  // icmp_echo_ignore_broadcasts is on.
  if (broadcast) return deliver(frame);
  if (type == icmp.ECHO_REQUEST) return answerEcho(namespace, frame, l4, length);
  if (type == icmp.ECHO_REPLY) return echoReplyReceive(namespace, frame);
  if (icmp.isError(type)) tellSocket(namespace, l4, length, ipv4.source(ip), frame.time);
  deliver(frame);
}

/** The reply carries the request's identifier, sequence, data and TOS (icmp_echo). */
function answerEcho(namespace: Namespace, request: Frame, l4: usize, length: u32): void {
  const ip = request.data;
  const reply = takeFrame(ipv4.LENGTH + length);
  if (!reply) return drop(request, Drop.NOMEM, request.device);
  account.generated++;
  reply.time = request.time;
  const source = ipv4.destination(ip);
  const destination = ipv4.source(ip);
  memory.copy(reply.data + ipv4.LENGTH, l4, length);
  store<u8>(reply.data + ipv4.LENGTH, <u8>icmp.ECHO_REPLY);
  icmp.seal(reply.data + ipv4.LENGTH, length);
  const id = nextId(namespace, source, destination, ipv4.ICMP);
  ipv4.emit(reply.data, ipv4.tos(ip), ipv4.LENGTH + length, id, 0, TTL, ipv4.ICMP, source, destination);
  deliver(request);
  output(namespace, reply);
}

/** The packet that an error quotes was sent by a socket here: it hears of it. `from` sent the error. */
function tellSocket(namespace: Namespace, l4: usize, length: u32, from: u32, time: u64): void {
  const inner = l4 + icmp.LENGTH;
  const left = length - icmp.LENGTH;
  if (left < ipv4.LENGTH || ipv4.version(inner) != 4) return;
  const header = ipv4.headerLength(inner);
  if (header < ipv4.LENGTH || left < header + 8) return;
  const protocol = ipv4.protocol(inner);
  if (protocol != ipv4.TCP && protocol != ipv4.UDP && protocol != ipv4.ICMP) return;
  const ports = inner + header;
  const echo = protocol == ipv4.ICMP;
  socketError(namespace, protocol, ipv4.source(inner), echo ? icmp.identifier(ports) : load<u16>(ports), ipv4.destination(inner),
    echo ? 0 : load<u16>(ports, 2), icmp.type(l4) << 8 | icmp.code(l4), icmp.mtu(l4),
    protocol == ipv4.TCP ? bswap<u32>(load<u32>(ports, 4)) : echo ? icmp.sequence(ports) : 0, from, time);
}

export function sendPortUnreachable(namespace: Namespace, frame: Frame): void {
  sendError(namespace, frame, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0);
}
export function sendProtocolUnreachable(namespace: Namespace, frame: Frame): void {
  sendError(namespace, frame, icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE, 0);
}
export function sendHostUnreachable(namespace: Namespace, frame: Frame): void {
  sendError(namespace, frame, icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, 0);
}
export function sendNetUnreachable(namespace: Namespace, frame: Frame): void {
  sendError(namespace, frame, icmp.UNREACHABLE, icmp.NET_UNREACHABLE, 0);
}
export function sendFragmentationNeeded(namespace: Namespace, frame: Frame, mtu: u32): void {
  sendError(namespace, frame, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, <u32>bswap<u16>(<u16>mtu) << 16);
}
/** Code 1: for the host. `gateway` as loaded. */
export function sendRedirect(namespace: Namespace, frame: Frame, gateway: u32): void {
  sendError(namespace, frame, icmp.REDIRECT, 1, gateway);
}
/** Code 0: in transit. */
export function sendTimeExceeded(namespace: Namespace, frame: Frame, code: u32): void {
  sendError(namespace, frame, icmp.TIME_EXCEEDED, code, 0);
}
export function sendReassemblyTimeExceeded(namespace: Namespace, frame: Frame): void {
  sendTimeExceeded(namespace, frame, 1);
}

/** Tell the sender of the packet at `frame.data` (icmp_send). The packet itself stays the caller's. */
export function sendError(namespace: Namespace, frame: Frame, type: u32, code: u32, rest: u32): void {
  if (namespace.silent || frame.flags & GROUP) return;
  const ip = frame.data;
  const to = ipv4.source(ip);
  const destination = ipv4.destination(ip);
  // RFC 1122 3.2.2: never about a broadcast, a later fragment, an error, or to what is no single host.
  if (ipv4.flagsAndOffset(ip) & ipv4.OFFSET) return;
  if (!to || (to & 0xf0) == 0xe0 || addressType(namespace, to) == RouteType.BROADCAST) return;
  if ((destination & 0xf0) == 0xe0 || addressType(namespace, destination) == RouteType.BROADCAST) return;
  const header = ipv4.headerLength(ip);
  if (ipv4.protocol(ip) == ipv4.ICMP && (frame.length < header + 1 || !isAsked(icmp.type(ip + header)))) return;
  const source = isLocal(namespace, destination) ? destination : sourceFor(namespace, to);
  if (!source) return;
  const quoted = min(ipv4.totalLength(ip), ERROR_LENGTH - ipv4.LENGTH - icmp.LENGTH);
  const length = icmp.LENGTH + quoted;
  const error = takeFrame(ipv4.LENGTH + length);
  if (!error) return;
  account.generated++;
  error.time = frame.time;
  const l4 = error.data + ipv4.LENGTH;
  icmp.emit(l4, type, code, rest);
  memory.copy(l4 + icmp.LENGTH, ip, quoted);
  icmp.seal(l4, length);
  ipv4.emit(error.data, PRECEDENCE | (ipv4.tos(ip) & 0x1e), ipv4.LENGTH + length, nextId(namespace, source, to, ipv4.ICMP), 0, TTL, ipv4.ICMP, source, to);
  // It belongs to the offender's connection, even one that is not confirmed (nf_conntrack_attach).
  const connection = frame.connection;
  if (connection && namespace.conntrack) {
    error.connection = connection;
    error.connectionInfo = frame.connectionInfo >= CT_REPLY ? CT_RELATED : CT_RELATED + CT_REPLY;
    if (!(connection.status & CONFIRMED)) connection.frames++;
  }
  output(namespace, error);
}

/** ICMP that is no error itself may provoke one: echo, timestamp, address mask and their replies. */
function isAsked(type: u32): bool {
  return type == 0 || type == 8 || (type >= 13 && type <= 18);
}
