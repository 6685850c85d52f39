/**
 * Two frames, and in words where they differ: `ip.ttl is 61, was 62 in the real capture`. The names are those that Wireshark
 * filters by; what lies inside VXLAN or is quoted in an ICMP error says so.
 */

import { differingFields, type Field, type FieldDifference, showBytes } from '../dissect/fields.js';
import { type DecodeOptions, type Layer, layersOf } from '../dissect/layers.js';

/** What the two sides are called: in a replay "the real frame" and "ours", in a comparison of two files their names. */
export interface Sides {
  real: string;
  ours: string;
}

export const REPLAY_SIDES: Sides = { real: 'real', ours: 'ours' };

/** A sentence per differing field; empty when the frames are identical. */
export function explain(real: Uint8Array, ours: Uint8Array, options: DecodeOptions & { sides?: Sides } = {}): string[] {
  const one = { bytes: real, layers: layersOf(real, options) };
  const other = { bytes: ours, layers: layersOf(ours, options) };
  return explainFields(differingFields(one, other), one, other, options.sides);
}

/** The same for fields that are already found. */
export function explainFields(
  differences: readonly FieldDifference[],
  real: { bytes: Uint8Array; layers: readonly Layer[] },
  ours: { bytes: Uint8Array; layers: readonly Layer[] },
  sides: Sides = REPLAY_SIDES,
): string[] {
  const words: string[] = [];
  const shapes = [protocolsOf(real.layers), protocolsOf(ours.layers)];
  if (shapes[0] !== shapes[1]) words.push(`frame.protocols: ${sides.real} ${shapes[0]}, ${sides.ours} ${shapes[1]}`);
  if (real.bytes.length !== ours.bytes.length) {
    words.push(`frame.len: ${sides.real} ${real.bytes.length}, ${sides.ours} ${ours.bytes.length}`);
  }
  for (const difference of differences) {
    const where = placeOf(difference.real ?? difference.ours);
    const values =
      difference.real !== undefined && difference.ours !== undefined && difference.real.value === undefined
        ? payloadDifference(difference.real, difference.ours, real.bytes, ours.bytes, sides)
        : `${sides.real} ${written(difference.real, real.bytes)}, ${sides.ours} ${written(difference.ours, ours.bytes)}`;
    words.push(`${difference.name}${where}: ${values}`);
  }
  return words;
}

function protocolsOf(layers: readonly Layer[]): string {
  return layers
    .filter(({ name }) => name !== 'data' && name !== 'trailer')
    .map(({ name }) => name)
    .join(':');
}

function placeOf(field: Field | undefined): string {
  const inside = (field?.layer.depth ?? 0) > 0 ? ' (inside vxlan)' : '';
  return field?.layer.quoted === true ? `${inside} (quoted in icmp)` : inside;
}

function written(field: Field | undefined, bytes: Uint8Array): string {
  if (field === undefined) return 'has none';
  return field.value ?? showBytes(bytes.subarray(field.start, field.end));
}

/** Of two payloads, the first byte that differs says more than their beginnings. */
function payloadDifference(
  real: Field,
  ours: Field,
  realBytes: Uint8Array,
  ourBytes: Uint8Array,
  sides: Sides,
): string {
  const lengths = [real.end - real.start, ours.end - ours.start] as const;
  if (lengths[0] !== lengths[1]) return `${sides.real} ${lengths[0]} bytes, ${sides.ours} ${lengths[1]} bytes`;
  let at = 0;
  while (at < lengths[0] && realBytes[real.start + at] === ourBytes[ours.start + at]) at += 1;
  const from = (bytes: Uint8Array, field: Field) => showBytes(bytes.subarray(field.start + at, field.end));
  return `from byte ${at} of ${lengths[0]} on: ${sides.real} ${from(realBytes, real)}, ${sides.ours} ${from(ourBytes, ours)}`;
}
