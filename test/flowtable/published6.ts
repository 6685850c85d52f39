/** Over IPv6: a port that a bridge publishes, with the flow table or without: who says what there, and what can be seen of it. */

import { expect } from 'vitest';
import { Bridge, type Ends, TARGET } from '../../bench/bridge.js';
import { ACK, SYN, segment } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { udp } from '../../bench/headers.js';
import { STRIDE } from '../../bench/mesh.js';
import { hex } from '../../bench/way.js';
import type { Device } from '../../src/engine/index.js';
import { books, digest, slowFrames, state } from './seen.js';

const module = await checkedModule();
export const MOST = 128;
const NOTHING = new Uint8Array();
/** On the node's wire, each with a neighbour's entry, and behind nobody. */
export const [NEAR, NEXT, FAR] = ['fd00:99::a:1', 'fd00:99::a:2', 'fd00:98::9'];

export class Life {
  readonly seen: string[] = [];
  /** What becomes of frames before they come in. */
  odd: (frame: Uint8Array) => Uint8Array = (frame) => frame;
  readonly #slots: number;
  readonly #lengths: number;
  private constructor(readonly bridge: Bridge) {
    const { exports } = bridge.engine;
    this.#slots = exports.scratch(MOST * STRIDE) >>> 0;
    this.#lengths = exports.scratch(MOST * 4) >>> 0;
    for (const protocol of ['tcp', 'udp'] as const)
      bridge.container.addForeignSocket(protocol, { address: '::', port: TARGET });
    bridge.inside.tap();
  }
  static async create(fast: boolean, tapped: boolean): Promise<Life> {
    const life = new Life(await Bridge.create(true, module));
    life.bridge.engine.exports.setFlowTable(fast ? 1 : 0);
    if (tapped) for (const device of life.bridge.host.devices.values()) device.tap();
    return life;
  }

  #pass(into: Device, frames: Uint8Array[]): void {
    const { engine, inside, sink } = this.bridge;
    const { bytes, view } = engine.memory;
    frames.map(this.odd).forEach((frame, i) => {
      bytes.set(frame, this.#slots + i * STRIDE);
      view.setUint32(this.#lengths + 4 * i, frame.length, true);
    });
    engine.exports.receiveBatch(into.at, this.#slots, this.#lengths, STRIDE, frames.length);
    engine.run(engine.now + 1e6);
    const captured = this.bridge.captured();
    const ended = [inside, sink].flatMap((device) => this.bridge.framesAt(device, captured).map(hex));
    this.seen.push(`at ${engine.now}`, ...ended, ...captured.map(digest));
  }
  /** The client's segments on these ports, or the container's. */
  says(ports: readonly number[], flags: number, source = NEAR): this {
    this.#pass(
      this.bridge.nic,
      this.#segments(ports, flags, (i) => this.bridge.asks(i, source), 'asked'),
    );
    return this;
  }
  hears(ports: readonly number[], flags: number, client = NEAR): this {
    this.#pass(
      this.bridge.port,
      this.#segments(ports, flags, (i) => this.bridge.answers(i, client), 'answered'),
    );
    return this;
  }
  #segments(ports: readonly number[], flags: number, endsOf: (i: number) => Ends, way: 'asked' | 'answered') {
    return ports.map((i) => {
      const ends = endsOf(i);
      return this.bridge[way](ends, 'tcp', segment(ends, flags & SYN ? 0 : 1, flags & ACK ? 1 : 0, flags, NOTHING));
    });
  }
  datagrams(ports: readonly number[], source: string | ((i: number) => string) = NEAR): this {
    const frames = ports.map((i) => {
      const ends = this.bridge.asks(i, typeof source === 'string' ? source : source(i));
      return this.bridge.asked(ends, 'udp', udp(ends.sport, ends.dport, new Uint8Array(20)));
    });
    this.#pass(this.bridge.nic, frames);
    return this;
  }
  /** What the container answers to those, and its datagrams to others, which may be somebody else's. */
  answers(ports: readonly number[], client = NEAR): this {
    return this.#leave(ports.map((i) => this.bridge.answers(i, client)));
  }
  outward(numbers: readonly number[], sport: number, to: (i: number) => string, source = this.bridge.to): this {
    return this.#leave(numbers.map((i) => ({ source, sport, destination: to(i), dport: 53 })));
  }
  #leave(all: readonly Ends[]): this {
    const frames = all.map((ends) =>
      this.bridge.answered(ends, 'udp', udp(ends.sport, ends.dport, new Uint8Array(20))),
    );
    this.#pass(this.bridge.port, frames);
    return this;
  }
  /** That client has a MAC address of its own. */
  elsewhere(client: string): void {
    const { host, nic, realized, sink } = this.bridge;
    host.addNeighbour(nic, client, '02:00:00:00:cc:01');
    realized.underlay.learn('02:00:00:00:cc:01', sink);
  }
  look(): this {
    this.seen.push(...books(this.bridge.engine), ...state(this.bridge.engine));
    return this;
  }
  wait(seconds: number): this {
    this.bridge.engine.run(this.bridge.engine.now + seconds * 1e9);
    this.bridge.learn();
    return this;
  }
  get opened(): number {
    return this.bridge.engine.exports.openedByExample();
  }
  get followed(): number {
    return this.bridge.engine.exports.followed();
  }
  get slow(): number {
    return slowFrames(this.bridge.engine);
  }
  get fast(): number {
    return this.bridge.engine.exports.fastPackets();
  }
}

/** Both lives; what was opened and what followed in the one that has the flow table. */
export async function twice(
  happens: (life: Life) => void,
  tapped = false,
): Promise<{ opened: number; followed: number; fast: number }> {
  const [slow, quick] = await Promise.all([Life.create(false, tapped), Life.create(true, tapped)]);
  for (const life of [slow, quick]) {
    happens(life);
    life.look();
  }
  expect(quick.seen).toEqual(slow.seen);
  expect([slow.opened, slow.followed, slow.fast]).toEqual([0, 0, 0]);
  return { opened: quick.opened, followed: quick.followed, fast: quick.fast };
}
export const ports = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);
/** A connection that has gone all the way. */
export const taught = (life: Life) =>
  life
    .says([1], SYN)
    .hears([1], SYN | ACK)
    .says([1], ACK)
    .hears([1], ACK);
