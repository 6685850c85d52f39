/** A shell on a simulated machine that a guide's lines are typed into. */

import { type Machine, Pipe, Shell, type Started, start } from '../../programs/index.js';
import { Mailbox, type Steps } from '../../programs/steps.js';

export interface Ran {
  status: number;
  output: string;
}

/** ms between two looks at whether it is enough */
const LOOK = 20;
const INTERRUPTED = 130;

export class Terminal {
  readonly #lines = new Mailbox<string>();
  readonly #started: Started;
  #shell: Shell | undefined;
  #output = '';
  /** Ends when what runs has ended. */
  #staying: Promise<void> | undefined;
  #ended: (status: number) => void = () => {};

  constructor(machine: Machine, environment: Map<string, string>) {
    const decoder = new TextDecoder();
    const screen = {
      write: (data: string | Uint8Array) => {
        this.#output += typeof data === 'string' ? data : decoder.decode(data, { stream: true });
      },
    };
    const stdin = new Pipe();
    stdin.end();
    const typing = (process: Parameters<Parameters<typeof start>[0]['program']>[0]) => this.#type(process);
    this.#started = start({
      machine,
      argv: ['bash'],
      environment,
      stdin,
      stdout: screen,
      stderr: screen,
      terminal: false,
      program: typing,
    });
  }

  *#type(process: Parameters<Parameters<typeof start>[0]['program']>[0]): Steps<number> {
    const shell = new Shell(process);
    this.#shell = shell;
    while (true) {
      const line = yield* this.#lines.take();
      yield* shell.line(line);
      this.#ended(shell.status);
    }
  }

  /**
   * Runs a line; when it has gone on for `limit` ms, or printed enough, it is interrupted. One that is to `stay` goes on until the
   * next line: a capture sees what other machines do meanwhile.
   */
  async run(line: string, limit: number, enough: (output: string) => boolean, stay = false): Promise<Ran> {
    if (this.#staying) await this.#interrupt();
    this.#output = '';
    let status: number | undefined;
    const over = new Promise<void>((resolve) => {
      this.#ended = (code) => {
        status = code;
        resolve();
      };
    });
    this.#lines.put(line);
    const until = Date.now() + limit;
    const rest = () => new Promise<void>((resolve) => setTimeout(resolve, LOOK));
    while (status === undefined && Date.now() < until && !enough(this.#output)) await Promise.race([over, rest()]);
    this.#staying = status === undefined ? over : undefined;
    if (status === undefined && !stay) await this.#interrupt();
    return { status: status ?? (stay ? 0 : INTERRUPTED), output: this.#output };
  }

  async #interrupt(): Promise<void> {
    this.#shell?.interrupt();
    await Promise.race([this.#staying, new Promise<void>((resolve) => setTimeout(resolve, 2000))]);
    this.#staying = undefined;
  }

  close(): void {
    this.#started.task.stop(INTERRUPTED);
  }
}
