/**
 * Captured frames in the order of their times. The engine hands them out nearly sorted: it runs a vector of frames to its end,
 * each frame's own clock running ahead of the event's by the hops that it takes, so a tap's record may stand before an earlier
 * one of the next event.
 *
 * Nothing is captured at an earlier time than that of the event which caused it. So at a drain every frame before the engine's
 * `now` has been seen: `now` is the watermark, up to which frames are handed on for good, sorted by (time, tap, sequence of
 * capture). Those of its own nanosecond and later ones wait for the next drain. A frame that comes all the same after the
 * watermark has passed it is not lost: it is handed on late, out of order, and counted in `late`.
 */

import type { PacketBlock } from './packet-block.js';

interface Waiting {
  high: number;
  low: number;
  tap: number;
  sequence: number;
  block: PacketBlock;
}

export class TimeOrder {
  /** Frames that came after their time had been handed on. */
  late = 0;
  #waiting: Waiting[] = [];
  #sequence = 0;
  #passed = 0n;

  add(block: PacketBlock): void {
    if (block.time < this.#passed) this.late++;
    this.#waiting.push({
      high: block.timeHigh,
      low: block.timeLow,
      tap: block.interface,
      sequence: this.#sequence++,
      block,
    });
  }

  /** Frames before `watermark` (ns since 1970), sorted, and no longer kept; without one, all that there are. */
  release(watermark?: bigint): PacketBlock[] {
    const waiting = this.#waiting.sort(byTimeTapSequence);
    let count = waiting.length;
    if (watermark !== undefined) {
      while (count > 0 && (waiting[count - 1]?.block.time ?? 0n) >= watermark) count--;
      if (watermark > this.#passed) this.#passed = watermark;
    }
    this.#waiting = waiting.slice(count);
    return waiting.slice(0, count).map(({ block }) => block);
  }
}

function byTimeTapSequence(a: Waiting, b: Waiting): number {
  return a.high - b.high || a.low - b.low || a.tap - b.tap || a.sequence - b.sequence;
}
