/** Standard input, output and error: bytes that one side writes and the other reads. */

import { joined } from '../bytes.js';
import type { Steps } from './steps.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Stands for an end of file among what was written. */
const END = new Uint8Array();

export interface Output {
  write(data: string | Uint8Array): void;
}

/** A pipe. It takes whatever is written; who reads waits for it. */
export class Pipe implements Output {
  readonly #pieces: Uint8Array[] = [];
  #ended = false;
  #wake: (() => void) | undefined;
  #rest = '';

  write(data: string | Uint8Array): void {
    if (this.#ended || data.length === 0) return;
    this.#pieces.push(typeof data === 'string' ? encoder.encode(data) : data);
    this.#ring();
  }

  /** Ctrl-D: who reads is told that this is the end, once; whoever reads after that waits for more. */
  endOnce(): void {
    if (this.#ended) return;
    this.#pieces.push(END);
    this.#ring();
  }

  /** Nothing more will come. */
  end(): void {
    this.#ended = true;
    this.#ring();
  }

  get ended(): boolean {
    return this.#ended && this.#pieces.length === 0;
  }

  #ring(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** The next piece; undefined at the end. */
  *read(): Steps<Uint8Array | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#ended) return undefined;
      yield (resume) => {
        this.#wake = resume;
        return () => {
          this.#wake = undefined;
        };
      };
    }
    const piece = this.#pieces.shift();
    return piece === END ? undefined : piece;
  }

  /** The next line without its end; undefined at the end. */
  *line(): Steps<string | undefined> {
    while (true) {
      const at = this.#rest.indexOf('\n');
      if (at >= 0) {
        const line = this.#rest.slice(0, at);
        this.#rest = this.#rest.slice(at + 1);
        return line;
      }
      const piece = yield* this.read();
      if (piece === undefined) {
        const line = this.#rest;
        this.#rest = '';
        return line === '' ? undefined : line;
      }
      this.#rest += decoder.decode(piece, { stream: true });
    }
  }

  /** All there is until the end. */
  *text(): Steps<string> {
    let text = this.#rest;
    this.#rest = '';
    while (true) {
      const piece = yield* this.read();
      if (piece === undefined) return text;
      text += decoder.decode(piece, { stream: true });
    }
  }

  /** What was written so far and not read yet. */
  taken(): Uint8Array {
    return joined(this.#pieces.splice(0));
  }
}

/** Writes into nothing. */
export const NOWHERE: Output = { write: () => {} };
