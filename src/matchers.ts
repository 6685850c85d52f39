/**
 * A matcher for vitest (and whatever else has `expect.extend`): two captures are the same, frame by frame.
 *
 *   import { matchers } from 'swarmwire/matchers';
 *   expect.extend(matchers);
 *   expect(swarm.frames('node1/host/eth0')).toMatchCapture(readFileSync('golden.pcap'), { mask: ['outer:ip.id'] });
 *
 * Vitest is named in types alone: nothing of it is loaded.
 */

// Types alone: without it the compiler does not know the module that is augmented below.
import type {} from 'vitest';
import { type DiffOptions, diffSides } from './replay/diff.js';
import { type FrameLike, sideOf } from './replay/diff-sides.js';
import { diffLines } from './replay/diff-words.js';

/** A capture file (pcap or pcapng), what `swarm.frames()` gives, or frames as bytes alone. */
export type CaptureLike = Uint8Array | readonly FrameLike[];

export interface MatchCaptureOptions extends Pick<DiffOptions, 'vxlanPort'> {
  /** Wireshark's field names; `outer:` before one: of the header that carries VXLAN, `inner:`: of one inside. */
  mask?: readonly string[];
  /** How many differences the message tells; 10 without it. */
  limit?: number;
}

const LABELS = { a: 'expected', b: 'received' };

export const matchers = {
  /**
   * Passes when both captures have the same frames in the same order within each flow, whatever their times. Interfaces are
   * compared by name where both sides have names. Throws for bytes that are no capture, and for unknown field names.
   */
  toMatchCapture(received: unknown, expected: CaptureLike, options: MatchCaptureOptions = {}) {
    if (!isCaptureLike(received)) {
      throw new TypeError('toMatchCapture: received is neither the bytes of a capture file nor a list of frames');
    }
    if (!isCaptureLike(expected)) {
      throw new TypeError('toMatchCapture: expected is neither the bytes of a capture file nor a list of frames');
    }
    const { limit, ...diffOptions } = options;
    const diff = diffSides(sideOf(expected), sideOf(received), { ...diffOptions, labels: LABELS });
    const message = () => {
      const head = diff.equal ? 'the captures are the same' : 'the captures differ';
      return [head, '', ...diffLines(diff, limit === undefined ? {} : { limit })].join('\n');
    };
    return { pass: diff.equal, message };
  },
};

function isCaptureLike(value: unknown): value is CaptureLike {
  if (value instanceof Uint8Array) return true;
  return Array.isArray(value) && value.every((frame: FrameLike | undefined) => frame?.data instanceof Uint8Array);
}

declare module 'vitest' {
  interface Matchers<T> {
    toMatchCapture(expected: CaptureLike, options?: MatchCaptureOptions): T;
  }
}
