/**
 * A way as a row of the benchmark: datagrams of many flows, one of each in turn. After each turn what comes out for the first flows
 * is compared with what comes out without the flow table, byte for byte.
 */

import type { Device, Engine } from '../src/engine/index.js';
import { shuffled } from './flows.js';
import { BATCH, type Books, STRIDE } from './mesh.js';
import { COMPARED, expect, type Row } from './row.js';
import type { Way } from './way.js';
import { type WayName, wayOf } from './ways.js';

/** How many bytes at the beginning tell one flow's frames from another's, the data's number among them. */
const HEAD = 96;
const LEAST = 64;

/** Datagrams are a stream to conntrack only after two seconds, and then change their entry once more; so often is a way settled until then, a millisecond each. */
const UNTIL_STREAM = 2100;

/** Slots for one batch, and what has to be done for it to arrive. */
class Runner {
  readonly #slots: number;
  readonly #lengths: number;

  constructor(readonly way: Way) {
    const { exports } = way.engine;
    this.#slots = exports.scratch(BATCH * STRIDE) >>> 0;
    this.#lengths = exports.scratch(BATCH * 4) >>> 0;
  }

  put(i: number, frame: Uint8Array): void {
    const { bytes, view } = this.way.engine.memory;
    bytes.set(frame, this.#slots + i * STRIDE);
    view.setUint32(this.#lengths + 4 * i, frame.length, true);
  }
  head(i: number, head: Uint8Array): void {
    this.way.engine.memory.bytes.set(head, this.#slots + i * STRIDE);
  }
  batch(count: number, into = this.way.into): void {
    const { engine, work } = this.way;
    engine.exports.receiveBatch(into.at, this.#slots, this.#lengths, STRIDE, count);
    work?.();
  }
  /** What has to come first for so many flows. */
  begin(count: number): void {
    const { first, settle } = this.way;
    if (!first) return;
    this.pass((i) => first.make(i, LEAST), count, first.into);
    for (let i = 0; i < UNTIL_STREAM; i++) settle();
  }
  /** Frames of flows in their order, the first `count`. */
  pass(frameOf: (i: number) => Uint8Array, count: number, into = this.way.into): void {
    for (let from = 0; from < count; from += BATCH) {
      const some = Math.min(BATCH, count - from);
      for (let i = 0; i < some; i++) this.put(i, frameOf(from + i));
      this.batch(some, into);
      this.way.settle();
    }
  }
}

/** What comes out for the first flows' frames of each size, without the flow table. */
async function slowly(name: WayName, flows: number, sizes: readonly number[]): Promise<Map<number, string[]>> {
  const way = await wayOf(name);
  way.engine.exports.setFlowTable(0);
  const runner = new Runner(way);
  runner.begin(flows);
  const found = sizes.map((size): [number, string[]] => {
    const frames = Array.from({ length: flows }, (_, i) => way.make(i, size));
    runner.pass((i) => frames[i] ?? new Uint8Array(), flows);
    const { expected } = way;
    if (expected) return [size, frames.map((frame) => expected(frame))];
    way.seen();
    runner.pass((i) => frames[i] ?? new Uint8Array(), flows);
    return [size, way.seen()];
  });
  return new Map(found);
}

/** What they say where nothing is balanced. */
export function booksOf(engine: Engine, into: Device, arrived: number, connections: number): Books {
  const { dropped, injected, generated, inFlight } = engine.account;
  const { rxPackets: received, txPackets: transmitted } = into.counters;
  const searches = engine.exports.natPortSearches();
  const none = { balancedIn: 0, balancedOut: 0, balancedConnections: 0 };
  return { received, transmitted, arrived, dropped, injected, generated, inFlight, searches, connections, ...none };
}

/** The rows of all sizes, and what their books are. */
export async function wayRows(
  name: WayName,
  flows: number,
  sizes: readonly number[],
  slow: boolean,
): Promise<{ rows: Row[]; world: { engine: Engine; books: Books } }> {
  const compared = Math.min(flows, COMPARED * BATCH);
  const wanted = await slowly(name, compared, sizes);
  const way = await wayOf(name);
  const { engine, into } = way;
  engine.exports.setFlowTable(slow ? 0 : 1);
  const runner = new Runner(way);
  runner.begin(flows);
  const order = shuffled(flows);
  const world = {
    engine,
    get books(): Books {
      return booksOf(engine, into, way.arrived(), engine.exports.connections());
    },
  };
  const row = (size: number): Row => {
    const sample = way.make(0, size);
    const head = Math.min(HEAD, sample.length);
    const heads = new Uint8Array(flows * head);
    for (let i = 0; i < flows; i++) heads.set(way.make(i, size).subarray(0, head), i * head);
    const headOf = (i: number) => heads.subarray(i * head, (i + 1) * head);
    const frameOf = (i: number) => {
      sample.set(headOf(i));
      return sample;
    };
    // Every flow is there, a stream if it is answered, and recorded.
    for (let i = 0; i < 3; i++) runner.pass(frameOf, flows);
    let at = 0;
    let fast = 0;
    return {
      name,
      flows,
      size,
      begin: () => {
        for (let i = 0; i < BATCH; i++) runner.put(i, sample);
        fast = engine.exports.fastPackets();
      },
      stage: () => {
        for (let i = 0; i < BATCH; i++) {
          runner.head(i, headOf(order[at++] ?? 0));
          if (at === flows) at = 0;
        }
      },
      batch: () => runner.batch(BATCH),
      settle: way.settle,
      native: undefined,
      opened: () => 0,
      verify: async (batches, before) => {
        const after = world.books;
        const packets = batches * BATCH;
        expect(after.arrived - before.arrived, packets, 'frames that arrived');
        expect(after.received - before.received, packets, 'frames in');
        const quick = engine.exports.fastPackets() - fast;
        if (!slow && quick < 0.99 * packets * (way.parts ?? 1))
          throw new Error(`${quick} of ${packets} packets took the fast way`);
        way.seen();
        runner.pass(frameOf, compared);
        const found = way.seen();
        expect(found.length, compared, 'frames that came out');
        wanted.get(size)?.forEach((one, i) => {
          if (found[i] !== one) throw new Error(`what came out for flow ${i} is not what the slow way makes of it`);
        });
      },
    };
  };
  return { rows: sizes.map(row), world };
}
