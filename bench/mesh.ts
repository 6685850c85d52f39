/**
 * The routing mesh on node1, as plan and realize build it, with nothing behind its NIC but sinks: node2, where the tasks
 * are, and the client are down, and the wire leads to bare devices in their place. Neighbours are known beforehand.
 */

import { openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, Stopped } from '../src/engine/generated/layout.js';
import { type Device, Engine, type Namespace } from '../src/engine/index.js';
import { port } from '../src/engine/wire.js';
import { plan } from '../src/swarm/plan.js';
import { type Realized, realize } from '../src/swarm/realize.js';
import type { StackSpec } from '../src/topology/spec.js';
import { hostPart } from '../src/topology/topology.js';
import { macBytes, VXLAN_PORT } from './headers.js';

/** Frames of one call: what four polls of a NIC bring, and within one net_rx_action (netdev_budget is 300). */
export const BATCH = 256;
/** Bytes from one frame to the next, where a batch waits. */
export const STRIDE = 1536;
export const PUBLISHED = 8080;
/** Destination tuples, so that no SNAT port runs out at 100 000 flows. */
const TASKS = 32;
const DRAIN = 1_000_000;
/** A capture file begins anew after so many bytes. */
const FILE = 1 << 28;

/** Where the records of node1's taps go, if they are on. */
export type Capturing = 'off' | 'memory' | 'file';

export const SPEC: StackSpec = {
  engine: '20.10',
  nodes: [
    { name: 'node1', role: 'manager' },
    { name: 'node2', role: 'worker' },
  ],
  // Its address makes it the nodes' gateway.
  outside: [{ name: 'client', address: '192.168.99.1/24' }],
  networks: [],
  services: [
    {
      name: 'web',
      mode: 'replicated',
      replicas: TASKS,
      networks: [],
      endpointMode: 'vip',
      ports: (['tcp', 'udp'] as const).map((protocol) => ({
        published: PUBLISHED,
        target: 80,
        protocol,
        mode: 'ingress',
      })),
      constraints: ['node.hostname==node2'],
    },
  ],
  calls: [],
  traffic: [],
};

/** What the books said at one moment. */
export interface Books {
  received: number;
  transmitted: number;
  /** At the sinks. */
  arrived: number;
  dropped: number;
  injected: number;
  generated: number;
  inFlight: number;
  balancedIn: number;
  balancedOut: number;
  /** Connections that IPVS has given to a destination. */
  balancedConnections: number;
  searches: number;
  /** Whose time is not over; the tunnels' own are not among them. */
  connections: number;
}

export class Mesh {
  readonly nic: Device;
  readonly macs: { to: Uint8Array; from: Uint8Array };
  /** node1's underlay address. */
  readonly address: string;
  readonly #frames: number;
  readonly #lengths: number;
  readonly #aside: number;
  readonly #asideLengths: number;
  readonly #sinks: { device: Device; meant: Device }[];
  readonly #sinkTaps: ReadonlySet<number>;
  #captured: Uint8Array[] = [];
  /** Records of node1's taps that were taken, and the file that they go to, if any. */
  collected = 0;
  #file: number | undefined;
  #position = 0;

  private constructor(
    readonly realized: Realized,
    captured: boolean,
  ) {
    const { engine } = realized;
    const host = this.namespace('node1/host');
    this.nic = host.device('eth0');
    // Whoever is meant is not there: what goes to them ends at two bare devices, which see it and take none of it.
    const sink = engine.namespace('bench/sink');
    this.#sinks = ['node2', 'client'].map((name, i) => {
      const meant = this.namespace(`${name}/host`).device('eth0');
      meant.up = false;
      const device = sink.addPhysical(`eth${i}`, realized.underlay, { mac: `02:00:00:00:fe:0${i}`, mtu: 1500 });
      device.tap();
      return { device, meant };
    });
    this.#sinkTaps = new Set(this.#sinks.map(({ device }) => engine.taps.indexOf(device)));
    this.macs = { to: macBytes(this.nic.mac), from: macBytes(this.namespace('client/host').device('eth0').mac) };
    this.address = this.nic.address ?? '';
    this.#frames = engine.exports.scratch(BATCH * STRIDE) >>> 0;
    this.#lengths = engine.exports.scratch(BATCH * 4) >>> 0;
    this.#aside = engine.exports.scratch(BATCH * STRIDE) >>> 0;
    this.#asideLengths = engine.exports.scratch(BATCH * 4) >>> 0;
    engine.onCapture = (records) => this.#captured.push(records);
    this.#neighbours();
    this.learn();
    // A million flows and more: nf_conntrack_max is raised, as on a machine that carries them.
    for (const namespace of engine.namespaces.values()) namespace.set('connectionsMax', 1 << 23);
    if (captured) for (const device of engine.devices) if (device.path.startsWith('node1/')) device.tap();
  }

  /** `captured`: with node1's taps on. */
  static async create(captured = false, module?: WebAssembly.Module): Promise<Mesh> {
    const engine = await Engine.create({ seed: 1, captureBuffer: 16 << 20, ...(module ? { module } : {}) });
    return new Mesh(realize(engine, plan(SPEC, 1).topology, { latency: 1 }), captured);
  }

  get engine(): Engine {
    return this.realized.engine;
  }

  namespace(name: string): Namespace {
    const found = this.realized.namespaces.get(name);
    if (!found) throw new Error(`there is no namespace ${name}`);
    return found;
  }

  /** Everyone whom node1 sends to, on the way out and back. */
  #neighbours(): void {
    const host = this.namespace('node1/host');
    const sandbox = this.namespace('node1/ingress_sbox');
    for (const { meant } of this.#sinks) host.addNeighbour(this.nic, meant.address ?? '', meant.mac);
    const bridge = host.device('docker_gwbridge');
    const way = sandbox.device('eth1');
    host.addNeighbour(bridge, way.address ?? '', way.mac);
    sandbox.addNeighbour(way, bridge.address ?? '', bridge.mac);
    for (const { address, mac } of this.tasks) sandbox.addNeighbour(sandbox.device('eth0'), address, mac);
  }

  /** What the C reference has to know of node1's tables (bench/native/mesh.c, `configure`), for so many flows. */
  nativeConfig(flows: number): (number | bigint)[] {
    const sandbox = this.namespace('node1/ingress_sbox');
    const node2 = this.namespace('node2/host').device('eth0');
    const [near, far] = [sandbox.device('eth1'), sandbox.device('eth0')];
    const macOf = (address: string) => this.tasks.find((task) => task.address === address)?.mac ?? '';
    const [service] = sandbox.ipvs.services;
    const vni = this.realized.topology.networks.find(({ ingress }) => ingress)?.vni ?? 0;
    return [
      ...[this.address, node2.address, near.address, far.address].map((address) => loaded(address ?? '')),
      ((PUBLISHED & 255) << 8) | (PUBLISHED >> 8),
      service && 'mark' in service.key ? service.key.mark : 0,
      ((vni >> 16) & 255) | (((vni >> 8) & 255) << 8) | ((vni & 255) << 16),
      ...[this.nic.mac, this.namespace('client/host').device('eth0').mac, node2.mac, far.mac].map(loadedMac),
      flows,
      service?.destinations.length ?? 0,
      ...(service?.destinations ?? []).flatMap(({ address }) => [loaded(address), loadedMac(macOf(address))]),
    ];
  }

  get tasks(): { address: string; mac: string }[] {
    return this.realized.topology.sandboxes
      .filter(({ kind }) => kind === 'task')
      .flatMap(({ endpoints }) => endpoints.filter(({ interface: name }) => name === 'eth0'))
      .map(({ address, mac }) => ({ address: hostPart(address), mac }));
  }

  /** What the switches have learned; it ages when the clock jumps. */
  learn(): void {
    const host = this.namespace('node1/host');
    const sandbox = this.namespace('node1/ingress_sbox');
    const overlay = this.namespace('node1/ov-ingress');
    for (const { device, meant } of this.#sinks) this.realized.underlay.learn(meant.mac, device);
    this.realized.underlay.learn(this.nic.mac, this.nic);
    const [near, far] = [sandbox.device('eth1'), sandbox.device('eth0')];
    if (near.peer) host.learnFdb(host.device('docker_gwbridge'), near.mac, near.peer);
    if (far.peer) overlay.learnFdb(overlay.device('br0'), far.mac, far.peer);
    for (const { mac } of this.tasks) overlay.learnFdb(overlay.device('br0'), mac, overlay.device('vxlan0'));
  }

  /** Where frame `i` of the next batch is to be written. */
  slot(i: number): number {
    return this.#frames + i * STRIDE;
  }
  lengthOf(i: number): number {
    return this.engine.memory.view.getUint32(this.#lengths + 4 * i, true);
  }
  setLength(i: number, length: number): void {
    this.engine.memory.view.setUint32(this.#lengths + 4 * i, length, true);
  }

  /** `count` frames arrive at node1's eth0: this is what is timed. */
  receive(count: number): void {
    this.engine.exports.receiveBatch(this.nic.at, this.#frames, this.#lengths, STRIDE, count);
  }
  /** What node1's taps have seen is put in order, and written: this is timed as well, where captures are on. */
  collect(toFile: boolean): void {
    const { exports, memory } = this.engine;
    const bytes = exports.orderCapture(1);
    this.collected += exports.orderedRecords();
    if (!toFile) return;
    this.#file ??= scratchFile();
    const at = exports.orderedAt() >>> 0;
    let written = 0;
    while (written < bytes)
      written += writeSync(this.#file, memory.bytes, at + written, bytes - written, this.#position + written);
    this.#position = (this.#position + bytes) % FILE;
  }
  /** What left it arrives at the sinks, which have seen it: the records of their captures. */
  drain(): Uint8Array[] {
    const { engine } = this;
    engine.run(engine.now + DRAIN);
    const captured = this.#captured;
    this.#captured = [];
    return captured;
  }
  /**
   * The same between timed batches, without copies, which would take the next batch's place in the processor's caches (the C reference
   * leaves them alone, too): of the sinks' frames the `wanted` ones (ascending), each cut after `bytes`.
   */
  headersLeft(wanted: readonly number[], bytes: number): Uint8Array[] {
    const { exports, memory } = this.engine;
    const until = this.engine.now + DRAIN;
    const left: Uint8Array[] = [];
    let seen = 0;
    for (let stopped: number = Stopped.CAPTURE; stopped !== Stopped.DONE; ) {
      stopped = exports.run(until);
      if (stopped !== Stopped.DONE && stopped !== Stopped.CAPTURE) throw new Error('somebody asks for an answer');
      const at = exports.captureAt() >>> 0;
      const records = memory.bytes.subarray(at, at + exports.captureLength());
      eachFrame(records, this.#sinkTaps, (frameAt, length) => {
        if (seen++ === wanted[left.length]) left.push(records.slice(frameAt, frameAt + Math.min(bytes, length)));
      });
      exports.clearCapture();
    }
    if (this.engine.takePunts().length > 0) throw new Error('somebody asks for an answer');
    if (left.length < wanted.length) throw new Error(`${left.length} of ${wanted.length} frames have left`);
    return left;
  }
  /** Frames in those records, in their order. */
  framesOf(captured: readonly Uint8Array[]): Uint8Array[] {
    return captured.flatMap((records) => framesIn(records, this.#sinkTaps));
  }

  /** The frames that leave node1's eth0 because of a batch of these; the frames that wait in their slots stay. */
  pass(frames: readonly Uint8Array[]): Uint8Array[] {
    const { engine, nic } = this;
    frames.forEach((frame, i) => {
      engine.memory.bytes.set(frame, this.#aside + i * STRIDE);
      engine.memory.view.setUint32(this.#asideLengths + 4 * i, frame.length, true);
    });
    engine.exports.receiveBatch(nic.at, this.#aside, this.#asideLengths, STRIDE, frames.length);
    return this.framesOf(this.drain());
  }

  get books(): Books {
    const { engine, nic } = this;
    const { rxPackets: received, txPackets: transmitted } = nic.counters;
    const { dropped, injected, generated, inFlight } = engine.account;
    const destinations = this.namespace('node1/ingress_sbox').ipvs.services.flatMap((one) => one.destinations);
    const sum = (name: 'inPackets' | 'outPackets' | 'connections') =>
      destinations.reduce((total, { counters }) => total + counters[name], 0);
    return {
      received,
      transmitted,
      arrived: this.#sinks.reduce((total, { device }) => total + (device.drops.get('OTHERHOST') ?? 0), 0),
      dropped,
      injected,
      generated,
      inFlight,
      balancedIn: sum('inPackets'),
      balancedOut: sum('outPackets'),
      balancedConnections: sum('connections'),
      searches: engine.exports.natPortSearches(),
      connections: liveConnections(engine),
    };
  }
}

/** Entries of conntrack whose time is not over, those of tunnels aside. Half a step of the clock is nothing. */
export function liveConnections({ exports, memory }: Engine): number {
  const soon = exports.time() + DRAIN / 2;
  let live = 0;
  for (let slot = 0; slot < exports.connectionSlots(); slot++) {
    const at = exports.connectionAt(slot) >>> 0;
    if (!at || memory.get(at, Connection.deadline) < soon) continue;
    if (port(memory.halves(at, Connection.originalB).low >>> 16) !== VXLAN_PORT) live++;
  }
  return live;
}

/** Frames of these taps out of finished Enhanced Packet Blocks. */
export function framesIn(records: Uint8Array, taps: ReadonlySet<number>): Uint8Array[] {
  const found: Uint8Array[] = [];
  eachFrame(records, taps, (at, length) => found.push(records.subarray(at, at + length)));
  return found;
}
/** Where in the records each of them begins. */
function eachFrame(records: Uint8Array, taps: ReadonlySet<number>, then: (at: number, length: number) => void): void {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at < records.length; at += view.getUint32(at + 4, true))
    if (taps.has(view.getUint32(at + 8, true))) then(at + 28, view.getUint32(at + 20, true));
}

/** A file without a name: it is gone when the process is. */
function scratchFile(): number {
  const path = join(tmpdir(), `swarmwire-bench-${process.pid}.pcapng`);
  const file = openSync(path, 'w');
  unlinkSync(path);
  return file;
}

/** As a little-endian load reads it. */
function loaded(address: string): number {
  return address.split('.').reduceRight((sum, part) => sum * 256 + Number(part), 0);
}
function loadedMac(text: string): bigint {
  return macBytes(text).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}
