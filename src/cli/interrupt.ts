/** Ctrl-C while something long runs: it is noted, so that what was begun can be brought to an end. A second one ends at once. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export class Interrupt {
  came = false;
  readonly #note = () => {
    this.came = true;
    this.end();
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#note);
  }

  /** From now on signals do what they do of themselves. */
  end(): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.#note);
  }
}
