/**
 * The networks of a stack, as `docker stack deploy` makes them (docker/cli, cli/compose/convert/compose.go): overlay networks,
 * and only those that a service joins; services that name none share the network `default`.
 *
 * Docker puts the stack's name before a network's (`app_backend`). Names stay plain here, as their author wrote them.
 */
import { type Drivers, optionsOf } from '../drivers/index.js';
import type { DriverName, NetworkSpec } from '../topology/spec.js';
import { type ComposeFile, type ComposeNetwork, entries, isOn } from './compose-file.js';
import type { Findings } from './findings.js';
import { below, spelled } from './places.js';
import { type Pool, readPools } from './pools.js';
import { SECTION, type Section } from './section.js';
import { tellUnknownOption } from './swarm-init.js';
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

/** Of any engine version: "TODO IPv6 support" (libnetwork service_linux.go; moby#24379). */
const OVERLAY_IPV6 = 'overlay endpoints, virtual IPs and the routing mesh have IPv4 only, so this network stays IPv4';

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
    else if (spec.subnet6 === undefined && findings.engine === '20.10')
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
    const checks = optionsOf(driver, findings.engine);
    const known = Object.hasOwn(checks, option) ? checks[option] : undefined;
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
