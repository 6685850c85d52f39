/** `swarmwire serve`: an Engine API for every node of a simulated swarm. */

import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCapture } from '../capture/files.js';
import { Recording } from '../capture/recording.js';
import { clientWorldOf, dockerProgram } from '../docker/client.js';
import { type Listening, listen, type Place } from '../docker/server.js';
import { World, type WorldOptions } from '../docker/world.js';
import { engineOf, parseStackFile } from '../stack-file/index.js';
import { MOST_NODES } from '../stack-file/section.js';
import { ENGINE_VERSIONS, type EngineVersion } from '../topology/daemon.js';
import type { StackSpec } from '../topology/spec.js';
import { readArguments, wholeNumber } from './arguments.js';
import { BadInput, blaming } from './bad-input.js';
import type { Command } from './commands.js';
import { loadDrivers, readStackFile } from './input.js';
import { SERVE_HELP } from './serve-help.js';
import type { Terminal } from './terminal.js';

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/;

export const serve: Command = {
  help: SERVE_HELP,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, {
      nodes: { type: 'string' },
      driver: { type: 'string', multiple: true, default: [] },
      host: { type: 'string', default: 'tcp://127.0.0.1:2375' },
      public: { type: 'boolean', default: false },
      out: { type: 'string' },
      seed: { type: 'string' },
      engine: { type: 'string' },
    });
    const [file, ...more] = positionals;
    if (more.length > 0) throw new BadInput(`serve: one stack file at a time, and ${more.join(', ')} is too many`);
    const nodes = wholeNumber('nodes', values.nodes, 1, MOST_NODES);
    const seed = wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER) ?? 1;
    const drivers = await loadDrivers(values.driver);
    const engine = values.engine === undefined ? undefined : engineOf(values.engine);
    if (values.engine !== undefined && !engine)
      throw new BadInput(
        `--engine ${values.engine}: there is no such engine here`,
        `one of ${ENGINE_VERSIONS.join(', ')}`,
      );
    const spec = file === undefined ? emptyStack(nodes ?? 3, engine) : readStackFile(file, nodes, drivers, engine).spec;
    const places = placesOf(
      values.host,
      spec.nodes.map(({ name }) => name),
      values.public,
      terminal,
    );
    if (spec.traffic.length > 0)
      terminal.err(
        'note: serve starts no traffic of the stack file (swarmwire run does): containers do what they are told',
      );
    const onRefused = (words: string) => terminal.err(`change refused: ${words}`);
    const world = await standUp(spec, { seed, drivers, onRefused }, file);
    const finish = values.out === undefined ? () => {} : record(world, values.out, terminal);
    const listening = await listenAll(world, spec, places);
    const closeClients = values.public ? () => {} : installClients(world, listening);
    world.open();
    terminal.out(
      `${listening.length} engine${listening.length === 1 ? '' : 's'}; Ctrl-C ends ${listening.length === 1 ? 'it' : 'them'}`,
    );
    for (const { node, url } of listening) terminal.out(`export DOCKER_HOST=${url}  # ${node}`);
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    world.close();
    for (const { server } of listening) {
      server.close();
      server.closeAllConnections();
    }
    closeClients();
    finish();
    return 0;
  },
};

/** Hosts in no swarm, as they are without a stack file. */
export function emptyStack(nodes: number, engine: EngineVersion | undefined): StackSpec {
  const { spec } = parseStackFile('services: {}\n', { file: 'serve', nodes, ...(engine ? { engine } : {}) });
  // Hosts of today have IPv6 on; an engine since 28 shows that wherever it publishes a port.
  const ipv6 = engine === '28';
  return { ...spec, nodes: ipv6 ? spec.nodes.map((node) => ({ ...node, ipv6 })) : spec.nodes, swarm: false };
}

async function standUp(spec: StackSpec, options: WorldOptions, file: string | undefined): Promise<World> {
  try {
    return await World.create(spec, options);
  } catch (error) {
    throw blaming(file, error);
  }
}

/** @throws BadInput */
function placesOf(host: string, nodes: readonly string[], open: boolean, terminal: Terminal): Place[] {
  const tcp = /^tcp:\/\/(\[[0-9a-f:]+\]|[^:/]+):(\d+)\/?$/i.exec(host);
  if (tcp) {
    const [, address = '', text = ''] = tcp;
    const port = Number(text);
    if (port > 0 && port + nodes.length - 1 > 65535)
      throw new BadInput(`--host ${host}: ${nodes.length} nodes need as many ports, and there are none above 65535`);
    if (!LOOPBACK.test(address)) {
      if (!open)
        throw new BadInput(
          `--host ${host}: others could reach that address, and there is no password`,
          'add --public if that is what you want',
        );
      terminal.err(`warning: whoever reaches ${address} can use these engines`);
    }
    return nodes.map((_, i) => ({ host: address.replace(/^\[|\]$/g, ''), port: port === 0 ? 0 : port + i }));
  }
  const unix = /^unix:\/\/(\/.*)$/.exec(host);
  if (!unix?.[1]) throw new BadInput(`--host ${host}: neither tcp://ADDRESS:PORT nor unix:///DIRECTORY`);
  const directory = unix[1];
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return nodes.map((node) => {
    return { socket: join(directory, `${node}.sock`) };
  });
}

async function listenAll(world: World, spec: StackSpec, places: readonly Place[]): Promise<Listening[]> {
  const listening: Listening[] = [];
  for (const [i, { name }] of spec.nodes.entries()) {
    const place = places[i];
    if (!place) continue;
    try {
      if ('socket' in place) await clear(place.socket);
      listening.push(await listen(world, name, place));
    } catch (error) {
      for (const { server } of listening) server.close();
      const { code, message } = error as NodeJS.ErrnoException;
      const where = 'socket' in place ? place.socket : `${place.host}:${place.port}`;
      throw new BadInput(
        `cannot listen on ${where}: ${code === 'EADDRINUSE' ? `the ${'socket' in place ? 'socket' : 'port'} is taken` : message}`,
        'another --host, perhaps: --host tcp://127.0.0.1:12375',
      );
    }
  }
  return listening;
}

/** A socket that a server left behind goes; one where somebody answers stays, and so does any other file. @throws with EADDRINUSE */
export function clear(socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const answered = connect(socket, () => {
      answered.destroy();
      reject(Object.assign(new Error('somebody listens there'), { code: 'EADDRINUSE' }));
    });
    answered.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return resolve();
      // A file that is no socket refuses connections, too.
      if (error.code !== 'ECONNREFUSED' || !lstatSync(socket).isSocket())
        return reject(new Error(`there is something that is no socket of ours (${error.code}), and it stays`));
      rmSync(socket);
      resolve();
    });
  });
}

/** `docker` typed on a node is this machine's docker command, in an empty directory. Whoever may reach us from outside has none. */
function installClients(world: World, listening: readonly Listening[]): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'swarmwire-serve-'));
  const clients = clientWorldOf(world, () => listening);
  world.hostProgram = (node, name) =>
    name === 'docker' && listening.some((one) => one.node === node)
      ? dockerProgram(node, clients, { program: 'docker', directory })
      : undefined;
  return () => rmSync(directory, { recursive: true, force: true });
}

/** Captures of everything, from now to the end. */
function record(world: World, directory: string, terminal: Terminal): () => void {
  const { engine } = world;
  engine.tapsEverything = true;
  for (const device of engine.devices) device.tap();
  const capture = openCapture('pcapng', directory, 'serve', () =>
    engine.taps.map(({ path, mtu }) => ({ name: path, mtu })),
  );
  const recording = new Recording(engine, capture);
  return () => {
    recording.finish();
    for (const { path, frames } of capture.finish()) terminal.out(`${path}: ${frames} frames`);
  };
}
