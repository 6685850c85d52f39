/**
 * The routing mesh's rules, engine 20.10 (reference: libnetwork service_linux.go programIngress, configureFWMark,
 * addRedirectRules; resolver_unix.go): on the node, in load balancers, in tasks.
 */

import type { Namespace } from '../engine/index.js';
import type { Protocol } from '../topology/spec.js';
import type { Balancer, Sandbox, Service } from '../topology/topology.js';
import { hostPart } from '../topology/topology.js';

/** What a node's own connections to the mesh need (initIngressConfiguration). */
export function programNodeForMesh(host: Namespace, gwbridge: string): void {
  const bridge = host.device(gwbridge);
  // With the swarm's first network came docker_gwbridge, and this rule right after it: bridges made since stand before both.
  const { rules } = host.iptables.chain('nat', 'POSTROUTING');
  const place = rules.findIndex(({ spec }) => spec.notOut === bridge);
  const rule = { out: bridge, sourceType: 'LOCAL', target: 'MASQUERADE' } as const;
  host.iptables.insert('nat', 'POSTROUTING', rule, Math.max(place, 0));
  bridge.routeLocalnet = true;
}

/** One published port on the node: DNAT to the ingress sandbox, and the filter's consent. The newest comes first. */
export function publishOnNode(
  host: Namespace,
  port: { published: number; protocol: Protocol },
  ingressSandbox: string,
): void {
  const { iptables } = host;
  const { published, protocol } = port;
  iptables.insert('nat', 'DOCKER-INGRESS', {
    protocol,
    dport: published,
    target: 'DNAT',
    address: ingressSandbox,
    port: published,
  });
  iptables.insert('filter', 'DOCKER-INGRESS', {
    protocol,
    sport: published,
    states: ['RELATED', 'ESTABLISHED'],
    stateMatch: 'state',
    target: 'ACCEPT',
  });
  iptables.insert('filter', 'DOCKER-INGRESS', { protocol, dport: published, target: 'ACCEPT' });
}

/** The embedded DNS server's NAT in every sandbox: port 53 to its random ports and back. */
export function programResolver(namespace: Namespace, resolver: { udp: number; tcp: number }): void {
  const { iptables } = namespace;
  for (const hook of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']) iptables.chain('nat', hook);
  const server = '127.0.0.11';
  iptables.append('nat', 'OUTPUT', { destination: `${server}/32`, target: 'JUMP', chain: 'DOCKER_OUTPUT' });
  iptables.append('nat', 'POSTROUTING', { destination: `${server}/32`, target: 'JUMP', chain: 'DOCKER_POSTROUTING' });
  for (const protocol of ['tcp', 'udp'] as const) {
    iptables.append('nat', 'DOCKER_OUTPUT', {
      destination: `${server}/32`,
      protocol,
      dport: 53,
      target: 'DNAT',
      address: server,
      port: resolver[protocol],
    });
    iptables.append('nat', 'DOCKER_POSTROUTING', {
      source: `${server}/32`,
      protocol,
      sport: resolver[protocol],
      target: 'SNAT',
      port: 53,
    });
  }
}

/** A load-balancer sandbox before its first service (addLBBackend's sysctls, the SNAT for what IPVS balances). */
export function programBalancerSandbox(namespace: Namespace, subnet: string, own: string): void {
  namespace.set('forward', 1);
  namespace.set('ipvsConntrack', 1);
  namespace.set('ipvsExpireNodest', 1);
  namespace.set('ipvsReuseMode', 0);
  namespace.iptables.append('nat', 'POSTROUTING', { destination: subnet, ipvs: true, target: 'SNAT', address: own });
}

/** One service in a load balancer: its VIP as an address, its mark, its destinations. */
export function programService(
  namespace: Namespace,
  service: Service,
  balancer: Balancer,
  interfaceName: string,
  ingress: boolean,
): void {
  const { iptables, ipvs } = namespace;
  for (const hook of ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']) iptables.chain('mangle', hook);
  const vip = service.vips[balancer.network];
  if (ingress) {
    for (const { protocol, published } of service.ports) {
      iptables.append('mangle', 'PREROUTING', { protocol, dport: published, target: 'MARK', value: balancer.mark });
    }
  }
  if (vip) {
    namespace.addAddress(namespace.device(interfaceName), `${vip}/32`);
    iptables.append('mangle', 'INPUT', { destination: `${vip}/32`, target: 'MARK', value: balancer.mark });
  }
  const virtual = ipvs.add({ mark: balancer.mark });
  // The kernel's list starts with the destination added last.
  for (const address of [...balancer.destinations].reverse()) virtual.add(address);
  if (balancer.firstPick) {
    const list = virtual.destinations;
    const first = list.findIndex(({ address }) => address === balancer.firstPick);
    if (first > 0) virtual.setLast(list[first - 1]);
  }
}

/** A task of a published service: its port instead of the published one, and nothing else on the ingress address. */
export function programTask(namespace: Namespace, sandbox: Sandbox, service: Service, ingressNetwork: string): void {
  const endpoint = sandbox.endpoints.find(({ network }) => network === ingressNetwork);
  if (!endpoint || service.ports.length === 0) return;
  const { iptables } = namespace;
  const own = `${hostPart(endpoint.address)}/32`;
  for (const hook of ['INPUT', 'FORWARD', 'OUTPUT']) iptables.chain('filter', hook);
  for (const { protocol, published, target } of service.ports) {
    iptables.append('nat', 'PREROUTING', {
      destination: own,
      protocol,
      dport: published,
      target: 'REDIRECT',
      port: target,
    });
    iptables.append('filter', 'INPUT', {
      destination: own,
      protocol,
      dport: target,
      states: ['NEW', 'ESTABLISHED'],
      target: 'ACCEPT',
    });
    iptables.append('filter', 'OUTPUT', {
      source: own,
      protocol,
      sport: target,
      states: ['ESTABLISHED'],
      target: 'ACCEPT',
    });
  }
  for (const protocol of ['sctp', 'udp', 'tcp'] as const) {
    iptables.append('filter', 'INPUT', { destination: own, protocol, target: 'DROP' });
    iptables.append('filter', 'OUTPUT', { source: own, protocol, target: 'DROP' });
  }
}
