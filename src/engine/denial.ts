/** An entry of the access list between a segment and one of its devices: what the wire does not bring there. */

import type { Device } from './device.js';
import { Denial as Layout } from './generated/layout.js';
import { port as wirePort } from './wire.js';

const NUMBERS = { tcp: 6, udp: 17, esp: 50 } as const;

export interface DenialSpec {
  protocol: keyof typeof NUMBERS;
  /** Destination port; without it any. */
  port?: number;
  /** The device on the same segment whose frames it stops; without it everybody's. */
  from?: Device;
}

export class Denial {
  readonly #at: number;

  constructor(
    readonly to: Device,
    readonly spec: DenialSpec,
  ) {
    const { protocol, port, from } = spec;
    const { exports } = to.engine;
    this.#at = exports.deny(to.at, from?.at ?? 0, NUMBERS[protocol], port === undefined ? 0 : wirePort(port)) >>> 0;
  }

  /** Frames that it has stopped. */
  get packets(): number {
    return this.to.engine.memory.get(this.#at, Layout.packets);
  }

  remove(): void {
    this.to.engine.exports.allow(this.to.at, this.#at);
  }
}
