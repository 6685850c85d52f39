/** `iptables -L` and `iptables -S` of one table, and ip6tables' (iptables v1.8.9, nf_tables back end). */

import { chainsOf, type ReadChain, type ReadRule } from '../engine/chains.js';
import type { Iptables, Table } from '../engine/index.js';
import { HOOKS, PROTOCOLS } from '../engine/rule-bits.js';
import { place, ruleText } from './rule.js';
import { EXTENSIONS } from './rule-matches.js';

export interface ListOptions {
  /** `-v`: counters and interfaces. */
  verbose?: boolean;
  /** `-n` */
  numeric?: boolean;
  /** `-x`: counters in full. */
  exact?: boolean;
  lineNumbers?: boolean;
  /** One chain of the table; one rule of it, from 1. */
  chain?: string;
  rule?: number;
}

/** Base chains that a table has, whether or not there is a rule in them. */
const BASE: Record<Table, readonly string[]> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** As iptables lists them: it makes the base chains of a table that it is asked for. */
export function listedChains(tables: Iptables, table: Table): ReadChain[] {
  const chains = chainsOf(tables, table);
  const base = BASE[table].map(
    (name): ReadChain => chains.find((chain) => chain.name === name) ?? { table, name, policy: 'ACCEPT', rules: [] },
  );
  return [...base, ...chains.filter(({ name }) => !Object.hasOwn(HOOKS, name))];
}

export function iptablesList(tables: Iptables, table: Table, options: ListOptions = {}): string {
  const all = listedChains(tables, table);
  const chains = all.filter(({ name }) => options.chain === undefined || name === options.chain);
  return chains
    .map((chain) => chainLines(tables, chain, references(all, chain.name), options))
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('\n');
}

/** `iptables -S [CHAIN]`, or with `-v` with counters. */
export function iptablesRules(
  tables: Iptables,
  table: Table,
  { chain: only, rule: number, verbose = false }: ListOptions = {},
): string {
  const chains = listedChains(tables, table).filter(({ name }) => only === undefined || name === only);
  const heads = chains.map(({ name, policy }) =>
    policy === undefined ? `-N ${name}` : `-P ${name} ${policy}${verbose ? ' -c 0 0' : ''}`,
  );
  const rules = chains.flatMap(({ name, rules: all }) =>
    all
      .filter((_, i) => number === undefined || i + 1 === number)
      .map((rule) => {
        const text = ruleText(name, rule);
        if (!verbose) return text;
        const at = text.lastIndexOf(' -j ');
        const counters = ` -c ${rule.packets} ${rule.bytes}`;
        return at < 0 ? text + counters : text.slice(0, at) + counters + text.slice(at);
      }),
  );
  return [...(number === undefined ? heads : []), ...rules].map((line) => `${line}\n`).join('');
}

function references(chains: readonly ReadChain[], name: string): number {
  return chains.flatMap(({ rules }) => rules).filter(({ target }) => target.target === 'JUMP' && target.chain === name)
    .length;
}

function chainLines(
  { family }: Iptables,
  { name, policy, rules }: ReadChain,
  uses: number,
  { verbose = false, numeric = false, exact = false, lineNumbers = false, rule: only }: ListOptions,
): string[] {
  // Chains of nf_tables have no counters.
  const standing =
    policy === undefined ? `${uses} references` : `policy ${policy}${verbose ? ' 0 packets, 0 bytes' : ''}`;
  const columns = [
    ...(lineNumbers ? ['num  '] : []),
    ...(verbose ? [exact ? '    pkts      bytes ' : ' pkts bytes '] : []),
    'target     prot opt ',
    ...(verbose ? ['in     out     '] : []),
    'source               destination         ',
  ];
  const line = (rule: ReadRule, number: number) =>
    [
      ...(lineNumbers ? [`${number}`.padEnd(4), ' '] : []),
      ...(verbose ? [counter(rule.packets, exact), ' ', counter(rule.bytes, exact), ' '] : []),
      columnsOf(rule, family, verbose, numeric),
    ].join('');
  const shown = rules.map((rule, i) => line(rule, i + 1)).filter((_, i) => only === undefined || i + 1 === only);
  return only === undefined ? [`Chain ${name} (${standing})`, columns.join(''), ...shown] : shown;
}

/** As iptables shortens what is too long for its column (xtables_print_num). */
function counter(value: number, exact: boolean): string {
  if (exact) return `${value}`.padStart(8);
  if (value <= 99999) return `${value}`.padStart(5);
  let rest = value;
  for (const unit of ['K', 'M', 'G']) {
    rest = Math.floor((rest + 500) / 1000);
    if (rest <= 9999) return `${`${rest}`.padStart(4)}${unit}`;
  }
  return `${`${Math.floor((rest + 500) / 1000)}`.padStart(4)}T`;
}

function columnsOf(
  { match, target, other }: ReadRule,
  family: Iptables['family'],
  verbose: boolean,
  numeric: boolean,
): string {
  const name = target.target === 'JUMP' ? target.chain : target.target === 'NONE' ? '' : target.target;
  const protocol = numeric ? `${match.protocol ? PROTOCOLS[match.protocol] : 0}` : (match.protocol ?? 'all');
  const sign = match.not?.includes('protocol') ? '!' : ' ';
  const head = `${name.padEnd(9)} ${sign}${protocol.padEnd(4)} -- `;
  const interfaces = verbose
    ? ` ${device(match.in?.name, match.notIn?.name)} ${device(match.out?.name, match.notOut?.name)} `
    : '';
  const any = numeric ? (family === 'ip6' ? '::/0' : '0.0.0.0/0') : 'anywhere';
  const from = address(match.source, match.notSource, any);
  const to = address(match.destination, match.notDestination, any);
  const extensions = EXTENSIONS.map(({ shown }) => shown(match, numeric)).filter((text) => text !== '');
  const words = [...extensions, ...other, targetShown(target)].filter((text) => text !== '');
  return `${head}${interfaces}${from}${to}${words.map((word) => ` ${word}`).join('')}`;
}

function device(plain: string | undefined, not: string | undefined): string {
  return (plain ?? (not === undefined ? '*' : `!${not}`)).padEnd(6);
}

/** ` 10.0.0.0/24          `: the place before it is the exclamation mark's. Networks have names, too (/etc/networks). */
function address(plain: string | undefined, not: string | undefined, any: string): string {
  const given = plain ?? not ?? any;
  const bare = given.replace(given.includes(':') ? /\/128$/ : /\/32$/, '');
  const text = any === 'anywhere' ? bare.replace(/^127\.0\.0\.0/, 'loopback') : bare;
  return `${not === undefined ? ' ' : '!'}${text.padEnd(20)}`;
}

function targetShown(target: ReadRule['target']): string {
  switch (target.target) {
    case 'MARK': {
      const { value, mask = 0xffffffff } = target;
      return mask === 0xffffffff
        ? `MARK set 0x${value.toString(16)}`
        : `MARK xset 0x${value.toString(16)}/0x${mask.toString(16)}`;
    }
    case 'DNAT':
    case 'SNAT':
      return `to:${place(target)}`;
    case 'REJECT':
      return `reject-with ${target.with ?? 'icmp-port-unreachable'}`;
    case 'REDIRECT':
      return `redir ports ${target.port}`;
    default:
      return '';
  }
}
