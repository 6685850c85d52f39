/**
 * Values as the engine's headers take them: what a little-endian load of the bytes gives (a MAC: the low 48 bits). And the
 * getters that assembly/testing.ts exports beyond those of `WireExports`.
 */

import { type Wire, wire } from './checked.js';
import { addressBytes, macBytes } from './packets.js';

export function address(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = addressBytes(text);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/** A port or an EtherType. */
export function word(value: number): number {
  return ((value & 255) << 8) | (value >>> 8);
}

export function mac(text: string): bigint {
  return macBytes(text).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

export interface MoreExports {
  memory: WebAssembly.Memory;
  ipv4Version(at: number): number;
  ipv4Tos(at: number): number;
  ipv4IsFragment(at: number): number;
  ipv4Seal(at: number): void;
  icmpIsError(type: number): number;
  tcpAfter(a: number, b: number): number;
  indexHash(a: bigint, b: bigint): bigint;
  reassembling(): number;
  tcpPause(socket: number, time: number): void;
  tcpResume(socket: number, time: number): void;
  tcpShutdown(socket: number, time: number): void;
  tcpNoDelay(socket: number, on: number): void;
  udpConnect(socket: number, destination: number, port: number): number;
  liveSockets(): number;
}

export type Headers = Wire & MoreExports;

export async function headers(): Promise<Headers> {
  return (await wire()) as Headers;
}

/** Address of a copy of these bytes in engine memory, with poison behind it. */
export function placed(of: Wire, bytes: Uint8Array): number {
  const at = of.poisoned(bytes.length);
  of.put(at, bytes);
  return at;
}
