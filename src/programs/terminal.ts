/**
 * A terminal's line discipline (drivers/tty/n_tty.c), as a shell leaves it: what is typed is echoed and gathers into lines,
 * Backspace takes back, arrows bring earlier lines back, Ctrl-C interrupts, Ctrl-D ends; what is printed gets a carriage return before each line feed.
 */

import type { Output, Pipe } from './stream.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const INTERRUPT = '\x03';
const END = '\x04';
const KILL_LINE = '\x15';
const KILL_WORD = '\x17';
const ESCAPE = '\x1b';

export class Terminal implements Output {
  #line = '';
  /** What has come of an escape sequence. */
  #escape = '';
  readonly #history: string[] = [];
  /** So many lines back from the one that is being typed. */
  #back = 0;

  constructor(
    private readonly screen: Output,
    private readonly input: Pipe,
    private readonly onInterrupt: () => void,
  ) {}

  /** From the program. */
  write(data: string | Uint8Array): void {
    const text = typeof data === 'string' ? data : decoder.decode(data);
    this.screen.write(encoder.encode(text.replaceAll(/\r?\n/g, '\r\n')));
  }

  /** From the keyboard. */
  type(data: Uint8Array): void {
    for (const key of decoder.decode(data)) {
      if (this.#escape !== '' || key === ESCAPE) this.#inEscape(key);
      else this.#key(key);
    }
  }

  #key(key: string): void {
    if (key === '\r' || key === '\n') {
      this.#echo('\r\n');
      this.input.write(`${this.#line}\n`);
      if (this.#line !== '' && this.#line !== this.#history.at(-1)) this.#history.push(this.#line);
      this.#back = 0;
      this.#line = '';
    } else if (key === '\x7f' || key === '\b') {
      if (this.#line === '') return;
      this.#line = this.#line.slice(0, -1);
      this.#echo('\b \b');
    } else if (key === INTERRUPT) {
      this.#echo('^C');
      this.#line = '';
      this.onInterrupt();
    } else if (key === END) {
      if (this.#line === '') this.input.endOnce();
      else {
        this.input.write(this.#line);
        this.#line = '';
      }
    } else if (key === KILL_LINE) {
      this.#replace('');
    } else if (key === KILL_WORD) {
      this.#replace(this.#line.replace(/\S+\s*$/, ''));
    } else if (key >= ' ' || key === '\t') {
      this.#line += key;
      this.#echo(key);
    }
  }

  /** ESC [ letter. Up and down bring lines back, as a shell's editor does; nobody moves within a line. */
  #inEscape(key: string): void {
    this.#escape += key;
    if (/^(?:$|[[O][\d;]*$)/.test(this.#escape.slice(ESCAPE.length))) return;
    const last = this.#escape.at(-1);
    this.#escape = '';
    if (last === 'A' && this.#back < this.#history.length) this.#back++;
    else if (last === 'B' && this.#back > 0) this.#back--;
    else return;
    this.#replace(this.#back === 0 ? '' : (this.#history.at(-this.#back) ?? ''));
  }

  #replace(line: string): void {
    this.#echo('\b \b'.repeat(this.#line.length) + line);
    this.#line = line;
  }

  #echo(text: string): void {
    this.screen.write(encoder.encode(text));
  }
}
