/**
 * The bridge driver: docker0, docker_gwbridge and user-defined bridges, a veth for each endpoint, published ports (reference:
 * libnetwork drivers/bridge/bridge.go). Its rules, which differ between engine versions, are in bridge-rules.ts.
 */

import type { Device, Namespace } from '../engine/index.js';
import type { DaemonConfig } from '../topology/daemon.js';
import { hostPart } from '../topology/topology.js';
import { RULES } from './bridge-engines.js';
import {
  type Binding,
  type BridgeFacts,
  type BridgeRules,
  deleteRules,
  type Family,
  type FamilyFacts,
  type GatewayMode,
  insertRules,
  type LinkedPort,
  type Placed,
  tablesOf,
} from './bridge-rules.js';
import {
  type Attachment,
  type Driver,
  DriverError,
  type NetworkAt,
  type NodeContext,
  type RelayedPort,
} from './driver.js';
import { address, addressOfEither, flag, oneOf, wholeNumber } from './option-values.js';

/** What dockerd programs into every node before any network: chains, jumps, policy, sysctls. */
export function programNode(node: NodeContext): void {
  const { host } = node;
  const daemon = daemonOf(node);
  const rules = rulesOn(node);
  const forwards = daemon['ip-forward'] !== false;
  host.set('forward', forwards ? 1 : 0);
  if (rules.bridgeNetfilter === 'always') host.set('bridgeNetfilter', 1);
  for (const family of familiesOn(node)) rules.node(tablesOf(host, family), { userlandProxy: hasProxy(node) });
  // dockerd closes FORWARD only if it was dockerd that opened the way (setup_ip_forwarding.go): for IPv4 with docker0.
  if (forwards) closeForward(node, 'ip');
}

function closeForward(node: NodeContext, family: Family): void {
  if (!familiesOn(node).includes(family) || daemonOf(node)['ip-forward-no-drop'] === true) return;
  tablesOf(node.host, family).chain('filter', 'FORWARD').policy = 'DROP';
}

function daemonOf({ spec }: NodeContext): DaemonConfig {
  return spec.daemon ?? {};
}

function hasProxy(node: NodeContext): boolean {
  return daemonOf(node)['userland-proxy'] !== false;
}

function rulesOn({ topology }: NodeContext): BridgeRules {
  return RULES[topology.engine];
}

/** Those that the engine programs rules for, and that daemon.json leaves on. */
function familiesOn(node: NodeContext): Family[] {
  const { iptables, ip6tables } = daemonOf(node);
  return rulesOn(node).families.filter((family) => (family === 'ip' ? iptables : ip6tables) !== false);
}

/** Is IPv6 on for the node's own devices (net.ipv6.conf.default.disable_ipv6)? */
function hasIpv6({ spec }: NodeContext): boolean {
  return spec.ipv6 === true;
}

/** The bridge of a network with IPv6: the gateway's address, and the node forwards (setup_ipv6_linux.go, setup_ip_forwarding.go). */
function addIpv6(node: NodeContext, device: Device, gateway: string, subnet: string): void {
  const { host } = node;
  host.ipv6.enable(host.device('lo'));
  const older = node.topology.engine === '20.10';
  if (older) host.addAddress(device, 'fe80::1/64');
  host.addAddress(device, `${gateway}/${subnet.split('/')[1]}`, { nodad: !older });
  if (host.ipv6.forwards || (!older && daemonOf(node)['ip-forward'] === false)) return;
  host.ipv6.forwards = true;
  closeForward(node, 'ip6');
}

const LABEL = 'com.docker.network.bridge.';

function factsOf({ node, network, here }: NetworkAt): BridgeFacts {
  const options = network.options ?? {};
  const families = familiesOn(node).flatMap((family): FamilyFacts[] => {
    const digit = family === 'ip' ? '4' : '6';
    const subnet = family === 'ip' ? here.subnet : here.subnet6;
    const hostAddress = options[`com.docker.network.host_ipv${digit}`];
    const mode = (options[`${LABEL}gateway_mode_ipv${digit}`] ?? 'nat') as GatewayMode;
    return subnet ? [{ family, subnet, mode, ...(hostAddress ? { hostAddress } : {}) }] : [];
  });
  const trusted = (options[`${LABEL}trusted_host_interfaces`] ?? '').split(':');
  return {
    bridge: { name: here.bridge },
    families,
    icc: here.icc ?? network.icc,
    masquerade: here.masquerade ?? network.masquerade,
    internal: network.internal === true,
    userlandProxy: hasProxy(node),
    trusted: trusted.filter((name) => name !== '').map((name) => ({ name })),
    listensOver6: node.host.device('lo').ipv6,
    directRouting: daemonOf(node)['allow-direct-routing'] === true,
  };
}

function program(at: NetworkAt, rules: readonly Placed[]): void {
  insertRules(at.node.host, rules);
}

function revoke(at: NetworkAt, rules: readonly Placed[]): void {
  deleteRules(at.node.host, rules);
}

/** A network without icc, or without docker-proxy, loads br_netfilter, which filters what bridges pass for both families. */
function filterBridged({ node }: NetworkAt, { icc, userlandProxy, families }: BridgeFacts): void {
  const { host } = node;
  if (rulesOn(node).bridgeNetfilter === 'always' || (icc && userlandProxy) || families.length === 0) return;
  if (host.get('forward') === 0) return;
  host.set('bridgeNetfilter', 1);
  host.set('bridgeNetfilter6', 1);
}

/** Ports that the sandbox publishes, each at the addresses that it is bound at. */
function bindingsOf(attachment: Attachment): Binding[] {
  const { here, network, sandbox, endpoint, node } = attachment;
  if (!sandbox.spec.publishes) return [];
  const preset = here.hostBinding ?? network.options?.[`${LABEL}host_binding_ipv4`];
  const facts = factsOf(attachment);
  const given = sandbox.spec.publishes.map((port) => ({ ...port, hostAddress: port.hostAddress ?? '' }));
  const rules = rulesOn(node);
  return rules.inOrder(given).flatMap((port) => rules.bindings(facts, endpoint, port, preset));
}

/** Rules of one endpoint's published ports and links. */
function connectivityOf(attachment: Attachment): Placed[] {
  if (!attachment.sandbox.spec.publishes && !attachment.endpoint.links) return [];
  const facts = factsOf(attachment);
  const rules = rulesOn(attachment.node);
  const ports = bindingsOf(attachment).flatMap((binding) => rules.port(facts, binding));
  const links = facts.icc ? [] : linkedPorts(attachment).flatMap((port) => rules.link(facts, port));
  return [...ports, ...links];
}

/** What an endpoint's rules are as soon as it is there. */
function endpointRules(attachment: Attachment): Placed[] {
  const rules = rulesOn(attachment.node);
  const { address: own, address6 } = attachment.endpoint;
  return rules.endpoint?.(factsOf(attachment), [own, ...(address6 ? [address6] : [])]) ?? [];
}

/** What docker-proxy has to relay (libnetwork portmapper/mapper.go). */
function relayed(attachment: Attachment): RelayedPort[] {
  if (!hasProxy(attachment.node)) return [];
  return bindingsOf(attachment)
    .filter(({ published }) => published !== 0)
    .map(({ protocol, hostAddress, published, address: container, target }) => ({
      protocol,
      host: { address: hostAddress, port: published },
      container: { address: container, port: target },
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

function modeOf({ network }: NetworkAt, digit: '4' | '6'): string | undefined {
  return network.options?.[`${LABEL}gateway_mode_ipv${digit}`];
}

function gatewayMode(option: string) {
  return oneOf(option, ['nat', 'nat-unprotected', 'routed', 'isolated'], (value) => `unknown gateway mode ${value}`);
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
  optionsSince: {
    '28': {
      [`${LABEL}gateway_mode_ipv4`]: gatewayMode(`${LABEL}gateway_mode_ipv4`),
      [`${LABEL}gateway_mode_ipv6`]: gatewayMode(`${LABEL}gateway_mode_ipv6`),
      [`${LABEL}trusted_host_interfaces`]: () => undefined,
      'com.docker.network.host_ipv4': address('com.docker.network.host_ipv4'),
      'com.docker.network.host_ipv6': addressOfEither('com.docker.network.host_ipv6'),
    },
  },

  createNetwork(at) {
    const { node, network, here } = at;
    if (!network.internal && (modeOf(at, '4') === 'isolated' || modeOf(at, '6') === 'isolated'))
      throw new DriverError("gateway mode 'isolated' can only be used for an internal network");
    const device = node.host.addBridge(here.bridge, { mac: here.bridgeMac, mtu: here.mtu ?? network.mtu });
    const facts = factsOf(at);
    // An isolated network's bridge has no address.
    if (modeOf(at, '4') !== 'isolated')
      node.host.addAddress(device, `${here.bridgeAddress ?? here.gateway}/${here.subnet.split('/')[1]}`);
    if (here.subnet6 && here.gateway6 && modeOf(at, '6') !== 'isolated')
      addIpv6(node, device, here.gateway6, here.subnet6);
    // 127.0.0.1 of the node leads to published ports by DNAT alone.
    if (!facts.userlandProxy) device.routeLocalnet = true;
    filterBridged(at, facts);
    program(at, rulesOn(node).network(facts));
  },

  deleteNetwork(at) {
    const { host } = at.node;
    revoke(at, rulesOn(at.node).network(factsOf(at)));
    removeFrom(host, at.here.bridge);
  },

  createEndpoint(attachment) {
    program(attachment, endpointRules(attachment));
  },

  deleteEndpoint(attachment) {
    revoke(attachment, endpointRules(attachment));
  },

  join(at) {
    const { node, network, here, sandbox, endpoint } = at;
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
    if (hasIpv6(node) || (here.gateway6 && modeOf(at, '6') !== 'isolated')) node.host.ipv6.addLinkLocal(device);
    return {
      device: inside,
      ...(modeOf(at, '4') === 'isolated' ? {} : { gateway: here.gateway }),
      ...(here.gateway6 && modeOf(at, '6') !== 'isolated' ? { gateway6: here.route6 ?? here.gateway6 } : {}),
    };
  },

  leave({ sandbox, endpoint }) {
    removeFrom(sandbox.namespace, endpoint.interface);
  },

  programExternalConnectivity(attachment) {
    program(attachment, connectivityOf(attachment));
    forgetConnections(attachment);
    const { host } = attachment.node;
    for (const { protocol, published } of attachment.sandbox.spec.publishes ?? [])
      if (protocol === 'udp')
        for (const family of familiesOn(attachment.node)) host.forgetDatagramsTo(published, family);
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
  if (endpoint.address6) node.host.forgetConnectionsOf(hostPart(endpoint.address6));
}

/** Both ends of a veth go with either. An operator may have taken it away before. */
function removeFrom(namespace: Namespace, name: string): void {
  const device = namespace.devices.get(name);
  if (device) namespace.removeDevice(device);
}
