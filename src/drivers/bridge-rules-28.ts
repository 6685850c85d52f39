/**
 * The bridge driver's rules of engine 28, as of 28.5.2 (libnetwork drivers/bridge/internal/iptabler: iptabler.go, network.go,
 * endpoint.go, port.go; port_mapping_linux.go): the same for iptables and ip6tables.
 *
 *   raw PREROUTING     an endpoint's address is nobody's goal from outside its bridge
 *   filter FORWARD     DOCKER-USER, DOCKER-FORWARD
 *   DOCKER-FORWARD     (DOCKER-INGRESS,) DOCKER-CT, DOCKER-ISOLATION-STAGE-1, DOCKER-BRIDGE, then what each bridge may send
 *   DOCKER             per port an ACCEPT, then per bridge a DROP
 *   nat                as before; published over IPv6, too, but not for link-local sources
 */

import type { Iptables, RuleSpec } from '../engine/index.js';
import { hostPart } from '../topology/topology.js';
import type { Binding, BridgeFacts, BridgeRules, Family, FamilyFacts, Placed } from './bridge-rules.js';
import { linkRules } from './bridge-rules.js';

const LOOPBACK: Record<Family, string> = { ip: '127.0.0.0/8', ip6: '::1/128' };
const EVERYWHERE: Record<Family, string> = { ip: '0.0.0.0', ip6: '::' };
const HOST_LENGTH: Record<Family, number> = { ip: 32, ip6: 128 };

const familyOf = (address: string): Family => (address.includes(':') ? 'ip6' : 'ip');
const alone = (address: string): string => `${address}/${HOST_LENGTH[familyOf(address)]}`;

export const engine28: BridgeRules = {
  bridgeNetfilter: 'when needed',
  families: ['ip', 'ip6'],

  node(tables, { userlandProxy }) {
    const { family } = tables;
    for (const hook of ['INPUT', 'FORWARD', 'OUTPUT']) tables.chain('filter', hook);
    for (const hook of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']) tables.chain('nat', hook);
    tables.chain('nat', 'DOCKER');
    for (const name of ['', '-FORWARD', '-BRIDGE', '-CT', '-ISOLATION-STAGE-1', '-ISOLATION-STAGE-2', '-USER'])
      tables.chain('filter', `DOCKER${name}`);
    const toDocker = { destinationType: 'LOCAL', target: 'JUMP', chain: 'DOCKER' } as const;
    tables.append('nat', 'PREROUTING', toDocker);
    // The loopback address is docker-proxy's.
    tables.append('nat', 'OUTPUT', { ...(userlandProxy ? { notDestination: LOOPBACK[family] } : {}), ...toDocker });
    jump(tables, 'FORWARD', 'DOCKER-USER', 'DOCKER-FORWARD');
    jump(tables, 'DOCKER-FORWARD', 'DOCKER-CT', 'DOCKER-ISOLATION-STAGE-1', 'DOCKER-BRIDGE');
  },

  network: (facts) =>
    facts.families.flatMap((family) => (facts.internal ? internalRules(facts, family) : outwardRules(facts, family))),

  /** Packets for the endpoint that have not come by its bridge go, before conntrack sees them (filterDirectAccess). */
  endpoint({ bridge, families, internal, directRouting, trusted }, addresses) {
    if (internal || directRouting) return [];
    return families.flatMap(({ family, mode }) => {
      const own = addresses.find((address) => familyOf(address) === family);
      if (!own || mode === 'routed' || mode === 'nat-unprotected') return [];
      const raw = (rule: RuleSpec): Placed => ({ family, table: 'raw', chain: 'PREROUTING', at: 'end', rule });
      const destination = alone(hostPart(own));
      return [
        ...trusted.map((device) => raw({ destination, in: device, target: 'ACCEPT' })),
        raw({ destination, notIn: bridge, target: 'DROP' }),
      ];
    });
  },

  /** cmpPortBinding: by the container's port, tcp before udp, then by the node's port and address. */
  inOrder: (ports) =>
    [...ports].sort(
      (one, other) =>
        one.target - other.target ||
        (one.protocol === other.protocol ? 0 : one.protocol === 'tcp' ? -1 : 1) ||
        one.published - other.published,
    ),

  /**
   * `-p 8080:80` is bound at 0.0.0.0 and at [::]; from [::] docker-proxy leads to a container without IPv6, too. Where the
   * gateway mode is routed nothing is bound: the port is only let through (configurePortBindingIPv4, configurePortBindingIPv6).
   */
  bindings(facts, { address, address6 }, { hostAddress, protocol, published, target }, preset) {
    const wanted = hostAddress || preset;
    const found: Binding[] = [];
    const bind = (family: Family, container: string): void => {
      const routed = facts.families.some((one) => one.family === family && one.mode === 'routed');
      const at = routed || !wanted || familyOf(wanted) !== family ? EVERYWHERE[family] : wanted;
      found.push({ protocol, hostAddress: at, published: routed ? 0 : published, address: container, target });
    };
    if (!wanted || familyOf(wanted) === 'ip') bind('ip', hostPart(address));
    if (wanted && wanted !== '0.0.0.0' && familyOf(wanted) === 'ip') return found;
    // A wish for 0.0.0.0 is a wish for IPv4 alone; a preset of it is none.
    if (hostAddress === '0.0.0.0' || (!wanted && !facts.listensOver6)) return found;
    const behind = address6 ?? (facts.userlandProxy ? address : undefined);
    if (behind) bind('ip6', hostPart(behind));
    return found;
  },

  port(facts, { protocol, hostAddress, published, address, target }) {
    const { bridge, userlandProxy } = facts;
    const family = familyOf(address);
    const own = facts.families.find((one) => one.family === family);
    if (!own || facts.internal) return [];
    const rules: Placed[] = [];
    if (published && familyOf(hostAddress) === 'ip' && hostAddress.startsWith('127.')) {
      const rule: RuleSpec = {
        destination: alone(hostAddress),
        notIn: { name: 'lo' },
        protocol,
        dport: published,
        target: 'DROP',
      };
      rules.push({ family: 'ip', table: 'raw', chain: 'PREROUTING', at: 'end', rule });
    }
    // Between families docker-proxy alone carries.
    if (familyOf(hostAddress) !== family) return rules;
    if (published) {
      const rule: RuleSpec = {
        ...(family === 'ip6' ? { notSource: 'fe80::/10' } : {}),
        ...(hostAddress === EVERYWHERE[family] ? {} : { destination: alone(hostAddress) }),
        ...(userlandProxy ? { notIn: bridge } : {}),
        protocol,
        dport: published,
        target: 'DNAT',
        address,
        port: target,
      };
      rules.push({ family, table: 'nat', chain: 'DOCKER', at: 'end', rule });
      const hairpin: RuleSpec = {
        source: alone(address),
        destination: alone(address),
        protocol,
        dport: target,
        target: 'MASQUERADE',
      };
      if (!userlandProxy) rules.push({ family, table: 'nat', chain: 'POSTROUTING', at: 'end', rule: hairpin });
    }
    if (own.mode !== 'nat-unprotected') {
      const rule: RuleSpec = {
        destination: alone(address),
        notIn: bridge,
        out: bridge,
        protocol,
        dport: target,
        target: 'ACCEPT',
      };
      rules.push({ family, table: 'filter', chain: 'DOCKER', at: 'top', rule });
    }
    return rules;
  },

  link: linkRules,
};

function jump(tables: Iptables, from: string, ...to: string[]): void {
  for (const chain of to) tables.append('filter', from, { target: 'JUMP', chain });
}

function outwardRules(
  { bridge, icc, masquerade, userlandProxy }: BridgeFacts,
  { family, subnet, mode, hostAddress }: FamilyFacts,
): Placed[] {
  const routed = mode === 'routed';
  const filter = (chain: string, at: Placed['at'], rule: RuleSpec): Placed => ({
    family,
    table: 'filter',
    chain: `DOCKER${chain}`,
    at,
    rule,
  });
  const nat = (chain: string, rule: RuleSpec): Placed => ({ family, table: 'nat', chain, at: 'top', rule });
  const source = hostAddress
    ? ({ target: 'SNAT', address: hostAddress } as const)
    : ({ target: 'MASQUERADE' } as const);
  return [
    ...(masquerade && !routed ? [nat('POSTROUTING', { source: subnet, notOut: bridge, ...source })] : []),
    ...(masquerade && userlandProxy ? [nat('DOCKER', { in: bridge, target: 'RETURN' })] : []),
    ...(userlandProxy ? [] : [nat('POSTROUTING', { sourceType: 'LOCAL', out: bridge, ...source })]),
    ...(icc ? [] : [filter('-FORWARD', 'end', { in: bridge, out: bridge, target: 'DROP' })]),
    ...(routed
      ? [filter('', 'end', { out: bridge, protocol: family === 'ip' ? 'icmp' : 'ipv6-icmp', target: 'ACCEPT' })]
      : []),
    filter('-FORWARD', 'end', { in: bridge, ...(icc ? {} : { notOut: bridge }), target: 'ACCEPT' }),
    filter('', 'end', {
      notIn: bridge,
      out: bridge,
      target: mode === 'nat-unprotected' ? 'ACCEPT' : 'DROP',
    }),
    filter('-CT', 'end', { out: bridge, states: ['RELATED', 'ESTABLISHED'], target: 'ACCEPT' }),
    filter('-BRIDGE', 'end', { out: bridge, target: 'JUMP', chain: 'DOCKER' }),
    // A routed network may be reached from the others; its ports are guarded in DOCKER.
    ...(routed
      ? [
          filter('-ISOLATION-STAGE-1', 'top', { out: bridge, target: 'RETURN' }),
          filter('-ISOLATION-STAGE-1', 'top', {
            in: bridge,
            states: ['RELATED', 'ESTABLISHED'],
            target: 'ACCEPT',
          }),
        ]
      : []),
    filter('-ISOLATION-STAGE-1', 'end', {
      in: bridge,
      notOut: bridge,
      target: 'JUMP',
      chain: 'DOCKER-ISOLATION-STAGE-2',
    }),
    filter('-ISOLATION-STAGE-2', 'top', { out: bridge, target: 'DROP' }),
  ];
}

/** Neither out nor in. IPv6's spare what stays on the bridge: link-local addresses and groups are in no subnet. */
function internalRules({ bridge, icc }: BridgeFacts, { family, subnet }: FamilyFacts): Placed[] {
  const stage = (rule: RuleSpec): Placed => ({
    family,
    table: 'filter',
    chain: 'DOCKER-ISOLATION-STAGE-1',
    at: 'top',
    rule,
  });
  const six = family === 'ip6';
  const within = { in: bridge, out: bridge, target: icc ? 'ACCEPT' : 'DROP' } as const;
  return [
    stage({ notDestination: subnet, in: bridge, ...(six ? { notOut: bridge } : {}), target: 'DROP' }),
    stage({ notSource: subnet, ...(six ? { notIn: bridge } : {}), out: bridge, target: 'DROP' }),
    { family, table: 'filter', chain: 'DOCKER-FORWARD', at: 'end', rule: within },
  ];
}
