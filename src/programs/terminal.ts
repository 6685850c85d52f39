/**
 * A terminal's line discipline (drivers/tty/n_tty.c), as a shell leaves it: what is typed is echoed and gathers into lines,
 * Backspace takes back, Ctrl-C interrupts, Ctrl-D ends; what is printed gets a carriage return before each line feed.
 */

import type { Output, Pipe } from './stream.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const INTERRUPT = '\x03';
const END = '\x04';
const KILL_LINE = '\x15';

export class Terminal implements Output {
  #line = '';

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
    for (const key of decoder.decode(data)) this.#key(key);
  }

  #key(key: string): void {
    if (key === '\r' || key === '\n') {
      this.#echo('\r\n');
      this.input.write(`${this.#line}\n`);
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
      if (this.#line === '') this.input.end();
      else {
        this.input.write(this.#line);
        this.#line = '';
      }
    } else if (key === KILL_LINE) {
      this.#echo('\b \b'.repeat(this.#line.length));
      this.#line = '';
    } else if (key >= ' ' || key === '\t') {
      this.#line += key;
      this.#echo(key);
    }
  }

  #echo(text: string): void {
    this.screen.write(encoder.encode(text));
  }
}
