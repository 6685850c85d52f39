/** Captured frames on their way from an engine to whoever merges them. */

import { expect, it, vi } from 'vitest';
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

it('waits when it is far ahead of the others, until they have taken enough, or all are to leave off', () => {
  const signals = Signals.for(2);
  const seen: string[] = [];
  const stream = new CaptureStream(1, signals, () => seen.push('sent'));
  const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    seen.push('waits');
    signals.taken(1, PIECE / 2);
    return 'ok';
  });
  const send = (pieces: number) => {
    for (let i = 0; i < pieces; i++) stream.writeOrdered(new Uint8Array(PIECE));
    return seen.splice(0);
  };
  try {
    expect(send(4)).toEqual(['sent', 'sent', 'sent', 'sent']);
    // 80 MiB are on the way, and 64 may be.
    expect(send(1)).toEqual(['waits', 'waits', 'sent']);
    signals.leave();
    expect(send(2)).toEqual(['sent', 'sent']);
  } finally {
    wait.mockRestore();
  }
});
