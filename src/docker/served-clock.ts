/**
 * A served swarm's time: it follows the wall clock while somebody looks on; while somebody only waits for something to end, it runs
 * ahead. What is told of times counts from the wall clock's now, however far ahead the simulation has run.
 */

const MILLISECOND = 1_000_000;
/** Wall clock between two looks at it, while somebody looks on, and while nobody does. */
const TICK = 10;
const IDLE_TICK = 100;
/** Virtual time by which a run ahead steps, and that it gives up after. */
const STEP = 5 * MILLISECOND;
const MOST_AHEAD = 600_000 * MILLISECOND;

/** What has virtual time (ns), and is brought up to a moment of it. */
interface Simulation {
  readonly now: number;
  run(until: number): void;
}

export class ServedClock {
  /** Wall clock (ms) at virtual time 0; runs ahead move it back. */
  #zero: number;
  /** Virtual time runs that many times as fast as the wall clock. */
  speed = 1;
  #watching = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly simulation: Simulation,
    /** Wall clock, ms since 1970. */
    private readonly now: () => number,
  ) {
    this.#zero = now();
  }

  /** Nanoseconds since 1970 of a moment of virtual time. */
  at(virtual: number): bigint {
    return BigInt(Math.round(this.#zero)) * 1_000_000n + BigInt(Math.round(virtual));
  }

  open(): void {
    let last = this.now();
    // Standing up has taken virtual time of its own.
    this.#runAhead(last);
    const tick = () => {
      const now = this.now();
      this.#zero -= (now - last) * (this.speed - 1);
      last = now;
      this.catchUp();
      this.#timer = setTimeout(tick, this.#watching > 0 ? TICK : IDLE_TICK);
    };
    tick();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Virtual time comes up to the wall clock's. */
  catchUp(): void {
    const target = (this.now() - this.#zero) * MILLISECOND;
    if (target > this.simulation.now) this.simulation.run(target);
  }

  /** Somebody looks on from now on: output comes at the pace of the wall clock. Returns what ends it. */
  look(): () => void {
    let over = false;
    this.#watching++;
    this.catchUp();
    clearTimeout(this.#timer);
    this.open();
    return () => {
      if (!over) this.#watching--;
      over = true;
    };
  }

  /**
   * Waits until `done` holds: virtual time runs ahead, unless somebody looks on or nobody wants that (`ahead`). False: it does not
   * come to that.
   */
  async until(done: () => boolean, gone: () => boolean, ahead: boolean): Promise<boolean> {
    this.catchUp();
    const from = this.simulation.now;
    while (!done()) {
      if (gone()) return false;
      if (this.#watching > 0 || !ahead) {
        await new Promise((resolve) => setTimeout(resolve, TICK));
        continue;
      }
      if (this.simulation.now - from > MOST_AHEAD) {
        // Nothing that could be hurried: it waits like everybody else.
        await new Promise((resolve) => setTimeout(resolve, IDLE_TICK));
        continue;
      }
      for (let i = 0; i < 200 && !done(); i++) this.simulation.run(this.simulation.now + STEP);
      this.#runAhead(this.now());
      // Others have their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return true;
  }

  /** Where virtual time has come to is the wall clock's now. */
  #runAhead(now: number): void {
    this.#zero = Math.min(this.#zero, now - this.simulation.now / MILLISECOND);
  }
}
