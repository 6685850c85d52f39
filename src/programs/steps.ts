/**
 * How a program waits: it is a generator that yields what it waits for and goes on, at that very virtual time, when it
 * comes. No promise, so no turn of JavaScript's own queue lies between an event and what a program does about it: the same
 * input gives the same frames at the same times. To stop a program is to make its generator return: its `finally` runs.
 */

import type { Freezer } from './freezer.js';

/** Begins to wait; `resume` is to be called once. What it returns calls the waiting off. */
export type Wait = (resume: () => void) => (() => void) | undefined;

/** A program, or a part of one, that comes to a `T`. */
export type Steps<T = void> = Generator<Wait, T, void>;

/** Waits for one value: `const answer = yield* until<string>((done) => …)`. */
export function* until<T>(begin: (done: (value: T) => void) => (() => void) | undefined): Steps<T> {
  let result: { value: T } | undefined;
  yield (resume) =>
    begin((value) => {
      if (result) return;
      result = { value };
      resume();
    });
  if (!result) throw new Error('a program went on before what it waited for had come');
  return result.value;
}

/** One that runs. */
export class Task<T = void> {
  #result: { value: T } | { error: unknown } | undefined;
  #callOff: (() => void) | undefined;
  #running = false;
  #again = false;
  #stopped = false;
  readonly #watchers: (() => void)[] = [];

  /** Begins at once, and runs as far as it gets without waiting. */
  constructor(
    private readonly steps: Steps<T>,
    private readonly freezer?: Freezer,
  ) {
    this.#advance();
  }

  get done(): boolean {
    return this.#result !== undefined;
  }

  /** Throws what the program threw. */
  get value(): T | undefined {
    if (this.#result && 'error' in this.#result) throw this.#result.error;
    return this.#result?.value;
  }

  /** At once if it is over. */
  whenDone(then: () => void): void {
    if (this.done) then();
    else this.#watchers.push(then);
  }

  /** Ends it where it waits; `value` stands for its result. */
  stop(value: T): void {
    if (this.done || this.#stopped) return;
    this.#stopped = true;
    if (this.#running) return;
    this.#callOff?.();
    this.#callOff = undefined;
    try {
      this.steps.return(value);
      this.#finish({ value });
    } catch (error) {
      this.#finish({ error });
    }
  }

  #advance(): void {
    if (this.done) return;
    if (this.#running) {
      // Resumed from within what it does: it goes on when it waits.
      this.#again = true;
      return;
    }
    this.#running = true;
    try {
      do {
        this.#again = false;
        this.#callOff = undefined;
        const { done, value } = this.steps.next();
        if (done) {
          this.#finish({ value });
          return;
        }
        let resumed = false;
        const callOff = value(() => {
          if (resumed) return;
          resumed = true;
          if (this.freezer?.frozen) this.freezer.hold(() => this.#advance());
          else this.#advance();
        });
        if (!this.#again) this.#callOff = callOff;
      } while (this.#again);
    } catch (error) {
      this.#finish({ error });
    } finally {
      this.#running = false;
    }
    if (this.#stopped && !this.done) {
      this.#stopped = false;
      this.stop(undefined as T);
    }
  }

  #finish(result: { value: T } | { error: unknown }): void {
    this.#result = result;
    for (const then of this.#watchers.splice(0)) then();
  }
}

/** Waits for another. Stopped while it waits, it stops the other, too. */
export function* join<T>(task: Task<T>): Steps<T> {
  try {
    if (!task.done) {
      yield (resume) => {
        task.whenDone(resume);
        return undefined;
      };
    }
  } finally {
    if (!task.done) task.stop(undefined as T);
  }
  return task.value as T;
}

/** What comes from several sides, in its order: replies, timeouts, signals. */
export class Mailbox<T> {
  readonly #waiting: T[] = [];
  #resume: (() => void) | undefined;

  put(letter: T): void {
    this.#waiting.push(letter);
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  *take(): Steps<T> {
    while (this.#waiting.length === 0) {
      yield (resume) => {
        this.#resume = resume;
        return () => {
          this.#resume = undefined;
        };
      };
    }
    return this.#waiting.shift() as T;
  }
}
