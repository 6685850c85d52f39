/** `firewall` of the `x-swarmwire` section, and in its `changes`: ports between nodes, as `docker` and cloud consoles write them. */

import type { FirewallPort, FirewallRule, NodeSpec } from '../topology/spec.js';
import type { Findings } from './findings.js';
import { below } from './places.js';
import type { FirewallEntry } from './section.js';
import { knownNames } from './wording.js';

const HINT = 'write a port (7946: tcp and udp; 2377/tcp), esp, or data-path';

export function readFirewallRule(
  entry: FirewallEntry,
  key: 'block' | 'unblock',
  pointer: string,
  nodes: readonly NodeSpec[],
  findings: Findings,
): FirewallRule {
  const written = entry[key] ?? [];
  const names = nodes.map(({ name }) => name);
  const nodesOf = (side: 'from' | 'to' | 'between'): string[] | undefined => {
    const value = entry[side];
    if (value === undefined) return undefined;
    const list = [value].flat();
    for (const [i, name] of list.entries())
      if (!names.includes(name))
        findings.refuse(
          findings.places.value(Array.isArray(value) ? below(`${pointer}/${side}`, i) : `${pointer}/${side}`),
          `there is no node "${name}"`,
          knownNames(name, names),
        );
    return list;
  };
  const between = nodesOf('between');
  const from = nodesOf('from');
  const to = nodesOf('to');
  if (between && (from || to))
    findings.refuse(
      findings.places.key(`${pointer}/between`),
      'between goes both ways, from and to one way',
      'write either between, or from and to',
    );
  if (between && between.length < 2)
    findings.refuse(findings.places.value(`${pointer}/between`), 'between needs two nodes at least');
  const block = [written]
    .flat()
    .flatMap((text, i) =>
      portsOf(String(text), Array.isArray(written) ? below(`${pointer}/${key}`, i) : `${pointer}/${key}`, findings),
    );
  return {
    block,
    ...(between ? { from: between, to: between } : {}),
    ...(from ? { from } : {}),
    ...(to ? { to } : {}),
  };
}

function portsOf(text: string, pointer: string, findings: Findings): FirewallPort[] {
  const lower = text.toLowerCase();
  if (lower === 'esp' || lower === 'data-path') return [{ protocol: lower }];
  const [, digits, protocol] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(lower) ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) {
    findings.refuse(findings.places.value(pointer), `"${text}" is no port that a firewall knows`, HINT);
    return [];
  }
  if (protocol === 'tcp' || protocol === 'udp') return [{ protocol, port }];
  return [
    { protocol: 'tcp', port },
    { protocol: 'udp', port },
  ];
}
