/**
 * Which tasks a service's load balancers send to, on every node that has the network (reference: libnetwork service_linux.go,
 * service_common.go addServiceBinding, rmServiceBinding). The node of a task knows at once, the others when they are told.
 */

import type { Balancer, Network, Service } from '../topology/topology.js';
import type { Allocator } from './allocator.js';
import type { Clock } from './clock.js';
import { GOSSIP } from './pace.js';
import type { Programmer } from './realize.js';

type Ports = Service['ports'];

/** A task's address on one network of its service. */
export interface Backend {
  service: Service;
  network: Network;
  node: string;
  address: string;
  /** As the task's spec publishes them: other ports are another binding, with a mark of its own. */
  ports: Ports;
}

export class Bindings {
  /** In the order in which they came, which whoever learns of them later keeps. */
  readonly #backends = new Map<Network, Set<Backend>>();
  /** What a node has programmed: `node network`. */
  readonly #bound = new Map<string, Set<Backend>>();
  /** Nodes that hear nothing, and that nobody hears. */
  readonly #cut = new Set<string>();

  constructor(
    readonly allocator: Allocator,
    readonly programmer: Programmer,
    readonly clock: Clock,
  ) {}

  add(backend: Backend): void {
    const all = this.#backends.get(backend.network) ?? new Set();
    this.#backends.set(backend.network, all.add(backend));
    this.#tell(backend, (node) => {
      if (this.#backends.get(backend.network)?.has(backend)) this.#bind(node, backend);
    });
  }

  /** It gets nothing new, and keeps what it has (its weight is 0): its task is about to stop. */
  disable(backend: Backend): void {
    this.#tell(backend, (node) => {
      const balancer = this.#find(node, backend);
      if (balancer?.destinations.includes(backend.address)) this.programmer.disableBackend(balancer, backend.address);
    });
  }

  remove(backend: Backend): void {
    const all = this.#backends.get(backend.network);
    all?.delete(backend);
    if (all?.size === 0) this.#backends.delete(backend.network);
    this.#tell(backend, (node) => this.#unbind(node, backend));
  }

  /** From now on the node hears nothing, and nobody hears it. */
  cut(node: string): void {
    this.#cut.add(node);
  }

  /** The nodes give each other up: whatever was on the other side goes, on both (networkdb, deleteNodeTableEntries). */
  giveUp(node: string): void {
    for (const bound of [...this.#bound.values()])
      for (const backend of [...bound]) {
        for (const at of Object.keys(backend.network.onNode))
          if ((at === node) !== (backend.node === node)) this.#unbind(at, backend);
      }
  }

  /** They hear each other again: each side has what the other has (networkdb's bulk sync). */
  heal(node: string): void {
    this.#cut.delete(node);
    for (const [network, all] of this.#backends)
      for (const at of Object.keys(network.onNode)) {
        if (this.#cut.has(at)) continue;
        for (const backend of [...(this.#bound.get(key(at, network)) ?? [])])
          if (!all.has(backend)) this.#unbind(at, backend);
        for (const backend of all) if (!this.#cut.has(backend.node)) this.#bind(at, backend);
      }
    for (const bound of [...this.#bound.values()])
      for (const backend of [...bound])
        if (!this.#backends.has(backend.network))
          for (const at of Object.keys(backend.network.onNode)) this.#unbind(at, backend);
  }

  /** The network has come to this node: all that is known of it. */
  catchUp(node: string, network: Network): void {
    for (const backend of this.#backends.get(network) ?? []) this.#bind(node, backend);
  }

  /** The network is about to go from this node. */
  dropNode(node: string, network: Network): void {
    for (const backend of [...(this.#bound.get(key(node, network)) ?? [])]) this.#unbind(node, backend);
  }

  #tell(backend: Backend, then: (node: string) => void): void {
    for (const node of Object.keys(backend.network.onNode))
      if (node === backend.node) then(node);
      else
        this.clock.after(GOSSIP, () => {
          if (backend.network.onNode[node] && !this.#cut.has(node) && !this.#cut.has(backend.node)) then(node);
        });
  }

  #find(node: string, { service, network, ports }: Backend): Balancer | undefined {
    return service.balancers.find(
      (one) => one.node === node && one.network === network.name && samePorts(one.ports ?? service.ports, ports),
    );
  }

  #bind(node: string, backend: Backend): void {
    const { service, network, address, ports } = backend;
    let balancer = this.#find(node, backend);
    if (!balancer) {
      balancer = { node, network: network.name, mark: this.allocator.mark(node), destinations: [], ports };
      service.balancers.push(balancer);
    }
    const bound = this.#bound.get(key(node, network)) ?? new Set();
    this.#bound.set(key(node, network), bound.add(backend));
    if (balancer.destinations.includes(address)) return;
    balancer.destinations.unshift(address);
    this.programmer.addBackend({ ...service, ports }, balancer, address);
  }

  #unbind(node: string, backend: Backend): void {
    const { service, address, ports, network } = backend;
    const bound = this.#bound.get(key(node, network));
    bound?.delete(backend);
    if (bound?.size === 0) this.#bound.delete(key(node, network));
    const balancer = this.#find(node, backend);
    const at = balancer?.destinations.indexOf(address) ?? -1;
    if (!balancer || at < 0) return;
    balancer.destinations.splice(at, 1);
    this.programmer.removeBackend({ ...service, ports }, balancer, address);
    if (balancer.destinations.length === 0) service.balancers.splice(service.balancers.indexOf(balancer), 1);
  }
}

function key(node: string, { id }: Network): string {
  return `${node} ${id}`;
}

function samePorts(one: Ports, other: Ports): boolean {
  const text = (ports: Ports) => ports.map(({ published, target, protocol }) => `${published}:${target}/${protocol}`);
  return text(one).join() === text(other).join();
}
