// What arrives of a load. At its goal a listening socket stands for the process that would take it: connections are accepted,
// every other segment is acknowledged, data is counted and, if the load wants it, answered by as much. At the sender answers
// are counted. Nothing is punted.

import { Frame, SURVEY } from "../frame";
import { deliver } from "../drops";
import { Namespace } from "../stack/namespace";
import { State, bindings, findSocket } from "../stack/sockets";
import * as options from "../stack/tcp-options";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import { destinationAt, sourceAt } from "../tables/addresses6";
import { FlowState, LoadFlow, flowCount, flowOf } from "./flows";
import { answered, answering } from "./generator";
import { LoadKind, LoadPhase, books, receiverOf } from "./load";
import { asReceiver, asSender, sendDatagram, sendSegment, sendSyn, sizeOf } from "./packets";
import { owns } from "./shards";
import { surveyed } from "./ways";

const DEFAULT_MSS: u32 = 536;
/** An acknowledgment tells of so many segments. */
const DELAYED: u8 = 2;

/** A segment of a load, checked, whose header is at `l4`. False: nobody here expects it. */
export function loadSegment(namespace: Namespace, frame: Frame, l4: usize, header: u32, length: u32): bool {
  if (!underWay(frame)) return false;
  const flow = flowOf(frame.load);
  const ip = frame.data;
  if (isSender(flow, namespace, ip, l4)) atSender(flow, frame, l4, header, length);
  else if (listens(flow, namespace, frame, ip, l4, State.LISTEN)) atReceiver(flow, namespace, frame, ip, l4, length);
  else return false;
  deliver(frame);
  return true;
}

/** The same for a datagram of `length` bytes of data. */
export function loadDatagram(namespace: Namespace, frame: Frame, l4: usize, length: u32): bool {
  if (!underWay(frame)) return false;
  const flow = flowOf(frame.load);
  const ip = frame.data;
  if (isSender(flow, namespace, ip, l4)) {
    if (owns(frame.load)) countAnswer(ipv4.UDP, length, isV6(ip));
    surveyed(frame, true);
  } else if (listens(flow, namespace, frame, ip, l4, State.BOUND)) {
    count(namespace, frame, ipv4.UDP, length, firstOf(flow));
    if (answering) {
      asReceiver(flow, namespace, ip, l4, frame.flags & SURVEY);
      sendDatagram(length, numberIn(l4 + udp.LENGTH, length), LoadKind.ANSWER, frame.time);
    } else surveyed(frame, true);
  } else return false;
  deliver(frame);
  return true;
}

function underWay(frame: Frame): bool {
  return books.phase != LoadPhase.NONE && frame.load <= flowCount;
}

// @ts-ignore: decorator
@inline
function isV6(ip: usize): bool { return ipv4.version(ip) == 6; }

/** Has somebody a socket of that state for it? Asked once, until some socket comes or goes. */
function listens(flow: LoadFlow, namespace: Namespace, frame: Frame, ip: usize, l4: usize, state: State): bool {
  if (flow.bindings == bindings && flow.goal == namespace.id) return true;
  const v6 = isV6(ip);
  const protocol = v6 ? ipv6.V6 | <u32>frame.upper : ipv4.protocol(ip);
  const socket = findSocket(namespace, protocol, destinationAt(ip, v6), load<u16>(l4, 2), sourceAt(ip, v6), load<u16>(l4), frame.time);
  if (!socket || socket.state != state) return false;
  flow.bindings = bindings;
  flow.goal = namespace.id;
  flow.way = 0;
  return true;
}

function isSender(flow: LoadFlow, namespace: Namespace, ip: usize, l4: usize): bool {
  const v6 = flow.source.v6;
  if (namespace != flow.source.namespace || isV6(ip) != v6) return false;
  return destinationAt(ip, v6) == flow.address && load<u16>(l4, 2) == <u16>flow.port;
}

function atSender(flow: LoadFlow, frame: Frame, l4: usize, header: u32, length: u32): void {
  const flags = tcp.flags(l4);
  const end = tcp.sequence(l4) + length;
  if (flags & tcp.RST) return answered(flow, FlowState.REFUSED, frame.time);
  if (flags & tcp.SYN) {
    if (flow.state != <u8>FlowState.OPENING) return;
    options.parse(l4, header);
    flow.mss = <u16>min<u32>(flow.mss, options.mss ? options.mss : DEFAULT_MSS);
    flow.receiveNext = end + 1;
    acknowledge(flow, frame);
    return answered(flow, FlowState.OPEN, frame.time);
  }
  flow.confirm = 1;
  surveyed(frame, true);
  if (length) {
    if (tcp.after(end, flow.receiveNext)) flow.receiveNext = end;
    if (owns(frame.load)) countAnswer(ipv4.TCP, length, isV6(frame.data));
  }
  if (!(flags & tcp.FIN) || flow.state == <u8>FlowState.CLOSED) return;
  flow.receiveNext = end + 1;
  flow.state = <u8>FlowState.CLOSED;
  acknowledge(flow, frame);
}

function acknowledge(flow: LoadFlow, frame: Frame): void {
  asSender(flow, true);
  sendSegment(flow.sendNext, flow.receiveNext, tcp.ACK, 0, 0, LoadKind.OTHER, false, frame.time);
}

function atReceiver(flow: LoadFlow, namespace: Namespace, frame: Frame, ip: usize, l4: usize, length: u32): void {
  const flags = tcp.flags(l4);
  const sequence = tcp.sequence(l4);
  if (flags & tcp.RST) return;
  asReceiver(flow, namespace, ip, l4, frame.flags & SURVEY);
  if (flags & tcp.SYN) {
    flow.answered = sequence + 1;
    sendSyn(flow.answerNext, flow.answered, frame.time);
    flow.answerNext++;
    if (owns(frame.load)) {
      const receiver = receiverOf(namespace);
      if (receiver) receiver.flows++;
    }
    return;
  }
  const end = sequence + length + (flags & tcp.FIN ? 1 : 0);
  if (tcp.after(end, flow.answered)) flow.answered = end;
  if (length) {
    count(namespace, frame, ipv4.TCP, length, false);
    if (answering) return answerSegment(flow, frame, l4 + tcp.headerLength(l4), length);
    if (!(flags & tcp.FIN) && !acknowledges(flow)) return surveyed(frame, false);
  } else if (!(flags & tcp.FIN)) return;
  const fin = flags & tcp.FIN;
  sendSegment(flow.answerNext, flow.answered, fin | tcp.ACK, 0, 0, LoadKind.OTHER, false, frame.time);
  if (fin) flow.answerNext++;
}

/** One more segment of data has come, no FIN: is it answered, by an acknowledgment or data? */
// @ts-ignore: decorator
@inline
export function acknowledges(flow: LoadFlow): bool {
  if (answering) return true;
  if (++flow.pending < DELAYED) return false;
  flow.pending = 0;
  return true;
}

function answerSegment(flow: LoadFlow, frame: Frame, data: usize, length: u32): void {
  const sequence = flow.answerNext;
  flow.answerNext += length;
  sendSegment(sequence, flow.answered, tcp.PSH | tcp.ACK, length, numberIn(data, length), LoadKind.ANSWER, false, frame.time);
}

/** A UDP flow shows itself by its first packet that arrives. */
function firstOf(flow: LoadFlow): bool {
  const first = !flow.answered;
  flow.answered = 1;
  return first;
}

function count(namespace: Namespace, frame: Frame, protocol: u32, length: u32, first: bool): void {
  if (first) books.opened++;
  if (!owns(frame.load)) return;
  const size = sizeOf(protocol, length, isV6(frame.data));
  books.received++;
  books.receivedBytes += size;
  books.lastReceived = max(books.lastReceived, frame.time);
  const receiver = receiverOf(namespace);
  if (!receiver) return;
  receiver.packets++;
  receiver.bytes += size;
  if (first) receiver.flows++;
}

function countAnswer(protocol: u32, length: u32, v6: bool): void {
  books.answered++;
  books.answeredBytes += sizeOf(protocol, length, v6);
}

/** The packet's own, in its data. */
function numberIn(at: usize, length: u32): u32 { return length >= 4 ? bswap<u32>(load<u32>(at)) : 0; }
