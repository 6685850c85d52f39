// UDP sockets (RFC 768; net/ipv4/udp.c: udp_sendmsg, __udp4_lib_rcv).

import { Frame, SOCKET_HASH } from "../frame";
import { deliver, drop, Drop } from "../drops";
import { random } from "../random";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as udp from "../wire/udp";
import { Namespace } from "./namespace";
import { sendPortUnreachable } from "./icmp";
import { nextId, pathMtu, sourceFor } from "./output";
import { HOP_LIMIT, flowLabelFor, sourceFor6 } from "./output6";
import { numberAt } from "../tables/addresses6";
import { sendPortUnreachable6 } from "./icmp6";
import { loadDatagram } from "../load/receiver";
import { Punt, V6_PUNT, punt, puntRoom } from "./punts";
import { newPacket, outputLater, outputLater6 } from "./own-packets";
import { findBound, findSocket, freePort, indexSocket, moveSocket, newSocket, prepare, removeSocket, Socket, socketById, State } from "./sockets";

const TTL: u32 = 64; // net.ipv4.ip_default_ttl

/** socket() and bind(): `address` 0 is every address, `port` 0 (wire order) a free one. The socket's id; 0: address in use. */
export function udpOpen(namespace: Namespace, address: u32, port: u32): u32 { return open(namespace, ipv4.UDP, address, port); }
/** The same over IPv6: `address` is a number. */
export function udpOpen6(namespace: Namespace, address: u32, port: u32): u32 { return open(namespace, ipv4.UDP | ipv6.V6, address, port); }

function open(namespace: Namespace, protocol: u32, address: u32, port: u32): u32 {
  prepare();
  if (!port) port = freePort(namespace, protocol, address, 0, 0);
  if (!port || findBound(namespace, protocol, address, port)) return 0;
  const socket = newSocket(namespace, protocol, address, port, 0, 0);
  if (!socket) return 0;
  socket.state = State.BOUND;
  if (indexSocket(socket)) return socket.id;
  removeSocket(socket);
  return 0;
}

/** connect(): only this peer from now on; its own IP ids and transmit hash (ip4_datagram_connect). False: no route, or taken. */
export function udpConnect(id: u32, destination: u32, port: u32): bool {
  prepare();
  const socket = socketById(id);
  if (!socket || socket.protocol != ipv4.UDP || socket.remotePort) return false;
  const local = socket.local ? socket.local : socket.v6 ? sourceFor6(socket.namespace, destination, null) : sourceFor(socket.namespace, destination);
  if (!local || !port || !moveSocket(socket, local, destination, port)) return false;
  socket.ipId = random();
  socket.hash = random() | 1;
  return true;
}

/**
 * sendto() at `time`. A connected socket takes destination 0. Larger than the route's MTU: DF is clear and `output` makes
 * fragments; else DF is set (IP_PMTUDISC_WANT, ip_dont_fragment). Returns `length`, or 0: no such socket, no route, too
 * long, or no memory.
 */
export function udpSend(id: u32, destination: u32, port: u32, dataAt: usize, length: u32, time: u64): u32 {
  prepare();
  const socket = socketById(id);
  if (!socket || socket.protocol != ipv4.UDP) return 0;
  const namespace = socket.namespace;
  const connected = socket.remotePort != 0;
  if (!destination) destination = socket.remote;
  if (!port) port = socket.remotePort;
  if (!destination || !port) return 0;
  if (socket.v6) return send6(socket, destination, port, dataAt, length, time);
  const total = ipv4.LENGTH + udp.LENGTH + length;
  if (length > 65507) return 0;
  const source = socket.local ? socket.local : sourceFor(namespace, destination);
  if (!source) return 0;
  const frame = newPacket(total, time);
  if (!frame) return 0;
  const ip = frame.data;
  const header = ip + ipv4.LENGTH;
  udp.emit(header, socket.localPort, port, udp.LENGTH + length);
  memory.copy(header + udp.LENGTH, dataAt, length);
  udp.seal(header, udp.LENGTH + length, source, destination);
  // A connected socket counts its own ids; the others share the namespace's (ip_select_ident_segs).
  const ipId = connected ? socket.ipId++ & 0xffff : nextId(namespace, source, destination, ipv4.UDP);
  ipv4.emit(ip, 0, total, ipId, total <= pathMtu(namespace, destination) ? ipv4.DF : 0, socket.ttl ? socket.ttl : TTL, ipv4.UDP, source, destination);
  if (connected) {
    frame.hash = socket.hash;
    frame.flags |= SOCKET_HASH;
  }
  outputLater(namespace, frame);
  return length;
}

/** Fragments are the sender's to make, and `output6` makes them. No checksum of 0 over IPv6 (RFC 8200, section 8.1). */
function send6(socket: Socket, destination: u32, port: u32, dataAt: usize, length: u32, time: u64): u32 {
  if (length > 65527) return 0;
  const namespace = socket.namespace;
  const source = socket.local ? socket.local : sourceFor6(namespace, destination, null);
  if (!source) return 0;
  const size = udp.LENGTH + length;
  const frame = newPacket(ipv6.LENGTH + size, time);
  if (!frame) return 0;
  const header = frame.data + ipv6.LENGTH;
  udp.emit(header, socket.localPort, port, size);
  memory.copy(header + udp.LENGTH, dataAt, length);
  udp.seal6(header, size, <usize>source, <usize>destination);
  let label = flowLabelFor(namespace, <usize>source, <usize>destination, ipv4.UDP, socket.localPort | (port << 16));
  if (socket.remotePort) {
    frame.hash = socket.hash;
    frame.flags |= SOCKET_HASH;
    label = rotl<u32>(socket.hash, 16) & 0xfffff;
  }
  ipv6.emit(frame.data, 0, label, size, ipv4.UDP, HOP_LIMIT, <usize>source, <usize>destination);
  outputLater6(namespace, frame, null);
  return length;
}

export function udpClose(id: u32): void {
  const socket = socketById(id);
  if (socket && socket.protocol == ipv4.UDP) removeSocket(socket);
}

/** Local delivery of a datagram: `frame.data` is the IP header, of either version, which has been checked. */
export function udpReceive(namespace: Namespace, frame: Frame): void {
  const ip = frame.data;
  const v6 = ipv4.version(ip) == 6;
  const skip = v6 ? <u32>frame.upperAt : ipv4.headerLength(ip);
  const available = frame.length - skip;
  const header = ip + skip;
  if (available < udp.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, frame.device);
  const length = udp.length(header);
  if (length < udp.LENGTH || length > available) return drop(frame, Drop.PKT_TOO_SMALL, frame.device);
  const source = v6 ? numberAt(ip + ipv6.AT_SOURCE) : ipv4.source(ip);
  const destination = v6 ? numberAt(ip + ipv6.AT_DESTINATION) : ipv4.destination(ip);
  if (v6 ? !udp.checksumOk6(header, length, ip) : !udp.checksumOk(header, length, source, destination)) return drop(frame, Drop.UDP_CSUM, frame.device);
  const protocol = v6 ? ipv4.UDP | ipv6.V6 : ipv4.UDP;
  if (frame.load && loadDatagram(namespace, frame, header, length - udp.LENGTH)) return;
  const socket = findSocket(namespace, protocol, destination, udp.destination(header), source, udp.source(header), frame.time);
  if (!socket) {
    if (namespace.silent) return deliver(frame);
    if (v6) sendPortUnreachable6(namespace, frame);
    else sendPortUnreachable(namespace, frame); // not about a broadcast: it sees to that itself
    return drop(frame, Drop.NO_SOCKET, frame.device);
  }
  if (socket.state == State.FOREIGN) return deliver(frame);
  const payload = length - udp.LENGTH;
  if (v6) {
    if (!puntRoom(20 + payload)) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
    const data = punt(Punt.DATAGRAM | V6_PUNT, frame.time, socket.id, 20 + payload, destination, udp.destination(header));
    ipv6.copyAddress(data, ip + ipv6.AT_SOURCE);
    store<u32>(data, udp.source(header), 16);
    memory.copy(data + 20, header + udp.LENGTH, payload);
    return deliver(frame);
  }
  if (!puntRoom(8 + payload)) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
  const data = punt(Punt.DATAGRAM, frame.time, socket.id, 8 + payload, destination, udp.destination(header));
  store<u32>(data, source);
  store<u32>(data, udp.source(header), 4);
  memory.copy(data + 8, header + udp.LENGTH, payload);
  deliver(frame);
}
