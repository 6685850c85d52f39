/** One rule in the words of iptables: `-A CHAIN`, what must hold, `-j TARGET`. */

import type { ReadRule } from '../engine/chains.js';

/** Conditions stand as iptables prints them: those of the IP header, then matches in the order in which Docker writes them. */
export function ruleText(
  chain: string,
  { match, target, other }: Pick<ReadRule, 'match' | 'target' | 'other'>,
): string {
  const words = ['-A', chain];
  const either = (option: string, plain: string | undefined, not: string | undefined) => {
    if (plain !== undefined) words.push(option, plain);
    if (not !== undefined) words.push('!', option, not);
  };
  either('-s', match.source, match.notSource);
  either('-d', match.destination, match.notDestination);
  either('-i', match.in?.name, match.notIn?.name);
  either('-o', match.out?.name, match.notOut?.name);
  if (match.protocol) words.push('-p', match.protocol);
  const states = match.states?.join(',');
  if (states && match.stateMatch === 'state') words.push('-m', 'state', '--state', states);
  if (match.policy) words.push('-m', 'policy', '--dir', match.policy.dir, '--pol', match.policy.pol);
  if (match.sport !== undefined || match.dport !== undefined) words.push('-m', match.protocol ?? 'all');
  if (match.sport !== undefined) words.push('--sport', `${match.sport}`);
  if (match.dport !== undefined) words.push('--dport', `${match.dport}`);
  if (match.u32) words.push('-m', 'u32', '--u32', `"${match.u32}"`);
  if (states && match.stateMatch !== 'state') words.push('-m', 'conntrack', '--ctstate', states);
  if (match.sourceType || match.destinationType) words.push('-m', 'addrtype');
  if (match.sourceType) words.push('--src-type', match.sourceType);
  if (match.destinationType) words.push('--dst-type', match.destinationType);
  if (match.ipvs) words.push('-m', 'ipvs', '--ipvs');
  words.push(...other, ...targetWords(target));
  return words.join(' ');
}

function targetWords(target: ReadRule['target']): string[] {
  switch (target.target) {
    case 'NONE':
      return [];
    case 'JUMP':
      return ['-j', target.chain];
    case 'MARK':
      return [
        '-j',
        'MARK',
        '--set-xmark',
        `0x${target.value.toString(16)}/0x${(target.mask ?? 0xffffffff).toString(16)}`,
      ];
    case 'DNAT':
      return ['-j', 'DNAT', '--to-destination', place(target)];
    case 'SNAT':
      return ['-j', 'SNAT', '--to-source', place(target)];
    case 'REDIRECT':
      return ['-j', 'REDIRECT', '--to-ports', `${target.port}`];
    case 'REJECT':
      return ['-j', 'REJECT', '--reject-with', target.with ?? ''];
    default:
      return ['-j', target.target];
  }
}

/** `10.0.0.3`, `172.19.0.2:8080`, `:53`, `[fd00::2]:80` */
function place({ address = '', port }: { address?: string; port?: number }): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
