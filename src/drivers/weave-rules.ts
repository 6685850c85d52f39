/** What Weave Net has in a node's iptables, without its network policy controller (weave net/bridge.go, ConfigureIPTables). */

import type { Namespace, RuleSpec } from '../engine/index.js';

/** Of its control; the data path's is the next one. */
export const CONTROL_PORT = 6783;
export const DATA_PORT = CONTROL_PORT + 1;
const EXPOSE = 'WEAVE-EXPOSE';
const NAT = 'WEAVE';

/** On top of FORWARD, in this order. */
function forwarding(host: Namespace): RuleSpec[] {
  const bridge = host.device('weave');
  return [
    { in: host.device('docker0'), out: bridge, target: 'DROP' },
    { in: bridge, out: bridge, target: 'ACCEPT' },
    { out: bridge, target: 'JUMP', chain: EXPOSE },
    { in: bridge, notOut: bridge, target: 'ACCEPT' },
    { out: bridge, states: ['RELATED', 'ESTABLISHED'], target: 'ACCEPT' },
  ];
}

/** Containers on docker0 reach Weave's DNS, and not its router. */
function input(host: Namespace): RuleSpec[] {
  const docker0 = host.device('docker0');
  const own = docker0.address ? { destination: `${docker0.address}/32` } : {};
  return [
    { in: docker0, ...own, protocol: 'tcp', dport: CONTROL_PORT, target: 'DROP' },
    { in: docker0, ...own, protocol: 'udp', dport: CONTROL_PORT, target: 'DROP' },
    { in: docker0, ...own, protocol: 'udp', dport: DATA_PORT, target: 'DROP' },
    { in: docker0, protocol: 'udp', dport: 53, target: 'ACCEPT' },
    { in: docker0, protocol: 'tcp', dport: 53, target: 'ACCEPT' },
  ];
}

export function programWeave(host: Namespace): void {
  const { iptables } = host;
  for (const rule of input(host)) iptables.append('filter', 'INPUT', rule);
  iptables.chain('filter', EXPOSE);
  for (const [at, rule] of forwarding(host).entries()) iptables.insert('filter', 'FORWARD', rule, at);
  // `weave expose` fills both chains.
  iptables.chain('nat', NAT);
  iptables.append('nat', 'POSTROUTING', { target: 'JUMP', chain: NAT });
}

export function revokeWeave(host: Namespace): void {
  const { iptables } = host;
  for (const rule of input(host)) iptables.delete('filter', 'INPUT', rule);
  for (const rule of forwarding(host)) iptables.delete('filter', 'FORWARD', rule);
  iptables.deleteChain('filter', EXPOSE);
  iptables.delete('nat', 'POSTROUTING', { target: 'JUMP', chain: NAT });
  iptables.deleteChain('nat', NAT);
}

/** Traffic from the node, and from outside by it, with the subnet (net/expose.go). */
function exposing(subnet: string): { nat: RuleSpec[]; filter: RuleSpec[] } {
  return {
    nat: [
      { source: subnet, destination: '224.0.0.0/4', target: 'RETURN' },
      { destination: subnet, notSource: subnet, target: 'MASQUERADE' },
      { source: subnet, notDestination: subnet, target: 'MASQUERADE' },
    ],
    filter: [{ destination: subnet, target: 'ACCEPT' }],
  };
}

export function expose({ iptables }: Namespace, subnet: string): void {
  const { nat, filter } = exposing(subnet);
  for (const rule of nat) iptables.append('nat', NAT, rule);
  for (const rule of filter) iptables.append('filter', EXPOSE, rule);
}

export function hide({ iptables }: Namespace, subnet: string): void {
  const { nat, filter } = exposing(subnet);
  for (const rule of nat) iptables.delete('nat', NAT, rule);
  for (const rule of filter) iptables.delete('filter', EXPOSE, rule);
}
