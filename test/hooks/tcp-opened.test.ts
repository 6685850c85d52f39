/** What conntrack makes of a SYN in one step, where the flow table opens a connection: byte for byte what it makes of it otherwise. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { headers } from '../engine/loaded.js';

const engine = await headers();
const SYN = 2;
const option = fc.oneof(
  fc.constantFrom(
    [1],
    [0],
    [4, 2],
    [2, 4, 5, 180],
    [3, 3, 7],
    [3, 3, 255],
    [8, 10, 0, 0, 0, 1, 0, 0, 0, 0],
    [3, 2],
    [3, 0],
  ),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => [...bytes]),
);
const word = fc.oneof(
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);

it('opens a connection in one step as in two', () => {
  let opened = 0;
  fc.assert(
    fc.property(
      fc.record({
        sequence: word,
        acknowledgment: word,
        window: fc.oneof(fc.constantFrom(0, 1, 65535), fc.integer({ min: 0, max: 65535 })),
        // PSH, URG, ECE and CWR may stand.
        more: fc.constantFrom(0, 8, 32, 64, 128, 192),
        options: fc.array(option, { maxLength: 6 }),
        data: fc.nat(40),
      }),
      ({ sequence, acknowledgment, window, more, options, data }) => {
        const padded = options.flat().slice(0, 40);
        while (padded.length % 4) padded.push(0);
        const length = 20 + padded.length + data;
        const at = engine.poisoned(length);
        const view = new DataView(engine.memory.buffer, at, length);
        view.setUint32(4, sequence);
        view.setUint32(8, acknowledgment);
        view.setUint8(12, (5 + padded.length / 4) << 4);
        view.setUint8(13, SYN | more);
        view.setUint16(14, window);
        padded.forEach((byte, i) => {
          view.setUint8(20 + i, byte);
        });
        const alike = engine.tcpOpensAlike(at, length);
        expect(alike).not.toBe(0);
        if (alike === 1) opened++;
      },
    ),
    { numRuns: 2000, seed: 3 },
  );
  expect(opened).toBeGreaterThan(1000);
});
