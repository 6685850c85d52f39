/** A request's JSON, checked: wrong types are answered as Go's decoder words them, and harm nothing. */

import * as v from 'valibot';
import { ApiError } from './errors.js';

export function readJson<T extends v.GenericSchema>(bytes: Uint8Array, schema: T): v.InferOutput<T> {
  const text = new TextDecoder().decode(bytes).trim();
  let value: unknown;
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `invalid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (Array.isArray(value))
    throw new ApiError(400, 'invalid JSON: json: cannot unmarshal array into field of the request: expected an object');
  // Go's clients write null for what is empty.
  const result = v.safeParse(schema, withoutNulls(value));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = issue.path?.map(({ key }: { key: unknown }) => String(key)).join('.') ?? '';
  throw new ApiError(
    400,
    `invalid JSON: json: cannot unmarshal ${kindOf(issue.input)} into field ${place || 'of the request'}: ${issue.message}`,
  );
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => one !== null).map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => (one === null ? [] : [[key, withoutNulls(one)]])),
  );
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

/** `filters={"name":["web"]}`, or, from old clients, `{"name":{"web":true}}`. */
export function readFilters(text: string | undefined): Map<string, string[]> {
  if (text === undefined || text === '') return new Map();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError(400, 'invalid filter');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ApiError(400, 'invalid filter');
  return new Map(
    Object.entries(value).map(([key, one]): [string, string[]] => {
      if (Array.isArray(one)) return [key, one.map(String)];
      if (typeof one === 'object' && one !== null)
        return [key, Object.keys(one).filter((name) => (one as Record<string, unknown>)[name])];
      throw new ApiError(400, 'invalid filter');
    }),
  );
}

/** `label=a`, `label=a=b` */
export function hasLabels(labels: Readonly<Record<string, string>>, wanted: readonly string[]): boolean {
  return wanted.every((one) => {
    const at = one.indexOf('=');
    return at < 0 ? Object.hasOwn(labels, one) : labels[one.slice(0, at)] === one.slice(at + 1);
  });
}

export function refuseUnknown(filters: ReadonlyMap<string, string[]>, known: readonly string[]): void {
  for (const key of filters.keys()) if (!known.includes(key)) throw new ApiError(400, `invalid filter '${key}'`);
}

/** What a filter says of names is a regular expression; what is none is looked for as it stands. */
export function expression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return new RegExp(text.replaceAll(/[.*+?()[\]{}|\\]/g, '\\$&'));
  }
}

/** One of a filter's few values. @throws ApiError */
export function oneOf(filters: ReadonlyMap<string, string[]>, key: string, known: readonly string[]): void {
  for (const value of filters.get(key) ?? [])
    if (!known.includes(value)) throw new ApiError(400, `invalid filter '${key}=${value}'`);
}

/** As Go reads a number. @throws ApiError */
export function wholeNumber(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new ApiError(400, `strconv.Atoi: parsing "${text}": invalid syntax`);
  return Number(text);
}

export const strings = v.optional(v.array(v.string()), []);
export const labels = v.optional(v.record(v.string(), v.string()), {});
/** A command is a list, or, from some clients, one string. */
export const words = v.optional(
  v.union([
    v.array(v.string()),
    v.pipe(
      v.string(),
      v.transform((text) => [text]),
    ),
  ]),
);
