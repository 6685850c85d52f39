/** Bytes that the system writes while their maker goes on: all of them, in order, and what is refused is said. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { PIECE, WriteBehind, WriteThrough } from '../../src/capture/write-behind.js';

const folder = mkdtempSync(join(tmpdir(), 'swarmwire-write-'));
afterAll(() => rmSync(folder, { recursive: true }));

it.each([
  ['in the background', WriteBehind],
  ['at once', WriteThrough],
])('writes pieces of any size in their order, %s', async (_, File) => {
  const path = join(folder, File.name);
  const file = new File(path);
  const pieces = [1, 70_000, 1 << 20, 9_000_001, 0, 17].map((length, index) => new Uint8Array(length).fill(index + 1));
  const scratch = new Uint8Array(9_000_001);
  for (const piece of pieces) {
    // The maker uses its bytes again at once.
    scratch.set(piece);
    file.write(scratch.subarray(0, piece.length));
    scratch.fill(255);
  }
  await file.settle();
  expect(file.waiting).toBe(0);
  file.close();
  expect(Buffer.compare(readFileSync(path), Buffer.concat(pieces))).toBe(0);
});

it('says what the system refuses', async () => {
  const file = new WriteBehind('/dev/full');
  file.write(new Uint8Array(2 << 20));
  await expect(file.settle()).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(() => file.write(new Uint8Array(1))).toThrow('ENOSPC');
  file.close();
});

it('is discarded when the system is done with what it was given, and takes no more', async () => {
  const path = join(folder, 'discarded');
  const file = new WriteBehind(path);
  file.write(new Uint8Array((16 << 20) + 5).fill(7));
  expect(file.waiting).toBe(16 << 20);
  await file.discard();
  expect([file.waiting, readFileSync(path).every((byte) => byte === 7)]).toEqual([0, true]);
  expect(() => file.write(new Uint8Array(1))).toThrow('the file is discarded');
});

it('takes pieces that are lent before its first byte, and gives out no others', async () => {
  const file = new WriteBehind(join(folder, 'lent'));
  expect(() => file.rest).toThrow('nobody has lent pieces to this file');
  const piece = new Uint8Array(PIECE + 10);
  file.borrow([piece]);
  expect(file.rest.buffer === piece.buffer).toBe(true);
  file.write(new Uint8Array(1));
  expect(() => file.borrow([])).toThrow('before its first byte only');
  await file.discard();
});
