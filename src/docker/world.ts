/**
 * The swarm that is served: Docker on its nodes (swarm/cluster), containers that run programs, and a clock. Virtual time follows
 * the wall clock while somebody looks on; while somebody only waits for something to end, it runs ahead.
 */

import { Names } from '../dns/index.js';
import { type Driver, Drivers } from '../drivers/index.js';
import { Engine, type Namespace, Sockets } from '../engine/index.js';
import { Computer, type Program, programOf, type Started } from '../programs/index.js';
import { apply, words } from '../swarm/changes.js';
import { EngineClock } from '../swarm/clock.js';
import { Cluster, type ClusterEvent } from '../swarm/cluster.js';
import { ControlPlane } from '../swarm/control-plane.js';
import { deploy, emptyTopology } from '../swarm/deploy.js';
import { DockerError } from '../swarm/errors.js';
import { Realizer } from '../swarm/realize.js';
import type { ContainerState } from '../swarm/state.js';
import type { ContainerSpec, StackSpec } from '../topology/spec.js';
import { namespaceOf, type Sandbox, type Topology } from '../topology/topology.js';
import { DockerProxies } from '../traffic/docker-proxy.js';
import { MeshPorts } from '../traffic/mesh-ports.js';
import { argvOf, type ContainerConfig, configOfTask, listensAs } from './container-config.js';
import { ControlPorts } from './control-ports.js';
import type { Exec } from './exec.js';
import { type Health, watchHealth } from './health.js';
import { digestOf, type Image, Images } from './images.js';
import { ContainerIo } from './io.js';
import { listening } from './listening.js';
import { NodeHost } from './node-host.js';
import { RESOLVABLE, resolvable } from './resolvable.js';
import { ServedClock } from './served-clock.js';
import { Routers } from './weave/routers.js';

const MILLISECOND = 1_000_000;
const EVENTS_KEPT = 1000;

export interface WorldOptions {
  seed: number;
  drivers?: readonly Driver[];
  /** Wall clock, ms since 1970. */
  now?: () => number;
  /** One of the stack file's changes was refused by Docker. */
  onRefused?: (words: string) => void;
}

interface Living {
  computer: Computer;
  health?: Health;
  started?: Started;
}

export class World {
  readonly sockets: Sockets;
  readonly names: Names;
  readonly weave = new Routers(this);
  readonly topology: Topology;
  readonly realized: Realizer;
  readonly cluster: Cluster;
  readonly events: ClusterEvent[] = [];
  readonly execs = new Map<string, Exec>();
  /** By container id. */
  readonly configs = new Map<string, ContainerConfig>();
  readonly #ios = new Map<string, ContainerIo>();
  readonly #living = new Map<Sandbox, Living>();
  /** Machines themselves, for `swarmwire node`. */
  readonly #machines = new Map<string, Computer>();
  readonly #images = new Images();
  readonly #eventWatchers = new Set<(event: ClusterEvent) => void>();
  readonly #clock: ServedClock;
  /** Where no nodes speak on them. */
  readonly #controlPorts: ControlPorts | undefined;
  /** Programs that a machine itself has besides those that all have, by the machine's name. */
  hostProgram: (machine: string, name: string) => Program | undefined = () => undefined;
  #controlPlane: ControlPlane | undefined;
  #draws = 0;

  private constructor(
    readonly engine: Engine,
    spec: StackSpec,
    { seed, drivers = [], now = Date.now, onRefused = () => {} }: WorldOptions,
  ) {
    this.topology = emptyTopology(spec);
    this.sockets = new Sockets(engine);
    const { handle } = this.sockets;
    this.#clock = new ServedClock(
      {
        get now() {
          return engine.now;
        },
        run: (until) => engine.run(until, handle),
      },
      now,
    );
    const userlandProxy = (host: Namespace) => new DockerProxies(this.sockets, host);
    const meshPorts = (host: Namespace) => new MeshPorts(this.sockets, host);
    this.realized = new Realizer(engine, this.topology, { drivers, userlandProxy, meshPorts });
    this.names = new Names({ topology: this.topology, namespaces: this.realized.namespaces }, this.sockets, seed);
    engine.onCapture = undefined;
    const clock = new EngineClock(engine);
    this.cluster = new Cluster(this.topology, {
      seed,
      drivers: new Drivers(drivers),
      programmer: this.realized,
      clock,
      runtime: {
        started: (container, sandbox) => this.#start(container, sandbox),
        terminated: (container) => this.#terminate(container),
        ended: (_, sandbox) => this.#end(sandbox),
        changed: () => this.#changed(),
      },
      onEvent: (event) => this.#note(event),
    });
    deploy(this.cluster, spec);
    clock.standing = true;
    this.names.follow();
    if (spec.controlPlane) this.#controlPlane = new ControlPlane(this.realized, this.cluster, this.sockets, seed);
    else this.#controlPorts = new ControlPorts(this.sockets, (node) => this.namespace(`${node}/host`));
    this.#controlPorts?.follow(this.cluster);
    for (const change of spec.changes ?? [])
      engine.at(engine.now + change.at * MILLISECOND, () => {
        try {
          apply(this.cluster, change);
        } catch (error) {
          if (!(error instanceof DockerError)) throw error;
          onRefused(`${words(change)}: ${error.message}`);
        }
      });
  }

  static async create(spec: StackSpec, options: WorldOptions): Promise<World> {
    const { now = Date.now } = options;
    const engine = await Engine.create({ seed: options.seed, epoch: BigInt(now()) * 1_000_000n });
    return new World(engine, spec, options);
  }

  // --- Time (served-clock.ts) ---

  /** Virtual time runs that many times as fast as the wall clock. */
  set speed(times: number) {
    this.#clock.speed = times;
  }

  /** ns since 1970. */
  get time(): bigint {
    return this.at(this.engine.now);
  }
  /** Of a moment of virtual time: now is what the wall clock says, however far ahead the simulation has run. */
  at(virtual: number): bigint {
    return this.#clock.at(virtual);
  }

  open(): void {
    this.#clock.open();
  }

  close(): void {
    this.#clock.close();
  }

  /** Virtual time comes up to the wall clock's. */
  catchUp(): void {
    this.#clock.catchUp();
  }

  /** Somebody looks on from now on: output comes at the pace of the wall clock. Returns what ends it. */
  look(): () => void {
    return this.#clock.look();
  }

  /** Waits until `done` holds; false: it does not come to that. Virtual time runs ahead, unless somebody looks on, or `ahead` is false. */
  until(done: () => boolean, gone: () => boolean = () => false, ahead = true): Promise<boolean> {
    return this.#clock.until(done, gone, ahead);
  }

  // --- What happens ---

  #note(told: ClusterEvent): void {
    const labels = told.type === 'container' ? this.#labelsOf(told.attributes.id ?? '') : {};
    const event = { ...told, attributes: { ...told.attributes, ...labels } };
    this.events.push(event);
    if (this.events.length > EVENTS_KEPT) this.events.shift();
    this.#controlPlane?.hear(event);
    for (const watcher of this.#eventWatchers) watcher(event);
    if (event.type !== 'container') return;
    if (event.action === 'die') this.#died(event);
    // Whoever removed it: the swarm removes its tasks' containers by itself.
    if (event.action === 'destroy' && event.attributes.id) this.forget(event.attributes.id);
  }

  /** `--rm`: it goes once it has ended. */
  #died({ attributes }: ClusterEvent): void {
    const container = this.cluster.containers.get(attributes.id ?? '');
    if (!container || container.task || !this.configs.get(container.id)?.autoRemove) return;
    this.engine.at(this.engine.now, () => {
      if (!this.cluster.containers.has(container.id) || container.sandbox) return;
      this.cluster.containerRemove(container);
    });
  }

  /** Of a container that is being made, too: it has its config a moment later. */
  #labelsOf(id: string): Record<string, string> {
    const container = this.cluster?.containers.get(id);
    const config = this.configs.get(id) ?? this.#making ?? (container?.task && this.configOf(container));
    return config?.labels ?? {};
  }
  #making: ContainerConfig | undefined;

  /** `docker create` */
  create(spec: ContainerSpec, config: ContainerConfig): ContainerState {
    this.#making = config;
    try {
      const container = this.cluster.containerCreate(spec);
      this.configs.set(container.id, config);
      return container;
    } finally {
      this.#making = undefined;
    }
  }

  onEvent(watcher: (event: ClusterEvent) => void): () => void {
    this.#eventWatchers.add(watcher);
    return () => this.#eventWatchers.delete(watcher);
  }

  #changed(): void {
    this.names.follow();
    this.#controlPorts?.follow(this.cluster);
  }

  /** 64 hexadecimal digits, from the seed's own sequence. */
  newId(): string {
    return digestOf(`${this.cluster.options.seed} ${++this.#draws}`);
  }

  // --- Images ---

  imagesOn(node: string): Map<string, Image> {
    return this.#images.on(node);
  }

  pull(node: string, reference: string): { image: Image; fresh: boolean } {
    return this.#images.pull(node, reference, this.time);
  }

  // --- Containers ---

  configOf(container: ContainerState): ContainerConfig {
    const known = this.configs.get(container.id);
    if (known) return known;
    const { image } = this.pull(container.node, container.spec.image ?? 'busybox');
    const made = configOfTask(container, image);
    this.configs.set(container.id, made);
    return made;
  }

  ioOf(container: ContainerState): ContainerIo {
    const known = this.#ios.get(container.id);
    if (known) return known;
    const made = new ContainerIo(this.configOf(container).tty, () => this.time);
    this.#ios.set(container.id, made);
    return made;
  }

  forget(id: string): void {
    this.configs.delete(id);
    this.#ios.delete(id);
    for (const exec of [...this.execs.values()]) if (exec.container.id === id) this.execs.delete(exec.id);
  }

  /** What it is to run, if there is no such program. */
  missingProgram(container: ContainerState): string | undefined {
    const config = this.configOf(container);
    const [name = ''] = argvOf(config);
    return programOf(name) || listensAs(name, config) ? undefined : name;
  }

  healthOf(container: ContainerState): Health | undefined {
    return container.sandbox && this.#living.get(container.sandbox)?.health;
  }

  /** Something happened to a container that the cluster knows nothing of. */
  tell({ name, node, id, spec }: ContainerState, action: string, more: Record<string, string> = {}): void {
    this.tellOf('container', action, name, node, { id, image: spec.image ?? '', ...more });
  }

  /** Without a node it is the whole swarm's. */
  tellOf(
    type: ClusterEvent['type'],
    action: string,
    name: string,
    node: string | undefined,
    attributes: Record<string, string> = {},
  ): void {
    this.#note({ time: this.engine.now, type, action, name, ...(node ? { node } : {}), attributes });
  }

  computerOf(container: ContainerState): Computer | undefined {
    return container.sandbox && this.#living.get(container.sandbox)?.computer;
  }

  /** Its own, its node's on the network `host`, or that of the container whose namespace it is in. */
  hostnameOf(container: ContainerState, seen: readonly ContainerState[] = []): string {
    const { spec, node } = container;
    const own = this.configOf(container).hostname;
    if (own) return own;
    if (spec.networks.some(({ name }) => name === 'host')) return node;
    const other = [...this.cluster.containers.values()].find(
      (one) => one.node === node && (one.name === spec.sharesWith || one.id === spec.sharesWith),
    );
    const known = !other || other === container || seen.includes(other);
    return known ? container.id.slice(0, 12) : this.hostnameOf(other, [...seen, container]);
  }

  /** A node or a host itself. */
  machine(name: string): Computer {
    const known = this.#machines.get(name);
    if (known) return known;
    const host = new NodeHost(this, name);
    const made = new Computer({
      namespace: this.namespace(`${name}/host`),
      sockets: this.sockets,
      names: this.names,
      hostname: name,
      flavour: 'debian',
      host,
      programs: (program) => this.hostProgram(name, program) ?? host.program(program),
    });
    this.#machines.set(name, made);
    return made;
  }

  namespace(name: string): Namespace {
    const found = this.engine.namespaces.get(name);
    if (!found) throw new Error(`there is no namespace ${name}`);
    return found;
  }

  #start(container: ContainerState, sandbox: Sandbox): void {
    const config = this.configOf(container);
    const namespace = this.namespace(namespaceOf(sandbox));
    const computer = new Computer({
      namespace,
      sockets: this.sockets,
      names: this.names,
      hostname: this.hostnameOf(container),
      flavour: config.image.flavour,
      programs: (name) => this.#ownProgram(name, container, sandbox),
    });
    const living: Living = { computer };
    this.#living.set(sandbox, living);
    const io = this.ioOf(container);
    io.start();
    if (!config.openStdin) io.stdin.end();
    const argv = argvOf(config);
    const started = computer.run(argv, {
      stdin: io.stdin,
      stdout: io.output('stdout'),
      stderr: io.output('stderr'),
      environment: config.environment,
      terminal: config.tty,
    });
    if (!started) {
      io.output('stderr').write(`exec: "${argv[0]}": executable file not found in $PATH: unknown\n`);
      this.engine.at(this.engine.now, () => this.cluster.containerExited(container, 127));
      return;
    }
    living.started = started;
    if (config.healthCheck) living.health = watchHealth(this, container, computer, config.healthCheck);
    io.onInterrupt = () => started.interrupt();
    const exited = () => {
      if (this.#living.get(sandbox) === living) this.cluster.containerExited(container, started.task.value ?? 0);
    };
    // One that ends at once has been started all the same.
    if (started.task.done) this.engine.at(this.engine.now, exited);
    else started.task.whenDone(exited);
  }

  #ownProgram(name: string, container: ContainerState, sandbox: Sandbox): Program | undefined {
    const config = this.configOf(container);
    if (!listensAs(name, config)) return undefined;
    const namespace = this.namespace(namespaceOf(sandbox));
    if (name === RESOLVABLE) return resolvable(this.names, sandbox, namespace);
    return listening(this.sockets, namespace, container, config);
  }

  /** Shells and sleep do not hear SIGTERM as process 1; servers end at once, and well. */
  hears(container: ContainerState): boolean {
    const [name = ''] = argvOf(this.configOf(container));
    return !/(?:^|\/)(?:sh|ash|bash|sleep|ping|top|tail|python3?|nc)$/.test(name);
  }

  #terminate(container: ContainerState): { after: number; exitCode: number } {
    return !this.hears(container) ? { after: Number.POSITIVE_INFINITY, exitCode: 137 } : { after: 0, exitCode: 0 };
  }

  #end(sandbox: Sandbox): void {
    const living = this.#living.get(sandbox);
    this.#living.delete(sandbox);
    living?.computer.halt();
    const shared = [...this.#living.keys()].some((one) => namespaceOf(one) === namespaceOf(sandbox));
    if (living && sandbox.shares !== 'host' && !shared) this.sockets.kill(living.computer.namespace, this.engine.now);
    for (const container of this.cluster.containers.values())
      if (container.sandbox === sandbox) this.#ios.get(container.id)?.end();
  }
}
