/** What the chapters of the cluster share: who is there, what is given out, and who is told of a change. */

import type { Drivers } from '../drivers/index.js';
import type { NetworkSpec } from '../topology/spec.js';
import type { Network, Sandbox, Topology } from '../topology/topology.js';
import { Allocator } from './allocator.js';
import { Attachments } from './attachments.js';
import { Bindings } from './bindings.js';
import type { Clock } from './clock.js';
import { ConfigNetworks } from './config-networks.js';
import { DockerError } from './errors.js';
import { Firewall } from './firewall.js';
import { Gossip } from './gossip.js';
import type { Programmer } from './realize.js';
import type { ContainerState, NodeState, ServiceState } from './state.js';

/** What runs in containers is somebody else's business. */
export interface Runtime {
  /** The sandbox has its endpoints: its process starts. */
  started?(container: ContainerState, sandbox: Sandbox): void;
  /** Its process gets SIGTERM: how long it takes to end, ns, and with which code. */
  terminated?(container: ContainerState, sandbox: Sandbox): { after: number; exitCode: number };
  /** Its process has ended: the kernel closes what it had open. */
  ended?(container: ContainerState, sandbox: Sandbox): void;
  /** Something of the topology has changed. */
  changed?(): void;
}

export interface ClusterEvent {
  /** Virtual time, ns. */
  time: number;
  type: 'network' | 'container' | 'service' | 'node' | 'image' | 'volume' | 'secret' | 'config';
  /** `create`, `connect`, `die`, … as `docker events` calls it. */
  action: string;
  /** Where it happened; a service's and a node's are the whole swarm's. */
  node?: string;
  name: string;
  /** `id` is whom it happened to. */
  attributes: Record<string, string>;
}

export interface ClusterOptions {
  seed: number;
  drivers: Drivers;
  programmer: Programmer;
  clock: Clock;
  runtime?: Runtime;
  onEvent?: (event: ClusterEvent) => void;
}

export class Records {
  readonly nodes = new Map<string, NodeState>();
  /** By id. */
  readonly containers = new ContainersByNode();
  readonly services = new Map<string, ServiceState>();
  readonly networkSpecs = new Map<Network, NetworkSpec>();
  readonly configNetworks = new ConfigNetworks();
  readonly allocator: Allocator;
  readonly attachments: Attachments;
  readonly bindings: Bindings;
  readonly firewall: Firewall;
  readonly gossip: Gossip;

  constructor(
    readonly topology: Topology,
    readonly options: ClusterOptions,
  ) {
    const { seed, drivers, programmer, clock } = options;
    this.allocator = new Allocator(topology, seed, drivers);
    this.attachments = new Attachments(topology, this.allocator, programmer);
    this.bindings = new Bindings(this.allocator, programmer, clock, () => this.gossip);
    this.firewall = new Firewall(topology, programmer);
    this.gossip = new Gossip(this.nodes, topology, this.allocator, this.firewall, clock, {
      part: (network, one, other, strangers) => programmer.part(network, one, other, strangers),
      forget: (network, one, other) => {
        programmer.forget(network, one, other);
        this.bindings.part(network, one, other);
      },
      meet: (network, one, other) => {
        programmer.meet(network, one, other);
        this.bindings.meet(network, one, other);
      },
      changed: () => this.changed(),
    });
  }

  get clock(): Clock {
    return this.options.clock;
  }

  get inSwarm(): boolean {
    return [...this.nodes.values()].some(({ member }) => member);
  }

  node(name: string): NodeState {
    const found = this.nodes.get(name) ?? [...this.nodes.values()].find(({ id }) => id === name);
    if (found) return found;
    throw new DockerError(404, `node ${name} not found`);
  }

  containersOn(node: string): ContainerState[] {
    return [...this.containers.on(node)];
  }

  /** As `docker events` tells it. */
  tell(
    type: ClusterEvent['type'],
    action: string,
    name: string,
    attributes: Record<string, string> = {},
    node?: string,
  ): void {
    this.options.onEvent?.({ time: this.clock.now, type, action, name, attributes, ...(node ? { node } : {}) });
  }

  /** Something of the topology is another than before. */
  changed(): void {
    this.options.runtime?.changed?.();
  }
}

/** By id; and those of a node, in the order in which they came. */
class ContainersByNode extends Map<string, ContainerState> {
  // `super()` may call `set` before fields are there.
  #nodes: Map<string, Set<ContainerState>> | undefined;
  /** By node and name. */
  #names: Map<string, ContainerState> | undefined;

  on(node: string): Iterable<ContainerState> {
    return this.#nodes?.get(node) ?? [];
  }

  /** The one of that name on the node. */
  named(node: string, name: string): ContainerState | undefined {
    return this.#names?.get(`${node} ${name}`);
  }

  rename(container: ContainerState, name: string): void {
    this.#names?.delete(nameOf(container));
    container.name = name;
    this.#names?.set(nameOf(container), container);
  }

  override set(id: string, container: ContainerState): this {
    this.delete(id);
    this.#nodes ??= new Map();
    this.#names ??= new Map();
    const here = this.#nodes.get(container.node);
    if (here) here.add(container);
    else this.#nodes.set(container.node, new Set([container]));
    this.#names.set(nameOf(container), container);
    return super.set(id, container);
  }

  override delete(id: string): boolean {
    const container = this.get(id);
    if (container) {
      this.#nodes?.get(container.node)?.delete(container);
      this.#names?.delete(nameOf(container));
    }
    return super.delete(id);
  }
}

function nameOf({ node, name }: ContainerState): string {
  return `${node} ${name}`;
}
