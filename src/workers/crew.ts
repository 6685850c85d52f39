/**
 * Worker threads, an engine each (`worker.ts`). They can be started as soon as it is known how many there are to be: they load
 * while whoever has started them finds out what they are to do.
 */

import { Worker } from 'node:worker_threads';
import type { Done, Job, Told } from './worker.js';

/**
 * Modules of worker.ts in one file, compiled when it was made (scripts/bundle-worker.mjs): a thread loads that in a fraction of the
 * time. Drivers of a third party import ours one by one, and are to meet the same ones.
 */
const BUNDLE = './thread.cjs';
const MODULES = './worker.js';

/** What all have in common, and what is not the crew's own business. */
type CommonJob = Omit<Job, 'drivers' | 'count' | 'index'>;

/** The system refuses a thread. */
export class ThreadError extends Error {
  override name = 'ThreadError';
}

export class Crew {
  readonly #threads: Worker[] = [];
  /** Why each has ended before it was done. */
  readonly #ends: readonly Promise<never>[];

  /** `drivers`: modules of a third party's, as URLs. */
  constructor(
    count: number,
    readonly drivers: readonly string[],
  ) {
    const entry = new URL(drivers.length > 0 ? MODULES : BUNDLE, import.meta.url);
    try {
      while (this.#threads.length < count) this.#threads.push(new Worker(entry));
    } catch (error) {
      // The system has no more of them.
      void this.dismiss();
      throw new ThreadError(
        `thread ${this.#threads.length + 1} of ${count} cannot be started: ${(error as Error).message}`,
      );
    }
    this.#ends = this.#threads.map(endOf);
    // It is told to whoever waits for what comes of them.
    for (const end of this.#ends) end.catch(() => {});
  }

  get size(): number {
    return this.#threads.length;
  }

  /** What comes of the jobs; `hear` is called with all that is told. */
  work(job: CommonJob, hear: (engine: number, told: Told) => void): Promise<Done[]> {
    const { drivers, size: count } = this;
    const done = this.#threads.map(
      (thread, engine) =>
        new Promise<Done>((resolve, reject) => {
          thread.on('message', (told: Told) => {
            try {
              hear(engine, told);
              if (told.kind === 'done') resolve(told.done);
              if (told.kind === 'failed') reject(Object.assign(new Error(told.message), { name: told.name }));
            } catch (error) {
              reject(error);
            }
          });
          thread.postMessage({ ...job, drivers, count, index: engine } satisfies Job);
        }),
    );
    return Promise.all(done.map((one, engine) => Promise.race([one, this.#ends[engine] as Promise<never>])));
  }

  /** To all of them. */
  send(message: unknown): void {
    for (const thread of this.#threads) thread.postMessage(message);
  }

  /** Ends them; done when they are gone. */
  async dismiss(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function endOf(thread: Worker): Promise<never> {
  return new Promise((_, reject) => {
    thread.on('error', reject);
    thread.on('exit', (code) => reject(new Error(`a worker ended early, with ${code}`)));
  });
}
