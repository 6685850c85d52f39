/**
 * Packets as tests write them: headers built byte by byte from the RFCs, in network byte order, with checksums added up in
 * the plainest way. Nothing here comes from the engine, which is what these packets try.
 */

import { joined } from '../../src/bytes.js';

export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/[^0-9a-f]/gi, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

export const concat = (...parts: readonly Uint8Array[]) => joined(parts);

/** RFC 1071, section 1: the one's complement sum of all 16-bit words, complemented; an odd byte is padded with zero. */
export function checksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65536 + u16(bytes, at + 2);
}
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}
export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, Math.floor(value / 65536) & 0xffff);
  put16(bytes, at + 2, value % 65536);
}

export function addressBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split('.'), Number);
}
export function addressText(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 4)).join('.');
}
export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}
export function macText(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
export const ARP = 0x0806;
export const IPV4 = 0x0800;

export function ethernet(destination: string, source: string, type: number, payload: Uint8Array): Uint8Array {
  return concat(macBytes(destination), macBytes(source), Uint8Array.of(type >>> 8, type & 255), payload);
}

export interface IpOptions {
  source: string;
  destination: string;
  protocol?: number;
  ttl?: number;
  tos?: number;
  id?: number;
  /** The flags and offset word: 0x4000 is DF, 0x2000 MF. */
  flags?: number;
  options?: Uint8Array;
}

export function ipPacket({ options = new Uint8Array(), ...o }: IpOptions, payload: Uint8Array): Uint8Array {
  const length = 20 + options.length;
  const packet = concat(new Uint8Array(20), options, payload);
  packet[0] = 0x40 | (length / 4);
  packet[1] = o.tos ?? 0;
  put16(packet, 2, packet.length);
  put16(packet, 4, o.id ?? 0x1234);
  put16(packet, 6, o.flags ?? 0x4000);
  packet[8] = o.ttl ?? 64;
  packet[9] = o.protocol ?? 17;
  packet.set(addressBytes(o.source), 12);
  packet.set(addressBytes(o.destination), 16);
  put16(packet, 10, checksum(packet.subarray(0, length)));
  return packet;
}

/** RFC 768: source, destination, zero, protocol, length. */
function pseudoHeader(source: string, destination: string, protocol: number, length: number): number {
  const bytes = concat(addressBytes(source), addressBytes(destination), Uint8Array.of(0, protocol, 0, 0));
  put16(bytes, 10, length);
  return ~checksum(bytes) & 0xffff;
}

export interface Ends {
  source: string;
  destination: string;
  sport: number;
  dport: number;
}

export function udpPacket(ends: Ends & Partial<IpOptions>, payload: Uint8Array | string = 'payload'): Uint8Array {
  const data = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const segment = concat(new Uint8Array(8), data);
  put16(segment, 0, ends.sport);
  put16(segment, 2, ends.dport);
  put16(segment, 4, segment.length);
  put16(segment, 6, checksum(segment, pseudoHeader(ends.source, ends.destination, 17, segment.length)) || 0xffff);
  return ipPacket({ ...ends, protocol: 17 }, segment);
}

const FLAGS = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32, E: 64, C: 128 } as const;

export interface Segment {
  /** Letters of FIN, SYN, RST, PSH, ACK, URG, ECE and CWR. */
  flags: string;
  sequence?: number;
  acknowledgment?: number;
  window?: number;
  options?: readonly number[];
  payload?: Uint8Array | string;
}

export function tcpPacket(ends: Ends & Partial<Omit<IpOptions, 'options' | 'flags'>>, s: Segment): Uint8Array {
  const data = typeof s.payload === 'string' ? new TextEncoder().encode(s.payload) : (s.payload ?? new Uint8Array());
  const options = s.options ?? [];
  const header = 20 + options.length;
  const segment = concat(new Uint8Array(20), Uint8Array.from(options), data);
  put16(segment, 0, ends.sport);
  put16(segment, 2, ends.dport);
  put32(segment, 4, (s.sequence ?? 0) >>> 0);
  put32(segment, 8, (s.acknowledgment ?? 0) >>> 0);
  segment[12] = (header / 4) << 4;
  segment[13] = [...s.flags].reduce((bits, letter) => bits | FLAGS[letter as keyof typeof FLAGS], 0);
  put16(segment, 14, s.window ?? 65535);
  put16(segment, 16, checksum(segment, pseudoHeader(ends.source, ends.destination, 6, segment.length)));
  const { source, destination, ttl, tos, id } = ends;
  return ipPacket(
    {
      source,
      destination,
      protocol: 6,
      ...(ttl === undefined ? {} : { ttl }),
      ...(tos === undefined ? {} : { tos }),
      ...(id === undefined ? {} : { id }),
    },
    segment,
  );
}

/** `rest` is the second word: identifier and sequence of an echo, the next-hop MTU of an error. */
export function icmpPacket(
  ip: IpOptions,
  {
    type,
    code = 0,
    rest = 0,
    payload = new Uint8Array(),
  }: { type: number; code?: number; rest?: number; payload?: Uint8Array },
): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0), new Uint8Array(4), payload);
  put32(message, 4, rest);
  put16(message, 2, checksum(message));
  return ipPacket({ ...ip, protocol: 1 }, message);
}

export function echo(
  ends: IpOptions,
  {
    reply = false,
    identifier = 7,
    sequence = 1,
    size = 56,
  }: { reply?: boolean; identifier?: number; sequence?: number; size?: number } = {},
): Uint8Array {
  const payload = Uint8Array.from({ length: size }, (_, i) => i & 255);
  return icmpPacket(ends, { type: reply ? 0 : 8, rest: identifier * 65536 + sequence, payload });
}

export function arpPacket(
  operation: 'request' | 'reply',
  sender: { mac: string; address: string },
  target: { mac?: string; address: string },
): Uint8Array {
  return concat(
    hex('0001 0800 06 04'),
    Uint8Array.of(0, operation === 'request' ? 1 : 2),
    macBytes(sender.mac),
    addressBytes(sender.address),
    macBytes(target.mac ?? '00:00:00:00:00:00'),
    addressBytes(target.address),
  );
}

/** An IPv4 packet without its last checksum's doubts: header, and TCP, UDP or ICMP where it is whole. */
export function checksumsHold(packet: Uint8Array): boolean {
  const header = ((packet[0] ?? 0) & 15) * 4;
  if (checksum(packet.subarray(0, header)) !== 0) return false;
  const total = u16(packet, 2);
  if (u16(packet, 6) & 0x3fff) return true;
  const body = packet.subarray(header, total);
  const protocol = packet[9] ?? 0;
  if (protocol === 1) return checksum(body) === 0;
  if (protocol === 17 && u16(body, 6) === 0) return true;
  if (protocol !== 6 && protocol !== 17) return true;
  const pseudo = pseudoHeader(addressText(packet, 12), addressText(packet, 16), protocol, body.length);
  return checksum(body, pseudo) === 0;
}

/** What people call a packet: `10.0.0.1:4000 > 10.0.0.2:80 ttl 63 tcp SA`. */
export function told(packet: Uint8Array): string {
  const header = ((packet[0] ?? 0) & 15) * 4;
  const protocol = packet[9] ?? 0;
  const source = addressText(packet, 12);
  const destination = addressText(packet, 16);
  const ttl = `ttl ${packet[8]}`;
  const offset = u16(packet, 6) & 0x1fff;
  if (offset) return `${source} > ${destination} ${ttl} fragment at ${offset * 8}`;
  if (protocol === 6 || protocol === 17) {
    const ports = `${source}:${u16(packet, header)} > ${destination}:${u16(packet, header + 2)} ${ttl}`;
    if (protocol === 17) return `${ports} udp`;
    const bits = packet[header + 13] ?? 0;
    const letters = Object.entries(FLAGS)
      .filter(([, bit]) => bits & bit)
      .map(([letter]) => letter);
    return `${ports} tcp ${letters.join('')}`;
  }
  if (protocol === 1) return `${source} > ${destination} ${ttl} icmp ${packet[header]}/${packet[header + 1]}`;
  return `${source} > ${destination} ${ttl} protocol ${protocol}`;
}
