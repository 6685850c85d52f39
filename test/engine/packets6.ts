/** IPv6 packets as tests write and tell them (RFC 8200, RFC 4443, RFC 4861), built byte by byte; nothing here is the engine's. */

import { groupsOf, ipv6Text } from '../../src/engine/wire6.js';
import { checksum, concat, macText, put16, put32, u16, u32 } from './packets.js';

export const IPV6 = 0x86dd;

export function address6(text: string): Uint8Array {
  return Uint8Array.from(groupsOf(text).flatMap((group) => [group >>> 8, group & 255]));
}
export function address6Text(bytes: Uint8Array, at: number): string {
  return ipv6Text(Array.from({ length: 8 }, (_, i) => u16(bytes, at + 2 * i)));
}

export interface Ip6Options {
  source: string;
  destination: string;
  next?: number;
  hopLimit?: number;
  trafficClass?: number;
  flowLabel?: number;
}

export function ip6Packet(
  { source, destination, next = 59, hopLimit = 64, trafficClass = 0, flowLabel = 0 }: Ip6Options,
  payload: Uint8Array,
): Uint8Array {
  const packet = concat(new Uint8Array(40), payload);
  put32(packet, 0, ((6 << 28) | (trafficClass << 20) | flowLabel) >>> 0);
  put16(packet, 4, payload.length);
  packet[6] = next;
  packet[7] = hopLimit;
  packet.set(address6(source), 8);
  packet.set(address6(destination), 24);
  return packet;
}

/** RFC 8200, section 8.1, as a sum to start a checksum with. */
function pseudoHeader(source: Uint8Array, destination: Uint8Array, protocol: number, length: number): number {
  const bytes = concat(source, destination, new Uint8Array(8));
  put32(bytes, 32, length);
  bytes[39] = protocol;
  return ~checksum(bytes) & 0xffff;
}

function sealed(ends: Ip6Options, protocol: number, segment: Uint8Array, at: number): Uint8Array {
  put16(
    segment,
    at,
    checksum(segment, pseudoHeader(address6(ends.source), address6(ends.destination), protocol, segment.length)),
  );
  return segment;
}

/** `rest` is the second word. */
export function icmp6Message(
  ends: Ip6Options,
  {
    type,
    code = 0,
    rest = 0,
    payload = new Uint8Array(),
  }: { type: number; code?: number; rest?: number; payload?: Uint8Array },
): Uint8Array {
  const message = concat(Uint8Array.of(type, code), new Uint8Array(6), payload);
  put32(message, 4, rest);
  return sealed(ends, 58, message, 2);
}
export function icmp6Packet(ends: Ip6Options, message: Parameters<typeof icmp6Message>[1]): Uint8Array {
  return ip6Packet({ ...ends, next: 58 }, icmp6Message(ends, message));
}
export function echo6(ends: Ip6Options, size = 56, sequence = 1): Uint8Array {
  return icmp6Packet(ends, {
    type: 128,
    rest: 7 * 65536 + sequence,
    payload: Uint8Array.from({ length: size }, (_, i) => i & 255),
  });
}

export function udp6Message(ends: Ip6Options & { sport: number; dport: number }, payload: Uint8Array): Uint8Array {
  const segment = concat(new Uint8Array(8), payload);
  put16(segment, 0, ends.sport);
  put16(segment, 2, ends.dport);
  put16(segment, 4, segment.length);
  return sealed(ends, 17, segment, 6);
}
export function udp6Packet(ends: Ip6Options & { sport: number; dport: number }, payload: Uint8Array): Uint8Array {
  return ip6Packet({ ...ends, next: 17 }, udp6Message(ends, payload));
}

/** Fragments of what follows the IPv6 header of `packet`, at these boundaries (multiples of 8). */
export function fragments6(packet: Uint8Array, boundaries: readonly number[], id = 0x12345678): Uint8Array[] {
  const body = packet.subarray(40);
  const ends = [...boundaries, body.length];
  return ends.map((end, i) => {
    const begin = i ? (ends[i - 1] ?? 0) : 0;
    return fragment6(packet, begin, body.subarray(begin, end), end < body.length, id);
  });
}
export function fragment6(
  packet: Uint8Array,
  offset: number,
  body: Uint8Array,
  more: boolean,
  id = 0x12345678,
): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = packet[6] ?? 0;
  put16(header, 2, offset | (more ? 1 : 0));
  put32(header, 4, id);
  const whole = concat(packet.subarray(0, 40), header, body);
  put16(whole, 4, whole.length - 40);
  whole[6] = 44;
  return whole;
}

/** A header of options, padded to a multiple of 8; `next` is what follows it. */
export function optionsHeader(next: number, options: Uint8Array = new Uint8Array()): Uint8Array {
  const length = Math.ceil((2 + options.length) / 8) * 8;
  const header = new Uint8Array(length);
  header[0] = next;
  header[1] = length / 8 - 1;
  header.set(options, 2);
  const padding = length - 2 - options.length;
  if (padding > 1) {
    header[2 + options.length] = 1;
    header[3 + options.length] = padding - 2;
  }
  return header;
}

/** Does the upper layer's checksum hold? Fragments are not asked. */
export function checksumHolds6(packet: Uint8Array): boolean {
  let next = packet[6] ?? 0;
  let at = 40;
  while (next === 0 || next === 60 || next === 43) {
    next = packet[at] ?? 0;
    at += ((packet[at + 1] ?? 0) + 1) * 8;
  }
  if (next !== 58 && next !== 6 && next !== 17) return true;
  const body = packet.subarray(at, 40 + u16(packet, 4));
  return checksum(body, pseudoHeader(packet.subarray(8, 24), packet.subarray(24, 40), next, body.length)) === 0;
}

const FLAGS = 'FSRPAUEC';

/** `2001:db8::1 > 2001:db8::2 hops 64 echo request`, `… fragment at 1448`, `who is 2001:db8::2 …`. */
export function told6(packet: Uint8Array): string {
  const ends = `${address6Text(packet, 8)} > ${address6Text(packet, 24)}`;
  const hops = packet[7] === 64 ? '' : ` hops ${packet[7]}`;
  const next = packet[6] ?? 0;
  if (next === 44) return `${ends}${hops} fragment at ${u16(packet, 42) & 0xfff8}${u16(packet, 42) & 1 ? '+' : ''}`;
  if (next === 17) return `${ends}${hops} udp ${u16(packet, 40)} > ${u16(packet, 42)}`;
  if (next === 6) {
    const bits = packet[53] ?? 0;
    return `${ends}${hops} tcp ${[...FLAGS].filter((_, i) => bits & (1 << i)).join('')}`;
  }
  if (next === 0 && packet[48] === 143) return `${ends}${packet[7] === 1 ? '' : hops} mld report of ${u16(packet, 54)}`;
  if (next !== 58) return `${ends}${hops} next ${next}`;
  const type = packet[40] ?? 0;
  switch (type) {
    case 128:
      return `${ends}${hops} echo request`;
    case 129:
      return `${ends}${hops} echo reply`;
    case 133:
      return `${ends} router solicitation`;
    case 135:
      return `${ends} who is ${address6Text(packet, 48)}${linkOption(packet)}`;
    case 136: {
      const flags = packet[44] ?? 0;
      const letters = `${flags & 0x80 ? 'R' : ''}${flags & 0x40 ? 'S' : ''}${flags & 0x20 ? 'O' : ''}`;
      return `${ends} ${address6Text(packet, 48)} is here ${letters}${linkOption(packet)}`;
    }
    default:
      return `${ends}${hops} icmp ${type}/${packet[41]}${type === 2 ? ` mtu ${u32(packet, 44)}` : ''}`;
  }
}

function linkOption(packet: Uint8Array): string {
  if (packet.length < 72) return '';
  return packet[64] === 14 ? ' nonce' : ` from ${macText(packet, 66)}`;
}
