/** What a recorded scenario chose and drew (`inputs.json`), as a topology that swarm/realize can program. */

import {
  type Endpoint,
  hostPart,
  type Network,
  type NetworkOnNode,
  type Sandbox,
  type Service,
  type Topology,
} from '../topology/topology.js';
import type { DeviceInput, EndpointInput, Inputs, NetworkInput } from './inputs.js';

/** The recording's name of a namespace (`node1.task-web.1`, `client`) as ours (`node1/task-web.1`, `client/host`). */
export function namespaceName(recorded: string): string {
  const dot = recorded.indexOf('.');
  return dot < 0 ? `${recorded}/host` : `${recorded.slice(0, dot)}/${recorded.slice(dot + 1)}`;
}

/** Drivers that stand in a node without being asked for, and that hold nothing: they wait for no one. */
const WITHOUT_DEVICES = new Set(['host', 'null']);

/** What of this scenario is not built yet, in words; empty when all of it is. */
export function waitingFor(inputs: Inputs): string[] {
  const reasons = new Set<string>();
  for (const network of inputs.networks) {
    if (!['bridge', 'overlay', 'host', 'null'].includes(network.driver)) reasons.add(`driver ${network.driver}`);
    if (network.encrypted) reasons.add('encrypted overlays');
    if (network.ipv6) reasons.add('IPv6');
  }
  for (const container of [...inputs.containers, ...inputs.tasks]) {
    const ports = container.ports ?? [];
    if (ports.length > 0) reasons.add('ports published by a container');
    if (Object.keys(container.networks ?? {}).length === 0) reasons.add('containers without a network of their own');
  }
  if (Object.keys(inputs.later).length > 0) reasons.add('changes while traffic runs');

  return [...reasons];
}

export function topologyOf(inputs: Inputs): Topology {
  const networks = inputs.networks
    .filter(({ driver }) => !WITHOUT_DEVICES.has(driver))
    .map((network) => networkOf(inputs, network));
  return {
    engine: '20.10',
    nodes: inputs.nodes.map(({ name, role, interface: device, mac, mtu, address, gateway }) => ({
      name,
      role: role === 'manager' ? 'manager' : 'worker',
      nic: { name: device, mac, mtu, addresses: [address] },
      ...(gateway ? { gateway } : {}),
    })),
    hosts: inputs.outside.map(({ name, interfaces, extraAddresses, forwards }) => {
      const [nic] = interfaces;
      if (!nic) throw new Error(`${name} has no interface`);
      return {
        name,
        nic: { name: nic.name, mac: nic.mac, mtu: nic.mtu, addresses: nic.addresses },
        extraAddresses,
        forwards,
      };
    }),
    networks,
    services: inputs.services.map(serviceOf),
    sandboxes: sandboxesOf(inputs, networks),
  };
}

function networkOf(inputs: Inputs, network: NetworkInput): Network {
  const onNode: Record<string, NetworkOnNode> = {};
  for (const [node, here] of Object.entries(network.nodes)) {
    if (!here.here || !here.bridge || !here.bridgeMac) continue;
    const subnet = here.subnets[0];
    const gateway = here.gateway[0];
    if (!subnet || !gateway) continue;
    onNode[node] = {
      subnet,
      gateway: gateway.split('/')[0] ?? gateway,
      bridge: here.bridge,
      bridgeMac: here.bridgeMac,
      ...(here.vxlan && here.vxlanMac ? { vxlan: { name: here.vxlan, mac: here.vxlanMac } } : {}),
    };
  }
  const options = (network.options ?? {}) as Record<string, string>;
  const here = Object.values(network.nodes).find(({ mtu }) => mtu != null);
  const port = Object.values(network.nodes).find(({ vxlanPort }) => vxlanPort != null)?.vxlanPort;
  return {
    name: network.name,
    id: network.id,
    driver: network.driver === 'overlay' ? 'overlay' : 'bridge',
    ingress: network.ingress === true,
    mtu: here?.mtu ?? mtuOfBridge(inputs, network) ?? 1500,
    icc: options['com.docker.network.bridge.enable_icc'] !== 'false',
    masquerade: options['com.docker.network.bridge.enable_ip_masquerade'] !== 'false',
    ...(network.vni == null ? {} : { vni: network.vni }),
    ...(port == null ? {} : { dataPathPort: port }),
    onNode,
  };
}

function mtuOfBridge(inputs: Inputs, network: NetworkInput): number | undefined {
  for (const [node, { bridge }] of Object.entries(network.nodes)) {
    const device = inputs.devices[`${node}.host`]?.find(({ name }) => name === bridge);
    if (device?.mtu) return device.mtu;
  }
  return undefined;
}

function serviceOf(service: Inputs['services'][number]): Service {
  return {
    name: service.name,
    ports: service.ports.flatMap(({ published, target, protocol, mode }) =>
      mode !== 'host' && published != null && (protocol === 'tcp' || protocol === 'udp')
        ? [{ published, target, protocol }]
        : [],
    ),
    vips: Object.fromEntries(
      Object.entries(service.vips).flatMap(([network, address]) => (address ? [[network, hostPart(address)]] : [])),
    ),
    balancers: service.balancers.flatMap(({ node, network, mark, destinations, firstPick }) =>
      mark == null
        ? []
        : [{ node, network, mark, destinations: destinations ?? [], ...(firstPick ? { firstPick } : {}) }],
    ),
  };
}

function sandboxesOf(inputs: Inputs, networks: Network[]): Sandbox[] {
  const known = new Set(networks.map(({ name }) => name));
  const make = (
    recorded: string,
    node: string,
    kind: Sandbox['kind'],
    endpoints: Record<string, EndpointInput>,
  ): Sandbox => {
    const resolver = inputs.resolver[recorded];
    return {
      name: recorded.slice(recorded.indexOf('.') + 1),
      node,
      kind,
      endpoints: Object.entries(endpoints)
        .filter(([network]) => known.has(network))
        .map(([network, endpoint]) => endpointOf(inputs, recorded, network, endpoint)),
      ...(resolver?.udp && resolver.tcp ? { resolver: { udp: resolver.udp, tcp: resolver.tcp } } : {}),
    };
  };
  return [
    ...inputs.loadBalancers.map(({ namespace, node, endpoints }) => make(namespace, node, 'balancer', endpoints)),
    ...inputs.tasks.flatMap(({ namespace, node, networks: endpoints, name, service }) =>
      namespace && node
        ? [{ ...make(namespace, node, 'task', endpoints), task: name, ...(service ? { service } : {}) }]
        : [],
    ),
    ...inputs.containers.flatMap(({ namespace, node, networks: endpoints }) =>
      namespace && node ? [make(namespace, node, 'container', endpoints)] : [],
    ),
  ];
}

function endpointOf(inputs: Inputs, recorded: string, network: string, endpoint: EndpointInput): Endpoint {
  const name = endpoint.interface ?? 'eth0';
  const inside = inputs.devices[recorded]?.find((device) => device.name === name);
  const [peerNamespace = '', peerName = ''] = inside?.peer?.split('/') ?? [];
  const peer: DeviceInput | undefined = inputs.devices[peerNamespace]?.find((device) => device.name === peerName);
  if (!endpoint.address || !endpoint.mac || !peer?.mac)
    throw new Error(`${recorded}/${name} has no address, MAC or peer in inputs.json`);
  return {
    network,
    interface: name,
    address: endpoint.address,
    mac: endpoint.mac,
    peer: { name: peer.name, mac: peer.mac },
    port: peer.port ?? 0,
  };
}
