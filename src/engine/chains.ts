/** Rule chains read back from the engine: every rule as its record says, in the order in which a packet meets them. */

import { bpfText } from './bpf.js';
import { Chain as ChainLayout, Route6Type, RouteType, Rule as RuleLayout, Target } from './generated/layout.js';
import { deviceAt } from './links.js';
import type { Field } from './memory.js';
import { HOOKS, MATCH, POLICY, PROTOCOLS, REJECTIONS, type Rejection, STATES } from './rule-bits.js';
import { NOBODY } from './rule-interfaces.js';
import type { Chain, Iptables, Negated, Port, RuleMatch, RuleProtocol, RuleTarget, Table } from './rules.js';
import { u32Text } from './u32.js';
import { ipv4Text, swap32 } from './wire.js';
import { addressOf } from './wire6.js';

/** How often a rule or a policy was met: packets, and their bytes from the IP header on. */
export interface Counted {
  packets: number;
  bytes: number;
}

/** What the record of a rule says; a condition of a kind that no driver of ours uses is named in `other`. */
export type ReadRule = Counted & {
  match: RuleMatch;
  target: RuleTarget;
  other: string[];
};

export interface ReadChain {
  table: Table;
  name: string;
  /** Base chains only. */
  policy: 'ACCEPT' | 'DROP' | undefined;
  rules: ReadRule[];
}

/** In the order in which iptables prints them. */
const STATE_BITS = (['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED'] as const).map(
  (name) => [name, STATES[name]] as const,
);
const HOOK_NAMES = Object.keys(HOOKS);
const PROTOCOL_NAMES = new Map(
  Object.entries(PROTOCOLS).map(([name, number]) => [number, name as RuleProtocol] as const),
);

/** As iptables lists them: base chains in the order of their hooks, then user chains by name. */
export function chainsOf(tables: Iptables, table: Table): ReadChain[] {
  const chains = [...tables.chains[table].values()];
  const names = new Map(chains.map(({ at, name }) => [at, name]));
  const rank = ({ name }: Chain) => (HOOK_NAMES.includes(name) ? HOOK_NAMES.indexOf(name) : HOOK_NAMES.length);
  chains.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  return chains.map((chain) => ({
    table,
    name: chain.name,
    policy: chain.policy,
    rules: rulesOf(tables, chain, names),
  }));
}

function rulesOf(tables: Iptables, chain: Chain, names: Map<number, string>): ReadRule[] {
  const { memory, rules } = tables.engine;
  const found: ReadRule[] = [];
  for (let at = memory.get(chain.at, ChainLayout.first); at; at = memory.get(at, RuleLayout.next)) {
    const spec = rules.get(memory.get(at, RuleLayout.id))?.spec;
    const match = matchOf(tables, at, spec);
    // Which of the two matches was written, the engine does not keep: they mean the same. Nor does it keep comments.
    if (spec?.stateMatch && match.states) match.stateMatch = spec.stateMatch;
    if (spec?.comment !== undefined) match.comment = spec.comment;
    found.push({
      match,
      target: targetOf(tables, at, names),
      packets: memory.get(at, RuleLayout.packets),
      bytes: memory.get(at, RuleLayout.bytes),
      other: otherMatches(tables, at),
    });
  }
  return found;
}

function matchOf(tables: Iptables, at: number, spec: RuleMatch | undefined): RuleMatch {
  const { namespace } = tables;
  const { memory } = tables.engine;
  const L = RuleLayout;
  const match = memory.get(at, L.match);
  const invert = memory.get(at, L.invert);
  const found: RuleMatch = {};
  const device = (bit: number, field: Field, plain: 'in' | 'out', not: 'notIn' | 'notOut') => {
    if (!(match & bit)) return;
    const record = memory.get(at, field);
    const one = record === NOBODY ? (spec?.[plain] ?? spec?.[not]) : deviceAt(namespace, record);
    if (one) found[invert & bit ? not : plain] = one;
  };
  device(MATCH.in, L.in, 'in', 'notIn');
  device(MATCH.out, L.out, 'out', 'notOut');
  if (match & MATCH.source) {
    found[invert & MATCH.source ? 'notSource' : 'source'] = prefix(tables, at, L.source, L.sourceMask);
  }
  if (match & MATCH.destination) {
    const name = invert & MATCH.destination ? 'notDestination' : 'destination';
    found[name] = prefix(tables, at, L.destination, L.destinationMask);
  }
  const protocol = match & MATCH.protocol ? PROTOCOL_NAMES.get(memory.get(at, L.protocol)) : undefined;
  if (protocol) found.protocol = protocol;
  const ports = (low: Field, high: Field): Port => {
    const [first, last] = [memory.get(at, low), memory.get(at, high)];
    return first === last ? first : `${first}:${last}`;
  };
  if (match & MATCH.sport) found.sport = ports(L.sportMin, L.sportMax);
  if (match & MATCH.dport) found.dport = ports(L.dportMin, L.dportMax);
  if (match & MATCH.mark) found.mark = { value: memory.get(at, L.markValue), mask: memory.get(at, L.markMask) };
  const not = NEGATED.filter((name) => invert & MATCH[name]);
  if (not.length > 0) found.not = not;
  if (match & MATCH.state) {
    const bits = memory.get(at, L.states);
    found.states = STATE_BITS.flatMap(([name, bit]) => (bits & bit ? [name] : []));
  }
  const { LOCAL } = tables.family === 'ip6' ? Route6Type : RouteType;
  if (match & MATCH.sourceType && memory.get(at, L.sourceType) === LOCAL) found.sourceType = 'LOCAL';
  if (match & MATCH.destinationType && memory.get(at, L.destinationType) === LOCAL) found.destinationType = 'LOCAL';
  if (match & MATCH.ipvs) found.ipvs = true;
  if (match & MATCH.u32) {
    const program = memory.get(at, L.u32);
    found.u32 = u32Text((index) => memory.view.getUint32(program + index * 4, true));
  }
  if (match & MATCH.bpf) {
    const program = memory.get(at, L.bpf);
    found.bpf = bpfText((index) => memory.view.getUint32(program + index * 4, true));
  }
  if (match & MATCH.policy) {
    const bits = memory.get(at, L.policy);
    found.policy = { dir: bits & POLICY.out ? 'out' : 'in', pol: bits & POLICY.ipsec ? 'ipsec' : 'none' };
  }
  return found;
}

const NEGATED: readonly Negated[] = [
  'protocol',
  'sport',
  'dport',
  'state',
  'sourceType',
  'destinationType',
  'ipvs',
  'mark',
];

/** Conditions that a RuleMatch cannot say. */
function otherMatches({ engine: { memory } }: Iptables, at: number): string[] {
  const said = NEGATED.reduce((bits, name) => bits | MATCH[name], 0);
  const inverted = said | MATCH.in | MATCH.out | MATCH.source | MATCH.destination;
  return memory.get(at, RuleLayout.invert) & ~inverted ? ['an inverted match'] : [];
}

function prefix({ engine: { memory }, family }: Iptables, at: number, value: Field, bits: Field): string {
  if (family === 'ip6') return `${addressOf(memory, memory.get(at, value))}/${memory.get(at, bits)}`;
  const ones = swap32(memory.get(at, bits));
  return `${ipv4Text(memory.get(at, value))}/${ones === 0 ? 0 : 32 - Math.log2(0x100000000 - ones)}`;
}

function targetOf(
  { engine: { memory }, family }: Iptables,
  at: number,
  names: Map<number, string>,
): ReadRule['target'] {
  const L = RuleLayout;
  const number = memory.get(at, L.target);
  const target = (Object.entries(Target).find(([, value]) => value === number)?.[0] ?? 'NONE') as keyof typeof Target;
  switch (target) {
    case 'JUMP':
      return { target, chain: names.get(memory.get(at, L.jump)) ?? '?' };
    case 'MARK':
      return { target, value: memory.get(at, L.setMark), mask: memory.get(at, L.setMask) };
    case 'DNAT':
    case 'SNAT': {
      const address = memory.get(at, L.toAddress);
      const port = memory.get(at, L.toPortMin);
      return {
        target,
        ...(address ? { address: family === 'ip6' ? addressOf(memory, address) : ipv4Text(address) } : {}),
        ...(port ? { port } : {}),
      };
    }
    case 'REDIRECT':
      return { target, port: memory.get(at, L.toPortMin) };
    case 'REJECT':
      return { target, with: rejection(family, memory.get(at, L.rejectType), memory.get(at, L.rejectCode)) };
    default:
      return { target };
  }
}

function rejection(family: Iptables['family'], type: number, code: number): Rejection {
  const prefix = family === 'ip6' ? 'icmp6-' : 'icmp-';
  const found = Object.entries(REJECTIONS).find(
    ([name, [t, c]]) => name.startsWith(prefix) && t === type && c === code,
  );
  return (found?.[0] ?? `${prefix}port-unreachable`) as Rejection;
}
