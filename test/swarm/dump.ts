/**
 * What was dumped of a real namespace after a run (`test/oracle/SCENARIO/state/NAMESPACE.txt`), and the same read from our
 * tables, in the words of `iptables-save`, `ip`, `bridge` and `ipvsadm`.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  Chain as ChainLayout,
  Destination as DestinationLayout,
  Entry,
  Neighbour,
  Nud,
  Route as RouteLayout,
  RouteType,
  Rule as RuleLayout,
  Service as ServiceLayout,
} from '../../src/engine/generated/layout.js';
import type { Chain, Device, Namespace, Rule, RuleSpec, State } from '../../src/engine/index.js';
import { ipv4Text, macText, port } from '../../src/engine/wire.js';

const ORACLE = new URL('../oracle/', import.meta.url);

/** Namespaces of a scenario that have a dump, by the recording's names. */
export function dumpedNamespaces(scenario: string): string[] {
  return readdirSync(new URL(`${scenario}/state/`, ORACLE))
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -'.txt'.length))
    .filter((name) => /^node\d\.(host|ingress_sbox|ov-|task-|ct-|lb)/.test(name) && !/conntrack|container/.test(name));
}

/** Lines of the dump's section whose title begins so. */
export function section(scenario: string, namespace: string, title: string): string[] {
  const path = new URL(`${scenario}/state/${namespace}.txt`, ORACLE);
  if (!existsSync(path)) throw new Error(`there is no dump of ${namespace}`);
  const found = readFileSync(path, 'utf8')
    .split(/^### /m)
    .find((part) => part.startsWith(title));
  if (found === undefined) throw new Error(`the dump of ${namespace} has no section ${title}`);
  return found.split('\n').slice(1).filter(Boolean);
}

// ---------------------------------------------------------------------------------------------- iptables-save

/** `filter :FORWARD DROP` and `nat -A DOCKER …`, without counters. */
export function dumpedRules(scenario: string, namespace: string): string[] {
  const found: string[] = [];
  let table = '';
  for (const line of section(scenario, namespace, 'iptables-save')) {
    if (line.startsWith('*')) table = line.slice(1);
    else if (line.startsWith(':')) found.push(`${table} ${line.replace(/ \[.*$/, '')}`);
    else if (line.startsWith('[')) found.push(`${table} ${line.replace(/^\[\d+:\d+\] /, '')}`);
  }
  return found;
}

/** Our chains and rules in the same words, chain by chain; rules in the order in which the engine walks them. */
export function ourRules(namespace: Namespace): string[] {
  const found: string[] = [];
  for (const table of ['mangle', 'filter', 'nat'] as const) {
    for (const chain of namespace.iptables.chains[table].values()) {
      found.push(`${table} :${chain.name} ${chain.policy ?? '-'}`);
      for (const rule of walked(chain)) found.push(`${table} ${ruleText(rule.chain.name, rule.spec)}`);
    }
  }
  return found;
}

/** The rules of a chain as the engine's list has them. */
function walked(chain: Chain): Rule[] {
  const { memory, rules } = chain.engine;
  const found: Rule[] = [];
  for (let at = memory.get(chain.at, ChainLayout.first); at; at = memory.get(at, RuleLayout.next)) {
    const rule = rules.get(memory.get(at, RuleLayout.id));
    if (!rule) throw new Error(`a rule of ${chain.name} is not known`);
    found.push(rule);
  }
  return found;
}

const STATE_ORDER: State[] = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED'];

/** One rule as iptables-save prints it. */
export function ruleText(chain: string, spec: RuleSpec): string {
  const words = ['-A', chain];
  const either = (option: string, plain: string | undefined, not: string | undefined) => {
    if (plain !== undefined) words.push(option, plain);
    if (not !== undefined) words.push('!', option, not);
  };
  either('-s', spec.source, spec.notSource);
  either('-d', spec.destination, spec.notDestination);
  either('-i', spec.in?.name, spec.notIn?.name);
  either('-o', spec.out?.name, spec.notOut?.name);
  if (spec.protocol) words.push('-p', spec.protocol);
  const states = spec.states && STATE_ORDER.filter((state) => spec.states?.includes(state)).join(',');
  if (states && spec.stateMatch === 'state') words.push('-m', 'state', '--state', states);
  if (spec.sport !== undefined) words.push('-m', `${spec.protocol}`, '--sport', `${spec.sport}`);
  if (spec.dport !== undefined) words.push('-m', `${spec.protocol}`, '--dport', `${spec.dport}`);
  if (states && spec.stateMatch !== 'state') words.push('-m', 'conntrack', '--ctstate', states);
  if (spec.sourceType) words.push('-m', 'addrtype', '--src-type', spec.sourceType);
  if (spec.destinationType) words.push('-m', 'addrtype', '--dst-type', spec.destinationType);
  if (spec.ipvs) words.push('-m', 'ipvs', '--ipvs');
  const to = (address: string | undefined, number: number | undefined) =>
    `${address ?? ''}${number === undefined ? '' : `:${number}`}`;
  switch (spec.target) {
    case 'JUMP':
      words.push('-j', spec.chain);
      break;
    case 'MARK':
      words.push(
        '-j',
        'MARK',
        '--set-xmark',
        `0x${spec.value.toString(16)}/0x${(spec.mask ?? 0xffffffff).toString(16)}`,
      );
      break;
    case 'DNAT':
      words.push('-j', 'DNAT', '--to-destination', to(spec.address, spec.port));
      break;
    case 'SNAT':
      words.push('-j', 'SNAT', '--to-source', to(spec.address, spec.port));
      break;
    case 'REDIRECT':
      words.push('-j', 'REDIRECT', '--to-ports', `${spec.port}`);
      break;
    default:
      words.push('-j', spec.target);
  }
  return words.join(' ');
}

/** The same rules by chain: `filter FORWARD` → its policy, then its rules. */
export function byChain(lines: readonly string[]): Record<string, string[]> {
  const chains: Record<string, string[]> = {};
  for (const line of lines) {
    const [, table = '', chain = ''] = /^(\w+) (?::|-A )(\S+)/.exec(line) ?? [];
    chains[`${table} ${chain}`] ??= [];
    chains[`${table} ${chain}`]?.push(line.slice(table.length + 1));
  }
  return chains;
}

// ---------------------------------------------------------------------------------------------- ip route, ip neigh

/** `local 10.0.0.3 dev eth0 src 10.0.0.3`, sorted; without what follows from the rest (proto, scope, linkdown). */
export function dumpedRoutes(scenario: string, namespace: string, table: 'main' | 'local'): string[] {
  return section(scenario, namespace, table === 'main' ? 'ip route (main' : 'ip route local')
    .map((line) =>
      line
        .replace(/ (proto|scope) \S+/g, '')
        .replace(/ (linkdown|onlink)/g, '')
        .trim(),
    )
    .sort();
}

/** Ours, out of the engine's own records. */
export function ourRoutes(namespace: Namespace, table: 'main' | 'local'): string[] {
  const { memory } = namespace.engine;
  return namespace.routes
    .filter(({ at }) => memory.get(at, RouteLayout.table) === (table === 'main' ? 254 : 255))
    .map(({ at }) => {
      const type = memory.get(at, RouteLayout.type);
      const key = memory.halves(at, RouteLayout.keyA);
      const length = memory.get(at, RouteLayout.length);
      const device = namespace.engine.devices.find((one) => one.at === memory.get(at, RouteLayout.device));
      const gateway = memory.get(at, RouteLayout.gateway);
      const source = memory.get(at, RouteLayout.source);
      const words = [];
      if (type === RouteType.LOCAL) words.push('local');
      if (type === RouteType.BROADCAST) words.push('broadcast');
      words.push(length === 0 ? 'default' : `${ipv4Text(key.low)}${length === 32 ? '' : `/${length}`}`);
      if (gateway) words.push('via', ipv4Text(gateway));
      words.push('dev', device?.name ?? '?');
      if (source) words.push('src', ipv4Text(source));
      return words.join(' ');
    })
    .sort();
}

/** `10.0.0.2 dev vxlan0 lladdr 02:42:0a:00:00:02`, sorted. */
export function dumpedPermanentNeighbours(scenario: string, namespace: string): string[] {
  return section(scenario, namespace, 'ip neigh')
    .filter((line) => line.includes('PERMANENT'))
    .map((line) => line.replace(/ PERMANENT.*$/, ''))
    .sort();
}

export function ourPermanentNeighbours(namespace: Namespace): string[] {
  const { exports, memory } = namespace.engine;
  const found: string[] = [];
  for (let slot = 0; slot < exports.neighbourSlots(); slot++) {
    const at = exports.neighbourAt(slot) >>> 0;
    if (!at || memory.get(at, Neighbour.state) !== Nud.PERMANENT) continue;
    const device = deviceAt(namespace, memory.get(at, Neighbour.device));
    if (!device) continue;
    const address = ipv4Text(memory.halves(at, Neighbour.keyA).low);
    found.push(`${address} dev ${device.name} lladdr ${macText(memory.halves(at, Neighbour.mac))}`);
  }
  return found.sort();
}

function deviceAt(namespace: Namespace, at: number): Device | undefined {
  return [...namespace.devices.values()].find((device) => device.at === at);
}

// ---------------------------------------------------------------------------------------------- bridge fdb

/** `02:42:0a:00:00:02 dev vxlan0 dst 192.168.99.110`, sorted. */
export function dumpedVxlanFdb(scenario: string, namespace: string): string[] {
  return section(scenario, namespace, 'bridge fdb')
    .filter((line) => line.includes(' dst '))
    .map((line) => line.replace(/ link-netnsid.*$| self permanent$/g, ''))
    .sort();
}

/** A bridge's own MACs and those of its ports: `br0 42:8d:ad:9c:13:48`. */
export function dumpedOwnFdb(scenario: string, namespace: string): string[] {
  const found = section(scenario, namespace, 'bridge fdb').flatMap((line) => {
    const [, mac, bridge] = /^(\S+) dev \S+ master (\S+) permanent/.exec(line) ?? [];
    return mac ? [`${bridge} ${mac}`] : [];
  });
  return [...new Set(found)].sort();
}

export function ourFdb(namespace: Namespace): { vxlan: string[]; own: string[] } {
  const { exports, memory } = namespace.engine;
  const vxlan: string[] = [];
  const own: string[] = [];
  for (let slot = 0; slot < exports.fdbSlots(); slot++) {
    const at = exports.fdbAt(slot) >>> 0;
    if (!at) continue;
    const owner = memory.halves(at, Entry.keyB).low;
    const device = [...namespace.devices.values()].find(({ id }) => id === owner);
    if (!device) continue;
    const hardware = macText(memory.halves(at, Entry.keyA));
    const flags = memory.get(at, Entry.flags);
    if (device.kind === 'vxlan' && flags & 1)
      vxlan.push(`${hardware} dev ${device.name} dst ${ipv4Text(memory.get(at, Entry.remote))}`);
    if (device.kind === 'bridge' && flags & 2) own.push(`${device.name} ${hardware}`);
  }
  return { vxlan: vxlan.sort(), own: own.sort() };
}

// ---------------------------------------------------------------------------------------------- ipvsadm

/** `ipvsadm -Ln` sorts by address; with `--nosort`, which the first scenarios did not have yet, the list stays as it is. */
export function keepsOrder(scenario: string, namespace: string): boolean {
  return readFileSync(new URL(`${scenario}/state/${namespace}.txt`, ORACLE), 'utf8').includes('ipvsadm -Ln --nosort');
}

/** `FWM 262 rr`, then its destinations in the kernel's order: `-> 10.0.0.13:0 Masq 1`. */
export function dumpedServices(scenario: string, namespace: string): string[] {
  return section(scenario, namespace, keepsOrder(scenario, namespace) ? 'ipvsadm -Ln --nosort' : 'ipvsadm -Ln\n')
    .filter((line) => /^FWM|^TCP|^UDP|-> \d/.test(line))
    .map((line) => line.trim().replace(/\s+/g, ' '))
    .map((line) => (line.startsWith('->') ? line.split(' ').slice(0, 4).join(' ') : line));
}

/** Ours, walked as IPVS walks them. */
export function ourServices(namespace: Namespace): string[] {
  const { memory } = namespace.engine;
  return namespace.ipvs.services.flatMap((service) => {
    if (!('mark' in service.key)) throw new Error('Docker has services by mark alone');
    const lines = [`FWM ${memory.halves(service.at, ServiceLayout.keyA).low} rr`];
    for (let at = memory.get(service.at, ServiceLayout.first); at; at = memory.get(at, DestinationLayout.next)) {
      const address = ipv4Text(memory.get(at, DestinationLayout.address));
      const weight = memory.get(at, DestinationLayout.weight);
      lines.push(`-> ${address}:${port(memory.get(at, DestinationLayout.port))} Masq ${weight}`);
    }
    return lines;
  });
}

// ---------------------------------------------------------------------------------------------- devices, sysctls

/** `eth0 52:54:00:00:00:6f mtu 1500 192.168.99.111/24`, with ` in br0` for a port; sorted. */
export function dumpedDevices(scenario: string, namespace: string): string[] {
  const found: string[] = [];
  for (const line of section(scenario, namespace, 'ip -d addr')) {
    const [, name, mtu] = /^\d+: ([^:@]+)[@:].*? mtu (\d+)/.exec(line) ?? [];
    if (name)
      found.push(
        `${name} mtu ${mtu}${/ master (\S+)/.exec(line)?.[1] ? ` in ${/ master (\S+)/.exec(line)?.[1]}` : ''}`,
      );
    const [, mac] = /^\s+link\/\w+ (\S+)/.exec(line) ?? [];
    if (mac) found.push(`${found.pop()} ${mac}`);
    const [, address] = /^\s+inet (\S+)/.exec(line) ?? [];
    if (address) found.push(`${found.pop()} ${address}`);
    const [, vni, udp] = /^\s+vxlan id (\d+) .*dstport (\d+)/.exec(line) ?? [];
    if (vni) found.push(`${found.pop()} vni ${vni} dstport ${udp}`);
  }
  return found.sort();
}

export function ourDevices(namespace: Namespace): string[] {
  return [...namespace.devices.values()]
    .map((device) => {
      const words = [device.name, 'mtu', `${device.mtu}`];
      if (device.master) words.push('in', device.master.name);
      words.push(device.mac);
      if (device.kind === 'vxlan') words.push('vni', `${device.vni}`, 'dstport', '4789');
      words.push(...device.addresses.map(({ address, length }) => `${address}/${length}`));
      return words.join(' ');
    })
    .sort();
}

/** Ports of each bridge in the order of their numbers: `br0: vxlan0 veth0 veth5`. */
export function dumpedPorts(scenario: string, namespace: string): string[] {
  const bridges = new Map<string, { name: string; number: number }[]>();
  let name = '';
  let master: string | undefined;
  for (const line of section(scenario, namespace, 'ip -d addr')) {
    const head = /^\d+: ([^:@]+)[@:]/.exec(line);
    if (head) {
      name = head[1] ?? '';
      master = / master (\S+)/.exec(line)?.[1];
    }
    const number = / port_no (0x[0-9a-f]+)/.exec(line)?.[1];
    if (number && master) bridges.set(master, [...(bridges.get(master) ?? []), { name, number: Number(number) }]);
  }
  return [...bridges]
    .map(
      ([bridge, ports]) =>
        `${bridge}: ${ports
          .sort((a, b) => a.number - b.number)
          .map((one) => one.name)
          .join(' ')}`,
    )
    .sort();
}

export function ourPorts(namespace: Namespace): string[] {
  return [...namespace.devices.values()]
    .filter(({ ports }) => ports.length > 0)
    .map(({ name, ports }) => `${name}: ${ports.map((one) => one.name).join(' ')}`)
    .sort();
}

/** `net/ipv4/ip_forward` → its value. */
export function dumpedSysctls(scenario: string, namespace: string): Map<string, string> {
  return new Map(
    section(scenario, namespace, 'sysctl').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
}
