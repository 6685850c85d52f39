/** The Internet checksum: RFC 1071 whole, RFC 1624 incremental. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headers, placed } from '../engine/loaded.js';
import { checksum, hex, put16, put32, u16, u32 } from '../engine/packets.js';

const engine = await headers();
const swap = (value: number) => ((value & 255) << 8) | (value >>> 8);

/** The engine's checksum of these bytes, as it stands on the wire. */
function computed(bytes: Uint8Array): number {
  return swap(engine.checksumFinish(engine.checksumSum(placed(engine, bytes), bytes.length)) & 0xffff);
}

describe('the whole checksum', () => {
  it('sums the example of RFC 1071, section 3', () => {
    const example = hex('00 01 f2 03 f4 f5 f6 f7');
    // The RFC's column "Swapped", which is what a little-endian machine adds up: f2 dd, that is dd f2 on the wire.
    expect(engine.checksumSum(placed(engine, example), 8)).toBe(0xf2dd);
    expect(computed(example)).toBe(0xffff - 0xddf2);
  });

  it('pads an odd byte with zero (RFC 1071, section 1: [Z,0])', () => {
    expect(computed(hex('12'))).toBe(0xffff - 0x1200);
    expect(computed(hex('12 34 56'))).toBe(0xffff - (0x1234 + 0x5600));
  });

  it('carries around the end', () => {
    expect(computed(hex('ffff 0001'))).toBe(0xffff - 0x0001);
    expect(computed(hex('8000 8000'))).toBe(0xffff - 0x0001);
  });

  it('of nothing is all ones', () => expect(computed(new Uint8Array())).toBe(0xffff));

  it('is the same as a sum word by word for every length up to 2000, wherever the bytes lie', () => {
    let seed = 1;
    const random = Uint8Array.from({ length: 2016 }, () => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    });
    const at = placed(engine, random);
    const wrong: string[] = [];
    for (let length = 0; length <= 2000; length++) {
      for (const offset of [0, 1, 7, 15]) {
        const got = swap(engine.checksumFinish(engine.checksumSum(at + offset, length)) & 0xffff);
        if (got !== checksum(random.subarray(offset, offset + length))) wrong.push(`${length} at ${offset}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('is that of bytes which are copied meanwhile, all of them and no more, for every length from 16 to 1600', () => {
    const bytes = Uint8Array.from({ length: 1700 }, (_, i) => (i * 151 + (i >> 3)) & 255);
    const from = placed(engine, bytes);
    const to = from + 2048;
    const wrong: number[] = [];
    for (let length = 16; length <= 1600; length++) {
      const memory = new Uint8Array(engine.memory.buffer);
      memory.fill(0xee, to - 16, to + 1700);
      const got = swap(engine.checksumFinish(engine.checksumCopySummed(to, from, length)) & 0xffff);
      const copied = memory.subarray(to, to + length);
      const around = [...memory.subarray(to - 16, to), ...memory.subarray(to + length, to + length + 16)];
      if (
        got !== checksum(bytes.subarray(0, length)) ||
        around.some((byte) => byte !== 0xee) ||
        Buffer.compare(copied, bytes.subarray(0, length)) !== 0
      )
        wrong.push(length);
    }
    expect(wrong).toEqual([]);
  });

  it('loses no carry in the longest datagram there is, all ones', () => {
    for (const length of [65534, 65535]) {
      const ones = new Uint8Array(length).fill(0xff);
      expect(computed(ones)).toBe(checksum(ones));
    }
  });

  it('does not look at what follows', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes, after) => {
        const together = new Uint8Array([...bytes, ...after]);
        const sum = engine.checksumSum(placed(engine, together), bytes.length);
        expect(swap(engine.checksumFinish(sum) & 0xffff)).toBe(checksum(bytes));
      }),
    );
  });
});

describe('the incremental checksum', () => {
  it('gives 0000 for the example of RFC 1624, section 4, where RFC 1141 gave ffff', () => {
    expect(engine.checksumUpdate16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  it('leaves a checksum alone when nothing changes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xfffe }), fc.integer({ min: 0, max: 0xffff }), (check, value) => {
        expect(engine.checksumUpdate16(check, value, value)).toBe(check);
      }),
    );
  });

  // A packet is never all zero (its version is 4, its pseudo header holds its protocol): a sum of 0 does not occur.
  const packet = fc
    .uint8Array({ minLength: 20, maxLength: 120 })
    .map((bytes) => Uint8Array.of(0x45, ...bytes.subarray(1)))
    .filter(({ length }) => length % 2 === 0);

  it('is the whole one after any 16-bit word has changed', () => {
    fc.assert(
      fc.property(packet, fc.nat(), fc.integer({ min: 0, max: 0xffff }), (bytes, where, value) => {
        const at = 2 + 2 * (where % (bytes.length / 2 - 1));
        const before = checksum(bytes);
        const word = u16(bytes, at);
        put16(bytes, at, value);
        expect(engine.checksumUpdate16(before, word, value)).toBe(checksum(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('is the whole one after any 32-bit word has changed', () => {
    fc.assert(
      fc.property(packet, fc.nat(), fc.integer({ min: 0, max: 0xffffffff }), (bytes, where, value) => {
        const at = 2 + 2 * (where % (bytes.length / 2 - 2));
        const before = checksum(bytes);
        const words = u32(bytes, at);
        put32(bytes, at, value);
        expect(engine.checksumUpdate32(before, words, value)).toBe(checksum(bytes));
      }),
      { numRuns: 1000 },
    );
  });
});
