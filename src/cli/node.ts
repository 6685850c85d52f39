/** `swarmwire node`: a command on a node of a swarm that is served, or of a stack file's. */

import { existsSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { answerTo } from '../docker/api/errors.js';
import { frameOf } from '../docker/io.js';
import { Frames, INTERRUPT, type NodeWish, STATUS, STDIN, startOnNode } from '../docker/node-exec.js';
import { World } from '../docker/world.js';
import { wholeNumber } from './arguments.js';
import { BadInput, blaming } from './bad-input.js';
import type { Command } from './commands.js';
import { readStackFile } from './input.js';
import { NODE_HELP } from './node-help.js';

const DEFAULT_HOST = 'tcp://127.0.0.1:2375';
const STDERR = 2;

interface Wish {
  file: string | undefined;
  node: string;
  host: string | undefined;
  seed: number;
  exec: NodeWish;
}

export const node: Command = {
  help: NODE_HELP,
  // What follows the node's name is the command's own, `--help` too.
  own: (args) => {
    try {
      return readWish(args).exec.Cmd.length > 0;
    } catch {
      return false;
    }
  },
  async run(args) {
    const wish = readWish(args);
    return wish.file === undefined ? onServer(wish) : onStack(wish, wish.file);
  },
};

/** Options stand before the command; the first word that is none ends them, once the node is named. */
function readWish(args: readonly string[]): Wish {
  const words = [...args];
  const exec: NodeWish = { Cmd: [], Tty: false, WorkingDir: '', Env: [] };
  let file: string | undefined;
  let name: string | undefined;
  let host: string | undefined;
  let seed: string | undefined;
  while (words.length > 0) {
    const word = words.shift() ?? '';
    if (word === '--') break;
    const [option = '', ...rest] = word.split('=');
    const value = () => {
      const found = rest.length > 0 ? rest.join('=') : words.shift();
      if (found === undefined) throw new BadInput(`${option}: its value is missing`);
      return found;
    };
    if (option === '--host' || option === '-H') host = value();
    else if (option === '--seed') seed = value();
    else if (option === '-w' || option === '--workdir') exec.WorkingDir = value();
    else if (word === '-t' || word === '--tty' || word === '-it' || word === '-ti') exec.Tty = true;
    else if (word === '-i' || word === '--interactive') continue;
    else if (word.startsWith('-')) throw new BadInput(`node: unknown option ${word}`, 'the command stands behind "--"');
    else if (file === undefined && name === undefined && /\.ya?ml$/.test(word)) file = word;
    else if (name === undefined) name = word;
    else {
      words.unshift(word);
      break;
    }
  }
  if (name === undefined) throw new BadInput('node: which node?', 'swarmwire node node1 -- ip addr');
  exec.Cmd = words;
  if (words.length === 0 && process.stdin.isTTY) exec.Tty = true;
  if (file === undefined && seed !== undefined)
    throw new BadInput('--seed is for a stack file: a served swarm has its own');
  return { file, node: name, host, seed: wholeNumber('seed', seed, 0, Number.MAX_SAFE_INTEGER) ?? 1, exec };
}

/** Where the request goes. @throws BadInput */
export function placeOf(host: string, node: string): { socketPath: string } | { host: string; port: number } {
  const unix = /^unix:\/\/(\/.*)$/.exec(host)?.[1];
  if (unix !== undefined) {
    const directory = existsSync(unix) && statSync(unix).isDirectory();
    return { socketPath: directory ? join(unix, `${node}.sock`) : unix };
  }
  const [, address, port] = /^(?:tcp|http):\/\/(\[[0-9a-f:]+\]|[^:/]+):(\d+)\/?$/i.exec(host) ?? [];
  if (address === undefined) throw new BadInput(`--host ${host}: neither tcp://ADDRESS:PORT nor unix:///SOCKET`);
  return { host: address.replace(/^\[|\]$/g, ''), port: Number(port) };
}

async function onServer({ node: name, host = process.env.DOCKER_HOST || DEFAULT_HOST, exec }: Wish): Promise<number> {
  const body = JSON.stringify(exec);
  const { socket, head } = await new Promise<{ socket: Duplex; head: Uint8Array }>((resolve, reject) => {
    const asked = request({
      ...placeOf(host, name),
      method: 'POST',
      path: `/swarmwire/nodes/${encodeURIComponent(name)}/exec`,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'tcp',
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
      },
    });
    asked.on('upgrade', (_response, taken, first) => resolve({ socket: taken, head: first }));
    asked.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => reject(refusal(host, response.statusCode ?? 0, Buffer.concat(pieces).toString())));
    });
    asked.on('error', ({ code, message }: NodeJS.ErrnoException) =>
      reject(
        new BadInput(
          `no swarm is served at ${host} (${code ?? message})`,
          'start one: swarmwire serve; or name where it is: --host URL, DOCKER_HOST',
        ),
      ),
    );
    asked.end(body);
  });
  return converse(socket, head, exec.Tty);
}

function refusal(host: string, status: number, text: string): BadInput {
  let message = text;
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    // An answer of another server.
  }
  if (status === 404 && /page not found/.test(message))
    return new BadInput(`${host} is no swarm of swarmwire's: it does not know /swarmwire/nodes`);
  return new BadInput(`node: ${message}`);
}

/** Our streams to the command's, until it ends: its exit status. */
function converse(socket: Duplex, head: Uint8Array, tty: boolean): Promise<number> {
  const { stdin, stdout, stderr } = process;
  return new Promise((resolve) => {
    let status: number | undefined;
    const frames = new Frames((stream, data) => {
      if (stream === STATUS) status = new DataView(data.buffer, data.byteOffset).getUint32(0);
      else (stream === STDERR ? stderr : stdout).write(data);
    });
    const send = (stream: number, data: Uint8Array) => void socket.write(frameOf(stream, data));
    const interrupted = () => send(INTERRUPT, new Uint8Array());
    process.on('SIGINT', interrupted);
    const stop = follow(tty, (data) => send(STDIN, data));
    socket.on('data', (data: Uint8Array) => void frames.take(data));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      process.off('SIGINT', interrupted);
      stop();
      if (status === undefined) stderr.write('swarmwire: the server is gone\n');
      resolve(status ?? 1);
    });
    if (head.length > 0) frames.take(head);
    if (socket instanceof Socket) socket.setNoDelay(true);
    stdin.unref?.();
  });
}

/** Standard input to `take`, empty at its end; a terminal only where one is asked for. Returns what ends it. */
function follow(tty: boolean, take: (data: Uint8Array) => void): () => void {
  const { stdin } = process;
  if (stdin.isTTY && !tty) {
    take(new Uint8Array());
    return () => {};
  }
  const raw = tty && stdin.isTTY;
  if (raw) stdin.setRawMode(true);
  stdin.on('data', take);
  stdin.on('end', () => take(new Uint8Array()));
  stdin.on('error', () => take(new Uint8Array()));
  return () => {
    if (raw) stdin.setRawMode(false);
    stdin.removeAllListeners('data');
    stdin.pause();
    stdin.unref?.();
  };
}

/** Without a server: the swarm is stood up for this one command, and time runs ahead. */
async function onStack({ node: name, exec, seed }: Wish, file: string): Promise<number> {
  const world = await standUp(file, seed);
  const { stdout, stderr } = process;
  try {
    const command = startOnNode(world, name, exec, (io) =>
      io.watch({ onOutput: ({ stream, data }) => void (stream === 'stderr' ? stderr : stdout).write(data) }),
    );
    const { io } = command;
    const stop = follow(exec.Tty, (data) => (data.length === 0 ? io.stdin.end() : io.type(data)));
    const interrupted = () => io.onInterrupt();
    process.on('SIGINT', interrupted);
    const still = exec.Tty ? world.look() : undefined;
    await world.until(() => command.status() !== undefined);
    still?.();
    stop();
    process.off('SIGINT', interrupted);
    return command.status() ?? 0;
  } catch (error) {
    const { status, message } = answerTo(error);
    if (status === 404) throw new BadInput(`node: ${message}`);
    throw error;
  } finally {
    world.close();
  }
}

async function standUp(file: string, seed: number): Promise<World> {
  try {
    return await World.create(readStackFile(file, undefined).spec, { seed });
  } catch (error) {
    throw blaming(file, error);
  }
}
