/**
 * Datagrams to a task that has never said anything: the overlay's bridge does not know its MAC and floods them. They go the fast
 * way as others do, and whatever happens to the bridge, its ports or what it knows is seen by the next packet.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { Random } from '../../bench/fuzz/random.js';
import { dropCounts } from '../../src/engine/device.js';
import { type Device, Engine, Sockets } from '../../src/engine/index.js';
import { parseStackFile, Swarm } from '../../src/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import type { StackSpec } from '../../src/topology/spec.js';
import { hostPart } from '../../src/topology/topology.js';
import { lives, PATIENCE } from './lives.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const MILLISECOND = 1e6;
const AGEING = 300_000 * MILLISECOND;
/** Where copies end: at stacks that are not meant, and at a tunnel that knows no remote. */
const UNWANTED = new Set(['OTHERHOST', 'VXLAN_NO_REMOTE']);

/** Two nodes with `replicas` tasks in all, behind a published port for datagrams. */
const spec = (replicas: number): StackSpec => ({
  engine: '20.10',
  nodes: [
    { name: 'node1', role: 'manager' },
    { name: 'node2', role: 'worker' },
  ],
  outside: [{ name: 'client' }],
  networks: [],
  services: [
    {
      name: 'web',
      mode: 'replicated',
      replicas,
      networks: [],
      endpointMode: 'vip',
      ports: [{ published: 8080, target: 80, protocol: 'udp', mode: 'ingress' }],
      constraints: [],
    },
  ],
  containers: [],
  swarm: true,
  calls: [],
  traffic: [],
});

class Life {
  readonly seen: string[] = [];
  readonly #senders;
  readonly #address: string;
  readonly bridges;
  private constructor(
    readonly engine: Engine,
    topology: ReturnType<typeof plan>['topology'],
    tapped: boolean,
  ) {
    const { namespaces } = realize(engine, topology, { latency: 50_000 });
    const sockets = new Sockets(engine);
    this.handle = (until) => engine.run(until, (punted) => sockets.handle(punted));
    for (const { kind, node, name } of topology.sandboxes) {
      const task = namespaces.get(`${node}/${name}`);
      if (kind !== 'task' || !task) continue;
      sockets.openUdp(task, 80, ({ data, from, time }, socket) => {
        if (data[0]) socket.send(from, new Uint8Array(4), sockets.after(time));
      });
    }
    const client = namespaces.get('client/host');
    if (!client) throw new RangeError('no client');
    this.#senders = Array.from({ length: 6 }, () => sockets.openUdp(client, 0, () => {}));
    this.#address = hostPart(topology.nodes[0]?.nic.addresses[0] ?? '');
    this.bridges = [...namespaces.values()]
      .filter(({ name }) => name.includes('/ov-'))
      .map((overlay) => ({ overlay, bridge: overlay.device('br0') }));
    engine.onCapture = (records) => this.seen.push(`capture ${records.length} ${digest(records)}`);
    if (tapped) for (const device of engine.devices) device.tap();
  }
  readonly handle: (until: number) => void;

  static async create(fast: boolean, replicas: number, tapped: boolean): Promise<Life> {
    const engine = await Engine.create({ module, seed: 1, captureBuffer: 4 << 20 });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine, plan(spec(replicas), 1).topology, tapped);
  }

  /** `count` datagrams of each sender, one every 10 µs; `answered`: their task says something in return. */
  send(count: number, answered = false, size = 40): void {
    const data = new Uint8Array(size);
    data[0] = answered ? 1 : 0;
    const start = this.engine.now;
    for (let i = 0; i < count * this.#senders.length; i++)
      this.#senders[i % this.#senders.length]?.send({ address: this.#address, port: 8080 }, data, start + i * 10_000);
  }
  wait(nanoseconds: number): void {
    this.handle(this.engine.now + nanoseconds);
  }
  look(): void {
    this.seen.push(`at ${this.engine.now}`, ...books(this.engine), ...state(this.engine));
  }
  ports(): Device[] {
    return this.bridges.flatMap(({ bridge }) => bridge.ports);
  }
  get fast(): number {
    return this.engine.exports.fastPackets();
  }
  get flooded(): number {
    return this.engine.drops.reduce((sum, { reason, count }) => sum + (UNWANTED.has(reason) ? count : 0), 0);
  }
}

async function twice(happens: (life: Life) => void, { replicas = 4, tapped = false } = {}) {
  const [slow, quick] = await Promise.all([Life.create(false, replicas, tapped), Life.create(true, replicas, tapped)]);
  for (const life of [slow, quick]) {
    happens(life);
    life.look();
  }
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.fast).toBe(0);
  return quick;
}

describe.each([false, true])('captured: %s', (tapped) => {
  it.each([1, 2, 5, 12])('floods to %i tasks by the flow table', async (replicas) => {
    const life = await twice(
      (one) => {
        one.send(50);
        one.wait(20 * MILLISECOND);
      },
      { replicas, tapped },
    );
    // A task on the publishing node has answered the load balancer's ARP; one of another node has not said anything.
    expect(life.flooded).toBeGreaterThanOrEqual(replicas > 1 ? 150 : 0);
    expect(life.fast).toBeGreaterThan(250);
  });

  it('knows a task that has answered from then on', async () => {
    const life = await twice(
      (one) => {
        one.send(20);
        one.wait(10 * MILLISECOND);
        one.send(1, true);
        one.wait(10 * MILLISECOND);
        one.seen.push(`flooded ${one.flooded}`);
        one.send(20);
        one.wait(10 * MILLISECOND);
      },
      { tapped },
    );
    expect(life.seen).toContain(`flooded ${life.flooded}`);
  });

  it('floods again when what it knew has aged, and stops when it is heard of again', async () => {
    await twice(
      (one) => {
        one.send(2, true);
        one.wait(AGEING + 1000 * MILLISECOND);
        const before = one.flooded;
        one.send(3);
        one.wait(10 * MILLISECOND);
        one.seen.push(`flooded: ${one.flooded > before}`);
        one.send(3, true);
        one.wait(10 * MILLISECOND);
        one.send(3);
        one.wait(10 * MILLISECOND);
      },
      { tapped },
    );
  });

  it('drops at a port that is down, and reaches it again', async () => {
    await twice(
      (one) => {
        one.send(5);
        one.wait(1 * MILLISECOND);
        for (const up of [false, true]) {
          for (const port of one.ports()) if (port.kind === 'veth') port.up = up;
          one.send(5);
          one.wait(1 * MILLISECOND);
        }
      },
      { tapped },
    );
  });
});

const CHANGES = [
  'answered',
  'known',
  'known-elsewhere',
  'forgotten',
  'port',
  'ports-up',
  'mtu',
  'mac',
  'hairpin',
  'tap',
  'rule',
  'rule-goes',
  'minutes',
  'large',
] as const;

it(
  'lives the same life, drawn, when bridges, ports and what they know change in the middle of it',
  async () => {
    const happened = new Set<string>();
    let fast = 0;
    let flooded = 0;
    const happens = (seed: number) => (one: Life) => {
      const random = new Random(seed, 17);
      const rules: { remove(): void }[] = [];
      const change = (): void => {
        const { overlay, bridge } = random.pick(one.bridges);
        const port = random.pick(bridge.ports);
        const mac = random.pick(one.engine.devices.filter(({ name }) => name === 'eth0')).mac;
        const what = random.pick(CHANGES);
        happened.add(what);
        if (what === 'answered') one.send(1, true);
        else if (what === 'known') overlay.learnFdb(bridge, port.peer?.mac ?? mac, port);
        else if (what === 'known-elsewhere') overlay.addBridgeFdb(bridge, mac, port, random.chance(0.5));
        else if (what === 'forgotten') overlay.removeFdb(bridge, mac);
        else if (what === 'port') port.up = false;
        else if (what === 'ports-up') for (const each of one.ports()) each.up = true;
        else if (what === 'mtu') port.mtu = random.pick([1500, 1450, 100]);
        else if (what === 'mac') random.pick(one.engine.devices.filter(({ kind }) => kind === 'veth')).mac = mac;
        else if (what === 'hairpin') port.hairpin = random.chance(0.5);
        else if (what === 'tap') random.pick(one.engine.devices).tap();
        else if (what === 'rule')
          rules.push(
            overlay.iptables.insert('filter', 'FORWARD', { protocol: 'udp', target: random.pick(['DROP', 'ACCEPT']) }),
          );
        else if (what === 'rule-goes') rules.pop()?.remove();
        else if (what === 'minutes') one.wait(random.pick([100_000, 301_000]) * MILLISECOND);
        else one.send(2, false, 600);
      };
      for (let step = 0; step < 25; step++) {
        one.send(random.between(1, 8), random.chance(0.1));
        if (random.chance(0.5)) change();
        one.wait(random.pick([100_000, 1 * MILLISECOND, 40 * MILLISECOND]));
        if (step % 8 === 0) one.look();
      }
    };
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 1 << 30 }),
        fc.integer({ min: 2, max: 7 }),
        fc.boolean(),
        async (seed, replicas, tapped) => {
          const life = await twice(happens(seed), { replicas, tapped });
          fast += life.fast;
          flooded += life.flooded;
        },
      ),
      lives(25, 9),
    );
    expect(fast).toBeGreaterThan(2000);
    expect(flooded).toBeGreaterThan(2000);
    expect([...happened].sort()).toEqual([...CHANGES].sort());
  },
  PATIENCE,
);

it.each([3, 7])(
  'says the same of a load to %i tasks: what arrived, what was lost, where copies ended',
  async (replicas) => {
    const stack = `services: {web: {image: nginx, ports: ["8080:80/udp"], deploy: {replicas: ${replicas}}}}
x-swarmwire:
  traffic:
    - load: {to: "node1:8080", protocol: udp, flows: 20, packets: 2000, size: 64, rate: 100kpps}`;
    const reports = [];
    for (const fast of [0, 1]) {
      const swarm = await Swarm.create(parseStackFile(stack, { file: 'stack.yml' }).spec, { module });
      const { engine } = swarm;
      engine.exports.setFlowTable(fast);
      swarm.play();
      const drops = engine.drops.map(({ device, reason, count }) => `${device.path} ${reason} ${count}`);
      expect(drops.some((line) => line.includes(' OTHERHOST '))).toBe(true);
      const losses = [...dropCounts(engine, engine.exports.lossesAt())];
      // The frame itself takes the last port: where that is another's, it is a loss by the books, and a copy has arrived.
      expect(losses.some(([reason]) => reason === 'OTHERHOST')).toBe(replicas === 7);
      reports.push({ report: swarm.reports, account: engine.account, drops, losses });
      if (fast) expect(engine.exports.fastPackets()).toBeGreaterThan(2500);
    }
    expect(reports[1]).toEqual(reports[0]);
  },
);
