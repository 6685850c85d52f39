/**
 * ip6tables for the fuzzer: most namespaces with IPv6 track their connections, many translate, some reject; bridges hand what
 * they pass to the hooks. So frames made at random meet conntrack, NAT66 and every target.
 */

import type { Engine, Namespace } from '../../src/engine/index.js';
import type { RuleMatch, RuleTarget, Table } from '../../src/engine/rules.js';
import { addresses6Of } from './ipv6.js';
import type { Random } from './random.js';

/** Each table's chains, and targets that make sense there. */
const PLACES: { table: Table; chains: string[]; targets: string[] }[] = [
  { table: 'raw', chains: ['PREROUTING', 'OUTPUT'], targets: ['ACCEPT', 'DROP'] },
  { table: 'mangle', chains: ['PREROUTING', 'OUTPUT', 'POSTROUTING'], targets: ['MARK', 'ACCEPT'] },
  { table: 'nat', chains: ['PREROUTING', 'OUTPUT'], targets: ['DNAT', 'DNAT', 'REDIRECT', 'RETURN'] },
  { table: 'nat', chains: ['POSTROUTING'], targets: ['MASQUERADE', 'MASQUERADE', 'SNAT'] },
  { table: 'filter', chains: ['INPUT', 'FORWARD', 'OUTPUT'], targets: ['ACCEPT', 'DROP', 'REJECT', 'JUMP', 'RETURN'] },
];

export function filterIpv6(engine: Engine, random: Random): void {
  const addresses = [...addresses6Of(engine.devices), '2001:db8::1'];
  for (const namespace of engine.namespaces.values()) {
    if (namespace.ipv6.routes.length === 0 || random.chance(0.3)) continue;
    if (random.chance(0.5)) namespace.set('bridgeNetfilter6', 1);
    for (const hook of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']) namespace.ip6tables.chain('nat', hook);
    namespace.ip6tables.append('filter', 'USER', { states: ['RELATED', 'ESTABLISHED'], target: 'ACCEPT' });
    for (let rules = random.below(12); rules > 0; rules--) addRule(namespace, addresses, random);
  }
}

function addRule(namespace: Namespace, addresses: readonly string[], random: Random): void {
  const { table, chains, targets } = random.pick(PLACES);
  const protocol = random.chance(0.7) ? random.pick(['tcp', 'udp', 'ipv6-icmp'] as const) : undefined;
  const ported = protocol === 'tcp' || protocol === 'udp';
  const match: RuleMatch = {
    ...(protocol ? { protocol } : {}),
    ...(ported && random.chance(0.5) ? { dport: random.pick([80, 53, 7]) } : {}),
    ...(random.chance(0.3) ? { source: `${random.pick(addresses)}/${random.pick([0, 64, 128])}` } : {}),
    ...(random.chance(0.2) ? { notDestination: `${random.pick(addresses)}/64` } : {}),
    ...(random.chance(0.2) ? { destinationType: 'LOCAL' as const } : {}),
    ...(random.chance(0.2) ? { states: random.pick([['INVALID'], ['NEW', 'UNTRACKED']] as const).slice() } : {}),
  };
  const to = {
    ...(random.chance(0.8) ? { address: random.pick(addresses) } : {}),
    ...(ported && random.chance(0.5) ? { port: random.pick([80, 53]) } : {}),
  };
  namespace.ip6tables.append(table, random.pick(chains), { ...match, ...targetOf(random.pick(targets), to, random) });
}

function targetOf(target: string, to: { address?: string; port?: number }, random: Random): RuleTarget {
  switch (target) {
    case 'MARK':
      return { target, value: random.below(16) };
    case 'REDIRECT':
      return { target, port: 80 };
    case 'DNAT':
    case 'SNAT':
      return { target, ...to };
    case 'JUMP':
      return { target, chain: 'USER' };
    case 'REJECT':
      return { target, with: random.pick(['icmp6-port-unreachable', 'icmp6-adm-prohibited'] as const) };
    default:
      return { target: target as 'ACCEPT' | 'DROP' | 'RETURN' | 'MASQUERADE' };
  }
}
