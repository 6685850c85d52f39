/**
 * What a real tap saw against what ours saw. Flow by flow and direction by direction, in order within each; times are not
 * compared, for on two taps of a real machine they cross. A frame that one side saw and the other did not is different.
 *
 * Frames are paired in three rounds: within the same flow; then whole flows that differ only in what the kernel may draw (a
 * port, an id), so that a mask can be judged; then, of what is left, frames that are alike, so that a wrong address is told
 * as a wrong address and not as one frame missing and one too many.
 */

import type { Direction } from '../capture/capture.js';
import { sameBytes } from '../dissect/fields.js';
import { type DecodeOptions, type Layer, layersOf } from '../dissect/layers.js';
import { align } from './align.js';
import { transportChecksumAt } from './checksums.js';
import type { OpenEsp } from './esp.js';
import { type Flow, flowOf } from './flow.js';
import { type Decoded, DrawnValues, judge, type MaskName, type MaskRules } from './masks.js';

export interface TapFrame {
  /** Nanoseconds; shown, never compared. */
  time: bigint;
  data: Uint8Array;
  direction?: Direction;
}

/** What one of our taps saw, in the order in which it saw it. */
export interface TapFrames {
  /** `namespace/device`. */
  tap: string;
  frames: readonly TapFrame[];
}

/** What a real tap saw. Frame numbers are places in `frames`, from 1. */
export interface RealTap extends TapFrames {
  /** Name of its capture file; a capture that saw nothing has none. */
  pcap?: string;
  /** Frames whose headers in the file are not those that passed the tap (see `inputs.json`): payload alone is compared. */
  overwritten?: ReadonlySet<number>;
  /** How many frames the file should have had, where that is known. */
  expected?: number;
  /** What is odd about the file. */
  warnings?: readonly string[];
}

export interface CompareOptions extends MaskRules, DecodeOptions {
  /** Numbers of the real tap's frames that were injected at this very tap: not counted. */
  injected?: ReadonlySet<number>;
  /** Opens ESP, where keys are known: then what is inside is compared. */
  openEsp?: OpenEsp;
  /** Shared by all taps of a run; each comparison has its own without it. */
  drawnValues?: DrawnValues;
}

export interface Difference {
  tap: string;
  flow: string;
  direction?: Direction;
  kind: 'changed' | 'missing' | 'extra' | 'out of order';
  /** Frame numbers, from 1, in the real capture and among the frames of our tap. */
  real?: number;
  ours?: number;
  words: string[];
}

export interface TapComparison {
  tap: string;
  compared: number;
  identical: number;
  masked: number;
  different: number;
  /** Frames that were put in at this tap: not compared. */
  injected: number;
  /** Frames whose headers the recording lost, with a frame of ours that has their payload: not compared. */
  overwritten: number;
  /** How often each mask was needed. */
  masks: Partial<Record<MaskName, number>>;
  differences: Difference[];
  /** Number of a real frame → number of the frame of ours that was taken for its sight, alike or not. */
  sights: Map<number, number>;
}

/** A frame on its way through the comparison. */
interface Seen extends Decoded {
  number: number;
  direction: Direction | undefined;
  flow: Flow;
  /** The bytes without what is random and without the checksums over it: equal for frames that a mask may make equal. */
  likeness: Uint8Array;
}

/** Compares one tap. */
export function compareTap(real: RealTap, ours: TapFrames, options: CompareOptions = {}): TapComparison {
  return new Comparison(real, ours, options).run();
}

class Comparison {
  readonly #result: TapComparison;
  readonly #drawn: DrawnValues;
  #byDirection = true;
  /** Frames that no round has paired so far. */
  #missing: Seen[] = [];
  #extra: Seen[] = [];

  constructor(
    readonly real: RealTap,
    readonly ours: TapFrames,
    readonly options: CompareOptions,
  ) {
    this.#drawn = options.drawnValues ?? new DrawnValues();
    this.#result = {
      tap: real.tap,
      compared: 0,
      identical: 0,
      masked: 0,
      different: 0,
      injected: 0,
      overwritten: 0,
      masks: {},
      differences: [],
      sights: new Map(),
    };
  }

  run(): TapComparison {
    const lost = this.real.overwritten ?? new Set<number>();
    let realFrames = this.#see(this.real.frames);
    let ourFrames = this.#see(this.ours.frames);
    if (this.real.tap.endsWith('/lo')) {
      realFrames = withoutSecondCopies(realFrames);
      ourFrames = withoutSecondCopies(ourFrames);
    }
    [realFrames, ourFrames] = this.#withoutInjected(realFrames, ourFrames);
    // Captures of other people have no directions, and some frames of a recording cannot be told: then nobody's count.
    const known = (frames: Seen[]) => frames.every(({ direction }) => direction !== undefined);
    this.#byDirection = !this.real.tap.endsWith('/lo') && known(realFrames) && known(ourFrames);
    this.#pairWithinFlows(
      realFrames.filter(({ number }) => !lost.has(number)),
      ourFrames,
    );
    this.#setOverwrittenAside(realFrames.filter(({ number }) => lost.has(number)));
    this.#pairFlowsOfAFamily();
    this.#pairWhatIsAlike();
    for (const seen of this.#missing) this.#differ('missing', seen, undefined, ['the real tap saw it, ours did not']);
    for (const seen of this.#extra) this.#differ('extra', undefined, seen, ['our tap saw it, the real one did not']);
    this.#checkNumber();
    const result = this.#result;
    result.differences.sort((one, other) => (one.real ?? one.ours ?? 0) - (other.real ?? other.ours ?? 0));
    result.compared = result.identical + result.masked + result.different;
    return result;
  }

  #see(frames: readonly TapFrame[]): Seen[] {
    return frames.map((frame, index) => {
      const opened = this.options.openEsp?.(frame.data);
      const bytes = opened ?? frame.data;
      const layers = layersOf(bytes, opened ? { ...this.options, espOpened: true } : this.options);
      return {
        number: index + 1,
        bytes,
        layers,
        direction: frame.direction,
        flow: flowOf(bytes, layers),
        likeness: likenessOf(bytes, layers),
      };
    });
  }

  /**
   * Takes out the frames that were injected at this tap, and those of ours that are their sight: the same bytes, or the same
   * but for a checksum, which a capture may hold partial and an injection completes.
   */
  #withoutInjected(realFrames: Seen[], ourFrames: Seen[]): [Seen[], Seen[]] {
    const injected = this.options.injected;
    if (injected === undefined || injected.size === 0) return [realFrames, ourFrames];
    const sights = new Map<string, Seen[]>();
    for (const seen of ourFrames) addTo(sights, seen.flow.key, seen);
    const taken = new Set<Seen>();
    const rest: Seen[] = [];
    for (const seen of realFrames) {
      if (!injected.has(seen.number)) {
        rest.push(seen);
        continue;
      }
      this.#result.injected += 1;
      const candidates = (sights.get(seen.flow.key) ?? []).filter(
        (sight) => !taken.has(sight) && sameBytes(sight.likeness, seen.likeness),
      );
      const same = candidates.filter(({ bytes }) => sameBytes(bytes, seen.bytes));
      const best = same.length > 0 ? same : candidates;
      const sight = best.find(({ direction }) => direction === seen.direction) ?? best[0];
      if (sight === undefined) continue;
      taken.add(sight);
      this.#result.sights.set(seen.number, sight.number);
    }
    return [rest, ourFrames.filter((seen) => !taken.has(seen))];
  }

  #groupOf(seen: Seen, name: string): string {
    return this.#byDirection ? `${seen.direction} ${name}` : name;
  }

  #grouped(frames: readonly Seen[], nameOf: (seen: Seen) => string): Map<string, Seen[]> {
    const groups = new Map<string, Seen[]>();
    for (const seen of frames) addTo(groups, this.#groupOf(seen, nameOf(seen)), seen);
    return groups;
  }

  #pairWithinFlows(realFrames: readonly Seen[], ourFrames: readonly Seen[]): void {
    const ourFlows = this.#grouped(ourFrames, ({ flow }) => flow.key);
    for (const [key, frames] of this.#grouped(realFrames, ({ flow }) => flow.key)) {
      this.#pair(frames, ourFlows.get(key) ?? []);
      ourFlows.delete(key);
    }
    for (const frames of ourFlows.values()) this.#extra.push(...frames);
  }

  #pair(realFrames: readonly Seen[], ourFrames: readonly Seen[]): void {
    for (const { real, ours } of align(realFrames, ourFrames, distance)) {
      if (real !== undefined && ours !== undefined) this.#judge(real, ours);
      else if (real !== undefined) this.#missing.push(real);
      else if (ours !== undefined) this.#extra.push(ours);
    }
  }

  #judge(real: Seen, ours: Seen): void {
    const verdict = judge(real, ours, this.options, this.#drawn);
    if (verdict.kind === 'different') this.#differ('changed', real, ours, verdict.words);
    else {
      this.#result[verdict.kind] += 1;
      this.#result.sights.set(real.number, ours.number);
    }
    if (verdict.kind !== 'masked') return;
    for (const mask of verdict.masks) this.#result.masks[mask] = (this.#result.masks[mask] ?? 0) + 1;
  }

  /** A frame of ours that carries what an overwritten one carries is its sight; nothing else of the two can be compared. */
  #setOverwrittenAside(lost: readonly Seen[]): void {
    for (const seen of lost) {
      const payload = packetPayload(seen);
      const sight = this.#extra.find((candidate) => sameBytes(packetPayload(candidate), payload));
      if (sight === undefined) this.#missing.push(seen);
      else {
        this.#extra.splice(this.#extra.indexOf(sight), 1);
        this.#result.overwritten += 1;
      }
    }
  }

  /** Flows of which the other side has no frame at all, matched where only drawn values differ. */
  #pairFlowsOfAFamily(): void {
    const ourFlows = this.#grouped(this.#extra, ({ flow }) => flow.key);
    const realFlows = this.#grouped(this.#missing, ({ flow }) => flow.key);
    for (const [key, frames] of realFlows) {
      const first = frames[0];
      if (first === undefined || ourFlows.has(key)) continue;
      let best: { key: string; frames: Seen[]; distance: number } | undefined;
      for (const [ourKey, ourFrames] of ourFlows) {
        const [ourFirst] = ourFrames;
        if (ourFirst === undefined || realFlows.has(ourKey)) continue;
        if (this.#groupOf(ourFirst, ourFirst.flow.family) !== this.#groupOf(first, first.flow.family)) continue;
        const apart = distance(first, ourFirst);
        if (best === undefined || apart < best.distance) best = { key: ourKey, frames: ourFrames, distance: apart };
      }
      if (best === undefined) continue;
      const gone = new Set([...frames, ...best.frames]);
      this.#missing = this.#missing.filter((seen) => !gone.has(seen));
      this.#extra = this.#extra.filter((seen) => !gone.has(seen));
      ourFlows.delete(best.key);
      this.#pair(frames, best.frames);
    }
  }

  #pairWhatIsAlike(): void {
    const missing = this.#grouped(this.#missing, () => '');
    const extra = this.#grouped(this.#extra, () => '');
    this.#missing = [];
    this.#extra = [];
    for (const key of new Set([...missing.keys(), ...extra.keys()])) {
      const inOrder = (frames: Seen[] | undefined) => (frames ?? []).sort((one, other) => one.number - other.number);
      const related = (real: Seen, ours: Seen) =>
        areAlike(real, ours) ? distance(real, ours) : Number.POSITIVE_INFINITY;
      for (const { real, ours } of align(inOrder(missing.get(key)), inOrder(extra.get(key)), related)) {
        if (real === undefined || ours === undefined) {
          if (real !== undefined) this.#missing.push(real);
          if (ours !== undefined) this.#extra.push(ours);
        } else if (real.flow.key === ours.flow.key && sameBytes(real.likeness, ours.likeness)) {
          // The first round would have paired them, had they stood at the same place of their flow.
          this.#differ('out of order', real, ours, ['it stands at another place of its flow in our capture']);
        } else this.#judge(real, ours);
      }
    }
  }

  /** A file that has lost or gained a frame since it was recorded is no proof of anything, even if what is left agrees. */
  #checkNumber(): void {
    const { expected, frames } = this.real;
    if (expected === undefined || expected === frames.length || this.#result.different > 0) return;
    this.#result.different += Math.abs(expected - frames.length);
    this.#result.differences.push({
      tap: this.real.tap,
      flow: 'the whole capture',
      kind: expected > frames.length ? 'missing' : 'extra',
      words: [`the real capture has ${frames.length} frames, inputs.json says ${expected}`],
    });
  }

  #differ(kind: Difference['kind'], real: Seen | undefined, ours: Seen | undefined, words: string[]): void {
    const seen = real ?? ours;
    if (seen === undefined) return;
    if (real !== undefined && ours !== undefined) this.#result.sights.set(real.number, ours.number);
    this.#result.different += 1;
    this.#result.differences.push({
      tap: this.real.tap,
      flow: seen.flow.key,
      ...(seen.direction === undefined ? {} : { direction: seen.direction }),
      kind,
      ...(real === undefined ? {} : { real: real.number }),
      ...(ours === undefined ? {} : { ours: ours.number }),
      words,
    });
  }
}

function addTo<K, V>(groups: Map<K, V[]>, key: K, value: V): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [value]);
  else group.push(value);
}

/** Bytes as a key of a map. */
function keyOf(bytes: Uint8Array): string {
  let key = '';
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}

/**
 * On `lo` some captures hold every frame twice: going out and coming in. The second identical copy is dropped. A frame that
 * was sent twice is no copy: it counts as transmitted both times.
 */
function withoutSecondCopies(frames: readonly Seen[]): Seen[] {
  const out = new Map<string, number>();
  return frames.filter(({ bytes, direction }) => {
    const key = keyOf(bytes);
    const waiting = out.get(key) ?? 0;
    if (direction !== 'transmitted' && waiting > 0) {
      out.set(key, waiting - 1);
      return false;
    }
    if (direction !== 'received') out.set(key, waiting + 1);
    return true;
  });
}

/** What the IP header of a frame carries (RFC 791: the data); the whole frame when it has none. */
function packetPayload({ bytes, layers }: Decoded): Uint8Array {
  const ip = layers.find(({ name }) => name === 'ip' || name === 'ipv6');
  return ip === undefined ? bytes : bytes.subarray(ip.body, ip.end);
}

function likenessOf(bytes: Uint8Array, layers: readonly Layer[]): Uint8Array {
  // Not slice(): that of a Node Buffer is no copy.
  const likeness = new Uint8Array(bytes);
  layers.forEach((layer, index) => {
    if (layer.name === 'ip') {
      likeness.fill(0, layer.start + 4, layer.start + 6);
      likeness.fill(0, layer.start + 10, layer.start + 12);
    }
    if (layer.name === 'ipv6') {
      likeness[layer.start + 1] = (likeness[layer.start + 1] ?? 0) & 0xf0;
      likeness.fill(0, layer.start + 2, layer.start + 4);
    }
    if (layer.name === 'ipv6-fragment') likeness.fill(0, layer.start + 4, layer.start + 8);
    const checksum = transportChecksumAt(layer);
    if (checksum !== undefined) likeness.fill(0, checksum, checksum + 2);
    if (layer.name === 'esp' && layer.body === layer.start + 16) likeness.fill(0, layer.start + 8, layer.body);
    if (layer.name === 'esp-trailer') likeness.fill(0, layer.end - 8, layer.end);
    if (layers[index + 1]?.name === 'vxlan') likeness.fill(0, layer.start, layer.start + 2);
  });
  return likeness;
}

const COMPARED_BYTES = 160;

/** How far apart two frames are, as `align` wants it. */
function distance(real: Seen, ours: Seen): number {
  if (sameBytes(real.bytes, ours.bytes)) return 0;
  const apart = share(real.likeness, ours.likeness);
  if (apart === 0) return 0.01;
  return 1 + Math.min(0.9, apart / 2);
}

/** The share of the bytes that differ, payloads by their beginning; frames of different length have more than 0. */
function share(one: Uint8Array, other: Uint8Array): number {
  if (one.length === other.length && sameBytes(one, other)) return 0;
  const length = Math.min(one.length, other.length, COMPARED_BYTES);
  let differing = one.length === other.length ? 0.5 : 2;
  for (let at = 0; at < length; at += 1) if (one[at] !== other[at]) differing += 1;
  return Math.min(1, differing / Math.max(1, length));
}

/** One frame changed, rather than two frames: the same headers, and most of the bytes. */
function areAlike(real: Seen, ours: Seen): boolean {
  if (share(real.likeness, ours.likeness) > 0.4) return false;
  return (
    real.layers.length === ours.layers.length && real.layers.every(({ name }, at) => name === ours.layers[at]?.name)
  );
}
