/**
 * `POST /swarmwire/nodes/NODE/exec`: a command on a node itself, over a connection that is taken over as the Engine API does it.
 * Both directions are framed as the API frames output: [stream, 0, 0, 0, length (4 bytes, big endian)], then the bytes.
 */

import type { Duplex } from 'node:stream';
import * as v from 'valibot';
import { joined } from '../bytes.js';
import type { Started } from '../programs/index.js';
import { readJson } from './api/body.js';
import { ApiError } from './api/errors.js';
import { ContainerIo, framed, frameOf } from './io.js';
import type { World } from './world.js';

export const NODE_EXEC = /^(?:\/v[\d.]+)?\/swarmwire\/nodes\/([^/]+)\/exec$/;

/** Streams beside standard output (1) and standard error (2). */
export const STDIN = 0;
/** From the server, the last one: the exit status, four bytes. */
export const STATUS = 3;
/** From the client, empty: Ctrl-C. */
export const INTERRUPT = 4;

const NOT_FOUND = 127;
const GONE = 129;

const WISH = v.object({
  Cmd: v.array(v.string()),
  Tty: v.optional(v.boolean(), false),
  WorkingDir: v.optional(v.string(), ''),
  Env: v.optional(v.array(v.string()), []),
});
export type NodeWish = v.InferOutput<typeof WISH>;

/** A command that runs on a node. */
export interface NodeCommand {
  io: ContainerIo;
  started: Started | undefined;
  /** Its exit status, once it has ended. */
  status(): number | undefined;
}

/** Starts it; output is in `io`. @throws ApiError for a node that there is not */
export function startOnNode(
  world: World,
  node: string,
  wish: Partial<NodeWish>,
  begin?: (io: ContainerIo) => void,
): NodeCommand {
  const machines = [...world.topology.nodes, ...world.topology.hosts].map(({ name }) => name);
  if (!machines.includes(node)) throw new ApiError(404, `there is no node ${node}; there are ${machines.join(', ')}`);
  const { Cmd = [], Tty = false, WorkingDir = '', Env = [] } = wish;
  const io = new ContainerIo(Tty, () => world.time);
  begin?.(io);
  const started = world.machine(node).run(lineOf(Cmd), {
    stdin: io.stdin,
    stdout: io.output('stdout'),
    stderr: io.output('stderr'),
    terminal: Tty,
    directory: WorkingDir || '/root',
    environment: Object.fromEntries(Env.map((entry) => [entry.split('=')[0], entry.split('=').slice(1).join('=')])),
  });
  if (!started) {
    io.output('stderr').write(`${Cmd[0]}: command not found\n`);
    return { io, started, status: () => NOT_FOUND };
  }
  io.onInterrupt = () => started.interrupt();
  return { io, started, status: () => (started.task.done ? (started.task.value ?? 0) : undefined) };
}

/** Without a command a shell; one word with spaces in it is a line for a shell, as with ssh. */
function lineOf(command: readonly string[]): readonly string[] {
  const [first, ...more] = command;
  if (first === undefined) return ['bash'];
  return more.length === 0 && /[\s|;&<>$`]/.test(first) ? ['sh', '-c', first] : command;
}

export function execOnNode(
  world: World,
  node: string,
  body: Uint8Array,
  socket: Duplex,
  head: string,
  early: Uint8Array,
): void {
  const wish = readJson(body, WISH);
  const still = world.look();
  let over = false;
  const command = startSafely();
  const { io, started } = command;

  function startSafely(): NodeCommand {
    try {
      return startOnNode(world, node, wish, (io) => {
        socket.write(head);
        io.watch({ onOutput: (entry) => void socket.write(framed(entry, false)) });
      });
    } catch (error) {
      still();
      throw error;
    }
  }

  const finish = () => {
    if (over) return;
    over = true;
    const status = new Uint8Array(4);
    let code = 1;
    try {
      code = command.status() ?? 0;
    } catch (error) {
      // A fault of ours in a program ends that program alone.
      io.output('stderr').write(`${error instanceof Error ? error.stack : String(error)}\n`);
    }
    new DataView(status.buffer).setUint32(0, code);
    socket.end(frameOf(STATUS, status));
    still();
  };

  const frames = new Frames((stream, data) => {
    world.catchUp();
    if (stream === INTERRUPT) io.onInterrupt();
    else if (stream === STDIN && data.length === 0) io.stdin.end();
    else if (stream === STDIN) io.type(data);
    world.catchUp();
  });
  const take = (data: Uint8Array) => {
    if (!frames.take(data)) socket.destroy();
  };
  socket.on('data', take);
  socket.on('close', () => {
    still();
    if (!over) started?.task.stop(GONE);
    over = true;
  });
  if (early.length > 0) take(early);
  if (started) started.task.whenDone(finish);
  else finish();
}

/** Frames out of a stream of bytes that comes in any pieces. */
export class Frames {
  #rest: Uint8Array = new Uint8Array();

  constructor(private readonly onFrame: (stream: number, data: Uint8Array) => void) {}

  /** False: that is no frame, or one too long. */
  take(data: Uint8Array): boolean {
    const whole = joined([this.#rest, data]);
    let at = 0;
    while (whole.length - at >= 8) {
      const length = new DataView(whole.buffer).getUint32(at + 4);
      if (length > LONGEST) return false;
      if (whole.length - at - 8 < length) break;
      const stream = whole[at] ?? 0;
      const piece = whole.slice(at + 8, at + 8 + length);
      at += 8 + length;
      this.onFrame(stream, piece);
    }
    this.#rest = whole.slice(at);
    return true;
  }
}
const LONGEST = 16 << 20;
