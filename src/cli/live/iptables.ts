/** The rules of a namespace of the engine as `iptables-restore` and `ip6tables-restore` read them. */

import type { Chain, Iptables, RuleSpec, Table } from '../../engine/index.js';

/** Undefined: there is not one chain, so that nothing of netfilter is registered in the kernel either. */
export function iptablesRestore({ chains: tables }: Iptables): string | undefined {
  const text = Object.entries(tables)
    .filter(([, chains]) => chains.size > 0)
    .flatMap(([table, chains]) => tableText(table as Table, [...chains.values()]));
  return text.length === 0 ? undefined : `${text.join('\n')}\n`;
}

function tableText(table: Table, chains: readonly Chain[]): string[] {
  return [
    `*${table}`,
    ...chains.map(({ name, policy }) => `:${name} ${policy ?? '-'} [0:0]`),
    ...chains.flatMap(({ name, rules }) => rules.map(({ spec }) => `-A ${name} ${ruleText(spec)}`)),
    'COMMIT',
  ];
}

/** One rule without its `-A CHAIN`. */
export function ruleText(spec: RuleSpec): string {
  const words: string[] = [];
  const either = (option: string, plain: string | undefined, not: string | undefined): void => {
    if (plain !== undefined) words.push(option, plain);
    else if (not !== undefined) words.push('!', option, not);
  };
  const name = (device: { name: string } | undefined): string | undefined => device?.name;
  either('-s', spec.source, spec.notSource);
  either('-d', spec.destination, spec.notDestination);
  either('-i', name(spec.in), name(spec.notIn));
  either('-o', name(spec.out), name(spec.notOut));
  if (spec.protocol) words.push('-p', spec.protocol);
  if (spec.sport !== undefined || spec.dport !== undefined) words.push('-m', spec.protocol ?? 'tcp');
  if (spec.sport !== undefined) words.push('--sport', String(spec.sport));
  if (spec.dport !== undefined) words.push('--dport', String(spec.dport));
  if (spec.sourceType) words.push('-m', 'addrtype', '--src-type', spec.sourceType);
  if (spec.destinationType) words.push('-m', 'addrtype', '--dst-type', spec.destinationType);
  if (spec.states) {
    const [match, option] = spec.stateMatch === 'state' ? ['state', '--state'] : ['conntrack', '--ctstate'];
    words.push('-m', match, option, spec.states.join(','));
  }
  if (spec.ipvs) words.push('-m', 'ipvs', '--ipvs');
  return [...words, ...targetWords(spec)].join(' ');
}

function targetWords(spec: RuleSpec): string[] {
  switch (spec.target) {
    case 'JUMP':
      return ['-j', spec.chain];
    case 'MARK':
      return ['-j', 'MARK', '--set-xmark', `${hex(spec.value)}/${hex(spec.mask ?? 0xffffffff)}`];
    case 'DNAT':
      return ['-j', 'DNAT', '--to-destination', end(spec)];
    case 'SNAT':
      return ['-j', 'SNAT', '--to-source', end(spec)];
    case 'REDIRECT':
      return ['-j', 'REDIRECT', '--to-ports', String(spec.port)];
    case 'REJECT':
      return ['-j', 'REJECT', ...(spec.with ? ['--reject-with', spec.with] : [])];
    default:
      return ['-j', spec.target];
  }
}

function end({ address, port }: { address?: string; port?: number }): string {
  const host = address?.includes(':') && port !== undefined ? `[${address}]` : (address ?? '');
  return `${host}${port === undefined ? '' : `:${port}`}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
