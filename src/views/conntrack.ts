/** `conntrack -L` of one namespace, or of one family: `conntrack -L -f ipv6` (conntrack-tools 1.4.7). IPv4 comes first. */

import { type ConnectionEntry, connectionsOf } from '../engine/connections.js';
import type { Namespace } from '../engine/index.js';
import { protocolColumns, tuples, wholeSeconds } from './connection.js';

export function conntrackList(namespace: Namespace, family?: 'ipv4' | 'ipv6'): string {
  return connectionsOf(namespace.engine)
    .filter((entry) => entry.namespace === namespace.name && (!family || entry.family === family))
    .sort((one, other) => (one.family < other.family ? -1 : Number(one.family > other.family)))
    .map((entry) => `${connectionLine(entry)}\n`)
    .join('');
}

export function connectionLine(entry: ConnectionEntry): string {
  const state = entry.state ? ` ${entry.state}` : '';
  return `${protocolColumns(entry)} ${wholeSeconds(entry.expires)}${state} ${tuples(entry)} mark=${entry.mark} use=1`;
}
