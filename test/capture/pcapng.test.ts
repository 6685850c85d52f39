import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { enhancedPacketBlock, pcapngHeader } from '../../src/capture/pcapng.js';
import { readCapture } from '../../src/capture/read.js';

/** Writes blocks of either byte order by hand, from the format's description. */
class Writer {
  constructor(readonly littleEndian: boolean) {}

  u16(value: number): number[] {
    const bytes = [value & 0xff, value >>> 8];
    return this.littleEndian ? bytes : bytes.reverse();
  }

  u32(value: number): number[] {
    const bytes = [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
    return this.littleEndian ? bytes : bytes.reverse();
  }

  option(code: number, value: number[]): number[] {
    return [...this.u16(code), ...this.u16(value.length), ...padded(value)];
  }

  block(type: number, body: number[]): number[] {
    const length = this.u32(body.length + 12);
    return [...this.u32(type), ...length, ...body, ...length];
  }

  section(): number[] {
    return this.block(0x0a0d0d0a, [...this.u32(0x1a2b3c4d), ...this.u16(1), ...this.u16(0), ...Array(8).fill(0xff)]);
  }

  interface(options: number[] = [], snapLength = 0): number[] {
    return this.block(1, [...this.u16(1), ...this.u16(0), ...this.u32(snapLength), ...options]);
  }

  enhanced(at: number, ticks: bigint, data: number[], options: number[] = [], original = data.length): number[] {
    const time = [...this.u32(Number(ticks >> 32n)), ...this.u32(Number(ticks & 0xffff_ffffn))];
    const lengths = [...this.u32(data.length), ...this.u32(original)];
    return this.block(6, [...this.u32(at), ...time, ...lengths, ...padded(data), ...options]);
  }
}

function padded(bytes: number[]): number[] {
  return [...bytes, ...Array((4 - (bytes.length % 4)) % 4).fill(0)];
}

const ascii = (text: string) => [...new TextEncoder().encode(text)];
const little = new Writer(true);
const big = new Writer(false);
const read = (...parts: number[][]) => readCapture(Uint8Array.from(parts.flat()));

describe('pcapng', () => {
  test('has sections of either byte order, each with interfaces of its own', () => {
    const { interfaces, frames, warnings } = read(
      little.section(),
      little.interface(little.option(2, ascii('eth0'))),
      little.enhanced(0, 5n, [1]),
      big.section(),
      big.interface(big.option(2, ascii('eth1'))),
      big.interface(big.option(2, ascii('eth2'))),
      big.enhanced(1, 6n, [2, 3]),
    );
    expect(warnings).toEqual([]);
    expect(interfaces.map(({ name }) => name)).toEqual(['eth0', 'eth1', 'eth2']);
    expect(frames.map((frame) => [frame.interface, [...frame.data], frame.time])).toEqual([
      [0, [1], 5000n],
      [2, [2, 3], 6000n],
    ]);
  });

  test.each([
    ['microseconds without if_tsresol', [], 1_500_000n, 1_500_000_000n],
    ['nanoseconds', little.option(9, [9]), 1_500_000n, 1_500_000n],
    ['seconds', little.option(9, [0]), 3n, 3_000_000_000n],
    ['picoseconds', little.option(9, [12]), 5_000n, 5n],
    ['1/1024 of a second', little.option(9, [0x8a]), 512n, 500_000_000n],
    ['an offset of two seconds', little.option(14, [2, 0, 0, 0, 0, 0, 0, 0]), 1n, 2_000_001_000n],
    ['an offset of minus one second', little.option(14, Array(8).fill(0xff)), 1_000_001n, 1000n],
  ])('keeps time in %s', (_, options, ticks, time) => {
    expect(read(little.section(), little.interface(options), little.enhanced(0, ticks, [0])).frames[0]?.time).toBe(
      time,
    );
  });

  test.each([
    [1, 'received'],
    [2, 'transmitted'],
    [0, undefined],
    [0x0000_0105, 'received'],
  ])('tells the direction of flags %i: %s', (flags, direction) => {
    const options = [...little.option(2, little.u32(flags)), ...little.option(1, ascii('ttl 63')), ...little.u32(0)];
    const { frames } = read(little.section(), little.interface(), little.enhanced(0, 0n, [9, 9, 9], options));
    expect(frames[0]?.direction).toBe(direction);
    expect(frames[0]?.comment).toBe('ttl 63');
  });

  test('knows simple and obsolete packet blocks, and skips what it does not know', () => {
    const simple = little.block(3, [...little.u32(60), 1, 2, 3, 4]);
    const times = [...little.u32(0), ...little.u32(8), ...little.u32(2), ...little.u32(60)];
    const obsolete = little.block(2, [...little.u16(0), ...little.u16(0), ...times, 7, 8, 0, 0]);
    const statistics = little.block(5, Array(12).fill(0));
    const custom = little.block(0x0bad, Array(8).fill(0xff));
    const { frames, warnings } = read(little.section(), little.interface([], 3), statistics, simple, custom, obsolete);
    expect(frames.map(({ data, originalLength, time }) => [[...data], originalLength, time])).toEqual([
      [[1, 2, 3], 60, 0n],
      [[7, 8], 60, 8000n],
    ]);
    expect(warnings).toEqual(['frame 1 is a simple packet block: it has no time']);
  });

  test('keeps the length on the wire of a frame that the snap length cut', () => {
    const { frames } = read(little.section(), little.interface([], 2), little.enhanced(0, 0n, [1, 2], [], 1514));
    expect(frames[0]).toMatchObject({ originalLength: 1514, data: Uint8Array.of(1, 2) });
  });

  test('leaves out a packet of an interface that nobody described, and goes on', () => {
    const { frames, warnings, truncated } = read(
      little.section(),
      little.interface(),
      little.enhanced(3, 0n, [1]),
      little.enhanced(0, 0n, [2]),
    );
    expect(frames.map(({ data }) => [...data])).toEqual([[2]]);
    expect(warnings.join()).toMatch(/interface 3/);
    expect(truncated).toBe(false);
  });

  test('leaves out a packet that claims more bytes than its block has', () => {
    const bytes = little.enhanced(0, 0n, [1, 2, 3, 4]);
    bytes.splice(8 + 12, 4, ...little.u32(400));
    const { frames, warnings } = read(little.section(), little.interface(), bytes, little.enhanced(0, 0n, [2]));
    expect(frames).toHaveLength(1);
    expect(warnings.join()).toMatch(/400 bytes do not fit/);
  });

  test('cut short is read up to the cut', () => {
    const parts = [little.section(), little.interface(), little.enhanced(0, 0n, [1]), little.enhanced(0, 0n, [2])];
    const bytes = Uint8Array.from(parts.flat());
    for (let length = 28 + 20; length < bytes.length; length += 1) {
      const { frames, truncated } = readCapture(bytes.subarray(0, length));
      const whole = length >= 28 + 20 + 36 ? 1 : 0;
      expect([length, frames.length]).toEqual([length, whole]);
      expect(truncated).toBe(length !== 28 + 20 && length !== 28 + 20 + 36);
    }
  });

  test('is written byte for byte as the format says', () => {
    expect(Buffer.from(pcapngHeader([{ name: 'a/b/lo' }])).toString('hex')).toBe(
      '0a0d0d0a' +
        '30000000' +
        '4d3c2b1a' +
        '01000000' +
        'ffffffffffffffff' +
        '04000900' +
        '737761726d7769726500' +
        '0000' +
        '00000000' +
        '30000000' +
        '01000000' +
        '2c000000' +
        '01000000' +
        '00000000' +
        '02000600' +
        '612f622f6c6f0000' +
        '09000100' +
        '09000000' +
        '00000000' +
        '2c000000',
    );
    const block = enhancedPacketBlock({
      interface: 1,
      time: 0x1_0000_0002n,
      data: Uint8Array.of(1, 2, 3),
      direction: 'transmitted',
    });
    expect(Buffer.from(block).toString('hex')).toBe(
      '06000000' +
        '30000000' +
        '01000000' +
        '01000000' +
        '02000000' +
        '03000000' +
        '03000000' +
        '01020300' +
        '02000400' +
        '02000000' +
        '00000000' +
        '30000000',
    );
  });

  test('gives back what was written', () => {
    const tap = fc.record({ name: fc.string({ minLength: 1 }) });
    const frame = fc.record({
      interface: fc.nat(),
      time: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      data: fc.uint8Array({ maxLength: 100 }),
      direction: fc.constantFrom('received' as const, 'transmitted' as const, undefined),
      comment: fc.option(fc.string({ unit: 'grapheme', minLength: 1 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(tap, { minLength: 1, maxLength: 4 }), fc.array(frame, { maxLength: 8 }), (taps, drawn) => {
        const written = drawn.map(({ direction, comment, ...rest }) => ({
          ...rest,
          interface: rest.interface % taps.length,
          ...(direction === undefined ? {} : { direction }),
          ...(comment === undefined ? {} : { comment }),
        }));
        const bytes = Buffer.concat([pcapngHeader(taps), ...written.map(enhancedPacketBlock)]);
        const { interfaces, frames, warnings, truncated } = readCapture(new Uint8Array(bytes));
        expect([warnings, truncated]).toEqual([[], false]);
        expect(interfaces.map(({ name }) => name)).toEqual(taps.map(({ name }) => name));
        expect(frames).toEqual(written.map((each) => ({ ...each, originalLength: each.data.length })));
      }),
    );
  });

  test('cuts a comment that is too long for its option at a whole character', () => {
    const bytes = Buffer.concat([
      pcapngHeader([{ name: 'x' }]),
      enhancedPacketBlock({ interface: 0, time: 0n, data: new Uint8Array(1), comment: `x${'é'.repeat(40_000)}` }),
    ]);
    expect(readCapture(bytes).frames[0]?.comment).toBe(`x${'é'.repeat(32_767)}`);
  });

  test('has room for an MTU only in the description', () => {
    const { interfaces } = readCapture(
      pcapngHeader([{ name: 'eth0', mtu: 1450, description: 'a task' }, { name: 'lo' }]),
    );
    expect(interfaces.map(({ description }) => description)).toEqual(['a task, MTU 1450', undefined]);
  });
});
