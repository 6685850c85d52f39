// The testing build's entry: all that index.ts exports, and what is inlined elsewhere, so that tests can call it. Built
// with asserts and with a poisoned guard zone round every slot (CHECKED).

export * from "./index";
import * as checksum from "./wire/checksum";
import * as ethernet from "./wire/ethernet";
import * as arp from "./wire/arp";
import * as ipv4 from "./wire/ipv4";
import * as icmp from "./wire/icmp";
import * as udp from "./wire/udp";
import * as tcp from "./wire/tcp";
import * as vxlan from "./wire/vxlan";
import * as esp from "./wire/esp";
import * as gcm from "./stack/gcm";
import * as vlan from "./wire/vlan";
import * as cells from "./cells";
import { Pool } from "./memory";
import { Of } from "./tables/generation";
import { Index, Search } from "./tables/hash";
import { Connection } from "./tables/connections";
import { tcpError, tcpNew, tcpOpened, tcpPacket } from "./hooks/conntrack-tcp";
import { tcpTimeout } from "./hooks/tcp-states";
import { maskOf } from "./tables/routes";
import { mangle as natMangle } from "./hooks/nat";
import { Frame } from "./frame";
import { Neighbour, neighbourAt, neighbourSlots } from "./tables/neighbours";
import { socketById } from "./stack/sockets";

export function checksumSum(at: usize, length: u32): u32 { return checksum.sum(at, length); }
export function checksumCopySummed(to: usize, from: usize, length: u32): u32 { return checksum.copySummed(to, from, length); }
export function checksumFinish(total: u32): u32 { return checksum.finish(total); }
export function checksumUpdate16(check: u32, before: u32, after: u32): u32 { return checksum.update16(check, before, after); }
export function checksumUpdate32(check: u32, before: u32, after: u32): u32 { return checksum.update32(check, before, after); }

export function ethernetEmit(at: usize, destination: u64, source: u64, type: u32): void { ethernet.emit(at, destination, source, type); }
export function ethernetDestination(at: usize): u64 { return ethernet.destination(at); }
export function ethernetSource(at: usize): u64 { return ethernet.source(at); }
export function ethernetType(at: usize): u32 { return ethernet.type(at); }

export function arpEmit(at: usize, op: u32, senderMac: u64, sender: u32, targetMac: u64, target: u32): void { arp.emit(at, op, senderMac, sender, targetMac, target); }
export function arpValid(at: usize, length: u32): bool { return arp.valid(at, length); }
export function arpOperation(at: usize): u32 { return arp.operation(at); }
export function arpSenderMac(at: usize): u64 { return arp.senderMac(at); }
export function arpSenderAddress(at: usize): u32 { return arp.senderAddress(at); }
export function arpTargetMac(at: usize): u64 { return arp.targetMac(at); }
export function arpTargetAddress(at: usize): u32 { return arp.targetAddress(at); }

export function ipv4Emit(at: usize, tos: u32, length: u32, id: u32, flags: u32, ttl: u32, protocol: u32, source: u32, destination: u32): void {
  ipv4.emit(at, tos, length, id, flags, ttl, protocol, source, destination);
}
export function ipv4HeaderLength(at: usize): u32 { return ipv4.headerLength(at); }
export function ipv4TotalLength(at: usize): u32 { return ipv4.totalLength(at); }
export function ipv4Id(at: usize): u32 { return ipv4.id(at); }
export function ipv4FlagsAndOffset(at: usize): u32 { return ipv4.flagsAndOffset(at); }
export function ipv4Ttl(at: usize): u32 { return ipv4.ttl(at); }
export function ipv4Protocol(at: usize): u32 { return ipv4.protocol(at); }
export function ipv4Source(at: usize): u32 { return ipv4.source(at); }
export function ipv4Destination(at: usize): u32 { return ipv4.destination(at); }
export function ipv4ChecksumOk(at: usize): bool { return ipv4.checksumOk(at); }
export function ipv4DecrementTtl(at: usize): void { ipv4.decrementTtl(at); }
export function ipv4Rewrite16(at: usize, field: u32, value: u32): void { ipv4.rewrite16(at, field, value); }

export function icmpEmit(at: usize, type: u32, code: u32, rest: u32): void { icmp.emit(at, type, code, rest); }
export function icmpSeal(at: usize, length: u32): void { icmp.seal(at, length); }

export function udpEmit(at: usize, source: u32, destination: u32, length: u32): void { udp.emit(at, source, destination, length); }
export function udpSeal(at: usize, length: u32, source: u32, destination: u32): void { udp.seal(at, length, source, destination); }
export function udpChecksumOk(at: usize, length: u32, source: u32, destination: u32): bool { return udp.checksumOk(at, length, source, destination); }

export function tcpEmit(at: usize, source: u32, destination: u32, sequence: u32, ack: u32, header: u32, flags: u32, window: u32): void {
  tcp.emit(at, source, destination, sequence, ack, header, flags, window);
}
export function tcpSeal(at: usize, length: u32, source: u32, destination: u32): void { tcp.seal(at, length, source, destination); }
export function tcpChecksumOk(at: usize, length: u32, source: u32, destination: u32): bool { return tcp.checksumOk(at, length, source, destination); }

export function vxlanEmit(at: usize, vni: u32): void { vxlan.emit(at, vni); }
export function vxlanVni(at: usize): u32 { return vxlan.vni(at); }
export function vxlanHasVni(at: usize): bool { return vxlan.hasVni(at); }

export function espEmit(at: usize, spi: u32, sequence: u32, iv: u64): void { esp.emit(at, spi, sequence, iv); }
export function espSpi(at: usize): u32 { return esp.spi(at); }
export function espSequence(at: usize): u32 { return esp.sequence(at); }
export function espPadding(payload: u32): u32 { return esp.padding(payload); }
export function espClose(at: usize, payload: u32, next: u32): u32 { return esp.close(at, payload, next); }
export function espPadLength(at: usize, length: u32): u32 { return esp.padLength(at, length); }
export function espNextHeader(at: usize, length: u32): u32 { return esp.nextHeader(at, length); }

export function gcmStreamLength(length: u32): u32 { return gcm.streamLength(length); }
export function gcmCounters(at: usize, salt: u32, iv: u64, length: u32): void { gcm.counters(at, salt, iv, length); }
export function gcmSeal(at: usize, length: u32, stream: usize): void { gcm.seal(at, length, stream); }
export function gcmOpen(at: usize, length: u32, stream: usize): bool { return gcm.open(at, length, stream); }

export function newIndex(capacity: u32): Index { return new Index(capacity); }
export function indexFind(index: Index, a: u64, b: u64): usize { return index.find(a, b); }
export function indexInsert(index: Index, key: usize): bool { return index.insert(key); }
export function indexRemove(index: Index, key: usize): bool { return index.remove(key); }
export function indexEnsure(index: Index, more: u32): void { index.ensure(more); }
export function indexCount(index: Index): u32 { return index.count; }

export function prefixMask(length: u32): u32 { return maskOf(length); }
export function natRewrite(ip: usize, length: u32, source: bool, address: u32, protocol: u32, port: u32): void {
  natMangle(ip, length, source, address, protocol, port);
}

/** Frames that TCP sockets with ids up to `last` keep: too early, or not taken by their reader. */
export function framesAtSockets(last: u32): u32 {
  let count: u32 = 0;
  for (let id: u32 = 1; id <= last; id++) {
    const socket = socketById(id);
    if (socket) count += chainLength(socket.outOfOrder) + chainLength(socket.held);
  }
  return count;
}
/** Frames that wait for a neighbour's MAC. */
export function framesAtNeighbours(): u32 {
  let count: u32 = 0;
  for (let i: u32 = 0; i < neighbourSlots(); i++) {
    const at = neighbourAt(i);
    if (at) count += chainLength(changetype<Neighbour>(at).first);
  }
  return count;
}
function chainLength(first: Frame | null): u32 {
  let count: u32 = 0;
  let at = first;
  while (at) {
    count++;
    at = at.next;
  }
  return count;
}

// Headers' getters, and what stack and tables keep to themselves.
import * as routesOfNamespace from "./tables/routes";
import { hash as hashOf } from "./tables/hash";
import { Namespace as AnyNamespace } from "./stack/namespace";
import { tcpNoDelay as noDelay, tcpPause as pauseTcp, tcpResume as resumeTcp, tcpShutdown as shutdownTcp } from "./stack/tcp";
import { udpConnect as connectUdp } from "./stack/udp";
import { waitingQueues as reassemblyQueues } from "./tables/reassembly";

export function ipv4Version(at: usize): u32 { return ipv4.version(at); }
export function ipv4Tos(at: usize): u32 { return ipv4.tos(at); }
export function ipv4IsFragment(at: usize): bool { return ipv4.isFragment(at); }
export function ipv4Seal(at: usize): void { ipv4.seal(at); }
export function icmpType(at: usize): u32 { return icmp.type(at); }
export function icmpCode(at: usize): u32 { return icmp.code(at); }
export function icmpIdentifier(at: usize): u32 { return icmp.identifier(at); }
export function icmpSequence(at: usize): u32 { return icmp.sequence(at); }
export function icmpMtu(at: usize): u32 { return icmp.mtu(at); }
export function icmpIsError(type: u32): bool { return icmp.isError(type); }
export function udpSource(at: usize): u32 { return udp.source(at); }
export function udpDestination(at: usize): u32 { return udp.destination(at); }
export function udpLength(at: usize): u32 { return udp.length(at); }
export function tcpSource(at: usize): u32 { return tcp.source(at); }
export function tcpDestination(at: usize): u32 { return tcp.destination(at); }
export function tcpSequence(at: usize): u32 { return tcp.sequence(at); }
export function tcpAcknowledgment(at: usize): u32 { return tcp.acknowledgment(at); }
export function tcpHeaderLength(at: usize): u32 { return tcp.headerLength(at); }
export function tcpFlags(at: usize): u32 { return tcp.flags(at); }
export function tcpWindow(at: usize): u32 { return tcp.window(at); }
export function tcpBefore(a: u32, b: u32): bool { return tcp.before(a, b); }
export function tcpAfter(a: u32, b: u32): bool { return tcp.after(a, b); }

export function newPool(size: u32, room: u32): Pool { return new Pool(size, 4, Of.TRAFFIC, room); }
export function poolEnsure(pool: Pool, wanted: u32): void { pool.ensure(wanted); }
export function poolLift(pool: Pool): usize { return pool.lift(); }
export function poolGive(pool: Pool, at: usize): void { pool.give(at); }
export function poolFree(pool: Pool): u32 { return pool.free; }
export function poolLookAhead(pool: Pool): u32 { return pool.lookAhead(); }

export function cellsEnsure(wanted: u32): void { cells.ensureCells(wanted); }
export function cellsFree(): u32 { return cells.freeCells; }
export function cellTake(): usize { return cells.takeCell(); }
export function cellTakeNear(near: usize): usize { return cells.takeCellNear(near); }
export function cellGive(at: usize): void { cells.giveCell(at); }
export function cellsNext(): u32 { return cells.nextCells(); }

export function newSearch(a: u64, b: u64): Search {
  const search = changetype<Search>(heap.alloc(offsetof<Search>()));
  search.a = a;
  search.b = b;
  return search;
}
export function indexAsk(index: Index, search: Search): usize { return index.ask(search); }
export function indexSeek(index: Index, search: Search): usize { return index.seek(search); }
export function indexEnter(index: Index, search: Search, key: usize): void { index.enter(search, key); }
export function indexHasRoom(index: Index, more: u32): bool { return index.hasRoom(more); }
const entries = memory.data(256);
/** Does a new connection become by `tcpOpened` what it becomes by `tcpNew` and `tcpPacket`? 2: the segment is malformed. */
export function tcpOpensAlike(segment: usize, length: u32): u32 {
  if (tcpError(segment, length)) return 2;
  memory.fill(entries, 0, 256);
  const one = changetype<Connection>(entries);
  const other = changetype<Connection>(entries + 128);
  tcpNew(one, segment, length);
  tcpPacket(one, 0, segment, length, 1000);
  tcpOpened(other, segment, length);
  other.deadline = 1000 + tcpTimeout(other.state);
  return memory.compare(entries, entries + 128, 128) == 0 ? 1 : 0;
}
export function indexCapacity(index: Index): u32 { return index.capacity; }
export function indexHash(a: u64, b: u64): u64 { return hashOf(a, b); }
/** The route that a look-up finds, or 0. */
export function routeFor(namespace: AnyNamespace, destination: u32): usize { return changetype<usize>(routesOfNamespace.lookUp(namespace, destination)); }
export function reassembling(): u32 { return reassemblyQueues(); }

export function tcpPause(socket: u32, t: f64): void { pauseTcp(socket, <u64>t); }
export function tcpResume(socket: u32, t: f64): void { resumeTcp(socket, <u64>t); }
export function tcpShutdown(socket: u32, t: f64): void { shutdownTcp(socket, <u64>t); }
export function tcpNoDelay(socket: u32, on: bool): void { noDelay(socket, on); }
export function udpConnect(socket: u32, destination: u32, port: u32): bool { return connectUdp(socket, destination, port); }

export function vlanInsert(at: usize, id: u32): void { vlan.insert(at, id); }
export function vlanRemove(at: usize): void { vlan.remove(at); }
export function vlanId(at: usize): u32 { return vlan.id(at); }
export function vlanIsTag(type: u32): bool { return vlan.isTag(type); }

// IPv6's headers
import * as ipv6 from "./wire/ipv6";
import * as icmpv6 from "./wire/icmpv6";
import * as ndp from "./wire/ndp";
import * as mld from "./wire/mld";

export function ipv6Emit(at: usize, tclass: u32, label: u32, payload: u32, next: u32, hops: u32, source: usize, destination: usize): void {
  ipv6.emit(at, tclass, label, payload, next, hops, source, destination);
}
export function ipv6Walk(at: usize, length: u32): bool { return ipv6.walk(at, length); }
export function ipv6Upper(): u32 { return ipv6.upper; }
export function ipv6UpperAt(): u32 { return ipv6.upperAt; }
export function ipv6FragmentAt(): u32 { return ipv6.fragmentAt; }
export function ipv6CheckOptions(at: usize): u32 { return ipv6.checkOptions(at); }
export function ipv6SolicitedLow(at: usize): u64 { return ipv6.solicitedLow(at); }
export function ipv6GroupMac(at: usize): u64 { return ipv6.groupMac(at); }
export function icmpv6Seal(at: usize, length: u32, source: usize, destination: usize): void { icmpv6.seal(at, length, source, destination); }
export function icmpv6ChecksumOk(at: usize, length: u32, ip: usize): bool { return icmpv6.checksumOk(at, length, ip); }
export function udpChecksumOk6(at: usize, length: u32, ip: usize): bool { return udp.checksumOk6(at, length, ip); }
export function ndpOptionsValid(at: usize, end: usize): bool { return ndp.optionsValid(at, end); }
export function ndpOption(at: usize, end: usize, type: u32): usize { return ndp.option(at, end, type); }
export function ndpEmitOption(at: usize, type: u32, six: u64): void { ndp.emitOption(at, type, six); }
export function mldEmitAlert(at: usize): void { mld.emitAlert(at); }

// A vector that is interrupted: all of its frames are foreseen, the first go on their way, and whoever calls may change what
// he likes before the rest follows.
import { foresee, lineUp } from "./flowtable/foresee";
import { takeFrame } from "./frame";
import { account } from "./drops";
import { Device as AnyDevice, receive, slowPackets } from "./devices/device";
import { ensure, topUp } from "./clock/run";
import { now } from "./clock/queue";

const waiting: usize = memory.data(128);
let waitingCount: u32 = 0;
let waitingAt: u32 = 0;
/** At most 32 frames, as `receiveBatch` takes them. */
export function beginVector(device: AnyDevice, frames: usize, lengths: usize, stride: u32, count: u32): void {
  ensure();
  for (let i: u32 = 0; i < count; i++) {
    const length = load<u32>(lengths + (<usize>i << 2));
    const frame = takeFrame(length)!;
    account.injected++;
    const from = frames + <usize>(i * stride);
    if (length >= 16) frame.sum = checksum.copySummed(frame.data, from, length);
    else memory.copy(frame.data, from, length);
    frame.time = now;
    store<usize>(waiting + (<usize>i << 2), changetype<usize>(frame));
    lineUp(device, frame, frame.data, i);
  }
  foresee(count);
  waitingCount = count;
  waitingAt = 0;
}
/** So many of them, or as many as are left. */
export function continueVector(device: AnyDevice, count: u32): void {
  for (; count && waitingAt < waitingCount; count--, waitingAt++) {
    const slow = slowPackets;
    receive(device, changetype<Frame>(load<usize>(waiting + (<usize>waitingAt << 2))));
    if (slow != slowPackets) topUp();
  }
}

/** So often has a frame taken the slow way at some device. */
export function slowFrames(): u32 { return slowPackets; }
