/** A machine for programs: a namespace with names, a few files and a table of processes. */

import type { Names } from '../dns/index.js';
import type { Namespace, SocketEntry, Sockets } from '../engine/index.js';
import type { Files, Machine, Process, Program, RunningProcess } from './process.js';
import { programOf } from './registry.js';
import { type Started, start } from './start.js';
import { NOWHERE, type Output, Pipe } from './stream.js';

const DIRECTORIES = 'bin dev etc home lib proc root run sbin sys tmp usr var'.split(' ');
const ETC = ['hostname', 'hosts', 'resolv.conf'];
const KILLED = 137;

export interface ComputerOptions {
  namespace: Namespace;
  sockets: Sockets;
  names: Names;
  hostname: string;
  flavour: Machine['flavour'];
  /** Programs of this machine's own, before those that all have. */
  programs?: (name: string) => Program | undefined;
}

export interface RunOptions {
  stdin?: Pipe;
  stdout?: Output;
  stderr?: Output;
  environment?: Readonly<Record<string, string>>;
  terminal?: boolean;
}

export class Computer implements Machine {
  readonly namespace: Namespace;
  readonly sockets: Sockets;
  readonly names: Names;
  readonly hostname: string;
  readonly flavour: Machine['flavour'];
  readonly files: Files;
  readonly #programs: ComputerOptions['programs'];
  readonly #running = new Map<number, RunningProcess & { handle: Started }>();
  readonly #owners = new Map<number, number>();
  #lastPid = 0;

  constructor({ namespace, sockets, names, hostname, flavour, programs }: ComputerOptions) {
    this.namespace = namespace;
    this.sockets = sockets;
    this.names = names;
    this.hostname = hostname;
    this.flavour = flavour;
    this.#programs = programs;
    this.files = new MemoryFiles((path) => names.file(namespace, path));
  }

  program(name: string): Program | undefined {
    return this.#programs?.(name) ?? programOf(name);
  }

  get processes(): readonly RunningProcess[] {
    return [...this.#running.values()];
  }

  owns({ pid }: Process, socket: number): void {
    this.#owners.set(socket, pid);
  }

  owner({ socket }: SocketEntry): RunningProcess | undefined {
    return this.#running.get(this.#owners.get(socket) ?? 0);
  }

  /** Starts `argv[0]`. Undefined: there is no such program here. */
  run(argv: readonly string[], options: RunOptions = {}): Started | undefined {
    const program = this.program(argv[0] ?? '');
    if (!program) return undefined;
    const pid = ++this.#lastPid;
    const started = start({
      machine: this,
      argv,
      environment: new Map([
        ['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        ['HOSTNAME', this.hostname],
        ['HOME', '/root'],
        ...Object.entries(options.environment ?? {}),
      ]),
      stdin: options.stdin ?? ended(),
      stdout: options.stdout ?? NOWHERE,
      stderr: options.stderr ?? options.stdout ?? NOWHERE,
      terminal: options.terminal ?? false,
      program,
      pid,
    });
    const entry = { pid, command: argv.join(' '), started: this.namespace.engine.now, handle: started };
    if (!started.task.done) this.#running.set(pid, entry);
    started.task.whenDone(() => {
      this.#running.delete(pid);
      for (const [socket, owner] of this.#owners) if (owner === pid) this.#owners.delete(socket);
    });
    return started;
  }

  /** All that runs ends at once: the container is stopped. */
  halt(): void {
    for (const { handle } of [...this.#running.values()]) handle.task.stop(KILLED);
  }
}

function ended(): Pipe {
  const pipe = new Pipe();
  pipe.end();
  return pipe;
}

/** Files in memory over those that Docker writes. A new one goes into a directory that there is. */
export class MemoryFiles implements Files {
  readonly #own = new Map<string, Uint8Array>();

  constructor(private readonly below: (path: string) => string | undefined) {}

  read(path: string): string | undefined {
    const name = absolute(path);
    const own = this.#own.get(name);
    return own ? new TextDecoder().decode(own) : this.below(name);
  }

  /** As it was written. */
  bytes(path: string): Uint8Array | undefined {
    const text = this.below(absolute(path));
    return this.#own.get(absolute(path)) ?? (text === undefined ? undefined : new TextEncoder().encode(text));
  }

  write(path: string, data: string | Uint8Array): boolean {
    const name = absolute(path);
    const folder = name.slice(0, name.lastIndexOf('/'));
    if (this.list(folder || '/') === undefined || this.list(name) !== undefined) return false;
    this.#own.set(name, typeof data === 'string' ? new TextEncoder().encode(data) : data.slice());
    return true;
  }

  list(path: string): string[] | undefined {
    const name = absolute(path).replace(/(.)\/$/, '$1');
    const inside = [...this.#own.keys()].filter(
      (one) => one.slice(0, one.lastIndexOf('/')) === (name === '/' ? '' : name),
    );
    const own = inside.map((one) => one.slice(one.lastIndexOf('/') + 1));
    if (name === '/') return [...new Set([...DIRECTORIES, ...own])].sort();
    if (name === '/etc') return [...new Set([...ETC, ...own])].sort();
    return DIRECTORIES.includes(name.slice(1)) ? own.sort() : undefined;
  }
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}
