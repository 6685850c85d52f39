/** A connection in conntrack's words: what a line of `conntrack -L` and one of `conntrack -E` have in common. */

import type { Tracked, Tuple } from '../engine/connections.js';

const NUMBERS: Record<string, number> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 };

/** `tcp      6`, `icmp     1`, `unknown  50` */
export function protocolColumns({ protocol }: Tracked): string {
  const number = typeof protocol === 'number' ? protocol : NUMBERS[protocol];
  return `${(typeof protocol === 'number' ? 'unknown' : protocol).padEnd(8)} ${number}`;
}

/** Both tuples and what is known of them: `src=… [UNREPLIED] src=… [ASSURED]`. */
export function tuples(entry: Tracked): string {
  const words = [tupleText(entry, entry.original)];
  if (!entry.seenReply) words.push('[UNREPLIED]');
  words.push(tupleText(entry, entry.reply));
  if (entry.assured) words.push('[ASSURED]');
  return words.join(' ');
}

function tupleText({ protocol }: Tracked, { source, destination, sport, dport }: Tuple): string {
  const addresses = `src=${source} dst=${destination}`;
  if (protocol === 'icmp' || protocol === 'icmpv6')
    return `${addresses} type=${dport >>> 8} code=${dport & 255} id=${sport}`;
  return typeof protocol === 'number' ? addresses : `${addresses} sport=${sport} dport=${dport}`;
}

/** The kernel counts in ticks: what has just begun has its whole time. */
export function wholeSeconds(left: number): number {
  return Math.floor(left + 0.001);
}
