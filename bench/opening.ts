/** The rows `mesh-syn`, `bridge-syn` and `ipv6-syn`: every frame a new connection. */

import type { Engine } from '../src/engine/index.js';
import { Bridge, TARGET } from './bridge.js';
import { flowOf } from './flows.js';
import { control, HEADERS, SYN, segment, sound } from './frames.js';
import { BATCH, type Books, liveConnections, type Mesh, STRIDE } from './mesh.js';
import { COMPARED, checkBooks, expect, type Row, tunnelled } from './row.js';
import { hex } from './way.js';
import { booksOf } from './wayrow.js';

/** Every frame opens a connection. At `flows` of them the clock jumps, and they are over. */
export function opening(mesh: Mesh, flows: number): Row {
  const size = 64;
  let next = 0;
  let open = 0;
  let last = 0;
  const fill = (): void => {
    const { bytes } = mesh.engine.memory;
    for (let i = 0; i < BATCH; i++) {
      bytes.set(control(flowOf(mesh, 'tcp', next++), mesh.macs, SYN), mesh.slot(i));
      mesh.setLength(i, HEADERS.out);
    }
    last = next;
  };
  // The engine sweeps when something happens: with the next batch.
  const over = (): void => {
    const { exports } = mesh.engine;
    exports.run(exports.time() + 200e9);
    mesh.learn();
    open = 0;
  };
  return {
    name: 'mesh-syn',
    flows,
    size,
    batch: () => mesh.receive(BATCH),
    begin: () => {},
    stage: () => {
      if (open && open + BATCH > flows) over();
      fill();
      open += BATCH;
    },
    settle: () => {
      mesh.drain();
      if (open === BATCH) expect(liveConnections(mesh.engine), 2 * BATCH, 'connections after the time of all others');
    },
    native: undefined,
    opened: () => next,
    verify: async (batches, before) => {
      const packets = batches * BATCH;
      const after = mesh.books;
      checkBooks(before, after, packets, { in: packets, out: 0, opened: packets });
      expect(after.connections, 2 * open, 'connections, two a flow');
      fill();
      const { bytes } = mesh.engine.memory;
      const left = mesh.pass(
        Array.from({ length: BATCH }, (_, i) => bytes.slice(mesh.slot(i), mesh.slot(i) + HEADERS.out)),
      );
      expect(left.length, BATCH, `frames out for connections up to ${last}`);
      for (const frame of left) if (!sound(frame)) throw new Error('a frame left with a wrong checksum');
      tunnelled(left, mesh);
      open += BATCH;
    },
  };
}

export const BRIDGE_OPENINGS = ['bridge-syn', 'ipv6-syn'] as const;
const SIZE = 64;
/** Seconds after which a SYN that nobody has answered is forgotten, and more. */
const OVER = 200;
/** Prime, so that a client's address and port come together anew each time. */
const [CLIENTS, PORTS] = [100_003, 63_997];

/** A published port on a bridge, with a swarm of its own, and room for a batch. */
class Opener {
  readonly #slots: number;
  readonly #lengths: number;
  private constructor(readonly bridge: Bridge) {
    const { engine, container, v6 } = bridge;
    this.#slots = engine.exports.scratch(BATCH * STRIDE) >>> 0;
    this.#lengths = engine.exports.scratch(BATCH * 4) >>> 0;
    container.addForeignSocket('tcp', { address: v6 ? '::' : '0.0.0.0', port: TARGET });
  }
  static async create(v6: boolean, fast: boolean): Promise<Opener> {
    const opener = new Opener(await Bridge.create(v6));
    opener.engine.exports.setFlowTable(fast ? 1 : 0);
    return opener;
  }
  get engine(): Engine {
    return this.bridge.engine;
  }
  get books(): Books {
    const { engine, bridge } = this;
    return booksOf(engine, bridge.nic, engine.account.delivered, liveConnections(engine));
  }
  /** A batch of SYNs, of flow `first` and those behind it. */
  fill(first: number): void {
    const { bytes, view } = this.engine.memory;
    for (let i = 0; i < BATCH; i++) {
      const frame = this.#syn(first + i);
      bytes.set(frame, this.#slots + i * STRIDE);
      view.setUint32(this.#lengths + 4 * i, frame.length, true);
    }
  }
  #syn(i: number): Uint8Array {
    const { bridge } = this;
    const client = 1 + (i % CLIENTS);
    const source = bridge.v6
      ? `fd00:98::${[client >>> 16, client & 0xffff].map((one) => one.toString(16)).join(':')}`
      : behind(client);
    const ends = { ...bridge.asks(0, source), sport: 1024 + (i % PORTS) };
    return bridge.asked(ends, 'tcp', segment(ends, 0, 0, SYN, new Uint8Array()));
  }
  receive(): void {
    this.engine.exports.receiveBatch(this.bridge.nic.at, this.#slots, this.#lengths, STRIDE, BATCH);
  }
  run(ns: number): void {
    this.engine.run(this.engine.now + ns);
  }
}
/** 198.18.0.0/15 is for benchmarks (RFC 2544). */
const behind = (client: number) => `198.${18 + (client >>> 16)}.${(client >>> 8) & 255}.${client & 255}`;

/** What the container gets of the first batches in a swarm of its own. */
async function got(v6: boolean, fast: boolean): Promise<string[]> {
  const opener = await Opener.create(v6, fast);
  const { bridge } = opener;
  bridge.inside.tap();
  for (let batch = 0; batch < COMPARED; batch++) {
    opener.fill(batch * BATCH);
    opener.receive();
    opener.run(1e6);
  }
  return bridge.framesAt(bridge.inside, bridge.captured()).map(hex);
}

/** As `opening`, to a port that a container on a bridge publishes. */
export async function openingOnBridge(
  name: (typeof BRIDGE_OPENINGS)[number],
  flows: number,
  slow: boolean,
): Promise<{ row: Row; world: { engine: Engine; books: Books } }> {
  const v6 = name === 'ipv6-syn';
  const opener = await Opener.create(v6, !slow);
  const { exports } = opener.engine;
  let next = 0;
  let open = 0;
  let fast = 0;
  const row: Row = {
    name,
    flows,
    size: SIZE,
    begin: () => {
      fast = exports.fastPackets();
    },
    stage: () => {
      if (open && open + BATCH > flows) {
        opener.run(OVER * 1e9);
        opener.bridge.learn();
        open = 0;
      }
      opener.fill(next);
      next += BATCH;
      open += BATCH;
    },
    batch: () => opener.receive(),
    settle: () => opener.run(1e6),
    native: undefined,
    opened: () => next,
    verify: async (batches, before) => {
      const packets = batches * BATCH;
      const after = opener.books;
      for (const what of ['received', 'arrived', 'injected'] as const)
        expect(after[what] - before[what], packets, `frames ${what}`);
      expect(after.searches, before.searches, 'searches for a port');
      expect(after.inFlight, 0, 'frames in flight');
      // The container's own conntrack is on where its resolver has rules: over IPv4.
      expect(after.connections, open * (v6 ? 1 : 2), 'connections');
      const quick = exports.fastPackets() - fast;
      if (!slow && quick < 0.99 * packets) throw new Error(`${quick} of ${packets} packets took the fast way`);
      const [found, wanted] = await Promise.all([got(v6, !slow), got(v6, false)]);
      expect(found.length, COMPARED * BATCH, 'frames that came out');
      found.forEach((one, i) => {
        if (one !== wanted[i]) throw new Error(`what came out for flow ${i} is not what the slow way makes of it`);
      });
    },
  };
  return { row, world: opener };
}
