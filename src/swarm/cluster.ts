/**
 * Docker on all nodes at once: what can be asked of it while it runs, and everything that follows from that. Every change is
 * made to the topology and programmed at once; what takes time in a real swarm takes it here (pace.ts). Errors are Docker's own.
 */

import type { Drivers } from '../drivers/index.js';
import type {
  AttachmentSpec,
  ContainerSpec,
  NamingSpec,
  NetworkSpec,
  NodeSpec,
  OutsideSpec,
  ServiceSpec,
} from '../topology/spec.js';
import { hostPart, type Network, type Sandbox, type Service, type Topology } from '../topology/topology.js';
import { Allocator, GWBRIDGE_SPEC } from './allocator.js';
import { Attachments } from './attachments.js';
import { type Backend, Bindings } from './bindings.js';
import type { Clock } from './clock.js';
import { DockerError } from './errors.js';
import { hostOf, nameMachines, nodeOf } from './machines.js';
import { type Agents, Orchestrator } from './orchestrator.js';
import { GOSSIP_FAILURE, START, STOP_GRACE, TEARDOWN } from './pace.js';
import type { Programmer } from './realize.js';
import { GWBRIDGE } from './sandbox.js';
import { type ContainerState, isRunning, type NodeState, type ServiceState, type TaskState } from './state.js';

export const INGRESS = 'ingress';
const PREDEFINED = new Set(['bridge', 'host', 'none']);

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
  type: 'network' | 'container' | 'service' | 'node';
  /** `create`, `connect`, `die`, … as `docker events` calls it. */
  action: string;
  /** Where it happened; a service's and a node's are the whole swarm's. */
  node?: string;
  name: string;
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

export class Cluster {
  readonly nodes = new Map<string, NodeState>();
  /** By id. */
  readonly containers = new Map<string, ContainerState>();
  readonly networkSpecs = new Map<Network, NetworkSpec>();
  readonly attachments: Attachments;
  readonly orchestrator: Orchestrator;
  readonly #allocator: Allocator;
  readonly #bindings: Bindings;
  readonly #backends = new Map<TaskState, Backend[]>();
  /** Addresses of load balancers that are about to come to a node: `node network`. */
  readonly #reserved = new Map<string, string>();
  #outside: OutsideSpec | undefined;

  constructor(
    readonly topology: Topology,
    readonly options: ClusterOptions,
  ) {
    const { seed, drivers, programmer, clock } = options;
    this.#allocator = new Allocator(topology, seed, drivers);
    this.attachments = new Attachments(topology, this.#allocator, programmer);
    this.#bindings = new Bindings(this.#allocator, programmer, clock);
    this.orchestrator = new Orchestrator(this.nodes, this.attachments, this.#allocator, this.#agents, clock);
  }

  get services(): ReadonlyMap<string, ServiceState> {
    return this.orchestrator.services;
  }

  get #clock(): Clock {
    return this.options.clock;
  }

  #tell(
    type: ClusterEvent['type'],
    action: string,
    name: string,
    attributes: Record<string, string> = {},
    node?: string,
  ) {
    this.options.onEvent?.({ time: this.#clock.now, type, action, name, attributes, ...(node ? { node } : {}) });
  }

  // --- Machines ---

  addHost(spec: OutsideSpec): void {
    this.#outside ??= spec;
    const host = hostOf(spec);
    this.topology.hosts.push(host);
    this.options.programmer.addHost(host);
  }

  /** A Docker host that is in no swarm yet, with docker0. */
  addNode(spec: NodeSpec): NodeState {
    const node = nodeOf(spec, this.topology.nodes.length, this.#outside);
    this.topology.nodes.push(node);
    this.options.programmer.addNode(node);
    const state: NodeState = {
      id: this.#allocator.id(),
      spec,
      name: spec.name,
      role: spec.role,
      member: false,
      availability: 'active',
      state: 'ready',
      lost: false,
    };
    this.nodes.set(spec.name, state);
    this.#local({ name: 'bridge', driver: 'bridge' }, 'docker0', spec.name);
    if (this.#named) this.nameMachines();
    return state;
  }

  /** They know each other by name from now on, those to come included. */
  nameMachines(): void {
    nameMachines(this.topology.nodes, this.topology.hosts);
    this.#named = true;
  }
  #named = false;

  /** docker0 and docker_gwbridge are one network, with another subnet on each node. */
  #local(spec: NetworkSpec, device: string, node: string): void {
    const known = this.topology.networks.find(({ name }) => name === spec.name);
    if (known?.onNode[node]) return;
    if (known) {
      this.attachments.extend(known, node);
      return;
    }
    const network = this.#allocator.localNetwork(spec, device, [node]);
    this.networkSpecs.set(network, spec);
    this.attachments.add(network);
  }

  // --- The swarm ---

  /** `docker swarm init` on one node: ingress and docker_gwbridge come. `ingress`: another than the usual one. */
  swarmInit(node: string, ingress: NetworkSpec | undefined = undefined, wanted: readonly string[] = []): void {
    const state = this.node(node);
    if (state.member)
      throw new DockerError(
        503,
        'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
      );
    state.role = 'manager';
    const spec: NetworkSpec = ingress ?? { name: INGRESS, driver: 'overlay', ingress: true };
    this.#local(GWBRIDGE_SPEC, GWBRIDGE, node);
    const network = this.#allocator.overlay(spec, wanted);
    this.networkSpecs.set(network, spec);
    this.topology.networks.push(network);
    this.#enter(state);
  }

  swarmJoin(node: string, role: 'manager' | 'worker' = 'worker'): void {
    const state = this.node(node);
    if (state.member)
      throw new DockerError(
        503,
        'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
      );
    if (!this.inSwarm) throw new DockerError(503, NO_MANAGER);
    state.role = role;
    this.#enter(state);
  }

  get inSwarm(): boolean {
    return [...this.nodes.values()].some(({ member }) => member);
  }

  #enter(state: NodeState): void {
    state.member = true;
    state.state = 'ready';
    state.availability = 'active';
    this.#setRole(state, state.role);
    this.#local(GWBRIDGE_SPEC, GWBRIDGE, state.name);
    const { ingress } = this.attachments;
    if (ingress) this.#reach(ingress, state.name);
    this.orchestrator.nodeChanged(state);
    this.#tell('node', 'create', state.name);
    this.#changed();
  }

  #setRole(state: NodeState, role: NodeState['role']): void {
    state.role = role;
    const node = this.topology.nodes.find(({ name }) => name === state.name);
    if (node) node.role = role;
  }

  swarmLeave(node: string, force = false): void {
    const state = this.node(node);
    if (!state.member) throw new DockerError(503, 'This node is not part of a swarm');
    const managers = [...this.nodes.values()].filter(({ member, role }) => member && role === 'manager');
    if (state.role === 'manager' && !force)
      throw new DockerError(
        503,
        managers.length > 1
          ? 'You are attempting to leave the swarm on a node that is participating as a manager. Removing this node leaves 0 managers out of 1. Without a Raft quorum your swarm will be inaccessible. Use `--force` to suppress this message.'
          : 'You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ',
      );
    state.member = false;
    for (const container of this.#containersOn(node))
      if (container.task && container.sandbox) this.#finish(container, 0);
    if (!this.inSwarm) {
      for (const service of [...this.services.values()]) this.serviceRemove(service.spec.name);
    } else this.orchestrator.nodeChanged(state);
    for (const network of [...this.topology.networks])
      if (!this.#allocator.isLocal(network) && network.onNode[node]) this.#leaveNode(network, node);
    const gateway = this.attachments.find(GWBRIDGE, node);
    if (gateway?.onNode[node] && this.attachments.on(gateway).size === 0) this.attachments.leaveNode(gateway, node);
    if (!this.inSwarm)
      for (const network of [...this.topology.networks])
        if (!this.#allocator.isLocal(network)) this.#dropNetwork(network);
    this.#tell('node', 'remove', node);
    this.#changed();
  }

  node(name: string): NodeState {
    const found = this.nodes.get(name) ?? [...this.nodes.values()].find(({ id }) => id === name);
    if (found) return found;
    throw new DockerError(404, `node ${name} not found`);
  }

  /** `docker node update --availability`, `docker node promote` and `demote`, `--label-add`. */
  nodeUpdate(
    name: string,
    change: { availability?: NodeState['availability']; role?: NodeState['role']; labels?: Record<string, string> },
  ): void {
    const node = this.node(name);
    if (change.labels) node.spec.labels = change.labels;
    if (change.role) this.#setRole(node, change.role);
    if (change.availability) node.availability = change.availability;
    this.orchestrator.nodeChanged(node);
    this.#tell('node', 'update', name, change.availability ? { 'availability.new': change.availability } : {});
    this.#changed();
  }

  /** The machine is switched off, or its cable cut: nobody is told. */
  nodeLost(name: string): void {
    const node = this.node(name);
    if (node.lost) return;
    node.lost = true;
    this.options.programmer.setNodeUp(name, false);
    this.#bindings.cut(name);
    this.#clock.after(GOSSIP_FAILURE, () => {
      if (!node.lost) return;
      this.#bindings.giveUp(name);
      this.#changed();
    });
    this.orchestrator.miss(node);
  }

  /** Its cable is in again. What the swarm has given to others meanwhile stops. */
  nodeBack(name: string): void {
    const node = this.node(name);
    if (!node.lost) return;
    node.lost = false;
    this.options.programmer.setNodeUp(name, true);
    node.state = 'ready';
    this.#bindings.heal(name);
    for (const task of [...this.#backends.keys()])
      if (task.node === name && task.desired !== 'running') this.#stop(task);
    this.orchestrator.nodeChanged(node);
    this.#tell('node', 'update', name, { 'state.new': 'ready', 'state.old': 'down' });
    this.#changed();
  }

  // --- Networks ---

  /** `docker network create`: a node's own, or (`node` aside) the whole swarm's, by its driver. */
  networkCreate(spec: NetworkSpec, nodes: string | readonly string[] = [], wanted: readonly string[] = []): Network {
    const where = typeof nodes === 'string' ? [nodes] : nodes;
    const local = this.options.drivers.get(spec.driver).scope === 'local';
    for (const node of where) {
      const known = this.attachments.find(spec.name, node);
      if (known && (known.onNode[node] || !local))
        throw new DockerError(409, `network with name ${spec.name} already exists`);
    }
    if (!local && !this.inSwarm) throw new DockerError(503, NO_MANAGER);
    if (!local && this.topology.networks.some((one) => one.name === spec.name && !this.#allocator.isLocal(one)))
      throw new DockerError(409, `network with name ${spec.name} already exists`);
    const { ingress } = this.attachments;
    if (spec.ingress && ingress)
      throw new DockerError(
        409,
        `rpc error: code = AlreadyExists desc = ingress network (${ingress.id}) is already present`,
      );
    const network = local
      ? this.#allocator.localNetwork(spec, undefined, where)
      : this.#allocator.overlay(spec, wanted);
    this.networkSpecs.set(network, spec);
    this.attachments.add(network);
    if (spec.ingress) for (const { name, member } of this.nodes.values()) if (member) this.#reach(network, name);
    this.#tell('network', 'create', spec.name, { type: spec.driver }, where[0]);
    this.#changed();
    return network;
  }

  networkRemove(name: string, node?: string): void {
    const found = this.attachments.find(name, node)?.name ?? name;
    if (PREDEFINED.has(found)) throw new DockerError(403, `${found} is a pre-defined network and cannot be removed`);
    const network = this.attachments.network(name, node);
    if (network.ingress) this.#refuseIngress();
    for (const { id, spec } of this.services.values())
      if (spec.networks.some((one) => one.name === network.name))
        throw new DockerError(
          400,
          `rpc error: code = FailedPrecondition desc = network ${network.id} is in use by service ${id}`,
        );
    if ([...this.attachments.on(network)].some(({ kind }) => kind !== 'balancer'))
      throw new DockerError(
        403,
        `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
      );
    this.#dropNetwork(network);
    this.#tell('network', 'destroy', network.name, { type: network.driver }, node);
    this.#changed();
  }

  #refuseIngress(): void {
    for (const { id, spec } of this.services.values())
      if (spec.ports.some(({ mode }) => mode === 'ingress'))
        throw new DockerError(
          400,
          `rpc error: code = FailedPrecondition desc = ingress network cannot be removed because service ${id} depends on it`,
        );
  }

  #dropNetwork(network: Network): void {
    for (const node of Object.keys(network.onNode)) this.#bindings.dropNode(node, network);
    this.attachments.remove(network);
    this.networkSpecs.delete(network);
  }

  /** The network is to be on the node: its load balancer has an address there first, then dockerd makes it. */
  #reserve(network: Network, node: string): void {
    const key = `${node} ${network.id}`;
    if (this.#allocator.isLocal(network) || network.onNode[node] || this.#reserved.has(key)) return;
    this.#reserved.set(key, this.#allocator.address(node, network));
  }

  #reach(network: Network, node: string): void {
    const spec = this.networkSpecs.get(network);
    if (network.scope === 'swarm' && spec && !network.onNode[node]) this.attachments.extendScoped(network, spec, node);
    if (this.#allocator.isLocal(network) || network.onNode[node]) return;
    this.#reserve(network, node);
    const key = `${node} ${network.id}`;
    this.attachments.reach(network, node, this.#reserved.get(key) ?? '');
    this.#reserved.delete(key);
    this.#bindings.catchUp(node, network);
  }

  #leaveNode(network: Network, node: string): void {
    this.#bindings.dropNode(node, network);
    this.attachments.leaveNode(network, node);
  }

  /** Networks of the swarm that nobody on the node needs any more go from it, ingress aside. */
  #tidy(node: string, names: readonly string[]): void {
    for (const name of names) {
      const network = this.attachments.find(name);
      if (!network || network.ingress || this.#allocator.isLocal(network) || !network.onNode[node]) continue;
      const used = [...this.attachments.on(network)].some((one) => one.kind !== 'balancer' && one.node === node);
      const kept = [...this.services.values()].some(
        ({ tasks, spec }) =>
          spec.networks.some((one) => one.name === name) && [...tasks].some((task) => task.node === node),
      );
      if (!used && !kept) this.#leaveNode(network, node);
    }
  }

  // --- Containers ---

  /** By name or id (or its first digits), on a node. */
  container(name: string, node?: string): ContainerState {
    const here = [...this.containers.values()].filter((one) => node === undefined || one.node === node);
    const found =
      here.find((one) => one.name === name || one.id === name) ?? here.find(({ id }) => id.startsWith(name));
    if (found && name !== '') return found;
    throw new DockerError(404, `No such container: ${name}`);
  }

  #containersOn(node: string): ContainerState[] {
    return [...this.containers.values()].filter((one) => one.node === node);
  }

  containerCreate(spec: ContainerSpec, task?: TaskState): ContainerState {
    this.node(spec.node);
    const conflict = this.#containersOn(spec.node).find(({ name }) => name === spec.name);
    if (conflict)
      throw new DockerError(
        409,
        `Conflict. The container name "/${spec.name}" is already in use by container "${conflict.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    const container: ContainerState = {
      id: this.#allocator.containerId(),
      name: spec.name,
      node: spec.node,
      spec: { ...spec, networks: [...spec.networks] },
      status: 'created',
      exitCode: 0,
      created: this.#clock.now,
      ...(task ? { task } : {}),
    };
    this.containers.set(container.id, container);
    this.#tell('container', 'create', spec.name, { image: spec.image ?? '' }, spec.node);
    return container;
  }

  /** Its networks in the order in which it joins them. */
  containerStart(container: ContainerState): Sandbox {
    if (container.sandbox) return container.sandbox;
    const { spec, node } = container;
    const wanted: AttachmentSpec[] = spec.networks.length > 0 ? spec.networks : [{ name: 'bridge', aliases: [] }];
    const networks = wanted.map((attachment) => ({
      attachment,
      network: this.#attachable(container, attachment.name),
    }));
    const sandbox: Sandbox = {
      name: this.#sandboxName(node, container.task ? `task-${container.task.name}` : `ct-${container.name}`, container),
      node,
      kind: container.task ? 'task' : 'container',
      endpoints: [],
      container: container.name,
      id: container.id,
      ...(spec.image ? { image: spec.image } : {}),
      ...namingOf(spec),
      ...(container.task ? { service: container.task.service.spec.name, task: container.task.name } : {}),
    };
    const publishes = spec.ports.map((port) => this.#allocator.publish(node, port));
    if (publishes.length > 0) sandbox.publishes = publishes;
    if (networks.some(({ network }) => network.name !== 'bridge')) sandbox.resolver = this.#allocator.resolver();
    // A manager gives a container its address first; the load balancer that comes to the node with the network has the next one.
    const taken = new Map<Network, string>();
    for (const { network, attachment } of networks)
      if (!container.task && !this.#allocator.isLocal(network) && !network.onNode[node])
        taken.set(network, this.#allocator.address(node, network, attachment.address));
    for (const { network } of networks) this.#reach(network, node);
    this.attachments.addSandbox(sandbox);
    container.sandbox = sandbox;
    for (const { network, attachment } of networks)
      this.#connect(container, sandbox, network, attachment, taken.get(network));
    container.status = 'running';
    container.started = this.#clock.now;
    delete container.finished;
    container.exitCode = 0;
    this.options.runtime?.started?.(container, sandbox);
    this.#tell('container', 'start', container.name, { image: spec.image ?? '' }, node);
    this.#changed();
    return sandbox;
  }

  /** A name of our own: the one before may not have gone yet. */
  #sandboxName(node: string, name: string, { id }: ContainerState): string {
    const taken = this.topology.sandboxes.some((one) => one.node === node && one.name === name);
    return taken ? `${name}.${id.slice(0, 5)}` : name;
  }

  #attachable(container: ContainerState, name: string): Network {
    const network = this.attachments.network(name, container.node);
    if (this.#allocator.isLocal(network) || container.task) return network;
    if (this.networkSpecs.get(network)?.attachable === false)
      throw new DockerError(
        403,
        `Could not attach to network ${name}: rpc error: code = PermissionDenied desc = network ${name} not manually attachable`,
      );
    return network;
  }

  #connect(
    container: ContainerState,
    sandbox: Sandbox,
    network: Network,
    attachment: AttachmentSpec,
    given?: string,
  ): void {
    const taken = given ?? container.task?.addresses.get(network.name);
    if (taken) container.task?.addresses.delete(network.name);
    this.#reach(network, container.node);
    const links = network.name === 'bridge' ? this.#links(container, sandbox) : undefined;
    const aliases = network.name !== 'bridge' && !links ? this.#linkAliases(container) : undefined;
    const { name: _, ...wish } = attachment;
    this.attachments.connect(sandbox, network, {
      ...wish,
      ...(taken ? { taken } : {}),
      ...(links ? { links } : {}),
      ...(aliases ? { linkAliases: aliases } : {}),
    });
    this.#tell('network', 'connect', network.name, { container: container.id }, container.node);
  }

  /** What links on the default bridge lead to: the other container's address, and the ports that it exposes. */
  #links({ spec, node }: ContainerState, sandbox: Sandbox) {
    if (spec.links.length === 0) return undefined;
    sandbox.extraHosts ??= [];
    return spec.links.map(({ container, alias }) => {
      const other = this.#containersOn(node).find(({ name }) => name === container);
      const child = other?.sandbox?.endpoints.find(({ network }) => network === 'bridge');
      if (!other)
        throw new DockerError(400, `could not get container for ${container}: No such container: ${container}`);
      if (!child)
        throw new DockerError(400, `Cannot link to ${container}, as it does not belong to the default network`);
      const exposes = [
        ...other.spec.exposes,
        ...other.spec.ports.map(({ target: port, protocol }) => ({ port, protocol })),
      ];
      const once = exposes.filter(
        (one, i) => exposes.findIndex(({ port, protocol }) => port === one.port && protocol === one.protocol) === i,
      );
      const names = [alias, other.sandbox?.hostname ?? other.id.slice(0, 12), container];
      sandbox.extraHosts?.push({ address: hostPart(child.address), names: [...new Set(names)] });
      return { address: child.address, exposes: once };
    });
  }

  #linkAliases({ spec }: ContainerState): Record<string, string> | undefined {
    if (spec.links.length === 0) return undefined;
    return Object.fromEntries(spec.links.map(({ container, alias }) => [alias, container]));
  }

  /** SIGTERM, and SIGKILL after `grace` (ns) for whoever has not ended by then. */
  containerStop(container: ContainerState, grace = STOP_GRACE, done: () => void = () => {}): void {
    const { sandbox } = container;
    if (!sandbox) {
      done();
      return;
    }
    const { after, exitCode } = this.options.runtime?.terminated?.(container, sandbox) ?? { after: 0, exitCode: 0 };
    const late = after > grace;
    this.#clock.after(late ? grace : after, () => this.#end(container, sandbox, late ? 137 : exitCode, done));
  }

  /** `docker kill`: a signal that its process does not survive. */
  containerKill(container: ContainerState, exitCode = 137): void {
    const { sandbox } = container;
    if (!sandbox)
      throw new DockerError(409, `Cannot kill container: ${container.name}: Container ${container.id} is not running`);
    this.#tell('container', 'kill', container.name, { signal: String(exitCode - 128) }, container.node);
    this.#end(container, sandbox, exitCode);
  }

  /** Its process has ended by itself. */
  containerExited(container: ContainerState, exitCode: number): void {
    if (container.sandbox) this.#end(container, container.sandbox, exitCode);
  }

  readonly #ending = new Set<Sandbox>();

  #end(container: ContainerState, sandbox: Sandbox, exitCode: number, done: () => void = () => {}): void {
    if (container.sandbox !== sandbox || this.#ending.has(sandbox)) return;
    this.#ending.add(sandbox);
    this.options.runtime?.ended?.(container, sandbox);
    this.#clock.after(TEARDOWN, () => {
      this.#ending.delete(sandbox);
      if (container.sandbox === sandbox) this.#finish(container, exitCode);
      done();
    });
  }

  /** dockerd takes the endpoints away (releaseNetwork). */
  #finish(container: ContainerState, exitCode: number): void {
    const { sandbox, task, node } = container;
    if (!sandbox) return;
    for (const backend of task ? (this.#backends.get(task) ?? []) : []) this.#bindings.remove(backend);
    if (task) this.#backends.delete(task);
    const names = sandbox.endpoints.map(({ network }) => network);
    this.attachments.removeSandbox(sandbox);
    delete container.sandbox;
    container.status = 'exited';
    container.exitCode = exitCode;
    container.finished = this.#clock.now;
    this.#tell('container', 'die', container.name, { exitCode: String(exitCode) }, node);
    if (task) this.#report(task, exitCode);
    this.#tidy(node, names);
    this.#changed();
  }

  #report(task: TaskState, exitCode: number): void {
    const { desired } = task;
    if (desired === 'shutdown' || desired === 'remove') this.orchestrator.report(task, 'shutdown', 'shutdown');
    else if (exitCode === 0) this.orchestrator.report(task, 'complete', 'finished');
    else this.orchestrator.report(task, 'failed', 'started', `task: non-zero exit (${exitCode})`);
  }

  containerRemove(container: ContainerState, force = false): void {
    if (container.sandbox && !force)
      throw new DockerError(
        409,
        `You cannot remove a running container ${container.id}. Stop the container before attempting removal or force remove`,
      );
    if (container.sandbox) {
      if (!this.#ending.has(container.sandbox)) this.options.runtime?.ended?.(container, container.sandbox);
      this.#finish(container, 137);
    }
    this.containers.delete(container.id);
    this.#tell('container', 'destroy', container.name, {}, container.node);
  }

  containerRename(container: ContainerState, name: string): void {
    if (this.#containersOn(container.node).some((one) => one !== container && one.name === name))
      throw new DockerError(
        409,
        `Error when allocating new name: Conflict. The container name "/${name}" is already in use`,
      );
    container.name = name;
    if (container.sandbox) container.sandbox.container = name;
    this.#tell('container', 'rename', name, {}, container.node);
  }

  /** `docker network connect`: aliases, an address, links. A stopped container joins when it starts. */
  networkConnect(
    name: string,
    container: ContainerState,
    attachment: Omit<AttachmentSpec, 'name'> = { aliases: [] },
  ): void {
    const network = this.#attachable(container, name);
    const { networks } = container.spec;
    if (networks.length === 0) networks.push({ name: 'bridge', aliases: [] });
    if (networks.some((one) => one.name === network.name))
      throw new DockerError(403, `endpoint with name ${container.name} already exists in network ${network.name}`);
    const { sandbox } = container;
    const joined: AttachmentSpec = { ...attachment, name: network.name };
    if (sandbox) {
      sandbox.resolver ??= this.#resolverFor(sandbox);
      this.#connect(container, sandbox, network, joined);
    }
    networks.push(joined);
    this.#changed();
  }

  /** A container that was on docker0 alone gets its DNS server with its first network that has names. */
  #resolverFor(sandbox: Sandbox): { udp: number; tcp: number } {
    const resolver = this.#allocator.resolver();
    this.options.programmer.addResolver(sandbox, resolver);
    return resolver;
  }

  networkDisconnect(name: string, container: ContainerState): void {
    const network = this.attachments.network(name, container.node);
    const { networks } = container.spec;
    if (networks.length === 0) networks.push({ name: 'bridge', aliases: [] });
    const at = networks.findIndex((one) => one.name === network.name);
    if (at < 0) throw new DockerError(403, `container ${container.id} is not connected to network ${network.name}`);
    networks.splice(at, 1);
    if (container.sandbox) {
      this.attachments.disconnect(container.sandbox, network);
      this.#tidy(container.node, [network.name]);
    }
    this.#tell('network', 'disconnect', network.name, { container: container.id }, container.node);
    this.#changed();
  }

  // --- Services ---

  /** Ports that are asked for by number in what is about to be deployed: nobody gets them by chance. */
  avoidPorts(specs: readonly ServiceSpec[]): void {
    this.#allocator.avoidedPorts.clear();
    for (const { published, protocol } of specs.flatMap(({ ports }) => ports))
      if (published !== undefined) this.#allocator.avoidedPorts.add(`${protocol} ${published}`);
  }

  service(name: string): ServiceState {
    const found = this.services.get(name) ?? [...this.services.values()].find(({ id }) => id === name);
    if (found) return found;
    throw new DockerError(404, `service ${name} not found`);
  }

  serviceCreate(spec: ServiceSpec): ServiceState {
    if (!this.inSwarm) throw new DockerError(503, NO_MANAGER);
    if (this.services.has(spec.name))
      throw new DockerError(
        409,
        `rpc error: code = AlreadyExists desc = name conflicts with an existing object: service ${spec.name} already exists`,
      );
    this.#checkNetworks(spec);
    const path: Service = { name: spec.name, ports: [], vips: {}, balancers: [] };
    this.#endpoint(path, spec);
    this.topology.services.push(path);
    const service = this.orchestrator.create(this.#allocator.id(), spec, path);
    this.#tell('service', 'create', spec.name);
    this.#changed();
    return service;
  }

  #checkNetworks(spec: ServiceSpec): void {
    for (const { name } of spec.networks) {
      const network = this.attachments.find(name);
      if (!network) throw new DockerError(404, `network ${name} not found`);
      if (this.#allocator.isLocal(network) && network.scope !== 'swarm')
        throw new DockerError(
          403,
          `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
        );
      if (network.ingress)
        throw new DockerError(
          400,
          'rpc error: code = InvalidArgument desc = Service cannot be explicitly attached to the ingress network "' +
            `${network.name}"`,
        );
    }
    if (spec.ports.some(({ mode }) => mode === 'ingress') && !this.attachments.ingress)
      throw new DockerError(
        400,
        'rpc error: code = FailedPrecondition desc = service needs ingress network, but no ingress network is present',
      );
  }

  /** Ports and virtual addresses: those that stay are kept, the others given back. */
  #endpoint(path: Service, spec: ServiceSpec): void {
    const wanted = spec.ports.filter(({ mode }) => mode === 'ingress');
    const before = [...path.ports];
    const kept = before.filter((one) =>
      wanted.some(({ published, protocol }) => published === one.published && protocol === one.protocol),
    );
    for (const port of before) if (!kept.includes(port)) this.#allocator.giveIngressPort(port.published, port.protocol);
    path.ports = wanted.map(({ published, target, protocol }) => {
      const same = kept.find((one) => one.published === published && one.protocol === protocol);
      const port = same?.published ?? this.#allocator.ingressPort(spec.name, published, protocol);
      return { published: port, target, protocol };
    });
    // A network that is another one on each node has no VIP: its name means the tasks (cnmallocator, isNodeLocal).
    const spanning = this.orchestrator.networksOf(spec).filter((network) => !this.#allocator.isLocal(network));
    const networks = spec.endpointMode === 'vip' ? spanning.map(({ name }) => name) : [];
    for (const [name, address] of Object.entries(path.vips)) {
      if (networks.includes(name)) continue;
      const network = this.attachments.find(name);
      if (network) this.#allocator.giveAddress('', network, address);
      delete path.vips[name];
    }
    for (const name of networks) path.vips[name] ??= this.#allocator.address('', this.attachments.network(name));
    const aliases = spec.networks
      .filter((one) => one.aliases.length > 0)
      .map((one) => [one.name, one.aliases] as const);
    if (aliases.length > 0) path.aliases = Object.fromEntries(aliases);
    else delete path.aliases;
  }

  /** `docker service scale`, `docker service update`: what is not named stays. */
  serviceUpdate(name: string, change: Partial<Omit<ServiceSpec, 'name' | 'mode'>> & { force?: boolean }): void {
    const service = this.service(name);
    const { force, ...fields } = change;
    this.#become(service, { ...service.spec, ...fields }, force === true);
    this.#tell('service', 'update', name);
    this.#changed();
  }

  serviceRollback(name: string): void {
    const service = this.service(name);
    if (!service.previous)
      throw new DockerError(
        400,
        `rpc error: code = FailedPrecondition desc = service ${name} does not have a previous spec`,
      );
    this.#become(service, { ...service.previous }, false, true);
    this.#tell('service', 'update', name);
    this.#changed();
  }

  #become(service: ServiceState, spec: ServiceSpec, force: boolean, rollback = false): void {
    this.#checkNetworks(spec);
    this.#endpoint(service.path, spec);
    const rolling = force || taskText(spec) !== taskText(service.spec);
    // Tasks that are as the new spec says are of the new version from now on.
    if (!rolling)
      for (const task of service.tasks) if (task.spec === service.spec) (task as { spec: ServiceSpec }).spec = spec;
    this.orchestrator.update(service, spec, rolling, rollback);
  }

  serviceRemove(name: string): void {
    const service = this.service(name);
    const { path } = service;
    this.orchestrator.remove(service);
    this.topology.services.splice(this.topology.services.indexOf(path), 1);
    for (const { published, protocol } of path.ports) this.#allocator.giveIngressPort(published, protocol);
    for (const [network, address] of Object.entries(path.vips)) {
      const found = this.attachments.find(network);
      if (found) this.#allocator.giveAddress('', found, address);
    }
    this.#tell('service', 'remove', name);
    this.#changed();
  }

  /** `web.2`, or an id; the one that is wanted now, if there are older ones. */
  task(name: string): TaskState {
    const named = this.orchestrator.tasks.filter((one) => one.name === name || one.id === name);
    const found = named.find(({ desired }) => desired === 'running') ?? named.at(-1);
    if (found) return found;
    throw new DockerError(404, `task ${name} not found`);
  }

  /** The task's process is killed: its swarm sees it fail. */
  taskKill(name: string, exitCode = 137): void {
    const { container } = this.task(name);
    if (!container) throw new DockerError(409, `task ${name} is not running`);
    this.containerKill(container, exitCode);
  }

  readonly #agents: Agents = {
    assigned: (task) => {
      for (const network of this.orchestrator.networksOf(task.spec)) this.#reserve(network, task.node ?? '');
    },
    start: (task) => {
      this.orchestrator.report(task, 'preparing', 'preparing');
      this.#clock.after(START, () => this.#start(task));
    },
    stop: (task) => this.#stop(task),
    remove: (task) => {
      if (task.container) this.containers.delete(task.container.id);
      if (task.node && this.nodes.get(task.node)?.member)
        this.#tidy(
          task.node,
          task.spec.networks.map(({ name }) => name),
        );
    },
  };

  #start(task: TaskState): void {
    const node = this.nodes.get(task.node ?? '');
    if (!node || node.lost || task.state !== 'preparing' || task.desired !== 'running') return;
    const networks = this.orchestrator.networksOf(task.spec);
    const container = this.containerCreate(
      {
        name: `${task.name}.${task.id}`,
        node: node.name,
        ...(task.spec.image ? { image: task.spec.image } : {}),
        ...namingOf(task.spec),
        // Aliases are the service's: they mean its VIP, and no task (executor/container/container.go, serviceConfig).
        networks: networks.map(({ name }) => ({ name, aliases: [] })),
        ports: task.spec.ports
          .filter(({ mode }) => mode === 'host')
          .map(({ target, protocol, published }) => ({
            target,
            protocol,
            ...(published === undefined ? {} : { published }),
          })),
        exposes: [],
        links: [],
      },
      task,
    );
    task.container = container;
    let sandbox: Sandbox;
    try {
      sandbox = this.containerStart(container);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      this.orchestrator.report(task, 'rejected', 'preparing', error.message);
      return;
    }
    const { path } = task.service;
    const { ingress } = this.attachments;
    if (ingress && networks.includes(ingress)) this.options.programmer.redirect(sandbox, path, ingress);
    const backends = networks.flatMap((network): Backend[] => {
      const endpoint = sandbox.endpoints.find((one) => one.network === network.name);
      if (!endpoint || this.#allocator.isLocal(network)) return [];
      const address = endpoint.address.split('/')[0] ?? '';
      return [{ service: path, network, node: node.name, address, ports: path.ports }];
    });
    this.#backends.set(task, backends);
    for (const backend of backends) this.#bindings.add(backend);
    this.orchestrator.report(task, 'running', 'started');
  }

  /** The load balancers send it nothing new, then its process is asked to end (daemon/stop.go). */
  #stop(task: TaskState): void {
    const { container } = task;
    const node = this.nodes.get(task.node ?? '');
    if (node?.lost) return;
    if (!container?.sandbox) {
      if (isRunning(task)) this.orchestrator.report(task, 'shutdown', 'shutdown');
      return;
    }
    for (const backend of this.#backends.get(task) ?? []) this.#bindings.disable(backend);
    this.containerStop(container);
  }

  #changed(): void {
    this.options.runtime?.changed?.();
  }
}

function namingOf({ hostname, domainname, dns, extraHosts }: NamingSpec): NamingSpec {
  return {
    ...(hostname === undefined ? {} : { hostname }),
    ...(domainname === undefined ? {} : { domainname }),
    ...(dns === undefined ? {} : { dns }),
    ...(extraHosts === undefined ? {} : { extraHosts: [...extraHosts] }),
  };
}

const NO_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** What of a service its tasks are made from: if it is another one, they are made anew. */
function taskText({
  image,
  networks,
  ports,
  constraints,
  preferences,
  maxReplicasPerNode,
  restart,
  endpointMode,
}: ServiceSpec): string {
  return JSON.stringify([image, networks, ports, constraints, preferences, maxReplicasPerNode, restart, endpointMode]);
}
