/** Big-endian fields and checksums (RFC 1071) of frames that may be broken: whatever is not there reads as zero. */

import { joined } from '../src/bytes.js';

export const ETHERNET = 14;
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const VXLAN_PORT = 4789;

export function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
export function get32(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 65536 + get16(bytes, at + 2);
}
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, (value >>> 16) & 0xffff);
  put16(bytes, at + 2, value & 0xffff);
}

export function addressNumber(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = (text.split('/')[0] ?? '').split('.').map(Number);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}

export const concat = (...parts: readonly Uint8Array[]) => joined(parts);

function complement(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let sum = seed;
  for (let at = start; at < end; at += 2) sum += ((bytes[at] ?? 0) << 8) | (at + 1 < end ? (bytes[at + 1] ?? 0) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

/** Where the IPv4 header begins, or -1. */
export function ipAt(frame: Uint8Array): number {
  return frame.length >= ETHERNET + 20 && get16(frame, 12) === TYPE_IPV4 ? ETHERNET : -1;
}

/** Sets the IPv4 header checksum and, but for fragments, that of TCP, UDP or ICMP, as far as lengths allow. */
export function seal(bytes: Uint8Array, ip: number): Uint8Array {
  const header = ((bytes[ip] ?? 0) & 15) * 4;
  const body = ip + header;
  if (header < 20 || body > bytes.length) return bytes;
  put16(bytes, ip + 10, 0);
  put16(bytes, ip + 10, complement(bytes, ip, body, 0));
  if (get16(bytes, ip + 6) & 0x3fff) return bytes;
  const end = Math.min(bytes.length, ip + get16(bytes, ip + 2));
  const protocol = bytes[ip + 9] ?? 0;
  const length = protocol === UDP ? Math.min(get16(bytes, body + 4), end - body) : end - body;
  const check = protocol === TCP ? 16 : protocol === UDP ? 6 : protocol === ICMP ? 2 : -1;
  if (check < 0 || length < check + 2) return bytes;
  let pseudo = 0;
  if (protocol !== ICMP) {
    for (let at = ip + 12; at < ip + 20; at += 2) pseudo += get16(bytes, at);
    pseudo += protocol + length;
  }
  put16(bytes, body + check, 0);
  put16(bytes, body + check, complement(bytes, body, body + length, pseudo) || (protocol === UDP ? 0xffff : 0));
  return bytes;
}

/** From the inside out: an encapsulated frame's own headers first, then those around them. */
export function sealAll(frame: Uint8Array, start = 0): Uint8Array {
  if (frame.length < start + ETHERNET + 20 || get16(frame, start + 12) !== TYPE_IPV4) return frame;
  const ip = start + ETHERNET;
  const body = ip + ((frame[ip] ?? 0) & 15) * 4;
  if (frame[ip + 9] === UDP && get16(frame, body + 2) === VXLAN_PORT && frame.length > body + 16 + ETHERNET)
    sealAll(frame, body + 16);
  return seal(frame, ip);
}

export function ethernet(destination: Uint8Array, source: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  const frame = concat(destination, source, Uint8Array.of(type >>> 8, type & 255), payload);
  return frame;
}

export interface Ipv4Fields {
  source: number;
  destination: number;
  protocol: number;
  ttl?: number;
  id?: number;
  /** Flags and offset. */
  fragment?: number;
}

/** A packet whose lengths and checksums are right. */
export function ipv4(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const packet = concat(new Uint8Array(20), payload);
  packet[0] = 0x45;
  put16(packet, 2, packet.length);
  put16(packet, 4, fields.id ?? 0);
  put16(packet, 6, fields.fragment ?? 0);
  packet[8] = fields.ttl ?? 64;
  packet[9] = fields.protocol;
  put32(packet, 12, fields.source);
  put32(packet, 16, fields.destination);
  return seal(packet, 0);
}

/** A datagram in a frame; addresses are numbers. */
export function udpOver4(
  toMac: string,
  fromMac: string,
  source: number,
  destination: number,
  datagram: Uint8Array,
): Uint8Array {
  const packet = ipv4({ source, destination, protocol: UDP, fragment: 0x4000 }, datagram);
  return ethernet(macBytes(toMac), macBytes(fromMac), TYPE_IPV4, packet);
}

export function udp(source: number, destination: number, payload: Uint8Array): Uint8Array {
  const datagram = concat(new Uint8Array(8), payload);
  put16(datagram, 0, source);
  put16(datagram, 2, destination);
  put16(datagram, 4, datagram.length);
  return datagram;
}
