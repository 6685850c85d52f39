/**
 * A topology becomes namespaces, devices, tables and rules in an engine, one change at a time, each in the order in which
 * Docker makes it. Nothing is chosen here. Standing a whole swarm up is those changes, one after the other.
 */

import { programNode } from '../drivers/bridge.js';
import { type Driver, Drivers, type NetworkAt, type NodeContext, type UserlandProxy } from '../drivers/index.js';
import type { Device, Engine, Namespace, Segment } from '../engine/index.js';
import { isNetSysctl, NET_SYSCTLS } from '../topology/sysctls.js';
import {
  type Balancer,
  type Endpoint,
  type Host,
  hostPart,
  type Network,
  type Node,
  namespaceOf,
  type Sandbox,
  type Service,
  type Topology,
} from '../topology/topology.js';
import type { MeshPorts } from '../traffic/mesh-ports.js';
import type { Stop, Wire } from './firewall.js';
import { joiningOrder } from './joining.js';
import * as mesh from './mesh.js';
import { Peers } from './peers.js';
import { GWBRIDGE, LiveSandbox } from './sandbox.js';
import { type Stopped, WireStops } from './wire-stops.js';

export interface Realized {
  engine: Engine;
  topology: Topology;
  underlay: Segment;
  /** By name: `client/host`, `node1/host`, `node1/ingress_sbox`, `node1/ov-net1`, `node1/task-web.1` */
  namespaces: Map<string, Namespace>;
}

interface BalancerPlace {
  sandbox: Sandbox;
  endpoint: Endpoint;
  network: Network;
  namespace: Namespace;
}

/** What a change of the topology has to be told to. */
export interface Programmer extends Wire {
  addHost(host: Host): void;
  addNode(node: Node): void;
  /** Power off, or a cut cable: nothing reaches its NIC; and on again. */
  setNodeUp(node: string, up: boolean): void;
  /** The network comes to a node, with what is known of its endpoints elsewhere; and goes from it. */
  createNetwork(node: string, network: Network): void;
  deleteNetwork(node: string, network: Network): void;
  /** Two nodes do not hear of each other's endpoints any more, or never did; have given each other up; hear each other. */
  part(network: Network, one: string, other: string, strangers: boolean): void;
  forget(network: Network, one: string, other: string): void;
  meet(network: Network, one: string, other: string): void;
  /** A namespace of its own, without an endpoint yet; it is removed with those that it has. */
  addSandbox(sandbox: Sandbox): void;
  removeSandbox(sandbox: Sandbox): void;
  /** The NAT of the embedded DNS server, in a sandbox that had none. */
  addResolver(sandbox: Sandbox, resolver: { udp: number; tcp: number }): void;
  attach(sandbox: Sandbox, network: Network, endpoint: Endpoint): void;
  detach(sandbox: Sandbox, network: Network, endpoint: Endpoint): void;
  /** The node is in a swarm, its ingress sandbox has its endpoints: the node's own rules for the mesh; and without it again. */
  programMesh(node: string): void;
  revokeMesh(node: string): void;
  /** A task's ingress endpoint: from the published port to its own. */
  redirect(sandbox: Sandbox, service: Service, network: Network): void;
  /** A destination of a service in one node's load balancer; the service comes with its first, and goes with its last. */
  addBackend(service: Service, balancer: Balancer, address: string): void;
  disableBackend(balancer: Balancer, address: string): void;
  removeBackend(service: Service, balancer: Balancer, address: string): void;
}

export interface RealizeOptions {
  /** Of the underlay, ns. */
  latency?: number;
  /** Beside Docker's own. */
  drivers?: readonly Driver[];
  /** A node's docker-proxies. */
  userlandProxy?: (host: Namespace) => UserlandProxy;
  /** What a node has open for the mesh's ports. */
  meshPorts?: (host: Namespace) => Pick<MeshPorts, 'hold' | 'release'>;
}

/** @throws UnknownDriver */
export function realize(engine: Engine, topology: Topology, options: RealizeOptions = {}): Realizer {
  const realizer = new Realizer(engine, topology, options);
  realizer.standUp();
  return realizer;
}

export class Realizer implements Realized, Programmer {
  readonly underlay: Segment;
  readonly #drivers: Drivers;
  readonly #latency: number;
  readonly #proxy: RealizeOptions['userlandProxy'];
  readonly #meshPortsOf: RealizeOptions['meshPorts'];
  /** By node. */
  readonly #meshPorts = new Map<string, Pick<MeshPorts, 'hold' | 'release'>>();
  readonly #nodes = new Map<string, NodeContext>();
  readonly #sandboxes = new Map<string, LiveSandbox>();
  /** Endpoints of networks of scope `swarm`: what the nodes tell each other. */
  readonly #peers = new Peers({
    add: (at, peer) => this.#drivers.get(at.network.driver).peerAdded?.(at, peer),
    remove: (at, peer) => this.#drivers.get(at.network.driver).peerRemoved?.(at, peer),
  });
  readonly #stops = new WireStops((node) => this.#node(node).host);

  /** An engine with nothing in it yet; `topology` is what the changes to come are made to. */
  constructor(
    readonly engine: Engine,
    readonly topology: Topology,
    { latency = 50_000, drivers, userlandProxy, meshPorts }: RealizeOptions = {},
  ) {
    this.#proxy = userlandProxy;
    this.#meshPortsOf = meshPorts;
    this.#drivers = new Drivers(drivers);
    this.#latency = latency;
    this.underlay = engine.segment(latency);
  }

  get namespaces(): Map<string, Namespace> {
    return this.engine.namespaces;
  }

  /** All of the topology at once, as a real swarm's that was found standing. */
  standUp(): void {
    const { topology } = this;
    for (const host of topology.hosts) this.addHost(host);
    for (const { name } of topology.nodes) this.#standUpNode(name);
    for (const { name } of topology.nodes) this.#standUpBalancers(name);
  }

  #standUpNode(name: string): void {
    const { topology } = this;
    const node = topology.nodes.find((one) => one.name === name);
    if (!node) throw new Error(`there is no node ${name}`);
    this.addNode(node);
    // Local networks first: a bridge is there before an overlay's sandbox needs it.
    const here = topology.networks.filter((network) => network.onNode[name]);
    for (const network of [...here].sort((a, b) => this.#rank(a) - this.#rank(b))) this.createNetwork(name, network);
    const sandboxes = topology.sandboxes.filter((sandbox) => sandbox.node === name);
    for (const sandbox of sandboxes) this.addSandbox(sandbox);
    for (const { sandbox, endpoint } of joiningOrder(here, sandboxes)) {
      const network = here.find((one) => one.name === endpoint.network);
      if (!network) throw new Error(`${sandbox.name} joins ${endpoint.network}, which ${name} does not have`);
      this.attach(sandbox, network, endpoint);
    }
    const ingress = topology.networks.find((network) => network.ingress);
    for (const sandbox of sandboxes) {
      const service = topology.services.find((one) => one.name === sandbox.service);
      if (sandbox.kind === 'task' && service && ingress) this.redirect(sandbox, service, ingress);
    }
    if (ingress) this.programMesh(name);
  }

  #rank({ driver }: Network): number {
    return Number(this.#drivers.get(driver).scope === 'swarm');
  }

  /** In the order in which the node came to balance them, which their marks tell. */
  #standUpBalancers(node: string): void {
    const here = this.topology.services.flatMap((service) =>
      service.balancers.filter((one) => one.node === node).map((balancer) => ({ service, balancer })),
    );
    for (const { service, balancer } of here.sort((a, b) => a.balancer.mark - b.balancer.mark)) {
      // The kernel's list starts with the destination added last.
      for (const address of [...balancer.destinations].reverse()) this.addBackend(service, balancer, address);
      if (balancer.firstPick) this.#pickFirst(balancer, balancer.firstPick);
    }
  }

  addHost(host: Host): void {
    const namespace = this.engine.namespace(`${host.name}/host`);
    const device = namespace.addPhysical(host.nic.name, this.underlay, host.nic);
    for (const address of host.nic.addresses) namespace.addAddress(device, address);
    for (const vlan of host.vlans ?? []) {
      const tagged = namespace.addVlan(vlan.name, { lower: device, id: vlan.id });
      for (const address of vlan.addresses) namespace.addAddress(tagged, address);
    }
    for (const route of host.routes ?? [])
      namespace.addRoute(route.destination, namespace.device(route.device), route.gateway);
    for (const address of host.extraAddresses) namespace.addAddress(namespace.device('lo'), address);
    namespace.set('forward', host.forwards ? 1 : 0);
    if (device.ipv6) startIpv6(namespace, device);
    if (device.ipv6 && (host.forwards6 ?? host.forwards)) namespace.ipv6.forwards = true;
  }

  addNode(node: Node): void {
    const { engine, topology } = this;
    const host = engine.namespace(`${node.name}/host`);
    const nic = host.addPhysical(node.nic.name, this.underlay, node.nic);
    for (const address of node.nic.addresses) host.addAddress(nic, address);
    for (const further of node.nics ?? []) {
      const device = host.addPhysical(further.name, this.#segment(further.segment), further);
      for (const address of further.addresses) host.addAddress(device, address);
    }
    if (node.gateway) host.addRoute('0.0.0.0/0', nic, node.gateway);
    if (node.ipv6 || nic.ipv6) startIpv6(host, nic);
    if (node.gateway6) host.addRoute('::/0', nic, node.gateway6);
    const vtepOf = (other: string) => {
      const there = this.#machines.get(other) ?? topology.nodes.find((one) => one.name === other);
      if (there) this.#machines.set(other, there);
      return there?.dataPath ?? hostPart(there?.nic.addresses[0] ?? '');
    };
    const userlandProxy = this.#proxy?.(host);
    const meshPorts = this.#meshPortsOf?.(host);
    if (meshPorts) this.#meshPorts.set(node.name, meshPorts);
    const context: NodeContext = {
      name: node.name,
      spec: node,
      engine,
      topology,
      host,
      vtepOf,
      ...(userlandProxy ? { userlandProxy } : {}),
    };
    programNode(context);
    this.#nodes.set(node.name, context);
  }

  /** Nodes by name, once asked for: none ever goes from the topology. */
  readonly #machines = new Map<string, Node>();

  /** A further wire between machines, by name. */
  #segment(name: string): Segment {
    const known = this.#segments.get(name);
    if (known) return known;
    const segment = this.engine.segment(this.#latency);
    this.#segments.set(name, segment);
    return segment;
  }
  readonly #segments = new Map<string, Segment>();

  setNodeUp(node: string, up: boolean): void {
    const { host } = this.#node(node);
    for (const device of host.devices.values()) if (device.kind === 'physical') device.up = up;
  }

  createNetwork(name: string, network: Network): void {
    const at = this.#at(name, network);
    this.#drivers.get(network.driver).createNetwork(at);
    this.#peers.come(at);
  }

  deleteNetwork(name: string, network: Network): void {
    this.#peers.leave(network, name);
    this.#drivers.get(network.driver).deleteNetwork(this.#at(name, network));
  }

  addSandbox(sandbox: Sandbox): void {
    this.#sandboxes.set(`${sandbox.node}/${sandbox.name}`, new LiveSandbox(sandbox, this.#namespaceFor(sandbox)));
  }

  #namespaceFor(sandbox: Sandbox): Namespace {
    const name = namespaceOf(sandbox);
    const shared = sandbox.shares === undefined ? undefined : this.engine.namespaces.get(name);
    if (shared) return shared;
    const namespace = this.engine.namespace(name);
    namespace.set('forward', 1);
    namespace.set('bridgeNetfilter', 1);
    if (sandbox.resolver) mesh.programResolver(namespace, sandbox.resolver);
    for (const [name, value] of Object.entries(sandbox.sysctls ?? {})) {
      if (isNetSysctl(name)) namespace.set(NET_SYSCTLS[name], Number(value));
    }
    return namespace;
  }

  addResolver(sandbox: Sandbox, resolver: { udp: number; tcp: number }): void {
    mesh.programResolver(this.#sandbox(sandbox).namespace, resolver);
  }

  removeSandbox(sandbox: Sandbox): void {
    const name = `${sandbox.node}/${sandbox.name}`;
    const live = this.#sandbox(sandbox);
    const { namespace } = live;
    this.#sandboxes.delete(name);
    live.isGone = true;
    // A namespace lasts as long as a process is in it.
    const used = sandbox.shares === 'host' || [...this.#sandboxes.values()].some((one) => one.namespace === namespace);
    if (!used) this.engine.removeNamespace(namespace);
  }

  attach(sandbox: Sandbox, network: Network, endpoint: Endpoint): void {
    const live = this.#sandbox(sandbox);
    const driver = this.#drivers.get(network.driver);
    const { node, here } = this.#at(sandbox.node, network);
    live.attach(driver, { node, network, here, sandbox: live.place, endpoint });
    if (driver.scope !== 'swarm') return;
    this.#peers.add(network, { node: sandbox.node, address: endpoint.address, mac: endpoint.mac });
  }

  detach(sandbox: Sandbox, network: Network, endpoint: Endpoint): void {
    this.#sandbox(sandbox).detach(network.name);
    this.#peers.remove(network, endpoint.address);
  }

  part(network: Network, one: string, other: string, strangers: boolean): void {
    this.#peers.part(network, one, other, strangers);
  }
  forget(network: Network, one: string, other: string): void {
    this.#peers.forget(network, one, other);
  }
  meet(network: Network, one: string, other: string): void {
    this.#peers.meet(network, one, other);
  }

  deny(stop: Stop): void {
    this.#stops.deny(stop);
  }
  allow(stop: Stop): void {
    this.#stops.allow(stop);
  }
  /** What the firewall between the nodes has stopped. */
  get stopped(): Stopped[] {
    return this.#stops.stopped;
  }

  programMesh(name: string): void {
    const { host } = this.#node(name);
    mesh.programIngressChains(host, this.topology.engine);
    if (this.#sandboxes.has(`${name}/ingress_sbox`)) mesh.programNodeForMesh(host, this.#gwbridge(name));
  }

  revokeMesh(name: string): void {
    const { host } = this.#node(name);
    mesh.revokeNodeForMesh(host, this.#gwbridge(name));
    mesh.revokeIngressChains(host, this.topology.engine);
  }

  redirect(sandbox: Sandbox, service: Service, network: Network): void {
    mesh.programTask(this.#sandbox(sandbox).namespace, sandbox, service, network.name);
  }

  addBackend(service: Service, balancer: Balancer, address: string): void {
    const { sandbox, endpoint, network, namespace } = this.#balancerOf(balancer);
    const known = namespace.ipvs.find(balancer.mark);
    if (known) {
      const before = known.destinations.find((one) => one.address === address);
      if (before) before.weightNow = 1;
      else known.add(address);
      return;
    }
    // A service without a virtual address is known by its names alone.
    const vip = service.vips[balancer.network];
    if (!vip) return;
    if (network.ingress) {
      const way = sandbox.endpoints.find((one) => one.network === GWBRIDGE);
      if (way)
        mesh.publishOnNode(this.#node(balancer.node).host, this.topology.engine, service.ports, hostPart(way.address));
      this.#meshPorts.get(balancer.node)?.hold(service.ports);
    }
    const { subnet } = this.#at(balancer.node, network).here;
    mesh.programService(namespace, service, balancer, { endpoint, subnet, ingress: network.ingress });
    namespace.ipvs.add({ mark: balancer.mark }).add(address);
  }

  disableBackend(balancer: Balancer, address: string): void {
    const { namespace } = this.#balancerOf(balancer);
    const found = namespace.ipvs.find(balancer.mark)?.destinations.find((one) => one.address === address);
    if (found) found.weightNow = 0;
  }

  removeBackend(service: Service, balancer: Balancer, address: string): void {
    const { sandbox, endpoint, network, namespace } = this.#balancerOf(balancer);
    const known = namespace.ipvs.find(balancer.mark);
    if (!known) return;
    known.destinations.find((one) => one.address === address)?.remove();
    if (known.destinations.length > 0) return;
    namespace.ipvs.remove(known);
    if (network.ingress) {
      const way = sandbox.endpoints.find((one) => one.network === GWBRIDGE);
      if (way)
        mesh.unpublishOnNode(
          this.#node(balancer.node).host,
          this.topology.engine,
          service.ports,
          hostPart(way.address),
        );
      this.#meshPorts.get(balancer.node)?.release(service.ports);
    }
    const others = service.balancers.some(
      (one) => one !== balancer && one.node === balancer.node && one.network === balancer.network,
    );
    mesh.revokeService(namespace, service, balancer, { endpoint, ingress: network.ingress, others });
  }

  #pickFirst(balancer: Balancer, address: string): void {
    const virtual = this.#balancerOf(balancer).namespace.ipvs.find(balancer.mark);
    const list = virtual?.destinations ?? [];
    const first = list.findIndex((one) => one.address === address);
    if (first > 0) virtual?.setLast(list[first - 1]);
  }

  #balancerOf(balancer: Balancer): BalancerPlace {
    const known = this.#balanced.get(balancer);
    if (known && !known.live.isGone) return known.place;
    const network = this.topology.networks.find(
      ({ name, onNode }) => name === balancer.network && onNode[balancer.node] !== undefined,
    );
    const name = `${balancer.node}/${network?.ingress ? 'ingress_sbox' : `lb-${balancer.network}`}`;
    const live = this.#sandboxes.get(name);
    const endpoint = live?.spec.endpoints.find((one) => one.network === balancer.network);
    if (!network || !live || !endpoint) throw new Error(`there is no load balancer ${name}`);
    const place = { sandbox: live.spec, endpoint, network, namespace: live.namespace };
    this.#balanced.set(balancer, { live, place });
    return place;
  }

  /** Where load balancers are, once found: each of their destinations asks. */
  readonly #balanced = new WeakMap<Balancer, { live: LiveSandbox; place: BalancerPlace }>();

  #gwbridge(node: string): string {
    return this.topology.networks.find(({ name }) => name === GWBRIDGE)?.onNode[node]?.bridge ?? GWBRIDGE;
  }

  /** A node's namespaces, for whoever programs it beside Docker. */
  context(name: string): NodeContext {
    return this.#node(name);
  }

  #node(name: string): NodeContext {
    const node = this.#nodes.get(name);
    if (node) return node;
    throw new Error(`there is no node ${name}`);
  }

  #at(name: string, network: Network): NetworkAt {
    const here = network.onNode[name];
    if (!here) throw new Error(`${name} does not have the network ${network.name}`);
    return { node: this.#node(name), network, here };
  }

  #sandbox({ node, name }: Sandbox): LiveSandbox {
    const live = this.#sandboxes.get(`${node}/${name}`);
    if (live) return live;
    throw new Error(`there is no sandbox ${node}/${name}`);
  }
}

/** disable_ipv6 is 0: lo has ::1, and the NIC a link-local address. */
function startIpv6(namespace: Namespace, nic: Device): void {
  namespace.ipv6.enable(namespace.device('lo'));
  namespace.ipv6.addLinkLocal(nic);
}
