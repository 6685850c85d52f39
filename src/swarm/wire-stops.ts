/** The firewall's entries on the wire: access lists of the segments that the nodes are on, and what they stopped. */

import type { Denial, Device, Namespace } from '../engine/index.js';
import { portText, type Stop, type Wire } from './firewall.js';

/** What an entry has stopped so far. */
export interface Stopped extends Stop {
  frames: number;
}

export class WireStops implements Wire {
  readonly #denials = new Map<string, { stop: Stop; denials: Denial[] }>();
  /** Of entries that are gone, too. */
  readonly #counted = new Map<string, Stopped>();

  constructor(readonly hostOf: (node: string) => Namespace) {}

  deny(stop: Stop): void {
    const { from, to, protocol, port } = stop;
    const denials = this.#nics(to).flatMap((nic) => {
      const senders = from === undefined ? [undefined] : this.#nics(from).filter((one) => one.sharesWire(nic));
      return senders.map((sender) =>
        nic.deny({ protocol, ...(port === undefined ? {} : { port }), ...(sender ? { from: sender } : {}) }),
      );
    });
    this.#denials.set(keyOf(stop), { stop, denials });
  }

  allow(stop: Stop): void {
    const found = this.#denials.get(keyOf(stop));
    if (!found) return;
    this.#denials.delete(keyOf(stop));
    this.#counted.set(keyOf(stop), { ...stop, frames: this.#framesOf(stop, found.denials) });
    for (const denial of found.denials) denial.remove();
  }

  /** Every entry that there is or was, with what it has stopped. */
  get stopped(): Stopped[] {
    const now = [...this.#denials].map(([key, { stop, denials }]): [string, Stopped] => [
      key,
      { ...stop, frames: this.#framesOf(stop, denials) },
    ]);
    return [...new Map([...this.#counted, ...now]).values()];
  }

  #framesOf(stop: Stop, denials: readonly Denial[]): number {
    const before = this.#counted.get(keyOf(stop))?.frames ?? 0;
    return denials.reduce((sum, { packets }) => sum + packets, before);
  }

  #nics(node: string): Device[] {
    return [...this.hostOf(node).devices.values()].filter(({ kind }) => kind === 'physical');
  }
}

function keyOf(stop: Stop): string {
  return `${stop.from ?? '*'} ${stop.to} ${portText(stop)}`;
}
