import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PacketBlock } from '../../src/capture/packet-block.js';
import { enhancedPacketBlock } from '../../src/capture/pcapng.js';
import { TimeOrder } from '../../src/capture/time-order.js';

/** A frame whose only byte tells it from others. */
function block(time: bigint, tap: number, name: number): PacketBlock {
  const data = Uint8Array.of(name);
  return new PacketBlock(enhancedPacketBlock({ interface: tap, time, data, direction: 'received' }));
}
const names = (blocks: readonly PacketBlock[]) => blocks.map(({ data }) => data[0]);

describe('frames', () => {
  test('come out by time, then by tap, then in the order of their capture', () => {
    const order = new TimeOrder();
    for (const one of [block(2n ** 40n, 0, 1), block(9n, 1, 2), block(9n, 0, 3), block(9n, 0, 4), block(8n, 5, 5)]) {
      order.add(one);
    }
    expect(names(order.release())).toEqual([5, 3, 4, 2, 1]);
    expect(order.late).toBe(0);
  });

  test('wait until the watermark has passed them, and go once', () => {
    const order = new TimeOrder();
    order.add(block(20n, 0, 1));
    order.add(block(10n, 0, 2));
    expect(names(order.release(10n))).toEqual([]);
    expect(names(order.release(11n))).toEqual([2]);
    order.add(block(15n, 0, 3));
    expect(names(order.release(100n))).toEqual([3, 1]);
    expect(order.release()).toEqual([]);
  });

  test('that come too late are counted and not lost', () => {
    const order = new TimeOrder();
    order.add(block(50n, 0, 1));
    order.release(60n);
    order.add(block(55n, 0, 2));
    expect(names(order.release())).toEqual([2]);
    expect(order.late).toBe(1);
  });

  test('have one order, however often they are released', () => {
    const frame = fc.record({ ahead: fc.integer({ min: 0, max: 30 }), tap: fc.integer({ min: 0, max: 3 }) });
    fc.assert(
      fc.property(fc.array(fc.array(frame, { maxLength: 8 }), { maxLength: 12 }), (batches) => {
        const whole = new TimeOrder();
        const streamed = new TimeOrder();
        const out: PacketBlock[] = [];
        let name = 0;
        for (const [index, batch] of batches.entries()) {
          const now = BigInt(index * 10);
          for (const { ahead, tap } of batch) {
            const one = block(now + BigInt(ahead), tap, name++);
            whole.add(one);
            streamed.add(one);
          }
          out.push(...streamed.release(now));
        }
        out.push(...streamed.release());
        expect(names(out)).toEqual(names(whole.release()));
        expect(streamed.late).toBe(0);
      }),
    );
  });
});
