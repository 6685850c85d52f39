/** A header's fields, as a table has them: name, offset, size in bytes, and how it is written. */

import { u16, u32 } from './layers.js';
import { hexNumber } from './notation.js';

export type Show = (bytes: Uint8Array, at: number) => string;
export type Shape = readonly [name: string, at: number, size: number, show: Show];

/** A field where it was found; without a value its bytes are compared themselves. */
export interface Found {
  name: string;
  start: number;
  end: number;
  value: string | undefined;
}

export const number8: Show = (bytes, at) => String(bytes[at] ?? 0);
export const number16: Show = (bytes, at) => String(u16(bytes, at));
export const number24: Show = (bytes, at) => String(u32(bytes, at) >>> 8);
export const number32: Show = (bytes, at) => String(u32(bytes, at));
export const hex8: Show = (bytes, at) => hexNumber(bytes[at] ?? 0, 2);
export const hex16: Show = (bytes, at) => hexNumber(u16(bytes, at), 4);
export const hex32: Show = (bytes, at) => hexNumber(u32(bytes, at), 8);

/** The fields of a table whose header begins at `start`. */
export function* taken(shapes: readonly Shape[], bytes: Uint8Array, start: number): Generator<Found> {
  for (const [name, at, size, show] of shapes)
    yield { name, start: start + at, end: start + at + size, value: show(bytes, start + at) };
}

/** Bytes as they are. */
export function* raw(name: string, start: number, end: number): Generator<Found> {
  if (end > start) yield { name, start, end, value: undefined };
}
