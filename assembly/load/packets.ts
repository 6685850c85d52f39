// The packets of a load, as a TCP socket without timestamps, or a connected UDP socket, would send them. Sizes are those of
// whole frames, Ethernet header included, frame check sequence not.

import { CONFIRM, Frame, SOCKET_HASH, current } from "../frame";
import { Namespace } from "../stack/namespace";
import { newPacket, outputLater, outputLater6 } from "../stack/own-packets";
import { output, pathMtu } from "../stack/output";
import { HOP_LIMIT, output6, pathMtu6 } from "../stack/output6";
import { destinationAt, keepAt } from "../tables/addresses6";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import { LoadFlow, headerOf, mssOf } from "./flows";
import { LoadKind } from "./load";

const TTL: u32 = 64;
const SCALE: u32 = 7;
/** What a fresh socket tells, and, scaled, one whose buffer has grown as far as net.ipv4.tcp_rmem lets it: 6 MiB. */
const SYN_WINDOW: u32 = 65535;
const WINDOW: u32 = 49152;
/** Data that tells which packet it is. */
const NUMBER: u32 = 4;
/** MSS, SACK permitted, window scale. */
const SYN_OPTIONS: u32 = 12;
const FILL: u8 = 0x78;

/** What answers a packet takes so long, ns; a socket never answers from within what provokes it. */
const PROCESSING_DELAY: u64 = 1000;

/** Who sends: an address and port of `namespace`, to whom, and the counter of its IP ids. Over IPv6 addresses are numbers, good until other packets come. */
class Sender {
  namespace: Namespace = changetype<Namespace>(0);
  v6: bool = false;
  address: u32 = 0;
  port: u32 = 0;
  to: u32 = 0;
  toPort: u32 = 0;
  idAt: usize = 0;
  hash: u32 = 0;
  mtu: u32 = 0;
  /** It answers. */
  later: bool = false;
  /** Flags of its frames: a survey's number (ways), or 0. */
  survey: u32 = 0;
}
const sender = new Sender();

/** The flow's own end sends next; `later`: in answer to what has just come. `survey`: flags, or 0. */
export function asSender(flow: LoadFlow, later: bool, survey: u32 = 0): void {
  const source = flow.source;
  sender.survey = survey;
  sender.later = later;
  sender.namespace = source.namespace;
  sender.v6 = source.v6;
  sender.address = flow.address;
  sender.port = flow.port;
  sender.to = source.destination;
  sender.toPort = source.destinationPort;
  sender.idAt = changetype<usize>(flow) + offsetof<LoadFlow>("ipId");
  sender.hash = flow.hash;
  sender.mtu = source.mtu;
}

/** Whoever got the packet at `ip`, of that protocol's header at `l4`, sends next. `survey`: the flags that it came with. */
export function asReceiver(flow: LoadFlow, namespace: Namespace, ip: usize, l4: usize, survey: u32): void {
  sender.survey = survey;
  sender.later = true;
  sender.namespace = namespace;
  sender.v6 = ipv4.version(ip) == 6;
  sender.address = destinationAt(ip, sender.v6);
  sender.port = load<u16>(l4, 2);
  sender.to = sender.v6 ? keepAt(ip + ipv6.AT_SOURCE) : ipv4.source(ip);
  sender.toPort = load<u16>(l4);
  sender.idAt = changetype<usize>(flow) + offsetof<LoadFlow>("answerId");
  sender.hash = rotl<u32>(flow.hash, 16) | 1;
  sender.mtu = 0;
}

/** Of the way to whom it is sent. */
function mtu(time: u64): u32 {
  if (!sender.mtu) sender.mtu = sender.v6 ? pathMtu6(sender.namespace, sender.to, time) : pathMtu(sender.namespace, sender.to);
  return sender.mtu;
}

/** SYN or SYN-ACK. */
export function sendSyn(sequence: u32, acknowledgment: u32, time: u64): bool {
  const header = tcp.LENGTH + SYN_OPTIONS;
  const at = begin(header, time);
  if (!at) return false;
  const flags = acknowledgment ? tcp.SYN | tcp.ACK : tcp.SYN;
  const l4 = at + headerOf(sender.v6);
  tcp.emit(l4, sender.port, sender.toPort, sequence, acknowledgment, header, flags, SYN_WINDOW);
  store<u32>(l4, tcp.OPTION_MSS | (4 << 8) | (<u32>bswap<u16>(<u16>mssOf(mtu(time), sender.v6)) << 16), 20);
  store<u32>(l4, tcp.OPTION_NOP | (tcp.OPTION_NOP << 8) | (tcp.OPTION_SACK_PERMITTED << 16) | (2 << 24), 24);
  store<u32>(l4, tcp.OPTION_NOP | (tcp.OPTION_WINDOW_SCALE << 8) | (3 << 16) | (SCALE << 24), 28);
  // A SYN-ACK comes from no full socket in Linux: id 0.
  finish(ipv4.TCP, header, ipv4.DF, acknowledgment ? 0 : nextId(), LoadKind.OTHER);
  return true;
}

/** A segment with `length` bytes of data, of which the first four are the packet's `number`. */
export function sendSegment(sequence: u32, acknowledgment: u32, flags: u32, length: u32, number: u32, kind: LoadKind, confirm: bool, time: u64): bool {
  const size = tcp.LENGTH + length;
  const at = begin(size, time);
  if (!at) return false;
  const l4 = at + headerOf(sender.v6);
  tcp.emit(l4, sender.port, sender.toPort, sequence, acknowledgment, tcp.LENGTH, flags, WINDOW);
  fill(l4 + tcp.LENGTH, length, number);
  if (confirm) made.flags |= CONFIRM;
  finish(ipv4.TCP, size, ipv4.DF, nextId(), kind);
  return true;
}

/** A datagram; of one that is longer than the MTU `output` makes fragments. */
export function sendDatagram(length: u32, number: u32, kind: LoadKind, time: u64): bool {
  const size = udp.LENGTH + length;
  const at = begin(size, time);
  if (!at) return false;
  const l4 = at + headerOf(sender.v6);
  udp.emit(l4, sender.port, sender.toPort, size);
  fill(l4 + udp.LENGTH, length, number);
  finish(ipv4.UDP, size, !sender.v6 && ipv4.LENGTH + size <= mtu(time) ? ipv4.DF : 0, nextId(), kind);
  return true;
}

/** Bytes of data in a frame of `size` bytes. */
export function dataOf(protocol: u32, size: u32, v6: bool): u32 { return size - headersOf(protocol, v6); }
/** And the other way about. */
export function sizeOf(protocol: u32, data: u32, v6: bool): u32 { return data + headersOf(protocol, v6); }
/** Of a frame with a SYN, or SYN-ACK. */
export function synSize(v6: bool): u32 { return sizeOf(ipv4.TCP, SYN_OPTIONS, v6); }
/** A frame of `size` bytes, or what its headers and the number of its packet take. */
export function atLeast(protocol: u32, size: u32, v6: bool): u32 { return max(size, headersOf(protocol, v6) + NUMBER); }

function headersOf(protocol: u32, v6: bool): u32 { return ethernet.LENGTH + headerOf(v6) + (protocol == ipv4.TCP ? tcp.LENGTH : udp.LENGTH); }

let made: Frame = changetype<Frame>(0);

function begin(size: u32, time: u64): usize {
  // No memory for the number of whom it is for.
  if (!sender.to) return 0;
  const frame = newPacket(headerOf(sender.v6) + size, sender.later ? time + PROCESSING_DELAY : time);
  if (!frame) return 0;
  made = frame;
  return frame.data;
}

function fill(at: usize, length: u32, number: u32): void {
  memory.fill(at, FILL, length);
  if (length >= NUMBER) store<u32>(at, bswap<u32>(number));
}

function nextId(): u32 {
  const id = load<u16>(sender.idAt) + 1;
  store<u16>(sender.idAt, id);
  return id;
}

/** Seals it and puts it out; `flags` and `id` are IPv4's. Errors may come back at once. */
function finish(protocol: u32, size: u32, flags: u32, id: u32, kind: LoadKind): void {
  const frame = made;
  const ip = frame.data;
  frame.hash = sender.hash;
  frame.flags |= SOCKET_HASH | sender.survey;
  frame.loadKind = <u8>kind;
  frame.load = current;
  if (sender.v6) return finish6(frame, protocol, size);
  if (protocol == ipv4.TCP) tcp.seal(ip + ipv4.LENGTH, size, sender.address, sender.to);
  else udp.seal(ip + ipv4.LENGTH, size, sender.address, sender.to);
  ipv4.emit(ip, 0, ipv4.LENGTH + size, id & 0xffff, flags, TTL, protocol, sender.address, sender.to);
  if (sender.later) outputLater(sender.namespace, frame);
  else output(sender.namespace, frame);
}

/** The flow label is a connected socket's. */
function finish6(frame: Frame, protocol: u32, size: u32): void {
  const ip = frame.data;
  const l4 = ip + ipv6.LENGTH;
  const source = <usize>sender.address;
  const destination = <usize>sender.to;
  if (protocol == ipv4.TCP) tcp.seal6(l4, size, source, destination);
  else udp.seal6(l4, size, source, destination);
  ipv6.emit(ip, 0, rotl<u32>(sender.hash, 16) & 0xfffff, size, protocol, HOP_LIMIT, source, destination);
  if (sender.later) outputLater6(sender.namespace, frame, null);
  else output6(sender.namespace, frame, null);
}
