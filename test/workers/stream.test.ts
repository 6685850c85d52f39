/** Captured frames on their way from an engine to whoever merges them. */

import { expect, it, vi } from 'vitest';
import { PacketBlock } from '../../src/capture/packet-block.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { SLOT, SLOTS, sharedMemory, slotOf } from '../../src/engine/merge.js';
import { CaptureStream, Signals } from '../../src/workers/stream.js';

const block = (tick: number, bytes = 20) =>
  enhancedPacketBlock({ interface: 0, time: BigInt(tick), data: new Uint8Array(bytes) });

/** The second of two engines, and what it has sent, slots and all. */
function streaming() {
  const memory = sharedMemory(2, 0, 0);
  const signals = Signals.for(2);
  const sent: { slot: number; records: Uint8Array }[] = [];
  const stream = new CaptureStream(1, signals, memory, (slot, length) =>
    sent.push({ slot, records: slotOf(memory, 1, slot).slice(0, length) }),
  );
  return { stream, signals, sent, slots: () => sent.splice(0).map(({ slot }) => slot) };
}

it('gathers single blocks, and passes records in order on as they are', () => {
  const { stream, sent } = streaming();
  stream.write(new PacketBlock(block(1)));
  stream.write(new PacketBlock(block(2)));
  expect(sent).toEqual([]);
  stream.finish();
  expect(sent).toEqual([{ slot: 0, records: Uint8Array.of(...block(1), ...block(2)) }]);
  stream.writeOrdered(block(3));
  stream.finish();
  expect(sent.slice(1)).toEqual([{ slot: 1, records: block(3) }]);
});

it('cuts between records what is longer than a slot', () => {
  const { stream, sent } = streaming();
  const records = Buffer.concat(Array.from({ length: 40 }, (_, tick) => block(tick, 60_001)));
  stream.writeOrdered(records);
  expect(sent.length).toBeGreaterThan(2);
  expect(sent.every(({ records: { length } }) => length <= SLOT && length % block(0, 60_001).length === 0)).toBe(true);
  expect(Buffer.concat(sent.map((piece) => piece.records)).equals(records)).toBe(true);
});

it('waits when it is far ahead of the others, until a slot is free', () => {
  const { stream, signals, slots } = streaming();
  for (let i = 0; i < SLOTS; i++) stream.writeOrdered(block(i));
  expect(slots()).toEqual(Array.from({ length: SLOTS }, (_, slot) => slot));
  let waits = 0;
  const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    if (++waits === 2) signals.free(1, 3);
    return 'timed-out';
  });
  try {
    stream.writeOrdered(block(99));
    expect([waits, slots()]).toEqual([2, [3]]);
  } finally {
    wait.mockRestore();
  }
});

it('goes on when all are to leave off, and sends in the end what found no slot', () => {
  const { stream, signals, sent, slots } = streaming();
  for (let i = 0; i < SLOTS; i++) stream.writeOrdered(block(i));
  slots();
  signals.leave();
  stream.writeOrdered(block(100));
  signals.free(1, 5);
  stream.writeOrdered(block(101));
  expect(sent).toEqual([]);
  const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    signals.free(1, 5);
    return 'ok';
  });
  try {
    stream.finish();
    expect(sent).toEqual([
      { slot: 5, records: block(100) },
      { slot: 5, records: block(101) },
    ]);
  } finally {
    wait.mockRestore();
  }
});
