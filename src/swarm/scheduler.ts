/**
 * Which task goes to which node (reference: swarmkit manager/scheduler): tasks without a node wait here, and each gets the best one that
 * will have it.
 */

import type { ServiceSpec } from '../topology/spec.js';
import { allowed, best, type Candidate, fewest } from './placement.js';
import type { Records } from './records.js';
import { type Agents, isRunning, type NodeState, type ServiceState, type TaskState } from './state.js';

export class Scheduler {
  /** Tasks that have no node yet, and how many live ones each node has: a swarm of thousands is not counted for each of them. */
  readonly #pending = new Set<TaskState>();
  readonly #loads = new Map<string, number>();

  constructor(
    readonly records: Records,
    readonly agents: Agents,
  ) {}

  /** It waits for a node. */
  add(task: TaskState): void {
    this.#pending.add(task);
  }

  /** A task that is forgotten is no node's load, however it stood. */
  forget(task: TaskState): void {
    if (task.node !== undefined) this.#count(task.node, -countedLive(task));
    this.#pending.delete(task);
  }

  /** What may end a task's life changes it here, so that its node's count is true. */
  change(task: TaskState, change: () => void): void {
    const before = countedLive(task);
    change();
    const more = countedLive(task) - before;
    if (task.node !== undefined) this.#count(task.node, more);
  }

  place(task: TaskState, node: string): void {
    if (task.node === node) return;
    task.node = node;
    this.#count(node, countedLive(task));
  }

  #count(node: string, more: number): void {
    if (more !== 0) this.#loads.set(node, (this.#loads.get(node) ?? 0) + more);
  }

  tasksOn(node: string): TaskState[] {
    return [...this.records.services.values()].flatMap(({ tasks }) => [...tasks].filter((task) => task.node === node));
  }

  /** Every task that has no node yet gets one, if one will have it. */
  schedule(): void {
    const assigned: TaskState[] = [];
    // They do not change meanwhile.
    const nodes = [...this.records.nodes.values()]
      .filter((node) => isEligible(node) && node.availability === 'active')
      .map(candidate);
    for (const service of this.#unscheduled()) {
      const own = new Map<string, number>();
      for (const task of service.tasks)
        if (task.node !== undefined && task.state !== 'pending' && isLive(task))
          own.set(task.node, (own.get(task.node) ?? 0) + 1);
      for (const task of service.tasks) {
        if (task.state !== 'pending') continue;
        const node = task.spec.mode === 'global' ? task.node : this.#choose(task, nodes, own);
        if (!node) {
          task.error = `no suitable node (scheduling constraints not satisfied on ${this.records.nodes.size} node${this.records.nodes.size === 1 ? '' : 's'})`;
          continue;
        }
        delete task.error;
        this.place(task, node);
        own.set(node, (own.get(node) ?? 0) + 1);
        this.#pending.delete(task);
        task.state = 'assigned';
        task.message = 'scheduler assigned task to node';
        assigned.push(task);
      }
    }
    for (const task of assigned) this.agents.assigned(task);
    for (const task of assigned) if (task.desired === 'running') this.agents.start(task);
  }

  /** Services with tasks that wait for a node, in the order in which they were made. */
  #unscheduled(): ServiceState[] {
    const found = new Set<ServiceState>();
    for (const task of this.#pending) {
      if (task.state === 'pending') found.add(task.service);
      else this.#pending.delete(task);
    }
    const there = [...found].filter((service) => this.records.services.get(service.spec.name) === service);
    return there.length < 2 ? there : [...this.records.services.values()].filter((service) => found.has(service));
  }

  /** `own`: how many live tasks of its service each node has. */
  #choose(task: TaskState, nodes: readonly Candidate[], own: ReadonlyMap<string, number>): string | undefined {
    const { spec } = task;
    const most = spec.maxReplicasPerNode ?? Number.POSITIVE_INFINITY;
    const ports = spec.ports.filter(({ mode, published }) => mode === 'host' && published !== undefined);
    const free = allowed(nodes, spec.constraints).filter(
      ({ name }) => most > (own.get(name) ?? 0) && !this.#portTaken(ports, name),
    );
    if (spec.placement === 'spread') {
      const names = free.map(({ name }) => name);
      return fewest(names, new Map(names.map((name) => [name, this.#containersOn(name, task)])));
    }
    if (spec.placement) {
      const wanted = spec.placement[(task.slot - 1) % spec.placement.length];
      return free.some(({ name }) => name === wanted) ? wanted : undefined;
    }
    const of = (map: ReadonlyMap<string, number>) => (node: string) => map.get(node) ?? 0;
    return best(free, { own: of(own), all: of(this.#loads) }, spec.preferences)?.name;
  }

  /** Every container on the node, running or not, and tasks that are to have one. */
  #containersOn(node: string, but: TaskState): number {
    const waiting = this.tasksOn(node).filter((one) => one !== but && isLive(one) && !one.container);
    return this.records.containersOn(node).length + waiting.length;
  }

  /** A port published in mode `host` is there once on a node. */
  #portTaken(ports: ServiceSpec['ports'], node: string): boolean {
    if (ports.length === 0) return false;
    return this.tasksOn(node).some(
      (other) =>
        isLive(other) &&
        other.spec.ports.some(
          (one) =>
            one.mode === 'host' &&
            ports.some(({ published, protocol }) => one.published === published && one.protocol === protocol),
        ),
    );
  }
}

export function candidate(node: NodeState): Candidate {
  return { name: node.name, id: node.id, role: node.role, ...(node.spec.labels ? { labels: node.spec.labels } : {}) };
}

/** It may have tasks: a member that is not down. */
export function isEligible({ member, state }: NodeState): boolean {
  return member && state === 'ready';
}

function isLive(task: TaskState): boolean {
  return isRunning(task) && task.desired !== 'shutdown' && task.desired !== 'remove';
}

function countedLive(task: TaskState): number {
  return isLive(task) ? 1 : 0;
}
