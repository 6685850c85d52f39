/**
 * Two captures compared frame by frame: simulated or taken from real machines, of the same clock or not. Frames are matched
 * flow by flow and in order within each, as `compare.ts` does it for the conformance; here nothing is masked but what the
 * caller names (`diff-mask.ts`), and a frame whose masked fields are blanked is compared in the frame's place.
 */

import { differingFields, type FieldDifference, sameBytes, showBytes } from '../dissect/fields.js';
import { type DecodeOptions, layersOf } from '../dissect/layers.js';
import { compareTap, type Difference, type TapFrame } from './compare.js';
import { blanked, checksumSays, coveringChecksums, type Framed, Masks, placeOf } from './diff-mask.js';
import { type MatchedInterface, matchInterfaces, type Side, type SideFrame } from './diff-sides.js';
import { explainFields } from './explain.js';
import { flowOf } from './flow.js';

export interface DiffOptions extends DecodeOptions {
  /** Field names, each with `outer:` or `inner:` before it or nothing. */
  mask?: readonly string[];
  /** What the two sides are called in words; A and B without it. */
  labels?: { a: string; b: string };
}

/** One field in which a frame differs; a side that has no such field has no value. */
export interface FieldChange {
  field: string;
  /** Of a frame that carries VXLAN: outside or inside of it. */
  where?: 'outer' | 'inner';
  a?: string;
  b?: string;
  /** A checksum that is right on both sides: it differs because what it covers does. */
  follows?: true;
}

export interface FrameDifference {
  /** Undefined when all frames were compared with all. */
  interface?: string;
  flow: string;
  direction?: 'received' | 'transmitted';
  /** missing: A has it, B has not. extra: B has it, A has not. */
  kind: 'changed' | 'missing' | 'extra' | 'out of order';
  /** Frame numbers as Wireshark counts them. */
  a?: number;
  b?: number;
  fields: FieldChange[];
  words: string[];
}

export interface CaptureDiff {
  equal: boolean;
  /** How interfaces were matched, in a sentence. */
  interfaces: string;
  compared: number;
  identical: number;
  masked: number;
  different: number;
  /** How often each mask was needed. */
  masks: Record<string, number>;
  /** In how many frames each field differs (checksums that only follow left out), as a mask would name it. */
  fields: Record<string, number>;
  differences: FrameDifference[];
  /** What else is to be said. */
  notes: string[];
  labels: { a: string; b: string };
}

export const SIDES = { a: 'A', b: 'B' } as const;

/** @throws MaskError for a field name that no frame can have */
export function diffSides(a: Side, b: Side, options: DiffOptions = {}): CaptureDiff {
  const masks = new Masks(options.mask);
  const labels = options.labels ?? SIDES;
  const { interfaces, words } = matchInterfaces(a, b, labels);
  const diff: CaptureDiff = {
    equal: true,
    interfaces: words,
    compared: 0,
    identical: 0,
    masked: 0,
    different: 0,
    masks: {},
    fields: {},
    differences: [],
    notes: [
      ...a.warnings.map((warning) => `${labels.a}: ${warning}`),
      ...b.warnings.map((warning) => `${labels.b}: ${warning}`),
    ],
    labels,
  };
  for (const matched of interfaces) new InterfaceDiff(diff, matched, masks, options).run();
  diff.compared = diff.identical + diff.masked + diff.different;
  diff.equal = diff.different === 0;
  diff.fields = Object.fromEntries(Object.entries(diff.fields).sort(([, one], [, two]) => two - one));
  return diff;
}

interface Prepared extends Framed {
  frame: SideFrame;
  /** What is compared in its place. */
  blank: Uint8Array;
}

class InterfaceDiff {
  readonly #a: Prepared[];
  readonly #b: Prepared[];

  constructor(
    readonly diff: CaptureDiff,
    readonly matched: MatchedInterface,
    readonly masks: Masks,
    readonly options: DiffOptions,
  ) {
    const kept = Math.min(snapLengthOf(matched.a), snapLengthOf(matched.b));
    if (kept !== Number.POSITIVE_INFINITY) {
      const where = matched.name === undefined ? '' : `${matched.name}: `;
      this.#note(
        `${where}frames were cut by a snap length when they were captured: ${kept} bytes of each are compared`,
      );
    }
    this.#a = this.#prepare(matched.a, kept);
    this.#b = this.#prepare(matched.b, kept);
    if (masks.hideFlows) this.#keepFlowsApart();
  }

  run(): void {
    const taps = [this.#a, this.#b].map((frames) => ({ tap: 'capture', frames: frames.map(asTapFrame) })) as [
      { tap: string; frames: TapFrame[] },
      { tap: string; frames: TapFrame[] },
    ];
    const { differences } = compareTap(...taps, {
      allowed: new Set(),
      ...(this.options.vxlanPort === undefined ? {} : { vxlanPort: this.options.vxlanPort }),
    });
    for (const difference of differences) this.#tell(difference);
    this.#countPairs(differences);
  }

  #note(words: string): void {
    this.diff.notes.push(words);
  }

  #prepare(frames: readonly SideFrame[], kept: number): Prepared[] {
    return frames.map((frame) => {
      const bytes = frame.data.subarray(0, kept);
      const framed: Framed = {
        bytes,
        layers: layersOf(bytes, this.options),
        cut: bytes.length < frame.originalLength,
      };
      const blank = this.masks.empty ? bytes : blanked(framed, this.masks.fields(framed));
      return { ...framed, frame, blank };
    });
  }

  /**
   * Flows that only masked ports and ids tell apart would be one to the comparison, and parallel connections cross. So each
   * has a number in its masks' place, the same on both sides: flows that both sides have first, then the rest in order. Where
   * one side has more of them than the other, nobody can say which is which: they stay one.
   */
  #keepFlowsApart(): void {
    const [ours, theirs] = [this.#flows(this.#a), this.#flows(this.#b)];
    for (const [key, flows] of ours) {
      const others = theirs.get(key);
      if (flows.size === 1 || others === undefined || others.size !== flows.size) continue;
      const rest = [...others.keys()].filter((flow) => !flows.has(flow));
      let number = 0;
      for (const [flow, frames] of flows) {
        number += 1;
        const counterpart = others.has(flow) ? flow : (rest.shift() ?? '');
        for (const one of [...frames, ...(others.get(counterpart) ?? [])]) {
          one.blank = blanked(one, this.masks.fields(one), number);
        }
      }
    }
  }

  /** By what a flow is without its masks: the flows, with their frames, in the order in which they begin. */
  #flows(frames: readonly Prepared[]): Map<string, Map<string, Prepared[]>> {
    const all = new Map<string, Map<string, Prepared[]>>();
    for (const one of frames) {
      const masked = flowOf(one.blank, layersOf(one.blank, this.options)).key;
      const { key } = flowOf(one.bytes, one.layers);
      const flows = all.get(masked) ?? new Map<string, Prepared[]>();
      all.set(masked, flows);
      const flow = flows.get(key);
      if (flow === undefined) flows.set(key, [one]);
      else flow.push(one);
    }
    return all;
  }

  #tell({ kind, real, ours }: Difference): void {
    const a = real === undefined ? undefined : this.#a[real - 1];
    const b = ours === undefined ? undefined : this.#b[ours - 1];
    if (a !== undefined && b !== undefined) this.#differ(kind === 'out of order' ? kind : 'changed', a, b);
    else this.#differ(a === undefined ? 'extra' : 'missing', a, b);
  }

  #differ(kind: FrameDifference['kind'], a: Prepared | undefined, b: Prepared | undefined): void {
    const seen = a ?? b;
    if (seen === undefined) return;
    const { labels } = this.diff;
    const [fields, words] = a !== undefined && b !== undefined ? this.#explain(a, b) : [[], []];
    // Nothing differs but what is masked: what was wrong is the place.
    const place = kind === 'out of order' || (kind === 'changed' && words.length === 0);
    if (place) words.unshift(`it stands at another place among the frames of ${labels.b}`);
    if (kind === 'missing') words.push(`${labels.a} has it, ${labels.b} has not`);
    if (kind === 'extra') words.push(`${labels.b} has it, ${labels.a} has not`);
    this.diff.different += 1;
    for (const { field, where, follows } of fields) {
      if (follows) continue;
      const name = where === undefined ? field : `${where}:${field}`;
      this.diff.fields[name] = (this.diff.fields[name] ?? 0) + 1;
    }
    this.diff.differences.push({
      ...(this.matched.name === undefined ? {} : { interface: this.matched.name }),
      flow: flowOf(seen.bytes, seen.layers).key,
      ...(seen.frame.direction === undefined ? {} : { direction: seen.frame.direction }),
      kind: place ? 'out of order' : kind,
      ...(a === undefined ? {} : { a: a.frame.number }),
      ...(b === undefined ? {} : { b: b.frame.number }),
      fields,
      words,
    });
  }

  /** Where two frames differ, masked fields and the checksums over them left out. */
  #explain(a: Prepared, b: Prepared): [FieldChange[], string[]] {
    const { labels } = this.diff;
    const differences = differingFields(a, b);
    const plain: FieldDifference[] = [];
    const following: FieldDifference[] = [];
    for (const difference of differences) {
      if (this.#maskOf(difference, a, b) !== undefined) continue;
      const cause = this.#causeOf(difference, differences, a, b);
      if (cause === 'other fields') following.push(difference);
      else if (cause === undefined) plain.push(difference);
    }
    const fields = [
      ...plain.map((difference) => changeOf(difference, a, b)),
      ...following.map((difference) => ({ ...changeOf(difference, a, b), follows: true as const })),
    ];
    const words = explainFields(plain, a, b, { real: labels.a, ours: labels.b }).filter(
      (sentence) => !sentence.startsWith('frame.len: '),
    );
    if (a.frame.originalLength !== b.frame.originalLength) {
      words.unshift(`frame.len: ${labels.a} ${a.frame.originalLength}, ${labels.b} ${b.frame.originalLength}`);
    }
    const follow = following.map(({ name, real, ours }) => {
      const inside = ((real ?? ours)?.layer.depth ?? 0) > 0 ? ' (inside vxlan)' : '';
      return `${name}${inside}`;
    });
    if (follow.length > 0) words.push(`${follow.join(', ')}: right on both sides, and so different`);
    return [fields, words];
  }

  #maskOf({ real, ours }: FieldDifference, a: Prepared, b: Prepared): string | undefined {
    if (real !== undefined) return this.masks.of(real, a.layers);
    return ours === undefined ? undefined : this.masks.of(ours, b.layers);
  }

  /** Why a checksum differs that is right, or as wrong, on both sides; undefined for other fields and other checksums. */
  #causeOf(
    { name, real, ours }: FieldDifference,
    differences: readonly FieldDifference[],
    a: Prepared,
    b: Prepared,
  ): 'masks' | 'other fields' | undefined {
    if (!name.endsWith('.checksum') || real === undefined || ours === undefined) return undefined;
    const says = [checksumSays(a, a.layers.indexOf(real.layer)), checksumSays(b, b.layers.indexOf(ours.layer))];
    if (says[0] === undefined || says[0] !== says[1]) return undefined;
    const others = differences.filter((one) => !one.name.endsWith('.checksum'));
    const covered = others.filter(
      (one) =>
        coveredBy(a, real.layer, one.real === undefined ? [] : [one.real]) ||
        coveredBy(b, ours.layer, one.ours === undefined ? [] : [one.ours]),
    );
    if (covered.length === 0) return undefined;
    return covered.every((one) => this.#maskOf(one, a, b) !== undefined) ? 'masks' : 'other fields';
  }

  /**
   * What no difference was found in: equal bytes, or equal but for masks. Frames that are equal once they are blanked were paired
   * in their order, so that order tells the pairs again.
   */
  #countPairs(differences: readonly Difference[]): void {
    const directed = [...this.#a, ...this.#b].every(({ frame }) => frame.direction !== undefined);
    const groups = new Map<string, Prepared[]>();
    const keyOf = ({ blank, frame }: Prepared) => `${directed ? frame.direction : ''} ${latin1(blank)}`;
    const told = [new Set(differences.map(({ real }) => real)), new Set(differences.map(({ ours }) => ours))] as const;
    for (const [index, one] of this.#a.entries()) {
      if (told[0].has(index + 1)) continue;
      const key = keyOf(one);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [one]);
      else group.push(one);
    }
    const taken = new Map<string, number>();
    for (const [index, b] of this.#b.entries()) {
      if (told[1].has(index + 1)) continue;
      const key = keyOf(b);
      const place = taken.get(key) ?? 0;
      taken.set(key, place + 1);
      const a = groups.get(key)?.[place];
      if (a !== undefined) this.#countPair(a, b);
    }
  }

  #countPair(a: Prepared, b: Prepared): void {
    // Bytes that a snap length took may be all that differs.
    if (a.frame.originalLength !== b.frame.originalLength) this.#differ('changed', a, b);
    else if (sameBytes(a.bytes, b.bytes)) this.diff.identical += 1;
    else this.#countMasked(a, b);
  }

  #countMasked(a: Prepared, b: Prepared): void {
    this.diff.masked += 1;
    for (const difference of differingFields(a, b)) {
      const mask = this.#maskOf(difference, a, b);
      if (mask !== undefined) this.diff.masks[mask] = (this.diff.masks[mask] ?? 0) + 1;
    }
  }
}

function asTapFrame({ frame, blank }: Prepared): TapFrame {
  const { time, direction } = frame;
  return { time, data: blank, ...(direction === undefined ? {} : { direction }) };
}

/** How much of a frame an interface kept, where it cut some; infinite where it cut none. */
function snapLengthOf(frames: readonly SideFrame[]): number {
  let most = 0;
  for (const { data, originalLength } of frames) if (data.length < originalLength) most = Math.max(most, data.length);
  return most === 0 ? Number.POSITIVE_INFINITY : most;
}

function coveredBy(frame: Framed, layer: FieldLayer, fields: readonly NonNullable<FieldDifference['real']>[]): boolean {
  return coveringChecksums(frame, fields).some(({ index }) => frame.layers[index] === layer);
}
type FieldLayer = NonNullable<FieldDifference['real']>['layer'];

function changeOf({ name, real, ours }: FieldDifference, a: Framed, b: Framed): FieldChange {
  const where = real === undefined ? ours && placeOf(ours, b.layers) : placeOf(real, a.layers);
  return {
    field: name,
    ...(where === undefined ? {} : { where }),
    ...(real === undefined ? {} : { a: real.value ?? showBytes(a.bytes.subarray(real.start, real.end)) }),
    ...(ours === undefined ? {} : { b: ours.value ?? showBytes(b.bytes.subarray(ours.start, ours.end)) }),
  };
}

/** Bytes as a key of a map. */
function latin1(bytes: Uint8Array): string {
  let key = '';
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}
