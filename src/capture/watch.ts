/** Frames at a few devices as they are captured, in the order of their times: what tcpdump and a live stream look at. */

import type { Device, Engine } from '../engine/index.js';
import { PacketBlock } from './packet-block.js';
import { TimeOrder } from './time-order.js';
import { captureRecords } from './trace.js';

export interface Watched {
  device: Device;
  /** ns since 1970 */
  time: bigint;
  data: Uint8Array;
  /** The finished pcapng block; its interface is the engine's number of the tap. */
  block: PacketBlock;
}

export class Watch {
  readonly #order = new TimeOrder();
  readonly #before: Engine['onCapture'];
  readonly #mine: Engine['onCapture'];
  #stopped = false;
  /** Seen so far. */
  frames = 0;

  constructor(
    readonly engine: Engine,
    devices: readonly Device[],
    private readonly onFrame: (frame: Watched) => void,
  ) {
    for (const device of devices) device.tap();
    const wanted = new Set(devices);
    const { onCapture } = engine;
    this.#before = onCapture;
    this.#mine = (records) => {
      this.#before?.(records);
      if (this.#stopped) return;
      // A copy: the records are the engine's.
      for (const { block } of captureRecords(records)) {
        const device = engine.taps[block.interface];
        if (device && wanted.has(device)) this.#order.add(block);
      }
      this.#hand(this.#order.release(engine.epoch + BigInt(engine.now)));
    };
    engine.onCapture = this.#mine;
  }

  /** Those that still wait are handed on. */
  stop(): void {
    if (this.#stopped) return;
    this.engine.drain();
    this.#hand(this.#order.release());
    this.#stopped = true;
    // Somebody who came later still calls this one: it passes records on and does no more.
    if (this.engine.onCapture === this.#mine) this.engine.onCapture = this.#before;
  }

  #hand(blocks: ReturnType<TimeOrder['release']>): void {
    for (const block of blocks) {
      const device = this.engine.taps[block.interface];
      if (!device) continue;
      this.frames++;
      const kept = new PacketBlock(block.bytes.slice());
      this.onFrame({ device, time: kept.time, data: kept.data, block: kept });
    }
  }
}
