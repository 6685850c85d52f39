/** What nodes do with the tasks that the managers give them: containers made, started and stopped (swarmkit agent; moby daemon/cluster/executor). */

import type { Sandbox } from '../topology/topology.js';
import type { Backend } from './bindings.js';
import { type Containers, namingOf } from './containers.js';
import { DockerError } from './errors.js';
import type { Networks } from './networks.js';
import type { Orchestrator } from './orchestrator.js';
import { START } from './pace.js';
import type { Records } from './records.js';
import { type Agents, isRunning, type TaskState } from './state.js';

export class Tasks implements Agents {
  /** Where a running task's load balancers send to. */
  readonly #backends = new Map<TaskState, Backend[]>();

  constructor(
    readonly records: Records,
    readonly networks: Networks,
    readonly containers: Containers,
    readonly orchestrator: Orchestrator,
  ) {}

  /** `web.2`, or an id; the one that is wanted now, if there are older ones. */
  find(name: string): TaskState {
    const named = this.orchestrator.tasks.filter((one) => one.name === name || one.id === name);
    const found = named.find(({ desired }) => desired === 'running') ?? named.at(-1);
    if (found) return found;
    throw new DockerError(404, `task ${name} not found`);
  }

  /** The task's process is killed: its swarm sees it fail. */
  kill(name: string, exitCode: number): void {
    const { container } = this.find(name);
    if (!container) throw new DockerError(409, `task ${name} is not running`);
    this.containers.kill(container, exitCode);
  }

  assigned(task: TaskState): void {
    for (const network of this.orchestrator.networksOf(task.spec)) this.networks.reserve(network, task.node ?? '');
  }

  start(task: TaskState): void {
    this.orchestrator.report(task, 'preparing', 'preparing');
    this.records.clock.after(START, () => this.#start(task));
  }

  #start(task: TaskState): void {
    const node = this.records.nodes.get(task.node ?? '');
    if (!node || node.silent || task.state !== 'preparing' || task.desired !== 'running') return;
    const networks = this.orchestrator.networksOf(task.spec);
    const container = this.containers.create(
      {
        // swarmkit api/naming: a global service's tasks are told apart by their nodes' ids.
        name: `${task.spec.name}.${task.slot || node.id}.${task.id}`,
        node: node.name,
        ...(task.spec.image ? { image: task.spec.image } : {}),
        ...namingOf(task.spec),
        // Aliases are the service's: they mean its VIP, and no task (executor/container/container.go, serviceConfig).
        networks: [...networks.map(({ name }) => name), ...this.#only(task)].map((name) => ({ name, aliases: [] })),
        ports: task.spec.ports
          .filter(({ mode }) => mode === 'host')
          .map(({ target, protocol, published }) => ({
            target,
            protocol,
            ...(published === undefined ? {} : { published }),
          })),
        exposes: [],
        links: [],
        ...(task.spec.sysctls ? { sysctls: task.spec.sysctls } : {}),
      },
      task,
    );
    task.container = container;
    let sandbox: Sandbox;
    try {
      sandbox = this.containers.start(container);
    } catch (error) {
      // While nothing takes time it would be tried for ever.
      if (!(error instanceof DockerError) || !this.records.clock.standing) throw error;
      this.orchestrator.report(task, 'rejected', 'preparing', error.message);
      return;
    }
    const { path } = task.service;
    const { ingress } = this.records.attachments;
    if (ingress && networks.includes(ingress)) this.records.options.programmer.redirect(sandbox, path, ingress);
    const backends = networks.flatMap((network): Backend[] => {
      const endpoint = sandbox.endpoints.find((one) => one.network === network.name);
      if (!endpoint || this.records.allocator.isLocal(network)) return [];
      const address = endpoint.address.split('/')[0] ?? '';
      return [{ service: path, network, node: node.name, address, ports: path.ports }];
    });
    this.#backends.set(task, backends);
    for (const backend of backends) this.records.bindings.add(backend);
    this.orchestrator.report(task, 'running', 'started');
  }

  /** `--network host` */
  #only({ spec }: TaskState): string[] {
    return spec.networks.flatMap(({ name }) => (this.records.options.drivers.withOnly(name) ? [name] : []));
  }

  /** The load balancers send it nothing new, then its process is asked to end (daemon/stop.go). */
  stop(task: TaskState): void {
    const { container } = task;
    const node = this.records.nodes.get(task.node ?? '');
    if (node?.silent) return;
    if (!container?.sandbox) {
      if (isRunning(task)) this.orchestrator.report(task, 'shutdown', 'shutdown');
      return;
    }
    for (const backend of this.#backends.get(task) ?? []) this.records.bindings.disable(backend);
    this.containers.stop(container);
  }

  remove(task: TaskState): void {
    const { container } = task;
    if (container) {
      const { id, name, node, spec } = container;
      this.records.containers.delete(id);
      this.records.tell('container', 'destroy', name, { id, image: spec.image ?? '' }, node);
    }
    if (task.node && this.records.nodes.get(task.node)?.member)
      this.networks.tidy(
        task.node,
        task.spec.networks.map(({ name }) => name),
      );
  }

  /** Its node is heard again: what the swarm has given to others meanwhile stops, and what it never heard of starts. */
  resume(node: string): void {
    for (const task of [...this.#backends.keys()])
      if (task.node === node && task.desired !== 'running') this.stop(task);
    for (const task of this.orchestrator.tasks)
      if (task.node === node && task.desired === 'running' && task.state === 'preparing') this.start(task);
  }

  /** Its endpoints are about to go: nobody is sent there any more. */
  leaving(task: TaskState): void {
    for (const backend of this.#backends.get(task) ?? []) this.records.bindings.remove(backend);
    this.#backends.delete(task);
  }

  ended(task: TaskState, exitCode: number): void {
    const { desired } = task;
    if (desired === 'shutdown' || desired === 'remove') this.orchestrator.report(task, 'shutdown', 'shutdown');
    else if (exitCode === 0) this.orchestrator.report(task, 'complete', 'finished');
    else this.orchestrator.report(task, 'failed', 'started', `task: non-zero exit (${exitCode})`);
  }
}
