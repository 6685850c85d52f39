/** `ipvsadm -Lnc` of one namespace (1.31). */

import { type BalancedEntry, balancedConnectionsOf } from '../engine/balanced.js';
import type { Namespace } from '../engine/index.js';

export function ipvsadmConnections(namespace: Namespace): string {
  const { now } = namespace.engine;
  const lines = balancedConnectionsOf(namespace).map(({ protocol, state, deadline, client, virtual, destination }) => {
    const left = Math.floor((deadline - now) / 1e9);
    const expires = `${two(Math.floor(left / 60))}:${two(left % 60)}`;
    const [from, to] = [place(client).padEnd(18), place(virtual).padEnd(18)];
    return `${protocol === 17 ? 'UDP' : 'TCP'} ${expires}  ${state.padEnd(11)} ${from} ${to} ${place(destination)}\n`;
  });
  return `IPVS connection entries\npro expire state       source             virtual            destination\n${lines.join('')}`;
}

function two(value: number): string {
  return `${value}`.padStart(2, '0');
}

function place({ address, port }: BalancedEntry['client']): string {
  return `${address}:${port}`;
}
