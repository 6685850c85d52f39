/**
 * One life of a swarm: frames in, time on, the books checked, and at the end ten minutes of quiet after which nothing may
 * be under way that cannot say where it waits. Every step is written down, so that a life that fails can be lived again
 * with fewer steps.
 */

import type { Device } from '../../src/engine/index.js';
import { addressNumber, ipAt, macBytes, put32, sealAll } from '../headers.js';
import type { RealFrame } from './corpus.js';
import { carried, esp } from './esp.js';
import { ipv6Frames, type Vocabulary6, vocabulary6 } from './ipv6.js';
import { arp, datagram, icmpError, noise, tcpSoup, toPublished } from './make.js';
import { mutate, pieces, tunnel, type Vocabulary } from './mutate.js';
import { Random } from './random.js';
import { createWorld, DEVICE_KINDS, type World, type WorldName } from './world.js';

export const PLACES = [...DEVICE_KINDS, 'socket'] as const;
export type Place = (typeof PLACES)[number];

export type Step =
  /** A frame at a device of that number, or a packet out of a socket of the namespace of that number. */
  | { do: 'receive' | 'transmit' | 'batch' | 'socket'; at: number; frame: Uint8Array }
  /** Something of the swarm's own, drawn with that seed. */
  | { do: 'say'; seed: number }
  /** Time goes on, ns. */
  | { do: 'run'; time: number };

export interface Life {
  world: WorldName;
  seed: number;
  frames: number;
  places: readonly Place[];
}

export interface Outcome {
  frames: number;
  /** What the books say at the end. */
  account: World['engine']['account'];
  /** Frames that are left after the quiet, and where they wait. */
  waiting: { sockets: number; neighbours: number };
  /** Bytes of engine memory. */
  memory: number;
  /** Drops by reason. */
  drops: Map<string, number>;
  failure?: Failure;
}

export interface Failure {
  what: string;
  /** How many of the frames had been put in. */
  frame: number;
  steps: Step[];
}

export const QUIET = 600e9;
const EVERY = 500;

export async function live(module: WebAssembly.Module, life: Life, corpus: readonly RealFrame[]): Promise<Outcome> {
  const world = await createWorld(module, life.world, new Random(life.seed, 1));
  const steps: Step[] = [];
  const draw = new Draw(world, new Random(life.seed, 2), corpus, life.places);
  let frames = 0;
  let what: string | undefined;
  try {
    while (frames < life.frames) {
      for (const step of draw.steps()) {
        steps.push(step);
        take(world, step);
        if ('frame' in step) frames++;
        if (frames % EVERY === 0) check(world);
      }
    }
    check(world);
    quiet(world);
  } catch (error) {
    what = told(world, error);
  }
  const account = world.engine.account;
  return {
    frames,
    account,
    waiting: what === undefined ? waiting(world) : { sockets: 0, neighbours: 0 },
    memory: world.engine.exports.memory.buffer.byteLength,
    drops: reasons(world),
    ...(what === undefined ? {} : { failure: { what, frame: frames, steps } }),
  };
}

/** The same world with these steps: what goes wrong, or undefined. */
export async function relive(
  module: WebAssembly.Module,
  life: Life,
  steps: readonly Step[],
): Promise<string | undefined> {
  const world = await createWorld(module, life.world, new Random(life.seed, 1));
  try {
    for (const step of steps) {
      take(world, step);
      check(world);
    }
    quiet(world);
  } catch (error) {
    return told(world, error);
  }
  return undefined;
}

function take(world: World, step: Step): void {
  const { engine } = world;
  switch (step.do) {
    case 'run':
      engine.run(engine.now + step.time, world.handle);
      break;
    case 'say':
      world.say(new Random(step.seed), engine.now);
      break;
    case 'socket': {
      const namespace = world.namespaces[step.at];
      if (!namespace) throw new RangeError('no such namespace');
      const { frame } = step;
      engine.fill(frame);
      if ((frame[0] ?? 0) >> 4 === 6) {
        engine.exports.injectSocket6(namespace.at, 0, frame.length, engine.now);
        break;
      }
      // As the engine holds them: in network byte order, loaded little-endian.
      const word = (at: number) => (frame[at] ?? 0) | ((frame[at + 1] ?? 0) << 8);
      const [source, destination] = [word(12) + word(14) * 65536, word(16) + word(18) * 65536];
      const ports = ((frame[0] ?? 0) & 15) * 4;
      const [sport, dport] = [word(ports), word(ports + 2)];
      engine.exports.injectSocket(namespace.at, step.frame.length, source, sport, destination, dport, engine.now);
      break;
    }
    default: {
      const device = engine.devices[step.at];
      if (!device) throw new RangeError('no such device');
      if (step.do === 'receive') engine.receive(device, step.frame);
      else if (step.do === 'transmit') engine.transmit(device, step.frame);
      else {
        const at = engine.fill(step.frame);
        const lengths = at + 0x20000;
        engine.memory.view.setUint32(lengths, step.frame.length, true);
        engine.exports.receiveBatch(device.at, at, lengths, 0, 1);
      }
    }
  }
}

/** made = injected + generated + cloned = delivered + dropped + inFlight, and every drop has a place. */
function check({ engine }: World): void {
  const { made, injected, generated, cloned, delivered, dropped, inFlight } = engine.account;
  if (made !== injected + generated + cloned)
    throw new Error(`made ${made} is not injected ${injected} + generated ${generated} + cloned ${cloned}`);
  if (made !== delivered + dropped + inFlight)
    throw new Error(`made ${made} is not delivered ${delivered} + dropped ${dropped} + in flight ${inFlight}`);
  const placed = engine.drops.reduce((sum, { count }) => sum + count, 0);
  if (placed !== dropped) throw new Error(`${dropped} frames were dropped, ${placed} of them at a place`);
}

function quiet(world: World): void {
  const { engine } = world;
  engine.run(engine.now + QUIET, world.handle);
  check(world);
  const { sockets, neighbours } = waiting(world);
  const { inFlight } = engine.account;
  if (inFlight !== sockets + neighbours)
    throw new Error(
      `after ten quiet minutes ${inFlight} frames are under way; ${sockets} wait at sockets, ${neighbours} for neighbours`,
    );
}

/** Frames that are kept, and may be: by TCP sockets that wait for a hole to be filled, and for neighbours. */
function waiting({ engine, namespaces }: World): { sockets: number; neighbours: number } {
  const exports = engine.exports as unknown as {
    udpOpen(namespace: number, address: number, port: number): number;
    framesAtSockets(upTo: number): number;
    framesAtNeighbours(): number;
  };
  // Ids are given in order: a new socket tells how many there have been.
  const last = exports.udpOpen(namespaces[0]?.at ?? 0, 0, 0) >>> 0;
  return { sockets: exports.framesAtSockets(last), neighbours: exports.framesAtNeighbours() };
}

function reasons({ engine }: World): Map<string, number> {
  const found = new Map<string, number>();
  for (const { reason, count } of engine.drops) found.set(reason, (found.get(reason) ?? 0) + count);
  return found;
}

/** An error in words; where the engine gave up, its own. */
function told({ engine }: World, error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const assertion = /gave up at (\d+):(\d+):(\d+) \((\d+)\)/.exec(error.message);
  const where = error.stack?.match(/wasm-function\[\d+\]|at [\w./~]+ \(wasm:/g)?.slice(0, 12) ?? [];
  const stack = (error.stack ?? '')
    .split('\n')
    .filter((line) => line.includes('wasm'))
    .slice(0, 12)
    .map((line) => line.trim().replace(/\(wasm:.*\)/, ''))
    .join(' < ');
  if (!assertion) return where.length > 0 || stack ? `${error.message}: ${stack}` : (error.stack ?? error.message);
  const text = (at: number) => {
    const bytes = engine.memory.bytes.slice(at, at + engine.memory.view.getUint32(at - 4, true));
    return new TextDecoder('utf-16le').decode(bytes);
  };
  const [, file, line, column, message] = assertion.map(Number);
  return `${message ? text(message) : 'assertion'} at ${file ? text(file) : '?'}:${line}:${column}: ${stack}`;
}

/** Draws the steps of a life. */
class Draw {
  readonly #words: Vocabulary;
  readonly #words6: Vocabulary6;
  readonly #corpus: readonly { data: Uint8Array; device: Device | undefined }[];
  /** Frames that taps have seen lately, with the sequence numbers of now. */
  readonly #recent: { data: Uint8Array; device: Device | undefined }[] = [];
  readonly #numbers: Map<Device, number>;
  /** Those that the world has: what stands on its NICs is drawn. */
  readonly #places: readonly Place[];

  constructor(
    readonly world: World,
    readonly random: Random,
    corpus: readonly RealFrame[],
    places: readonly Place[],
  ) {
    this.#places = places.filter((one) => one === 'socket' || (world.devices.get(one)?.length ?? 0) > 0);
    const byPath = new Map(world.engine.devices.map((device) => [device.path, device]));
    this.#corpus = corpus.map(({ tap, data }) => ({ data, device: byPath.get(tap) }));
    this.#numbers = new Map(world.engine.devices.map((device, i) => [device, i]));
    this.#words = vocabulary(world, random);
    this.#words6 = vocabulary6(world.engine.devices, this.#words.macs, this.#words.ports);
    world.engine.onCapture = (records) => this.#remember(records);
  }

  steps(): Step[] {
    const { random } = this;
    if (random.chance(0.04)) return [{ do: 'say', seed: random.bits() }];
    if (random.chance(0.12)) return [{ do: 'run', time: this.#pause() }];
    return this.#frames();
  }

  #pause(): number {
    const { random } = this;
    const span = random.weighted({ nothing: 40, short: 100, second: 50, neighbour: 8, long: 1 });
    if (span === 'nothing') return 0;
    if (span === 'short') return random.below(2_000_000);
    if (span === 'second') return random.below(2e9);
    return random.below(span === 'neighbour' ? 60e9 : 600e9);
  }

  /** Mostly one; the fragments of one datagram come together. */
  #frames(): Step[] {
    const { random, world } = this;
    const words = this.#words;
    const way = random.weighted({
      mutated: 56,
      real: 6,
      noise: 10,
      arp: 4,
      error: 6,
      soup: 4,
      mesh: 8,
      datagram: 2,
      pieces: 2,
      ipv6: 14,
      nested: 2,
      esp: world.engine.espKeys.length > 0 ? 5 : 0,
    });
    const origin =
      this.#recent.length > 0 && random.chance(0.4) ? random.pick(this.#recent) : random.pick(this.#corpus);
    const real = origin.data;
    switch (way) {
      case 'mutated':
        return [this.#put(mutate(real, random, words, [random.pick(this.#corpus).data]), origin.device)];
      case 'real':
        return [this.#put(real.slice(), origin.device)];
      case 'noise':
        return [this.#put(noise(random, words))];
      case 'arp':
        return [this.#put(arp(random, words))];
      case 'error':
        return [this.#put(icmpError(random, words, real), origin.device)];
      case 'mesh': {
        const { frame, node } = toPublished(random, words, world.topology);
        const device = world.engine.namespaces.get(`${node}/host`)?.device(world.nics.get(node) ?? '');
        return [this.#put(frame, device)];
      }
      case 'soup':
        return [this.#put(tcpSoup(random, words))];
      case 'datagram':
        return [this.#put(datagram(random, words))];
      case 'esp': {
        const inner = carried(random.chance(0.7) ? tunnel(mutate(real, random, words, [real]), random, words) : real);
        return [this.#put(esp(inner, world.engine.espKeys, random, words))];
      }
      case 'ipv6': {
        const frames = ipv6Frames(random, this.#words6);
        const [first] = frames;
        if (!first) return [];
        const place = this.#put(first);
        return frames.map((frame) => {
          if (!('frame' in place)) return place;
          if (place.do === 'socket') return { ...place, frame: frame.slice(14) };
          frame.set(place.frame.subarray(0, Math.min(6, frame.length)));
          return { ...place, frame };
        });
      }
      case 'nested':
        return [this.#put(tunnel(mutate(real, random, words, [real]), random, words))];
      default: {
        const whole = random.chance(0.5) ? real : datagram(random, words);
        const cut = pieces(whole, random);
        const [first] = cut;
        if (!first) return [];
        const place = this.#put(first, origin.device);
        return cut.map((frame) => {
          if (!('frame' in place)) return place;
          if (place.do === 'socket') return { ...place, frame: packetOf(frame) };
          frame.set(place.frame.subarray(0, Math.min(6, frame.length)));
          return { ...place, frame };
        });
      }
    }
  }

  /** Where it goes in: where it was seen, or anywhere; half of the time with the MAC that is expected there. */
  #put(frame: Uint8Array, origin?: Device): Step {
    const { random, world } = this;
    const place = random.pick(this.#places);
    if (place === 'socket') return { do: 'socket', at: random.below(world.namespaces.length), frame: packetOf(frame) };
    const there = world.devices.get(place) ?? [];
    const known = origin && there.includes(origin) && random.chance(0.7);
    const device = known ? origin : random.pick(there);
    const how = random.weighted({ receive: 10, transmit: 9, batch: 1 });
    if (!known || random.chance(0.2)) this.#aim(frame, device, how === 'transmit');
    return { do: how, at: this.#numbers.get(device) ?? 0, frame };
  }

  /** Addressed to whoever gets it there, mostly; or it would seldom come further than to a check of its MAC. */
  #aim(frame: Uint8Array, device: Device, out: boolean): void {
    const { random, world } = this;
    const receiver = out ? (device.peer ?? random.pick(world.engine.devices)) : device;
    const owner = receiver.master && random.chance(0.5) ? receiver.master : receiver;
    if (frame.length >= 6 && random.chance(0.8)) frame.set(macBytes(owner.mac));
    const ip = ipAt(frame);
    if (ip < 0 || random.chance(0.5)) return;
    const own = [...owner.namespace.devices.values()].flatMap(({ addresses }) => addresses);
    if (own.length === 0) return;
    put32(frame, ip + 16, addressNumber(random.pick(own).address));
    sealAll(frame);
  }

  /** A few of the frames in these capture records. */
  #remember(records: Uint8Array): void {
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let at = 0; at + 32 <= records.length; at += view.getUint32(at + 4, true)) {
      if (view.getUint32(at, true) !== 6 || !this.random.chance(0.05)) continue;
      const length = view.getUint32(at + 20, true);
      const device = this.world.engine.taps[view.getUint32(at + 8, true)];
      const entry = { data: records.slice(at + 28, at + 28 + length), device };
      if (this.#recent.length < 256) this.#recent.push(entry);
      else this.#recent[this.random.below(256)] = entry;
    }
  }
}

function packetOf(frame: Uint8Array): Uint8Array {
  return ipAt(frame) < 0 ? frame : frame.slice(14);
}

function vocabulary({ engine, topology }: World, random: Random): Vocabulary {
  const addresses = engine.devices.flatMap((device) => device.addresses.map(({ address }) => addressNumber(address)));
  const vips = topology.services.flatMap(({ vips }) => Object.values(vips).map(addressNumber));
  const special = ['0.0.0.0', '255.255.255.255', '127.0.0.1', '127.0.0.11', '224.0.0.1', '198.51.100.7'];
  const broadcasts = addresses.map((address) => (address | 255) >>> 0);
  const neighbours = addresses.map((address) => ((address & 0xffffff00) | random.below(256)) >>> 0);
  const published = topology.services.flatMap(({ ports }) => ports.flatMap((port) => [port.published, port.target]));
  const resolvers = topology.sandboxes.flatMap(({ resolver }) => (resolver ? [resolver.udp, resolver.tcp] : []));
  return {
    addresses: [...addresses, ...addresses, ...vips, ...special.map(addressNumber), ...broadcasts, ...neighbours],
    macs: [
      ...engine.devices.map(({ mac }) => macBytes(mac)),
      ...['ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '01:80:c2:00:00:0e', '00:00:00:00:00:00', '02:00:00:00:00:99'].map(
        macBytes,
      ),
    ],
    ports: [...published, ...published, ...resolvers, 0, 7, 53, 80, 4789, 6379, 40000, 40001, 65535],
    vnis: topology.networks.flatMap(({ vni }) => (vni === undefined ? [] : [vni])),
    vteps: topology.nodes.map(({ nic }) => addressNumber(nic.addresses[0] ?? '')),
  };
}
