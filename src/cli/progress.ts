/** One line on the terminal that says how far a long run has come. Short runs, and runs that nobody watches, have none. */

import type { Progress } from '../swarm/swarm.js';
import { count, scaled } from './load-text.js';

const WAIT = 1000;
const PAUSE = 100;
const WIDTH = 24;

export class ProgressLine {
  readonly #shown: boolean;
  readonly #write: (text: string) => void;
  readonly #clock: () => number;
  readonly #started: number;
  /** What is counted at the moment, since when, and how much of it there was then. */
  #counting = { what: '', total: 0, since: 0, from: 0 };
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

  show({ flows, of, packets, ofPackets }: Progress): void {
    if (packets !== undefined && ofPackets !== undefined) this.update(packets, ofPackets, 'packets');
    else this.update(flows, of, 'flows');
  }

  update(done: number, total: number, what: string): void {
    const now = this.#clock();
    const { what: before, total: of } = this.#counting;
    if (before !== what || of !== total) this.#counting = { what, total, since: now, from: done };
    if (!this.#shown || now - this.#started < WAIT || now - this.#last < PAUSE) return;
    this.#last = now;
    const full = total === 0 ? WIDTH : Math.round((WIDTH * done) / total);
    this.#write(
      `\r${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${count(done)} of ${count(total)} ${what}${this.#speed(done, now)}\x1b[K`,
    );
    this.#drawn = true;
  }

  /** How fast, and how long it takes at that rate; once that can be said. */
  #speed(done: number, now: number): string {
    const { total, since, from } = this.#counting;
    const seconds = (now - since) / 1000;
    if (done <= from || seconds < WAIT / 1000) return '';
    const rate = (done - from) / seconds;
    return `, ${scaled(rate)}/s, ${remaining((total - done) / rate)} left`.replace(' /s', '/s');
  }

  clear(): void {
    if (this.#drawn) this.#write('\r\x1b[K');
    this.#drawn = false;
  }
}

function remaining(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
