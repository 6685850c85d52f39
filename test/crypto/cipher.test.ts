/** AES-GCM with a tag of 8 bytes, by Node's own crypto and by @noble/ciphers: the same bytes from both. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cipherFor } from '../../src/crypto/gcm.js';
import { nodeCipher } from '../../src/crypto/index.js';
import { nobleCipher } from '../../src/crypto/noble.js';
import { concat, hex } from '../engine/packets.js';
import { ESP_FRAMES } from '../engine/recorded-esp.js';

const node = nodeCipher();
if (!node) throw new Error('this Node has no AES-GCM');
const CIPHERS = [
  ['node:crypto', node],
  ['@noble/ciphers', nobleCipher],
] as const;

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const packet = fc.record({
  key: bytes(16),
  nonce: bytes(12),
  associated: bytes(8),
  data: fc.uint8Array({ maxLength: 1600 }),
});

it('is the same of both', () => {
  fc.assert(
    fc.property(packet, ({ key, nonce, associated, data }) => {
      const [one, other] = CIPHERS.map(([, make]) => {
        const sealed = data.slice();
        const icv = new Uint8Array(8);
        make(key).seal(nonce, associated, sealed, icv);
        return concat(sealed, icv);
      });
      expect(one).toEqual(other);
    }),
  );
});

it("is Node's where there is Node", () => {
  const seal = (cipher: ReturnType<typeof cipherFor>) => {
    const data = new Uint8Array(64);
    cipher.seal(new Uint8Array(12), new Uint8Array(8), data, new Uint8Array(8));
    return data;
  };
  expect(seal(cipherFor(new Uint8Array(16)))).toEqual(seal(node(new Uint8Array(16))));
});

describe.each(CIPHERS)('%s', (_, make) => {
  // NIST's GCM test vector 4 (McGrew and Viega, appendix B), its tag cut to 8 bytes.
  it('seals as the published test vector says', () => {
    const data = hex(`d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`);
    const icv = new Uint8Array(8);
    const associated = hex('feedfacedeadbeeffeedfacedeadbeefabaddad2');
    make(hex('feffe9928665731c6d6a8f9467308308')).seal(hex('cafebabefacedbaddecaf888'), associated, data, icv);
    expect(data).toEqual(
      hex(`42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
        21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091`),
    );
    expect(icv).toEqual(hex('5bc94fbc3221a5db'));
  });

  it('opens what it has sealed, where it lies', () => {
    fc.assert(
      fc.property(packet, ({ key, nonce, associated, data }) => {
        const cipher = make(key);
        const sealed = data.slice();
        const icv = new Uint8Array(8);
        cipher.seal(nonce, associated, sealed, icv);
        expect(cipher.open(nonce, associated, sealed, icv)).toBe(true);
        expect(sealed).toEqual(data);
      }),
    );
  });

  it('refuses what has changed in one bit anywhere, and leaves it as it is', () => {
    fc.assert(
      fc.property(packet, fc.nat(), fc.nat(7), ({ key, nonce, associated, data }, where, bit) => {
        const cipher = make(key);
        const sealed = data.slice();
        const icv = new Uint8Array(8);
        cipher.seal(nonce, associated, sealed, icv);
        const parts = [nonce, associated, sealed, icv];
        let at = where % parts.reduce((sum, { length }) => sum + length, 0);
        for (const part of parts) {
          if (at >= 0 && at < part.length) part[at] = (part[at] ?? 0) ^ (1 << bit);
          at -= part.length;
        }
        const before = sealed.slice();
        expect(cipher.open(nonce, associated, sealed, icv)).toBe(false);
        expect(sealed).toEqual(before);
      }),
    );
  });

  it('opens every recorded ESP frame, and sealed again with the same IV it is the same bytes', () => {
    for (const { esp, key } of ESP_FRAMES) {
      const cipher = make(key.subarray(0, 16));
      const nonce = concat(key.subarray(16), esp.subarray(8, 16));
      const data = esp.slice(16, -8);
      expect(cipher.open(nonce, esp.subarray(0, 8), data, esp.subarray(-8))).toBe(true);
      expect(data.at(-1)).toBe(17);
      const icv = new Uint8Array(8);
      cipher.seal(nonce, esp.subarray(0, 8), data, icv);
      expect(concat(data, icv)).toEqual(esp.slice(16));
    }
  });
});
