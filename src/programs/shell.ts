/**
 * sh, as far as one-liners go: words and quotes, `$NAME` and `$?`, pipes, `&&`, `||`, `;`, `>`, `>>`, `<`, `2>&1`. What it
 * does not know (loops, functions, `&`) is a syntax error with its name. With a terminal it prompts, as ash does.
 */

import { Exit, type Process, type Program } from './process.js';
import { type Started, start } from './start.js';
import { join, type Steps, type Task } from './steps.js';
import { NOWHERE, type Output, Pipe } from './stream.js';

/** A piece of a line: an operator, or a word with its quotes still in it. */
type Token = { kind: 'operator' | 'word'; text: string };

interface Redirection {
  file: 'stdin' | 'stdout' | 'stderr';
  to: string | 'stdout' | 'stderr';
  /** `2>&1` */
  duplicate: boolean;
  append: boolean;
}

interface Command {
  words: string[];
  redirections: Redirection[];
}
/** Commands joined by pipes, and when it is to run. */
interface Pipeline {
  when: 'always' | 'success' | 'failure';
  commands: Command[];
}

const SYNTAX = 2;
const NOT_FOUND = 127;
const UNSUPPORTED = new Set([
  'for',
  'while',
  'until',
  'if',
  'case',
  'function',
  '{',
  'do',
  'done',
  'then',
  'fi',
  'esac',
]);

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

class Shell {
  #status = 0;
  #left = false;
  #directory = '/';
  /** Programs of the pipeline that runs: Ctrl-C goes to all of them. */
  #foreground: Started[] = [];

  constructor(readonly process: Process) {}

  *script(text: string): Steps<number> {
    this.process.onInterrupt = () => {
      this.#left = true;
      this.#interrupt();
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
      if (this.#foreground.length > 0) this.#interrupt();
      else if (process.terminal) process.stdout.write(`\n${this.#prompt}`);
    };
    while (!this.#left) {
      if (process.terminal) process.stdout.write(this.#prompt);
      const line = yield* process.stdin.line();
      if (line === undefined) break;
      yield* this.line(line);
    }
    return this.#status;
  }

  #interrupt(): void {
    for (const program of [...this.#foreground]) program.interrupt();
  }

  get #prompt(): string {
    return this.process.machine.flavour === 'busybox'
      ? `${this.#directory} # `
      : `root@${this.process.machine.hostname}:${this.#directory}# `;
  }

  *line(text: string): Steps {
    let pipelines: Pipeline[];
    try {
      pipelines = parse(tokens(text));
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
        const argv = command.words.flatMap((word) => this.#expand(word));
        const output = pipe ?? process.stdout;
        const streams = this.#redirect(command.redirections, { stdin: input, stdout: output, stderr: process.stderr });
        if ('error' in streams) {
          process.stderr.write(`${streams.error}\n`);
          pipe?.end();
          if (last) return 1;
          input = pipe ?? input;
          continue;
        }
        const [first] = argv;
        const builtin = first === undefined ? undefined : this.#builtin(first, argv, streams.stdout);
        if (builtin !== undefined || first === undefined) {
          streams.close();
          pipe?.end();
          if (last && running.length === 0) return builtin ?? 0;
        } else {
          const program: Program = process.machine.program(first) ?? notFound;
          const child = start({
            machine: process.machine,
            argv,
            environment: process.environment,
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

  #redirect(
    redirections: readonly Redirection[],
    streams: { stdin: Pipe; stdout: Output; stderr: Output },
  ): { stdin: Pipe; stdout: Output; stderr: Output; close(): void } | { error: string } {
    const { files } = this.process.machine;
    const closers: (() => void)[] = [];
    const now = { ...streams };
    for (const { file, to, duplicate, append } of redirections) {
      if (duplicate) {
        if (file !== 'stdin') now[file] = to === 'stdout' ? now.stdout : now.stderr;
        continue;
      }
      const [path = ''] = this.#expand(to);
      if (file === 'stdin') {
        const text = files.read(path);
        if (text === undefined) return { error: `sh: can't open ${path}: no such file` };
        now.stdin = new Pipe();
        now.stdin.write(text);
        now.stdin.end();
      } else if (path === '/dev/null') now[file] = NOWHERE;
      else {
        const pieces: Uint8Array[] = [];
        const before = append ? (files.read(path) ?? '') : '';
        if (!files.write(path, before)) return { error: `sh: can't create ${path}: nonexistent directory` };
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
  #builtin(name: string, argv: readonly string[], stdout: Output): number | undefined {
    switch (name) {
      case 'exit':
        this.#left = true;
        return argv[1] === undefined ? this.#status : Number(argv[1]) & 255;
      case 'true':
      case ':':
        return 0;
      case 'false':
        return 1;
      case 'cd':
        this.#directory = argv[1] ?? '/root';
        return 0;
      case 'pwd':
        stdout.write(`${this.#directory}\n`);
        return 0;
      case 'export':
        for (const word of argv.slice(1)) this.#assign(word);
        return 0;
      default:
        return /^[A-Za-z_]\w*=/.test(name) && argv.length === 1 ? this.#assign(name) : undefined;
    }
  }

  #assign(word: string): number {
    const [name = '', ...value] = word.split('=');
    if (word.includes('=')) this.process.environment.set(name, value.join('='));
    return 0;
  }

  /** Quotes off, variables in. An unquoted variable that is empty is no word at all. */
  #expand(word: string): string[] {
    let text = '';
    let quoted = false;
    for (let i = 0; i < word.length; i++) {
      const c = word[i] ?? '';
      if (c === "'") {
        const end = word.indexOf("'", i + 1);
        text += word.slice(i + 1, end);
        i = end;
        quoted = true;
      } else if (c === '"') {
        quoted = true;
        for (i++; i < word.length && word[i] !== '"'; i++) {
          if (word[i] === '\\' && /["\\$`]/.test(word[i + 1] ?? '')) text += word[++i];
          else if (word[i] === '$') {
            const [value, next] = this.#variable(word, i);
            text += value;
            i = next;
          } else text += word[i];
        }
      } else if (c === '\\') text += word[++i] ?? '';
      else if (c === '$') {
        const [value, next] = this.#variable(word, i);
        text += value;
        i = next;
      } else text += c;
    }
    return text === '' && !quoted ? [] : [text];
  }

  /** Its value, and where its name ends. */
  #variable(word: string, at: number): [string, number] {
    const match = /^\$(?:(\w+)|\{(\w+)\}|(\?))/.exec(word.slice(at));
    if (!match) return ['$', at];
    const [whole, plain, braced, status] = match;
    const value = status ? String(this.#status) : (this.process.environment.get(plain ?? braced ?? '') ?? '');
    return [value, at + whole.length - 1];
  }
}

// biome-ignore lint/correctness/useYield: every program is a generator, and this one has nothing to wait for
function* notFound(process: Process): Steps<number> {
  throw new Exit(NOT_FOUND, `sh: ${process.argv[0]}: not found`);
}

/** Lines ended by a backslash go on; a `#` at a word's beginning starts a comment. */
function logicalLines(text: string): string[] {
  return text.replaceAll('\\\n', '').split('\n');
}

/** @throws Exit for what does not end, and for what this shell does not know. */
function tokens(line: string): Token[] {
  const found: Token[] = [];
  let word: string | undefined;
  const end = () => {
    if (word !== undefined) found.push({ kind: 'word', text: word });
    word = undefined;
  };
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? '';
    if (c === "'" || c === '"') {
      let close = i + 1;
      while (close < line.length && line[close] !== c) close += c === '"' && line[close] === '\\' ? 2 : 1;
      if (close >= line.length) throw new Exit(SYNTAX, `sh: syntax error: unterminated quoted string`);
      word = (word ?? '') + line.slice(i, close + 1);
      i = close;
    } else if (c === '\\') {
      word = (word ?? '') + line.slice(i, i + 2);
      i++;
    } else if (/\s/.test(c)) end();
    else if (c === '#' && word === undefined) break;
    else {
      const operator = /^(?:&&|\|\||[12]?>&[12]|[012]?>>|[12]?>|&>|<|\||;|&|\(|\)|`)/.exec(line.slice(i))?.[0];
      // A digit is part of an operator only at a word's beginning.
      if (operator && (!/^\d/.test(operator) || word === undefined)) {
        end();
        found.push({ kind: 'operator', text: operator });
        i += operator.length - 1;
      } else word = (word ?? '') + c;
    }
  }
  end();
  return found;
}

function parse(all: readonly Token[]): Pipeline[] {
  const pipelines: Pipeline[] = [];
  let when: Pipeline['when'] = 'always';
  let command: Command = { words: [], redirections: [] };
  let commands: Command[] = [];
  const unexpected = (text: string) => new Exit(SYNTAX, `sh: syntax error: unexpected "${text}"`);
  const endCommand = (text: string) => {
    if (command.words.length === 0 && command.redirections.length === 0) throw unexpected(text);
    commands.push(command);
    command = { words: [], redirections: [] };
  };
  const endPipeline = (text: string) => {
    endCommand(text);
    pipelines.push({ when, commands });
    commands = [];
  };
  for (let i = 0; i < all.length; i++) {
    const token = all[i];
    if (!token) break;
    const { kind, text } = token;
    if (kind === 'word') {
      if (command.words.length === 0 && UNSUPPORTED.has(text))
        throw new Exit(SYNTAX, `sh: "${text}" is not supported by this shell: it runs one-liners`);
      command.words.push(text);
      continue;
    }
    if (text === '|') endCommand(text);
    else if (text === ';' || text === '&&' || text === '||') {
      endPipeline(text);
      when = text === ';' ? 'always' : text === '&&' ? 'success' : 'failure';
    } else if (text.includes('>&')) {
      command.redirections.push({
        file: text.startsWith('2') ? 'stderr' : 'stdout',
        to: text.endsWith('1') ? 'stdout' : 'stderr',
        duplicate: true,
        append: false,
      });
    } else if (text.endsWith('>') || text === '<') {
      const target = all[++i];
      if (target?.kind !== 'word') throw unexpected(target?.text ?? 'newline');
      const append = text.endsWith('>>');
      if (text === '&>') {
        command.redirections.push(
          { file: 'stdout', to: target.text, duplicate: false, append },
          { file: 'stderr', to: 'stdout', duplicate: true, append },
        );
      } else {
        const file = text === '<' ? 'stdin' : text.startsWith('2') ? 'stderr' : 'stdout';
        command.redirections.push({ file, to: target.text, duplicate: false, append });
      }
    } else throw new Exit(SYNTAX, `sh: "${text}" is not supported by this shell: it runs one-liners`);
  }
  if (command.words.length > 0 || command.redirections.length > 0) endPipeline('newline');
  else if (commands.length > 0 || (when !== 'always' && all.length > 0)) throw unexpected('newline');
  return pipelines;
}
