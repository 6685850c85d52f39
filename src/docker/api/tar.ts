/** Archives as tar(5) has them (ustar), as far as `docker cp` needs them: regular files and directories. */

import { joined } from '../../bytes.js';

const BLOCK = 512;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface Entry {
  name: string;
  directory: boolean;
  data: Uint8Array;
}

export function packed(entries: readonly Entry[], seconds: number): Uint8Array<ArrayBuffer> {
  const blocks: Uint8Array[] = [];
  for (const { name, directory, data } of entries) {
    blocks.push(header(directory ? `${name}/` : name, directory, data.length, seconds), data);
    const rest = data.length % BLOCK;
    if (rest > 0) blocks.push(new Uint8Array(BLOCK - rest));
  }
  blocks.push(new Uint8Array(2 * BLOCK));
  return joined(blocks);
}

function header(name: string, directory: boolean, size: number, seconds: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => block.set(encoder.encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  put(name.slice(0, 100), 0);
  put(directory ? '0000755' : '0000644', 100);
  put('0000000', 108);
  put('0000000', 116);
  put(octal(size, 11), 124);
  put(octal(seconds, 11), 136);
  put('        ', 148);
  put(directory ? '5' : '0', 156);
  put('ustar\u000000', 257);
  put('root', 265);
  put('root', 297);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${octal(sum, 6)}\u0000 `, 148);
  return block;
}

/** Links and devices are left out. Undefined: it is no archive. */
export function unpacked(archive: Uint8Array): Entry[] | undefined {
  const entries: Entry[] = [];
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const block = archive.subarray(at, at + BLOCK);
    if (block.every((byte) => byte === 0)) return entries;
    const text = (from: number, length: number) =>
      decoder.decode(block.subarray(from, from + length)).replace(/\0.*$/s, '');
    const stored = Number.parseInt(text(148, 8).trim(), 8);
    const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
    const size = Number.parseInt(text(124, 12).trim() || '0', 8);
    if (stored !== sum || !(size >= 0) || at + BLOCK + size > archive.length) return undefined;
    const data = archive.slice(at + BLOCK, at + BLOCK + size);
    const kind = String.fromCharCode(block[156] ?? 0);
    const prefix = text(345, 155);
    const name = longName ?? (prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`);
    longName = undefined;
    if (kind === 'L') longName = decoder.decode(data).replace(/\0.*$/s, '');
    else if (kind === 'x') longName = /\d+ path=([^\n]*)\n/.exec(decoder.decode(data))?.[1];
    else if (kind === '0' || kind === '\0' || kind === '5')
      entries.push({ name: name.replace(/\/$/, ''), directory: kind === '5', data });
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return archive.length === 0 ? [] : undefined;
}
