/** ESP (RFC 4303) with the IV and ICV of RFC 4106. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nobleCipher } from '../../src/crypto/noble.js';
import { headers, placed } from '../engine/loaded.js';
import { concat, hex } from '../engine/packets.js';
import { ESP_FRAMES } from '../engine/recorded-esp.js';

const engine = await headers();

it('begins with SPI and sequence number, then the IV, all in network byte order', () => {
  const at = engine.poisoned(18);
  engine.espEmit(at, 0xcc81c27a, 0x01020304, 0x0807060504030201n);
  expect(engine.get(at, 18)).toEqual(hex('7ac281cc 01020304 0102030405060708 a5a5'));
  expect(engine.espSpi(at) >>> 0).toBe(0xcc81c27a);
  expect(engine.espSequence(at)).toBe(0x01020304);
});

it('pads any payload with 1, 2, 3 to a multiple of four, and writes nothing behind the trailer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1500 }), fc.integer({ min: 0, max: 255 }), (payload, next) => {
      const at = engine.poisoned(payload.length + 8);
      engine.put(at, payload);
      const pad = engine.espPadding(payload.length);
      expect(pad).toBeLessThan(4);
      const length = engine.espClose(at, payload.length, next);
      expect(length).toBe(payload.length + pad + 2);
      expect(length % 4).toBe(0);
      const padding = Uint8Array.from({ length: pad }, (_, i) => i + 1);
      expect(engine.get(at, length + 2)).toEqual(concat(payload, padding, Uint8Array.of(pad, next, 0xa5, 0xa5)));
      expect(engine.espPadLength(at, length)).toBe(pad);
      expect(engine.espNextHeader(at, length)).toBe(next);
    }),
  );
});

it('is laid out as in every recorded frame, once that is opened', () => {
  expect(ESP_FRAMES).toHaveLength(88);
  for (const { esp, key, spi, sequence } of ESP_FRAMES) {
    const plain = esp.slice(16, -8);
    const nonce = concat(key.subarray(16), esp.subarray(8, 16));
    expect(nobleCipher(key.subarray(0, 16)).open(nonce, esp.subarray(0, 8), plain, esp.subarray(-8))).toBe(true);
    const pad = plain.at(-2) ?? 0;
    const payload = plain.subarray(0, plain.length - 2 - pad);
    const at = engine.poisoned(esp.length);
    const swapped = new DataView(esp.buffer, esp.byteOffset);
    engine.espEmit(at, swapped.getUint32(0, true), sequence, swapped.getBigUint64(8, true));
    engine.put(at + 16, payload);
    expect(engine.espClose(at + 16, payload.length, 17)).toBe(plain.length);
    expect(engine.get(at, 16)).toEqual(esp.slice(0, 16));
    expect(engine.get(at + 16, plain.length)).toEqual(plain);
    expect(engine.espSequence(placed(engine, esp))).toBe(sequence);
    expect(spi).toBe(swapped.getUint32(0));
  }
});
