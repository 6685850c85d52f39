/** A node's programs in another network namespace of it: what `nsenter --net` and `ip netns exec` have of setns(2). */

import type { Names } from '../../dns/index.js';
import type { Namespace, SocketEntry, Sockets } from '../../engine/index.js';
import type { Host, Machine, Process, Program, RunningProcess } from '../process.js';
import { start } from '../start.js';
import { join, type Steps } from '../steps.js';
import { HostFiles } from './files.js';

/** The same machine, seen from `namespace`: its files, programs and names stay. */
class Inside implements Machine {
  readonly files: HostFiles;

  constructor(
    private readonly machine: Machine,
    readonly namespace: Namespace,
  ) {
    this.files = hostFiles(machine).from(namespace);
  }
  get sockets(): Sockets {
    return this.machine.sockets;
  }
  get names(): Names {
    return this.machine.names;
  }
  get hostname(): string {
    return this.machine.hostname;
  }
  get flavour(): Machine['flavour'] {
    return this.machine.flavour;
  }
  get processes(): readonly RunningProcess[] {
    return this.machine.processes;
  }
  get host(): Host | undefined {
    return this.machine.host;
  }
  owns(process: Process, socket: number): void {
    this.machine.owns(process, socket);
  }
  owner(entry: SocketEntry): RunningProcess | undefined {
    return this.machine.host?.owner(entry, this.namespace) ?? this.machine.owner(entry);
  }
  program(name: string): Program | undefined {
    return this.machine.program(name);
  }
}

export function hostFiles({ files }: Machine): HostFiles {
  if (!(files instanceof HostFiles)) throw new Error('a program of nodes runs on a node');
  return files;
}

/** Runs another program in the place of this one; undefined: there is none of that name. */
export function* become(
  process: Process,
  argv: readonly string[],
  namespace: Namespace = process.machine.namespace,
): Steps<number | undefined> {
  const { machine: own } = process;
  const program = own.program(argv[0] ?? '');
  if (!program) return undefined;
  const machine = namespace === own.namespace ? own : new Inside(own, namespace);
  const child = start({ ...process, machine, argv, program });
  process.onInterrupt = () => child.interrupt();
  return yield* join(child.task);
}
