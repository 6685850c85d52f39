/** Captured frames on their way from an engine to whoever merges them. */

import { createHash } from 'node:crypto';
import { expect, it, vi } from 'vitest';
import { joined } from '../../src/bytes.js';
import { PacketBlock } from '../../src/capture/packet-block.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { SLOT, SLOTS, sharedMemory, slotOf } from '../../src/engine/merge.js';
import { CaptureStream, Signals } from '../../src/workers/stream.js';

const block = (tick: number, bytes = 20) =>
  enhancedPacketBlock({ interface: 0, time: BigInt(tick), data: new Uint8Array(bytes) });

/** So much that no slot takes it twice. */
const large = (tick: number) => joined(Array.from({ length: 30 }, () => block(tick, 40_001)));
const digest = (...records: Uint8Array[]) => createHash('sha256').update(joined(records)).digest('hex');

/** The second of two engines, and what it has sent, slots and all. */
function streaming() {
  const memory = sharedMemory(2, 0, 0);
  const signals = Signals.for(2);
  const sent: { slot: number; records: Uint8Array }[] = [];
  const stream = new CaptureStream(1, signals, memory, (slot, length) =>
    sent.push({ slot, records: slotOf(memory, 1, slot).slice(0, length) }),
  );
  const slots = () => sent.splice(0).map(({ slot }) => slot);
  const digests = () => sent.splice(0).map(({ slot, records }) => [slot, digest(records)]);
  return { stream, signals, sent, slots, digests };
}

it('gathers blocks and records in a slot, and passes it on when no more fit', () => {
  const { stream, sent, digests } = streaming();
  stream.write(new PacketBlock(block(1)));
  stream.writeOrdered(block(2));
  stream.writeOrdered(large(3));
  expect(sent).toEqual([]);
  stream.writeOrdered(large(4));
  expect(digests()).toEqual([[0, digest(block(1), block(2), large(3))]]);
  stream.finish();
  expect(digests()).toEqual([[1, digest(large(4))]]);
});

it('passes nothing on in the end when there is nothing left', () => {
  const { stream, sent } = streaming();
  stream.finish();
  stream.write(new PacketBlock(block(1)));
  stream.finish();
  stream.finish();
  expect(sent).toEqual([{ slot: 0, records: block(1) }]);
});

it('cuts between records what is longer than a slot', () => {
  const { stream, sent } = streaming();
  const records = Buffer.concat(Array.from({ length: 80 }, (_, tick) => block(tick, 60_001)));
  stream.writeOrdered(records);
  stream.finish();
  expect(sent.length).toBeGreaterThan(2);
  expect(sent.every(({ records: { length } }) => length <= SLOT && length % block(0, 60_001).length === 0)).toBe(true);
  expect(Buffer.concat(sent.map((piece) => piece.records)).equals(records)).toBe(true);
});

it('waits when it is far ahead of the others, until a slot is free', () => {
  const { stream, signals, slots } = streaming();
  for (let i = 0; i < SLOTS; i++) stream.writeOrdered(large(i));
  expect(slots()).toEqual(Array.from({ length: SLOTS - 1 }, (_, slot) => slot));
  let waits = 0;
  const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    if (++waits === 2) signals.free(1, 3);
    return 'timed-out';
  });
  try {
    stream.writeOrdered(large(99));
    stream.finish();
    expect([waits, slots()]).toEqual([2, [SLOTS - 1, 3]]);
  } finally {
    wait.mockRestore();
  }
});

it('goes on when all are to leave off, and sends in the end what found no slot', () => {
  const { stream, signals, sent, slots, digests } = streaming();
  for (let i = 0; i < SLOTS; i++) stream.writeOrdered(large(i));
  signals.leave();
  stream.writeOrdered(large(100));
  slots();
  signals.free(1, 5);
  stream.writeOrdered(block(101));
  stream.writeOrdered(large(102));
  expect(sent).toEqual([]);
  const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    signals.free(1, 6);
    return 'ok';
  });
  try {
    stream.finish();
    expect(digests()).toEqual([
      [5, digest(large(100), block(101))],
      [6, digest(large(102))],
    ]);
  } finally {
    wait.mockRestore();
  }
});
