/** What JavaScript wants to do at a time to come: a process' timeouts. In order of time, then of setting. */

interface Timer {
  time: number;
  then: (time: number) => void;
}

export class Timers {
  /** Sorted; the next one stands last. */
  readonly #waiting: Timer[] = [];

  /** When the next one is due, ns; Infinity without any. */
  get next(): number {
    return this.#waiting.at(-1)?.time ?? Number.POSITIVE_INFINITY;
  }

  set(time: number, then: Timer['then']): () => void {
    const timer = { time, then };
    // Before every later one and every one of the same time, which was set earlier.
    let low = 0;
    let high = this.#waiting.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#waiting[middle]?.time ?? 0) > time) low = middle + 1;
      else high = middle;
    }
    this.#waiting.splice(low, 0, timer);
    return () => {
      const at = this.#waiting.indexOf(timer);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
  }

  /** Calls the ones that are due at `now`, those included that they set for `now`. False: there were none. */
  ring(now: number): boolean {
    let rang = false;
    while (this.next <= now) {
      const timer = this.#waiting.pop();
      timer?.then(timer.time);
      rang = true;
    }
    return rang;
  }
}
