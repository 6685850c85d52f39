/**
 * Two lives of one swarm at the level of frames: conversations made by hand at both ends come in as vectors, and what Docker and
 * the kernel know changes between two frames of one, while they run on, and between them.
 */

import { pieces } from '../../bench/fuzz/mutate.js';
import type { Random } from '../../bench/fuzz/random.js';
import { Random as Seeded } from '../../bench/fuzz/random.js';
import { addressNumber, get16, macBytes, sealAll, TYPE_IPV4, UDP, VXLAN_PORT } from '../../bench/headers.js';
import { TYPE_IPV6 } from '../../bench/headers6.js';
import { Drivers } from '../../src/drivers/index.js';
import { connectionEventsOf, watchConnections } from '../../src/engine/connection-events.js';
import { type Device, Engine, type Namespace } from '../../src/engine/index.js';
import { EngineClock } from '../../src/swarm/clock.js';
import { Cluster } from '../../src/swarm/cluster.js';
import { deploy, emptyTopology } from '../../src/swarm/deploy.js';
import { Realizer } from '../../src/swarm/realize.js';
import type { StackSpec } from '../../src/topology/spec.js';
import { namespaceOf, type Sandbox } from '../../src/topology/topology.js';
import { aside } from './asides.js';
import { Changes } from './changes.js';
import { bent, Conversation, numberOf, type Place, placeBack, type Side } from './conversations.js';
import { isOverIpv6, type Place6 } from './conversations6.js';
import { OWN, Places, type Way } from './places.js';
import { Places6, type Way6 } from './places6.js';
import { books, digest, state } from './seen.js';

/** As many as the flow table looks at together, and the room of one. */
const VECTOR = 32;
const STRIDE = 2048;
const PORTS = [40_000, 40_001, 40_002, 40_003, 40_004, 40_005, 40_006, 40_007];
const LISTENING = [80, 8080, 8081, 8082, 9090];
/** How far time goes at once, ns: between two polls, or until something ages. */
const SHORT = [0, 1e5, 1e6, 4e6];
const LONG = [1e9, 1e9, 4e9, 35e9, 130e9, 300e9];
const EPB = 6;
const ESP = 50;

interface Interrupted {
  beginVector(device: number, frames: number, lengths: number, stride: number, count: number): void;
  continueVector(device: number, count: number): void;
}

export interface Options {
  spec: StackSpec;
  steps: number;
  /** Who speaks to whom; without it everybody. */
  ways?: readonly Way[];
  /** Who speaks to whom over IPv6; then nobody speaks over IPv4. */
  ways6?: readonly Way6[];
  /** The ports that are asked for from outside; without it all that are published. */
  published?: readonly number[];
  /** Whose frames come in once a connection is up; without it both ends'. */
  side?: Side;
  /** Frames that tunnels bring come in once more. */
  tunnelled?: number;
  /** What Docker does meanwhile, too. */
  docker?: boolean;
  /** The share of devices that are captured; without it none, few or all. */
  watched?: number;
  /** The changes that are made, by name; without it all. */
  changing?: readonly string[];
}
export interface Told {
  seen: string[];
  /** Packets that took the fast way; of these, new connections by an opening. */
  fast: number;
  opened: number;
  /** Established connections' first packets that became a flow by a precedent. */
  followed: number;
  changes: ReadonlyMap<string, number>;
}

export async function vectors(
  seed: number,
  fast: boolean,
  module: WebAssembly.Module,
  options: Options,
): Promise<Told> {
  const life = new Life(await Engine.create({ module, seed, captureBuffer: 8 << 20 }), seed, fast, options);
  return life.live();
}

class Life {
  readonly #random: Random;
  readonly #realizer: Realizer;
  readonly #cluster: Cluster;
  readonly #changes: Changes;
  readonly #places: Places;
  readonly #places6: Places6 | undefined;
  readonly #seen: string[] = [];
  readonly #conversations: Conversation[] = [];
  readonly #byNumber = new Map<number, Conversation>();
  /** Frames that came out of a tunnel's node lately, by the NIC that they are for. */
  readonly #tunnelled = new Map<Device, Uint8Array[]>();
  readonly #frames: number;
  readonly #lengths: number;
  /** Reading it settles what is counted: only some lives do. */
  readonly #counting: boolean;
  /** How often something changes. */
  readonly #pace: number;
  #calm = false;
  #number = 0;

  constructor(
    readonly engine: Engine,
    readonly seed: number,
    readonly fast: boolean,
    readonly options: Options,
  ) {
    this.#random = new Seeded(seed, 13);
    const random = this.#random;
    engine.exports.setFlowTable(fast ? 1 : 0);
    const { spec } = options;
    const topology = emptyTopology(spec);
    this.#realizer = new Realizer(engine, topology, { latency: random.pick([1, 50_000]) });
    const clock = new EngineClock(engine);
    this.#cluster = new Cluster(topology, {
      seed,
      drivers: new Drivers([]),
      programmer: this.#realizer,
      clock,
      runtime: { started: (_, sandbox) => this.#listens(sandbox) },
    });
    deploy(this.#cluster, spec);
    clock.standing = true;
    this.#places = new Places(engine, topology, options.ways, options.published);
    this.#places6 = options.ways6 && new Places6(engine, topology, options.ways6);
    this.#changes = new Changes(engine, this.#realizer.underlay, random, options.changing);
    this.#frames = engine.exports.scratch(VECTOR * STRIDE) >>> 0;
    this.#lengths = engine.exports.scratch(VECTOR * 4) >>> 0;
    this.#counting = random.chance(0.5);
    this.#pace = random.pick([0.1, 0.3, 0.7]);
    for (const { name } of topology.nodes)
      for (const protocol of ['tcp', 'udp'] as const)
        this.#namespace(`${name}/host`).addForeignSocket(protocol, { address: '0.0.0.0', port: OWN });
    for (const host of topology.hosts) {
      const namespace = this.#namespace(`${host.name}/host`);
      this.#takes(namespace);
      namespace.device('eth0').tap();
    }
    const watched = options.watched ?? random.pick([0, 0.1, 1]);
    for (const device of engine.devices)
      if (random.chance(watched) || (options.tunnelled && device.kind === 'physical')) device.tap();
    if (random.chance(0.15)) watchConnections(engine);
    engine.onCapture = (records) => {
      this.#seen.push(`captured ${records.length} ${digest(records)}`);
      this.#learn(records);
    };
  }

  live(): Told {
    const { engine, options } = this;
    const random = this.#random;
    for (let step = 0; step < options.steps; step++) {
      // Half of the time nothing changes: groups and openings last, and what they have kept back is looked at afterwards.
      this.#calm = step % 20 >= 10;
      if (step % 20 === 10 || random.chance(0.1)) this.#changes.mend();
      for (let n = random.pick([1, 2, 3]); n > 0; n--) this.#vector();
      if (!this.#calm && options.docker && random.chance(0.15)) this.#docker();
      if (!this.#calm && random.chance(this.#pace / 3))
        engine.at(engine.now + random.below(2e6), () => this.#changes.change());
      engine.run(engine.now + random.pick(random.chance(0.1) ? LONG : SHORT));
      if (step % 8 === 7) this.#seen.push(`step ${step} at ${engine.now}`, ...books(engine));
      if (step % 20 === 19) this.#seen.push(...state(engine));
    }
    this.#seen.push(...books(engine), ...state(engine), JSON.stringify(connectionEventsOf(engine) ?? []));
    return {
      seen: this.#seen,
      fast: engine.exports.fastPackets(),
      opened: engine.exports.openedByExample(),
      followed: engine.exports.followed(),
      changes: this.#changes.made,
    };
  }

  // ---- who is there

  #namespace(name: string): Namespace {
    const found = this.engine.namespaces.get(name);
    if (!found) throw new RangeError(`no namespace ${name}`);
    return found;
  }
  /** What comes for these ports is taken, and nobody answers: answers are made by hand. */
  #takes(namespace: Namespace): void {
    for (const port of [...PORTS, ...LISTENING])
      for (const protocol of ['tcp', 'udp'] as const)
        for (const address of this.options.ways6 ? ['0.0.0.0', '::'] : ['0.0.0.0'])
          namespace.addForeignSocket(protocol, { address, port });
  }
  #listens(sandbox: Sandbox): void {
    const namespace = this.engine.namespaces.get(namespaceOf(sandbox));
    if (!namespace) return;
    this.#takes(namespace);
    for (const { interface: name } of sandbox.endpoints) namespace.device(name).tap();
  }

  /** Somebody who has something to say to somebody, and where it comes in. */
  #begin(): Place | Place6 | undefined {
    const sport = this.#random.pick(PORTS);
    return (this.#places6 ?? this.#places).begin(this.#random, sport);
  }

  #converse(near: Place | Place6): Conversation {
    const conversation = new Conversation(
      ++this.#number,
      this.#random.chance(0.65) ? 'tcp' : 'udp',
      near,
      this.#random,
    );
    this.#byNumber.set(conversation.number, conversation);
    this.#conversations.push(conversation);
    if (this.#conversations.length > 70) this.#conversations.splice(this.#random.below(20), 1);
    return conversation;
  }

  // ---- what comes in

  #vector(): void {
    const random = this.#random;
    const { tunnelled = 0.1, side } = this.options;
    const again = [...this.#tunnelled.keys()];
    if (again.length > 0 && random.chance(tunnelled)) {
      const nic = random.pick(again);
      this.#bring(
        nic,
        this.#drawn(() => this.#again(this.#tunnelled.get(nic) ?? [])),
      );
      return;
    }
    const ends = this.#conversations.flatMap((one) =>
      (['near', 'far'] as const).flatMap((end) => {
        const into = one.place(end)?.into;
        return into && (side === undefined || side === end || one.stage !== 'up') ? [{ one, end, into }] : [];
      }),
    );
    if (ends.length < 6 || random.chance(0.15)) {
      this.#flood();
      return;
    }
    const { into } = random.pick(ends);
    const here = ends.filter((end) => end.into === into);
    const due = here.filter(({ one, end }) => one.isDue(end)).slice(0, random.pick([0, VECTOR, VECTOR]));
    // A few of the others speak most of the time: their packets are foreseen, and groups move.
    const up = here.filter(({ one }) => one.stage === 'up' || one.protocol === 'udp');
    const speaking = up.length > 0 ? up : here;
    const few = random.chance(0.5)
      ? speaking.slice(-random.pick([1, 2, 4]))
      : speaking.slice(0, random.pick([2, 4, 100]));
    const frames = due.map(({ one, end }) => one.say(end, random));
    const more = this.#drawn(() => {
      const { one, end } = random.pick(few);
      const place = random.chance(0.04) && one.place(end);
      return place ? aside(place, one.protocol, random) : one.say(end, random);
    });
    const whole = [...frames, ...more].flatMap((one) => (random.chance(0.01) ? pieces(one, random) : [one]));
    this.#bring(into, whole.slice(0, VECTOR));
  }

  /** Many new ones at once, from where one of them begins. */
  #flood(): void {
    const random = this.#random;
    const first = this.#begin();
    if (!first) return;
    const far = random.chance(0.3);
    const frames = this.#drawn(() => {
      let near = { ...first, sport: random.pick(PORTS) };
      if (far && isOverIpv6(near)) near = this.#places6?.another(near, random) ?? near;
      else if (far && typeof near.source === 'number' && near.source >>> 16 === 0xc612)
        near.source = addressNumber('198.18.0.0') + random.between(1, 250);
      return this.#converse(near).say('near', random);
    });
    if (this.#counting) this.engine.exports.fastPackets();
    this.#bring(first.into, frames);
  }

  #drawn(frame: () => Uint8Array): Uint8Array[] {
    return Array.from({ length: this.#random.pick([1, 3, 8, VECTOR]) }, frame);
  }
  /** One that a tunnel has brought, or something like it. */
  #again(recent: Uint8Array[]): Uint8Array {
    const random = this.#random;
    const frame = random.pick(recent).slice();
    if (random.chance(0.15)) {
      // A router has marked it.
      frame[15] = random.pick([1, 2, 2, 3, 0xba]);
      return sealAll(frame);
    }
    if (random.chance(0.9)) return frame;
    if (random.chance(0.5)) return bent(frame, random);
    frame[random.between(50, Math.min(frame.length - 1, 120))] = random.below(256);
    return random.chance(0.5) ? sealAll(frame) : frame;
  }

  /** They come in at `device` as one vector, with changes between two of them now and then. */
  #bring(device: Device, frames: Uint8Array[]): void {
    const { engine } = this;
    const random = this.#random;
    if (!engine.devices.includes(device)) return;
    const interrupted = engine.exports as unknown as Interrupted;
    const { bytes, view } = engine.memory;
    frames.forEach((frame, i) => {
      bytes.set(frame, this.#frames + i * STRIDE);
      view.setUint32(this.#lengths + 4 * i, frame.length, true);
    });
    interrupted.beginVector(device.at, this.#frames, this.#lengths, STRIDE, frames.length);
    for (let left = frames.length; left > 0; ) {
      const some = random.chance(0.6) ? left : random.between(1, left);
      interrupted.continueVector(device.at, some);
      left -= some;
      if (left > 0 && !this.#calm && random.chance(this.#pace)) this.#changes.change();
    }
  }

  // ---- what comes out

  /** Who was reached, and how to answer. */
  #learn(records: Uint8Array): void {
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    const { taps } = this.engine;
    for (let at = 0; at < records.length; at += view.getUint32(at + 4, true)) {
      if (view.getUint32(at, true) !== EPB) continue;
      const device = taps[view.getUint32(at + 8, true)];
      const frame = records.subarray(at + 28, at + 28 + view.getUint32(at + 20, true));
      if (!device || frame.length < 42) continue;
      const type = get16(frame, 12);
      if (type !== TYPE_IPV4 && type !== TYPE_IPV6) continue;
      const own = macBytes(device.mac);
      if (frame.subarray(0, 6).some((byte, i) => byte !== own[i])) continue;
      const tunnels = frame[23] === ESP || (frame[23] === UDP && get16(frame, 36) === VXLAN_PORT);
      if (type === TYPE_IPV4 && tunnels) {
        const kept = this.#tunnelled.get(device) ?? [];
        this.#tunnelled.set(device, [...kept.slice(-40), frame.slice()]);
        continue;
      }
      const number = numberOf(frame.subarray(14));
      const conversation = number === undefined ? undefined : this.#byNumber.get(number);
      const into = device.peer ?? this.#nicOf(frame.subarray(6, 12));
      if (!conversation || conversation.far || !into || device.master || into === conversation.near.into) continue;
      if (
        device.kind === 'veth' &&
        !device.namespace.name.includes('/task-') &&
        !device.namespace.name.includes('/ct-')
      )
        continue;
      if (device.kind === 'physical' && this.#isNode(device)) continue;
      conversation.far = placeBack(frame, into);
    }
  }
  #nicOf(mac: Uint8Array): Device | undefined {
    return this.engine.devices.find(
      (one) => one.kind === 'physical' && this.#isNode(one) && macBytes(one.mac).every((byte, i) => byte === mac[i]),
    );
  }
  #isNode(device: Device): boolean {
    return this.#realizer.topology.nodes.some(({ name }) => device.namespace.name === `${name}/host`);
  }

  // ---- what Docker does

  #docker(): void {
    const random = this.#random;
    const { services, containers, nodes } = this.#cluster;
    const service = services.size > 0 ? random.pick([...services.keys()]) : undefined;
    const container = containers.size > 0 ? random.pick([...containers.values()]) : undefined;
    try {
      switch (random.below(5)) {
        case 0:
        case 1:
          if (service) this.#cluster.serviceUpdate(service, { replicas: random.between(1, 4) });
          break;
        case 2:
          if (container && container.status !== 'running') this.#cluster.containerStart(container);
          break;
        case 3:
          if (container) this.#cluster.containerKill(container);
          break;
        default: {
          const node = random.pick([...nodes.keys()]);
          this.#cluster.nodeUpdate(node, { availability: random.pick(['active', 'active', 'drain'] as const) });
        }
      }
    } catch (error) {
      // What Docker refuses it refuses in both lives.
      this.#seen.push(String(error));
    }
  }
}
