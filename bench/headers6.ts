/** IPv6 packets (RFC 8200) with the checksums that are over its pseudo-header (8.1); addresses are sixteen bytes. */

import { groupsOf } from '../src/topology/ipv6.js';
import { concat, ethernet, get16, macBytes, put16, put32, TCP, UDP } from './headers.js';

export const TYPE_IPV6 = 0x86dd;
/** Of an IPv6 header. */
export const IPV6 = 40;

export function address6(text: string): Uint8Array {
  return Uint8Array.from(groupsOf(text).flatMap((group) => [group >>> 8, group & 255]));
}

/** Sets the checksum of TCP or UDP right behind the IPv6 header at `ip`, as far as lengths allow. */
export function seal6(bytes: Uint8Array, ip: number): Uint8Array {
  const body = ip + IPV6;
  const protocol = bytes[ip + 6];
  const length = Math.min(get16(bytes, ip + 4), bytes.length - body);
  const check = protocol === TCP ? 16 : protocol === UDP ? 6 : -1;
  if (check < 0 || length < check + 2) return bytes;
  put16(bytes, body + check, 0);
  let sum = (protocol ?? 0) + length;
  for (let at = ip + 8; at < body + length; at += 2)
    sum += get16(bytes, at) & (at + 1 < body + length ? 0xffff : 0xff00);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  put16(bytes, body + check, ~sum & 0xffff || (protocol === UDP ? 0xffff : 0));
  return bytes;
}

export interface Ipv6Fields {
  source: Uint8Array;
  destination: Uint8Array;
  protocol: number;
  hops?: number;
  label?: number;
}

/** A packet whose length and checksum are right. */
export function ipv6(
  { source, destination, protocol, hops = 64, label = 0 }: Ipv6Fields,
  payload: Uint8Array,
): Uint8Array {
  const packet = concat(new Uint8Array(IPV6), payload);
  put32(packet, 0, (0x60000000 | label) >>> 0);
  put16(packet, 4, payload.length);
  packet[6] = protocol;
  packet[7] = hops;
  packet.set(source, 8);
  packet.set(destination, 24);
  return seal6(packet, 0);
}

export function udpOver6(
  toMac: string,
  fromMac: string,
  source: string,
  destination: string,
  datagram: Uint8Array,
): Uint8Array {
  const [from, to] = [address6(source), address6(destination)];
  const packet = ipv6({ source: from, destination: to, protocol: UDP }, datagram);
  return ethernet(macBytes(toMac), macBytes(fromMac), TYPE_IPV6, packet);
}
