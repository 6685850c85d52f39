/**
 * The engine as tests load it: the testing build, with asserts on and a poisoned guard zone round every frame slot, so that
 * a write outside a slot stops the test. `node assembly/build.mjs` makes it.
 */

import { checkedModule } from '../../bench/fuzz/files.js';
import { Engine, type EngineOptions } from '../../src/engine/index.js';

let compiled: Promise<WebAssembly.Module> | undefined;

export async function checkedEngine(options: Omit<EngineOptions, 'module'> = {}): Promise<Engine> {
  compiled ??= checkedModule();
  return Engine.create({ ...options, module: await compiled });
}

/**
 * What assembly/testing.ts exports beyond the engine: headers, checksums, the hash index and NAT's rewriting, called
 * directly. Addresses, ports and EtherTypes are numbers as a little-endian load reads them, MACs the low 48 bits so read.
 */
export interface WireExports {
  checksumSum(at: number, length: number): number;
  checksumCopySummed(to: number, from: number, length: number): number;
  checksumFinish(total: number): number;
  checksumUpdate16(check: number, before: number, after: number): number;
  checksumUpdate32(check: number, before: number, after: number): number;

  ethernetEmit(at: number, destination: bigint, source: bigint, type: number): void;
  ethernetDestination(at: number): bigint;
  ethernetSource(at: number): bigint;
  ethernetType(at: number): number;

  arpEmit(at: number, op: number, senderMac: bigint, sender: number, targetMac: bigint, target: number): void;
  arpValid(at: number, length: number): number;
  arpOperation(at: number): number;
  arpSenderMac(at: number): bigint;
  arpSenderAddress(at: number): number;
  arpTargetMac(at: number): bigint;
  arpTargetAddress(at: number): number;

  ipv4Emit(
    at: number,
    tos: number,
    length: number,
    id: number,
    flags: number,
    ttl: number,
    protocol: number,
    source: number,
    destination: number,
  ): void;
  ipv4HeaderLength(at: number): number;
  ipv4TotalLength(at: number): number;
  ipv4Id(at: number): number;
  ipv4FlagsAndOffset(at: number): number;
  ipv4Ttl(at: number): number;
  ipv4Protocol(at: number): number;
  ipv4Source(at: number): number;
  ipv4Destination(at: number): number;
  ipv4ChecksumOk(at: number): number;
  ipv4DecrementTtl(at: number): void;
  ipv4Rewrite16(at: number, field: number, value: number): void;

  icmpEmit(at: number, type: number, code: number, rest: number): void;
  icmpSeal(at: number, length: number): void;
  icmpType(at: number): number;
  icmpCode(at: number): number;
  icmpIdentifier(at: number): number;
  icmpSequence(at: number): number;
  icmpMtu(at: number): number;

  udpEmit(at: number, source: number, destination: number, length: number): void;
  udpSeal(at: number, length: number, source: number, destination: number): void;
  udpChecksumOk(at: number, length: number, source: number, destination: number): number;
  udpSource(at: number): number;
  udpDestination(at: number): number;
  udpLength(at: number): number;

  tcpEmit(
    at: number,
    source: number,
    destination: number,
    sequence: number,
    ack: number,
    header: number,
    flags: number,
    window: number,
  ): void;
  tcpSeal(at: number, length: number, source: number, destination: number): void;
  tcpChecksumOk(at: number, length: number, source: number, destination: number): number;
  tcpSource(at: number): number;
  tcpDestination(at: number): number;
  tcpSequence(at: number): number;
  tcpAcknowledgment(at: number): number;
  tcpHeaderLength(at: number): number;
  tcpFlags(at: number): number;
  tcpWindow(at: number): number;
  tcpBefore(a: number, b: number): number;

  vxlanEmit(at: number, vni: number): void;

  vlanInsert(at: number, id: number): void;
  vlanRemove(at: number): void;
  vlanId(at: number): number;
  vlanIsTag(type: number): number;
  vxlanVni(at: number): number;
  vxlanHasVni(at: number): number;

  espEmit(at: number, spi: number, sequence: number, iv: bigint): void;
  espSpi(at: number): number;
  espSequence(at: number): number;
  espPadding(payload: number): number;
  espClose(at: number, payload: number, next: number): number;
  espPadLength(at: number, length: number): number;
  espNextHeader(at: number, length: number): number;

  productsAt(): number;
  takeProducts(): void;
  streamsAt(): number;
  gcmStreamLength(length: number): number;
  gcmCounters(at: number, salt: number, iv: bigint, length: number): void;
  gcmSeal(at: number, length: number, stream: number): void;
  gcmOpen(at: number, length: number, stream: number): number;

  newIndex(capacity: number): number;
  indexFind(index: number, a: bigint, b: bigint): number;
  indexInsert(index: number, key: number): number;
  indexRemove(index: number, key: number): number;
  indexEnsure(index: number, more: number): void;
  indexCount(index: number): number;
  indexCapacity(index: number): number;
  newPool(size: number, room: number): number;
  poolEnsure(pool: number, wanted: number): void;
  poolLift(pool: number): number;
  poolGive(pool: number, at: number): void;
  poolFree(pool: number): number;
  poolLookAhead(pool: number): number;
  cellsEnsure(wanted: number): void;
  cellsFree(): number;
  cellTake(): number;
  cellTakeNear(near: number): number;
  cellGive(at: number): void;
  cellsNext(): number;
  newSearch(a: bigint, b: bigint): number;
  indexAsk(index: number, search: number): number;
  indexSeek(index: number, search: number): number;
  indexEnter(index: number, search: number, key: number): void;
  indexHasRoom(index: number, more: number): number;
  tcpOpensAlike(segment: number, length: number): number;

  prefixMask(length: number): number;
  natRewrite(ip: number, length: number, source: number, address: number, protocol: number, port: number): void;
  routeFor(namespace: number, destination: number): number;
}

export interface Wire extends WireExports {
  /** `length` bytes of engine memory, filled with 0xa5 so that a byte that nobody wrote shows. */
  poisoned(length: number): number;
  put(at: number, bytes: Uint8Array): void;
  get(at: number, length: number): Uint8Array;
}

export const POISON = 0xa5;

export function wireOf(engine: Engine): Wire {
  const exports = engine.exports as unknown as WireExports;
  return Object.assign(Object.create(exports) as Wire, {
    poisoned(length: number): number {
      const at = engine.exports.scratch(length + 64) >>> 0;
      engine.memory.bytes.fill(POISON, at, at + length + 64);
      return at;
    },
    put(at: number, bytes: Uint8Array) {
      engine.memory.bytes.set(bytes, at);
    },
    get(at: number, length: number) {
      return engine.memory.bytes.slice(at, at + length);
    },
  });
}

export async function wire(): Promise<Wire> {
  return wireOf(await checkedEngine());
}
