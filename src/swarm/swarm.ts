/** A swarm that runs: planned, programmed into an engine, its services listening, its traffic sent and reported on. */

import { type Captured, capturedFrames } from '../capture/captured.js';

import { Names } from '../dns/index.js';
import { type Driver, Drivers } from '../drivers/index.js';

import { Engine, type Namespace, type Segment, Sockets } from '../engine/index.js';
import type { ChangeSpec, StackSpec, TrafficSpec } from '../topology/spec.js';
import type { Topology } from '../topology/topology.js';
import { DockerProxies } from '../traffic/docker-proxy.js';
import { MeshPorts } from '../traffic/mesh-ports.js';
import { apply, words } from './changes.js';
import { EngineClock } from './clock.js';
import { Cluster, type ClusterEvent } from './cluster.js';
import { ControlPlane } from './control-plane.js';
import { deploy, emptyTopology, pendingOf } from './deploy.js';
import { DockerError } from './errors.js';
import { type FlowReport, newReport, type SingleSpec, send } from './flow.js';
import { KeyRotation } from './key-rotation.js';
import { LoadRun } from './load.js';
import { type MissingPort, missingPorts } from './missing-ports.js';
import { Parties } from './parties.js';
import { Processes } from './processes.js';
import { Realizer } from './realize.js';

/** 2026-01-01T00:00:00Z: when a run starts, unless it is told otherwise. The machine's clock is not read. */
const EPOCH = 1_767_225_600_000_000_000n;
const MILLISECOND = 1_000_000;
/** A flow that has no answer this long after its last packet was sent has failed, ns. */
const PATIENCE = 10_000 * MILLISECOND;
/** A name is looked up for no longer: three servers, five seconds each, twice, and the search list. */
const LOOKUP_PATIENCE = 120_000 * MILLISECOND;
/** Between one flow's end and the next one's start, and after the last. */
const PAUSE = 5 * MILLISECOND;
const SETTLE = 20 * MILLISECOND;
/**
 * Packets of a load that are sent at a stretch, before others may look on, and for how long at the most, ns. A task that goes has its name
 * for longer than that.
 */
const PIECE = 10_000;
const STRETCH = 100 * MILLISECOND;

export type { FlowReport };

export interface ChangeReport {
  /** Virtual time, ns. */
  at: number;
  words: string;
  /** Why Docker would not. */
  refused?: string;
}

export interface SwarmOptions {
  seed?: number;
  /** Packet comments say what each hop changed. */
  comments?: boolean;
  /** ns since 1970 of the run's start. */
  epoch?: bigint;
  captureBuffer?: number;
  /** Of `count` swarms that share the loads of one spec this is number `index` (src/workers). */
  shard?: { index: number; count: number };
  /** The engine's module, compiled by another thread. */
  module?: WebAssembly.Module;
  /** Network drivers beside Docker's own: a network's `driver` is one by its name. */
  drivers?: readonly Driver[];
}

export class Swarm {
  readonly sockets: Sockets;
  /** Name servers, and what programs find by them. */
  readonly names: Names;
  readonly #parties: Parties;
  readonly #processes: Processes | undefined;
  readonly #records: Uint8Array[] = [];
  #rotation: KeyRotation | undefined;
  #controlPlane: ControlPlane | undefined;
  /** Docker on all of its nodes: what can be changed while it runs. */
  readonly cluster: Cluster;
  readonly realized: Realizer;
  /** The spec's changes that were made so far, and those that Docker refused. */
  readonly changes: ChangeReport[] = [];
  /** What happened to it, in order. */
  readonly events: ClusterEvent[] = [];

  private constructor(
    readonly spec: StackSpec,
    readonly engine: Engine,
    { seed, drivers = [] }: { seed: number; drivers?: readonly Driver[] },
  ) {
    const topology = emptyTopology(spec);
    this.sockets = new Sockets(engine);
    const userlandProxy = (host: Namespace) => new DockerProxies(this.sockets, host);
    const meshPorts = (host: Namespace) => new MeshPorts(this.sockets, host);
    this.realized = new Realizer(engine, topology, { drivers, userlandProxy, meshPorts });
    this.#parties = new Parties(this.realized);
    engine.onCapture = (records) => this.#records.push(records);
    const clock = new EngineClock(engine);
    this.cluster = new Cluster(topology, {
      seed,
      drivers: new Drivers(drivers),
      programmer: this.realized,
      clock,
      runtime: {
        started: (_, sandbox) => this.#processes?.start(sandbox),
        ended: (_, sandbox) => this.#processes?.end(sandbox),
        changed: () => this.#followNames(),
      },
      onEvent: (event) => {
        this.events.push(event);
        this.#controlPlane?.hear(event);
      },
    });
    deploy(this.cluster, spec);
    this.names = new Names(this.realized, this.sockets, seed);
    this.#processes = new Processes(spec, this.sockets, this.#parties, this.names);
    this.#processes.listen();
    for (const sandbox of topology.sandboxes) if (sandbox.kind !== 'balancer') this.#processes.start(sandbox);
    this.#seed = seed;
    this.#watchKeys();
    clock.standing = true;
    if (spec.controlPlane) this.#controlPlane = new ControlPlane(this.realized, this.cluster, this.sockets, seed);
    for (const change of spec.changes ?? []) engine.at(change.at * MILLISECOND, () => this.#apply(change));
  }

  #apply(change: ChangeSpec): void {
    const report: ChangeReport = { at: this.engine.now, words: words(change) };
    this.changes.push(report);
    try {
      apply(this.cluster, change);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      report.refused = error.message;
    }
  }
  readonly #seed: number;

  /** Keys are there with the first encrypted network, and are rotated from then on. */
  #watchKeys(): void {
    const { keys } = this.topology;
    if (keys && !this.#rotation) this.#rotation = new KeyRotation(this.realized, keys, this.#seed);
  }

  /** Name servers come and go with sandboxes: once for all that changes at a time. */
  #followNames(): void {
    if (this.#following || !this.#processes) return;
    this.#following = true;
    this.engine.at(this.engine.now, () => {
      this.#following = false;
      this.names.follow();
      this.#watchKeys();
    });
  }
  #following = false;

  /** As it stands at this moment. */
  get topology(): Topology {
    return this.realized.topology;
  }

  /** What a firewall between the nodes lacks, and what has come of it so far. */
  get missingPorts(): MissingPort[] {
    return missingPorts(this.cluster, this.realized.stopped);
  }

  /** Tasks that have no node, in words. */
  get pending(): string[] {
    return pendingOf(this.cluster);
  }

  /** Throws `PlanError` when the swarm cannot be laid out, `UnknownDriver` when nobody brought a network's driver. */
  static async create(spec: StackSpec, options: SwarmOptions = {}): Promise<Swarm> {
    const seed = options.seed ?? 1;
    const { drivers = [] } = options;
    const engine = await Engine.create({
      seed,
      epoch: options.epoch ?? EPOCH,
      comments: options.comments ?? false,
      ...(options.shard ? { shard: options.shard } : {}),
      ...(options.module ? { module: options.module } : {}),
      ...(options.captureBuffer === undefined ? {} : { captureBuffer: options.captureBuffer }),
    });
    return new Swarm(spec, engine, { seed, drivers });
  }

  get underlay(): Segment {
    return this.realized.underlay;
  }

  /** `client/host`, `node1/ingress_sbox`, `node2/task-web.1`. Throws for a name that is not there. */
  namespace(name: string): Namespace {
    const namespace = this.engine.namespaces.get(name);
    if (namespace) return namespace;
    throw new Error(`there is no namespace ${name}; there are ${[...this.engine.namespaces.keys()].join(', ')}`);
  }

  /** /etc/resolv.conf, /etc/hosts and /etc/hostname of a container, as dockerd writes them, or of a machine. */
  file(namespace: string, path: string): string | undefined {
    return this.names.file(this.namespace(namespace), path);
  }

  /**
   * The keys of encrypted networks are rotated now, as they are every twelve hours of virtual time: within a tenth of a second
   * every node has heard of it. Throws where no network is encrypted.
   */
  rotateKeys(): void {
    if (!this.#rotation) throw new Error('no network of this swarm is encrypted');
    this.#rotation.rotate();
  }

  /** Capture at every device, those to come included. */
  tapEverything(): void {
    this.engine.tapsEverything = true;
    for (const device of this.engine.devices) device.tap();
  }

  /** Capture at `node/namespace/device`. */
  tap(path: string): void {
    const at = path.lastIndexOf('/');
    this.namespace(path.slice(0, at))
      .device(path.slice(at + 1))
      .tap();
  }

  /** What was captured at `tap` (`node1/host/eth0`), or at every tap, so far, in time order. */
  frames(tap?: string): Captured[] {
    this.engine.drain();
    const all = capturedFrames(
      this.engine.taps.map(({ path }) => path),
      this.#records,
    );
    return tap === undefined ? all : all.filter((frame) => frame.tap === tap);
  }

  /** The spec's traffic, or every published port tried from the client through every node. */
  get traffic(): TrafficSpec[] {
    if (this.spec.traffic.length > 0) return this.spec.traffic;
    const from = this.spec.outside[0]?.name;
    if (!from) return [];
    const ports = this.topology.services.flatMap((service) => service.ports);
    return ports.flatMap(({ published: port, protocol }) =>
      this.topology.nodes.map(
        ({ name: to }): TrafficSpec =>
          protocol === 'tcp'
            ? { kind: 'http', from, to, port, path: '/', requests: 1 }
            : { kind: 'udp', from, to, port, size: 64, datagrams: 1 },
      ),
    );
  }

  /** Sends the traffic, flow after flow, and runs until all is quiet. */
  play(onProgress?: (progress: Progress) => void): FlowReport[] {
    return finish(this.playing(), onProgress);
  }

  /** The same in small pieces, so that its caller may look at other things between them, or leave off. */
  *playing(): Generator<Progress, FlowReport[]> {
    const flows = this.traffic.flatMap(single);
    const reports: FlowReport[] = [];
    this.reports = reports;
    for (const flow of flows) {
      for (const packets of this.#sending(flow, reports))
        yield { flows: reports.length - 1, of: flows.length, ...packets };
      yield { flows: reports.length, of: flows.length };
    }
    const last = Math.max(0, ...(this.spec.changes ?? []).map(({ at }) => at * MILLISECOND));
    if (last >= this.engine.now) this.run((last - this.engine.now) / MILLISECOND + 1000);
    return reports;
  }
  /** Of the flows that `playing` has begun; a load's is what came of it so far. */
  reports: FlowReport[] = [];

  /** Lets `milliseconds` of virtual time go by. */
  run(milliseconds: number): void {
    this.#run(this.engine.now + milliseconds * MILLISECOND);
  }

  /** Sends one flow and runs until it is over. */
  send(flow: TrafficSpec): FlowReport {
    const reports: FlowReport[] = [];
    finish(this.#sending(flow, reports));
    return reports[0] as FlowReport;
  }

  *#sending(flow: TrafficSpec, reports: FlowReport[]): Generator<PacketProgress> {
    const at = Math.max(this.engine.now, (flow.at ?? 0) * MILLISECOND) + PAUSE;
    if (flow.kind !== 'load') {
      reports.push(this.#exchange(flow, at));
      return;
    }
    const load = new LoadRun(this.engine, this.#parties, this.names, flow, at);
    reports.push(load.report);
    const perSecond = 'packets' in flow.rate ? flow.rate.packets : flow.rate.bits / 512;
    const piece = Math.ceil((PIECE / perSecond) * 1e9);
    const deadline = at + LOOKUP_PATIENCE;
    try {
      while (!load.done && (load.began || this.engine.now < deadline)) {
        const isLong = load.began && flow.packets - load.sent > PIECE;
        this.#run(this.engine.now + Math.min(piece, isLong ? STRETCH : SETTLE));
        load.nameTasks();
        yield { packets: load.sent, ofPackets: flow.packets };
      }
    } finally {
      load.conclude();
    }
    this.#run(this.engine.now + SETTLE);
  }

  #exchange(flow: SingleSpec, at: number): FlowReport {
    const { engine } = this;
    const from = this.#parties.namespaceOf(flow.from);
    const report = newReport(flow.kind, flow.from, flow.kind === 'ping' ? flow.to : `${flow.to}:${flow.port}`, at);
    this.#processes?.answering(report);
    let deadline = at + LOOKUP_PATIENCE;
    this.names.find(from, flow.to, at, ({ address, failure, lookup, time }) => {
      if (lookup.from !== 'number') report.lookup = lookup;
      if (address === undefined) {
        report.finished = time;
        report.detail = failure;
        return;
      }
      deadline =
        time +
        PATIENCE +
        (flow.kind === 'http' ? (flow.hold ?? 0) * MILLISECOND : 0) +
        (flow.kind === 'ping' ? flow.count * 1000 * MILLISECOND : 0);
      send(this.realized, this.sockets, flow, from, address, time, report);
    });
    while (report.finished === undefined && engine.now < deadline) this.#run(Math.min(engine.now + SETTLE, deadline));
    report.detail ??= report.ok ? '' : `no answer within ${PATIENCE / 1e9} s`;
    // What is still on its way (the last FIN, a late copy) arrives.
    this.#run(engine.now + SETTLE);
    return report;
  }

  #run(until: number): void {
    this.engine.run(until, this.sockets.handle);
  }
}

/** How far a run has come: flows that are over, and packets of a load that is under way. */
export interface Progress extends Partial<PacketProgress> {
  flows: number;
  of: number;
}
interface PacketProgress {
  packets: number;
  ofPackets: number;
}

function finish<Step, Result>(steps: Generator<Step, Result>, onStep?: (step: Step) => void): Result {
  while (true) {
    const next = steps.next();
    if (next.done) return next.value;
    onStep?.(next.value);
  }
}

/** A flow of several requests is that many flows, one after the other. */
function single(flow: TrafficSpec): TrafficSpec[] {
  if (flow.kind === 'http') return Array.from({ length: flow.requests }, () => ({ ...flow, requests: 1 }));
  if (flow.kind === 'udp') return Array.from({ length: flow.datagrams }, () => ({ ...flow, datagrams: 1 }));
  return [flow];
}
