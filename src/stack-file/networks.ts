/**
 * The networks of a stack, as `docker stack deploy` makes them (docker/cli, cli/compose/convert/compose.go): overlay networks,
 * and only those that a service joins; services that name none share the network `default`.
 *
 * Docker puts the stack's name before a network's (`app_backend`). Names stay plain here, as their author wrote them.
 */
import type { IPv4CidrRange } from 'ip-num';
import type { Drivers } from '../drivers/index.js';
import { cidr6, isIn, prefixOf } from '../topology/ipv6.js';
import type { DriverName, NetworkSpec, PoolSpec } from '../topology/spec.js';
import { canonical, contains, isAddress, overlap, subnetOf } from './addresses.js';
import { type ComposeFile, type ComposeNetwork, type ComposePool, entries, isOn } from './compose-file.js';
import type { Findings } from './findings.js';
import { below, spelled } from './places.js';
import { tellUnknownOption } from './swarm-init.js';
import { SECTION, type Section } from './swarmwire-schema.js';
import { knownNames } from './wording.js';

/** A service, or a container under x-swarmwire, joins the network that the file calls `key`. */
export interface Attachment {
  kind?: 'service' | 'container';
  /** It joins on its own node: no swarm has it. */
  byHand?: boolean;
  service: string;
  key: string;
  /** Where the service says so. */
  pointer: string;
}

export interface Networks {
  specs: NetworkSpec[];
  /** The network's name by the key that the file has for it. */
  names: Map<string, string>;
}

/** Docker's own of local scope that can be given the scope of the swarm: they reach beyond their node by themselves. */
const SCOPED: readonly DriverName[] = ['macvlan', 'ipvlan'];
/** Every node has networks of these names already. */
const TAKEN = ['ingress', 'docker_gwbridge', 'bridge', 'host', 'none'];
const VNI_OPTION = 'com.docker.network.driver.overlay.vxlanid_list';

interface Pool {
  name: string;
  range: IPv4CidrRange;
  pointer: string;
}

export function readNetworks(
  file: ComposeFile,
  attachments: readonly Attachment[],
  drivers: Drivers,
  findings: Findings,
): Networks {
  const { places } = findings;
  const defined = new Map(entries(file.networks));
  const used = new Set<string>();
  for (const { kind = 'service', service, key, pointer } of attachments) {
    if (key !== 'default' && !defined.has(key)) {
      const hint = `define it at the top level, "networks: {${key}: {}}", or ${knownNames(key, [...defined.keys()])}`;
      findings.refuse(places.key(pointer), `${kind} "${service}" joins network "${key}", which is not defined`, hint);
    }
    used.add(key);
  }

  const specs: NetworkSpec[] = [];
  const names = new Map<string, string>();
  const pools: Pool[] = [];
  const { ingress } = (file['x-swarmwire'] ?? {}) as Section;
  if (ingress) specs.push(ingressOf(ingress, pools, drivers, findings));
  for (const key of new Set([...defined.keys(), ...used])) {
    const pointer = below('/networks', key);
    if (!used.has(key)) {
      findings.ignore(
        `networks.${key}`,
        places.key(pointer),
        'no service joins it, so docker stack deploy does not make it',
      );
      continue;
    }
    const standing = standingOf(key, defined.get(key) ?? {}, pointer, drivers, findings);
    if (standing !== undefined) {
      names.set(key, standing);
      continue;
    }
    const served = attachments.some((one) => one.key === key && !one.byHand);
    const spec = networkOf(key, defined.get(key) ?? {}, pointer, served, pools, drivers, findings);
    if (specs.some((other) => other.name === spec.name)) {
      findings.refuse(
        places.key(pointer),
        `two networks have the name "${spec.name}"`,
        'give one of them another "name"',
      );
    }
    names.set(key, spec.name);
    specs.push(spec);
  }
  return { specs, names };
}

/** `host`, `none` and `bridge` stand on every node: the name of the one that is meant, and nothing is made. */
function standingOf(
  key: string,
  network: ComposeNetwork,
  pointer: string,
  drivers: Drivers,
  findings: Findings,
): string | undefined {
  const external = typeof network.external === 'object' || isOn(network.external);
  const given = (typeof network.external === 'object' ? network.external.name : undefined) || network.name || key;
  if (external && (given === 'bridge' || drivers.withOnly(given))) return given;
  const only = drivers.find(network.driver === 'none' ? 'null' : (network.driver ?? ''))?.only;
  if (!only) return undefined;
  // As dockerd says it.
  findings.refuse(
    findings.places.value(below(pointer, 'driver')),
    `only one instance of "${network.driver}" network is allowed`,
    `it is there already: write ${key}: {external: true, name: ${only.network}}`,
  );
  return only.network;
}

/** Every node is on it, and no service joins it. */
function ingressOf(
  network: NonNullable<Section['ingress']>,
  pools: Pool[],
  drivers: Drivers,
  findings: Findings,
): NetworkSpec {
  const pointer = `${SECTION}/ingress`;
  const spec: NetworkSpec = { name: network.name || 'ingress', driver: 'overlay', ingress: true };
  readPools('ingress', network, spec, pointer, pools, false, findings);
  readOptions('ingress', network, spec, pointer, drivers, findings);
  return spec;
}

function networkOf(
  key: string,
  network: ComposeNetwork,
  pointer: string,
  /** By a service: then it must span the swarm. */
  served: boolean,
  pools: Pool[],
  drivers: Drivers,
  findings: Findings,
): NetworkSpec {
  const external = typeof network.external === 'object' || isOn(network.external);
  const name = nameOf(key, network, external, pointer, findings);
  const spec: NetworkSpec = { name, driver: driverOf(network, external, name, pointer, served, drivers, findings) };
  if (external) {
    findings.unsupport(
      'external',
      findings.places.key(below(pointer, 'external')),
      'swarmwire knows no networks but those of the file, so it makes this one with the settings found here',
      `networks.${key}`,
    );
  }
  if (served && SCOPED.includes(spec.driver)) spec.scope = 'swarm';
  readPools(key, network, spec, pointer, pools, drivers.find(spec.driver)?.scope === 'local', findings);
  readOptions(key, network, spec, pointer, drivers, findings);
  return spec;
}

function nameOf(key: string, network: ComposeNetwork, external: boolean, pointer: string, findings: Findings): string {
  const given = (typeof network.external === 'object' ? network.external.name : undefined) || network.name || key;
  if (!TAKEN.includes(given)) return given;
  const where = findings.places.key(pointer);
  if (external || network.name) {
    if (given === 'ingress' || given === 'docker_gwbridge') {
      findings.refuse(
        where,
        `a service cannot join the network "${given}"`,
        'every node joins it by itself; publish a port instead',
      );
    }
    return given;
  }
  // Docker calls it STACK_ingress and has no clash; without prefixes there would be one.
  findings.warn(
    `networks.${key}`,
    where,
    `every node has a network "${given}" already; this one is called "stack_${given}"`,
  );
  return `stack_${given}`;
}

function driverOf(
  network: ComposeNetwork,
  external: boolean,
  name: string,
  pointer: string,
  served: boolean,
  drivers: Drivers,
  findings: Findings,
): DriverName {
  const builtIn = drivers.names;
  const written =
    network.driver ||
    (external && builtIn.includes(name) ? name : served || isOn(network.attachable) ? 'overlay' : 'bridge');
  const where = findings.places.value(below(pointer, 'driver'));
  const driver = written;
  const found = drivers.find(driver);
  if (found === undefined) {
    // As dockerd says it.
    findings.refuse(
      where,
      `plugin "${written}" not found`,
      `${knownNames(written, builtIn)}; a driver of your own is brought along with --driver ./my-driver.js`,
    );
    return 'overlay';
  }
  if (found.scope === 'swarm') return driver;
  if (served && SCOPED.includes(driver)) {
    findings.warn(
      spelled(pointer),
      where,
      `docker stack deploy would make it on one node; it is made as by "docker network create --driver ${driver} --scope swarm --config-from ...", with this configuration on every node`,
    );
    return driver;
  }
  if (served) {
    findings.unsupport(
      'driver',
      where,
      `a stack's networks can be overlay networks only, and this is ${driver}`,
      spelled(pointer),
    );
    return 'overlay';
  }
  return driver;
}

function readPools(
  key: string,
  network: ComposeNetwork,
  spec: NetworkSpec,
  pointer: string,
  pools: Pool[],
  /** The driver's networks are their node's own: all of `ipam.config` is carried out. */
  local: boolean,
  findings: Findings,
): void {
  const { places } = findings;
  const ipam = network.ipam ?? {};
  const owner = `networks.${key}`;
  if (ipam.driver && ipam.driver !== 'default') {
    findings.unsupport(
      'ipam.driver',
      places.value(`${pointer}/ipam/driver`),
      'addresses come from the default IPAM driver',
      owner,
    );
  }
  for (const [index, pool] of (ipam.config ?? []).entries()) {
    const at = `${pointer}/ipam/config/${index}`;
    if (!local) {
      for (const other of ['ip_range', 'aux_addresses'] as const) {
        if (pool[other] === undefined) continue;
        findings.unsupport(
          `ipam.config.${other}`,
          places.key(below(at, other)),
          'every address of the subnet is given out in order',
          owner,
        );
      }
    }
    if (pool.subnet === undefined) {
      if (pool.gateway !== undefined)
        findings.refuse(places.key(`${at}/gateway`), 'a gateway needs a subnet', 'write subnet: 10.1.0.0/24 beside it');
      continue;
    }
    if (pool.subnet.includes(':')) {
      readPool6(pool, spec, network, at, owner, findings);
      continue;
    }
    const range = subnetOf(pool.subnet);
    if (range === undefined || range.getPrefix().getValue() > 30n || range.getPrefix().getValue() === 0n) {
      findings.refuse(places.value(`${at}/subnet`), `"${pool.subnet}" is no subnet`, 'a subnet is written 10.1.0.0/24');
      continue;
    }
    const several = SCOPED.includes(spec.driver);
    if (spec.subnet !== undefined && !several) {
      findings.unsupport('ipam.config', places.value(at), 'a network has one IPv4 subnet, the first', owner);
      continue;
    }
    const read: PoolSpec = { subnet: canonical(range) };
    if (read.subnet !== pool.subnet)
      findings.warn('subnet', places.value(`${at}/subnet`), `subnet ${pool.subnet} is taken as ${read.subnet}`);
    const clash = pools.find((other) => overlap(other.range, range));
    if (clash !== undefined) {
      const { line, column } = places.value(clash.pointer);
      findings.refuse(
        places.value(`${at}/subnet`),
        `subnet ${read.subnet} overlaps with ${canonical(clash.range)} of network "${clash.name}" (line ${line}, column ${column})`,
        'give each network a subnet of its own',
      );
    }
    pools.push({ name: key, range, pointer: `${at}/subnet` });
    readPool(pool, read, range, at, local, findings);
    if (spec.subnet === undefined) Object.assign(spec, read);
    else spec.furtherPools = [...(spec.furtherPools ?? []), read];
  }
}

/** Gateway, range and reserved addresses of one subnet. */
function readPool(
  { gateway, ip_range, aux_addresses }: ComposePool,
  read: PoolSpec,
  range: IPv4CidrRange,
  at: string,
  local: boolean,
  findings: Findings,
): void {
  const { places } = findings;
  const within = (address: string, pointer: string, what: string): boolean => {
    if (isAddress(address) && contains(range, address)) return true;
    findings.refuse(places.value(pointer), `${what} "${address}" is no address in ${read.subnet}`);
    return false;
  };
  if (gateway !== undefined && within(gateway, `${at}/gateway`, 'gateway')) read.gateway = gateway;
  if (!local) return;
  if (ip_range !== undefined) {
    const part = subnetOf(ip_range);
    if (part === undefined)
      findings.refuse(places.value(`${at}/ip_range`), `"${ip_range}" is no range`, 'a range is written 10.1.0.128/25');
    else if (!contains(range, part.getFirst().toString()) || !contains(range, part.getLast().toString()))
      findings.refuse(places.value(`${at}/ip_range`), `the range ${ip_range} is not in ${read.subnet}`);
    else read.ipRange = canonical(part);
  }
  const reserved = Object.entries(aux_addresses ?? {}).filter(([name, address]) =>
    within(String(address), below(`${at}/aux_addresses`, name), `the auxiliary address "${name}"`),
  );
  if (reserved.length > 0)
    read.auxAddresses = Object.fromEntries(reserved.map(([name, address]) => [name, String(address)]));
}

/** Of any engine version: "TODO IPv6 support" (libnetwork service_linux.go; moby#24379). */
const OVERLAY_IPV6 = 'overlay endpoints, virtual IPs and the routing mesh have IPv4 only, so this network stays IPv4';

/** The first IPv6 subnet, and its gateway. */
function readPool6(
  { subnet = '', gateway }: { subnet?: string | undefined; gateway?: string | undefined },
  spec: NetworkSpec,
  network: ComposeNetwork,
  at: string,
  owner: string,
  findings: Findings,
): void {
  const { places } = findings;
  const read = attempt6(subnet);
  if (read === undefined || !subnet.includes('/') || read.length < 1 || read.length > 126) {
    findings.refuse(
      places.value(`${at}/subnet`),
      `"${subnet}" is no subnet`,
      'an IPv6 subnet is written 2001:db8:1::/64',
    );
    return;
  }
  if (spec.subnet6 !== undefined) {
    findings.unsupport('ipam.config', places.value(at), 'a network has one IPv6 subnet, the first', owner);
    return;
  }
  if (!isOn(network.enable_ipv6)) {
    findings.ignore('ipam.config.subnet', places.value(`${at}/subnet`), 'the network has no enable_ipv6: true', owner);
    return;
  }
  spec.subnet6 = `${prefixOf(subnet)}/${read.length}`;
  if (spec.subnet6 !== subnet)
    findings.warn('subnet', places.value(`${at}/subnet`), `subnet ${subnet} is taken as ${spec.subnet6}`);
  if (gateway === undefined) return;
  const address = attempt6(gateway);
  if (address !== undefined && isIn(address.address, spec.subnet6)) spec.gateway6 = address.address;
  else findings.refuse(places.value(`${at}/gateway`), `gateway "${gateway}" is no address in ${spec.subnet6}`);
}

function attempt6(text: string): { address: string; length: number } | undefined {
  try {
    return cidr6(text);
  } catch {
    return undefined;
  }
}

function readOptions(
  key: string,
  network: ComposeNetwork,
  spec: NetworkSpec,
  pointer: string,
  drivers: Drivers,
  findings: Findings,
): void {
  const { places } = findings;
  const owner = `networks.${key}`;
  const driver = drivers.find(spec.driver);
  if (isOn(network.attachable)) spec.attachable = true;
  if (isOn(network.internal)) spec.internal = true;
  if (isOn(network.enable_ipv6)) {
    const where = places.key(`${pointer}/enable_ipv6`);
    if (driver?.scope === 'swarm') findings.unsupport('enable_ipv6', where, OVERLAY_IPV6, owner);
    else if (spec.subnet6 === undefined)
      findings.refuse(
        where,
        'could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network',
        'engine 20.10 has no IPv6 pool of its own: write a subnet under ipam.config, subnet: 2001:db8:1::/64',
      );
    else spec.ipv6 = true;
  }
  if (network.enable_ipv4 !== undefined && !isOn(network.enable_ipv4)) {
    findings.unsupport('enable_ipv4', places.key(`${pointer}/enable_ipv4`), 'every network has IPv4', owner);
  }
  const options = Object.entries(network.driver_opts ?? {});
  if (options.length === 0) return;
  spec.options = {};
  for (const [option, value] of options) {
    const at = below(`${pointer}/driver_opts`, option);
    spec.options[option] = String(value ?? '');
    const known = Object.hasOwn(driver?.options ?? {}, option) ? driver?.options?.[option] : undefined;
    const wrong = known?.(spec.options[option]);
    if (wrong) findings.refuse(places.value(at), wrong);
    else if (option === VNI_OPTION) readVni(value, spec, at, findings);
    else if (!known) tellUnknownOption(option, at, driver, owner, findings);
  }
}

function readVni(value: unknown, spec: NetworkSpec, pointer: string, findings: Findings): void {
  const vni = Number(value);
  if (Number.isInteger(vni) && vni >= 1 && vni < 2 ** 24) spec.vni = vni;
  else
    findings.refuse(
      findings.places.value(pointer),
      `"${String(value)}" is no VXLAN network identifier`,
      'write one number from 1 to 16777215',
    );
}
