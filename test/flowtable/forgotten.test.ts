/**
 * Flows over IPv6 name addresses by their numbers, and a number may be another address's later: when addresses are forgotten that
 * nobody names any more, flows go that name one of them, and those whose connections keep theirs stay.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { ethernet, macBytes, UDP, udp } from '../../bench/headers.js';
import { address6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import { type Device, Engine } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES_6 } from './topologies.js';

const module = await checkedModule();
const VECTOR = 32;
const STRIDE = 2048;
const SECOND = 1e9;
/** So many addresses are worth a collection. */
const MANY = 4200;

class Life {
  readonly seen: string[] = [];
  readonly #frames: number;
  readonly #lengths: number;
  /** Inside an overlay, where nobody tracks connections; and to a published port, whose node does. */
  readonly #inside: { into: Device; to: string; from: string };
  readonly #published: { into: Device; to: string; from: string };

  private constructor(
    readonly engine: Engine,
    topology: ReturnType<typeof plan>['topology'],
  ) {
    const { namespaces } = realize(engine, topology, { latency: 1 });
    const device = (name: string, eth: string) => {
      const found = namespaces.get(name)?.device(eth);
      if (!found) throw new RangeError(`no device ${name} ${eth}`);
      return found;
    };
    const [one, other] = topology.sandboxes
      .filter(({ kind, node }) => kind === 'task' && node === 'node1')
      .map(({ node, name, endpoints: [endpoint] }) => device(`${node}/${name}`, endpoint?.interface ?? ''));
    const web = topology.sandboxes.find(({ publishes = [] }) => publishes.length > 0);
    if (!one?.peer || !other?.peer || !web) throw new RangeError('no two tasks of a node, or nobody publishes');
    for (const task of [one, other]) task.namespace.ipv6.enable(task);
    for (const port of [80, 9090])
      for (const { namespace } of [other, device(`${web.node}/${web.name}`, 'eth0')])
        namespace.addForeignSocket('udp', { address: '::', port });
    const nic = device('node1/host', 'eth0');
    const client = device('client/host', 'eth0');
    this.#inside = { into: one.peer, to: other.mac, from: one.mac };
    this.#published = { into: nic, to: nic.mac, from: client.mac };
    other.namespace.addAddress(other, 'fd00:100::2/64', { nodad: true });
    this.#frames = engine.exports.scratch(VECTOR * STRIDE) >>> 0;
    this.#lengths = engine.exports.scratch(VECTOR * 4) >>> 0;
    other.tap();
    device(`${web.node}/${web.name}`, 'eth0').tap();
    engine.onCapture = (records) => this.seen.push(`captured ${records.length} ${digest(records)}`);
    this.node = hostPart(topology.nodes[0]?.nic.addresses.find((at) => at.includes(':')) ?? '');
  }
  readonly node: string;

  static async create(fast: boolean): Promise<Life> {
    const engine = await Engine.create({ module, seed: 1, captureBuffer: 8 << 20 });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine, plan(TWO_NODES_6, 1).topology);
  }

  #pass(
    way: { into: Device; to: string; from: string },
    destination: string,
    dport: number,
    sources: string[],
  ): number {
    const { exports, memory } = this.engine;
    const before = exports.fastPackets();
    for (let from = 0; from < sources.length; from += VECTOR) {
      const some = sources.slice(from, from + VECTOR);
      some.forEach((source, i) => {
        const packet = ipv6(
          { source: address6(source), destination: address6(destination), protocol: UDP },
          udp(40_000, dport, new Uint8Array(4)),
        );
        const frame = ethernet(macBytes(way.to), macBytes(way.from), TYPE_IPV6, packet);
        memory.bytes.set(frame, this.#frames + i * STRIDE);
        memory.view.setUint32(this.#lengths + 4 * i, frame.length, true);
      });
      exports.receiveBatch(way.into.at, this.#frames, this.#lengths, STRIDE, some.length);
      this.engine.run(this.engine.now + 1);
    }
    this.seen.push(...books(this.engine));
    return exports.fastPackets() - before;
  }
  /** How many of them took the fast way. */
  inside(...sources: string[]): number {
    return this.#pass(this.#inside, 'fd00:100::2', 80, sources);
  }
  published(...sources: string[]): number {
    return this.#pass(this.#published, this.node, 9090, sources);
  }
  wait(ns: number): void {
    this.engine.run(this.engine.now + ns);
    this.seen.push(...books(this.engine), ...state(this.engine));
  }
}

const many = (kind: string, count: number) =>
  Array.from({ length: count }, (_, i) => `fd00:100::${kind}:${(i + 1).toString(16)}`);

async function life(fast: boolean) {
  const one = await Life.create(fast);
  const { exports } = one.engine;
  // The first packet makes who is on its way known, or its connection; the second is recorded.
  for (let i = 0; i < 3; i++) {
    one.inside('fd00:100::a');
    one.published('fd00:98::a');
  }
  const told = [exports.flows()];
  one.inside(...many('b', MANY));
  one.published('fd00:98::a');
  told.push(exports.flows());
  one.wait(2 * SECOND);
  told.push(exports.flows());
  // Others get the numbers of those that are forgotten: none of them has a flow.
  told.push(one.inside(...many('c', 300)), one.inside('fd00:100::a'), one.inside('fd00:100::a'));
  return { seen: one.seen, told };
}

it('a flow goes with the addresses that it names, unless a connection keeps them', async () => {
  const [slow, quick] = [await life(false), await life(true)];
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.told).toEqual([2, 2 + MANY, 1, 0, 0, 1]);
  expect(slow.told).toEqual([0, 0, 0, 0, 0, 0]);
}, 120_000);
