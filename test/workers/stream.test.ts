/** Captured frames on their way from an engine to whoever merges them. */

import { expect, it } from 'vitest';
import { PacketBlock } from '../../src/capture/packet-block.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { CaptureStream, Signals } from '../../src/workers/stream.js';

const PIECE = 20 << 20;

it('gathers single blocks, and passes records in order on as they are', () => {
  const sent: Uint8Array[] = [];
  const stream = new CaptureStream(0, Signals.for(1), (records) => sent.push(new Uint8Array(records)));
  const block = (tick: number) => enhancedPacketBlock({ interface: 0, time: BigInt(tick), data: new Uint8Array(20) });
  stream.write(new PacketBlock(block(1)));
  stream.write(new PacketBlock(block(2)));
  expect(sent).toEqual([]);
  stream.finish();
  expect(sent).toEqual([Uint8Array.of(...block(1), ...block(2))]);
  stream.writeOrdered(block(3));
  stream.finish();
  expect(sent.slice(1)).toEqual([block(3)]);
});

it('does not wait while little is on the way, nor once all are to leave off', () => {
  const signals = Signals.for(2);
  const stream = new CaptureStream(1, signals, () => {});
  for (let i = 0; i < 4; i++) stream.writeOrdered(new Uint8Array(PIECE));
  signals.taken(1, 2 * PIECE);
  stream.writeOrdered(new Uint8Array(PIECE));
  signals.leave();
  // More than may wait: it would never come back.
  for (let i = 0; i < 4; i++) stream.writeOrdered(new Uint8Array(PIECE));
  expect(signals.leaving).toBe(true);
});
