/** A node by itself, with another beside it on a wire: what its programs print, and what they change. */

import { Names } from '../../../src/dns/index.js';
import { Engine, type Namespace, Sockets } from '../../../src/engine/index.js';
import { Computer, type Host, Pipe, type Started } from '../../../src/programs/index.js';
import { parseStackFile } from '../../../src/stack-file/index.js';
import { emptyTopology } from '../../../src/swarm/deploy.js';

const SECOND = 1_000_000_000;

export interface Ran {
  status: number | undefined;
  out: string;
  err: string;
}

export class Machine {
  readonly computer: Computer;

  private constructor(
    readonly engine: Engine,
    readonly sockets: Sockets,
    readonly namespace: Namespace,
    readonly neighbour: Namespace,
  ) {
    const { spec } = parseStackFile('services: {}\n', { file: 'stack.yml', nodes: 1 });
    const topology = emptyTopology(spec);
    this.computer = new Computer({
      namespace,
      sockets,
      names: new Names({ topology, namespaces: engine.namespaces }, sockets, 1),
      hostname: 'node1',
      flavour: 'debian',
      host: LONELY,
    });
  }

  /** 192.168.99.110 on eth0; 192.168.99.1 is the neighbour's. */
  static async create(): Promise<Machine> {
    const engine = await Engine.create({ seed: 1 });
    const segment = engine.segment(100_000);
    const [here, there] = ['node1/host', 'client/host'].map((name) => engine.namespace(name)) as [Namespace, Namespace];
    const eth0 = here.addPhysical('eth0', segment, { mac: '52:54:00:00:00:6e', mtu: 1500 });
    here.addAddress(eth0, '192.168.99.110/24');
    here.addRoute('0.0.0.0/0', eth0, '192.168.99.1');
    const other = there.addPhysical('eth0', segment, { mac: '52:54:00:00:00:01', mtu: 1500 });
    there.addAddress(other, '192.168.99.1/24');
    there.addRoute('10.0.0.0/8', other, '192.168.99.110');
    return new Machine(engine, new Sockets(engine), here, there);
  }

  start(line: string, typed = ''): { started: Started | undefined; out: Pipe; err: Pipe } {
    const [stdin, out, err] = [new Pipe(), new Pipe(), new Pipe()];
    stdin.write(typed);
    stdin.end();
    return { started: this.computer.run(['sh', '-c', line], { stdin, stdout: out, stderr: err }), out, err };
  }

  advance(seconds: number): void {
    this.engine.run(this.engine.now + seconds * SECOND, this.sockets.handle);
  }

  /** Runs a line of the shell for as long as it takes. */
  run(line: string, typed = ''): Ran {
    const { started, out, err } = this.start(line, typed);
    for (let step = 0; step < 600 && !started?.task.done; step++) this.advance(0.1);
    return { status: started?.task.value, out: text(out), err: text(err) };
  }
}

export const LONELY: Host = {
  dockerNetns: () => new Map(),
  namespaceOf: () => undefined,
  file: () => undefined,
  owner: () => undefined,
  service: () => undefined,
};

function text(pipe: Pipe): string {
  return new TextDecoder().decode(pipe.taken());
}
