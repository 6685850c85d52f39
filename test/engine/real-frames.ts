/** Frames of real captures (`test/oracle/`), and a hop that they pass: in at one device, out at the other. */

import { expect } from 'vitest';
import type { Device, Engine } from '../../src/engine/index.js';
import type { TapFrame } from '../../src/replay/compare.js';
import { tapOf } from '../replay/recorded.js';
import { toHex } from './packets.js';
import { inWords, Watch } from './watch.js';

/** Frames of one flow at a tap, both directions, in order: those whose words have `end` (`192.168.99.1:41001`) in them. */
export function flowAt(scenario: string, tap: string, end: string): TapFrame[] {
  const exact = new RegExp(`(^|\\s)${end.replaceAll('.', '\\.')}(\\s|$)`);
  return tapOf(scenario, tap).frames.filter(({ data }) => exact.test(inWords(data)));
}

/** The first frame of a tap that reads so: `10.0.0.2:42001 > 10.0.0.13:8080 ttl 62 tcp S`. */
export function frameThatReads(scenario: string, tap: string, words: string): Uint8Array {
  const found = tapOf(scenario, tap).frames.find(({ data }) => inWords(data) === words);
  if (!found) throw new Error(`${scenario} ${tap} has no frame ${words}`);
  return found.data;
}

const of = (frames: readonly TapFrame[], wanted: TapFrame['direction']) =>
  frames.filter(({ direction }) => direction === wanted).map(({ data }) => toHex(data));

/**
 * What really came in at either of two devices of a namespace comes in, in its order; what left by the other must be what
 * really left by it, byte for byte.
 */
export function expectPassage(engine: Engine, ends: { device: Device; frames: readonly TapFrame[] }[]): void {
  const watch = new Watch(
    engine,
    ends.map(({ device }) => device),
  );
  const arrivals = ends
    .flatMap(({ device, frames }) =>
      frames.filter(({ direction }) => direction === 'received').map(({ data, time }) => ({ device, data, time })),
    )
    .sort((a, b) => (a.time < b.time ? -1 : 1));
  const start = arrivals[0]?.time ?? 0n;
  for (const { device, data, time } of arrivals) {
    const at = Math.max(Number(time - start), engine.now);
    engine.receive(device, data, at);
    engine.run(at + 10_000);
  }
  for (const { device, frames } of ends) {
    expect(of(frames, 'transmitted').length, `${device.path}: the recording has frames`).toBeGreaterThan(0);
    expect(watch.sent(device).map(toHex), device.path).toEqual(of(frames, 'transmitted'));
  }
}
