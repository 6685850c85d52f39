/**
 * The installed docker client as a program of a simulated machine: `docker` typed on a node starts it, against that node's engine.
 * Commands that open a shell (`docker run -it`, `docker exec -it`, `docker attach`) need a terminal: transcripts have one
 * (transcript/session.ts), and on a served node its user does.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import type { Process, Program } from '../programs/index.js';
import { Exit } from '../programs/index.js';
import { until } from '../programs/steps.js';
import { hostPart } from '../topology/topology.js';
import type { Listening } from './server.js';
import type { World } from './world.js';

export interface ClientWorld {
  /** Engines by node. */
  url(node: string): string;
  /** The node whose container an argument names, if it is not one of `node`'s own. */
  nodeOf?(words: readonly string[], node: string): string | undefined;
  /** The node that a `-H` means. */
  nodeAt(host: string): string | undefined;
  /** Has that container a terminal? */
  hasTerminal(name: string, node: string): boolean;
  /** Takes over a command that opens a shell; `done` when the terminal prompts, or it has ended. */
  converse?(argv: readonly string[], node: string, url: string, done: (status: number, output: string) => void): void;
}

export interface ClientOptions {
  program: string;
  /** Where it runs, and keeps its configuration. */
  directory: string;
}

/** The engines of a swarm, as its own nodes' docker commands find them. */
export function clientWorldOf(world: World, engines: () => readonly Listening[]): ClientWorld {
  const { topology, cluster } = world;
  return {
    url: (node) => engines().find((one) => one.node === node)?.url ?? '',
    nodeAt: (host) => {
      const address = /^(?:tcp:\/\/)?([\w.-]+)(?::2375)?\/?$/.exec(host)?.[1] ?? '';
      return topology.nodes.find(
        ({ name, nic }) => name === address || nic.addresses.some((one) => hostPart(one) === address),
      )?.name;
    },
    hasTerminal: (name, node) => world.configOf(cluster.container(name, node)).tty,
  };
}

/** `28.2.2`; undefined: there is no such program. */
export function clientVersion(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ['--version'], {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  return status === 0 ? (/version ([\d.]+)/.exec(stdout)?.[1] ?? stdout.trim()) : undefined;
}

export function clientEnvironment(url: string, { directory }: ClientOptions): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: directory,
    DOCKER_CONFIG: directory,
    DOCKER_HOST: url,
    // Hints and colours are for people.
    DOCKER_CLI_HINTS: 'false',
    TERM: 'dumb',
  };
}

/** Commands that ask before they do it. */
const ASKS = /^(?:network rm|(?:\w+ )?prune)\b/;

export function dockerProgram(node: string, world: ClientWorld, options: ClientOptions): Program {
  return function* docker(process) {
    const { words, command, host } = split(process.argv.slice(1));
    const other = host === undefined ? undefined : world.nodeAt(host);
    if (host !== undefined && other === undefined)
      throw new Exit(125, `swarmwire: ${host} is no engine of this swarm, and others are not asked`);
    const local = localPath(words, command);
    if (local !== undefined)
      throw new Exit(125, `swarmwire: ${local} is outside the directory that docker runs in here`);
    const at = other ?? world.nodeOf?.(command, node) ?? node;
    const url = world.url(at);
    if (opensShell(command, (name) => world.hasTerminal(name, at))) {
      if (!world.converse)
        throw new Exit(
          125,
          `swarmwire: that needs a terminal of your own: DOCKER_HOST=${url} docker ${words.join(' ')}`,
        );
      const { status, output } = yield* until<{ status: number; output: string }>((done) => {
        world.converse?.([options.program, ...words], at, url, (status, output) => done({ status, output }));
        return undefined;
      });
      process.stdout.write(output);
      return status;
    }
    return yield* runClient(process, words, ASKS.test(command.join(' ')), url, options);
  };
}

function* runClient(process: Process, words: readonly string[], asks: boolean, url: string, options: ClientOptions) {
  let child: ChildProcess | undefined;
  process.onInterrupt = () => child?.kill('SIGINT');
  return yield* until<number>((done) => {
    const started = spawn(options.program, [...words], {
      cwd: options.directory,
      env: clientEnvironment(url, options),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child = started;
    started.stdout.on('data', (data: Buffer) => process.stdout.write(data));
    started.stderr.on('data', (data: Buffer) => process.stderr.write(data));
    started.on('error', (error: NodeJS.ErrnoException) => {
      const words = `there is no docker command on this machine (${options.program}); the package docker-cli has one`;
      process.stderr.write(`docker: ${error.code === 'ENOENT' ? words : error.message}\n`);
      done(127);
    });
    started.on('close', (code, signal) => done(code ?? (signal === 'SIGINT' ? 130 : 137)));
    started.stdin.on('error', () => {});
    const typed = process.stdin.taken();
    if (asks) started.stdin.end('y\n');
    else if (process.stdin.ended || typed.length > 0) started.stdin.end(typed);
    else started.stdin.end();
    return () => started.kill('SIGKILL');
  });
}

interface Split {
  /** Everything but the host. */
  words: string[];
  /** The command and what follows. */
  command: string[];
  host: string | undefined;
}

/** The options before the command: `-H URL` among them, the engine that is asked. */
function split(argv: readonly string[]): Split {
  const rest = [...argv];
  const kept: string[] = [];
  let host: string | undefined;
  while (rest[0]?.startsWith('-')) {
    const word = rest.shift() ?? '';
    const [, name = '', glued] =
      /^-[Dv]*([Hcl])=?(.+)?$/s.exec(word) ??
      /^--(host|context|config|log-level|tlscacert|tlscert|tlskey)(?:=(.*))?$/s.exec(word) ??
      [];
    if (name === '') {
      kept.push(word);
      continue;
    }
    const value = glued ?? rest.shift() ?? '';
    if (['H', 'host', 'c', 'context'].includes(name)) host = value;
    else kept.push(word, ...(glued === undefined ? [value] : []));
  }
  return { words: [...kept, ...rest], command: rest, host };
}

const OUTSIDE = /^(?:\/|~|\.\.)|(?:^|\/)\.\.(?:\/|$)/;
/** Options whose value is a file of the client's own machine. */
const OF_FILES =
  /^--(?:env-file|label-file|cidfile|iidfile|metadata-file|config|tlscacert|tlscert|tlskey|ca-cert|ca-key|security-opt)(?:=(.*))?$/s;
/** Commands that read or write files beside the client; every subcommand of those that are one word. */
const FILE_COMMANDS = new Set([
  ...['build', 'builder', 'buildx', 'compose', 'cp', 'export', 'import', 'load', 'save', 'trust'],
  ...['container cp', 'container export', 'image build', 'image import', 'image load', 'image save'],
  ...['stack config', 'stack deploy', 'stack up', 'config create', 'secret create', 'plugin create'],
  ...['context create', 'context export', 'context import', 'context update'],
]);

/** A path of the real machine that the client would write to or read from. */
function localPath(words: readonly string[], command: readonly string[]): string | undefined {
  for (const [i, word] of words.entries()) {
    const option = OF_FILES.exec(word);
    const file = option && pathIn(option[1] ?? words[i + 1] ?? '');
    if (file) return file;
  }
  const [first = '', ...rest] = command;
  const second = rest.find((word) => !word.startsWith('-'));
  if (!FILE_COMMANDS.has(first) && !FILE_COMMANDS.has(`${first} ${second}`)) return undefined;
  return rest.map(pathIn).find((path) => path !== undefined);
}

/** `/x`, `-o/x`, `--output=/x`, `type=local,dest=/x`, `seccomp:/x` */
function pathIn(word: string): string | undefined {
  const [, value = word] = /^-[A-Za-z]+(.+)$/s.exec(word) ?? [];
  if (OUTSIDE.test(value)) return value;
  return value.split(/[=,]|^seccomp:/).find((piece) => OUTSIDE.test(piece));
}

/** Long options of run, exec and start that take no value. */
const FLAGS = new Set(
  'detach interactive tty rm privileged init publish-all read-only no-healthcheck oom-kill-disable quiet attach sig-proxy'.split(
    ' ',
  ),
);

/** Are both a terminal and standard input asked for, and is somebody to type? */
export function opensShell(words: readonly string[], hasTerminal: (container: string) => boolean): boolean {
  const rest = words[0] === 'container' ? words.slice(1) : [...words];
  const command = rest.shift() ?? '';
  if (!['run', 'exec', 'attach', 'start'].includes(command)) return false;
  let [input, terminal, detached, attached] = [false, false, false, false];
  let operand: string | undefined;
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? '';
    if (word.startsWith('--')) {
      const [name = '', value] = word.slice(2).split('=');
      const on = value === undefined || value === 'true';
      if (name === 'interactive') input = on;
      else if (name === 'tty') terminal = on;
      else if (name === 'detach') detached = on;
      else if (name === 'attach') attached = true;
      if (value === undefined && !FLAGS.has(name) && name !== 'attach') i++;
    } else if (/^-\w/.test(word)) {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at] ?? '';
        if (letter === 'i') input = true;
        else if (letter === 't') terminal = true;
        else if (letter === 'd') detached = true;
        else if (letter === 'a' && command === 'start') attached = true;
        else if (letter !== 'P' && letter !== 'q') {
          if (at === word.length - 1) i++;
          break;
        }
      }
    } else {
      operand = word;
      break;
    }
  }
  if (operand === undefined) return false;
  if (command === 'attach') return hasTerminal(operand);
  if (command === 'start') return attached && input && hasTerminal(operand);
  return input && terminal && !detached;
}
