/** Datagrams over IPv6 (RFC 8200), with the checksum that is over its pseudo-header (8.1). */

import { groupsOf } from '../src/topology/ipv6.js';
import { concat, ethernet, get16, macBytes, put16, UDP } from './headers.js';

const TYPE_IPV6 = 0x86dd;

export function udpOver6(
  toMac: string,
  fromMac: string,
  source: string,
  destination: string,
  datagram: Uint8Array,
): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  put16(header, 4, datagram.length);
  header[6] = UDP;
  header[7] = 64;
  [...groupsOf(source), ...groupsOf(destination)].forEach((group, i) => {
    put16(header, 8 + 2 * i, group);
  });
  let sum = UDP + datagram.length;
  for (let at = 8; at < 40; at += 2) sum += get16(header, at);
  for (let at = 0; at < datagram.length; at += 2) sum += get16(datagram, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  put16(datagram, 6, ~sum & 0xffff || 0xffff);
  return ethernet(macBytes(toMac), macBytes(fromMac), TYPE_IPV6, concat(header, datagram));
}
