/**
 * `ipam.config` of a network: its subnets, gateways, ranges and reserved addresses (docker/cli, cli/compose/convert/compose.go;
 * libnetwork ipam). Subnets of one file do not overlap.
 */

import { isIn, isIpv4, type Span, subnetText } from '../topology/ipv4.js';
import { cidr6, isIn as isIn6, prefixOf } from '../topology/ipv6.js';
import type { DriverName, NetworkSpec, PoolSpec } from '../topology/spec.js';
import { overlap, subnetOf } from './addresses.js';
import { type ComposeNetwork, type ComposePool, isOn } from './compose-file.js';
import type { Findings } from './findings.js';
import { below } from './places.js';

/** Drivers whose networks may have several IPv4 subnets. */
const MANY_SUBNETS: readonly DriverName[] = ['macvlan', 'ipvlan'];

/** A subnet of this file, and where it is written. */
export interface Pool {
  name: string;
  range: Span;
  pointer: string;
}

export function readPools(
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
    if (range === undefined || range.length > 30 || range.length === 0) {
      findings.refuse(places.value(`${at}/subnet`), `"${pool.subnet}" is no subnet`, 'a subnet is written 10.1.0.0/24');
      continue;
    }
    const several = MANY_SUBNETS.includes(spec.driver);
    if (spec.subnet !== undefined && !several) {
      findings.unsupport('ipam.config', places.value(at), 'a network has one IPv4 subnet, the first', owner);
      continue;
    }
    const read: PoolSpec = { subnet: subnetText(range) };
    if (read.subnet !== pool.subnet)
      findings.warn('subnet', places.value(`${at}/subnet`), `subnet ${pool.subnet} is taken as ${read.subnet}`);
    const clash = pools.find((other) => overlap(other.range, range));
    if (clash !== undefined) {
      const { line, column } = places.value(clash.pointer);
      findings.refuse(
        places.value(`${at}/subnet`),
        `subnet ${read.subnet} overlaps with ${subnetText(clash.range)} of network "${clash.name}" (line ${line}, column ${column})`,
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
  range: Span,
  at: string,
  local: boolean,
  findings: Findings,
): void {
  const { places } = findings;
  const within = (address: string, pointer: string, what: string): boolean => {
    if (isIpv4(address) && isIn(range, address)) return true;
    findings.refuse(places.value(pointer), `${what} "${address}" is no address in ${read.subnet}`);
    return false;
  };
  if (gateway !== undefined && within(gateway, `${at}/gateway`, 'gateway')) read.gateway = gateway;
  if (!local) return;
  if (ip_range !== undefined) {
    const part = subnetOf(ip_range);
    if (part === undefined)
      findings.refuse(places.value(`${at}/ip_range`), `"${ip_range}" is no range`, 'a range is written 10.1.0.128/25');
    else if (part.first < range.first || part.last > range.last)
      findings.refuse(places.value(`${at}/ip_range`), `the range ${ip_range} is not in ${read.subnet}`);
    else read.ipRange = subnetText(part);
  }
  const reserved = Object.entries(aux_addresses ?? {}).filter(([name, address]) =>
    within(String(address), below(`${at}/aux_addresses`, name), `the auxiliary address "${name}"`),
  );
  if (reserved.length > 0)
    read.auxAddresses = Object.fromEntries(reserved.map(([name, address]) => [name, String(address)]));
}

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
  if (address !== undefined && isIn6(address.address, spec.subnet6)) spec.gateway6 = address.address;
  else findings.refuse(places.value(`${at}/gateway`), `gateway "${gateway}" is no address in ${spec.subnet6}`);
}

function attempt6(text: string): { address: string; length: number } | undefined {
  try {
    return cidr6(text);
  } catch {
    return undefined;
  }
}
