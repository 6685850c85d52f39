/** Payloads that nobody can read: encrypted in a real swarm, drawn from the seed here. */

import type { Draw } from '../topology/draw.js';

/** `size` bytes, the first of them given. */
export function opaque(draw: Draw, size: number, head: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 4) {
    const word = draw.next();
    for (let i = 0; i < 4 && at + i < size; i++) bytes[at + i] = word >>> (8 * i);
  }
  bytes.set(head);
  return bytes;
}

/** A TLS record with application data (RFC 8446 5.1), `size` bytes with its header. */
export function tlsRecord(draw: Draw, size: number): Uint8Array {
  const inside = size - 5;
  return opaque(draw, size, [23, 3, 3, inside >>> 8, inside & 255]);
}
