/**
 * The bridge driver's rules as data: what stands in which chain, and where it is put. A file an engine generation, behind one
 * interface: bridge-rules-20.ts, bridge-rules-28.ts; bridge-engines.ts chooses. What is put in at the top
 * comes before what was there, so rules of a network made later come before those of one made earlier.
 */

import type { InterfaceName, Iptables, Namespace, RuleSpec, Table } from '../engine/index.js';
import type { PublishedPort } from '../topology/topology.js';

export type Family = 'ip' | 'ip6';

/** A rule and its place. `top` of FORWARD is below the jumps to Docker's own chains, which dockerd puts back on top each time. */
export interface Placed {
  family: Family;
  table: Table;
  chain: string;
  at: 'top' | 'end';
  rule: RuleSpec;
}

/** How a network's containers are reached from outside (`gateway_mode_ipv4`, `gateway_mode_ipv6`). */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

/** What a network's rules of one family depend on. */
export interface FamilyFacts {
  family: Family;
  /** CIDR */
  subnet: string;
  mode: GatewayMode;
  /** SNAT to this one instead of MASQUERADE (`host_ipv4`, `host_ipv6`). */
  hostAddress?: string;
}

/** What a network's rules depend on. */
export interface BridgeFacts {
  bridge: InterfaceName;
  /** Families that the network has and that this engine programs rules for. */
  families: FamilyFacts[];
  icc: boolean;
  masquerade: boolean;
  internal: boolean;
  userlandProxy: boolean;
  /** Of the node: packets from there are treated like the bridge's own (`trusted_host_interfaces`). */
  trusted: InterfaceName[];
  /** Can the node listen at [::] (netutils.IsV6Listenable)? */
  listensOver6: boolean;
  /** daemon.json's allow-direct-routing. */
  directRouting: boolean;
}

/** A published port as it is bound: at one address of the node, to one of the container. */
export interface Binding {
  protocol: PublishedPort['protocol'];
  hostAddress: string;
  /** 0: not bound at all; the container's port is only let through. */
  published: number;
  address: string;
  target: number;
}

/** A port that one linked container exposes to another. */
export interface LinkedPort {
  /** The address that may connect, and the one that is connected to. */
  parent: string;
  child: string;
  port: number;
  protocol: 'tcp' | 'udp';
}

export interface BridgeRules {
  /** bridge-nf-call-iptables: on every node, or as soon as a network cannot do without (no icc, no docker-proxy). */
  readonly bridgeNetfilter: 'always' | 'when needed';
  /** Rules are programmed for. */
  readonly families: readonly Family[];
  /** What dockerd programs into a node's tables before any network: chains, jumps, returns. */
  node(tables: Iptables, options: { userlandProxy: boolean }): void;
  network(facts: BridgeFacts): Placed[];
  /** As soon as the endpoint is there, whether it leads outward or not; without it nothing. */
  endpoint?(facts: BridgeFacts, addresses: readonly string[]): Placed[];
  /** A container's ports in the order in which they are programmed. */
  inOrder(ports: readonly PublishedPort[]): PublishedPort[];
  /** `preset`: where ports are published that name no address. CIDRs. */
  bindings(
    facts: BridgeFacts,
    endpoint: { address: string; address6?: string | undefined },
    port: PublishedPort,
    preset: string | undefined,
  ): Binding[];
  port(facts: BridgeFacts, binding: Binding): Placed[];
  link(facts: BridgeFacts, port: LinkedPort): Placed[];
}

const JUMPS = new Set(['DOCKER-USER', 'DOCKER-INGRESS', 'DOCKER-ISOLATION-STAGE-1']);

/** `iptables -I` or `-A` for each that is not there yet (ProgramRule asks with `-C`): two ports may lead to the same one. */
export function insertRules(host: Namespace, rules: readonly Placed[]): void {
  for (const { family, table, chain, at, rule } of rules) {
    const tables = tablesOf(host, family);
    // The table comes with both of its chains.
    if (table === 'raw') for (const hook of ['PREROUTING', 'OUTPUT']) tables.chain(table, hook);
    if (tables.has(table, chain, rule)) continue;
    const top = chain === 'FORWARD' ? jumpsFirst(tables, table) : 0;
    tables.insert(table, chain, rule, at === 'top' ? top : tables.chain(table, chain).rules.length);
  }
}

/** Docker takes its jumps back to the top of FORWARD, over whatever else was put there (EnsureJumpRule); how many there are. */
function jumpsFirst(tables: Iptables, table: Placed['table']): number {
  const { rules } = tables.chain(table, 'FORWARD');
  const jumps = rules.map(({ spec }) => spec).filter((spec) => spec.target === 'JUMP' && JUMPS.has(spec.chain));
  for (const [at, jump] of jumps.entries()) {
    if (rules[at]?.spec === jump) continue;
    tables.delete(table, 'FORWARD', jump);
    tables.insert(table, 'FORWARD', jump, at);
  }
  return jumps.length;
}

/** `iptables -D` for each. */
export function deleteRules(host: Namespace, rules: readonly Placed[]): void {
  for (const { family, table, chain, rule } of rules) tablesOf(host, family).delete(table, chain, rule);
}

export function tablesOf({ iptables, ip6tables }: Namespace, family: Family): Iptables {
  return family === 'ip6' ? ip6tables : iptables;
}

/** What the container that has a legacy link may say to the other one, and back (iptables.go, Link): the same in every version. */
export function linkRules({ bridge, families }: BridgeFacts, { parent, child, port, protocol }: LinkedPort): Placed[] {
  if (!families.some(({ family }) => family === 'ip')) return [];
  const way = (source: string, destination: string, match: { sport: number } | { dport: number }): Placed => ({
    family: 'ip',
    table: 'filter',
    chain: 'DOCKER',
    at: 'end',
    rule: {
      source: `${source}/32`,
      destination: `${destination}/32`,
      in: bridge,
      out: bridge,
      protocol,
      ...match,
      target: 'ACCEPT',
    },
  });
  return [way(parent, child, { dport: port }), way(child, parent, { sport: port })];
}
