/**
 * Docker on all nodes at once: what can be asked of it while it runs, a chapter each, and everything that follows from that.
 * Every change is made to the topology and programmed at once; what takes time in a real swarm takes it here (pace.ts).
 * Errors are Docker's own.
 */

import type { DaemonConfig } from '../topology/daemon.js';
import type {
  AttachmentSpec,
  ContainerSpec,
  FirewallRule,
  NetworkSpec,
  NodeSpec,
  OutsideSpec,
  ServiceSpec,
} from '../topology/spec.js';
import type { Network, Sandbox, Topology } from '../topology/topology.js';
import type { Attachments } from './attachments.js';
import type { ConfigNetwork, ConfigNetworks } from './config-networks.js';
import { Containers } from './containers.js';
import { restartDaemon } from './daemon.js';
import { Members, type NodeChange } from './members.js';
import { Networks } from './networks.js';
import { Orchestrator } from './orchestrator.js';
import { type ClusterOptions, Records } from './records.js';
import { type ServiceChange, Services } from './services.js';
import type { ContainerState, NodeState, ServiceState, TaskState } from './state.js';
import { Tasks } from './tasks.js';

export type { ClusterEvent, ClusterOptions, Runtime } from './records.js';

/** Whom a firewall has cut off from whom, at some time: nodes from every manager, pairs of nodes from each other's gossip. */
export interface CutOff {
  managers: string[];
  gossip: (readonly [string, string])[];
  /** Pairs that hear of each other half a minute late. */
  lateGossip: (readonly [string, string])[];
}

export class Cluster {
  readonly orchestrator: Orchestrator;
  readonly #records: Records;
  readonly #networks: Networks;
  readonly #containers: Containers;
  readonly #services: Services;
  readonly #tasks: Tasks;
  readonly #members: Members;

  constructor(
    readonly topology: Topology,
    readonly options: ClusterOptions,
  ) {
    const records = new Records(topology, options);
    this.#records = records;
    this.#networks = new Networks(records);
    this.#containers = new Containers(records, this.#networks, {
      leaving: (task) => this.#tasks.leaving(task),
      ended: (task, exitCode) => this.#tasks.ended(task, exitCode),
    });
    this.orchestrator = new Orchestrator(records, {
      assigned: (task) => this.#tasks.assigned(task),
      start: (task) => this.#tasks.start(task),
      stop: (task) => this.#tasks.stop(task),
      remove: (task) => this.#tasks.remove(task),
    });
    this.#services = new Services(records, this.orchestrator);
    this.#tasks = new Tasks(records, this.#networks, this.#containers, this.orchestrator);
    this.#members = new Members(
      records,
      this.#networks,
      this.#containers,
      this.#services,
      this.#tasks,
      this.orchestrator,
    );
  }

  get nodes(): ReadonlyMap<string, NodeState> {
    return this.#records.nodes;
  }
  /** By id. */
  get containers(): ReadonlyMap<string, ContainerState> {
    return this.#records.containers;
  }
  get services(): ReadonlyMap<string, ServiceState> {
    return this.#records.services;
  }
  get networkSpecs(): ReadonlyMap<Network, NetworkSpec> {
    return this.#records.networkSpecs;
  }
  get attachments(): Attachments {
    return this.#records.attachments;
  }
  get inSwarm(): boolean {
    return this.#records.inSwarm;
  }

  // --- Machines ---

  addHost(spec: OutsideSpec): void {
    this.#members.addHost(spec);
  }
  /** A Docker host that is in no swarm yet, with docker0. */
  addNode(spec: NodeSpec): NodeState {
    return this.#members.addNode(spec);
  }
  /** They know each other by name from now on, those to come included. */
  nameMachines(): void {
    this.#members.nameMachines();
  }

  // --- The swarm ---

  /** `docker swarm init` on one node: ingress and docker_gwbridge come. `ingress`: another than the usual one. */
  swarmInit(node: string, ingress?: NetworkSpec, wanted: readonly string[] = []): void {
    this.#members.init(node, ingress, wanted);
  }
  swarmJoin(node: string, role: 'manager' | 'worker' = 'worker'): void {
    this.#members.join(node, role);
  }
  nodeRemove(node: string): void {
    this.#members.remove(node);
  }
  swarmLeave(node: string, force = false): void {
    this.#members.leave(node, force);
  }
  /** By name or id. */
  node(name: string): NodeState {
    return this.#records.node(name);
  }
  /** `docker node update --availability`, `docker node promote` and `demote`, `--label-add`. */
  nodeUpdate(name: string, change: NodeChange): void {
    this.#members.update(name, change);
  }
  /** The machine is switched off, or its cable cut: nobody is told. */
  nodeLost(name: string): void {
    this.#members.lose(name);
  }
  /** Its cable is in again. */
  nodeBack(name: string): void {
    this.#members.restore(name);
  }

  /** A firewall between the nodes stops these frames on the wire, from now on. */
  block(rule: FirewallRule): void {
    this.#members.block(rule);
  }
  /** And no longer. */
  unblock(rule: FirewallRule): void {
    this.#members.unblock(rule);
  }
  /** What is closed between nodes has had these consequences so far. */
  get cutOff(): CutOff {
    const { parted, late } = this.#records.gossip;
    return { managers: [...this.#members.cutOff], gossip: parted, lateGossip: [...late.values()] };
  }

  /** `systemctl restart docker`, with that daemon.json. */
  daemonRestart(node: string, config: DaemonConfig): void {
    restartDaemon(this.#records, this.#containers, node, config);
  }

  // --- Networks ---

  /** `docker network create`: a node's own, or (`nodes` aside) the whole swarm's, by its driver. */
  networkCreate(spec: NetworkSpec, nodes: string | readonly string[] = [], wanted: readonly string[] = []): Network {
    return this.#networks.create(spec, nodes, wanted);
  }
  /** `docker network create --config-only`: the node's own; and `docker network rm` of one. */
  configCreate(spec: NetworkSpec, node: string): ConfigNetwork {
    return this.#networks.createConfig(spec, node);
  }
  configRemove(config: ConfigNetwork): void {
    this.#networks.removeConfig(config);
  }
  get configNetworks(): ConfigNetworks {
    return this.#records.configNetworks;
  }
  networkRemove(name: string, node?: string): void {
    this.#networks.remove(name, node);
  }
  /** `docker network connect`: aliases, an address, links. A stopped container joins when it starts. */
  networkConnect(name: string, container: ContainerState, attachment?: Omit<AttachmentSpec, 'name'>): void {
    this.#containers.connect(name, container, attachment);
  }
  networkDisconnect(name: string, container: ContainerState): void {
    this.#containers.disconnect(name, container);
  }

  // --- Containers ---

  /** By name or id (or its first digits), on a node. */
  container(name: string, node?: string): ContainerState {
    return this.#containers.find(name, node);
  }
  containerCreate(spec: ContainerSpec): ContainerState {
    return this.#containers.create(spec);
  }
  containerStart(container: ContainerState): Sandbox {
    return this.#containers.start(container);
  }
  /** SIGTERM, and SIGKILL after `grace` (ns) for whoever has not ended by then. */
  containerStop(container: ContainerState, grace?: number, done?: () => void): void {
    this.#containers.stop(container, grace, done);
  }
  /** `docker kill`: a signal that its process does not survive. */
  containerKill(container: ContainerState, exitCode?: number, signal?: number): void {
    this.#containers.kill(container, exitCode, signal);
  }
  /** Its process has ended by itself. */
  containerExited(container: ContainerState, exitCode: number): void {
    this.#containers.exited(container, exitCode);
  }
  containerRemove(container: ContainerState, force = false): void {
    this.#containers.remove(container, force);
  }
  containerRename(container: ContainerState, name: string): void {
    this.#containers.rename(container, name);
  }

  // --- Services and tasks ---

  /** Ports that are asked for by number in what is about to be deployed: nobody gets them by chance. */
  avoidPorts(specs: readonly ServiceSpec[]): void {
    this.#services.avoidPorts(specs);
  }
  /** By name or id. */
  service(name: string): ServiceState {
    return this.#services.find(name);
  }
  serviceCreate(spec: ServiceSpec): ServiceState {
    return this.#services.create(spec);
  }
  /** `docker service scale`, `docker service update`: what is not named stays. */
  serviceUpdate(name: string, change: ServiceChange): void {
    this.#services.update(name, change);
  }
  serviceRollback(name: string, force = false): void {
    this.#services.rollback(name, force);
  }
  serviceRemove(name: string): void {
    this.#services.remove(name);
  }
  /** `web.2`, or an id; the one that is wanted now, if there are older ones. */
  task(name: string): TaskState {
    return this.#tasks.find(name);
  }
  /** The task's process is killed: its swarm sees it fail. */
  taskKill(name: string, exitCode = 137): void {
    this.#tasks.kill(name, exitCode);
  }
}
