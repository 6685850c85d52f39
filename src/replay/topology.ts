/** What a recorded scenario chose and drew (`inputs.json`), as a topology that swarm/realize can program. */

import { parentName } from '../drivers/parent.js';
import { firstAddress, isIpv6 } from '../topology/ipv6.js';
import {
  type EncryptionKey,
  type Endpoint,
  hostPart,
  type Network,
  type NetworkOnNode,
  type PublishedPort,
  type Sandbox,
  type Service,
  type Topology,
} from '../topology/topology.js';
import { listed, startList } from './changes.js';
import { Endpoints, type Member } from './endpoints.js';
import type { DeviceInput, EndpointInput, Inputs, NetworkInput, TaskInput } from './inputs.js';

/** The recording's name of a namespace (`node1.task-web.1`, `client`) as ours (`node1/task-web.1`, `client/host`). */
export function namespaceName(recorded: string): string {
  const dot = recorded.indexOf('.');
  return dot < 0 ? `${recorded}/host` : `${recorded.slice(0, dot)}/${recorded.slice(dot + 1)}`;
}

/** Drivers that stand in a node without being asked for, and that hold nothing: they wait for no one. */
const WITHOUT_DEVICES = new Set(['host', 'null']);

const BUILT = new Set(['bridge', 'overlay', 'macvlan', 'ipvlan', ...WITHOUT_DEVICES]);

/** What of this scenario is not built yet, in words; empty when all of it is. */
export function waitingFor(inputs: Inputs): string[] {
  const reasons = new Set<string>();
  for (const network of inputs.networks) {
    if (!BUILT.has(network.driver)) reasons.add(`driver ${network.driver}`);
  }
  const known = new Set(membersOf(inputs).flatMap(({ networks }) => Object.values(networks).map(addressOf)));
  for (const address of listed(inputs).keys()) {
    if (!known.has(address)) reasons.add(`${address}, a destination of which nothing else is known`);
  }
  return [...reasons];
}

/** As it stands when the recording begins. */
export function topologyOf(inputs: Inputs): Topology {
  return changingTopologyOf(inputs).topology;
}

/** The same, and the sandboxes that come later. */
export function changingTopologyOf(inputs: Inputs): { topology: Topology; later: Sandbox[] } {
  const networks = inputs.networks
    .filter(({ driver }) => !WITHOUT_DEVICES.has(driver))
    // As they were made: a later bridge's rules stand before an earlier one's.
    .sort((a, b) => bridgeIndex(inputs, a) - bridgeIndex(inputs, b))
    .map((network) => networkOf(inputs, network));
  const { start, later } = sandboxesOf(inputs, networks);
  const topology: Topology = {
    engine: '20.10',
    nodes: inputs.nodes.map(({ name, role, interface: device, mac, mtu, address, gateway, resolvers }) => ({
      name,
      role: role === 'manager' ? 'manager' : 'worker',
      nic: { name: device, mac, mtu, addresses: [address] },
      ...(gateway ? { gateway } : {}),
      resolvers,
      ...(hasIpv6(inputs, name) ? { ipv6: true } : {}),
    })),
    hosts: inputs.outside.map(({ name, interfaces, extraAddresses, forwards, resolves, routes }) => {
      const [nic, ...others] = interfaces.map(({ vlan, ...one }) => ({
        name: one.name,
        mac: one.mac,
        mtu: one.mtu,
        addresses: one.addresses,
        ...(vlan === undefined ? {} : { id: vlan }),
      }));
      if (!nic) throw new Error(`${name} has no interface`);
      const vlans = others.flatMap(({ id, ...one }) => (id === undefined ? [] : [{ ...one, id }]));
      return {
        name,
        nic,
        ...(vlans.length > 0 ? { vlans } : {}),
        ...(routes.some((route) => VIA.test(route)) ? { routes: routes.flatMap(routeBy) } : {}),
        extraAddresses,
        forwards,
        // What is recorded of it is net.ipv4.ip_forward.
        forwards6: false,
        ...(Object.keys(resolves).length > 0 ? { resolves } : {}),
      };
    }),
    networks,
    services: inputs.services.map((service) => serviceOf(inputs, service)),
    sandboxes: start,
    // Without an encrypted network they are left over from another scenario.
    ...(inputs.encryption && networks.some(({ encrypted }) => encrypted) ? { keys: keysOf(inputs.encryption) } : {}),
  };
  return { topology, later };
}

/** Not told to be without: `sysctls` lists what is not the kernel's default. */
function hasIpv6({ sysctls }: Inputs, node: string): boolean {
  return sysctls[`${node}.host`]?.['net.ipv6.conf.all.disable_ipv6'] !== '1';
}

function keysOf({ keys }: NonNullable<Inputs['encryption']>): EncryptionKey[] {
  return keys
    .map(({ key, tag }) => {
      if (tag == null) throw new Error(`key ${key} has no tag in inputs.json`);
      return { key: key.replace(/^0x/, ''), tag };
    })
    .sort((a, b) => a.tag - b.tag);
}

function networkOf(inputs: Inputs, network: NetworkInput): Network {
  const onNode: Record<string, NetworkOnNode> = {};
  for (const [node, here] of Object.entries(network.nodes)) {
    const options = network.options as Record<string, string>;
    const { internal, id } = network;
    const parent =
      network.driver === 'macvlan' || network.driver === 'ipvlan'
        ? parentName(network.driver, { id, internal, options })
        : undefined;
    const bridge = here.bridge ?? parent;
    // A parent that Docker made is a dummy with a random MAC; one that was there has its own.
    const made = inputs.devices[`${node}.host`]?.find(({ name }) => name === parent)?.mac;
    const bridgeMac = here.bridgeMac ?? (parent ? (made ?? '') : undefined);
    if (!here.here || !bridge || bridgeMac === undefined) continue;
    const at = here.subnets.findIndex((one) => one !== null && !isIpv6(one));
    const subnet = here.subnets[at];
    // An internal macvlan has none, and nobody asks for it.
    const gateway = here.gateway[at] ?? (network.internal ? '' : undefined);
    if (!subnet || gateway === undefined) continue;
    const at6 = network.ipv6 ? here.subnets.findIndex((one) => one !== null && isIpv6(one)) : -1;
    const subnet6 = here.subnets[at6];
    // Nobody chose one: the subnet's first.
    const gateway6 = here.gateway[at6] ?? (subnet6 && firstAddress(subnet6));
    onNode[node] = {
      subnet,
      gateway: gateway.split('/')[0] ?? gateway,
      ...(subnet6 && gateway6 ? { subnet6, gateway6: hostPart(gateway6) } : {}),
      ...furtherSubnets(here),
      bridge,
      bridgeMac,
      ...(here.vxlan && here.vxlanMac ? { vxlan: { name: here.vxlan, mac: here.vxlanMac } } : {}),
    };
  }
  const options = (network.options ?? {}) as Record<string, string>;
  const here = Object.values(network.nodes).find(({ mtu }) => mtu != null);
  const port = Object.values(network.nodes).find(({ vxlanPort }) => vxlanPort != null)?.vxlanPort;
  return {
    name: network.name,
    id: network.id,
    driver: network.driver,
    ingress: network.ingress === true,
    ...(network.internal ? { internal: true } : {}),
    options,
    mtu: here?.mtu ?? mtuOfBridge(inputs, network) ?? 1500,
    ...(network.ipv6 ? { ipv6: true } : {}),
    icc: options['com.docker.network.bridge.enable_icc'] !== 'false',
    masquerade: options['com.docker.network.bridge.enable_ip_masquerade'] !== 'false',
    ...(network.vni == null ? {} : { vni: network.vni }),
    ...(port == null ? {} : { dataPathPort: port }),
    ...(network.encrypted ? { encrypted: true } : {}),
    onNode,
  };
}

/** The second and later IPv4 subnets of a network. */
function furtherSubnets({ subnets, gateway }: NetworkInput['nodes'][string]): Pick<NetworkOnNode, 'further'> {
  const [, ...further] = subnets.flatMap((subnet, i) => {
    const via = gateway[i];
    return subnet && via && !isIpv6(subnet) ? [{ subnet, gateway: hostPart(via) }] : [];
  });
  return further.length > 0 ? { further } : {};
}

/** Interface index of a network's bridge, which says when it was made; overlays have theirs elsewhere, and come last. */
function bridgeIndex(inputs: Inputs, network: NetworkInput): number {
  const indexes = Object.entries(network.nodes).flatMap(([node, { bridge }]) => {
    const device = inputs.devices[`${node}.host`]?.find(({ name }) => name === bridge);
    return device?.index ?? [];
  });
  return indexes.length > 0 ? Math.min(...indexes) : Number.MAX_SAFE_INTEGER;
}

function mtuOfBridge(inputs: Inputs, network: NetworkInput): number | undefined {
  for (const [node, { bridge }] of Object.entries(network.nodes)) {
    const device = inputs.devices[`${node}.host`]?.find(({ name }) => name === bridge);
    if (device?.mtu) return device.mtu;
  }
  return undefined;
}

function serviceOf(inputs: Inputs, service: Inputs['services'][number]): Service {
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
    balancers: service.balancers.flatMap(({ node, network, mark, destinations: dumped, firstPick }) => {
      if (mark == null) return [];
      const destinations = startList(inputs, mark, dumped) ?? dumped;
      const first = firstPick && destinations.includes(firstPick) ? { firstPick } : {};
      return [{ node, network, mark, destinations, ...first }];
    }),
  };
}

function sandboxesOf(inputs: Inputs, networks: Network[]): { start: Sandbox[]; later: Sandbox[] } {
  const atStart = listed(inputs);
  const known = new Set(networks.map(({ name }) => name));
  const make = (
    recorded: string,
    node: string,
    kind: Sandbox['kind'],
    endpoints: Record<string, EndpointInput>,
    ports: readonly PortInput[] = [],
  ): Sandbox => {
    const resolver = inputs.resolver[recorded];
    return {
      name: recorded.slice(recorded.indexOf('.') + 1),
      node,
      kind,
      endpoints: Object.entries(endpoints)
        .filter(([network]) => known.has(network))
        .map(([network, endpoint]) => endpointOf(inputs, recorded, network, endpoint)),
      ...(ports.length > 0 ? { publishes: ports.flatMap(publishedPort) } : {}),
      ...(resolver?.udp && resolver.tcp ? { resolver: { udp: resolver.udp, tcp: resolver.tcp } } : {}),
    };
  };
  /** Tasks that stood in a list of destinations: some of them come, some go. */
  const isListed = (endpoints: Record<string, EndpointInput>) =>
    Object.values(endpoints).some((endpoint) => atStart.has(addressOf(endpoint)));
  const changing = membersOf(inputs).filter((one) => isListed(one.networks));
  const endpoints = new Endpoints(inputs, changing);
  const passing = changing
    .filter(({ namespace, inferred }) => namespace === null || inferred)
    .map((member): Sandbox => ({ ...passingSandbox(inputs, member), endpoints: endpoints.of(member) }));
  const all = [
    ...inputs.loadBalancers.map(({ namespace, node, endpoints }) => make(namespace, node, 'balancer', endpoints)),
    ...unlistedBalancers(inputs, networks).map(({ namespace, node, endpoints }) =>
      make(namespace, node, 'balancer', endpoints),
    ),
    ...inOrderOfStart(inputs.tasks).flatMap(
      ({ namespace, node, networks: endpoints, name, service, ports, id, container, hostname, inferred }) =>
        namespace && node && !(inferred && isListed(endpoints))
          ? [
              {
                ...make(namespace, node, 'task', endpoints, ports),
                task: name,
                ...(service ? { service } : {}),
                ...(id ? { container: `${name}.${id}` } : {}),
                ...identity(container, hostname),
              },
            ]
          : [],
    ),
    ...inOrderOfStart(inputs.containers).flatMap(
      ({ namespace, node, networks: endpoints, ports, name, id, hostname }) =>
        namespace && node
          ? [{ ...make(namespace, node, 'container', endpoints, ports), container: name, ...identity(id, hostname) }]
          : [],
    ),
  ];
  // A container of network mode `host` or `container:…` has no namespace of its own.
  const own = [...all, ...passing].filter(
    ({ node, name }, i, every) =>
      name !== 'host' && every.findIndex((one) => one.node === node && one.name === name) === i,
  );
  const comes = ({ endpoints: has }: Sandbox) => has.some(({ address }) => atStart.get(hostPart(address)) === false);
  return { start: own.filter((one) => !comes(one)), later: own.filter(comes) };
}

type Passing = Member & { task: TaskInput | undefined };

/** Tasks and containers, and those of which the recording has frames alone. */
function membersOf({ tasks, containers, unlisted, networks }: Inputs): Passing[] {
  const members = [...tasks, ...containers].map((one): Passing => {
    const { node, namespace, networks: endpoints, started, inferred } = one;
    const task = 'service' in one ? (one as TaskInput) : undefined;
    return { node, namespace: namespace ?? null, networks: endpoints, started: started ?? 0, inferred, task };
  });
  const known = new Set(members.flatMap((one) => Object.values(one.networks).map(addressOf)));
  for (const { mac, addresses, node, seenAt, first } of unlisted) {
    const [address] = addresses;
    const network = networks.find(({ nodes }) => nodes[node ?? '']?.namespace === seenAt?.split('/')[0]);
    if (!address || !node || !network || known.has(address)) continue;
    const endpoint = { interface: null, address, mac, aliases: [], addressGiven: false };
    const started = (first ?? 0) / 1e9;
    members.push({
      node,
      namespace: null,
      networks: { [network.name]: endpoint },
      started,
      inferred: true,
      task: undefined,
    });
  }
  return members;
}

function addressOf({ address }: EndpointInput): string {
  return hostPart(address ?? '');
}

/** A task without a capture, or without a dump. */
function passingSandbox(inputs: Inputs, { node, namespace, networks, task }: Passing): Omit<Sandbox, 'endpoints'> {
  const addresses = Object.values(networks).map(addressOf);
  const service = task?.service ?? serviceWith(inputs, addresses);
  const name = task ? `task-${task.name}.${task.id ?? addresses[0]}` : `task-${addresses[0]}`;
  return {
    name: namespace?.slice(namespace.indexOf('.') + 1) ?? name,
    node,
    kind: 'task',
    ...(service ? { service } : {}),
    ...(task ? { task: task.name, ...identity(task.container, task.hostname) } : {}),
  };
}

/** The service in whose lists one of the addresses stood. */
function serviceWith({ services, later }: Inputs, addresses: readonly string[]): string | undefined {
  const marks = Object.values(later).flatMap((lists) =>
    Object.entries(lists).flatMap(([mark, list]) =>
      list.some((line) => addresses.includes(hostPart(line.split(' ')[0] ?? ''))) ? [Number(mark)] : [],
    ),
  );
  return services.find(({ balancers }) => balancers.some(({ mark }) => mark != null && marks.includes(mark)))?.name;
}

/** A line of `ip route` that names a gateway: `10.43.7.0/24 via 10.66.7.22 dev eth0`. */
const VIA = /^(\S+) via (\S+) dev (\S+)/;

function routeBy(line: string): { destination: string; gateway: string; device: string }[] {
  const [, destination, gateway, device] = VIA.exec(line) ?? [];
  if (destination === undefined || gateway === undefined || device === undefined) return [];
  return [{ destination: destination === 'default' ? '0.0.0.0/0' : destination, gateway, device }];
}

/** Rules of published ports stand in the order in which their containers started. */
function inOrderOfStart<S extends { started?: number | null | undefined }>(sandboxes: readonly S[]): S[] {
  return [...sandboxes].sort((one, other) => (one.started ?? 0) - (other.started ?? 0));
}

function identity(id: string | null | undefined, hostname: string | null | undefined): Partial<Sandbox> {
  return { ...(id ? { id } : {}), ...(hostname ? { hostname } : {}) };
}

type PortInput = Inputs['containers'][number]['ports'][number];

/** `{container: "80/tcp", host: "0.0.0.0:8000"}` */
function publishedPort({ container, host }: PortInput): PublishedPort[] {
  const [target, protocol = 'tcp'] = container.split('/');
  const colon = host.lastIndexOf(':');
  if (protocol !== 'tcp' && protocol !== 'udp') return [];
  const hostAddress = host.slice(0, colon);
  return [{ hostAddress, published: Number(host.slice(colon + 1)), target: Number(target), protocol }];
}

/** Ingress sandboxes that the recording has devices of but does not list (a custom ingress network's). */
function unlistedBalancers(
  inputs: Inputs,
  networks: Network[],
): { namespace: string; node: string; endpoints: Record<string, EndpointInput> }[] {
  return Object.entries(inputs.devices)
    .filter(
      ([name]) => name.endsWith('.ingress_sbox') && !inputs.loadBalancers.some(({ namespace }) => namespace === name),
    )
    .map(([namespace, devices]) => {
      const node = namespace.slice(0, namespace.indexOf('.'));
      const endpoints: Record<string, EndpointInput> = {};
      for (const device of devices) {
        const [address] = device.addresses;
        const peer = device.peer?.split('/')[0];
        const network = networks.find(({ name, driver }) =>
          driver === 'overlay' ? peer === `${node}.ov-${name}` : name === 'docker_gwbridge' && peer === `${node}.host`,
        );
        if (!address || !network || device.kind !== 'veth') continue;
        endpoints[network.name] = { interface: device.name, address, mac: device.mac } as EndpointInput;
      }
      return { namespace, node, endpoints };
    });
}

function endpointOf(inputs: Inputs, recorded: string, network: string, endpoint: EndpointInput): Endpoint {
  const name = endpoint.interface ?? 'eth0';
  const inside = inputs.devices[recorded]?.find((device) => device.name === name);
  const [peerNamespace = '', peerName = ''] = inside?.peer?.split('/') ?? [];
  // What stands on a device of the node has no other end.
  const upon = inside?.lower ? { name: '', mac: '', port: inside.index } : undefined;
  const peer = upon ?? inputs.devices[peerNamespace]?.find((device: DeviceInput) => device.name === peerName);
  const mac = endpoint.mac ?? inside?.mac;
  if (!endpoint.address || !mac || peer?.mac == null)
    throw new Error(`${recorded}/${name} has no address, MAC or peer in inputs.json`);
  return {
    network,
    interface: name,
    address: endpoint.address,
    ...(endpoint.address6 ? { address6: endpoint.address6 } : {}),
    ...(endpoint.aliases?.length > 0 ? { aliases: endpoint.aliases } : {}),
    mac,
    peer: { name: peer.name, mac: peer.mac },
    port: peer.port ?? 0,
  };
}
