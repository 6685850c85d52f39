/**
 * Fields that a comparison of two captures is asked to pass over, by the names that Wireshark has for them: `ip.id` is every IP
 * id of a frame, `outer:ip.id` only that of a header that carries VXLAN, `inner:ip.id` only that of one inside.
 *
 * A masked field is blanked, in a copy that is compared in the frame's place. A checksum over it differs for its sake, so that is
 * replaced by what can be said of it: right, partial (the bare sum of the pseudo header, as a kernel leaves it to the hardware),
 * or its own wrong value. Where the bytes under it are not all here (fragments, quoted packets, frames cut by a snap length) it
 * becomes what the sum over the bytes at hand leaves: equal, when what is masked changed it alike.
 */

import type { Field } from '../dissect/fields.js';
import { FIELD_NAMES, fieldsOf } from '../dissect/fields.js';
import { type Layer, u16 } from '../dissect/layers.js';
import {
  carrierOf,
  ipHeaderChecksumIsRight,
  pseudoHeaderSum,
  sum16,
  transportChecksumAt,
  transportChecksumIsPartial,
  transportChecksumIsRight,
} from './checksums.js';

/** Fields that share their bytes with others: the bits that are theirs. */
const BITS: Record<string, number> = {
  'vlan.priority': 0xe0,
  'vlan.dei': 0x10,
  'vlan.id': 0x0fff,
  'ip.version': 0xf0,
  'ip.hdr_len': 0x0f,
  'ip.flags': 0xe0,
  'ip.frag_offset': 0x1fff,
  'ipv6.version': 0xf0,
  'ipv6.tclass': 0x0ff0,
  'ipv6.flow': 0x000f_ffff,
  'ipv6.fraghdr.offset': 0xfff8,
  'ipv6.fraghdr.reserved_bits': 0x06,
  'ipv6.fraghdr.more': 0x01,
  'tcp.hdr_len': 0xf0,
  'tcp.flags': 0x0fff,
};

/** 16-bit fields that tell one flow from another. */
const OF_FLOWS = new Set(['tcp.srcport', 'tcp.dstport', 'udp.srcport', 'udp.dstport', 'icmp.ident', 'ip.id']);
/** Fields of an IP header that the checksums of what it carries cover too (RFC 793, RFC 8200 section 8.1). */
const OF_PSEUDO_HEADERS = new Set(['ip.src', 'ip.dst', 'ip.proto', 'ipv6.src', 'ipv6.dst']);

/** A field name that no frame can have. */
export class MaskError extends Error {
  override name = 'MaskError';

  /** Names of the same protocol. */
  readonly like: readonly string[];

  constructor(
    /** As it was given. */
    readonly given: string,
    /** What it might have been. */
    readonly names: readonly string[],
  ) {
    const protocol = given.split('.')[0] ?? '';
    const like = names.filter((name) => name.startsWith(`${protocol}.`));
    super(`there is no field ${given}${like.length > 0 ? `; of ${protocol} there are ${like.join(', ')}` : ''}`);
    this.like = like;
  }
}

export type Where = 'anywhere' | 'outer' | 'inner';

/** A frame with its headers found. `cut`: its end is not here. */
export interface Framed {
  bytes: Uint8Array;
  layers: readonly Layer[];
  cut: boolean;
}

/** What to pass over, parsed. */
export class Masks {
  readonly #names: ReadonlyMap<string, ReadonlySet<Where>>;
  readonly #ofFlows: boolean;

  /** Takes names, each with `outer:` or `inner:` before it or nothing. @throws MaskError */
  constructor(words: readonly string[] = []) {
    const names = new Map<string, Set<Where>>();
    for (const word of words) {
      const [, where, name = ''] = /^(?:(outer|inner):)?(.*)$/s.exec(word) ?? [];
      if (!FIELD_NAMES.includes(name)) throw new MaskError(name, FIELD_NAMES);
      names.set(name, (names.get(name) ?? new Set()).add((where as Where | undefined) ?? 'anywhere'));
    }
    this.#names = names;
    this.#ofFlows = [...names.keys()].some((name) => OF_FLOWS.has(name));
  }

  get empty(): boolean {
    return this.#names.size === 0;
  }

  /** Whether frames of one flow may be told as another's. */
  get hideFlows(): boolean {
    return this.#ofFlows;
  }

  /** The mask that a field of this frame falls under, as it was given, or undefined. */
  of(field: Field, layers: readonly Layer[]): string | undefined {
    const places = this.#names.get(field.name);
    if (places === undefined) return undefined;
    if (places.has('anywhere')) return field.name;
    const where = placeOf(field, layers);
    return where !== undefined && places.has(where) ? `${where}:${field.name}` : undefined;
  }

  fields({ bytes, layers }: Framed): Field[] {
    return fieldsOf(bytes, layers).filter((field) => this.of(field, layers) !== undefined);
  }
}

/** Of a frame that carries VXLAN, outside or inside of it; undefined for every other frame. */
export function placeOf(field: Field, layers: readonly Layer[]): 'outer' | 'inner' | undefined {
  if (field.layer.depth > 0) return 'inner';
  return layers.some(({ name }) => name === 'vxlan') ? 'outer' : undefined;
}

/**
 * A copy of the frame without what is in `masked`. `flow` stands in the place of masked ports and ids: two flows that only they
 * tell apart stay two, where the comparison knows which is which.
 */
export function blanked(frame: Framed, masked: readonly Field[], flow = 0): Uint8Array {
  // Not slice(): that of a Node Buffer is no copy.
  const copy = new Uint8Array(frame.bytes);
  const checksums = coveringChecksums(frame, masked).map(
    ({ at, index }) => [at, checksumSays(frame, index) ?? u16(frame.bytes, at)] as const,
  );
  for (const field of masked) {
    const fill = OF_FLOWS.has(field.name) ? flow : 0;
    const bits = BITS[field.name];
    for (let at = field.start; at < field.end && at < copy.length; at += 1) {
      const shift = 8 * (field.end - 1 - at);
      const mine = bits === undefined ? 0xff : (bits >>> shift) & 0xff;
      copy[at] = ((copy[at] ?? 0) & ~mine) | ((shift < 16 ? fill >>> shift : 0) & mine);
    }
  }
  for (const [at, value] of checksums) {
    copy[at] = value >>> 8;
    copy[at + 1] = value & 0xff;
  }
  return copy;
}

/** The checksums over one of these fields: of which layer, and where it is. One that is among the fields itself is none. */
export function coveringChecksums(
  { bytes, layers }: Framed,
  fields: readonly Field[],
): { index: number; at: number; over: Field[] }[] {
  return layers.flatMap((layer, index) => {
    const at = layer.name === 'ip' ? layer.start + 10 : transportChecksumAt(layer);
    if (at === undefined || at + 2 > bytes.length || fields.some(({ start, end }) => start <= at && at < end))
      return [];
    const end = layer.name === 'ip' ? layer.body : layer.end;
    const carrier = carrierOf(bytes, layers, index)?.ip;
    const over = fields.filter(
      (field) =>
        (field.start >= layer.start && field.end <= end) ||
        (layer.name !== 'ip' && field.layer === carrier && OF_PSEUDO_HEADERS.has(field.name)),
    );
    return over.length > 0 ? [{ index, at, over }] : [];
  });
}

const RIGHT = 0x5257;
const PARTIAL = 0x5057;

/**
 * What can be said of the checksum of a layer, as a number that is equal for equal findings; undefined when only its own value
 * can be told: it is wrong, or none.
 */
export function checksumSays({ bytes, layers, cut }: Framed, index: number): number | undefined {
  const layer = layers[index];
  if (layer === undefined) return undefined;
  if (layer.name === 'ip') return ipHeaderChecksumIsRight(bytes, layer) ? RIGHT : undefined;
  const at = transportChecksumAt(layer);
  const carrier = carrierOf(bytes, layers, index);
  if (at === undefined || carrier === undefined) return undefined;
  // A UDP checksum of zero is none at all (RFC 768).
  if (layer.name === 'udp' && u16(bytes, at) === 0) return undefined;
  if (carrier.fragment || layer.quoted || cut) {
    return sum16(bytes, layer.start, layer.end, pseudoHeaderSum(bytes, carrier.ip, layer)) % 0xffff;
  }
  if (transportChecksumIsRight(bytes, carrier.ip, layer)) return RIGHT;
  return transportChecksumIsPartial(bytes, carrier.ip, layer) ? PARTIAL : undefined;
}
