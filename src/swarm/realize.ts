/** A topology becomes namespaces, devices, tables and rules in an engine, in the order in which Docker would make them. */

import { programNode } from '../drivers/bridge.js';
import { type Driver, Drivers, type NodeContext } from '../drivers/index.js';
import type { Device, Engine, Namespace, Segment } from '../engine/index.js';
import {
  type Endpoint,
  hostPart,
  type Network,
  type NetworkOnNode,
  type Sandbox,
  type Topology,
} from '../topology/topology.js';
import {
  programBalancerSandbox,
  programNodeForMesh,
  programResolver,
  programService,
  programTask,
  publishOnNode,
} from './mesh.js';
import { GWBRIDGE, LiveSandbox } from './sandbox.js';

export interface Realized {
  engine: Engine;
  topology: Topology;
  underlay: Segment;
  /** By name: `client/host`, `node1/host`, `node1/ingress_sbox`, `node1/ov-net1`, `node1/task-web.1` */
  namespaces: Map<string, Namespace>;
}

export interface RealizeOptions {
  /** Of the underlay, ns. */
  latency?: number;
  /** Beside Docker's own. */
  drivers?: readonly Driver[];
}

/** @throws UnknownDriver */
export function realize(engine: Engine, topology: Topology, options: RealizeOptions = {}): Realized {
  const { latency = 50_000 } = options;
  const drivers = new Drivers(options.drivers);
  const underlay = engine.segment(latency);
  const { namespaces } = engine;
  for (const host of topology.hosts) {
    const namespace = engine.namespace(`${host.name}/host`);
    const device = namespace.addPhysical(host.nic.name, underlay, host.nic);
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
    if (device.ipv6 && host.forwards) namespace.ipv6.forwards = true;
  }
  for (const node of topology.nodes) realizeNode(engine, topology, drivers, underlay, node.name);
  return { engine, topology, underlay, namespaces };
}

function realizeNode(engine: Engine, topology: Topology, drivers: Drivers, underlay: Segment, name: string): void {
  const node = topology.nodes.find((one) => one.name === name);
  if (!node) throw new Error(`there is no node ${name}`);
  const host = engine.namespace(`${name}/host`);
  const nic = host.addPhysical(node.nic.name, underlay, node.nic);
  for (const address of node.nic.addresses) host.addAddress(nic, address);
  if (node.gateway) host.addRoute('0.0.0.0/0', nic, node.gateway);
  if (node.ipv6 || nic.ipv6) startIpv6(host, nic);
  if (node.gateway6) host.addRoute('::/0', nic, node.gateway6);
  const swarm = topology.networks.some(({ ingress }) => ingress);
  const context: NodeContext = {
    name,
    engine,
    topology,
    host,
    vtepOf: (other) => hostPart(topology.nodes.find((one) => one.name === other)?.nic.addresses[0] ?? ''),
  };
  programNode(context, swarm);
  // Networks of this node, local ones first: a bridge is there before an overlay's sandbox needs it.
  const here = topology.networks.filter((network) => network.onNode[name]);
  for (const network of [...here].sort((a, b) => scopeOf(drivers, a) - scopeOf(drivers, b))) {
    const local = network.onNode[name];
    if (local) createNetwork(context, drivers.get(network.driver), network, local);
  }
  const sandboxes = topology.sandboxes
    .filter((sandbox) => sandbox.node === name)
    .map((spec) => ({ spec, namespace: engine.namespace(`${name}/${spec.name}`) }));
  join(context, drivers, here, sandboxes);
  const ingress = topology.networks.find((network) => network.ingress);
  for (const { spec, namespace } of sandboxes) {
    namespace.set('forward', 1);
    namespace.set('bridgeNetfilter', 1);
    if (spec.resolver) programResolver(namespace, spec.resolver);
    if (spec.kind === 'balancer') programBalancer(topology, spec, namespace);
    const service = topology.services.find((one) => one.name === spec.service);
    if (spec.kind === 'task' && service && ingress) programTask(namespace, spec, service, ingress.name);
  }
  const ingressSandbox = sandboxes.find(({ spec }) => spec.name === 'ingress_sbox');
  const way = ingressSandbox?.spec.endpoints.find(({ network }) => network === GWBRIDGE);
  if (!way) return;
  programNodeForMesh(
    host,
    topology.networks.find((network) => network.name === GWBRIDGE)?.onNode[name]?.bridge ?? GWBRIDGE,
  );
  // In the order in which the node came to balance them, which their marks tell.
  const markOf = ({ balancers }: Topology['services'][number]) =>
    balancers.find((one) => one.node === name && one.network === ingress?.name)?.mark ?? 0;
  for (const service of [...topology.services].sort((a, b) => markOf(a) - markOf(b))) {
    for (const port of service.ports) publishOnNode(host, port, hostPart(way.address));
  }
}

/** disable_ipv6 is 0: lo has ::1, and the NIC a link-local address. */
function startIpv6(namespace: Namespace, nic: Device): void {
  namespace.ipv6.enable(namespace.device('lo'));
  namespace.ipv6.addLinkLocal(nic);
}

/** Endpoints join bridge by bridge in the order of their ports, so that the bridges' ports stand as they did. */
function scopeOf(drivers: Drivers, { driver }: Network): number {
  return Number(drivers.get(driver).scope === 'swarm');
}

/** A network on a node, and what is known of its endpoints elsewhere. */
function createNetwork(node: NodeContext, driver: Driver, network: Network, here: NetworkOnNode): void {
  driver.createNetwork({ node, network, here });
  if (!driver.peerAdded) return;
  for (const sandbox of node.topology.sandboxes) {
    if (sandbox.node === node.name) continue;
    for (const { network: joined, address, mac } of sandbox.endpoints)
      if (joined === network.name) driver.peerAdded({ node, network, here }, { node: sandbox.node, address, mac });
  }
}

/** Endpoints network by network, each in its place among the ports of its bridge. */
function join(
  node: NodeContext,
  drivers: Drivers,
  networks: Network[],
  sandboxes: { spec: Sandbox; namespace: Namespace }[],
): void {
  const all = sandboxes.flatMap((sandbox) => {
    const live = new LiveSandbox(sandbox.spec, sandbox.namespace);
    return sandbox.spec.endpoints.map((endpoint) => ({ sandbox, live, endpoint }));
  });
  const order = (endpoint: Endpoint) => networks.findIndex(({ name }) => name === endpoint.network);
  all.sort((a, b) => order(a.endpoint) - order(b.endpoint) || a.endpoint.port - b.endpoint.port);
  for (const { sandbox, live, endpoint } of all) {
    const network = networks.find(({ name }) => name === endpoint.network);
    const here = network?.onNode[node.name];
    if (!network || !here)
      throw new Error(`${sandbox.spec.name} joins ${endpoint.network}, which ${node.name} does not have`);
    live.attach(drivers.get(network.driver), { node, network, here, sandbox, endpoint });
  }
}

function programBalancer(topology: Topology, spec: Sandbox, namespace: Namespace): void {
  for (const endpoint of spec.endpoints) {
    const network = topology.networks.find(({ name, driver }) => name === endpoint.network && driver === 'overlay');
    const local = network?.onNode[spec.node];
    if (!network || !local) continue;
    const services = topology.services.flatMap((service) =>
      service.balancers
        .filter(
          (balancer) =>
            balancer.node === spec.node && balancer.network === network.name && balancer.destinations.length > 0,
        )
        .map((balancer) => ({ service, balancer })),
    );
    if (services.length === 0) continue;
    services.sort((a, b) => a.balancer.mark - b.balancer.mark);
    programBalancerSandbox(namespace, local.subnet, hostPart(endpoint.address));
    for (const { service, balancer } of services)
      programService(namespace, service, balancer, endpoint.interface, network.ingress);
  }
}
