/**
 * The frames that stimuli are made of, built from the RFCs byte by byte: what tries the engine and the kernel alike must come
 * from neither.
 */

import { joined } from '../../bytes.js';
import { sum16 } from '../../replay/checksums.js';

export const concat = (...parts: readonly Uint8Array[]) => joined(parts);

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 255;
}

const macBytes = (text: string) => Uint8Array.from(text.split(':'), (pair) => Number.parseInt(pair, 16));
const addressBytes = (text: string) => Uint8Array.from(text.split('.'), Number);

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** `type` without a value: IPv4. */
export function ethernet(to: string, from: string, payload: Uint8Array, type = 0x0800): Uint8Array {
  return concat(macBytes(to), macBytes(from), Uint8Array.of(type >>> 8, type & 255), payload);
}

export function arp(
  operation: 'request' | 'reply',
  sender: { mac: string; address: string },
  target: { mac?: string; address: string },
): Uint8Array {
  return concat(
    Uint8Array.of(0, 1, 8, 0, 6, 4, 0, operation === 'request' ? 1 : 2),
    macBytes(sender.mac),
    addressBytes(sender.address),
    macBytes(target.mac ?? '00:00:00:00:00:00'),
    addressBytes(target.address),
  );
}

export interface Ip {
  from: string;
  to: string;
  /** Of its own for each stimulus, so that packets of a stack are told apart from them. */
  id: number;
  ttl?: number;
  tos?: number;
  /** Don't fragment; set without it. */
  df?: boolean;
  /** A multiple of four bytes. */
  options?: Uint8Array;
}

export function ip(header: Ip, protocol: number, payload: Uint8Array): Uint8Array {
  const options = header.options ?? new Uint8Array();
  const packet = concat(new Uint8Array(20), options, payload);
  packet[0] = 0x40 | ((20 + options.length) / 4);
  packet[1] = header.tos ?? 0;
  put16(packet, 2, packet.length);
  put16(packet, 4, header.id);
  put16(packet, 6, (header.df ?? true) ? 0x4000 : 0);
  packet[8] = header.ttl ?? 64;
  packet[9] = protocol;
  packet.set(addressBytes(header.from), 12);
  packet.set(addressBytes(header.to), 16);
  return sealed(packet);
}

/** With its header's checksum made anew. */
export function sealed(packet: Uint8Array): Uint8Array {
  put16(packet, 10, 0);
  put16(packet, 10, ~sum16(packet, 0, ((packet[0] ?? 0) & 15) * 4) & 0xffff);
  return packet;
}

function pseudo({ from, to }: Ip, protocol: number, length: number): number {
  return sum16(concat(addressBytes(from), addressBytes(to)), 0, 8, protocol + length);
}

/** As many bytes, each telling its place; or a text's. */
export function filling(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => (at * 7 + (at >>> 8)) & 255);
}

export function udp(
  header: Ip,
  sport: number,
  dport: number,
  data: Uint8Array | number = 32,
  checksum = true,
): Uint8Array {
  const payload = typeof data === 'number' ? filling(data) : data;
  const segment = concat(new Uint8Array(8), payload);
  put16(segment, 0, sport);
  put16(segment, 2, dport);
  put16(segment, 4, segment.length);
  if (checksum)
    put16(segment, 6, ~sum16(segment, 0, segment.length, pseudo(header, 17, segment.length)) & 0xffff || 0xffff);
  return ip(header, 17, segment);
}

const FLAGS: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32 };

export interface Tcp {
  sport: number;
  dport: number;
  /** Letters: S, SA, A, PA, FA, R. */
  flags: string;
  seq?: number;
  ack?: number;
  data?: string;
}

export function tcp(header: Ip, written: Tcp): Uint8Array {
  const segment = tcpSegment(written);
  put16(segment, 16, ~sum16(segment, 0, segment.length, pseudo(header, 6, segment.length)) & 0xffff);
  return ip(header, 6, segment);
}

/** Without its checksum. */
export function tcpSegment({ sport, dport, flags, seq = 0, ack = 0, data = '' }: Tcp): Uint8Array {
  const mss = flags.includes('S') ? Uint8Array.of(2, 4, 0x05, 0xb4) : new Uint8Array();
  const segment = concat(new Uint8Array(20), mss, new TextEncoder().encode(data));
  put16(segment, 0, sport);
  put16(segment, 2, dport);
  put16(segment, 4, seq >>> 16);
  put16(segment, 6, seq & 0xffff);
  put16(segment, 8, ack >>> 16);
  put16(segment, 10, ack & 0xffff);
  segment[12] = ((20 + mss.length) / 4) << 4;
  segment[13] = [...flags].reduce((bits, letter) => bits | (FLAGS[letter] ?? 0), 0);
  put16(segment, 14, 64240);
  return segment;
}

export interface Icmp {
  type: number;
  code?: number;
  /** Identifier and sequence of an echo; zero and the MTU of an error. */
  rest?: [number, number];
  data?: Uint8Array;
}

export function icmp(header: Ip, { type, code = 0, rest = [0, 0], data = new Uint8Array() }: Icmp): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), data);
  put16(message, 4, rest[0]);
  put16(message, 6, rest[1]);
  put16(message, 2, ~sum16(message, 0, message.length) & 0xffff);
  return ip(header, 1, message);
}

export function echo(header: Ip, identifier: number, size = 56, sequence = 1): Uint8Array {
  return icmp(header, { type: 8, rest: [identifier, sequence], data: filling(size) });
}

/** The pieces of a packet, each with so many bytes of payload: [976, 976, …] (multiples of eight; the rest is one more). */
export function fragments(packet: Uint8Array, sizes: readonly number[], df = false): Uint8Array[] {
  const header = ((packet[0] ?? 0) & 15) * 4;
  const pieces: Uint8Array[] = [];
  let at = header;
  for (let index = 0; at < packet.length; index += 1) {
    const end = Math.min(packet.length, at + (sizes[index] ?? packet.length));
    const piece = concat(packet.subarray(0, header), packet.subarray(at, end));
    put16(piece, 2, piece.length);
    put16(piece, 6, (df ? 0x4000 : 0) | (end < packet.length ? 0x2000 : 0) | ((at - header) >>> 3));
    pieces.push(sealed(piece));
    at = end;
  }
  return pieces;
}

export function vxlan(vni: number, frame: Uint8Array, flags = 0x08): Uint8Array {
  return concat(Uint8Array.of(flags, 0, 0, 0, vni >>> 16, (vni >>> 8) & 255, vni & 255, 0), frame);
}
