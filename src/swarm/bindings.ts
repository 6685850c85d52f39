/**
 * Which tasks a service's load balancers send to, on every node that has the network (reference: libnetwork service_linux.go,
 * service_common.go addServiceBinding, rmServiceBinding). The node of a task knows at once, the others when they are told.
 */

import type { Balancer, Network, Service } from '../topology/topology.js';
import type { Allocator } from './allocator.js';
import type { Clock } from './clock.js';
import type { Gossip } from './gossip.js';
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
  /** What a node has programmed of a network. */
  readonly #bound = new Map<Network, Map<string, Set<Backend>>>();
  /** A service's load balancers by their nodes: there may be hundreds, and each task is bound on each. */
  readonly #balancers = new WeakMap<Service, Map<string, Balancer[]>>();
  constructor(
    readonly allocator: Allocator,
    readonly programmer: Programmer,
    readonly clock: Clock,
    readonly gossip: () => Pick<Gossip, 'hears' | 'delay'>,
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

  /** They have given each other up: whatever was on the other side goes, on both (networkdb, deleteNodeTableEntries). */
  part(network: Network, one: string, other: string): void {
    for (const [at, of] of [
      [one, other],
      [other, one],
    ] as const)
      for (const backend of [...this.#boundOn(at, network)]) if (backend.node === of) this.#unbind(at, backend);
  }

  /** They hear each other again: each has what the other has (networkdb's bulk sync). */
  meet(network: Network, one: string, other: string): void {
    const all = this.#backends.get(network) ?? new Set();
    for (const [at, of] of [
      [one, other],
      [other, one],
    ] as const) {
      for (const backend of [...this.#boundOn(at, network)])
        if (backend.node === of && !all.has(backend)) this.#unbind(at, backend);
      for (const backend of all) if (backend.node === of) this.#bind(at, backend);
    }
  }

  /** The network has come to this node: all that is known of it. */
  catchUp(node: string, network: Network): void {
    for (const backend of this.#backends.get(network) ?? [])
      if (this.gossip().hears(network, node, backend.node)) this.#bind(node, backend);
  }

  /** The network is about to go from this node. */
  dropNode(node: string, network: Network): void {
    for (const backend of [...this.#boundOn(node, network)]) this.#unbind(node, backend);
  }

  #tell(backend: Backend, then: (node: string) => void): void {
    const { network } = backend;
    const gossip = this.gossip();
    for (const node of Object.keys(network.onNode))
      if (node === backend.node) then(node);
      else if (gossip.hears(network, node, backend.node))
        this.clock.after(gossip.delay(network, node, backend.node), () => {
          if (network.onNode[node] && gossip.hears(network, node, backend.node)) then(node);
        });
  }

  #find(node: string, { service, network, ports }: Backend): Balancer | undefined {
    return this.#balancersOf(service)
      .get(node)
      ?.find((one) => one.network === network.name && samePorts(one.ports ?? service.ports, ports));
  }

  #balancersOf(service: Service): Map<string, Balancer[]> {
    const known = this.#balancers.get(service);
    if (known) return known;
    const made = new Map<string, Balancer[]>();
    for (const one of service.balancers) made.set(one.node, [...(made.get(one.node) ?? []), one]);
    this.#balancers.set(service, made);
    return made;
  }

  #boundOn(node: string, network: Network): ReadonlySet<Backend> {
    return this.#bound.get(network)?.get(node) ?? NOTHING;
  }

  #bind(node: string, backend: Backend): void {
    const { service, network, address, ports } = backend;
    let balancer = this.#find(node, backend);
    if (!balancer) {
      balancer = { node, network: network.name, mark: this.allocator.mark(node), destinations: [], ports };
      const here = this.#balancersOf(service);
      service.balancers.push(balancer);
      here.set(node, [...(here.get(node) ?? []), balancer]);
    }
    const nodes = this.#bound.get(network) ?? new Map<string, Set<Backend>>();
    if (nodes.size === 0) this.#bound.set(network, nodes);
    const bound = nodes.get(node);
    if (bound) bound.add(backend);
    else nodes.set(node, new Set([backend]));
    if (balancer.destinations.includes(address)) return;
    balancer.destinations.unshift(address);
    this.programmer.addBackend(withPorts(service, ports), balancer, address);
  }

  #unbind(node: string, backend: Backend): void {
    const { service, address, ports, network } = backend;
    const nodes = this.#bound.get(network);
    const bound = nodes?.get(node);
    bound?.delete(backend);
    if (bound?.size === 0) nodes?.delete(node);
    if (nodes?.size === 0) this.#bound.delete(network);
    const balancer = this.#find(node, backend);
    const at = balancer?.destinations.indexOf(address) ?? -1;
    if (!balancer || at < 0) return;
    balancer.destinations.splice(at, 1);
    this.programmer.removeBackend(withPorts(service, ports), balancer, address);
    if (balancer.destinations.length > 0) return;
    service.balancers.splice(service.balancers.indexOf(balancer), 1);
    const here = this.#balancersOf(service);
    const left = (here.get(node) ?? []).filter((one) => one !== balancer);
    if (left.length > 0) here.set(node, left);
    else here.delete(node);
  }
}

const NOTHING: ReadonlySet<Backend> = new Set();

/** The service as the task's spec publishes it. */
function withPorts(service: Service, ports: Ports): Service {
  return service.ports === ports ? service : { ...service, ports };
}

function samePorts(one: Ports, other: Ports): boolean {
  if (one === other) return true;
  const text = (ports: Ports) => ports.map(({ published, target, protocol }) => `${published}:${target}/${protocol}`);
  return text(one).join() === text(other).join();
}
