/** One rule in the words of iptables: `-A CHAIN`, what must hold, `-j TARGET`. */

import type { ReadRule } from '../engine/chains.js';
import { EXTENSIONS } from './rule-matches.js';

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
  if (match.protocol) words.push(...(match.not?.includes('protocol') ? ['!'] : []), '-p', match.protocol);
  for (const { written } of EXTENSIONS) {
    const found = written(match);
    if (found) words.push('-m', found.name, ...found.words);
  }
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
export function place({ address = '', port }: { address?: string; port?: number }): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
