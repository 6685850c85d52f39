/** Who is meant by a name in a stack file: the namespace that it speaks from, the address that it is spoken to at. */

import type { Namespace } from '../engine/index.js';
import { hostPart, type Sandbox } from '../topology/topology.js';
import type { Realized } from './realize.js';

const NODE_LOCAL = new Set(['docker_gwbridge', 'bridge']);

export class Parties {
  constructor(readonly realized: Realized) {}

  /** A node, a host, a service (its first task), a task (`web.2`) or a container. */
  namespaceOf(name: string): Namespace {
    const host = this.realized.namespaces.get(`${name}/host`);
    if (host) return host;
    const [task] = this.tasksOf(name);
    const namespace = task && this.realized.namespaces.get(`${task.node}/${task.name}`);
    if (!namespace) throw new Error(`nobody here is called ${name}`);
    return namespace;
  }

  /** Tasks of a service, or the one task or container that is meant. */
  tasksOf(name: string): Sandbox[] {
    return this.realized.topology.sandboxes.filter(
      ({ service, task, container }) => service === name || task === name || container === name,
    );
  }

  sandboxOf(namespace: Namespace): Sandbox | undefined {
    return this.realized.topology.sandboxes.find(({ node, name }) => `${node}/${name}` === namespace.name);
  }

  /** `web.1`, or the name of a node or host. */
  nameOf(namespace: Namespace): string {
    const sandbox = this.sandboxOf(namespace);
    return sandbox?.task ?? sandbox?.container ?? namespace.name.replace(/\/host$/, '');
  }

  /**
   * The address that `to` means to `from`: a machine's, a service's VIP on a network that both share, a task's, or itself.
   * Undefined where the name would not resolve.
   */
  targetOf(to: string, from: Namespace): string | undefined {
    const { topology } = this.realized;
    const machine = [...topology.nodes, ...topology.hosts].find(({ name }) => name === to);
    if (machine) return hostPart(machine.nic.addresses[0] ?? '');
    if (/^\d+\.\d+\.\d+\.\d+$/.test(to)) return to;
    const shared = new Set(
      this.sandboxOf(from)
        ?.endpoints.map(({ network }) => network)
        .filter((network) => !NODE_LOCAL.has(network) && !this.#isIngress(network)),
    );
    // Names that a link has put into /etc/hosts.
    const told = this.sandboxOf(from)?.extraHosts?.find(({ names }) => names.includes(to));
    if (told) return told.address;
    const name = to.replace(/^tasks\./, '');
    const service = topology.services.find((one) => one.name === name);
    if (service && name === to) {
      const vip = Object.entries(service.vips).find(([network]) => shared.has(network));
      if (vip) return vip[1];
    }
    const here = this.sandboxOf(from)?.node;
    for (const task of this.tasksOf(name)) {
      const endpoint = task.endpoints.find(
        ({ network }) => shared.has(network) && (task.node === here || !this.#isLocal(network)),
      );
      if (endpoint) return hostPart(endpoint.address);
    }
    return undefined;
  }

  /** A network of that name is another one on each node. */
  #isLocal(network: string): boolean {
    const subnets = Object.values(this.realized.topology.networks.find(({ name }) => name === network)?.onNode ?? {});
    return subnets.every(({ vxlan }) => vxlan === undefined);
  }

  #isIngress(network: string): boolean {
    return this.realized.topology.networks.some(({ name, ingress }) => ingress && name === network);
  }
}
