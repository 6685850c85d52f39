/**
 * Rotation of the keys of encrypted overlays while a swarm runs: the managers make a new key every twelve hours of virtual
 * time, or when they are asked to, and each node hears of it a moment later, in an order of chance. Until all have, and
 * because three keys are known at a time, nobody is sent what it cannot open.
 */

import { encryptionIn } from '../drivers/overlay-encryption.js';
import { Draw } from '../topology/draw.js';
import type { EncryptionKey } from '../topology/topology.js';
import { KeyRing, ROTATION_INTERVAL } from './key-ring.js';
import type { Realized } from './realize.js';

/** A node hears of a new key within this, ns. */
const NEWS = 100_000_000;

export class KeyRotation {
  readonly #ring: KeyRing;
  readonly #draw: Draw;

  /** Draws from a stream of its own, so that nothing else in the run depends on it. */
  constructor(
    readonly realized: Realized,
    keys: readonly EncryptionKey[],
    seed: number,
  ) {
    this.#draw = new Draw(seed ^ 0x6b65_7973);
    this.#ring = new KeyRing(this.#draw, keys);
    this.#schedule();
  }

  get keys(): readonly EncryptionKey[] {
    return this.#ring.keys;
  }

  /** Now, whatever the schedule says. */
  rotate(): void {
    const { engine, topology, namespaces } = this.realized;
    const keys = [...this.#ring.rotate()];
    topology.keys = keys;
    for (const { name } of topology.nodes) {
      engine.at(engine.now + this.#draw.between(0, NEWS), () => {
        const host = namespaces.get(`${name}/host`);
        if (host) encryptionIn(host)?.rotate(keys);
      });
    }
  }

  #schedule(): void {
    const { engine } = this.realized;
    engine.at(engine.now + ROTATION_INTERVAL, () => {
      this.rotate();
      this.#schedule();
    });
  }
}
