/** What a way through a node is to the benchmark, whatever leads along it. */

import type { Datagram, Device, Engine } from '../src/engine/index.js';

/** A swarm, the device where frames come in, and what came out. */
export interface Way {
  engine: Engine;
  into: Device;
  /** The frame of flow `i`, with `size` bytes. */
  make(i: number, size: number): Uint8Array;
  /** What comes in before, once, where these are answers: somebody else's frames, at another device. */
  first?: Pick<Way, 'into' | 'make'>;
  /** How many came out so far. */
  arrived(): number;
  settle(): void;
  /** All that came out since it was asked last, in order: who got what from whom. The first time it only begins to watch. */
  seen(): string[];
  /** Where it is known what comes out for a frame; else it is what comes out without the flow table. */
  expected?(frame: Uint8Array): string;
  /** How often a packet takes the fast way, if not once: before the cipher and behind it. */
  parts?: number;
  /** What is timed beside the frames' coming in. */
  work?(): void;
}

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

/** Data that tells whose it is, as far as there is room. */
export function numbered(i: number, length: number): Uint8Array {
  const data = new Uint8Array(length).fill(0x78);
  for (let at = 0; at < Math.min(4, length); at++) data[at] = i >>> (8 * at);
  return data;
}

/** What arrives, counted, and kept once somebody has asked for it. */
export class Seen {
  datagrams = 0;
  #kept: string[] | undefined;

  keep(what: () => string): void {
    this.#kept?.push(what());
  }
  datagram(who: string, { data, from }: Datagram): void {
    this.datagrams++;
    this.#kept?.push(`${who} ${from.address} ${from.port} ${hex(data)}`);
  }
  taken(): string[] {
    const kept = this.#kept ?? [];
    this.#kept = [];
    return kept;
  }
}
