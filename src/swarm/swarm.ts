/** A swarm that runs: planned, programmed into an engine, its services listening, its traffic sent and reported on. */

import { type Captured, capturedFrames } from '../capture/captured.js';
import { Engine, type Namespace, type Segment, Sockets } from '../engine/index.js';
import type { CallSpec, StackSpec, TrafficSpec } from '../topology/spec.js';
import { hostPart, type Sandbox, type Topology } from '../topology/topology.js';
import * as http from '../traffic/http.js';
import { listenTcp, listenUdp, type Upstream } from '../traffic/listener.js';
import * as redis from '../traffic/redis.js';
import { journeyOf, type Step } from './journey.js';
import { plan } from './plan.js';
import { type Realized, realize } from './realize.js';

/** 2026-01-01T00:00:00Z: when a run starts, unless it is told otherwise. The machine's clock is not read. */
const EPOCH = 1_767_225_600_000_000_000n;
const MILLISECOND = 1_000_000;
/** A flow that has no answer by then has failed, ns. */
const PATIENCE = 10_000 * MILLISECOND;
/** Between one flow's end and the next one's start. */
const PAUSE = 5 * MILLISECOND;

export interface SwarmOptions {
  seed?: number;
  /** Packet comments say what each hop changed. */
  comments?: boolean;
  /** ns since 1970 of the run's start. */
  epoch?: bigint;
  captureBuffer?: number;
}

export interface FlowReport {
  kind: TrafficSpec['kind'];
  /** `client`, `nginx.1` */
  from: string;
  /** `node1:1080` */
  to: string;
  /** Virtual time, ns. */
  started: number;
  finished?: number;
  ok: boolean;
  /** `nginx.1 on node2` */
  answeredBy?: string;
  /** The answer in short, or what went wrong. */
  detail?: string;
  journey: Step[];
}

interface Target {
  address: string;
  label: string;
}

export class Swarm {
  readonly sockets: Sockets;
  readonly #records: Uint8Array[] = [];

  private constructor(
    readonly spec: StackSpec,
    readonly engine: Engine,
    readonly topology: Topology,
    readonly realized: Realized,
    /** Tasks that found no node. */
    readonly pending: string[],
  ) {
    this.sockets = new Sockets(engine);
    engine.onCapture = (records) => this.#records.push(records);
  }

  /** Throws `PlanError` when the swarm cannot be laid out. */
  static async create(spec: StackSpec, options: SwarmOptions = {}): Promise<Swarm> {
    const seed = options.seed ?? 1;
    const { topology, pending } = plan(spec, seed);
    const engine = await Engine.create({
      seed,
      epoch: options.epoch ?? EPOCH,
      comments: options.comments ?? false,
      ...(options.captureBuffer === undefined ? {} : { captureBuffer: options.captureBuffer }),
    });
    const swarm = new Swarm(spec, engine, topology, realize(engine, topology), pending);
    swarm.#listen();
    return swarm;
  }

  get underlay(): Segment {
    return this.realized.underlay;
  }

  /** `client/host`, `node1/ingress_sbox`, `node2/task-web.1`. Throws for a name that is not there. */
  namespace(name: string): Namespace {
    const namespace = this.engine.namespaces.get(name);
    if (!namespace)
      throw new Error(`there is no namespace ${name}; there are ${[...this.engine.namespaces.keys()].join(', ')}`);
    return namespace;
  }

  /** Capture at every device. */
  tapEverything(): void {
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
    return this.topology.services.flatMap(({ ports }) =>
      ports.flatMap(({ published, protocol }) =>
        this.topology.nodes.map(
          ({ name }): TrafficSpec =>
            protocol === 'tcp'
              ? { kind: 'http', from, to: name, port: published, path: '/', requests: 1 }
              : { kind: 'udp', from, to: name, port: published, size: 64, datagrams: 1 },
        ),
      ),
    );
  }

  /** Sends the traffic, flow after flow, and runs until all is quiet. */
  play(onProgress?: (done: number, total: number) => void): FlowReport[] {
    const flows = this.traffic.flatMap((one) => single(one));
    const reports: FlowReport[] = [];
    for (const flow of flows) {
      reports.push(this.send(flow));
      onProgress?.(reports.length, flows.length);
    }
    return reports;
  }

  /** Sends one flow and runs until it is over. */
  send(flow: TrafficSpec): FlowReport {
    const { engine } = this;
    const at = Math.max(engine.now, (flow.at ?? 0) * MILLISECOND) + PAUSE;
    const from = this.#party(flow.from);
    const target = this.#target(flow.to, from);
    const report: FlowReport = {
      kind: flow.kind,
      from: flow.from,
      to: flow.kind === 'ping' ? target.label : `${target.label}:${flow.port}`,
      started: at,
      ok: false,
      journey: [],
    };
    if (flow.kind === 'http') this.#http(flow, from, target, at, report);
    else if (flow.kind === 'udp') this.#udp(flow, from, target, at, report);
    else this.#ping(flow, from, target, at, report);
    const deadline = at + PATIENCE;
    while (report.finished === undefined && engine.now < deadline) {
      engine.run(Math.min(engine.now + 20 * MILLISECOND, deadline), this.sockets.handle);
    }
    report.detail ??= report.ok ? '' : `no answer within ${PATIENCE / 1e9} s`;
    // What is still on its way (the last FIN, a late copy) arrives.
    engine.run(engine.now + 20 * MILLISECOND, this.sockets.handle);
    return report;
  }

  #http(flow: TrafficSpec & { kind: 'http' }, from: Namespace, target: Target, at: number, report: FlowReport): void {
    http.get(
      this.sockets,
      from,
      { address: target.address, port: flow.port },
      { host: `${target.label}:${flow.port}`, path: flow.path, at },
      (result) => {
        report.finished = result.finished;
        report.ok = result.ok;
        report.detail = result.detail;
        if (result.answeredBy) report.answeredBy = result.answeredBy;
        if (result.local) {
          report.journey = journeyOf(this.realized, 'tcp', {
            source: result.local.address,
            sport: result.local.port,
            destination: target.address,
            dport: flow.port,
          });
        }
      },
    );
  }

  #udp(flow: TrafficSpec & { kind: 'udp' }, from: Namespace, target: Target, at: number, report: FlowReport): void {
    const socket = this.sockets.openUdp(
      from,
      0,
      ({ data, from: sender, time }) => {
        if (sender.address !== target.address || sender.port !== flow.port) return;
        report.finished = time;
        report.ok = true;
        const text = new TextDecoder().decode(data).trim();
        report.detail = text;
        const by = / got \d+ bytes$/.exec(text);
        if (by) report.answeredBy = text.slice(0, by.index);
        report.journey = journeyOf(this.realized, 'udp', {
          source: this.#sourceTowards(from, target.address),
          sport: socket.port,
          destination: target.address,
          dport: flow.port,
        });
        this.sockets.closeUdp(socket);
      },
      (type, code, time) => {
        report.finished = time;
        report.detail = type === 3 && code === 3 ? 'port unreachable' : `ICMP ${type}/${code}`;
      },
    );
    const payload = Uint8Array.from({ length: flow.size }, (_, i) => 97 + (i % 26));
    socket.send({ address: target.address, port: flow.port }, payload, at);
  }

  #ping(flow: TrafficSpec & { kind: 'ping' }, from: Namespace, target: Target, at: number, report: FlowReport): void {
    let answered = 0;
    const identifier = this.sockets.openPing(({ ttl, time, sequence }) => {
      answered++;
      report.detail = `${answered} of ${flow.count} answered, ttl ${ttl}`;
      report.ok = answered === flow.count;
      if (sequence === flow.count - 1) report.finished = time;
    });
    for (let sequence = 0; sequence < flow.count; sequence++) {
      const sent = this.sockets.ping(from, target.address, {
        identifier,
        sequence,
        size: flow.size,
        time: at + sequence * 1000 * MILLISECOND,
      });
      if (sent) continue;
      report.finished = at;
      report.detail = `no route to ${target.address}`;
      return;
    }
  }

  #sourceTowards(from: Namespace, address: string): string {
    const own = [...from.devices.values()].flatMap(({ addresses }) => addresses);
    const bits = (text: string) => text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
    const near = own.find(({ address: mine, length }) => {
      const size = 2 ** (32 - length);
      return Math.floor(bits(mine) / size) === Math.floor(bits(address) / size);
    });
    const way = from.routes.find(({ destination, table }) => table === 'main' && destination === '0.0.0.0/0');
    return near?.address ?? way?.device.address ?? '';
  }

  /** The namespace that a party speaks from. */
  #party(name: string): Namespace {
    const host = this.engine.namespaces.get(`${name}/host`);
    if (host) return host;
    const task = this.#tasks(name)[0];
    if (!task) throw new Error(`nobody here is called ${name}`);
    return this.namespace(`${task.node}/${task.name}`);
  }

  /** Tasks of a service, or the one task that is meant (`web.2`). */
  #tasks(name: string): Sandbox[] {
    return this.topology.sandboxes.filter(
      ({ kind, service, task }) => kind === 'task' && (service === name || task === name),
    );
  }

  /** The address that `to` means to `from`: a host's, a service's VIP on a network that both share, or itself. */
  #target(to: string, from: Namespace): Target {
    const machine = [...this.topology.nodes, ...this.topology.hosts].find(({ name }) => name === to);
    if (machine) return { address: hostPart(machine.nic.addresses[0] ?? ''), label: to };
    if (/^\d+\.\d+\.\d+\.\d+$/.test(to)) return { address: to, label: to };
    const asker = this.topology.sandboxes.find(({ node, name }) => `${node}/${name}` === from.name);
    const mine = new Set(asker?.endpoints.map(({ network }) => network));
    const wanted = to.replace(/^tasks\./, '');
    const service = this.topology.services.find(({ name }) => name === wanted);
    if (service && wanted === to) {
      const vip = Object.entries(service.vips).find(([network]) => mine.has(network) && !this.#isIngress(network));
      if (vip) return { address: vip[1], label: to };
    }
    for (const task of this.#tasks(wanted)) {
      const endpoint = task.endpoints.find(
        ({ network }) => mine.has(network) && network !== 'docker_gwbridge' && !this.#isIngress(network),
      );
      if (endpoint) return { address: hostPart(endpoint.address), label: to };
    }
    throw new Error(`${from.name} shares no network with ${to}`);
  }

  #isIngress(network: string): boolean {
    return this.topology.networks.some(({ name, ingress }) => ingress && name === network);
  }

  /** Every published target port has a listener, and every port that a call or a flow asks for. */
  #listen(): void {
    const taken = new Set<string>();
    const listen = (
      namespace: Namespace,
      port: number,
      protocol: 'tcp' | 'udp',
      name: string,
      upstreams: Upstream[],
    ) => {
      const key = `${namespace.name} ${protocol} ${port}`;
      if (taken.has(key)) return;
      taken.add(key);
      if (protocol === 'tcp') listenTcp(this.sockets, namespace, port, name, upstreams);
      else listenUdp(this.sockets, namespace, port, name);
    };
    const asked = [
      ...this.spec.calls.map(({ to, port }) => ({ to, port, protocol: 'tcp' as const })),
      ...this.spec.traffic.flatMap((flow) =>
        flow.kind === 'ping'
          ? []
          : [{ to: flow.to, port: flow.port, protocol: flow.kind === 'udp' ? ('udp' as const) : ('tcp' as const) }],
      ),
    ];
    for (const sandbox of this.topology.sandboxes) {
      if (sandbox.kind !== 'task') continue;
      const namespace = this.namespace(`${sandbox.node}/${sandbox.name}`);
      const name = `${sandbox.task} on ${sandbox.node}`;
      const upstreams = this.spec.calls
        .filter(({ service }) => service === sandbox.service)
        .map((call) => this.#upstream(namespace, call));
      const service = this.topology.services.find((one) => one.name === sandbox.service);
      for (const { target, protocol } of service?.ports ?? []) listen(namespace, target, protocol, name, upstreams);
      for (const { to, port, protocol } of asked) {
        if (to.replace(/^tasks\./, '') === sandbox.service || to === sandbox.task)
          listen(namespace, port, protocol, name, upstreams);
      }
    }
    for (const host of this.topology.hosts) {
      const own = [host.name, ...[...host.nic.addresses, ...host.extraAddresses].map(hostPart)];
      for (const { to, port, protocol } of asked) {
        if (own.includes(to)) listen(this.namespace(`${host.name}/host`), port, protocol, host.name, []);
      }
    }
  }

  #upstream(from: Namespace, call: CallSpec): Upstream {
    return {
      label: `${call.protocol}://${call.to}:${call.port}`,
      call: (at, done) => {
        const target = this.#target(call.to, from);
        const to = { address: target.address, port: call.port };
        if (call.protocol === 'redis') redis.ping(this.sockets, from, to, at, done);
        else http.get(this.sockets, from, to, { host: `${call.to}:${call.port}`, path: call.path, at }, done);
      },
    };
  }
}

/** A flow of several requests is that many flows, one after the other. */
function single(flow: TrafficSpec): TrafficSpec[] {
  if (flow.kind === 'http') return Array.from({ length: flow.requests }, () => ({ ...flow, requests: 1 }));
  if (flow.kind === 'udp') return Array.from({ length: flow.datagrams }, () => ({ ...flow, datagrams: 1 }));
  return [flow];
}
