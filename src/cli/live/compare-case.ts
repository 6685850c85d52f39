/** What the kernel's taps saw of a case against what ours saw, under the named masks; each difference with its stimulus. */

import { sameBytes } from '../../dissect/fields.js';
import { fragmentOf, type Layer, layersOf, u16 } from '../../dissect/layers.js';
import {
  type CompareOptions,
  compareTap,
  type Difference,
  type TapComparison,
  type TapFrame,
} from '../../replay/compare.js';
import { type Decoded, DrawnValues } from '../../replay/masks.js';
import type { Stimulus } from './case.js';
import type { Played } from './kernel-side.js';

export function compareCase(stimuli: readonly Stimulus[], kernel: Played, engine: Played): TapComparison[] {
  const shared = { drawnValues: new DrawnValues(), ...rulesFor(stimuli) };
  return [...engine.taps].map(([tap, frames]) => {
    const real = kernel.taps.get(tap) ?? [];
    const options: CompareOptions = {
      ...shared,
      injected: injectedAt(tap, real, stimuli),
      sides: { real: 'kernel', ours: 'engine' },
    };
    const comparison = compareTap({ tap, frames: real }, { tap, frames }, options);
    for (const difference of comparison.differences)
      difference.words.push(after(difference, stimuli, [real, kernel], [frames, engine]));
    return comparison;
  });
}

/** Frames that were put in at this tap, by number. */
function injectedAt(tap: string, frames: readonly TapFrame[], stimuli: readonly Stimulus[]): Set<number> {
  const numbers = new Set<number>();
  for (const stimulus of stimuli) {
    if (!('frame' in stimulus) || stimulus.at !== tap) continue;
    const index = frames.findIndex(
      ({ data, direction }, at) =>
        !numbers.has(at + 1) && direction === 'transmitted' && sameBytes(data, stimulus.frame),
    );
    if (index >= 0) numbers.add(index + 1);
  }
  return numbers;
}

/**
 * Whatever is no stimulus was made by a stack, and drew its IP id. A port (or ICMP identifier) that stands in no stimulus, NAT
 * must have drawn.
 */
function rulesFor(stimuli: readonly Stimulus[]): Pick<CompareOptions, 'ownStack' | 'drawn'> {
  const sent = new Set<string>();
  const chosen = { tcp: new Set<number>(), udp: new Set<number>(), icmp: new Set<number>() };
  for (const stimulus of stimuli) {
    const bytes = 'frame' in stimulus ? stimulus.frame : asFrame(stimulus.packet);
    const layers = layersOf(bytes);
    for (const layer of layers) {
      const { name, start } = layer;
      if (name === 'ip') sent.add(identityOf(bytes, layer)).add(wholeIdentityOf(bytes, layer));
      if (name === 'icmp') chosen.icmp.add(u16(bytes, start + 4));
      if (name === 'tcp' || name === 'udp') chosen[name].add(u16(bytes, start)).add(u16(bytes, start + 2));
    }
  }
  for (const port of [80, 8080, 4789, 53]) for (const protocol of ['tcp', 'udp'] as const) chosen[protocol].add(port);
  return {
    ownStack: ({ bytes }: Decoded, ip: Layer) => !sent.has(identityOf(bytes, ip)),
    drawn: (protocol, port) => !chosen[protocol].has(port),
  };
}

/** Protocol and id, and where they can be seen an ICMP message's type or a segment's flags: an echo reply is not its request. */
function identityOf(bytes: Uint8Array, ip: Layer): string {
  const fragment = fragmentOf(bytes, ip);
  if (fragment !== undefined) return `${bytes[ip.start + 9]} ${u16(bytes, ip.start + 4)}`;
  return wholeIdentityOf(bytes, ip);
}

function wholeIdentityOf(bytes: Uint8Array, ip: Layer): string {
  const protocol = bytes[ip.start + 9];
  const kind = protocol === 1 ? u16(bytes, ip.body) : protocol === 6 ? (bytes[ip.body + 13] ?? 0) : 0;
  return `${protocol} ${u16(bytes, ip.start + 4)} ${kind}`;
}

function asFrame(packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + packet.length);
  frame[12] = 8;
  frame.set(packet, 14);
  return frame;
}

/** `after stimulus 3, UDP to a closed port` */
function after(
  { real, ours }: Difference,
  stimuli: readonly Stimulus[],
  [realFrames, kernel]: [readonly TapFrame[], Played],
  [ourFrames, engine]: [readonly TapFrame[], Played],
): string {
  const time = real === undefined ? ourFrames[(ours ?? 1) - 1]?.time : realFrames[real - 1]?.time;
  const { sent } = real === undefined ? engine : kernel;
  const index = sent.filter((at) => time !== undefined && at <= time).length - 1;
  return `after stimulus ${index + 1}: ${stimuli[index]?.what ?? 'none'}`;
}
