/**
 * Packet counters, where a dump allows it. A rule counts from the moment it was written, so only what was written for the
 * scenario itself began at zero: every rule of a task, a container or a load balancer of an overlay, and in namespaces that
 * live on (a node's own, the ingress sandbox) those rules that name a port published for this scenario, or the bridge of a
 * user's network. IPVS counts a service from its creation.
 */

import type { Namespace } from '../engine/index.js';
import { iptablesSave, ipvsadmStats } from '../views/index.js';
import type { Inputs } from './inputs.js';
import type { StateDifferences } from './state-difference.js';
import type { Dump } from './state-dump.js';

export interface CounterOptions {
  inputs: Inputs;
  /** Packets entered at a device, past the hooks of this namespace: its rules did not see them. */
  bypassed: boolean;
}

export function compareCounters(
  namespace: Namespace,
  dump: Dump,
  found: StateDifferences,
  { inputs, bypassed }: CounterOptions,
): void {
  const lines = dump.section('iptables-save') ?? [];
  const real = countersIn(lines, inputs, dump.namespace);
  const ours = countersIn(iptablesSave(namespace, { counters: true }).split('\n'), inputs, dump.namespace);
  if (bypassed) {
    found.leaveOut('iptables counters: N of rules past which packets entered at a device', real.size);
  } else {
    for (const [rule, count] of real) {
      const own = ours.get(rule);
      if (own !== undefined) found.same(dump.namespace, 'iptables counters', rule, count, own);
    }
  }
  const stats = statsIn(dump.section('ipvsadm -Ln --stats') ?? []);
  const own = statsIn(ipvsadmStats(namespace).split('\n'));
  for (const [who, count] of stats) {
    const mine = own.get(who);
    if (mine !== undefined) found.same(dump.namespace, 'ipvsadm --stats', who, count, mine);
  }
}

/** `nat DOCKER-INGRESS -p tcp …` → `2:120`, of rules that began with the scenario. The same rule twice in a chain is none. */
function countersIn(lines: readonly string[], inputs: Inputs, namespace: string): Map<string, string> {
  const ports = portsOf(inputs);
  const encrypted = encryptedVnis(inputs);
  const young = !namespace.endsWith('.host') && !namespace.endsWith('.ingress_sbox');
  const found = new Map<string, string>();
  let table = '';
  for (const line of lines) {
    if (line.startsWith('*')) table = line.slice(1);
    const [, count, rule] = /^\[(\d+:\d+)\] -A (.*)$/.exec(line) ?? [];
    if (!count || !rule) continue;
    const [, protocol, port] = /-p (\w+) .*--[sd]port (\d+)/.exec(rule) ?? [];
    const network = / -[io] br-[0-9a-f]{12}\b/.test(rule);
    const secure = encrypted.some((vni) => rule.includes(`=0x${(vni << 8).toString(16)}"`));
    if (young || network || secure || ports.has(`${port}/${protocol}`)) found.set(`${table} ${rule}`, count);
  }
  return found;
}

/** Of the encrypted overlays that the scenario made: the rules for them began with it. */
function encryptedVnis({ networks }: Inputs): number[] {
  return networks.flatMap(({ encrypted, createdBy, vni }) => (encrypted && createdBy && vni != null ? [vni] : []));
}

/** `8080/tcp`: published by services of the scenario, or by its containers and tasks, and what lies behind those. */
function portsOf(inputs: Inputs): Set<string> {
  const found = new Set<string>();
  for (const { ports } of inputs.services) {
    for (const { published, protocol, mode } of ports) if (mode !== 'host') found.add(`${published}/${protocol}`);
  }
  for (const { ports } of [...inputs.containers, ...inputs.tasks]) {
    for (const { container, host } of ports) {
      found.add(container);
      found.add(`${host.slice(host.lastIndexOf(':') + 1)}/${container.split('/')[1]}`);
    }
  }
  return found;
}

/** `FWM 262 10.0.0.13:0` → connections, packets and bytes in and out. */
function statsIn(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  let service = '';
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    if (/^(FWM|TCP|UDP)\s/.test(line)) service = words.slice(0, 2).join(' ');
    else if (!/^\s+-> \d/.test(line)) continue;
    const numbers = words.slice(2).join(' ');
    found.set(line.startsWith(' ') ? `${service} ${words[1]}` : service, numbers);
  }
  return found;
}
