/** The same for IPv6 (RFC 8200, RFC 4443): built byte by byte, and neither the engine's nor the kernel's. */

import { sum16 } from '../../replay/checksums.js';
import { groupsOf } from '../../topology/ipv6.js';
import { concat, filling, type Tcp, tcpSegment } from './packets.js';

export const TYPE_IPV6 = 0x86dd;
export const ICMPV6 = 58;

export interface Ip6 {
  from: string;
  to: string;
  hops?: number;
}

const addressBytes = (text: string) => Uint8Array.from(groupsOf(text).flatMap((group) => [group >>> 8, group & 255]));

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 255;
}

/** `next` is what the payload begins with. */
export function ip6({ from, to, hops = 64 }: Ip6, next: number, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  put16(header, 4, payload.length);
  header[6] = next;
  header[7] = hops;
  header.set(addressBytes(from), 8);
  header.set(addressBytes(to), 24);
  return concat(header, payload);
}

/** With the checksum at `at` made anew. */
function sealed({ from, to }: Ip6, protocol: number, segment: Uint8Array, at: number): Uint8Array {
  put16(segment, at, 0);
  const pseudo = sum16(concat(addressBytes(from), addressBytes(to)), 0, 32, protocol + segment.length);
  put16(segment, at, ~sum16(segment, 0, segment.length, pseudo) & 0xffff || 0xffff);
  return segment;
}

export function udpSegment6(ends: Ip6, sport: number, dport: number, size = 32): Uint8Array {
  const segment = concat(new Uint8Array(8), filling(size));
  put16(segment, 0, sport);
  put16(segment, 2, dport);
  put16(segment, 4, segment.length);
  return sealed(ends, 17, segment, 6);
}

export function udp6(ends: Ip6, sport: number, dport: number, size?: number): Uint8Array {
  return ip6(ends, 17, udpSegment6(ends, sport, dport, size));
}

export function tcp6(ends: Ip6, segment: Tcp): Uint8Array {
  return ip6(ends, 6, sealed(ends, 6, tcpSegment(segment), 16));
}

export interface Icmp6 {
  type: number;
  code?: number;
  /** Second word: identifier and sequence of an echo, MTU of "too big". */
  rest?: [number, number];
  data?: Uint8Array;
}

export function icmp6(ends: Ip6, { type, code = 0, rest = [0, 0], data = new Uint8Array() }: Icmp6): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), data);
  put16(message, 4, rest[0]);
  put16(message, 6, rest[1]);
  return ip6(ends, ICMPV6, sealed(ends, ICMPV6, message, 2));
}

export function echo6(ends: Ip6, identifier: number, size = 56): Uint8Array {
  return icmp6(ends, { type: 128, rest: [identifier, 1], data: filling(size) });
}

/** In fragments with so many bytes each (a multiple of eight; the rest is one more). */
export function fragments6(packet: Uint8Array, sizes: readonly number[], id: number): Uint8Array[] {
  const body = packet.subarray(40);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const end = Math.min(body.length, at + (sizes[pieces.length] ?? body.length));
    const header = Uint8Array.of(packet[6] ?? 0, 0, 0, 0, 0, 0, id >>> 8, id & 255);
    put16(header, 2, at | (end < body.length ? 1 : 0));
    const piece = concat(packet.subarray(0, 40), header, body.subarray(at, end));
    piece[6] = 44;
    put16(piece, 4, piece.length - 40);
    pieces.push(piece);
    at = end;
  }
  return pieces;
}
