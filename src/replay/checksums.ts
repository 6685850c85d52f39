/**
 * Are a frame's own checksums right? The Internet checksum (RFC 1071) over an IPv4 header, and over a TCP, UDP or ICMP segment
 * with its pseudo header (RFC 793 section 3.1, RFC 768, RFC 8200 section 8.1). Written again here, apart from the engine's: what checks the
 * engine must not be the engine.
 */

import { fragmentOf, type Layer, layersOf, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP } from '../dissect/layers.js';

/** Headers that may stand between an IP header and the segment that it carries. */
const BETWEEN = new Set(['ipv6-option', 'ipv6-fragment', 'esp']);

/** One's complement sum of 16-bit words, folded. An odd last byte counts as a word's first. */
export function sum16(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  let sum = initial;
  for (let at = start; at < end; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (at + 1 < end ? (bytes[at + 1] ?? 0) : 0);
    if (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  }
  return sum;
}

/** The sum over a right header, checksum included, is all ones. */
export function ipHeaderChecksumIsRight(bytes: Uint8Array, ip: Layer): boolean {
  return sum16(bytes, ip.start, ip.body) === 0xffff;
}

const CHECKSUM_AT: Partial<Record<Layer['name'], number>> = { tcp: 16, udp: 6, icmp: 2, icmpv6: 2 };

/** Where a transport header has its checksum; undefined when it has none. */
export function transportChecksumAt(layer: Layer): number | undefined {
  const offset = CHECKSUM_AT[layer.name];
  return offset === undefined ? undefined : layer.start + offset;
}

/** The folded sum of the pseudo header, not complemented: what the kernel leaves where hardware would do the rest. */
export function pseudoHeaderSum(bytes: Uint8Array, ip: Layer, transport: Layer): number {
  if (transport.name === 'icmp') return 0;
  const length = transport.end - transport.start;
  const protocol = transport.name === 'tcp' ? PROTOCOL_TCP : transport.name === 'udp' ? PROTOCOL_UDP : PROTOCOL_ICMPV6;
  const addresses = ip.name === 'ipv6' ? [8, 40] : [12, 20];
  let sum = sum16(bytes, ip.start + (addresses[0] ?? 0), ip.start + (addresses[1] ?? 0));
  sum += protocol + length;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** Whether a whole segment's checksum is right. A UDP checksum of zero is none at all, so it is not. */
export function transportChecksumIsRight(bytes: Uint8Array, ip: Layer, transport: Layer): boolean {
  const at = transportChecksumAt(transport);
  if (at === undefined) return true;
  if (transport.name === 'udp' && bytes[at] === 0 && bytes[at + 1] === 0) return false;
  return sum16(bytes, transport.start, transport.end, pseudoHeaderSum(bytes, ip, transport)) === 0xffff;
}

/** The kernel's partial checksum: the bare sum of the pseudo header. */
export function transportChecksumIsPartial(bytes: Uint8Array, ip: Layer, transport: Layer): boolean {
  const at = transportChecksumAt(transport);
  if (at === undefined || transport.name === 'icmp') return false;
  return (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) === pseudoHeaderSum(bytes, ip, transport);
}

/** The IP layer that carries the layer at an index, and whether the packet is a fragment: then no sum can be checked here. */
export function carrierOf(
  bytes: Uint8Array,
  layers: readonly Layer[],
  index: number,
): { ip: Layer; fragment: boolean } | undefined {
  let fragment = false;
  for (let at = index - 1; at >= 0; at -= 1) {
    const layer = layers[at];
    if (layer === undefined) return undefined;
    fragment ||= fragmentOf(bytes, layer) !== undefined;
    if (layer.name === 'ip' || layer.name === 'ipv6') return { ip: layer, fragment };
    // ESP in transport mode that has been opened: what is in it keeps the packet's addresses.
    if (!BETWEEN.has(layer.name)) return undefined;
  }
  return undefined;
}

/** The frame with the checksums that its kernel left to the hardware, as the hardware would have sent it. */
export function completed(frame: Uint8Array): Uint8Array {
  const layers = layersOf(frame);
  let whole = frame;
  for (const [index, layer] of layers.entries()) {
    const at = transportChecksumAt(layer);
    const carrier = carrierOf(frame, layers, index);
    if (at === undefined || layer.quoted || !carrier || carrier.fragment) continue;
    if (!transportChecksumIsPartial(frame, carrier.ip, layer)) continue;
    if (transportChecksumIsRight(frame, carrier.ip, layer)) continue;
    if (whole === frame) whole = new Uint8Array(frame);
    // The partial sum is in its field: what is summed there now is all that was to be summed.
    const sum = ~sum16(frame, layer.start, layer.end) & 0xffff;
    const written = sum === 0 && layer.name === 'udp' ? 0xffff : sum;
    whole[at] = written >>> 8;
    whole[at + 1] = written & 0xff;
  }
  return whole;
}
