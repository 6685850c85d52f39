/**
 * Attach and exec: the HTTP connection becomes the container's streams (Engine API, "hijacking"). The client asks for it by
 * `Upgrade: tcp`, or, in older versions, just takes the connection over once the answer's head is there.
 */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import * as v from 'valibot';
import { readJson } from './api/body.js';
import { flag } from './api/context.js';
import { ApiError, answerTo } from './api/errors.js';
import type { Exec } from './exec.js';
import { type ContainerIo, framed, type LogEntry } from './io.js';
import { execOnNode, NODE_EXEC } from './node-exec.js';
import type { World } from './world.js';

/** ms */
const STARTING = 5;
/** Ctrl-P Ctrl-Q */
const DETACH = '\x10\x11';
const START = v.object({ Detach: v.optional(v.boolean(), false), Tty: v.optional(v.boolean(), false) });

/** Routes of requests that hijack; undefined: it is none. */
export function hijackOf(
  method: string | undefined,
  path: string,
): { kind: 'attach' | 'exec' | 'node'; id: string } | undefined {
  if (method !== 'POST') return undefined;
  const [, node] = NODE_EXEC.exec(path) ?? [];
  if (node !== undefined) return { kind: 'node', id: decodeURIComponent(node) };
  const [, kind, id] = /^(?:\/v[\d.]+)?\/(?:containers\/([^/]+)\/attach|exec\/[^/]+\/start)$/.test(path)
    ? (/\/(containers|exec)\/([^/]+)\//.exec(path) ?? [])
    : [];
  return kind && id ? { kind: kind === 'exec' ? 'exec' : 'attach', id: decodeURIComponent(id) } : undefined;
}

/** Answers on `socket`, whose HTTP is over. `body` is the request's. */
export function hijack(
  world: World,
  node: string,
  request: IncomingMessage,
  body: Uint8Array,
  socket: Duplex,
  early: Uint8Array,
): void {
  const url = new URL(request.url ?? '/', 'http://engine');
  const upgrade = /upgrade/i.test(request.headers.connection ?? '');
  const head = upgrade
    ? 'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'
    : 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n';
  socket.on('error', () => socket.destroy());
  try {
    const target = hijackOf(request.method, url.pathname);
    if (!target) throw new ApiError(404, 'page not found');
    if (target.kind === 'attach') attach(world, node, target.id, url.searchParams, socket, head, early);
    else if (target.kind === 'node') execOnNode(world, target.id, body, socket, head, early);
    else startExec(world, target.id, body, socket, head, early);
  } catch (error) {
    const { status, message } = answerTo(error);
    const text = JSON.stringify({ message });
    socket.end(
      `HTTP/1.1 ${status} ${STATUS[status] ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    );
  }
}

const STATUS: Record<number, string> = {
  400: 'Bad Request',
  404: 'Not Found',
  409: 'Conflict',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

function attach(
  world: World,
  node: string,
  name: string,
  query: URLSearchParams,
  socket: Duplex,
  head: string,
  early: Uint8Array,
): void {
  const container = world.cluster.container(name, node);
  const io = world.ioOf(container);
  const asked = (key: string) => flag(query.get(key) ?? undefined);
  const { tty } = world.configOf(container);
  world.tell(container, 'attach');
  socket.write(head);
  const wanted = ({ stream }: LogEntry) => tty || asked(stream);
  if (asked('logs')) for (const entry of io.log) if (wanted(entry)) socket.write(framed(entry, tty));
  if (!asked('stream')) {
    socket.end();
    return;
  }
  if (container.status === 'exited') {
    socket.end();
    return;
  }
  const { openStdin, stdinOnce } = world.configOf(container);
  join(world, io, socket, early, { tty, input: asked('stdin') && openStdin, closes: stdinOnce || !tty, wanted });
}

function startExec(world: World, id: string, body: Uint8Array, socket: Duplex, head: string, early: Uint8Array): void {
  const exec = world.execs.get(id);
  if (!exec) throw new ApiError(404, `No such exec instance: ${id}`);
  if (exec.running || exec.exitCode !== null) throw new ApiError(409, `Error: Exec command ${id} is already running`);
  readJson(body, START);
  socket.write(head);
  const { io, tty } = exec;
  join(world, io, socket, early, { tty, input: exec.openStdin, closes: true, wanted: () => true });
  // A process takes a while to start; clients that read the head through a buffer of their own rely on it.
  exec.running = true;
  setTimeout(() => {
    try {
      runExec(world, exec);
    } catch (error) {
      io.output('stderr').write(`${answerTo(error).message}\n`);
      io.end();
    }
  }, STARTING);
}

/** Starts the command; who looks on is attached by then. */
export function runExec(world: World, exec: Exec): void {
  const { io, container } = exec;
  const computer = world.computerOf(container);
  if (!computer) throw new ApiError(409, `Container ${container.id} is not running`);
  exec.running = true;
  if (!exec.openStdin) io.stdin.end();
  const started = computer.run(exec.argv, {
    stdin: io.stdin,
    stdout: io.output('stdout'),
    stderr: io.output('stderr'),
    environment: { ...world.configOf(container).environment, ...exec.environment },
    terminal: exec.tty,
    directory: exec.directory || '/',
  });
  world.tell(container, `exec_start: ${exec.argv.join(' ')}`, { execID: exec.id });
  const finish = (code: number) => {
    world.tell(container, 'exec_die', { execID: exec.id, exitCode: String(code) });
    exec.running = false;
    exec.exitCode = code;
    io.end();
  };
  if (!started) {
    const what = `OCI runtime exec failed: exec failed: unable to start container process: exec: "${exec.argv[0]}": executable file not found in $PATH: unknown`;
    io.output('stdout').write(`${what}\r\n`);
    finish(126);
    return;
  }
  exec.started = started;
  exec.pid = started.process.pid;
  io.onInterrupt = () => started.interrupt();
  started.task.whenDone(() => finish(started.task.value ?? 0));
}

function join(
  world: World,
  io: ContainerIo,
  socket: Duplex,
  early: Uint8Array,
  {
    tty,
    input,
    closes,
    wanted,
  }: { tty: boolean; input: boolean; closes: boolean; wanted: (entry: LogEntry) => boolean },
): void {
  const still = world.look();
  const stop = io.watch({
    onOutput: (entry) => {
      if (wanted(entry)) socket.write(framed(entry, tty));
    },
    onEnd: () => socket.end(),
  });
  let keys = '';
  const take = (data: Uint8Array) => {
    world.catchUp();
    if (!input) return;
    if (tty) {
      keys = (keys + new TextDecoder('latin1').decode(data)).slice(-DETACH.length);
      if (keys === DETACH) {
        socket.end();
        return;
      }
    }
    io.type(data);
    world.catchUp();
  };
  socket.on('data', take);
  socket.on('end', () => {
    // Standard input is over; with a terminal the client has detached (container/stream/attach.go).
    if (tty) socket.end();
    else if (input && closes) io.stdin.end();
    world.catchUp();
  });
  socket.on('close', () => {
    stop();
    still();
  });
  if (early.length > 0) take(early);
}
