import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { readCapture } from '../../src/capture/read.js';

/** A file of one frame (aa bb cc of 60 on the wire) at 1 s and 500 ticks, written out by hand from the format's description. */
function file(littleEndian: boolean, magic: number, linkType = 1): Uint8Array {
  const bytes = new Uint8Array(24 + 16 + 3);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, littleEndian);
  view.setUint16(4, 2, littleEndian);
  view.setUint16(6, 4, littleEndian);
  view.setUint32(16, 3, littleEndian);
  view.setUint32(20, linkType, littleEndian);
  view.setUint32(24, 1, littleEndian);
  view.setUint32(28, 500, littleEndian);
  view.setUint32(32, 3, littleEndian);
  view.setUint32(36, 60, littleEndian);
  bytes.set([0xaa, 0xbb, 0xcc], 40);
  return bytes;
}

describe('pcap', () => {
  test.each([
    ['little endian, microseconds', true, 0xa1b2c3d4, 1_000_500_000n],
    ['big endian, microseconds', false, 0xa1b2c3d4, 1_000_500_000n],
    ['little endian, nanoseconds', true, 0xa1b23c4d, 1_000_000_500n],
    ['big endian, nanoseconds', false, 0xa1b23c4d, 1_000_000_500n],
  ])('%s', (_, littleEndian, magic, time) => {
    const { frames, interfaces, warnings } = readCapture(file(littleEndian, magic));
    expect(warnings).toEqual([]);
    expect(interfaces[0]).toMatchObject({ linkType: 1, snapLength: 3 });
    expect(frames).toEqual([{ time, interface: 0, data: Uint8Array.of(0xaa, 0xbb, 0xcc), originalLength: 60 }]);
  });

  test('has a link type of sixteen bits; above them stands the length of the frame check sequence', () => {
    expect(readCapture(file(true, 0xa1b2c3d4, 0x5400_0071)).interfaces[0]?.linkType).toBe(0x71);
  });

  test('reads a file that does not start at the start of its buffer', () => {
    const padded = new Uint8Array(100);
    padded.set(file(true, 0xa1b23c4d), 7);
    expect(readCapture(padded.subarray(7, 7 + 43)).frames).toHaveLength(1);
  });

  test('says when a record claims to hold more than there was', () => {
    const bytes = file(true, 0xa1b23c4d);
    new DataView(bytes.buffer).setUint32(36, 2, true);
    expect(readCapture(bytes).warnings).toEqual(['frame 1 claims 3 bytes kept of 2']);
  });

  test('is written byte for byte as the format says', () => {
    expect(Buffer.from(pcapHeader()).toString('hex')).toBe('4d3cb2a1020004000000000000000000' + '0000040001000000');
    expect(Buffer.from(pcapRecord({ time: 3_000_000_007n, data: Uint8Array.of(1, 2) })).toString('hex')).toBe(
      '03000000' + '07000000' + '02000000' + '02000000' + '0102',
    );
  });

  test('gives back what was written', () => {
    const frame = fc.record({
      time: fc.bigInt({ min: 0n, max: (1n << 32n) * 1_000_000_000n - 1n }),
      data: fc.uint8Array({ maxLength: 200 }),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), (written) => {
        const { frames, warnings, truncated } = readCapture(
          new Uint8Array(Buffer.concat([pcapHeader(), ...written.map(pcapRecord)])),
        );
        expect([warnings, truncated]).toEqual([[], false]);
        expect(frames.map(({ time, data }) => ({ time, data: [...data] }))).toEqual(
          written.map(({ time, data }) => ({ time, data: [...data] })),
        );
      }),
    );
  });
});
