/** A machine for programs: a namespace with names, a few files and a table of processes. */

import type { Names } from '../dns/index.js';
import type { Namespace, SocketEntry, Sockets } from '../engine/index.js';
import { Freezer } from './freezer.js';
import { HostFiles, HostStore, kernelFile } from './host/files.js';
import { hostProgramOf } from './host/index.js';
import { MemoryFiles } from './memory-files.js';
import type { Files, Host, Machine, Process, Program, RunningProcess } from './process.js';
import { programOf } from './registry.js';
import { type Started, start } from './start.js';
import { NOWHERE, type Output, Pipe } from './stream.js';

const KILLED = 137;

export interface ComputerOptions {
  namespace: Namespace;
  sockets: Sockets;
  names: Names;
  hostname: string;
  flavour: Machine['flavour'];
  /** Programs of this machine's own, before those that all have. */
  programs?: (name: string) => Program | undefined;
  /** It is no container: it has what a node has. */
  host?: Host;
}

export interface RunOptions {
  stdin?: Pipe;
  stdout?: Output;
  stderr?: Output;
  environment?: Readonly<Record<string, string>>;
  terminal?: boolean;
  /** Working directory. */
  directory?: string;
}

export class Computer implements Machine {
  readonly namespace: Namespace;
  readonly sockets: Sockets;
  readonly names: Names;
  readonly hostname: string;
  readonly flavour: Machine['flavour'];
  readonly files: Files;
  readonly host: Host | undefined;
  readonly freezer = new Freezer();
  readonly #programs: ComputerOptions['programs'];
  readonly #running = new Map<number, RunningProcess & { handle: Started }>();
  readonly #owners = new Map<number, number>();
  #lastPid = 0;

  constructor({ namespace, sockets, names, hostname, flavour, programs, host }: ComputerOptions) {
    this.namespace = namespace;
    this.sockets = sockets;
    this.names = names;
    this.hostname = hostname;
    this.flavour = flavour;
    this.#programs = programs;
    this.host = host;
    const below = (path: string) =>
      host
        ? (host.file(path) ?? names.file(namespace, path))
        : (names.file(namespace, path) ?? kernelFile(namespace, path));
    this.files = host ? new HostFiles(new HostStore(host, below), namespace) : new MemoryFiles(below);
  }

  program(name: string): Program | undefined {
    return this.#programs?.(name) ?? (this.host && hostProgramOf(name)) ?? programOf(name);
  }

  get processes(): readonly RunningProcess[] {
    return [...this.#running.values()];
  }

  owns({ pid }: Process, socket: number): void {
    this.#owners.set(socket, pid);
  }

  owner(entry: SocketEntry): RunningProcess | undefined {
    return this.#running.get(this.#owners.get(entry.socket) ?? 0) ?? this.host?.owner(entry, this.namespace);
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
        ...(options.directory ? ([['PWD', options.directory]] as const) : []),
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
    this.freezer.thaw();
    for (const { handle } of [...this.#running.values()]) handle.task.stop(KILLED);
  }
}

function ended(): Pipe {
  const pipe = new Pipe();
  pipe.end();
  return pipe;
}
