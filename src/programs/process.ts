/**
 * What a program sees of the world: its arguments, its streams, the namespace that it runs in. Programs are those that people
 * type in guides; each is a generator (steps.ts) that comes to an exit status.
 */

import type { Names } from '../dns/index.js';
import type { Namespace, SocketEntry, Sockets } from '../engine/index.js';
import type { Freezer } from './freezer.js';
import { type Steps, until } from './steps.js';
import type { Output, Pipe } from './stream.js';

/** A file system as far as networks need one: /etc/hosts, /etc/resolv.conf, and what a shell's `>` writes. */
export interface Files {
  read(path: string): string | undefined;
  /** As it was written: a capture is no text. */
  bytes(path: string): Uint8Array | undefined;
  /** False: not there, or read-only. */
  write(path: string, data: string | Uint8Array): boolean;
  list(path: string): string[] | undefined;
}

/** Where a program runs: a container, or a node itself. */
export interface Machine {
  /** Holds its programs back while it is paused. */
  readonly freezer?: Freezer;
  readonly namespace: Namespace;
  readonly sockets: Sockets;
  readonly names: Names;
  readonly files: Files;
  readonly hostname: string;
  /** Whose programs there are: Alpine's busybox, or Debian's iproute2 and iputils. */
  readonly flavour: 'busybox' | 'debian';
  /** Processes, for ps, netstat and top. */
  readonly processes: readonly RunningProcess[];
  /** That socket (the engine's number) is this process'. */
  owns(process: Process, socket: number): void;
  /** Whose socket that is, if it is one of this machine's programs'. */
  owner(entry: SocketEntry): RunningProcess | undefined;
  /** A program of this machine's; undefined: there is none of that name. */
  program(name: string): Program | undefined;
  /** Undefined: it is a container. */
  readonly host: Host | undefined;
}

/** What a machine has that is no container: other namespaces, services, the kernel's settings. */
export interface Host {
  /** Docker's namespaces by the names of their files in /var/run/docker/netns. */
  dockerNetns(): ReadonlyMap<string, Namespace>;
  /** Namespaces of processes that run in containers, by the process' number (`nsenter -t PID -n`). */
  namespaceOf(pid: number): Namespace | undefined;
  /** A file of the node's as it was at first. */
  file(path: string): string | undefined;
  /** Whose socket that is, if it is no program's that runs on the node itself. */
  owner(entry: SocketEntry, namespace: Namespace): RunningProcess | undefined;
  /** What a service manager can be asked to do, by the unit's name; undefined: there is no such unit. */
  service(unit: string): Service | undefined;
}

export interface Service {
  readonly description: string;
  readonly pid: number;
  /** What it says instead, if it cannot. Its configuration is among the node's files. */
  reload(files: Files): string | undefined;
  restart(files: Files): string | undefined;
}

export interface RunningProcess {
  pid: number;
  command: string;
  /** Virtual time of its start, ns. */
  started: number;
}

export interface Process {
  readonly machine: Machine;
  readonly pid: number;
  /** The program's name first. */
  readonly argv: readonly string[];
  readonly environment: Map<string, string>;
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Is stdout a terminal? */
  readonly terminal: boolean;
  /** Ctrl-C calls it; without one the process ends with status 130. */
  onInterrupt: (() => void) | undefined;
}

export type Program = (process: Process) => Steps<number>;

/** A program's way out of anywhere: a word on standard error, and a status. */
export class Exit extends Error {
  constructor(
    readonly status: number,
    readonly words = '',
  ) {
    super(words);
  }
}

/** A path as files know it: from the working directory, without `.` and `..`. */
export function pathOf({ environment }: Process, path: string): string {
  const whole = path.startsWith('/') ? path : `${environment.get('PWD') ?? ''}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Virtual time, ns. */
export function now({ machine }: Process): number {
  return machine.namespace.engine.now;
}

export function* sleep({ machine }: Process, duration: number): Steps {
  const { engine } = machine.namespace;
  yield* until<number>((done) => engine.at(engine.now + duration, done));
}

export const SECOND = 1_000_000_000;
export const MILLISECOND = 1_000_000;
