/** A swarm to run programs in: what they print, by machine and command line. */

import { Computer, Pipe, type Started } from '../../src/programs/index.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { LONELY } from './host/machine.js';

const SECOND = 1_000_000_000;

export interface Ran {
  status: number | undefined;
  out: string;
  err: string;
}

export class World {
  readonly #computers = new Map<string, Computer>();

  private constructor(readonly swarm: Swarm) {}

  static async of(stack: string): Promise<World> {
    const { spec } = parseStackFile(stack, { file: 'stack.yml' });
    return new World(await Swarm.create(spec, { seed: 1 }));
  }

  /** `node1/task-web.1`, `node1/host` */
  computer(name: string): Computer {
    const known = this.#computers.get(name);
    if (known) return known;
    const made = new Computer({
      namespace: this.swarm.namespace(name),
      sockets: this.swarm.sockets,
      names: this.swarm.names,
      hostname: name.replace(/\/host$/, '').replace(/^.*\//, ''),
      ...(name.endsWith('/host') ? { flavour: 'debian', host: LONELY } : { flavour: 'busybox' }),
    });
    this.#computers.set(name, made);
    return made;
  }

  advance(seconds: number): void {
    const { engine, sockets } = this.swarm;
    engine.run(engine.now + seconds * SECOND, sockets.handle);
  }

  start(where: string, command: string, typed?: string): { started: Started; out: Pipe; err: Pipe; stdin: Pipe } {
    const [stdin, out, err] = [new Pipe(), new Pipe(), new Pipe()];
    if (typed !== undefined) stdin.write(typed);
    if (typed !== undefined) stdin.end();
    const started = this.computer(where).run(['sh', '-c', command], { stdin, stdout: out, stderr: err });
    if (!started) throw new Error('there is a shell');
    return { started, out, err, stdin };
  }

  /** Runs a line of the shell for as long as it takes, at most `seconds`. */
  run(where: string, command: string, { seconds = 60, typed = '' }: { seconds?: number; typed?: string } = {}): Ran {
    const { started, out, err } = this.start(where, command, typed);
    for (let step = 0; step < seconds * 10 && !started.task.done; step++) this.advance(0.1);
    return { status: started.task.value, out: text(out), err: text(err) };
  }
}

export function text(pipe: Pipe): string {
  return new TextDecoder().decode(pipe.taken());
}
