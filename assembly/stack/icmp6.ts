// ICMPv6: echo replies, errors sent and errors received (net/ipv6/icmp.c; RFC 4443).

import { CT_RELATED, CT_REPLY, Frame, takeFrame } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { CONFIRMED } from "../tables/connections";
import { keepAt, numberAt } from "../tables/addresses6";
import { tellMtu } from "../tables/paths6";
import { Route6Type, isLocal6, lookUp6, needsDevice } from "../tables/routes6";
import { chooseSource } from "../tables/interfaces6";
import { HOP_LIMIT, deviceOf, flowLabelFor, output6 } from "./output6";
import { echoReplyReceive6 } from "./echo6";
import { neighbourMessage } from "./nd";
import { socketError6 } from "./sockets6";

/** Delivered to this namespace; `frame.upperAt` tells where the message begins. */
export function icmpReceive6(namespace: Namespace, frame: Frame, device: Device): void {
  const ip = frame.data;
  const l4 = ip + frame.upperAt;
  const length = frame.length - frame.upperAt;
  if (length < 4 || !icmpv6.checksumOk(l4, length, ip)) return drop(frame, Drop.ICMP_CSUM, device);
  const type = icmpv6.type(l4);
  if (type >= icmpv6.ROUTER_SOLICITATION && type <= icmpv6.REDIRECT) return neighbourMessage(namespace, frame, device, l4, length);
  if (namespace.silent) return deliver(frame);
  if (length < icmpv6.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (type == icmpv6.ECHO_REQUEST) return answerEcho(namespace, frame, device, l4, length);
  if (type == icmpv6.ECHO_REPLY) return echoReplyReceive6(namespace, frame, l4, length);
  if (icmpv6.isError(type)) hear(namespace, frame, l4, length);
  deliver(frame);
}

/** The reply carries the request's identifier, sequence, data and traffic class (icmpv6_echo_reply). */
function answerEcho(namespace: Namespace, request: Frame, device: Device, l4: usize, length: u32): void {
  const ip = request.data;
  const to = ip + ipv6.AT_SOURCE;
  const asked = ip + ipv6.AT_DESTINATION;
  const way = lookUp6(namespace, to, device);
  let source = asked;
  // What was asked as a group or an anycast address answers as itself.
  if (!isLocal6(namespace, asked, device)) source = way ? <usize>chooseSource(namespace, to, deviceOf(namespace, way)) : 0;
  const reply = source ? takeFrame(ipv6.LENGTH + length) : null;
  if (!reply) return drop(request, source ? Drop.NOMEM : Drop.IP_OUT_NO_ROUTE, device);
  account.generated++;
  reply.time = request.time;
  const at = reply.data + ipv6.LENGTH;
  memory.copy(at, l4, length);
  store<u8>(at, <u8>icmpv6.ECHO_REPLY);
  ipv6.emit(reply.data, ipv6.trafficClass(ip), flowLabelFor(namespace, source, to, ipv6.ICMP, icmpv6.ECHO_REPLY), length, ipv6.ICMP, HOP_LIMIT, source, to);
  icmpv6.seal(at, length, source, to);
  deliver(request);
  output6(namespace, reply, device);
}

/** An error about a packet that was sent from here: the way's MTU is noted, and its socket hears of it. */
function hear(namespace: Namespace, frame: Frame, l4: usize, length: u32): void {
  const inner = l4 + icmpv6.LENGTH;
  const left = length - icmpv6.LENGTH;
  if (left < ipv6.LENGTH || ipv6.version(inner) != 6) return;
  const type = icmpv6.type(l4);
  const destination = inner + ipv6.AT_DESTINATION;
  if (type == icmpv6.TOO_BIG) {
    // Who says it must be believed for what it says: a packet that we could have sent (ip6_update_pmtu).
    if (!isLocal6(namespace, inner + ipv6.AT_SOURCE, frame.device)) return;
    tellMtu(namespace, keepAt(destination), max(icmpv6.rest(l4), ipv6.LEAST_MTU), frame.time);
  }
  if (!ipv6.walk(inner, left)) return;
  if (ipv6.fragmentAt && ipv6.fragmentWord(inner + ipv6.fragmentAt) & ipv6.OFFSET) return;
  const protocol = ipv6.upper;
  const at = inner + ipv6.upperAt;
  if (left < ipv6.upperAt + 8) return;
  if (protocol != ipv4.TCP && protocol != ipv4.UDP && protocol != ipv6.ICMP) return;
  const local = numberAt(inner + ipv6.AT_SOURCE);
  const remote = numberAt(destination);
  if (!local || !remote) return;
  const echo = protocol == ipv6.ICMP;
  socketError6(namespace, protocol, local, echo ? icmpv6.identifier(at) : load<u16>(at), remote, echo ? 0 : load<u16>(at, 2),
    type, icmpv6.code(l4), icmpv6.rest(l4), protocol == ipv4.TCP ? bswap<u32>(load<u32>(at, 4)) : echo ? icmpv6.sequence(at) : 0,
    frame.data + ipv6.AT_SOURCE, frame.time);
}

// --- Errors ---

export function sendUnreachable6(namespace: Namespace, frame: Frame, device: Device | null, code: u32): void {
  sendError6(namespace, frame, device, icmpv6.UNREACHABLE, code, 0);
}
export function sendAddressUnreachable(namespace: Namespace, frame: Frame, device: Device | null): void {
  sendUnreachable6(namespace, frame, device, icmpv6.ADDRESS_UNREACHABLE);
}
export function sendPortUnreachable6(namespace: Namespace, frame: Frame): void {
  sendUnreachable6(namespace, frame, frame.device, icmpv6.PORT_UNREACHABLE);
}
export function sendTooBig(namespace: Namespace, frame: Frame, device: Device | null, mtu: u32): void {
  sendError6(namespace, frame, device, icmpv6.TOO_BIG, 0, bswap<u32>(max(mtu, ipv6.LEAST_MTU)));
}
/** Code 0: in transit, 1: reassembly. */
export function sendTimeExceeded6(namespace: Namespace, frame: Frame, device: Device | null, code: u32): void {
  sendError6(namespace, frame, device, icmpv6.TIME_EXCEEDED, code, 0);
}
/** `pointer`: the byte that is wrong, from the IPv6 header on. */
export function sendParameterProblem(namespace: Namespace, frame: Frame, device: Device | null, code: u32, pointer: u32): void {
  sendError6(namespace, frame, device, icmpv6.PARAMETER_PROBLEM, code, bswap<u32>(pointer));
}

/** Tell the sender of the packet at `frame.data` (icmp6_send). The packet itself stays the caller's. */
export function sendError6(namespace: Namespace, frame: Frame, device: Device | null, type: u32, code: u32, rest: u32): void {
  if (namespace.silent) return;
  const ip = frame.data;
  if (frame.length < ipv6.LENGTH) return;
  const to = ip + ipv6.AT_SOURCE;
  const destination = ip + ipv6.AT_DESTINATION;
  // RFC 4443 2.4 (e): never about an error, to what is no single host, or about a group, with two exceptions.
  const excepted = type == icmpv6.TOO_BIG || (type == icmpv6.PARAMETER_PROBLEM && code == icmpv6.UNKNOWN_OPTION);
  if (ipv6.isMulticast(destination) && !excepted) return;
  if (ipv6.isUnspecified(to) || ipv6.isMulticast(to)) return;
  if (isErrorItself(ip, frame.length)) return;
  const source = ownAddress(namespace, frame, device, to, destination);
  if (!source) return;
  const quoted = min(frame.length, ipv6.LEAST_MTU - ipv6.LENGTH - icmpv6.LENGTH);
  const length = icmpv6.LENGTH + quoted;
  const error = takeFrame(ipv6.LENGTH + length);
  if (!error) return;
  account.generated++;
  error.time = frame.time;
  const l4 = error.data + ipv6.LENGTH;
  icmpv6.emit(l4, type, code, rest);
  memory.copy(l4 + icmpv6.LENGTH, ip, quoted);
  ipv6.emit(error.data, 0, flowLabelFor(namespace, source, to, ipv6.ICMP, type | (code << 8)), length, ipv6.ICMP, HOP_LIMIT, source, to);
  icmpv6.seal(l4, length, source, to);
  // It belongs to the offender's connection, even one that is not confirmed (nf_ct_attach).
  const connection = frame.connection;
  if (connection && namespace.conntrack6) {
    error.connection = connection;
    error.connectionInfo = frame.connectionInfo >= CT_REPLY ? CT_RELATED : CT_RELATED + CT_REPLY;
    if (!(connection.status & CONFIRMED)) connection.frames++;
  }
  output6(namespace, error, needsDevice(to) ? device : null);
}

/** The place of the address that tells of it: the packet's own goal if that is here, else as routing chooses; 0: none. */
function ownAddress(namespace: Namespace, frame: Frame, device: Device | null, to: usize, destination: usize): usize {
  if (isLocal6(namespace, destination, device)) return destination;
  // To ourselves, about our own packet.
  if (isLocal6(namespace, to, device)) return to;
  const way = lookUp6(namespace, to, device);
  if (!way || way.type == <u8>Route6Type.UNREACHABLE) return 0;
  return <usize>(way.source ? way.source : chooseSource(namespace, to, way.device));
}

/** An ICMPv6 error, or a message that cannot be read, provokes none (is_ineligible). */
function isErrorItself(ip: usize, length: u32): bool {
  if (!ipv6.walk(ip, length)) return true;
  if (ipv6.fragmentAt && ipv6.fragmentWord(ip + ipv6.fragmentAt) & ipv6.OFFSET) return false;
  if (ipv6.upper != ipv6.ICMP) return false;
  if (ipv6.upperAt + 1 > length) return true;
  return icmpv6.isError(icmpv6.type(ip + ipv6.upperAt)) || icmpv6.type(ip + ipv6.upperAt) == icmpv6.REDIRECT;
}
