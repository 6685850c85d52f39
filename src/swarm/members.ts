/** Machines, and which of the nodes are in the swarm: `docker swarm`, `docker node` (moby daemon/cluster/swarm.go; swarmkit manager/dispatcher). */

import type { FirewallRule, NetworkSpec, NodeSpec, OutsideSpec } from '../topology/spec.js';
import { GWBRIDGE_SPEC } from './allocator.js';
import type { Containers } from './containers.js';
import { DockerError, NO_MANAGER } from './errors.js';
import { ruleText } from './firewall.js';
import { hostOf, nameMachines, nodeOf } from './machines.js';
import type { Networks } from './networks.js';
import type { Orchestrator } from './orchestrator.js';
import type { Records } from './records.js';
import { GWBRIDGE } from './sandbox.js';
import type { Services } from './services.js';
import { hasSession, reachesManager } from './sessions.js';
import type { NodeState } from './state.js';
import type { Tasks } from './tasks.js';

export interface NodeChange {
  availability?: NodeState['availability'];
  role?: NodeState['role'];
  labels?: Record<string, string>;
}

export const INGRESS = 'ingress';
const ALREADY_MEMBER =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';

/** moby daemon/cluster/errors.go, errSwarmJoinTimeoutReached. */
const JOIN_TIMEOUT =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.';

export class Members {
  #outside: OutsideSpec | undefined;

  constructor(
    readonly records: Records,
    readonly networks: Networks,
    readonly containers: Containers,
    readonly services: Services,
    readonly tasks: Tasks,
    readonly orchestrator: Orchestrator,
  ) {}

  addHost(spec: OutsideSpec): void {
    this.#outside ??= spec;
    const host = hostOf(spec);
    this.records.topology.hosts.push(host);
    this.records.options.programmer.addHost(host);
  }

  /** A Docker host that is in no swarm yet, with docker0. */
  addNode(spec: NodeSpec): NodeState {
    const node = nodeOf(spec, this.records.topology.nodes.length, this.#outside);
    this.records.topology.nodes.push(node);
    this.records.options.programmer.addNode(node);
    const state: NodeState = {
      id: this.records.allocator.id(),
      spec,
      name: spec.name,
      role: spec.role,
      member: false,
      availability: 'active',
      state: 'ready',
      lost: false,
      silent: false,
    };
    this.records.nodes.set(spec.name, state);
    this.records.firewall.program();
    this.networks.local({ name: 'bridge', driver: 'bridge' }, 'docker0', spec.name);
    if (this.#named) this.nameMachines();
    return state;
  }

  /** They know each other by name from now on, those to come included. */
  nameMachines(): void {
    nameMachines(this.records.topology.nodes, this.records.topology.hosts);
    this.#named = true;
  }
  #named = false;

  /** `docker swarm init` on one node: ingress and docker_gwbridge come. `ingress`: another than the usual one. */
  init(node: string, ingress: NetworkSpec | undefined, wanted: readonly string[]): void {
    const state = this.records.node(node);
    if (state.member) throw new DockerError(503, ALREADY_MEMBER);
    state.role = 'manager';
    const spec: NetworkSpec = ingress ?? { name: INGRESS, driver: 'overlay', ingress: true };
    this.networks.local(GWBRIDGE_SPEC, GWBRIDGE, node);
    const network = this.records.allocator.overlay(spec, wanted);
    this.records.networkSpecs.set(network, spec);
    this.records.attachments.note(network);
    this.#enter(state);
  }

  join(node: string, role: 'manager' | 'worker'): void {
    const state = this.records.node(node);
    if (state.member) throw new DockerError(503, ALREADY_MEMBER);
    if (!this.records.inSwarm) throw new DockerError(503, NO_MANAGER);
    state.role = role;
    if (!reachesManager(this.records, state)) {
      state.joining = true;
      this.cutOff.add(state.name);
      throw new DockerError(503, JOIN_TIMEOUT);
    }
    this.#enter(state);
  }

  #enter(state: NodeState): void {
    delete state.joining;
    state.member = true;
    this.records.gossip.enter(state.name);
    state.state = 'ready';
    state.availability = 'active';
    this.#setRole(state, state.role);
    this.networks.local(GWBRIDGE_SPEC, GWBRIDGE, state.name);
    const { ingress } = this.records.attachments;
    if (ingress) this.networks.reach(ingress, state.name);
    this.orchestrator.nodeChanged(state);
    this.records.tell('node', 'create', state.name, { id: state.id });
    this.records.changed();
  }

  #setRole(state: NodeState, role: NodeState['role']): void {
    state.role = role;
    const node = this.records.topology.nodes.find(({ name }) => name === state.name);
    if (node) node.role = role;
  }

  leave(node: string, force: boolean): void {
    const state = this.records.node(node);
    if (!state.member) throw new DockerError(503, 'This node is not part of a swarm');
    const managers = [...this.records.nodes.values()].filter(({ member, role }) => member && role === 'manager');
    if (state.role === 'manager' && !force)
      throw new DockerError(
        503,
        managers.length > 1
          ? 'You are attempting to leave the swarm on a node that is participating as a manager. Removing this node leaves 0 managers out of 1. Without a Raft quorum your swarm will be inaccessible. Use `--force` to suppress this message.'
          : 'You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ',
      );
    state.member = false;
    state.silent = state.lost;
    for (const container of this.records.containersOn(node))
      if (container.task && container.sandbox) this.containers.finish(container, 0);
    // The others know it still, as one that is down, until somebody removes it.
    state.state = 'down';
    if (!this.records.inSwarm) {
      for (const one of this.records.nodes.values()) one.state = 'ready';
      for (const service of [...this.records.services.values()]) this.services.remove(service.spec.name);
    } else this.orchestrator.nodeChanged(state);
    for (const network of [...this.records.topology.networks])
      if (!this.records.allocator.isLocal(network) && network.onNode[node]) this.networks.leaveNode(network, node);
    const gateway = this.records.attachments.find(GWBRIDGE, node);
    if (gateway?.onNode[node] && this.records.attachments.on(gateway).size === 0)
      this.records.attachments.leaveNode(gateway, node);
    if (!this.records.inSwarm)
      for (const network of [...this.records.topology.networks])
        if (!this.records.allocator.isLocal(network)) this.networks.drop(network);
    this.records.tell('node', 'update', node, { id: state.id, 'state.new': 'down', 'state.old': 'ready' });
    this.records.changed();
  }

  /** `docker node rm`: one that has left is forgotten; one that has not is made to. */
  remove(name: string): void {
    const state = this.records.node(name);
    if (state.member) this.leave(name, true);
    state.state = 'ready';
    this.records.tell('node', 'remove', name, { id: state.id });
  }

  /** `docker node update --availability`, `docker node promote` and `demote`, `--label-add`. */
  update(name: string, change: NodeChange): void {
    const node = this.records.node(name);
    if (change.labels) node.spec.labels = change.labels;
    if (change.role) this.#setRole(node, change.role);
    const { availability } = node;
    if (change.availability) node.availability = change.availability;
    const changed = node.availability !== availability;
    this.orchestrator.nodeChanged(node);
    this.records.tell('node', 'update', name, {
      id: node.id,
      ...(changed ? { 'availability.new': node.availability, 'availability.old': availability } : {}),
    });
    this.records.changed();
  }

  /** The machine is switched off, or its cable cut: nobody is told. */
  lose(name: string): void {
    const node = this.records.node(name);
    if (node.lost) return;
    node.lost = true;
    this.records.gossip.lost++;
    this.records.options.programmer.setNodeUp(name, false);
    this.#reachable();
  }

  /** Its cable is in again. */
  restore(name: string): void {
    const node = this.records.node(name);
    if (!node.lost) return;
    node.lost = false;
    this.records.gossip.lost--;
    this.records.options.programmer.setNodeUp(name, true);
    this.#reachable();
  }

  /** A rule of the firewall between the nodes comes. */
  block(rule: FirewallRule): void {
    for (const name of [...(rule.from ?? []), ...(rule.to ?? [])]) this.records.node(name);
    this.records.firewall.add(rule);
    this.#reachable();
  }

  unblock(rule: FirewallRule): void {
    if (!this.records.firewall.remove(rule))
      throw new DockerError(404, `the firewall does not block ${ruleText(rule)}`);
    this.#reachable();
  }

  /** Who reaches whom is another matter now: sessions with the managers, joins that wait for one, gossip. */
  #reachable(): void {
    for (const node of this.records.nodes.values()) {
      if (node.joining && reachesManager(this.records, node)) this.#enter(node);
      const silent = node.lost || (node.member && !hasSession(this.records, node));
      if (silent === node.silent) continue;
      node.silent = silent;
      if (silent) this.#fallSilent(node);
      else this.#comeBack(node);
    }
    this.records.gossip.update();
  }

  #fallSilent(node: NodeState): void {
    if (!node.lost) this.cutOff.add(node.name);
    this.#missed.set(node, this.orchestrator.miss(node));
  }
  /** What calls off that the managers take a silent node for down. */
  readonly #missed = new Map<NodeState, () => void>();

  /** What the swarm has given to others meanwhile stops. */
  #comeBack(node: NodeState): void {
    this.#missed.get(node)?.();
    this.#missed.delete(node);
    const before = node.state;
    node.state = 'ready';
    this.tasks.resume(node.name);
    this.orchestrator.nodeChanged(node);
    this.records.tell('node', 'update', node.name, { id: node.id, 'state.new': 'ready', 'state.old': before });
    this.records.changed();
  }

  /** Nodes that a firewall kept, at some time, from every manager. */
  readonly cutOff = new Set<string>();
}
