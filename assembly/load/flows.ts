// A load's flows: who sends from which address and port to whom, and how far each has come. One load at a time.
//
// Frames of a load carry the number of their flow (`Frame.load`), and so does whatever is made because of them: answers,
// errors. It is not in their bytes. Flow numbers begin at 1; 0 is nobody's.

import { arena } from "../memory";
import { Frame } from "../frame";
import { keyedHash } from "../random";
import { Namespace } from "../stack/namespace";
import { findSocket } from "../stack/sockets";
import { pathMtu } from "../stack/output";
import { pathMtu6 } from "../stack/output6";
import { now } from "../clock/queue";
import { NEVER } from "../stack/sockets";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { LoadKind } from "./load";

export enum FlowState { IDLE, OPENING, OPEN, REFUSED, CLOSING, CLOSED }

/** Where flows come from: addresses of one namespace, and the one that they go to; over IPv6 one of each, by their numbers. */
@unmanaged
export class LoadSource {
  namespace: Namespace;
  destination: u32;
  destinationPort: u32;
  /** Host order; `addresses` of them in a row. Over IPv6 the number of the one. */
  firstAddress: u32;
  addresses: u32;
  v6: bool;
  /** MTU of its way. */
  mtu: u32;
  /** Next pair of address and port that no flow has. */
  next: u32;
}
const MOST_SOURCES: u32 = 1024;
const sources: usize = arena(<usize>MOST_SOURCES * offsetof<LoadSource>());
export let sourceCount: u32 = 0;

// @ts-ignore: decorator
@inline
function sourceAt(i: u32): LoadSource { return changetype<LoadSource>(sources + <usize>i * offsetof<LoadSource>()); }

@unmanaged
export class LoadFlow {
  source: LoadSource;
  /** Of its sender. */
  address: u32;
  port: u32;
  /** Random transmit hash of a connected socket. */
  hash: u32;
  /** Next sequence numbers: what the sender sends, what it has received (or: its last datagram's number), what the receiver sends, what that has received. */
  sendNext: u32;
  receiveNext: u32;
  answerNext: u32;
  answered: u32;
  /** When it last sent, ns. */
  lastSent: u64;
  /** Longest payload of a segment. */
  mss: u16;
  ipId: u16;
  answerId: u16;
  state: u8;
  /** Segments that the receiver has not acknowledged. */
  pending: u8;
  /** Something new was acknowledged: the next segment confirms the neighbour. */
  confirm: u8;
  /** Id of the namespace where it arrives, if a socket there takes it, as long as that is so (`bindings`). */
  goal: u32;
  bindings: u32;
  /** What its way relies on (ways), once that is asked for, or 0. */
  way: usize;
}
/** A cache line. */
const FLOW: usize = (offsetof<LoadFlow>() + 63) & ~63;
let flows: usize = 0;
let capacity: u32 = 0;
export let flowCount: u32 = 0;

/** 1 … flowCount. */
// @ts-ignore: decorator
@inline
export function flowOf(number: u32): LoadFlow { return changetype<LoadFlow>(flows + <usize>(number - 1) * FLOW); }

/** Namespaces that send stay as long as their load. */
export function releaseSources(): void {
  for (let i: u32 = 0; i < sourceCount; i++) sourceAt(i).namespace.pending--;
  sourceCount = 0;
}

/** The address of number `address` sends to that of number `destination`, `port`. False: there are too many sources, or no route. */
export function addLoadSource6(namespace: Namespace, address: u32, destination: u32, port: u32): bool {
  return add(namespace, address, 1, destination, port, pathMtu6(namespace, destination, now), true);
}
/** `count` IPv4 addresses from `first` (host order) on send to `destination`, `port`. False: there are too many sources, or no route. */
export function addLoadSource(namespace: Namespace, first: u32, count: u32, destination: u32, port: u32): bool {
  return add(namespace, first, count, destination, port, pathMtu(namespace, destination), false);
}

function add(namespace: Namespace, first: u32, count: u32, destination: u32, port: u32, mtu: u32, v6: bool): bool {
  if (sourceCount == MOST_SOURCES || !mtu) return false;
  const source = sourceAt(sourceCount);
  source.namespace = namespace;
  source.destination = destination;
  source.destinationPort = port;
  source.firstAddress = first;
  source.addresses = count;
  source.mtu = mtu;
  source.v6 = v6;
  source.next = 0;
  namespace.pending++;
  sourceCount++;
  return true;
}

/** Deals `wanted` flows to the sources in turn; how many have found an address and a port. */
export function placeFlows(protocol: u32, wanted: u32): u32 {
  if (wanted > capacity) {
    flows = arena(<usize>wanted * FLOW);
    capacity = wanted;
  }
  memory.fill(flows, 0, <usize>wanted * FLOW);
  flowCount = 0;
  let misses: u32 = 0;
  for (let i: u32 = 0; flowCount < wanted && misses < sourceCount; i++) {
    const source = sourceAt(i % sourceCount);
    const flow = flowOf(flowCount + 1);
    if (!place(flow, source, protocol)) {
      misses++;
      continue;
    }
    misses = 0;
    flow.source = source;
    flowCount++;
  }
  return flowCount;
}

/** Of the packet that one of its ends takes apart: of its flow alone, so that it is the same whichever engine sends the others. */
export function fragmentIdOf(frame: Frame): u32 {
  const flow = flowOf(frame.load);
  const answer = frame.loadKind == <u8>LoadKind.ANSWER;
  return keyedHash(frame.load, answer ? 0x10000 | <u32>flow.answerId : <u32>flow.ipId);
}

/** The next pair that no socket has, of the ports of net.ipv4.ip_local_port_range. */
function place(flow: LoadFlow, source: LoadSource, protocol: u32): bool {
  const namespace = source.namespace;
  const ports = namespace.portMax - namespace.portMin + 1;
  if (source.v6) protocol |= ipv6.V6;
  while (source.next / ports < source.addresses) {
    const address = source.v6 ? source.firstAddress : bswap<u32>(source.firstAddress + source.next / ports);
    const port = <u32>bswap<u16>(<u16>(namespace.portMin + (source.next % ports)));
    source.next++;
    if (findSocket(namespace, protocol, address, port, source.destination, source.destinationPort, NEVER)) continue;
    flow.address = address;
    flow.port = port;
    return true;
  }
  return false;
}

/** Payload of a segment that fits an MTU. */
export function mssOf(mtu: u32, v6: bool): u32 { return min<u32>(mtu, 65535) - headerOf(v6) - 20; }
/** Length of the IP header. */
// @ts-ignore: decorator
@inline
export function headerOf(v6: bool): u32 { return v6 ? ipv6.LENGTH : ipv4.LENGTH; }
