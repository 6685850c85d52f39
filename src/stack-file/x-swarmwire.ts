/**
 * The `x-swarmwire` section of a stack file: nodes, hosts outside, traffic, calls. Compose lets extensions be, so a file that
 * has one still deploys to a real swarm.
 *
 * Left away, there are three nodes, node1 (the manager) to node3 at 192.168.99.110/24 and up, and a client outside
 * at 192.168.99.1/24, which also answers for 203.0.113.10, an address that is on no network of the swarm.
 */
import { isName } from '../dns/message.js';
import { isIn, isIpv4, subnetText } from '../topology/ipv4.js';
import type {
  CallSpec,
  ChangeSpec,
  ContainerSpec,
  FirewallRule,
  NodeNetworkSpec,
  NodeSpec,
  OutsideSpec,
  RoleSpec,
  ServiceSpec,
  TrafficSpec,
} from '../topology/spec.js';
import { hostOf, isAddress6, subnetOf } from './addresses.js';
import { readChanges } from './changes.js';
import { readDaemon } from './daemon.js';
import type { Place } from './error.js';
import type { Findings } from './findings.js';
import { readFirewallRule } from './firewall.js';
import { readCalls, readTraffic } from './flows.js';
import { Parties } from './parties.js';
import { below } from './places.js';
import { readRoles } from './roles.js';
import { type ConfigEntry, type HostEntry, MOST_NODES, type NodeEntry, SECTION, type Section } from './section.js';
import { readGwbridge } from './swarm-init.js';

export interface Surroundings {
  nodes: NodeSpec[];
  outside: OutsideSpec[];
  containers: ContainerSpec[];
  traffic: TrafficSpec[];
  calls: CallSpec[];
  changes: ChangeSpec[];
  roles: RoleSpec[];
  firewall: FirewallRule[];
}

const FIRST_NODE = 110;
/** 802.1Q keeps 4095 for itself. */
const MOST_VLANS = 4094;
const OUTSIDE_NAMES = { 'www.example.com': '203.0.113.10', 'google.com': '203.0.113.10' };
const NAME = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/;

/** @param count how many nodes, whatever the section says (`--nodes`) */
export function readSurroundings(
  section: Section,
  services: readonly ServiceSpec[],
  containersOn: (nodes: readonly NodeSpec[]) => ContainerSpec[],
  count: number | undefined,
  findings: Findings,
): Surroundings {
  if (count !== undefined && !(Number.isInteger(count) && count >= 1 && count <= MOST_NODES)) {
    findings.refuse(
      findings.places.value(`${SECTION}/nodes`),
      `a swarm of ${count} nodes was asked for`,
      `it can have 1 to ${MOST_NODES}`,
    );
    return { nodes: [], outside: [], containers: [], traffic: [], calls: [], changes: [], roles: [], firewall: [] };
  }
  const hosts = new Hosts(findings);
  const outside = outsideOf(section, hosts, findings);
  const nodes = nodesOf(section.nodes, count, hosts, findings);
  const containers = containersOn(nodes);
  const parties = new Parties(nodes, outside, services, containers);
  return {
    nodes,
    outside,
    containers,
    traffic: readTraffic(section.traffic ?? [], parties, findings),
    calls: readCalls(section.calls ?? {}, parties, findings),
    changes: readChanges(section.changes ?? [], { services, nodes, containers }, findings),
    roles: readRoles(section.roles ?? {}, parties, findings),
    firewall: (section.firewall ?? []).map((entry, index) =>
      readFirewallRule(entry, 'block', `${SECTION}/firewall/${index}`, nodes, findings),
    ),
  };
}

/** Names and addresses on the underlay, each given once. */
class Hosts {
  readonly #findings: Findings;
  readonly #names = new Map<string, Place>();
  readonly #addresses = new Map<string, Place>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  name(name: string, pointer: string): string {
    const where = this.#findings.places.value(pointer);
    if (!NAME.test(name))
      this.#findings.refuse(where, `"${name}" is no host name`, 'a host name is made of letters, digits and "-"');
    this.#claim(this.#names, name, 'name', where);
    return name;
  }

  address(address: string, pointer: string): string {
    const where = this.#findings.places.value(pointer);
    if (subnetOf(address) === undefined) {
      const hint = isIpv4(address)
        ? `write ${address}/24`
        : 'an address is written with its prefix length: 192.168.99.110/24';
      this.#findings.refuse(where, `"${address}" is no address with a prefix length`, hint);
    }
    this.#claim(this.#addresses, hostOf(address), 'address', where);
    return address;
  }

  address6(address: string, pointer: string): string {
    const where = this.#findings.places.value(pointer);
    const [host = '', length = ''] = address.split('/');
    if (!isAddress6(host) || !/^\d{1,3}$/.test(length) || Number(length) > 128)
      this.#findings.refuse(
        where,
        `"${address}" is no IPv6 address with a prefix length`,
        'an IPv6 address is written with its prefix length: 2001:db8::110/64',
      );
    this.#claim(this.#addresses, host.toLowerCase(), 'address', where);
    return address;
  }

  has(address: string): boolean {
    return this.#addresses.has(hostOf(address));
  }

  #claim(taken: Map<string, Place>, value: string, what: string, where: Place): void {
    const other = taken.get(value);
    if (other !== undefined) {
      this.#findings.refuse(
        where,
        `the ${what} ${value} is given twice (also at line ${other.line}, column ${other.column})`,
      );
    }
    taken.set(value, where);
  }
}

function outsideOf(section: Section, hosts: Hosts, findings: Findings): OutsideSpec[] {
  const someResolves = (section.outside ?? []).some(({ resolves }) => resolves !== undefined);
  const client = {
    address: '192.168.99.1/24',
    extra_addresses: ['203.0.113.10/32'],
    // Names of the world outside, which end at the address that it answers for.
    ...(section.client?.extra_addresses === undefined && !someResolves ? { resolves: OUTSIDE_NAMES } : {}),
    ...section.client,
    name: 'client',
  };
  const specs = [outsideSpec(client, `${SECTION}/client`, hosts, findings)];
  hosts.name('client', `${SECTION}/client`);
  for (const [index, entry] of (section.outside ?? []).entries()) {
    const pointer = `${SECTION}/outside/${index}`;
    hosts.name(entry.name, `${pointer}/name`);
    if (entry.address === undefined && entry.addresses === undefined && entry.vlans === undefined)
      findings.refuse(
        findings.places.value(pointer),
        `host "${entry.name}" needs an address`,
        'write address: 192.168.99.2/24, or under vlans: 50: 192.168.50.1/24',
      );
    specs.push(outsideSpec(entry, pointer, hosts, findings));
  }
  return specs;
}

function outsideSpec(
  entry: HostEntry & { name: string },
  pointer: string,
  hosts: Hosts,
  findings: Findings,
): OutsideSpec {
  const spec: OutsideSpec = { name: entry.name };
  if (entry.address !== undefined) spec.address = hosts.address(entry.address, `${pointer}/address`);
  if (entry.address6 !== undefined) spec.address6 = hosts.address6(entry.address6, `${pointer}/address6`);
  if (entry.mac !== undefined) spec.mac = entry.mac.toLowerCase();
  if (entry.mtu !== undefined) spec.mtu = entry.mtu;
  const listed = (addresses: readonly string[], at: string) =>
    addresses.map((address, index) => hosts.address(address, below(at, index)));
  if (entry.addresses !== undefined) spec.addresses = listed(entry.addresses, `${pointer}/addresses`);
  if (entry.vlans !== undefined) {
    spec.vlans = Object.entries(entry.vlans).map(([id, written]) => {
      const at = below(`${pointer}/vlans`, id);
      if (Number(id) > MOST_VLANS)
        findings.refuse(
          findings.places.key(at),
          `there is no VLAN ${id}`,
          `a VLAN has a number from 1 to ${MOST_VLANS}`,
        );
      return { id: Number(id), addresses: Array.isArray(written) ? listed(written, at) : [hosts.address(written, at)] };
    });
  }
  if (entry.routes !== undefined) {
    spec.routes = Object.entries(entry.routes).map(([destination, gateway]) =>
      routeOf(destination, gateway, below(`${pointer}/routes`, destination), spec, findings),
    );
  }
  if (entry.extra_addresses !== undefined)
    spec.extraAddresses = listed(entry.extra_addresses, `${pointer}/extra_addresses`);
  if (entry.resolves !== undefined) spec.resolves = namesOf(entry.resolves, `${pointer}/resolves`, findings);
  return spec;
}

/** The gateway has to be on a link of the host's, as `ip route add` wants it. */
function routeOf(
  destination: string,
  gateway: string,
  pointer: string,
  { name, address, addresses = [], vlans = [] }: OutsideSpec,
  findings: Findings,
): { destination: string; gateway: string } {
  const subnet = subnetOf(destination);
  if (subnet === undefined)
    findings.refuse(findings.places.key(pointer), `"${destination}" is no subnet`, 'write 192.168.214.0/24');
  if (!isIpv4(gateway)) findings.refuse(findings.places.value(pointer), `"${gateway}" is no address`);
  else {
    const own = [...(address ? [address] : []), ...addresses, ...vlans.flatMap((vlan) => vlan.addresses)];
    const links = own.flatMap((one) => subnetOf(one) ?? []);
    if (!links.some((link) => isIn(link, gateway)))
      findings.refuse(
        findings.places.value(pointer),
        `Nexthop has invalid gateway: ${name} has no address in a subnet with ${gateway}`,
        'give the host an address there, or name a gateway beside it',
      );
  }
  return { destination: subnet === undefined ? destination : subnetText(subnet), gateway };
}

/** Names are found whatever their case. */
function namesOf(
  entry: Record<string, string | string[]>,
  pointer: string,
  findings: Findings,
): Record<string, string | string[]> {
  for (const [name, addresses] of Object.entries(entry)) {
    const at = below(pointer, name);
    for (const address of [addresses].flat()) {
      if (isIpv4(address) || /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(address)) continue;
      findings.refuse(findings.places.value(at), `"${address}" is no address`, `write ${name}: 203.0.113.10`);
    }
    if (!isName(name)) findings.refuse(findings.places.key(at), `"${name}" is no name that DNS can ask for`);
  }
  return Object.fromEntries(Object.entries(entry).map(([name, to]) => [name.toLowerCase().replace(/\.$/, ''), to]));
}

function nodesOf(written: Section['nodes'], count: number | undefined, hosts: Hosts, findings: Findings): NodeSpec[] {
  const listed = Array.isArray(written)
    ? written.map((entry) => (typeof entry === 'string' ? { name: entry } : entry))
    : [];
  const wanted = count ?? (Array.isArray(written) ? listed.length : (written ?? 3));
  const given: NodeEntry[] = Array.from({ length: wanted }, (_, index) => listed[index] ?? {});
  // Without a manager there is no swarm. The first node that may be one is, unless another says that it is.
  const manager = given.some(({ role }) => role === 'manager') ? -1 : given.findIndex(({ role }) => role === undefined);
  if (manager === -1 && !given.some(({ role }) => role === 'manager')) {
    findings.refuse(
      findings.places.value(`${SECTION}/nodes`),
      'no node is a manager',
      'give one of them role: manager',
    );
  }
  const pointerOf = (index: number): string =>
    index < listed.length ? below(`${SECTION}/nodes`, index) : `${SECTION}/nodes`;
  // Addresses that are written down come first, so that a default never takes one of them.
  const addresses = given.map(({ address }, index) =>
    address === undefined ? undefined : hosts.address(address, `${pointerOf(index)}/address`),
  );
  let next = FIRST_NODE;
  return given.map((entry, index) => {
    const pointer = pointerOf(index);
    let address = addresses[index];
    if (address === undefined) {
      while (hosts.has(`192.168.99.${next}/24`) && next < 254) next += 1;
      address = hosts.address(`192.168.99.${next}/24`, pointer);
      next += 1;
    }
    const spec: NodeSpec = {
      name: hosts.name(entry.name ?? `node${index + 1}`, `${pointer}/name`),
      role: entry.role ?? (index === manager ? 'manager' : 'worker'),
      address,
    };
    if (entry.resolvers !== undefined) spec.resolvers = entry.resolvers;
    if (entry.search !== undefined) spec.search = entry.search;
    if (entry.mac !== undefined) spec.mac = entry.mac.toLowerCase();
    if (entry.mtu !== undefined) spec.mtu = entry.mtu;
    if (entry.networks !== undefined)
      spec.networks = Object.fromEntries(
        Object.entries(entry.networks).map(([network, config]) => [
          network,
          configOf(config, below(`${pointer}/networks`, network), findings),
        ]),
      );
    if (entry.address6 !== undefined) spec.address6 = hosts.address6(entry.address6, `${pointer}/address6`);
    readInterfaces(entry, spec, pointer, hosts, findings);
    if (entry.docker_gwbridge !== undefined)
      spec.gwbridge = readGwbridge(entry.docker_gwbridge, `${pointer}/docker_gwbridge`, findings);
    if (entry.daemon !== undefined) spec.daemon = readDaemon(entry.daemon, `${pointer}/daemon`, findings);
    if (entry.ipv6 !== undefined) spec.ipv6 = entry.ipv6;
    if (entry.labels !== undefined)
      spec.labels = Object.fromEntries(Object.entries(entry.labels).map(([key, value]) => [key, String(value)]));
    return spec;
  });
}

/** As `docker network create --config-only` has it on one node. */
function configOf(entry: ConfigEntry, pointer: string, findings: Findings): NodeNetworkSpec {
  const { parent, subnet, gateway, ip_range: ipRange, aux_addresses: auxAddresses } = entry;
  for (const [key, text] of Object.entries({ subnet, ip_range: ipRange })) {
    if (text !== undefined && subnetOf(text) === undefined)
      findings.refuse(findings.places.value(below(pointer, key)), `"${text}" is no subnet`, 'write 192.168.86.0/24');
  }
  for (const [name, address] of Object.entries({ ...(gateway ? { gateway } : {}), ...auxAddresses })) {
    if (!isIpv4(address)) findings.refuse(findings.places.value(pointer), `${name}: "${address}" is no address`);
  }
  return {
    ...(parent === undefined ? {} : { parent }),
    ...(subnet === undefined ? {} : { subnet }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(ipRange === undefined ? {} : { ipRange }),
    ...(auxAddresses === undefined ? {} : { auxAddresses }),
  };
}

/** moby#41691: the kernel refuses what 20.10 tells its vxlan devices (EAFNOSUPPORT). */
const TUNNELS_OVER_IPV4 =
  'engine 20.10 makes tunnels for IPv4 alone: overlay networks carry nothing between nodes with an IPv6 data path; engine 25.0 and later do';

/** Further NICs, and which address the others are told (`--advertise-addr`, `--data-path-addr`): an address, or an interface's. */
function readInterfaces(entry: NodeEntry, spec: NodeSpec, pointer: string, hosts: Hosts, findings: Findings): void {
  const all = Object.entries(entry.interfaces ?? {});
  const at = `${pointer}/interfaces`;
  if (all.length > 0)
    spec.interfaces = all.map(([name, { address, mac, mtu, segment }]) => {
      if (name === 'eth0')
        findings.refuse(
          findings.places.key(below(at, name)),
          'eth0 is there already',
          'its address stands under the node',
        );
      return {
        name,
        address: hosts.address(address, `${below(at, name)}/address`),
        segment: segment ?? name,
        ...(mac === undefined ? {} : { mac: mac.toLowerCase() }),
        ...(mtu === undefined ? {} : { mtu }),
      };
    });
  const own = new Map([
    ['eth0', hostOf(spec.address ?? '')],
    ...all.map(([name, one]) => [name, hostOf(one.address)] as const),
  ]);
  const address6 = spec.address6 && hostOf(spec.address6);
  const resolved = (wish: string | undefined, key: string): string | undefined => {
    if (wish === undefined) return undefined;
    const address = own.get(wish) ?? wish;
    if (![...own.values(), address6].includes(address))
      findings.refuse(
        findings.places.value(`${pointer}/${key}`),
        isIpv4(wish) || isAddress6(wish)
          ? `must specify a ${key === 'advertise_addr' ? 'listening' : 'data path'} address because ${wish} is no address of ${spec.name}`
          : `could not find interface "${wish}"`,
        `${spec.name} has ${[...own].map(([name, value]) => `${name} (${value})`).join(', ')}${address6 ? `, ${address6}` : ''}`,
      );
    return address;
  };
  const advertise = resolved(entry.advertise_addr, 'advertise_addr');
  const dataPath = resolved(entry.data_path_addr, 'data_path_addr');
  if (advertise !== undefined) spec.advertiseAddress = advertise;
  if (dataPath !== undefined) spec.dataPathAddress = dataPath;
  const key = dataPath === undefined ? 'advertise_addr' : 'data_path_addr';
  if ((dataPath ?? advertise)?.includes(':') && findings.engine.startsWith('20.'))
    findings.warn(key, findings.places.value(`${pointer}/${key}`), TUNNELS_OVER_IPV4);
}
