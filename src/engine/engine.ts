/**
 * The engine, loaded: one WebAssembly instance of a module that is compiled once. This folder alone knows addresses in
 * its memory; everyone else holds namespaces, devices, rules and sockets.
 */

import { type BlockCipherMaker, bestBlocks } from '../crypto/index.js';
import type { Destination } from './balancer.js';
import { ById } from './by-id.js';
import { Ciphers } from './ciphers.js';
import { type Device, dropCounts } from './device.js';
import type { EngineExports } from './exports.js';
import { Segment as SegmentLayout, Stopped } from './generated/layout.js';
import { Memory } from './memory.js';
import { EngineMemoryError } from './memory-error.js';
import { Namespace } from './namespace.js';
import { type Punted, readPunts } from './punts.js';
import type { Rule } from './rules.js';
import { Timers } from './timers.js';
import { ipv4, mac, port } from './wire.js';
import type { AssociationSpec } from './xfrm.js';

const LIVE = [
  ['namespaces', 'liveNamespaces'],
  ['devices', 'liveDevices'],
  ['routes', 'liveRoutes'],
  ['neighbours', 'liveNeighbours'],
  ['fdb', 'liveEntries'],
  ['chains', 'liveChains'],
  ['rules', 'liveRules'],
  ['services', 'liveServices'],
  ['destinations', 'liveDestinations'],
  ['balanced', 'liveBalanced'],
  ['connections', 'connections'],
  ['sockets', 'liveSockets'],
  ['frames', 'inFlight'],
] as const;
type LiveTable = (typeof LIVE)[number][0];

export interface EngineOptions {
  seed?: number;
  /** ns since 1970 of the run's start, as captures show it. */
  epoch?: bigint;
  /** Virtual time from one device to the next, ns. */
  hopDelay?: number;
  /** Bytes of finished capture records that gather before they are drained. */
  captureBuffer?: number;
  /** Say in a packet comment what each hop changed. */
  comments?: boolean;
  /** This engine is one of `count` that share loads: it captures and counts what is its own (assembly/load/shards). */
  shard?: { index: number; count: number };
  /** What seals and opens ESP; without it the best that the machine has. */
  cipher?: BlockCipherMaker;
  /** Compiled by another thread; or another build: tests load the checked one. */
  module?: WebAssembly.Module;
}

/** Every frame that was made, and where it ended: made = injected + generated + cloned = delivered + dropped + inFlight. */
export interface Account {
  made: number;
  injected: number;
  generated: number;
  cloned: number;
  delivered: number;
  dropped: number;
  inFlight: number;
}

/** A layer-2 wire: a learning switch whose ports are physical devices. */
export class Segment {
  constructor(
    readonly engine: Engine,
    readonly at: number,
  ) {}
  get id(): number {
    return this.engine.memory.get(this.at, SegmentLayout.id);
  }
  /** Share of frames that get lost, 0 … 1. */
  set loss(share: number) {
    this.engine.memory.set(this.at, SegmentLayout.loss, Math.round(share * 65536));
  }
  /** The switch has seen this MAC behind that device before. */
  learn(hardware: string, device: Device): void {
    const { low, high } = mac(hardware);
    this.engine.exports.setFdb(this.id, low, high, device.at, 0, 0);
  }
}

export class Engine {
  readonly memory: Memory;
  readonly namespaces = new Map<string, Namespace>();
  readonly devices: Device[] = [];
  /** Capture interfaces, in the order of their numbers. */
  readonly taps: Device[] = [];
  readonly rules = new ById<Rule>();
  readonly destinations = new ById<Destination>();
  /** Given the finished capture records of a run, in the order they were written. */
  onCapture: ((records: Uint8Array) => void) | undefined;
  /**
   * Given finished records in the order of their times, those that no later one can come before: a piece of the engine's own
   * memory, good until this returns. Goes before `onCapture`; not for captures with comments, whose words must be found first.
   */
  onOrdered: ((records: Uint8Array, frames: number) => void) | undefined;
  readonly serviceDelay = 50_000;
  readonly #timers = new Timers();

  readonly ciphers: Ciphers;
  /** Every security association that there ever was, for whoever reads the captures. */
  readonly espKeys: Pick<AssociationSpec, 'source' | 'destination' | 'spi' | 'key'>[] = [];

  private constructor(
    readonly exports: EngineExports,
    readonly epoch: bigint,
    cipher: BlockCipherMaker,
  ) {
    this.memory = new Memory(exports.memory, exports.settle, exports.tablesChanged);
    this.ciphers = new Ciphers(this, cipher);
  }

  /** @throws EngineMemoryError */
  static async create(options: EngineOptions = {}): Promise<Engine> {
    const instance = await WebAssembly.instantiate(options.module ?? (await (await import('./compile.js')).compile()), {
      env: {
        abort(message: number, file: number, line: number, column: number) {
          throw new Error(`the engine gave up at ${file}:${line}:${column} (${message})`);
        },
      },
    }).catch((error) => {
      throw error instanceof RangeError ? new EngineMemoryError(error) : error;
    });
    const exports = instance.exports as unknown as EngineExports;
    const engine = new Engine(exports, options.epoch ?? 0n, options.cipher ?? (await bestBlocks()));
    const seed = BigInt.asUintN(64, BigInt(options.seed ?? 1));
    engine.exports.seed(Number(seed & 0xffffffffn), Number(seed >> 32n));
    engine.exports.setEpoch(Number(engine.epoch & 0xffffffffn), Number(engine.epoch >> 32n));
    engine.exports.setHopDelay(options.hopDelay ?? 1000);
    engine.exports.setServiceDelay(engine.serviceDelay);
    engine.exports.openCapture(options.captureBuffer ?? 4 << 20);
    engine.exports.setTracing(options.comments ? 1 : 0);
    if (options.shard) engine.#share(options.shard);
    return engine;
  }

  #shared = false;
  /** It counts what is its own alone of the loads that several engines share. */
  get isShared(): boolean {
    return this.#shared;
  }
  #share({ index, count }: { index: number; count: number }): void {
    this.exports.setShard(index, count);
    this.#shared = count > 1;
  }

  /** Virtual time, ns since the run's start. */
  get now(): number {
    return this.exports.time();
  }

  namespace(name: string): Namespace {
    if (this.namespaces.has(name)) throw new Error(`there is a namespace ${name} already`);
    const namespace = new Namespace(this, name);
    this.namespaces.set(name, namespace);
    return namespace;
  }

  /** `latency` in ns. */
  segment(latency: number): Segment {
    return new Segment(this, this.exports.newSegment(BigInt(latency)));
  }

  noteDevice(device: Device): void {
    this.devices.push(device);
    if (this.tapsEverything) device.tap();
  }
  /** Devices to come are captured at, too. */
  tapsEverything = false;
  /** Called by Namespace.removeDevice: what was dropped there stays in the account. */
  forgetDevice(device: Device): void {
    this.devices.splice(this.devices.lastIndexOf(device), 1);
    const drops = device.takeDrops();
    if (drops.size === 0) return;
    const before = this.#goneDrops.get(device.path) ?? new Map<string, number>();
    for (const [reason, count] of drops) before.set(reason, (before.get(reason) ?? 0) + count);
    this.#goneDrops.set(device.path, before);
  }
  readonly #goneDrops = new Map<string, Map<string, number>>();

  /** `ip netns del`: its devices, rules and balancers go; nobody is told of its connections and sockets. */
  removeNamespace(namespace: Namespace): void {
    this.drain();
    namespace.clear();
    this.exports.removeNamespace(namespace.at);
    this.namespaces.delete(namespace.name);
  }

  /** Records of what was removed are given back now; a run does it once a virtual second. */
  collect(): void {
    this.exports.collect();
  }

  /** Records in use, by table. */
  get live(): Record<LiveTable, number> {
    const { exports } = this;
    return Object.fromEntries(LIVE.map(([table, name]) => [table, exports[name]() >>> 0])) as Record<LiveTable, number>;
  }

  noteRule(rule: Rule): void {
    this.rules.set(rule.id, rule);
  }
  noteDestination(destination: Destination): void {
    this.destinations.set(destination.id, destination);
  }
  addTap(device: Device): number {
    return this.taps.push(device) - 1;
  }

  /** Puts bytes where the engine takes them from, and says where that is. */
  fill(bytes: Uint8Array): number {
    const at = this.exports.inboxAt() >>> 0;
    this.memory.bytes.set(bytes, at);
    return at;
  }

  /** `frame` leaves by `device` at `time`, as if its namespace had sent it. */
  transmit(device: Device, frame: Uint8Array, time = this.now): void {
    this.fill(frame);
    if (!this.exports.injectTransmit(device.at, frame.length, time))
      throw new RangeError(`a frame of ${frame.length} bytes does not fit`);
  }

  /** `frame` arrives at `device` at `time`, as if the wire had brought it. */
  receive(device: Device, frame: Uint8Array, time = this.now): void {
    this.fill(frame);
    if (!this.exports.injectReceive(device.at, frame.length, time))
      throw new RangeError(`a frame of ${frame.length} bytes does not fit`);
  }

  /** An IPv4 packet is sent by a socket, above OUTPUT, with the addresses that the socket used. */
  sendFromSocket(
    namespace: Namespace,
    packet: Uint8Array,
    source: { address: string; port: number },
    destination: { address: string; port: number },
    time = this.now,
  ): void {
    this.fill(packet);
    const { exports } = this;
    const done = exports.injectSocket(
      namespace.at,
      packet.length,
      ipv4(source.address),
      port(source.port),
      ipv4(destination.address),
      port(destination.port),
      time,
    );
    if (!done) throw new RangeError(`a packet of ${packet.length} bytes does not fit`);
  }

  /** An IPv6 packet is sent by a socket, above OUTPUT; `device`: the way out of one whose destination needs it. */
  sendFromSocket6(namespace: Namespace, packet: Uint8Array, device?: Device, time = this.now): void {
    this.fill(packet);
    if (!this.exports.injectSocket6(namespace.at, device?.at ?? 0, packet.length, time))
      throw new RangeError(`a packet of ${packet.length} bytes does not fit`);
  }

  /**
   * Runs until `until` (ns), answering what is punted by `answer`; captures go to `onCapture`. Returns the time reached.
   */
  run(until: number, answer?: (punted: Punted) => void): number {
    while (true) {
      const stopped = this.exports.run(Math.min(until, this.#timers.next));
      this.ciphers.answer();
      this.drain();
      const punts = this.takePunts();
      for (const punted of punts) answer?.(punted);
      const rang = stopped === Stopped.DONE && punts.length === 0 && this.#timers.ring(this.now);
      if (stopped === Stopped.DONE && punts.length === 0 && !rang) return this.now;
    }
  }

  /** Calls `then` once virtual time is `time`, between two events of a run; returns what calls it off. */
  at(time: number, then: (time: number) => void): () => void {
    return this.#timers.set(Math.max(time, this.now), then);
  }

  takePunts(): Punted[] {
    const length = this.exports.puntsLength();
    if (!length) return [];
    const at = this.exports.puntsAt() >>> 0;
    const punts = readPunts(this.memory.bytes.slice(at, at + length));
    this.exports.clearPunts();
    return punts;
  }

  /** Hands over what was captured since; to `onOrdered` what is complete, or with `all` the rest as well. */
  drain(all = false): void {
    const length = this.exports.captureLength();
    if (!length) return;
    if (this.onOrdered) {
      const bytes = this.exports.orderCapture(all ? 1 : 0);
      const from = this.exports.orderedAt() >>> 0;
      if (bytes) this.onOrdered(this.memory.bytes.subarray(from, from + bytes), this.exports.orderedRecords());
      return;
    }
    const at = this.exports.captureAt() >>> 0;
    this.onCapture?.(this.memory.bytes.slice(at, at + length));
    this.exports.clearCapture();
  }

  get account(): Account {
    const { exports } = this;
    const [made, injected, cloned] = [exports.made() >>> 0, exports.injected() >>> 0, exports.cloned() >>> 0];
    const [delivered, dropped] = [exports.delivered() >>> 0, exports.dropped() >>> 0];
    return {
      made,
      injected,
      // Of those that share a load each counts what is its own, and only the rest follows from it.
      generated: this.#shared ? made - injected - cloned : exports.generated() >>> 0,
      cloned,
      delivered,
      dropped,
      inFlight: this.#shared ? made - delivered - dropped : exports.inFlight() >>> 0,
    };
  }

  /** Every drop so far: where, why, how often. A device that is gone is known by its path alone. */
  get drops(): { device: { path: string }; reason: string; count: number }[] {
    const counted = (device: { path: string }, drops: Map<string, number>) =>
      [...drops].map(([reason, count]) => ({ device, reason, count }));
    return [
      ...this.devices.flatMap((device) => counted(device, device.drops)),
      ...[...this.#goneDrops].flatMap(([path, drops]) => counted({ path }, drops)),
      ...counted({ path: 'devices that were removed' }, dropCounts(this, this.exports.lateDrops())),
    ];
  }
}
