/**
 * The bridge driver's rules of engine 20.10 (reference: libnetwork drivers/bridge/setup_ip_tables.go, link.go,
 * iptables/iptables.go ProgramChain, Forward, Link). IPv4 alone: IPv6 is routed, and no more.
 */

import type { RuleSpec } from '../engine/index.js';
import { hostPart, type PublishedPort } from '../topology/topology.js';
import { type Binding, type BridgeRules, linkRules, type Placed } from './bridge-rules.js';

export const engine20: BridgeRules = {
  bridgeNetfilter: 'always',
  families: ['ip'],

  node(iptables, { userlandProxy }) {
    iptables.chain('filter', 'INPUT');
    iptables.chain('filter', 'FORWARD');
    iptables.chain('filter', 'OUTPUT');
    for (const hook of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']) iptables.chain('nat', hook);
    iptables.chain('filter', 'DOCKER');
    for (const chain of ['DOCKER-ISOLATION-STAGE-1', 'DOCKER-ISOLATION-STAGE-2', 'DOCKER-USER']) {
      iptables.append('filter', chain, { target: 'RETURN' });
    }
    iptables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'DOCKER-USER' });
    iptables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'DOCKER-ISOLATION-STAGE-1' });
    iptables.chain('nat', 'DOCKER');
    iptables.append('nat', 'PREROUTING', { destinationType: 'LOCAL', target: 'JUMP', chain: 'DOCKER' });
    iptables.append('nat', 'OUTPUT', {
      // 127.0.0.1 is docker-proxy's.
      ...(userlandProxy ? { notDestination: '127.0.0.0/8' } : {}),
      destinationType: 'LOCAL',
      target: 'JUMP',
      chain: 'DOCKER',
    });
  },

  network({ bridge, families: [ip], icc, masquerade, internal, userlandProxy }) {
    if (!ip) return [];
    const { subnet } = ip;
    const family = 'ip';
    const within: Placed = {
      family,
      table: 'filter',
      chain: 'FORWARD',
      at: icc ? 'top' : 'end',
      rule: { in: bridge, out: bridge, target: icc ? 'ACCEPT' : 'DROP' },
    };
    const stage = (rule: RuleSpec, chain = 'DOCKER-ISOLATION-STAGE-1'): Placed => ({
      family,
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
    const forward = (rule: RuleSpec): Placed => ({ family, table: 'filter', chain: 'FORWARD', at: 'top', rule });
    const nat = (chain: string, rule: RuleSpec): Placed => ({ family, table: 'nat', chain, at: 'top', rule });
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

  inOrder: inPortOrder,

  /** One that nobody gave an address is bound at `::`, too, where the node listens there (allocatePortsInternal). */
  bindings(facts, { address, address6 }, { hostAddress, protocol, published, target }, preset) {
    const wanted = hostAddress || preset;
    const bound = (at: string): Binding => ({
      protocol,
      hostAddress: at,
      published,
      address: hostPart((at.includes(':') && address6) || address),
      target,
    });
    return [bound(wanted || '0.0.0.0'), ...(!wanted && facts.listensOver6 ? [bound('::')] : [])];
  },

  /** DNAT, the filter's consent, and the way back to itself. */
  port({ bridge, families, userlandProxy }, { protocol, published, target, hostAddress, address }) {
    // At an IPv6 address docker-proxy alone listens.
    if (families.length === 0 || hostAddress.includes(':')) return [];
    const family = 'ip';
    const own = `${address}/32`;
    return [
      {
        family,
        table: 'nat',
        chain: 'DOCKER',
        at: 'end',
        rule: {
          ...(hostAddress !== '0.0.0.0' ? { destination: `${hostAddress}/32` } : {}),
          ...(userlandProxy ? { notIn: bridge } : {}),
          protocol,
          dport: published,
          target: 'DNAT',
          address,
          port: target,
        },
      },
      {
        family,
        table: 'filter',
        chain: 'DOCKER',
        at: 'end',
        rule: { destination: own, notIn: bridge, out: bridge, protocol, dport: target, target: 'ACCEPT' },
      },
      {
        family,
        table: 'nat',
        chain: 'POSTROUTING',
        at: 'end',
        rule: { source: own, destination: own, protocol, dport: target, target: 'MASQUERADE' },
      },
    ];
  },

  link: linkRules,
};

/**
 * nat.SortPortMap: by the largest port on the node that leads to
 * each, then by their own number; those that lead to the same stay together, as they were given.
 */
function inPortOrder(ports: readonly PublishedPort[]): PublishedPort[] {
  const key = ({ target, protocol }: PublishedPort) => `${target}/${protocol}`;
  const largest = new Map<string, number>();
  for (const port of ports) largest.set(key(port), Math.max(largest.get(key(port)) ?? 0, port.published));
  return [...ports].sort((one, other) =>
    key(one) === key(other)
      ? 0
      : (largest.get(key(other)) ?? 0) - (largest.get(key(one)) ?? 0) || other.target - one.target,
  );
}
