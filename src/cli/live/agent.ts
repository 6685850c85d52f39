/** The agent's keeper: starts it, tells it what to send, gathers what it sees. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { hex } from '../../dissect/notation.js';
import type { TapFrame } from '../../replay/compare.js';
import { AGENT } from './agent-script.js';

/** The kernel refused what a run needs. */
export class LiveError extends Error {
  override name = 'LiveError';
}

/** A command is answered within this, ms. */
const PATIENCE = 10_000;

export class Agent {
  /** By the tap's name. */
  readonly seen = new Map<string, TapFrame[]>();
  readonly #names: string[] = [];
  readonly #waiting: ((answer: string) => void)[] = [];
  readonly #child: ChildProcess;
  #lastFrame = 0;
  #ended = false;

  constructor() {
    this.#child = spawn('python3', ['-I', '-u', '-c', AGENT], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
    this.#child.stdin?.on('error', () => this.#end('its input is closed'));
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('exit', () => this.#end('it has ended'));
  }

  async tap(name: string, netns: string, device: string): Promise<void> {
    this.seen.set(name, []);
    await this.#tell(`tap ${this.#names.push(name) - 1} ${netns} ${device}`);
  }

  /** The bytes leave by the device, above its queue: its tap sees them. */
  async frame(netns: string, device: string, bytes: Uint8Array): Promise<void> {
    await this.#tell(`frame ${netns} ${device} ${hex(bytes)}`);
  }

  /** An IP packet leaves by a raw socket: OUTPUT, routing and neighbours are the kernel's. */
  async packet(netns: string, destination: string, bytes: Uint8Array): Promise<void> {
    await this.#tell(`packet ${netns} ${destination} ${hex(bytes)}`);
  }

  /** Until no tap has seen anything for `quiet` ms; `least` ms at least. */
  async settle(quiet: number, least: number): Promise<void> {
    const begin = Date.now();
    const limit = begin + least + 2000;
    while (Date.now() < limit) {
      const rest = Math.max(begin + least, this.#lastFrame + quiet, begin + quiet) - Date.now();
      if (rest <= 0) return;
      await new Promise((done) => setTimeout(done, rest));
    }
  }

  stop(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }

  #tell(line: string): Promise<void> {
    if (this.#ended) return Promise.reject(new LiveError('the agent (python3) has ended'));
    return new Promise((done, fail) => {
      const timer = setTimeout(
        () => fail(new LiveError(`the agent (python3) does not answer: ${line.slice(0, 80)}`)),
        PATIENCE,
      );
      this.#waiting.push((answer) => {
        clearTimeout(timer);
        if (answer === 'ok') done();
        else fail(new LiveError(`${line.slice(0, 80)}: ${answer}`));
      });
      this.#child.stdin?.write(`${line}\n`);
    });
  }

  #hear(line: string): void {
    if (!line.startsWith('seen ')) {
      this.#waiting.shift()?.(line);
      return;
    }
    const [, number, time, direction, data = ''] = line.split(' ');
    const frames = this.seen.get(this.#names[Number(number)] ?? '');
    this.#lastFrame = Date.now();
    frames?.push({
      time: BigInt(time ?? 0),
      data: Uint8Array.from(data.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
      direction: direction === 'transmitted' ? 'transmitted' : 'received',
    });
  }

  #end(why: string): void {
    this.#ended = true;
    for (const answer of this.#waiting.splice(0)) answer(`the agent (python3) is gone: ${why}`);
  }
}
