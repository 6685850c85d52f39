/**
 * A shell in a container, typed into by the real client on a real terminal. The terminal is script(1)'s, which Linux, macOS and
 * the BSDs bring along.
 */

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { type ClientOptions, clientEnvironment } from '../client.js';

/** A shell that waits: `/ # `, `root@9ae1:/# `, `bash-5.2# `, `zk: localhost:2181(CONNECTED) 0] `. */
const WAITING = /(?:^|\n)(?:(?:\/[\w/.-]*|~) ?[#$] |\[?root@[\w.-]+[: ][^\n#]*[#$] |\w*sh-[\d.]+[#$] )$/;
/** ms of silence after a prompt, of a terminal that shows none, and of a client that has shown nothing yet: it may still be starting. */
const QUIET = 25;
const SILENT = 1500;
const STARTING = 6000;
const DETACH = '\x10\x11';

export function hasTerminals(): boolean {
  return (
    spawnSync('script', ['--version'], { stdio: 'ignore', timeout: 20_000, killSignal: 'SIGKILL' }).error === undefined
  );
}

export class Session {
  readonly #child: ChildProcessWithoutNullStreams;
  #buffer = '';
  #status: number | undefined;
  #stirred: () => void = () => {};
  /** To a shell that has prompted already: it says nothing. */
  readonly #attaches: boolean;

  constructor(
    argv: readonly string[],
    /** The container, as the guide names it, and its node. */
    readonly container: string,
    readonly node: string,
    url: string,
    options: ClientOptions,
  ) {
    this.#attaches = argv.includes('attach');
    const line = `stty cols 500; exec ${argv.map(quoted).join(' ')}`;
    // util-linux takes the command as an option, the BSDs as arguments.
    const words = process.platform === 'linux' ? ['-qefc', line, '/dev/null'] : ['-q', '/dev/null', 'sh', '-c', line];
    this.#child = spawn('script', words, {
      cwd: options.directory,
      env: { ...clientEnvironment(url, options), SHELL: '/bin/sh', TERM: 'dumb' },
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (data: Buffer) => {
      this.#buffer += plain(data.toString());
      this.#stirred();
    });
    this.#child.on('error', (error) => {
      this.#buffer += `${error.message}\n`;
      this.#ended(127);
    });
    this.#child.on('close', (code) => this.#ended(code ?? 137));
  }

  /** Its exit status, once it is over. */
  get status(): number | undefined {
    return this.#status;
  }

  #ended(status: number): void {
    this.#status ??= status;
    this.#stirred();
  }

  /** Waits until the shell prompts, or is over, or has been silent for so long; gives what has been printed. */
  async settled({
    silence,
    first = silence,
    limit,
    enough = () => false,
  }: {
    silence: number;
    first?: number;
    limit: number;
    enough?: (output: string) => boolean;
  }): Promise<string> {
    const until = Date.now() + limit;
    while (this.#status === undefined && Date.now() < until) {
      const waiting = WAITING.test(this.#buffer);
      const before = this.#buffer.length;
      const patience = waiting ? QUIET : before === 0 ? first : silence;
      await this.#stir(Math.min(patience, Math.max(1, until - Date.now())));
      if (this.#buffer.length !== before) {
        if (enough(this.#buffer)) break;
        continue;
      }
      if (waiting || this.#status !== undefined || silence < limit) break;
    }
    const output = this.#buffer.replace(WAITING, (prompt) => (prompt.startsWith('\n') ? '\n' : ''));
    this.#buffer = '';
    return output;
  }

  /** Something comes, or so many ms pass. */
  #stir(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#stirred(), ms);
      this.#stirred = () => {
        clearTimeout(timer);
        this.#stirred = () => {};
        resolve();
      };
    });
  }

  opened(): Promise<string> {
    return this.settled({ silence: SILENT, first: this.#attaches ? SILENT : STARTING, limit: 20_000 });
  }

  /** Types a line; what comes is its output, without the echo. */
  async type(line: string, limit: number, enough: (output: string) => boolean): Promise<string> {
    this.#child.stdin.write(`${line}\n`);
    let output = await this.settled({ silence: limit, limit, enough });
    if (this.#status === undefined && !/^exit\b/.test(line) && enough(output)) {
      this.#child.stdin.write('\x03');
      output += await this.settled({ silence: SILENT, limit: 2000 });
    }
    return output.replace(/^[^\n]*\n?/, '');
  }

  detach(): void {
    this.#child.stdin.write(DETACH);
  }

  kill(): void {
    if (this.#status === undefined) this.#child.kill('SIGKILL');
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Without a terminal's escapes and carriage returns. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what escapes are made of
  return text.replaceAll(/\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])/g, '').replaceAll('\r', '');
}
