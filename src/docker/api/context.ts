/** What every route is given: the world, and the node whose engine is asked. */

import type { Context, Hono } from 'hono';
import type { World } from '../world.js';
import { ApiError } from './errors.js';

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

export async function bodyOf(c: Request): Promise<Uint8Array> {
  return new Uint8Array(await c.req.arrayBuffer());
}

export function flag(text: string | undefined): boolean {
  return text !== undefined && text !== '' && text !== '0' && text.toLowerCase() !== 'false';
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
