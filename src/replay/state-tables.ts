/** Addresses, routes, neighbours, forwarding entries, rules and balancers of one namespace, compared with its dump. */

import type { Namespace } from '../engine/index.js';
import { bridgeFdb, ipAddr, ipNeigh, ipRoute, ipRoute6, iptablesSave, ipvsadm } from '../views/index.js';
import type { StateDifferences } from './state-difference.js';
import type { Dump } from './state-dump.js';

/** Two texts of one command, and where they come from. */
interface Pair {
  namespace: Namespace;
  dump: Dump;
  found: StateDifferences;
}

export interface TableOptions {
  /** VNIs of this scenario's encrypted networks: rules of any other are left over from another scenario. */
  encrypted: readonly number[];
  /** docker_gwbridge was made anew by hand, for a swarm that is not the node's first. */
  gwbridgeRemade: boolean;
  /** Is a port published through the mesh? */
  published: boolean;
  /** Was a frame with this source MAC sent in the replay? */
  sent: (mac: string) => boolean;
}

export function compareTables(pair: Pair, options: TableOptions): void {
  compareAddresses(pair);
  compareRoutes(pair, 'main', 'ip route (main', 'ip route');
  compareRoutes(pair, 'local', 'ip route local', 'ip route table local');
  compareNeighbours(pair);
  compareForwarding(pair, options);
  compareRules(pair, options);
  compareServices(pair);
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(Boolean);
}

/** `ip -d addr`: per device its flags, state, MTU, MAC, bridge and port, VNI and port, VLAN, mode, and its addresses. */
function compareAddresses({ namespace, dump, found }: Pair): void {
  const real = dump.section('ip -d addr');
  if (!real) return;
  found.inAnyOrder(
    dump.namespace,
    'ip addr',
    devicesIn(real),
    devicesIn(linesOf(ipAddr(namespace, { details: true }))),
  );
}

/** Left out: indexes, numbers of namespaces, queues, and what a bridge or veth says of itself that we do not model. */
function devicesIn(lines: readonly string[]): string[] {
  const found: string[] = [];
  let device = '';
  for (const line of lines) {
    const head = /^\d+: ([^:@]+)(?:@[^:]+)?: <([^>]*)> mtu (\d+) .*?(master \S+ )?state (\S+)/.exec(line);
    if (head) {
      device = head[1] ?? '';
      found.push(`${device} <${head[2]}> mtu ${head[3]} ${head[4] ?? ''}state ${head[5]}`);
    }
    const part =
      /^\s+(link\/\S+ \S+)/.exec(line)?.[1] ??
      /^\s+(inet6? .*)/.exec(line)?.[1] ??
      /^\s+(vxlan id \d+ srcport \d+ \d+ dstport \d+ proxy l2miss l3miss)/.exec(line)?.[1] ??
      /^\s+(vlan protocol \S+ id \d+ <\S*>|macvlan mode \S+|ipvlan {2}mode \S+ \S+)/.exec(line)?.[1] ??
      /^\s+bridge_slave .*?(port_no \S+)/.exec(line)?.[1];
    if (part) found.push(`${device} ${part.trim()}`);
  }
  return found;
}

function compareRoutes({ namespace, dump, found }: Pair, table: 'main' | 'local', title: string, what: string): void {
  const real = dump.section(title);
  if (!real) return;
  const trimmed = (lines: readonly string[]) => lines.map((line) => line.trim());
  const own = trimmed(linesOf(ipRoute(namespace, table)));
  // The dump's own command left out what every link has.
  const own6 = table === 'main' ? linesOf(ipRoute6(namespace)).filter((line) => !line.startsWith('fe80::/64')) : [];
  found.inAnyOrder(dump.namespace, what, trimmed(real), [...own, ...own6]);
  if (table === 'local' && dump.ipv6) compareRoutes6({ namespace, dump, found }, dump.ipv6);
}

/** `ip -6 route show table all`. */
function compareRoutes6({ namespace, dump, found }: Pair, lines: readonly string[]): void {
  const real = lines.filter((line) => / metric \d+/.test(line)).map((line) => line.trim());
  const ours = [...linesOf(ipRoute6(namespace)), ...linesOf(ipRoute6(namespace, 'local'))];
  found.inAnyOrder(dump.namespace, 'ip -6 route', real, ours);
}

const NEIGHBOUR = /^(\S+ dev \S+) (?:lladdr (\S+) )?(?:router )?(\S+)\s*$/;

/** Permanent ones must be there; of learned ones that both have, the MAC must agree. Their states hang on timers. */
function compareNeighbours({ namespace, dump, found }: Pair): void {
  const real = dump.section('ip neigh');
  if (!real) return;
  const ours = linesOf(ipNeigh(namespace));
  const permanent = (lines: readonly string[]) =>
    lines.filter((line) => /PERMANENT\s*$/.test(line)).map((line) => line.trim());
  found.inAnyOrder(dump.namespace, 'ip neigh', permanent(real), permanent(ours));
  const learned = new Map(ours.map((line) => NEIGHBOUR.exec(line)).map((parts) => [parts?.[1], parts?.[2]]));
  for (const line of real) {
    const [, who, mac, state] = NEIGHBOUR.exec(line) ?? [];
    if (!who || state === 'PERMANENT') continue;
    const own = learned.get(who);
    if (mac && own) found.same(dump.namespace, 'ip neigh', who, mac, own);
    else found.leaveOut('ip neigh: N learned neighbours that one side alone knows the MAC of');
  }
}

/** Permanent entries, and those learned from what was replayed. */
function compareForwarding({ namespace, dump, found }: Pair, { sent }: TableOptions): void {
  const real = dump.section('bridge fdb');
  if (!real) return;
  const ours = linesOf(bridgeFdb(namespace));
  const kept = real.filter((line) => {
    const group = /^[0-9a-f][13579bdf]:.* self permanent$/.test(line);
    const copy = / vlan \d+ /.test(line);
    if (group) found.leaveOut('bridge fdb: N multicast groups that devices listen to');
    if (copy) found.leaveOut('bridge fdb: N copies of entries in VLAN 1');
    return !group && !copy;
  });
  const bare = (line: string) => line.replace(/ link-netnsid \d+/, '').trim();
  const permanent = (lines: readonly string[]) => lines.map(bare).filter((line) => line.endsWith(' permanent'));
  found.inAnyOrder(dump.namespace, 'bridge fdb', permanent(kept), permanent(ours));
  const learned = (lines: readonly string[]) => lines.map(bare).filter((line) => !line.endsWith(' permanent'));
  const mine = new Set(learned(ours));
  for (const line of learned(kept)) {
    const mac = line.split(' ')[0] ?? '';
    if (mine.delete(line) || sent(mac)) {
      const instead = learned(ours).find((one) => one.startsWith(mac));
      found.same(dump.namespace, 'bridge fdb', '', line, learned(ours).includes(line) ? line : instead);
    } else found.leaveOut('bridge fdb: N learned MACs of which no frame was replayed');
  }
  for (const line of mine) {
    if (!learned(kept).some((one) => one.startsWith(line.split(' ')[0] ?? '')))
      found.same(dump.namespace, 'bridge fdb', '', undefined, line);
  }
}

interface Chain {
  policy: string;
  rules: string[];
}

/** `nat DOCKER-INGRESS` → its policy and rules, without counters. */
export function chainsIn(lines: readonly string[]): Map<string, Chain> {
  const chains = new Map<string, Chain>();
  let table = '';
  for (const line of lines) {
    if (line.startsWith('*')) table = line.slice(1);
    const [, name, policy = ''] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (name) chains.set(`${table} ${name}`, { policy, rules: [] });
    const [, chain, rule] = /^(?:\[\d+:\d+\] )?-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain && rule) chains.get(`${table} ${chain}`)?.rules.push(rule);
  }
  return chains;
}

/** Rules that outlive what they were for, in a node that lives on: dockerd takes them out when it is told to, or never. */
interface LeftOver {
  rule: RegExp;
  words: string;
}

/** Of an encrypted overlay (`programMangle`, `programInput`). */
function encryptionOfOthers(vnis: readonly number[]): LeftOver {
  const own = vnis.map((vni) => `=0x${(vni << 8).toString(16)}"`).join('|');
  return {
    rule: own === '' ? /-m (u32|policy) / : new RegExp(`-m u32 (?!.*(${own}))`),
    words: 'iptables: N rules that an encrypted overlay of another scenario left behind (-m u32, -m policy)',
  };
}
/** Of a load balancer that balances nothing any more: `fwmarker` adds it with the first service and never removes it. */
const BALANCED_BEFORE: LeftOver = {
  rule: /-m ipvs --ipvs -j SNAT/,
  words:
    "iptables: N rules that an earlier scenario's services left behind in a load balancer (-m ipvs --ipvs -j SNAT)",
};

/** The mesh's own (`initIngressConfiguration`), which an earlier swarm left there: a bridge made anew puts its rules before it. */
const MESH = '-o docker_gwbridge -m addrtype --src-type LOCAL -j MASQUERADE';

/** The jump to the mesh's chain in nat. */
const MESHED = '-m addrtype --dst-type LOCAL -j DOCKER-INGRESS';

function compareRules({ namespace, dump, found }: Pair, { encrypted, gwbridgeRemade, published }: TableOptions): void {
  const lines = dump.section('iptables-save');
  if (!lines) return;
  const real = chainsIn(lines);
  const ours = chainsIn(linesOf(iptablesSave(namespace)));
  const leftOvers = [encryptionOfOthers(encrypted), ...(namespace.ipvs.services.length > 0 ? [] : [BALANCED_BEFORE])];
  leaveOut(real, ours, leftOvers, found);
  if (!published) for (const chains of [real, ours]) leaveMeshOut(chains, found, chains === real);
  found.inAnyOrder(dump.namespace, 'iptables chains', headings(real), headings(ours));
  for (const [name, { rules }] of real) {
    const mine = ours.get(name)?.rules ?? [];
    const placeless = gwbridgeRemade && rules.includes(MESH) && mine.includes(MESH);
    if (placeless) found.leaveOut(`iptables: the place of N rules that an earlier swarm left behind (${MESH})`);
    const placed = (all: readonly string[]) => all.filter((rule) => !placeless || rule !== MESH);
    found.inOrder(dump.namespace, `iptables ${name}`, 'rule', placed(rules), placed(mine));
  }
}

/** Takes left-over rules out of the real chains, and then base chains of tables that are not opened without them: they do nothing. */
function leaveOut(
  real: Map<string, Chain>,
  ours: Map<string, Chain>,
  leftOvers: readonly LeftOver[],
  found: StateDifferences,
): void {
  let any = false;
  for (const { rule, words } of leftOvers) {
    for (const chain of real.values()) {
      const kept = chain.rules.filter((text) => !rule.test(text));
      found.leaveOut(words, chain.rules.length - kept.length);
      any ||= kept.length < chain.rules.length;
      chain.rules = kept;
    }
  }
  const opened = new Set([...ours.keys()].map(tableOf));
  for (const [name, { policy, rules }] of real) {
    if (!any || opened.has(tableOf(name)) || rules.length > 0 || policy !== 'ACCEPT') continue;
    found.leaveOut('iptables: N empty chains of tables that only such rules had opened');
    real.delete(name);
  }
}

/** dockerd makes the mesh's chain with the first port that is published (programIngress), in whichever scenario that was. */
function leaveMeshOut(chains: Map<string, Chain>, found: StateDifferences, told: boolean): void {
  for (const [name, chain] of chains) {
    const own = name.endsWith(' DOCKER-INGRESS');
    const kept = own
      ? []
      : chain.rules.filter((rule) => rule !== '-j DOCKER-INGRESS' && rule !== MESHED && rule !== MESH);
    if (told)
      found.leaveOut(
        "iptables: N rules of the mesh, of which another scenario's ports may be the first",
        chain.rules.length - kept.length,
      );
    if (own) chains.delete(name);
    chain.rules = kept;
  }
}

function tableOf(chain: string): string {
  return chain.split(' ')[0] ?? chain;
}

function headings(chains: Map<string, Chain>): string[] {
  return [...chains].map(([name, { policy }]) => `${name} ${policy}`);
}

const NOSORT = 'ipvsadm -Ln --nosort';

/** Services by their marks; destinations with weights, in list order where the dump kept it. Counts of connections pass with time. */
function compareServices({ namespace, dump, found }: Pair): void {
  const ordered = dump.section(NOSORT);
  const real = servicesIn(ordered ?? dump.section('ipvsadm -Ln') ?? []);
  const ours = servicesIn(linesOf(ipvsadm(namespace)));
  found.inAnyOrder(dump.namespace, 'ipvsadm', [...real.keys()], [...ours.keys()]);
  for (const [service, destinations] of real) {
    const mine = ours.get(service) ?? [];
    const what = `ipvsadm ${service}`;
    if (ordered) found.inOrder(dump.namespace, what, 'destination', destinations, mine);
    else {
      found.leaveOut('ipvsadm: N services whose dump sorts destinations (no --nosort): the list order is not compared');
      found.inAnyOrder(dump.namespace, what, destinations, mine);
    }
  }
}

/** `FWM 262 rr` → `10.0.0.13:0 Masq 1` … */
function servicesIn(lines: readonly string[]): Map<string, string[]> {
  const services = new Map<string, string[]>();
  let destinations: string[] = [];
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    if (/^(FWM|TCP|UDP)\s/.test(line)) {
      destinations = [];
      services.set(words.join(' '), destinations);
    } else if (/^\s+-> \d/.test(line)) destinations.push(words.slice(1, 4).join(' '));
  }
  return services;
}
