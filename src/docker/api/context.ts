/** What every route is given: the world, and the node whose engine is asked. */

import type { Context, Hono } from 'hono';
import type * as v from 'valibot';
import type { World } from '../world.js';
import { readJson } from './body.js';
import { ApiError, LARGEST_BODY, tooLarge } from './errors.js';

export interface Env {
  Bindings: { incoming: import('node:http').IncomingMessage; outgoing: import('node:http').ServerResponse };
}
export type App = Hono<Env>;
export type Request = Context<Env>;

export interface Engine {
  world: World;
  /** Its name. */
  node: string;
}

/** A request's body, and no more of it than anybody sends. @throws ApiError */
export async function bodyOf(c: Request): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of c.req.raw.body ?? []) {
      length += piece.length;
      if (length > LARGEST_BODY) break;
      pieces.push(piece);
    }
  } catch {
    // The client has left in the middle of it.
    throw new ApiError(400, 'unexpected EOF');
  }
  if (length > LARGEST_BODY) throw tooLarge();
  return Buffer.concat(pieces);
}

/** A body that is JSON and says so. @throws ApiError */
export async function jsonOf<T extends v.GenericSchema>(c: Request, schema: T): Promise<v.InferOutput<T>> {
  const body = await bodyOf(c);
  const type = c.req.header('content-type') ?? '';
  if (body.length > 0 && !/^application\/json *(?:;|$)/i.test(type))
    throw new ApiError(400, `unsupported Content-Type header (${type}): must be 'application/json'`);
  return readJson(body, schema);
}

export function flag(text: string | undefined): boolean {
  return text !== undefined && text !== '' && text !== '0' && text.toLowerCase() !== 'false';
}

/** Seconds since 1970, with a fraction perhaps, or a date. */
export function moment(text: string | undefined): bigint | undefined {
  if (text === undefined || text === '' || text === '0') return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) {
    const [seconds = '0', fraction = ''] = text.split('.');
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
  }
  const date = Date.parse(text);
  if (Number.isNaN(date)) throw new ApiError(400, `strconv.ParseInt: parsing "${text}": invalid syntax`);
  return BigInt(date) * 1_000_000n;
}

/** Go's RFC 3339 with nanoseconds; `0001-01-01T00:00:00Z` is never. */
export function timeText(nanoseconds: bigint | undefined): string {
  if (nanoseconds === undefined) return '0001-01-01T00:00:00Z';
  const seconds = new Date(Number(nanoseconds / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}Z`;
}

export function required(c: Request, name: string): string {
  const value = c.req.param(name as never) as string | undefined;
  if (value === undefined || value === '') throw new ApiError(400, `${name} is missing`);
  return decodeURIComponent(value);
}

/** Only a manager answers for the swarm. */
export function manager({ world, node }: Engine): void {
  const state = world.cluster.node(node);
  if (!state.member)
    throw new ApiError(
      503,
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  if (state.role !== 'manager')
    throw new ApiError(
      503,
      "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
    );
}
