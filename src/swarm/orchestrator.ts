/**
 * Services and their tasks: as many as asked for, where they may be, replaced when they end, one after the other when they
 * change (reference: swarmkit manager/orchestrator: replicated, global, restart, update).
 */

import type { ServiceSpec } from '../topology/spec.js';
import type { Service } from '../topology/topology.js';
import { HEARTBEAT_FAILURE, OLD_TASK_TIMEOUT, RESTART_DELAY, TASK_HISTORY } from './pace.js';
import { allowed } from './placement.js';
import type { Records } from './records.js';
import { candidate, isEligible, Scheduler } from './scheduler.js';
import { type Agents, isRunning, type NodeState, type ServiceState, type TaskState, type TaskStatus } from './state.js';

export class Orchestrator {
  readonly #scheduler: Scheduler;
  /** What is to happen once a task has come to a state. */
  readonly #waiting = new Map<TaskState, { when: (task: TaskState) => boolean; then: () => void }[]>();

  /** By slot: restarts of tasks of one spec. */
  readonly #restarts = new Map<string, { spec: ServiceSpec; times: number[] }>();

  constructor(
    readonly records: Records,
    readonly agents: Agents,
  ) {
    this.#scheduler = new Scheduler(records, agents);
  }

  get services(): Map<string, ServiceState> {
    return this.records.services;
  }

  get tasks(): TaskState[] {
    return [...this.services.values()].flatMap(({ tasks }) => [...tasks]);
  }

  create(id: string, spec: ServiceSpec, path: Service): ServiceState {
    const { now } = this.records.clock;
    const service: ServiceState = { id, spec, version: 1, path, tasks: new Set(), created: now, updated: now };
    this.services.set(spec.name, service);
    this.#reconcile(service);
    return service;
  }

  /** The service's spec has changed: `rolling` when its tasks are no longer what it says. */
  update(service: ServiceState, spec: ServiceSpec, rolling: boolean, rollback = false): void {
    service.previous = service.spec;
    service.spec = spec;
    service.version++;
    service.updated = this.records.clock.now;
    delete service.update;
    this.#reconcile(service);
    if (!rolling) return;
    service.update = {
      state: rollback ? 'rollback_started' : 'updating',
      started: this.records.clock.now,
      message: rollback ? 'manually requested rollback' : 'update in progress',
    };
    this.#roll(service, service.version);
  }

  remove(service: ServiceState): void {
    this.services.delete(service.spec.name);
    for (const key of [...this.#restarts.keys()]) if (key.startsWith(`${service.id} `)) this.#restarts.delete(key);
    for (const task of [...service.tasks]) this.#end(task, 'remove');
  }

  /** A node's availability, role, label or state has changed. */
  nodeChanged(node: NodeState): void {
    if (!isEligible(node) || node.availability === 'drain') {
      for (const task of this.#scheduler.tasksOn(node.name))
        if (task.desired === 'running' || task.desired === 'ready') this.#replace(task, node);
    }
    for (const service of this.services.values()) this.#reconcile(service);
    this.#scheduler.schedule();
  }

  /** A node tells how it is with a task. */
  report(task: TaskState, state: TaskStatus, message: string, error?: string): void {
    this.#set(task, state, message, error);
    if (!isRunning(task) && task.desired === 'running' && task.node) {
      const node = this.records.nodes.get(task.node);
      if (node) this.#replace(task, node);
    }
    if (!isRunning(task) && task.desired === 'remove') this.#forget(task);
  }

  #set(task: TaskState, state: TaskStatus, message: string, error?: string): void {
    this.#scheduler.change(task, () => {
      task.state = state;
    });
    task.message = message;
    if (error !== undefined) task.error = error;
    task.updated = this.records.clock.now;
    const waiting = this.#waiting.get(task);
    if (!waiting) return;
    const due = waiting.filter(({ when }) => when(task));
    const left = waiting.filter((one) => !due.includes(one));
    if (left.length > 0) this.#waiting.set(task, left);
    else this.#waiting.delete(task);
    for (const { then } of due) then();
  }

  /** Calls `then` once, as soon as `when` holds. */
  #once(task: TaskState, when: (task: TaskState) => boolean, then: () => void): void {
    if (when(task)) then();
    else this.#waiting.set(task, [...(this.#waiting.get(task) ?? []), { when, then }]);
  }

  /** Those that are wanted: one a slot, or one a node. */
  #wanted(service: ServiceState): TaskState[] {
    return [...service.tasks].filter(({ desired }) => desired === 'running' || desired === 'ready');
  }

  #reconcile(service: ServiceState): void {
    if (!this.services.has(service.spec.name)) return;
    const { spec } = service;
    const wanted = this.#wanted(service);
    const made: TaskState[] = [];
    if (spec.mode === 'global') {
      const named = Array.isArray(spec.placement) ? spec.placement : undefined;
      const nodes = allowed(
        [...this.records.nodes.values()]
          .filter((node) => isEligible(node) && node.availability !== 'drain')
          .map(candidate),
        spec.constraints,
      );
      for (const { name } of nodes) {
        if (named && !named.includes(name)) continue;
        // A paused node keeps what it has.
        if (this.records.nodes.get(name)?.availability !== 'active' || wanted.some(({ node }) => node === name))
          continue;
        const task = this.#make(service, 0, name);
        this.#scheduler.place(task, name);
        made.push(task);
      }
    } else {
      const slots = new Map<number, TaskState[]>();
      for (const task of wanted) slots.set(task.slot, [...(slots.get(task.slot) ?? []), task]);
      for (let slot = 1; slots.size + made.length < spec.replicas; slot++)
        if (!slots.has(slot)) made.push(this.#make(service, slot));
      if (slots.size > spec.replicas)
        for (const slot of surplus(slots, spec.replicas)) for (const task of slot) this.#end(task, 'remove');
    }
    if (made.length > 0) this.#scheduler.schedule();
  }

  /** A new task, with its addresses: it has them before it has a node (manager/allocator). */
  #make(service: ServiceState, slot: number, node?: string): TaskState {
    const { spec } = service;
    const { now } = this.records.clock;
    const task: TaskState = {
      id: this.records.allocator.id(),
      service,
      name: spec.mode === 'global' ? `${spec.name}.${node}` : `${spec.name}.${slot}`,
      slot,
      spec,
      desired: 'running',
      state: 'pending',
      message: 'pending task scheduling',
      addresses: new Map(),
      created: now,
      updated: now,
    };
    for (const network of this.networksOf(spec)) {
      if (this.records.allocator.isLocal(network)) continue;
      task.addresses.set(network.name, this.records.allocator.address('', network));
    }
    service.tasks.add(task);
    this.#scheduler.add(task);
    return task;
  }

  /** ingress first, then as the service names them; `host`, which nobody joins, aside. */
  networksOf(spec: ServiceSpec) {
    const { ingress } = this.records.attachments;
    const { drivers } = this.records.options;
    const names = spec.networks
      .filter(({ name }) => !drivers.withOnly(name))
      .map(({ name }) => this.records.attachments.network(name));
    return [...(ingress && spec.ports.some(({ mode }) => mode === 'ingress') ? [ingress] : []), ...names];
  }

  /** No longer wanted: it stops, and if it is to be removed it is forgotten then. */
  #end(task: TaskState, desired: 'shutdown' | 'remove'): void {
    const before = task.desired;
    this.#scheduler.change(task, () => {
      task.desired = desired;
    });
    const { state } = task;
    if (isRunning(task) && this.#isStarted(task)) {
      if (before !== 'shutdown') this.agents.stop(task);
    } else if (isRunning(task)) this.#set(task, 'shutdown', 'shutdown');
    if (desired === 'remove' && (!isRunning(task) || state === 'pending')) this.#forget(task);
  }

  /** Is the node at work on it? */
  #isStarted({ state }: TaskState): boolean {
    return state !== 'new' && state !== 'pending' && state !== 'ready';
  }

  #forget(task: TaskState): void {
    task.service.tasks.delete(task);
    this.#scheduler.forget(task);
    this.#waiting.delete(task);
    this.giveAddresses(task);
    this.agents.remove(task);
  }

  /** Given back as soon as it runs no more: another task may have them. */
  giveAddresses(task: TaskState): void {
    for (const [name, address] of task.addresses) {
      const network = this.records.attachments.find(name);
      if (network) this.records.allocator.giveAddress('', network, address);
    }
    task.addresses.clear();
  }

  /** One that has ended, or that is to go from its node, gets a successor (restart/restart.go). */
  #replace(task: TaskState, node: NodeState): void {
    const { service } = task;
    const ended = !isRunning(task);
    const policy = task.spec.restart ?? {};
    this.#end(task, 'shutdown');
    if (!this.services.has(service.spec.name)) return;
    const condition = policy.condition ?? 'any';
    if (ended && (condition === 'none' || (condition === 'on-failure' && task.state === 'complete'))) return;
    if (ended && policy.maxAttempts !== undefined) {
      const restarts = this.#restartsOf(task);
      if (restarts.length >= policy.maxAttempts) return;
      restarts.push(this.records.clock.now);
    }
    if (task.spec.mode === 'global' && (node.availability === 'drain' || !isEligible(node))) return;
    const next = this.#make(service, task.slot, node.name);
    if (next.spec.mode === 'global') this.#scheduler.place(next, node.name);
    next.desired = 'ready';
    this.#prune(service, task.slot, node.name);
    // A drained node's tasks move at once, but only when the old one has stopped; a node that is down is not waited for.
    const delay = node.availability === 'drain' ? 0 : (policy.delay ?? RESTART_DELAY);
    let waiting = 2;
    const go = () => {
      if (--waiting > 0 || next.desired !== 'ready') return;
      next.desired = 'running';
      if (next.state === 'assigned') this.agents.start(next);
      else this.#scheduler.schedule();
    };
    this.#scheduler.schedule();
    this.records.clock.after(delay, go);
    if (ended || node.state === 'down') go();
    else {
      let over = false;
      const once = () => {
        if (!over) go();
        over = true;
      };
      this.#once(task, (one) => !isRunning(one), once);
      this.records.clock.after(OLD_TASK_TIMEOUT, once);
    }
  }

  /** When tasks of its slot were started anew, lately enough to count (restart.go, shouldRestart); another spec begins anew. */
  #restartsOf({ service, slot, node, spec }: TaskState): number[] {
    const key = `${service.id} ${slot === 0 ? node : slot}`;
    const known = this.#restarts.get(key);
    const { window = Number.POSITIVE_INFINITY } = spec.restart ?? {};
    const times = known?.spec === spec ? known.times : [];
    const kept = times.filter((time) => this.records.clock.now - time <= window);
    this.#restarts.set(key, { spec, times: kept });
    return kept;
  }

  /** Of the old ones of a slot only so many are kept. */
  #prune(service: ServiceState, slot: number, node: string): void {
    const old = [...service.tasks].filter(
      (one) => one.slot === slot && (slot > 0 || one.node === node) && !isRunning(one),
    );
    for (const task of old.slice(0, Math.max(0, old.length - TASK_HISTORY))) this.#forget(task);
  }

  /** Tasks of an older version are replaced, so many at a time (update/updater.go). */
  #roll(service: ServiceState, version: number): void {
    const { update = {} } = service.spec;
    const parallelism = update.parallelism === 0 ? Number.POSITIVE_INFINITY : (update.parallelism ?? 1);
    const old = this.#wanted(service).filter((task) => task.spec !== service.spec);
    const next = () => {
      if (service.version !== version || !this.services.has(service.spec.name)) return;
      const task = old.shift();
      if (task) {
        if (task.desired !== 'running' && task.desired !== 'ready') next();
        else this.#renew(task, update.order ?? 'stop-first', () => this.records.clock.after(update.delay ?? 0, next));
      } else if (--busy === 0) this.#completed(service);
    };
    let busy = Math.min(parallelism, Math.max(old.length, 1));
    for (let i = busy; i > 0; i--) next();
  }

  #completed({ update }: ServiceState): void {
    if (!update) return;
    const back = update.state === 'rollback_started';
    update.state = back ? 'rollback_completed' : 'completed';
    update.message = back ? 'rollback completed' : 'update completed';
    update.completed = this.records.clock.now;
  }

  #renew(task: TaskState, order: 'stop-first' | 'start-first', done: () => void): void {
    const next = this.#make(task.service, task.slot, task.node);
    if (next.spec.mode === 'global' && task.node) this.#scheduler.place(next, task.node);
    const start = () => {
      if (next.desired !== 'ready') return;
      next.desired = 'running';
      if (next.state === 'assigned') this.agents.start(next);
    };
    if (order === 'start-first') {
      this.#scheduler.schedule();
      this.#once(
        next,
        ({ state }) => state === 'running',
        () => {
          this.#end(task, 'shutdown');
          this.#prune(task.service, task.slot, task.node ?? '');
          done();
        },
      );
      return;
    }
    next.desired = 'ready';
    this.#scheduler.schedule();
    this.#once(next, ({ state }) => state === 'running', done);
    this.#once(task, (one) => !isRunning(one), start);
    this.#end(task, 'shutdown');
    this.#prune(task.service, task.slot, task.node ?? '');
  }

  /** A node went silent: the managers notice after some heartbeats, unless it is called off. */
  miss(node: NodeState): () => void {
    return this.records.clock.after(HEARTBEAT_FAILURE, () => {
      node.state = 'down';
      for (const task of this.#scheduler.tasksOn(node.name))
        if (task.state === 'running') task.message = 'node is down';
      this.nodeChanged(node);
    });
  }
}

/** Slots to go: those that do not run, then those of the nodes with most of them, then the highest. */
function surplus(slots: ReadonlyMap<number, TaskState[]>, replicas: number): TaskState[][] {
  const running = (tasks: readonly TaskState[]) => tasks.some(({ state }) => state === 'running');
  const order = [...slots].sort(([a, x], [b, y]) => Number(running(y)) - Number(running(x)) || a - b);
  const onNode = new Map<string, number>();
  const ranked = order.map(([slot, tasks]) => {
    const node = tasks[0]?.node ?? '';
    const rank = (onNode.get(node) ?? 0) + 1;
    onNode.set(node, rank);
    return { slot, tasks, rank: running(tasks) ? rank : Number.POSITIVE_INFINITY };
  });
  ranked.sort((a, b) => a.rank - b.rank || a.slot - b.slot);
  return ranked.slice(replicas).map(({ tasks }) => tasks);
}
