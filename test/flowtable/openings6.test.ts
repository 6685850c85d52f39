/**
 * Over IPv6: new connections to a port that a bridge publishes, and what comes first on them once they are there, by what others'
 * have met: the same frames, counters and entries as by the slow way, whatever changes between two of them.
 */

import { expect, it } from 'vitest';
import { Bridge, type Ends, TARGET } from '../../bench/bridge.js';
import { ACK, FIN, SYN, segment } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { udp } from '../../bench/headers.js';
import { STRIDE } from '../../bench/mesh.js';
import { hex } from '../../bench/way.js';
import type { Device } from '../../src/engine/index.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const MOST = 128;
const NOTHING = new Uint8Array();
/** On the node's wire, each with a neighbour's entry, and behind nobody. */
const [NEAR, NEXT, FAR] = ['fd00:99::a:1', 'fd00:99::a:2', 'fd00:98::9'];

class Life {
  readonly seen: string[] = [];
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
    frames.forEach((frame, i) => {
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
  /** The container's datagrams to others. */
  outward(numbers: readonly number[], sport: number, to: (i: number) => string): this {
    const frames = numbers.map((i) => {
      const ends = { ...this.bridge.answers(0, to(i)), sport, dport: 53 };
      return this.bridge.answered(ends, 'udp', udp(ends.sport, ends.dport, new Uint8Array(20)));
    });
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
}

/** Both lives; what was opened and what followed in the one that has the flow table. */
async function twice(happens: (life: Life) => void, tapped = false): Promise<{ opened: number; followed: number }> {
  const [slow, quick] = await Promise.all([Life.create(false, tapped), Life.create(true, tapped)]);
  for (const life of [slow, quick]) {
    happens(life);
    life.look();
  }
  expect(quick.seen).toEqual(slow.seen);
  expect([slow.opened, slow.followed]).toEqual([0, 0]);
  return { opened: quick.opened, followed: quick.followed };
}
const ports = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);
const some = ports(3000, 40);
/** A connection that has gone all the way. */
const taught = (life: Life) =>
  life
    .says([1], SYN)
    .hears([1], SYN | ACK)
    .says([1], ACK)
    .hears([1], ACK);

it.each([false, true])('opens all connections but the first by example, on a way with taps: %s', async (tapped) => {
  const { opened, followed } = await twice((life) => {
    taught(life);
    life.says(some, SYN).says(some, SYN, NEXT).says(some, SYN, FAR);
    life.datagrams(some).datagrams(some).datagrams(some, FAR);
  }, tapped);
  expect(opened).toBe(3 * 40 + 2 * 40 - 1);
  expect(followed).toBe(0);
});

it.each([false, true])('lets all that comes first pass by example, on a way with taps: %s', async (tapped) => {
  const { opened, followed } = await twice((life) => {
    taught(life);
    life
      .says(some, SYN)
      .hears(some, SYN | ACK)
      .says(some, ACK)
      .hears(some, ACK)
      .says(some, FIN | ACK)
      .hears(some, FIN | ACK)
      .says(some, ACK);
  }, tapped);
  expect(opened).toBe(40);
  // Of each connection a packet of either direction; the others are its flows' packets.
  expect(followed).toBe(80);
});

it('takes an answer to one client for no example of how another one is reached', async () => {
  const { followed } = await twice((life) => {
    taught(life);
    life.elsewhere(NEXT);
    for (const client of [NEAR, NEXT])
      life
        .says(some, SYN, client)
        .hears(some, SYN | ACK, client)
        .says(some, ACK, client);
  });
  // The first SYN-ACK to either went the slow way, and the first ACK of all.
  expect(followed).toBe(4 * 40 - 3);
});

const rule = (life: Life, chain: 'FORWARD' | 'POSTROUTING', more: object) =>
  life.bridge.host.ip6tables.insert(chain === 'FORWARD' ? 'filter' : 'mangle', chain, {
    protocol: 'tcp',
    target: 'DROP',
    ...more,
  });
it.each<[string, (life: Life) => void]>([
  ['a rule drops them', (life) => void rule(life, 'FORWARD', {})],
  ['a rule asks for the sender', (life) => void rule(life, 'FORWARD', { source: NEXT })],
  ['a rule asks for the sender’s network', (life) => void rule(life, 'POSTROUTING', { source: 'fd00:98::/64' })],
  ['a rule asks for all others', (life) => void rule(life, 'FORWARD', { source: NEAR, invert: ['source'] })],
  ['a rule asks for the sender’s port', (life) => void rule(life, 'FORWARD', { sport: 1024 + 3005 })],
  ['a rule asks for the receiver', (life) => void rule(life, 'POSTROUTING', { destination: NEXT })],
  ['a rule asks for the receiver’s port', (life) => void rule(life, 'POSTROUTING', { dport: 1024 + 3005 })],
  ['the table is full', (life) => life.bridge.host.set('connectionsMax', 60)],
  ['a neighbour is gone', (life) => life.bridge.host.removeNeighbour(life.bridge.host.neighbours[0] as never)],
  ['a client is reached by a router', (life) => void life.bridge.host.addRoute(`${NEXT}/128`, life.bridge.nic, NEAR)],
  ['time has passed', (life) => void life.wait(200)],
])('sees at once that %s', async (_, change) => {
  await twice((life) => {
    taught(life);
    const talk = (from: number) => {
      const these = ports(from, 20);
      for (const client of [NEAR, NEXT, FAR])
        life
          .says(these, SYN, client)
          .hears(these, SYN | ACK, client)
          .says(these, ACK, client)
          .hears(these, ACK, client);
      life.datagrams(these).datagrams(these, FAR);
    };
    talk(3000);
    change(life);
    talk(3000);
    talk(4000);
  });
});

it('takes no group, loopback, neighbour on the link or own address for a sender whom rules treat like others', async () => {
  const { opened } = await twice((life) => {
    taught(life);
    for (const source of ['ff02::1', '::1', 'fe80::99', '::', life.bridge.own, 'fd00:30::77', NEXT])
      life.says(some, SYN, source).datagrams(some, source);
  });
  expect(opened).toBeGreaterThan(2 * 40 - 2);
});

it('takes nobody for the one whose number he has been given', async () => {
  const { opened } = await twice((life) => {
    const { host, nic } = life.bridge;
    life.elsewhere(NEXT);
    host.addRoute('fd00:97::/64', nic, NEAR);
    host.addRoute('fd00:96::/64', nic, NEXT);
    for (const sport of [1, 2]) life.outward(ports(0, 100), sport, (i) => `fd00:97::${i + 1}`);
    // So many addresses that those which no table names any more are forgotten, and the next ones get their numbers.
    for (let from = 0; from < 4500; from += MOST)
      life.datagrams(ports(from, MOST), (i) => `fd00:98::${i.toString(16)}`);
    life.wait(40);
    for (let from = 0; from < 4500; from += MOST)
      life.outward(ports(from, MOST), 3, (i) => `fd00:96::${i.toString(16)}`);
  });
  expect(opened).toBeGreaterThan(4500);
});

it('masquerades by the address that is nearest, from the moment that nobody else turns out to have it', async () => {
  const { opened } = await twice((life) => {
    const { host, nic, engine } = life.bridge;
    life.elsewhere(FAR);
    host.addAddress(nic, 'fd00:97::5/64', { nodad: true });
    host.addAddress(nic, 'fd00:98::5/64');
    engine.exports.comeUp6(nic.at);
    life.wait(1);
    for (const port of ports(4000, 3)) life.outward([1], port, () => FAR).look();
    engine.run(engine.now + 1e9);
    for (const port of ports(5000, 3)) life.outward([1], port, () => FAR).look();
  });
  expect(opened).toBeGreaterThan(2);
});
