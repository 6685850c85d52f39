/**
 * The keys of a swarm's encrypted overlays (swarmkit manager/keymanager): 16 random bytes each, three at a time. A key's tag
 * is its Lamport time; the clock starts at a random 16-bit number and also ticks for the gossip's keys. Every twelve hours
 * the oldest key goes and a new one comes.
 */

import type { Draw } from '../topology/draw.js';
import type { EncryptionKey } from '../topology/topology.js';

/** DefaultKeyRotationInterval, ns. */
export const ROTATION_INTERVAL = 12 * 3600 * 1e9;
const RING_SIZE = 3;
const KEY_LENGTH = 16;

export class KeyRing {
  #clock: number;
  #keys: EncryptionKey[];

  constructor(
    readonly draw: Draw,
    keys?: readonly EncryptionKey[],
  ) {
    if (keys && keys.length > 0) {
      this.#keys = [...keys].sort((a, b) => a.tag - b.tag);
      this.#clock = this.#keys.at(-1)?.tag ?? 0;
      return;
    }
    const start = draw.between(0, 0xffff);
    // Two subsystems get theirs one after the other, and either may be first (a Go map's order).
    const first = start + 1 + (draw.between(0, 1) === 0 ? 0 : RING_SIZE);
    this.#keys = Array.from({ length: RING_SIZE }, (_, i) => this.#make(first + i));
    this.#clock = start + 2 * RING_SIZE;
  }

  /** The oldest first. */
  get keys(): readonly EncryptionKey[] {
    return this.#keys;
  }

  /** The oldest key goes, a new one comes. */
  rotate(): readonly EncryptionKey[] {
    const tag = this.#clock + this.draw.between(1, 2);
    this.#clock += 2;
    this.#keys = [...this.#keys.slice(this.#keys.length >= RING_SIZE ? 1 : 0), this.#make(tag)];
    return this.#keys;
  }

  #make(tag: number): EncryptionKey {
    return { key: this.draw.hex(2 * KEY_LENGTH), tag };
  }
}
