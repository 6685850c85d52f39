/** AES-GCM put together from a library's AES and GHASH: the same bytes as a library's whole GCM. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashProducts, nodeBlocks, nodeCipher } from '../../src/crypto/index.js';
import { nobleBlocks, nobleCipher } from '../../src/crypto/noble.js';
import { headers } from '../engine/loaded.js';
import { concat, hex } from '../engine/packets.js';
import { ESP_FRAMES } from '../engine/recorded-esp.js';

const engine = await headers();
const [blocks, whole] = [nodeBlocks(), nodeCipher()];
if (!blocks || !whole) throw new Error('this Node has no AES');

type Work = 'gcmSeal' | 'gcmOpen';

/** The ESP packet `esp` worked on under `key` (16 bytes and the salt's 4); what it has become, and what the engine said. */
function worked(work: Work, key: Uint8Array, esp: Uint8Array, make = blocks): { esp: Uint8Array; right: boolean } {
  const encrypt = (make ?? nobleBlocks)(key.subarray(0, 16));
  engine.put(engine.productsAt(), hashProducts(encrypt));
  engine.takeProducts();
  const length = esp.length - 24;
  const size = engine.gcmStreamLength(length);
  const [at, stream] = [engine.poisoned(esp.length + 16) + 16, engine.streamsAt()];
  engine.put(at, esp);
  const salt = new DataView(key.buffer, key.byteOffset).getUint32(16, true);
  const iv = new DataView(esp.buffer, esp.byteOffset).getBigUint64(8, true);
  engine.gcmCounters(stream, salt, iv, length);
  engine.put(stream, encrypt(engine.get(stream, size)));
  const right = engine[work](at, length, stream) !== 0;
  expect(engine.get(at - 16, 16)).toEqual(new Uint8Array(16).fill(0xa5));
  expect(engine.get(at + esp.length, 16)).toEqual(new Uint8Array(16).fill(0xa5));
  return { esp: engine.get(at, esp.length), right };
}

/** The same by a library's whole GCM. */
function sealedBy(make: typeof nobleCipher, key: Uint8Array, esp: Uint8Array): Uint8Array {
  const sealed = Uint8Array.from(esp);
  const nonce = concat(key.subarray(16), esp.subarray(8, 16));
  make(key.subarray(0, 16)).seal(nonce, sealed.subarray(0, 8), sealed.subarray(16, -8), sealed.subarray(-8));
  return sealed;
}

const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const packet = fc.record({ key: bytes(20), esp: bytes(24, 1624) });

it('seals any packet as a whole GCM does, whoever makes the blocks', () => {
  fc.assert(
    fc.property(packet, fc.boolean(), ({ key, esp }, own) => {
      expect(worked('gcmSeal', key, esp, own ? blocks : nobleBlocks).esp).toEqual(sealedBy(whole, key, esp));
    }),
  );
});

it.each(Array.from({ length: 50 }, (_, length) => length))(
  'seals %i bytes as a whole GCM does, and opens them',
  (length) => {
    const key = Uint8Array.from({ length: 20 }, (_, i) => i * 11);
    const esp = Uint8Array.from({ length: 24 + length }, (_, i) => i * 7);
    const { esp: sealed } = worked('gcmSeal', key, esp);
    expect(sealed).toEqual(sealedBy(nobleCipher, key, esp));
    const opened = worked('gcmOpen', key, sealed);
    expect(opened.right).toBe(true);
    expect(opened.esp).toEqual(concat(esp.subarray(0, -8), sealed.subarray(-8)));
  },
);

it('opens the longest packet', () => {
  const key = new Uint8Array(20).fill(3);
  const esp = new Uint8Array(65_515).map((_, i) => i);
  const sealed = sealedBy(whole, key, esp);
  expect(worked('gcmOpen', key, sealed)).toEqual({
    esp: concat(esp.subarray(0, -8), sealed.subarray(-8)),
    right: true,
  });
});

it('refuses what has changed in one bit anywhere, and leaves it as it is', () => {
  fc.assert(
    fc.property(packet, fc.nat(), fc.nat(7), ({ key, esp }, where, bit) => {
      const sealed = sealedBy(whole, key, esp);
      const at = where % sealed.length;
      sealed[at] = (sealed[at] ?? 0) ^ (1 << bit);
      expect(worked('gcmOpen', key, sealed)).toEqual({ esp: sealed, right: false });
    }),
  );
});

it('opens every recorded ESP frame, and sealed again with the same IV it is the same bytes', () => {
  for (const { esp, key } of ESP_FRAMES) {
    const { esp: opened, right } = worked('gcmOpen', key, esp);
    expect(right).toBe(true);
    expect(opened.at(-9)).toBe(17);
    expect(worked('gcmSeal', key, concat(opened.subarray(0, -8), new Uint8Array(8))).esp).toEqual(Uint8Array.from(esp));
  }
});

// McGrew and Viega, The Galois/Counter Mode of Operation, appendix B.
describe('what is published of GCM', () => {
  it('encrypts as in test case 4', () => {
    const plain = hex(`d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`);
    const key = hex('feffe9928665731c6d6a8f9467308308 cafebabe');
    const esp = concat(hex('feedfacedeadbeef facedbaddecaf888'), plain, new Uint8Array(8));
    expect(worked('gcmSeal', key, esp).esp.slice(16, -8)).toEqual(
      hex(`42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
        21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091`),
    );
  });

  it.each([
    ['node:crypto', blocks],
    ['@noble/ciphers', nobleBlocks],
  ])('multiplies as in test case 2, AES by %s', (_, make) => {
    const products = hashProducts(make(new Uint8Array(16)));
    const block = hex('0388dace60b6a392f328c2b971b2fe78');
    const sum = new Uint8Array(16);
    for (let bit = 0; bit < 128; bit++) {
      if (((block[bit >> 3] ?? 0) >> (bit & 7)) & 1)
        for (let i = 0; i < 16; i++) sum[i] = (sum[i] ?? 0) ^ (products[bit * 16 + i] ?? 0);
    }
    expect(sum).toEqual(hex('5e2ec746917062882c85b0685353deb7'));
  });
});
