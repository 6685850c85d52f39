/**
 * The bridge driver's rules as data, by engine version: what stands in which chain, and where it is put (reference: libnetwork
 * drivers/bridge/setup_ip_tables.go, link.go, iptables/iptables.go ProgramChain, Forward, Link). What is put in at the top comes
 * before what was there, so rules of a network made later come before those of one made earlier.
 */

import type { InterfaceName, Namespace, RuleSpec, Table } from '../engine/index.js';
import type { PublishedPort } from '../topology/topology.js';

/** A rule and its place. `top` of FORWARD is below the jumps to Docker's own chains, which dockerd puts back on top each time. */
export interface Placed {
  table: Table;
  chain: string;
  at: 'top' | 'end';
  rule: RuleSpec;
}

/** What a network's rules depend on. */
export interface BridgeFacts {
  bridge: InterfaceName;
  /** CIDR */
  subnet: string;
  icc: boolean;
  masquerade: boolean;
  internal: boolean;
  userlandProxy: boolean;
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
  /** What dockerd programs into a node before any network: chains, jumps, returns. */
  node(host: Namespace, options: { swarm: boolean; userlandProxy: boolean }): void;
  network(facts: BridgeFacts): Placed[];
  port(facts: BridgeFacts, address: string, port: PublishedPort): Placed[];
  link(facts: BridgeFacts, port: LinkedPort): Placed[];
}

const JUMPS = new Set(['DOCKER-USER', 'DOCKER-INGRESS', 'DOCKER-ISOLATION-STAGE-1']);

/** `iptables -I` or `-A` for each that is not there yet (ProgramRule asks with `-C`): two ports may lead to the same one. */
export function insertRules({ iptables }: Namespace, rules: readonly Placed[]): void {
  for (const { table, chain, at, rule } of rules) {
    if (iptables.has(table, chain, rule)) continue;
    const { rules: there } = iptables.chain(table, chain);
    const top =
      chain === 'FORWARD' ? there.filter(({ spec }) => spec.target === 'JUMP' && JUMPS.has(spec.chain)).length : 0;
    iptables.insert(table, chain, rule, at === 'top' ? top : there.length);
  }
}

/** `iptables -D` for each. */
export function deleteRules({ iptables }: Namespace, rules: readonly Placed[]): void {
  for (const { table, chain, rule } of rules) iptables.delete(table, chain, rule);
}

/**
 * A container's ports in the order in which dockerd programs them (nat.SortPortMap): by the largest port on the node that leads to
 * each, then by their own number; those that lead to the same stay together, as they were given.
 */
export function inPortOrder(ports: readonly PublishedPort[]): PublishedPort[] {
  const key = ({ target, protocol }: PublishedPort) => `${target}/${protocol}`;
  const largest = new Map<string, number>();
  for (const port of ports) largest.set(key(port), Math.max(largest.get(key(port)) ?? 0, port.published));
  return [...ports].sort((one, other) =>
    key(one) === key(other)
      ? 0
      : (largest.get(key(other)) ?? 0) - (largest.get(key(one)) ?? 0) || other.target - one.target,
  );
}

const engine20: BridgeRules = {
  node(host, { swarm, userlandProxy }) {
    const { iptables } = host;
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
      // 127.0.0.1 is docker-proxy's.
      ...(userlandProxy ? { notDestination: '127.0.0.0/8' } : {}),
      destinationType: 'LOCAL',
      target: 'JUMP',
      chain: 'DOCKER',
    });
  },

  network({ bridge, subnet, icc, masquerade, internal, userlandProxy }) {
    const within: Placed = {
      table: 'filter',
      chain: 'FORWARD',
      at: icc ? 'top' : 'end',
      rule: { in: bridge, out: bridge, target: icc ? 'ACCEPT' : 'DROP' },
    };
    const stage = (rule: RuleSpec, chain = 'DOCKER-ISOLATION-STAGE-1'): Placed => ({
      table: 'filter',
      chain,
      at: 'top',
      rule,
    });
    if (internal) {
      return [
        stage({ in: bridge, notDestination: subnet, target: 'DROP' }),
        stage({ out: bridge, notSource: subnet, target: 'DROP' }),
        within,
      ];
    }
    const forward = (rule: RuleSpec): Placed => ({ table: 'filter', chain: 'FORWARD', at: 'top', rule });
    const nat = (chain: string, rule: RuleSpec): Placed => ({ table: 'nat', chain, at: 'top', rule });
    return [
      ...(masquerade ? [nat('POSTROUTING', { source: subnet, notOut: bridge, target: 'MASQUERADE' })] : []),
      ...(masquerade && userlandProxy ? [nat('DOCKER', { in: bridge, target: 'RETURN' })] : []),
      ...(userlandProxy ? [] : [nat('POSTROUTING', { sourceType: 'LOCAL', out: bridge, target: 'MASQUERADE' })]),
      within,
      forward({ in: bridge, notOut: bridge, target: 'ACCEPT' }),
      forward({ out: bridge, target: 'JUMP', chain: 'DOCKER' }),
      forward({ out: bridge, states: ['RELATED', 'ESTABLISHED'], target: 'ACCEPT' }),
      stage({ in: bridge, notOut: bridge, target: 'JUMP', chain: 'DOCKER-ISOLATION-STAGE-2' }),
      stage({ out: bridge, target: 'DROP' }, 'DOCKER-ISOLATION-STAGE-2'),
    ];
  },

  /** DNAT, the filter's consent, and the way back to itself. */
  port({ bridge, userlandProxy }, address, { protocol, published, target, hostAddress }) {
    const own = `${address}/32`;
    return [
      {
        table: 'nat',
        chain: 'DOCKER',
        at: 'end',
        rule: {
          ...(hostAddress && hostAddress !== '0.0.0.0' ? { destination: `${hostAddress}/32` } : {}),
          ...(userlandProxy ? { notIn: bridge } : {}),
          protocol,
          dport: published,
          target: 'DNAT',
          address,
          port: target,
        },
      },
      {
        table: 'filter',
        chain: 'DOCKER',
        at: 'end',
        rule: { destination: own, notIn: bridge, out: bridge, protocol, dport: target, target: 'ACCEPT' },
      },
      {
        table: 'nat',
        chain: 'POSTROUTING',
        at: 'end',
        rule: { source: own, destination: own, protocol, dport: target, target: 'MASQUERADE' },
      },
    ];
  },

  link({ bridge }, { parent, child, port, protocol }) {
    const way = (source: string, destination: string, match: { sport: number } | { dport: number }): Placed => ({
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
  },
};

export const RULES: Record<'20.10', BridgeRules> = { '20.10': engine20 };
