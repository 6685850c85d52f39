import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { enhancedPacketBlock, pcapngHeader } from '../../src/capture/pcapng.js';
import { CaptureError, readCapture } from '../../src/capture/read.js';

const ORACLE = new URL('../oracle/S6-ingress/', import.meta.url);
const real = readFileSync(new URL('node1.host.eth0.pcap', ORACLE));

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

describe('a capture', () => {
  test('of a real node has the frames, times and lengths that capinfos and tshark show', () => {
    const capture = readCapture(real);
    expect(capture.warnings).toEqual([]);
    expect(capture.truncated).toBe(false);
    expect(capture.interfaces).toEqual([{ linkType: 1, snapLength: 262_144, resolution: 1_000_000_000n }]);
    expect(capture.frames).toHaveLength(187);
    // 2026-11-21 08:33:43.412103140 UTC
    expect(capture.frames[0]?.time).toBe(1_795_250_023_412_103_140n);
    expect(capture.frames.reduce((sum, { data }) => sum + data.length, 0)).toBe(real.length - 24 - 187 * 16);
  });

  test.each([
    ['nothing at all', new Uint8Array()],
    ['text', new TextEncoder().encode('hello, world')],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0)],
    ['a pcap magic without a header', Uint8Array.of(0x4d, 0x3c, 0xb2, 0xa1, 2, 0)],
    [
      'a section header type without its magic',
      Uint8Array.of(0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ],
  ])('is refused with a reason: %s', (_, bytes) => {
    expect(() => readCapture(bytes)).toThrow(CaptureError);
  });

  test('that is compressed says so', () => {
    expect(() => readCapture(Uint8Array.of(0x1f, 0x8b, 8, 0))).toThrow(/gzip/);
  });

  test('cut anywhere is read up to the cut', () => {
    const whole = readCapture(real).frames;
    for (const length of [24, 25, 39, 40, 41, 5000, real.length - 1]) {
      const { frames, truncated, warnings } = readCapture(real.subarray(0, length));
      expect(truncated).toBe(length !== 24);
      if (truncated) expect(warnings.join()).toMatch(/cut short at byte/);
      expect(frames).toEqual(whole.slice(0, frames.length));
      expect(frames.length).toBeLessThan(whole.length);
    }
  });

  test('never throws anything but CaptureError, whatever was changed, cut or added', () => {
    const ng = joined(
      pcapngHeader([{ name: 'node1/host/eth0' }, { name: 'client/eth0', description: 'outside' }]),
      ...[1, 2, 3].map((value) =>
        enhancedPacketBlock({
          interface: value % 2,
          time: BigInt(value),
          data: new Uint8Array(value * 21),
          direction: 'received',
          comment: 'a comment',
        }),
      ),
    );
    const small = joined(
      pcapHeader(),
      ...[60, 1, 0].map((length) => pcapRecord({ time: 7n, data: new Uint8Array(length) })),
    );
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(
        fc.constantFrom(ng, small),
        fc.array(change, { maxLength: 12 }),
        fc.nat(),
        fc.uint8Array({ maxLength: 40 }),
        (original, changes, cut, tail) => {
          const bytes = joined(original.subarray(0, original.length - (cut % original.length)), tail);
          for (const { at, value } of changes) bytes[at % bytes.length] = value;
          try {
            const capture = readCapture(bytes);
            for (const frame of capture.frames) expect(capture.interfaces[frame.interface]).toBeDefined();
            expect(capture.warnings.length).toBeLessThanOrEqual(21);
          } catch (error) {
            expect(error).toBeInstanceOf(CaptureError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('of noise never throws anything but CaptureError', () => {
    const starts = [[], [0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d], [0x0a, 0x0d, 0x0d, 0x0a]];
    fc.assert(
      fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), (start, noise) => {
        try {
          readCapture(Uint8Array.of(...start, ...noise));
        } catch (error) {
          expect(error).toBeInstanceOf(CaptureError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
