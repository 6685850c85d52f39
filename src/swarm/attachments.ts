/**
 * Networks, sandboxes and endpoints of the nodes: each change made to the topology and programmed at once, in the order in
 * which dockerd and libnetwork go about it (reference: libnetwork network.go, sandbox.go, default_gateway.go).
 */

import type { AttachmentSpec, NetworkSpec } from '../topology/spec.js';
import type { Endpoint, Network, NetworkOnNode, Sandbox, Topology } from '../topology/topology.js';
import type { Allocator } from './allocator.js';
import { DockerError } from './errors.js';
import type { Programmer } from './realize.js';
import { GWBRIDGE } from './sandbox.js';

/** Of 169.254.0.0/16 (libnetwork endpoint.go, linkLocalMask). */
const LINK_LOCAL_LENGTH = 16;

export interface Wish extends Partial<Omit<AttachmentSpec, 'name'>> {
  links?: Endpoint['links'];
  linkAliases?: Record<string, string>;
  /** Taken from the network's pool before. */
  taken?: string;
}

export class Attachments {
  /** Sandboxes by node, and by their networks: who is on a network is asked with every change. */
  readonly #byNetwork = new Map<Network, Set<Sandbox>>();
  /** How many sandboxes have, or share, a name on a node: `node/name`. */
  readonly #names = new Map<string, number>();
  /** Networks by name and by id, as they came. */
  readonly #networks = new Map<string, Network[]>();

  constructor(
    readonly topology: Topology,
    readonly allocator: Allocator,
    readonly programmer: Programmer,
  ) {}

  /** A network as one node knows it: one of the whole swarm, or its own. */
  find(name: string, node?: string): Network | undefined {
    const named = this.#networks.get(name) ?? [];
    return (
      named.find((one) => node !== undefined && one.onNode[node]) ??
      // The default bridge is one network that all nodes have, and services may be on it.
      named.find((one) => !this.allocator.isLocal(one) || one.scope === 'swarm' || one.name === 'bridge')
    );
  }

  network(name: string, node?: string): Network {
    const found = this.find(name, node);
    if (found) return found;
    throw new DockerError(404, `network ${name} not found`);
  }

  get ingress(): Network | undefined {
    return this.topology.networks.find(({ ingress }) => ingress);
  }

  /** Who has an endpoint on it, load balancers included. */
  on(network: Network): ReadonlySet<Sandbox> {
    return this.#byNetwork.get(network) ?? new Set();
  }

  /** It is in the topology from now on, if nowhere yet. */
  note(network: Network): void {
    this.topology.networks.push(network);
    for (const key of new Set([network.name, network.id]))
      this.#networks.set(key, [...(this.#networks.get(key) ?? []), network]);
  }

  add(network: Network): void {
    this.note(network);
    for (const node of Object.keys(network.onNode)) this.programmer.createNetwork(node, network);
  }

  /** No container is left on it; load balancers go with it. */
  remove(network: Network): void {
    for (const node of Object.keys(network.onNode)) this.leaveNode(network, node);
    this.topology.networks.splice(this.topology.networks.indexOf(network), 1);
    for (const key of [network.name, network.id]) {
      const left = (this.#networks.get(key) ?? []).filter((one) => one !== network);
      if (left.length > 0) this.#networks.set(key, left);
      else this.#networks.delete(key);
    }
    this.allocator.giveNetwork(network);
  }

  /** docker0 or docker_gwbridge comes to one more node. */
  extend(network: Network, node: string): void {
    this.allocator.extendLocal(network, node);
    this.programmer.createNetwork(node, network);
  }

  /** Nobody is on it: docker0 goes from the node and comes again, as its daemon.json says by now. */
  renew(network: Network, node: string, kept: Pick<NetworkOnNode, 'bridge' | 'bridgeMac'>): void {
    this.leaveNode(network, node);
    this.allocator.extendLocal(network, node);
    const here = network.onNode[node];
    if (here) Object.assign(here, kept);
    this.programmer.createNetwork(node, network);
  }

  /** A network of scope swarm that is a node's own comes to a node. */
  extendScoped(network: Network, spec: NetworkSpec, node: string): void {
    this.allocator.scopedOn(network, spec, node);
    this.programmer.createNetwork(node, network);
  }

  /** A swarm's network comes to a node, with its load balancer there at `address`. */
  reach(network: Network, node: string, address: string): void {
    this.allocator.onNode(network, node);
    this.programmer.createNetwork(node, network);
    const sandbox: Sandbox = {
      name: network.ingress ? 'ingress_sbox' : `lb-${network.name}`,
      node,
      kind: 'balancer',
      endpoints: [],
      resolver: this.allocator.resolver(),
    };
    this.addSandbox(sandbox);
    this.join(sandbox, network, { taken: address });
    if (!network.ingress) return;
    this.join(sandbox, this.network(GWBRIDGE, node), {});
    this.programmer.programMesh(node);
  }

  /** Off the node again; a swarm's network with its load balancer. */
  leaveNode(network: Network, node: string): void {
    const balancer = [...this.on(network)].find((one) => one.kind === 'balancer' && one.node === node);
    if (balancer) {
      if (network.ingress) this.programmer.revokeMesh(node);
      this.removeSandbox(balancer);
    }
    this.programmer.deleteNetwork(node, network);
    this.allocator.offNode(network, node);
  }

  addSandbox(sandbox: Sandbox): void {
    this.topology.sandboxes.push(sandbox);
    for (const name of namesOf(sandbox)) this.#names.set(name, (this.#names.get(name) ?? 0) + 1);
    this.programmer.addSandbox(sandbox);
  }

  removeSandbox(sandbox: Sandbox): void {
    // The way out goes last: published ports are taken back once.
    const order = [...sandbox.endpoints].sort(
      (a, b) => Number(a.network === GWBRIDGE) - Number(b.network === GWBRIDGE),
    );
    for (const endpoint of order) this.#leave(sandbox, endpoint);
    for (const port of sandbox.publishes ?? []) this.allocator.ports.unpublish(sandbox.node, port);
    this.programmer.removeSandbox(sandbox);
    this.allocator.giveSandbox(sandbox);
    const { sandboxes } = this.topology;
    sandboxes.splice(sandboxes.lastIndexOf(sandbox), 1);
    for (const name of namesOf(sandbox)) {
      const left = (this.#names.get(name) ?? 0) - 1;
      if (left > 0) this.#names.set(name, left);
      else this.#names.delete(name);
    }
  }

  /** Is there a sandbox of that name on the node, or one that shares the namespace of one? */
  isTaken(node: string, name: string): boolean {
    return this.#names.has(`${node}/${name}`);
  }

  /** The sandbox gets an endpoint on the network; docker_gwbridge comes and goes as a way out is needed. */
  connect(sandbox: Sandbox, network: Network, wish: Wish): Endpoint {
    const endpoint = this.join(sandbox, network, wish);
    this.#updateGateway(sandbox);
    return endpoint;
  }

  disconnect(sandbox: Sandbox, network: Network): void {
    const endpoint = sandbox.endpoints.find((one) => one.network === network.name);
    if (!endpoint)
      throw new DockerError(
        500,
        `container ${sandbox.container ?? sandbox.name} is not connected to network ${network.name}`,
      );
    this.#leave(sandbox, endpoint);
    this.#updateGateway(sandbox);
  }

  join(sandbox: Sandbox, network: Network, { taken, address, address6, mac, priority, ...more }: Wish): Endpoint {
    const own = taken ?? this.allocator.address(sandbox.node, network, address);
    const endpoint = this.allocator.endpoint(sandbox, network, own, {
      ...(address6 === undefined ? {} : { address6 }),
      ...(mac === undefined ? {} : { mac }),
      ...(priority === undefined ? {} : { priority }),
    });
    if (more.aliases && more.aliases.length > 0) endpoint.aliases = more.aliases;
    if (more.linkLocal && more.linkLocal.length > 0)
      endpoint.linkLocal = more.linkLocal.map((one) => `${one}/${LINK_LOCAL_LENGTH}`);
    if (more.links) endpoint.links = more.links;
    if (more.linkAliases) endpoint.linkAliases = more.linkAliases;
    sandbox.endpoints.push(endpoint);
    const there = this.#byNetwork.get(network) ?? new Set();
    this.#byNetwork.set(network, there.add(sandbox));
    try {
      this.programmer.attach(sandbox, network, endpoint);
    } catch (error) {
      this.#forget(sandbox, network, endpoint);
      throw error;
    }
    return endpoint;
  }

  #leave(sandbox: Sandbox, endpoint: Endpoint): void {
    const network = this.network(endpoint.network, sandbox.node);
    this.programmer.detach(sandbox, network, endpoint);
    this.#forget(sandbox, network, endpoint);
  }

  #forget(sandbox: Sandbox, network: Network, endpoint: Endpoint): void {
    sandbox.endpoints.splice(sandbox.endpoints.indexOf(endpoint), 1);
    this.allocator.giveAddress(sandbox.node, network, endpoint.address);
    if (endpoint.address6) this.allocator.giveAddress6(sandbox.node, network, endpoint.address6);
    const there = this.#byNetwork.get(network);
    there?.delete(sandbox);
    if (there?.size === 0) this.#byNetwork.delete(network);
  }

  /** needDefaultGW, setupDefaultGW, clearDefaultGW. */
  #updateGateway(sandbox: Sandbox): void {
    const has = sandbox.endpoints.some(({ network }) => network === GWBRIDGE);
    const needs = this.#needsGateway(sandbox);
    if (needs === has) return;
    const gateway = this.network(GWBRIDGE, sandbox.node);
    if (needs) this.join(sandbox, gateway, {});
    else
      for (const endpoint of sandbox.endpoints.filter(({ network }) => network === GWBRIDGE))
        this.#leave(sandbox, endpoint);
  }

  /** A network that leads nowhere outside, and none that does. */
  #needsGateway(sandbox: Sandbox): boolean {
    const networks = sandbox.endpoints
      .filter(({ network }) => network !== GWBRIDGE)
      .map(({ network }) => this.network(network, sandbox.node))
      .filter(({ internal }) => !internal);
    const inward = (network: Network) => this.allocator.drivers.get(network.driver).needsGateway === true;
    return networks.length > 0 && networks.every(inward);
  }
}

/** Names on its node that nobody else can have while it is there. */
function namesOf({ node, name, shares }: Sandbox): string[] {
  return shares === undefined ? [`${node}/${name}`] : [`${node}/${name}`, `${node}/${shares}`];
}
