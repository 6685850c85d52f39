/** Who is meant by a name in a stack file: the namespace that it speaks from, the address that it is spoken to at. */

import type { Namespace } from '../engine/index.js';
import { hostPart, type Sandbox } from '../topology/topology.js';
import type { Realized } from './realize.js';

export interface Target {
  address: string;
  /** As it was asked for. */
  label: string;
}

const NODE_LOCAL = new Set(['docker_gwbridge', 'bridge']);

export class Parties {
  constructor(readonly realized: Realized) {}

  /** A node, a host, a service (its first task) or a task (`web.2`). */
  namespaceOf(name: string): Namespace {
    const host = this.realized.namespaces.get(`${name}/host`);
    if (host) return host;
    const [task] = this.tasksOf(name);
    const namespace = task && this.realized.namespaces.get(`${task.node}/${task.name}`);
    if (!namespace) throw new Error(`nobody here is called ${name}`);
    return namespace;
  }

  /** Tasks of a service, or the one task that is meant. */
  tasksOf(name: string): Sandbox[] {
    return this.realized.topology.sandboxes.filter(
      ({ kind, service, task }) => kind === 'task' && (service === name || task === name),
    );
  }

  sandboxOf(namespace: Namespace): Sandbox | undefined {
    return this.realized.topology.sandboxes.find(({ node, name }) => `${node}/${name}` === namespace.name);
  }

  /** `web.1`, or the name of a node or host. */
  nameOf(namespace: Namespace): string {
    return this.sandboxOf(namespace)?.task ?? namespace.name.replace(/\/host$/, '');
  }

  /** What `to` means to `from`: a machine's address, a service's VIP on a network that both share, a task's, or itself. */
  targetOf(to: string, from: Namespace): Target {
    const { topology } = this.realized;
    const machine = [...topology.nodes, ...topology.hosts].find(({ name }) => name === to);
    if (machine) return { address: hostPart(machine.nic.addresses[0] ?? ''), label: to };
    if (/^\d+\.\d+\.\d+\.\d+$/.test(to)) return { address: to, label: to };
    const shared = new Set(
      this.sandboxOf(from)
        ?.endpoints.map(({ network }) => network)
        .filter((network) => !NODE_LOCAL.has(network) && !this.#isIngress(network)),
    );
    const name = to.replace(/^tasks\./, '');
    const service = topology.services.find((one) => one.name === name);
    if (service && name === to) {
      const vip = Object.entries(service.vips).find(([network]) => shared.has(network));
      if (vip) return { address: vip[1], label: to };
    }
    for (const task of this.tasksOf(name)) {
      const endpoint = task.endpoints.find(({ network }) => shared.has(network));
      if (endpoint) return { address: hostPart(endpoint.address), label: to };
    }
    throw new Error(`${from.name} shares no network with ${to}`);
  }

  #isIngress(network: string): boolean {
    return this.realized.topology.networks.some(({ name, ingress }) => ingress && name === network);
  }
}
