/**
 * sh, as far as one-liners go: words and quotes, `$NAME`, `$?` and `$(…)`, pipes, `&&`, `||`, `;`, `>`, `>>`, `<`, `2>&1`,
 * here-documents. What it does not know (loops, functions, `&`) is a syntax error with its name. With a terminal it prompts, as ash does.
 */

import { Exit, type Process, type Program, pathOf } from './process.js';
import { type Command, continues, logicalLines, type Pipeline, parseLine, type Redirection } from './shell-grammar.js';
import { type Expansion, expand, quoted } from './shell-words.js';
import { type Started, start } from './start.js';
import { join, type Steps, type Task } from './steps.js';
import { NOWHERE, type Output, Pipe } from './stream.js';

const SYNTAX = 2;
const NOT_FOUND = 127;
const ASSIGNMENT = /^[A-Za-z_]\w*=/;

export function* sh(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  while (args[0] && /^-[a-z]*$/.test(args[0]) && !args[0].includes('c')) args.shift();
  const shell = new Shell(process);
  if (args[0]?.includes('c') && args[0].startsWith('-')) {
    if (args[1] === undefined) throw new Exit(SYNTAX, 'sh: -c requires an argument');
    return yield* shell.script(args[1]);
  }
  if (args[0] !== undefined) {
    const text = process.machine.files.read(args[0]);
    if (text === undefined) throw new Exit(NOT_FOUND, `sh: can't open '${args[0]}': No such file or directory`);
    return yield* shell.script(text);
  }
  return yield* shell.interact();
}

/** A shell that stands: its variables, its status. */
export class Shell {
  #status = 0;
  /** Of the last `$(…)` in the command that is being read: an assignment passes it on. */
  #substituted: number | undefined;
  #left = false;
  /** Programs of the pipeline that runs: Ctrl-C goes to all of them. */
  #foreground: Started[] = [];

  constructor(readonly process: Process) {}

  get status(): number {
    return this.#status;
  }
  /** `exit` was typed. */
  get left(): boolean {
    return this.#left;
  }

  *script(text: string): Steps<number> {
    this.process.onInterrupt = () => {
      this.#left = true;
      this.interrupt();
    };
    for (const line of logicalLines(text)) {
      yield* this.line(line);
      if (this.#left) break;
    }
    return this.#status;
  }

  /** Until standard input ends, or `exit`. */
  *interact(): Steps<number> {
    const { process } = this;
    process.onInterrupt = () => {
      if (this.#foreground.length > 0) this.interrupt();
      else if (process.terminal) process.stdout.write(`\n${this.#prompt}`);
    };
    while (!this.#left) {
      if (process.terminal) process.stdout.write(this.#prompt);
      let line = yield* process.stdin.line();
      if (line === undefined) break;
      while (continues(line)) {
        if (process.terminal) process.stdout.write('> ');
        const more: string | undefined = yield* process.stdin.line();
        if (more === undefined) break;
        line += `\n${more}`;
      }
      yield* this.line(line);
    }
    return this.#status;
  }

  /** Ctrl-C goes to what runs. */
  interrupt(): void {
    for (const program of [...this.#foreground]) program.interrupt();
  }

  get #directory(): string {
    return pathOf(this.process, '.');
  }

  get #prompt(): string {
    return this.process.machine.flavour === 'busybox'
      ? `${this.#directory} # `
      : `root@${this.process.machine.hostname}:${this.#directory}# `;
  }

  *line(text: string): Steps {
    let pipelines: Pipeline[];
    try {
      pipelines = parseLine(text);
    } catch (error) {
      if (!(error instanceof Exit)) throw error;
      this.process.stderr.write(`${error.words}\n`);
      this.#status = error.status;
      return;
    }
    for (const { when, commands } of pipelines) {
      if (when === 'success' && this.#status !== 0) continue;
      if (when === 'failure' && this.#status === 0) continue;
      this.#status = yield* this.#pipeline(commands);
      if (this.#left) return;
    }
  }

  *#pipeline(commands: readonly Command[]): Steps<number> {
    const { process } = this;
    const running: Task<number>[] = [];
    let input = process.stdin;
    try {
      for (const [i, command] of commands.entries()) {
        const last = i === commands.length - 1;
        const pipe = last ? undefined : new Pipe();
        this.#substituted = undefined;
        const argv = yield* this.#words(command.words);
        const own = this.#assignmentsBefore(argv);
        const output = pipe ?? process.stdout;
        const streams = yield* this.#redirect(command.redirections, {
          stdin: input,
          stdout: output,
          stderr: process.stderr,
        });
        if ('error' in streams) {
          process.stderr.write(`${streams.error}\n`);
          pipe?.end();
          if (last) return 1;
          input = pipe ?? input;
          continue;
        }
        const [first] = argv;
        const builtin = first === undefined ? undefined : this.#builtin(first, argv, streams);
        if (builtin !== undefined || first === undefined) {
          streams.close();
          pipe?.end();
          if (last && running.length === 0) return builtin ?? 0;
        } else {
          const program: Program = process.machine.program(first) ?? notFound;
          const child = start({
            machine: process.machine,
            argv,
            environment: own.size > 0 ? new Map([...process.environment, ...own]) : process.environment,
            ...streams,
            terminal: process.terminal && streams.stdout === process.stdout,
            program,
          });
          child.task.whenDone(() => {
            streams.close();
            pipe?.end();
          });
          this.#foreground.push(child);
          running.push(child.task);
        }
        if (pipe) input = pipe;
      }
      let status = 0;
      for (const task of running) status = yield* join(task);
      return status;
    } finally {
      this.#foreground = [];
      for (const task of running) task.stop(130);
    }
  }

  *#redirect(
    redirections: readonly Redirection[],
    streams: { stdin: Pipe; stdout: Output; stderr: Output },
  ): Steps<{ stdin: Pipe; stdout: Output; stderr: Output; close(): void } | { error: string }> {
    const { files } = this.process.machine;
    const closers: (() => void)[] = [];
    const now = { ...streams };
    for (const { file, to, duplicate, append, document } of redirections) {
      if (duplicate) {
        if (file !== 'stdin') now[file] = to === 'stdout' ? now.stdout : now.stderr;
        continue;
      }
      if (document !== undefined) {
        now.stdin = new Pipe();
        now.stdin.write(/['"]/.test(to) ? document : yield* quoted(document, this.#expansion));
        now.stdin.end();
        continue;
      }
      const [given = ''] = yield* this.#expand(to);
      const path = pathOf(this.process, given);
      if (file === 'stdin') {
        const text = files.read(path);
        if (text === undefined) return { error: `sh: can't open ${given}: no such file` };
        now.stdin = new Pipe();
        now.stdin.write(text);
        now.stdin.end();
      } else if (path === '/dev/null') now[file] = NOWHERE;
      else {
        const pieces: Uint8Array[] = [];
        const before = append ? (files.read(path) ?? '') : '';
        if (!files.write(path, before)) return { error: `sh: can't create ${given}: nonexistent directory` };
        now[file] = { write: (data) => pieces.push(typeof data === 'string' ? new TextEncoder().encode(data) : data) };
        closers.push(() => {
          files.write(path, before + pieces.map((piece) => new TextDecoder().decode(piece)).join(''));
        });
      }
    }
    return {
      ...now,
      close: () => {
        for (const close of closers) close();
      },
    };
  }

  /** Status of a builtin; undefined: it is none. */
  #builtin(
    name: string,
    argv: readonly string[],
    { stdout, stderr }: { stdout: Output; stderr: Output },
  ): number | undefined {
    switch (name) {
      case 'exit':
        this.#left = true;
        return argv[1] === undefined ? this.#status : Number(argv[1]) & 255;
      case 'true':
      case ':':
        return 0;
      case 'false':
        return 1;
      case 'cd': {
        const path = pathOf(this.process, argv[1] ?? '/root');
        // What lies deep in an image is not modelled: there may be such a directory.
        if (this.process.machine.files.list(`/${path.split('/')[1]}`) === undefined) {
          stderr.write(`sh: cd: can't cd to ${argv[1]}: No such file or directory\n`);
          return SYNTAX;
        }
        this.process.environment.set('PWD', path);
        return 0;
      }
      case 'pwd':
        stdout.write(`${this.#directory}\n`);
        return 0;
      case 'export':
        for (const word of argv.slice(1)) this.#assign(word);
        return 0;
      default:
        if (!ASSIGNMENT.test(name)) return undefined;
        for (const word of argv) this.#assign(word);
        return this.#substituted ?? 0;
    }
  }

  /** A command's words. A word that assigns is not split. */
  *#words(words: readonly string[]): Steps<string[]> {
    const found: string[] = [];
    for (const word of words) {
      const [assigned] = /^[A-Za-z_]\w*=/.exec(word) ?? [];
      if (assigned && found.every((one) => ASSIGNMENT.test(one))) {
        found.push(assigned + (yield* this.#expand(word.slice(assigned.length), true)).join(''));
      } else found.push(...(yield* this.#expand(word)));
    }
    return found;
  }

  /** `A=b command`: taken off `argv`, and into that command's environment alone. */
  #assignmentsBefore(argv: string[]): Map<string, string> {
    const own = new Map<string, string>();
    const command = argv.findIndex((word) => !ASSIGNMENT.test(word));
    for (const word of command > 0 ? argv.splice(0, command) : []) {
      const [name = '', ...value] = word.split('=');
      own.set(name, value.join('='));
    }
    return own;
  }

  #assign(word: string): number {
    const [name = '', ...value] = word.split('=');
    if (word.includes('=')) this.process.environment.set(name, value.join('='));
    return 0;
  }

  /** What a word stands for: variables and the output of commands are in, quotes off. */
  #expand(word: string, whole = false): Steps<string[]> {
    return expand(word, this.#expansion, whole);
  }

  readonly #expansion: Expansion = {
    variable: (name) => (name === '?' ? String(this.#status) : this.process.environment.get(name)),
    output: (script) => this.#outputOf(script),
  };

  /** `$(…)`: what it prints, without the line feeds at the end. */
  *#outputOf(script: string): Steps<string> {
    const pieces: Uint8Array[] = [];
    const stdout: Output = {
      write: (data) => pieces.push(typeof data === 'string' ? new TextEncoder().encode(data) : data),
    };
    const inner = new Shell({ ...this.process, stdout, environment: new Map(this.process.environment) });
    for (const line of logicalLines(script)) {
      yield* inner.line(line);
      if (inner.left) break;
    }
    this.#substituted = inner.status;
    return pieces
      .map((piece) => new TextDecoder().decode(piece))
      .join('')
      .replace(/\n+$/, '');
  }
}

// biome-ignore lint/correctness/useYield: every program is a generator, and this one has nothing to wait for
function* notFound(process: Process): Steps<number> {
  throw new Exit(NOT_FOUND, `sh: ${process.argv[0]}: not found`);
}
