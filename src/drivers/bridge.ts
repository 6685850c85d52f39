/**
 * The bridge driver: docker0, docker_gwbridge and user-defined bridges, a veth for each endpoint, published ports (reference:
 * libnetwork drivers/bridge/bridge.go). Its rules, which differ between engine versions, are in bridge-rules.ts.
 */

import type { Device, Namespace } from '../engine/index.js';
import type { DaemonConfig } from '../topology/daemon.js';
import { hostPart, type PublishedPort } from '../topology/topology.js';
import {
  type BridgeFacts,
  type BridgeRules,
  deleteRules,
  inPortOrder,
  insertRules,
  type LinkedPort,
  type Placed,
  RULES,
} from './bridge-rules.js';
import type { Attachment, Driver, NetworkAt, NodeContext, RelayedPort } from './driver.js';
import { address, flag, wholeNumber } from './option-values.js';

/** What dockerd programs into every node before any network: chains, jumps, policy, sysctls. */
export function programNode(node: NodeContext, swarm: boolean): void {
  const { host, topology } = node;
  const daemon = daemonOf(node);
  const forwards = daemon['ip-forward'] !== false;
  host.set('forward', forwards ? 1 : 0);
  host.set('bridgeNetfilter', 1);
  if (daemon.iptables === false) return;
  RULES[topology.engine].node(host, { swarm, userlandProxy: hasProxy(node) });
  // dockerd closes FORWARD only if it was dockerd that opened the way (setup_ip_forwarding.go).
  if (!forwards) host.iptables.chain('filter', 'FORWARD').policy = 'ACCEPT';
}

function daemonOf({ topology, name }: NodeContext): DaemonConfig {
  return topology.nodes.find((one) => one.name === name)?.daemon ?? {};
}

function hasProxy(node: NodeContext): boolean {
  return daemonOf(node)['userland-proxy'] !== false;
}

/** Is IPv6 on for the node's own devices (net.ipv6.conf.default.disable_ipv6)? */
function hasIpv6({ topology, name }: NodeContext): boolean {
  return topology.nodes.find((one) => one.name === name)?.ipv6 === true;
}

/** The bridge of a network with IPv6: fe80::1, the gateway's address, and the node forwards (setup_ipv6_linux.go, setup_ipv6.go). */
function addIpv6(host: Namespace, device: Device, gateway: string, subnet: string): void {
  host.ipv6.enable(host.device('lo'));
  host.addAddress(device, 'fe80::1/64');
  host.addAddress(device, `${gateway}/${subnet.split('/')[1]}`);
  host.ipv6.forwards = true;
}

function factsOf({ node, network, here }: NetworkAt): BridgeFacts {
  return {
    bridge: { name: here.bridge },
    subnet: here.subnet,
    icc: here.icc ?? network.icc,
    masquerade: here.masquerade ?? network.masquerade,
    internal: network.internal === true,
    userlandProxy: hasProxy(node),
  };
}

function program(at: NetworkAt, rules: readonly Placed[]): void {
  if (daemonOf(at.node).iptables !== false) insertRules(at.node.host, rules);
}

function revoke(at: NetworkAt, rules: readonly Placed[]): void {
  deleteRules(at.node.host, rules);
}

function rulesOf({ node }: NetworkAt): BridgeRules {
  return RULES[node.topology.engine];
}

/**
 * Ports that the sandbox publishes, each at the address that it is published at (allocatePortsInternal). One that nobody gave an
 * address is published at `::`, too, where the node listens there.
 */
function portsOf({ here, network, sandbox, node }: Attachment): (PublishedPort & { hostAddress: string })[] {
  const binding = here.hostBinding ?? network.options?.['com.docker.network.bridge.host_binding_ipv4'];
  const both = !binding && node.host.device('lo').ipv6;
  return (sandbox.spec.publishes ?? []).flatMap((port) => [
    { ...port, hostAddress: port.hostAddress || binding || '0.0.0.0' },
    ...(both && !port.hostAddress ? [{ ...port, hostAddress: '::' }] : []),
  ]);
}

const overIpv6 = ({ hostAddress }: { hostAddress: string }) => hostAddress.includes(':');

/** Rules of one endpoint's published ports and links. */
function connectivityOf(attachment: Attachment): Placed[] {
  const facts = factsOf(attachment);
  const rules = rulesOf(attachment);
  const own = hostPart(attachment.endpoint.address);
  const ports = inPortOrder(portsOf(attachment).filter((port) => !overIpv6(port))).flatMap((port) =>
    rules.port(facts, own, port),
  );
  const links = facts.icc ? [] : linkedPorts(attachment).flatMap((port) => rules.link(facts, port));
  return [...ports, ...links];
}

/** What docker-proxy has to relay (libnetwork portmapper/mapper.go); from IPv6 to IPv6 where the container has an address. */
function relayed(attachment: Attachment): RelayedPort[] {
  const { node, endpoint } = attachment;
  if (!hasProxy(node)) return [];
  return portsOf(attachment).map((port) => ({
    protocol: port.protocol,
    host: { address: port.hostAddress, port: port.published },
    container: {
      address: hostPart((overIpv6(port) && endpoint.address6) || endpoint.address),
      port: port.target,
    },
  }));
}

/** Legacy links (`docker run --link`): the container that has the link may connect to what the other one exposes. */
function linkedPorts({ endpoint }: Attachment): LinkedPort[] {
  return (endpoint.links ?? []).flatMap(({ address: child, exposes }) =>
    exposes.map(({ port, protocol }) => ({
      parent: hostPart(endpoint.address),
      child: hostPart(child),
      port,
      protocol,
    })),
  );
}

export const bridge: Driver = {
  name: 'bridge',
  scope: 'local',
  options: {
    'com.docker.network.bridge.name': () => undefined,
    'com.docker.network.bridge.enable_icc': flag('com.docker.network.bridge.enable_icc'),
    'com.docker.network.bridge.enable_ip_masquerade': flag('com.docker.network.bridge.enable_ip_masquerade'),
    'com.docker.network.bridge.host_binding_ipv4': address('com.docker.network.bridge.host_binding_ipv4'),
    'com.docker.network.driver.mtu': wholeNumber('com.docker.network.driver.mtu'),
  },

  createNetwork(at) {
    const { node, network, here } = at;
    const device = node.host.addBridge(here.bridge, { mac: here.bridgeMac, mtu: here.mtu ?? network.mtu });
    node.host.addAddress(device, `${here.bridgeAddress ?? here.gateway}/${here.subnet.split('/')[1]}`);
    if (here.subnet6 && here.gateway6) addIpv6(node.host, device, here.gateway6, here.subnet6);
    const facts = factsOf(at);
    // 127.0.0.1 of the node leads to published ports by DNAT alone.
    if (!facts.userlandProxy) device.routeLocalnet = true;
    program(at, rulesOf(at).network(facts));
  },

  deleteNetwork(at) {
    const { host } = at.node;
    revoke(at, rulesOf(at).network(factsOf(at)));
    removeFrom(host, at.here.bridge);
  },

  join({ node, network, here, sandbox, endpoint }) {
    const mtu = here.mtu ?? network.mtu;
    const [inside, outside] = sandbox.namespace.addVeth(
      endpoint.interface,
      { mac: endpoint.mac, mtu },
      { namespace: node.host, name: endpoint.peer.name, mac: endpoint.peer.mac, mtu },
    );
    // Without docker-proxy a container reaches its own published port by way of the bridge.
    outside.hairpin = !hasProxy(node);
    const device = node.host.device(here.bridge);
    node.host.addPort(device, outside);
    // With its first port a bridge has a carrier, and makes its link-local address.
    if (hasIpv6(node)) node.host.ipv6.addLinkLocal(outside);
    if (hasIpv6(node) || here.gateway6) node.host.ipv6.addLinkLocal(device);
    return {
      device: inside,
      gateway: here.gateway,
      ...(here.gateway6 ? { gateway6: here.route6 ?? here.gateway6 } : {}),
    };
  },

  leave({ sandbox, endpoint }) {
    removeFrom(sandbox.namespace, endpoint.interface);
  },

  programExternalConnectivity(attachment) {
    program(attachment, connectivityOf(attachment));
    forgetConnections(attachment);
    for (const { protocol, published } of attachment.sandbox.spec.publishes ?? [])
      if (protocol === 'udp') attachment.node.host.forgetDatagramsTo(published);
    for (const port of relayed(attachment)) attachment.node.userlandProxy?.start(port);
  },

  revokeExternalConnectivity(attachment) {
    revoke(attachment, connectivityOf(attachment));
    forgetConnections(attachment);
    for (const port of relayed(attachment)) attachment.node.userlandProxy?.stop(port);
  },
};

/**
 * What the node's conntrack knows of the endpoint's address goes (clearConntrackEntries): the next one to have it is not sent
 * what was for this one, and datagrams that went to docker-proxy find the container.
 */
function forgetConnections({ node, endpoint }: Attachment): void {
  node.host.forgetConnectionsOf(hostPart(endpoint.address));
}

/** Both ends of a veth go with either. An operator may have taken it away before. */
function removeFrom(namespace: Namespace, name: string): void {
  const device = namespace.devices.get(name);
  if (device) namespace.removeDevice(device);
}
