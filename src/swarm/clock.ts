/** When things happen that take time. While a swarm is stood up none does. */

export interface Clock {
  /** Do things take time now? */
  readonly standing: boolean;
  /** Virtual time, ns. */
  readonly now: number;
  /** Calls `then` in `delay` ns, or at once while nothing takes time; returns what calls it off. */
  after(delay: number, then: () => void): () => void;
}

/** Nothing takes time. */
export class NoTime implements Clock {
  readonly now = 0;
  readonly standing = false;
  after(_delay: number, then: () => void): () => void {
    then();
    return () => {};
  }
}

/** An engine's virtual time, once the swarm stands. */
export class EngineClock implements Clock {
  standing = false;
  constructor(readonly engine: { now: number; at(time: number, then: () => void): () => void }) {}
  get now(): number {
    return this.engine.now;
  }
  after(delay: number, then: () => void): () => void {
    if (!this.standing) {
      then();
      return () => {};
    }
    return this.engine.at(this.now + delay, then);
  }
}
