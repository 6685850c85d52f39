/**
 * The bridge driver of engine 20.10: docker0, docker_gwbridge and their rules (reference: libnetwork
 * drivers/bridge/setup_ip_tables.go, iptables/iptables.go). Rules of a network made later come before those of one made
 * earlier, since dockerd inserts them at the top.
 */

import type { Device, Namespace } from '../engine/index.js';
import {
  type Endpoint,
  hostPart,
  type Network,
  type NetworkOnNode,
  type PublishedPort,
  type Sandbox,
  type Topology,
} from '../topology/topology.js';
import type { Driver, NodeContext } from './driver.js';

/** What dockerd programs into every node before any network: chains, jumps, policy. */
export function programNode(host: Namespace, swarm: boolean): void {
  const { iptables } = host;
  host.set('forward', 1);
  host.set('bridgeNetfilter', 1);
  iptables.chain('filter', 'INPUT');
  iptables.chain('filter', 'FORWARD').policy = 'DROP';
  iptables.chain('filter', 'OUTPUT');
  for (const hook of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']) iptables.chain('nat', hook);
  iptables.chain('filter', 'DOCKER');
  if (swarm) iptables.chain('filter', 'DOCKER-INGRESS');
  for (const chain of ['DOCKER-ISOLATION-STAGE-1', 'DOCKER-ISOLATION-STAGE-2', 'DOCKER-USER']) {
    iptables.append('filter', chain, { target: 'RETURN' });
  }
  iptables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'DOCKER-USER' });
  if (swarm) {
    iptables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'DOCKER-INGRESS' });
    iptables.append('filter', 'DOCKER-INGRESS', { target: 'RETURN' });
  }
  iptables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'DOCKER-ISOLATION-STAGE-1' });
  iptables.chain('nat', 'DOCKER');
  if (swarm) {
    iptables.append('nat', 'PREROUTING', { destinationType: 'LOCAL', target: 'JUMP', chain: 'DOCKER-INGRESS' });
    iptables.append('nat', 'OUTPUT', { destinationType: 'LOCAL', target: 'JUMP', chain: 'DOCKER-INGRESS' });
    iptables.append('nat', 'DOCKER-INGRESS', { target: 'RETURN' });
  }
  iptables.append('nat', 'PREROUTING', { destinationType: 'LOCAL', target: 'JUMP', chain: 'DOCKER' });
  iptables.append('nat', 'OUTPUT', {
    notDestination: '127.0.0.0/8',
    destinationType: 'LOCAL',
    target: 'JUMP',
    chain: 'DOCKER',
  });
}

/** Rules of one bridge network (setupIPTablesInternal, ProgramChain). */
function programBridge(host: Namespace, bridge: Device, network: Network, subnet: string): void {
  const { iptables } = host;
  const forward = iptables.chain('filter', 'FORWARD');
  let at =
    forward.rules.findIndex(({ spec }) => spec.target === 'JUMP' && spec.chain === 'DOCKER-ISOLATION-STAGE-1') + 1;
  iptables.insert('filter', 'FORWARD', { out: bridge, states: ['RELATED', 'ESTABLISHED'], target: 'ACCEPT' }, at++);
  iptables.insert('filter', 'FORWARD', { out: bridge, target: 'JUMP', chain: 'DOCKER' }, at++);
  iptables.insert('filter', 'FORWARD', { in: bridge, notOut: bridge, target: 'ACCEPT' }, at++);
  if (network.icc) iptables.insert('filter', 'FORWARD', { in: bridge, out: bridge, target: 'ACCEPT' }, at);
  else iptables.append('filter', 'FORWARD', { in: bridge, out: bridge, target: 'DROP' });
  iptables.insert('filter', 'DOCKER-ISOLATION-STAGE-1', {
    in: bridge,
    notOut: bridge,
    target: 'JUMP',
    chain: 'DOCKER-ISOLATION-STAGE-2',
  });
  iptables.insert('filter', 'DOCKER-ISOLATION-STAGE-2', { out: bridge, target: 'DROP' });
  if (network.masquerade) {
    iptables.insert('nat', 'POSTROUTING', { source: subnet, notOut: bridge, target: 'MASQUERADE' });
    iptables.insert('nat', 'DOCKER', { in: bridge, target: 'RETURN' });
  }
}

/** A published port of one endpoint (portmapper, iptables.Forward): DNAT, the filter's consent, and the way back to itself. */
function publish(host: Namespace, bridge: Device, address: string, port: PublishedPort): void {
  const { iptables } = host;
  const { protocol, published, target, hostAddress } = port;
  const own = `${address}/32`;
  iptables.append('nat', 'DOCKER', {
    ...(hostAddress && hostAddress !== '0.0.0.0' ? { destination: `${hostAddress}/32` } : {}),
    notIn: bridge,
    protocol,
    dport: published,
    target: 'DNAT',
    address,
    port: target,
  });
  iptables.append('filter', 'DOCKER', {
    destination: own,
    notIn: bridge,
    out: bridge,
    protocol,
    dport: target,
    target: 'ACCEPT',
  });
  iptables.append('nat', 'POSTROUTING', {
    source: own,
    destination: own,
    protocol,
    dport: target,
    target: 'MASQUERADE',
  });
}

/** The network that gives a sandbox its default route: the first by name, docker_gwbridge last (endpoint.go, `Less`). */
function gatewayOf({ networks }: Topology, { endpoints }: Sandbox): string | undefined {
  const names = endpoints
    .map(({ network }) => network)
    .filter((name) => networks.some((one) => one.name === name && one.driver === 'bridge'));
  const last = (name: string) => Number(name === 'docker_gwbridge');
  return names.sort((a, b) => last(a) - last(b) || (a < b ? -1 : 1))[0];
}

export const bridge: Driver = {
  createNetwork({ host }: NodeContext, network: Network, here: NetworkOnNode): Namespace {
    const device = host.addBridge(here.bridge, { mac: here.bridgeMac, mtu: network.mtu });
    host.addAddress(device, `${here.gateway}/${here.subnet.split('/')[1]}`);
    programBridge(host, device, network, here.subnet);
    return host;
  },

  join(
    context: NodeContext,
    network: Network,
    here: NetworkOnNode,
    host: Namespace,
    sandbox: { spec: Sandbox; namespace: Namespace },
    endpoint: Endpoint,
  ) {
    const [inside, outside] = sandbox.namespace.addVeth(
      endpoint.interface,
      { mac: endpoint.mac, mtu: network.mtu },
      { namespace: host, name: endpoint.peer.name, mac: endpoint.peer.mac, mtu: network.mtu },
    );
    sandbox.namespace.addAddress(inside, endpoint.address);
    if (gatewayOf(context.topology, sandbox.spec) === network.name)
      sandbox.namespace.addRoute('0.0.0.0/0', inside, here.gateway);
    host.addPort(host.device(here.bridge), outside);
    for (const port of endpoint.publishes ?? [])
      publish(host, host.device(here.bridge), hostPart(endpoint.address), port);
  },
};
