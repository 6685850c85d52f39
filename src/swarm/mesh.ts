/**
 * The routing mesh's rules (reference: libnetwork service_linux.go programIngress, configureFWMark,
 * addRedirectRules; resolver_unix.go): on the node, in load balancers, in tasks.
 */

import type { Namespace, RuleSpec } from '../engine/index.js';
import type { EngineVersion } from '../topology/daemon.js';
import type { Balancer, Endpoint, Sandbox, Service } from '../topology/topology.js';
import { hostPart } from '../topology/topology.js';

/** In what engine versions differ: the chain that jumps to the mesh's, and the match that lets answers pass. */
const BY_ENGINE: Record<EngineVersion, { from: string; stateMatch: 'state' | 'conntrack' }> = {
  '20.10': { from: 'FORWARD', stateMatch: 'state' },
  '28': { from: 'DOCKER-FORWARD', stateMatch: 'conntrack' },
};

/**
 * The chains of the mesh, ahead of every other: the jump to DOCKER-USER alone stays before theirs (programIngress,
 * arrangeIngressFilterRule).
 */
export function programIngressChains({ iptables }: Namespace, engine: EngineVersion): void {
  for (const table of ['filter', 'nat'] as const) iptables.append(table, INGRESS_CHAIN, { target: 'RETURN' });
  const { from } = BY_ENGINE[engine];
  const { rules } = iptables.chain('filter', from);
  const user = rules.findIndex(({ spec }) => spec.target === 'JUMP' && spec.chain === 'DOCKER-USER');
  iptables.insert('filter', from, { target: 'JUMP', chain: INGRESS_CHAIN }, user + 1);
  for (const hook of ['PREROUTING', 'OUTPUT'])
    iptables.insert('nat', hook, { destinationType: 'LOCAL', target: 'JUMP', chain: INGRESS_CHAIN });
}
const INGRESS_CHAIN = 'DOCKER-INGRESS';

export function revokeIngressChains({ iptables }: Namespace, engine: EngineVersion): void {
  iptables.delete('filter', BY_ENGINE[engine].from, { target: 'JUMP', chain: INGRESS_CHAIN });
  for (const hook of ['PREROUTING', 'OUTPUT'])
    iptables.delete('nat', hook, { destinationType: 'LOCAL', target: 'JUMP', chain: INGRESS_CHAIN });
  for (const table of ['filter', 'nat'] as const) iptables.deleteChain(table, INGRESS_CHAIN);
}

/** What a node's own connections to the mesh need (initIngressConfiguration). */
export function programNodeForMesh(host: Namespace, gwbridge: string): void {
  const bridge = host.device(gwbridge);
  // With the swarm's first network came docker_gwbridge, and this rule right after it: bridges made since stand before both.
  const { rules } = host.iptables.chain('nat', 'POSTROUTING');
  const place = rules.findIndex(({ spec }) => spec.notOut?.name === gwbridge);
  const rule = { out: bridge, sourceType: 'LOCAL', target: 'MASQUERADE' } as const;
  host.iptables.insert('nat', 'POSTROUTING', rule, Math.max(place, 0));
  bridge.routeLocalnet = true;
}

export function revokeNodeForMesh(host: Namespace, gwbridge: string): void {
  const out = { name: gwbridge };
  host.iptables.delete('nat', 'POSTROUTING', { out, sourceType: 'LOCAL', target: 'MASQUERADE' });
  const bridge = host.devices.get(gwbridge);
  if (bridge) bridge.routeLocalnet = false;
}

type Port = Service['ports'][number];

/** Published ports on the node: DNAT to the ingress sandbox, and the filter's consent. The newest come first. */
export function publishOnNode(
  { iptables }: Namespace,
  engine: EngineVersion,
  ports: readonly Port[],
  ingressSandbox: string,
): void {
  for (const port of ports)
    for (const [table, rule] of rulesOf(engine, port, ingressSandbox)) iptables.insert(table, INGRESS_CHAIN, rule);
}

export function unpublishOnNode(
  { iptables }: Namespace,
  engine: EngineVersion,
  ports: readonly Port[],
  ingressSandbox: string,
): void {
  for (const port of ports)
    for (const [table, rule] of rulesOf(engine, port, ingressSandbox)) iptables.delete(table, INGRESS_CHAIN, rule);
}

function rulesOf(
  engine: EngineVersion,
  { published, protocol }: Port,
  address: string,
): ['nat' | 'filter', RuleSpec][] {
  return [
    ['nat', { protocol, dport: published, target: 'DNAT', address, port: published }],
    [
      'filter',
      {
        protocol,
        sport: published,
        states: ['RELATED', 'ESTABLISHED'],
        stateMatch: BY_ENGINE[engine].stateMatch,
        target: 'ACCEPT',
      },
    ],
    ['filter', { protocol, dport: published, target: 'ACCEPT' }],
  ];
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

interface Place {
  /** The load balancer's endpoint on the network. */
  endpoint: Endpoint;
  ingress: boolean;
}

/**
 * A service comes to a load balancer (addLBBackend, invokeFWMarker): its VIP as an address, its mark; with the first one, the
 * SNAT for what IPVS balances. Destinations follow.
 */
export function programService(
  namespace: Namespace,
  service: Service,
  balancer: Balancer,
  { endpoint, subnet, ingress }: Place & { subnet: string },
): void {
  const { iptables } = namespace;
  namespace.set('forward', 1);
  namespace.set('ipvsConntrack', 1);
  namespace.set('ipvsExpireNodest', 1);
  namespace.set('ipvsReuseMode', 0);
  for (const hook of ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']) iptables.chain('mangle', hook);
  const vip = service.vips[balancer.network];
  const device = namespace.device(endpoint.interface);
  if (vip && !device.addresses.some(({ address }) => address === vip)) namespace.addAddress(device, `${vip}/32`);
  for (const [chain, rule] of marksOf(service, balancer, ingress)) {
    if (chain === 'INPUT') snat(namespace, subnet, hostPart(endpoint.address));
    iptables.append('mangle', chain, rule);
  }
}

/** Once in a load balancer; it stays when the services are gone. */
function snat({ iptables }: Namespace, subnet: string, own: string): void {
  const there = iptables.chains.nat.get('POSTROUTING')?.rules.some(({ spec }) => spec.ipvs && spec.target === 'SNAT');
  if (!there) iptables.append('nat', 'POSTROUTING', { destination: subnet, ipvs: true, target: 'SNAT', address: own });
}

/** It goes with its last destination (rmLBBackend). */
export function revokeService(
  namespace: Namespace,
  service: Service,
  balancer: Balancer,
  { endpoint, ingress, others }: Place & { others: boolean },
): void {
  for (const [chain, rule] of marksOf(service, balancer, ingress)) namespace.iptables.delete('mangle', chain, rule);
  const vip = service.vips[balancer.network];
  // Tasks with other ports are balanced by another mark at the same address.
  if (vip && !others) namespace.removeAddress(namespace.device(endpoint.interface), `${vip}/32`);
}

function marksOf(
  service: Service,
  { network, mark }: Balancer,
  ingress: boolean,
): ['PREROUTING' | 'INPUT', RuleSpec][] {
  const vip = service.vips[network];
  const ports = ingress ? service.ports : [];
  return [
    ...ports.map(({ protocol, published }): ['PREROUTING', RuleSpec] => [
      'PREROUTING',
      { protocol, dport: published, target: 'MARK', value: mark },
    ]),
    ...(vip ? [['INPUT', { destination: `${vip}/32`, target: 'MARK', value: mark }] as ['INPUT', RuleSpec]] : []),
  ];
}

/**
 * A task of a published service: its port instead of the published one, and nothing else on the ingress address. Rules that
 * accept are put before the others, so the last port's stand first (libnetwork, redirector).
 */
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
    iptables.insert('filter', 'INPUT', {
      destination: own,
      protocol,
      dport: target,
      states: ['NEW', 'ESTABLISHED'],
      target: 'ACCEPT',
    });
    iptables.insert('filter', 'OUTPUT', {
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
