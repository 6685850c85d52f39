/** Who is meant by a name in a stack file: the namespace that it speaks from. What it asks for, `src/dns/` finds. */

import type { Namespace } from '../engine/index.js';
import { namespaceOf, type Sandbox } from '../topology/topology.js';
import type { Realized } from './realize.js';

export class Parties {
  constructor(readonly realized: Realized) {}

  /** A node, a host, a service (its first task), a task (`web.2`) or a container. */
  namespaceOf(name: string): Namespace {
    const host = this.realized.namespaces.get(`${name}/host`);
    if (host) return host;
    const [task] = this.tasksOf(name);
    const namespace = task && this.realized.namespaces.get(namespaceOf(task));
    if (!namespace) throw new Error(`nobody here is called ${name}`);
    return namespace;
  }

  /** Tasks of a service, or the one task or container that is meant. */
  tasksOf(name: string): Sandbox[] {
    const { sandboxes } = this.realized.topology;
    const found = sandboxes.filter(
      ({ service, task, container }) => service === name || task === name || container === name,
    );
    if (found.length > 0) return found;
    // Tasks of a global service have no numbers of their own: they count in the order of their nodes.
    const [, service, number] = /^(.+)\.(\d+)$/.exec(name) ?? [];
    const task = sandboxes.filter((one) => one.service === service && service !== undefined)[Number(number) - 1];
    return task ? [task] : [];
  }

  sandboxOf(namespace: Namespace): Sandbox | undefined {
    return this.realized.topology.sandboxes.find(({ node, name }) => `${node}/${name}` === namespace.name);
  }

  /** `web.1`, or the name of a node or host. */
  nameOf(namespace: Namespace): string {
    const sandbox = this.sandboxOf(namespace);
    return sandbox?.task ?? sandbox?.container ?? namespace.name.replace(/\/host$/, '');
  }
}
