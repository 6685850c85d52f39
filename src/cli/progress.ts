/** One line on the terminal that says how far a long run has come. Short runs, and runs that nobody watches, have none. */

const WAIT = 1000;
const PAUSE = 100;
const WIDTH = 24;

export class ProgressLine {
  readonly #shown: boolean;
  readonly #write: (text: string) => void;
  readonly #clock: () => number;
  readonly #started: number;
  #last = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(
    shown: boolean,
    write: (text: string) => void = (text) => process.stderr.write(text),
    clock: () => number = () => performance.now(),
  ) {
    this.#shown = shown;
    this.#write = write;
    this.#clock = clock;
    this.#started = clock();
  }

  update(done: number, total: number, what: string): void {
    const now = this.#clock();
    if (!this.#shown || now - this.#started < WAIT || now - this.#last < PAUSE) return;
    this.#last = now;
    const full = total === 0 ? WIDTH : Math.round((WIDTH * done) / total);
    this.#write(`\r${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${done} of ${total} ${what}\x1b[K`);
    this.#drawn = true;
  }

  clear(): void {
    if (this.#drawn) this.#write('\r\x1b[K');
    this.#drawn = false;
  }
}
