/** An Engine API for each node: Hono's routes over Node's HTTP server, and connections that are taken over (hijack.ts). */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { DriverError } from '../drivers/index.js';
import { DockerError } from '../swarm/errors.js';
import { archiveRoutes } from './api/archive.js';
import { configRoutes } from './api/configs.js';
import { containerRoutes } from './api/containers.js';
import type { Engine, Env } from './api/context.js';
import { ApiError, answerTo, LARGEST_BODY, tooLarge } from './api/errors.js';
import { eventRoutes } from './api/events.js';
import { imageRoutes } from './api/images.js';
import { networkRoutes } from './api/networks.js';
import { refusedRoutes } from './api/refused.js';
import { serviceRoutes } from './api/services.js';
import { statsRoutes } from './api/stats.js';
import { swarmRoutes } from './api/swarm.js';
import { systemRoutes } from './api/system.js';
import { taskRoutes } from './api/tasks.js';
import { volumeRoutes } from './api/volumes.js';
import { captureRoutes } from './capture-routes.js';
import { hijack, hijackOf, runExec } from './hijack.js';
import { API_VERSIONS, MAX_API_VERSION, MIN_API_VERSION, RELEASES } from './version.js';
import type { World } from './world.js';

export interface Listening {
  node: string;
  /** `tcp://127.0.0.1:2375`, `unix:///tmp/node1.sock` */
  url: string;
  server: Server;
}

/** Where a node's engine listens. */
export type Place = { host: string; port: number } | { socket: string };

export function routesOf(engine: Engine): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    engine.world.catchUp();
    await next();
    c.header('Server', `Docker/${RELEASES[engine.world.topology.engine]} (linux)`);
    c.header('Api-Version', API_VERSIONS[engine.world.topology.engine]);
    c.header('Docker-Experimental', 'false');
    c.header('Ostype', 'linux');
  });
  systemRoutes(app, engine);
  eventRoutes(app, engine);
  imageRoutes(app, engine);
  containerRoutes(app, engine);
  networkRoutes(app, engine);
  swarmRoutes(app, engine);
  archiveRoutes(app, engine);
  statsRoutes(app, engine);
  serviceRoutes(app, engine);
  taskRoutes(app, engine);
  configRoutes(app, engine);
  volumeRoutes(app, engine);
  refusedRoutes(app, engine);
  captureRoutes(app, engine);
  app.notFound((c) => c.json({ message: 'page not found' }, 404));
  app.onError((error, c) => {
    const { status, message } = answerTo(error);
    const known = error instanceof ApiError || error instanceof DockerError || error instanceof DriverError;
    if (status === 500 && !known) process.stderr.write(`swarmwire serve: ${error.stack ?? message}\n`);
    return c.json({ message }, status as 500);
  });
  return app;
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(JSON.stringify({ message }));
}

/** `/v1.41/info` → `/info`. @throws ApiError for a version that is not spoken */
function withoutVersion(url: string): string {
  const [, version, rest] = /^\/v(\d+\.\d+)(\/.*)$/.exec(url) ?? [];
  if (version === undefined || rest === undefined) return url;
  checkVersion(version);
  return rest;
}

function checkVersion(version: string): void {
  if (compare(version, MAX_API_VERSION) > 0)
    throw new ApiError(
      400,
      `client version ${version} is too new. Maximum supported API version is ${MAX_API_VERSION}`,
    );
  if (compare(version, MIN_API_VERSION) < 0)
    throw new ApiError(
      400,
      `client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`,
    );
}

function compare(a: string, b: string): number {
  const [[major = 0, minor = 0], [otherMajor = 0, otherMinor = 0]] = [a, b].map((one) =>
    one.split('.').map(Number),
  ) as [number[], number[]];
  return major - otherMajor || minor - otherMinor;
}

export async function listen(world: World, node: string, place: Place): Promise<Listening> {
  const engine: Engine = { world, node };
  const app = routesOf(engine);
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer({ maxHeaderSize: 64 << 10 }, (request, response) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > LARGEST_BODY) {
      refuse(response, 413, tooLarge().message);
      request.destroy();
      return;
    }
    try {
      request.url = withoutVersion(request.url ?? '/');
    } catch (error) {
      const { status, message } = answerTo(error);
      refuse(response, status, message);
      return;
    }
    const path = request.url.split('?')[0] ?? '/';
    if (!hijackOf(request.method, path)) {
      void answer(request, response);
      return;
    }
    // Taken over without being asked by an `Upgrade`: what is typed afterwards is no HTTP, so nothing can be.
    const taken = async () => {
      const body = await bodyOf(request);
      const { socket } = response;
      if (!socket) return;
      if (!body) {
        refuse(response, 413, tooLarge().message);
        return;
      }
      response.detachSocket(socket);
      if (isDetached(body)) detached(world, path, socket);
      else hijack(world, node, request, body, socket, new Uint8Array());
    };
    // A client that leaves in the middle of its body has asked for nothing.
    taken().catch(() => request.destroy());
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    void bodyBehind(request, head, socket).then((read) => {
      if (!read) {
        socket.destroy();
        return;
      }
      hijack(world, node, request, read.body, socket, read.rest);
      // Its body may have been waited for, and the connection held since: a listener alone does not set it going again.
      socket.resume();
    });
  });
  // Whatever a client does to its connection is its own affair.
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  server.requestTimeout = 0;
  server.headersTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if ('socket' in place) server.listen(place.socket, resolve);
    else server.listen(place.port, place.host, resolve);
  });
  const address = server.address() as AddressInfo | string;
  const url =
    typeof address === 'string'
      ? `unix://${address}`
      : `tcp://${address.address.includes(':') ? `[${address.address}]` : address.address}:${address.port}`;
  return { node, url, server };
}

/** A request's body; undefined: it is too large. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const pieces: Buffer[] = [];
  let read = 0;
  for await (const piece of request) {
    read += (piece as Buffer).length;
    if (read > LARGEST_BODY) return undefined;
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces);
}

/**
 * The body behind the head of an upgrade, which HTTP no longer reads, and what follows it. `head` is what came with the head: docker
 * 20.10 sends both in one write, docker 28 each in its own. Undefined: it is too large, or does not come whole.
 */
function bodyBehind(
  request: IncomingMessage,
  head: Uint8Array,
  socket: Duplex,
): Promise<{ body: Uint8Array; rest: Uint8Array } | undefined> {
  const length = Number(request.headers['content-length'] ?? 0);
  return new Promise((resolve) => {
    if (length > LARGEST_BODY) return resolve(undefined);
    let whole = Buffer.from(head);
    const over = () => {
      socket.pause();
      socket.off('data', take).off('end', over).off('close', over);
      resolve(whole.length < length ? undefined : { body: whole.subarray(0, length), rest: whole.subarray(length) });
    };
    const take = (piece: Buffer) => {
      whole = Buffer.concat([whole, piece]);
      if (whole.length >= length) over();
    };
    socket.on('end', over).on('close', over);
    if (whole.length < length) socket.on('data', take);
    else over();
  });
}

function isDetached(body: Uint8Array): boolean {
  try {
    return (JSON.parse(new TextDecoder().decode(body)) as { Detach?: unknown }).Detach === true;
  } catch {
    return false;
  }
}

/** `docker exec -d`: nobody looks on. */
function detached(world: World, path: string, socket: Duplex): void {
  const id = /exec\/([^/]+)\/start$/.exec(path)?.[1] ?? '';
  const exec = world.execs.get(id);
  let status = 200;
  let message = '';
  try {
    if (!exec) throw new ApiError(404, `No such exec instance: ${id}`);
    runExec(world, exec);
  } catch (error) {
    ({ status, message } = answerTo(error));
  }
  const text = message === '' ? '' : JSON.stringify({ message });
  socket.end(
    `HTTP/1.1 ${status} ${status === 200 ? 'OK' : 'Not Found'}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  );
}
