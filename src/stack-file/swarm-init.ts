/**
 * What is done before a stack is deployed: `docker swarm init`, a docker_gwbridge made by hand, under
 * `x-swarmwire`.
 */

import { bridge } from '../drivers/bridge.js';
import { type Driver, optionsOf } from '../drivers/index.js';
import { isIn, isIpv4, subnetText } from '../topology/ipv4.js';
import type { GwbridgeSpec, SwarmSpec } from '../topology/spec.js';
import { subnetOf } from './addresses.js';
import type { Findings } from './findings.js';
import { below } from './places.js';
import { type MadeNetwork, SECTION, type Section } from './section.js';
import { nearest } from './wording.js';

export function readSwarmInit({ swarm }: Section, findings: Findings): SwarmSpec | undefined {
  if (typeof swarm !== 'object') return undefined;
  const { data_path_port: port, default_addr_pool: pools, default_addr_pool_mask_length: length } = swarm;
  const at = `${SECTION}/swarm/default_addr_pool`;
  const list = pools === undefined ? [] : [pools].flat();
  for (const [i, pool] of list.entries()) {
    const range = subnetOf(pool);
    const where = findings.places.value(Array.isArray(pools) ? below(at, i) : at);
    if (range === undefined) findings.refuse(where, `invalid default address pool: invalid CIDR address: ${pool}`);
    else if (range.length > (length ?? 24))
      findings.refuse(where, `invalid CIDR address pool: ${pool} is smaller than a subnet of /${length ?? 24}`);
  }
  return {
    ...(port === undefined ? {} : { dataPathPort: port }),
    ...(list.length > 0 ? { addressPools: list } : {}),
    ...(length === undefined ? {} : { maskLength: length }),
  };
}

export function readGwbridge(written: MadeNetwork, pointer: string, findings: Findings): GwbridgeSpec {
  return readMade(written, bridge, pointer, findings);
}

function readMade(written: MadeNetwork, driver: Driver, pointer: string, findings: Findings): GwbridgeSpec {
  const { places } = findings;
  const spec: GwbridgeSpec = {};
  const range = written.subnet === undefined ? undefined : subnetOf(written.subnet);
  if (written.subnet !== undefined) {
    if (range === undefined)
      findings.refuse(
        places.value(`${pointer}/subnet`),
        `"${written.subnet}" is no subnet`,
        'a subnet is written 10.1.0.0/24',
      );
    else spec.subnet = subnetText(range);
  }
  if (written.gateway !== undefined) {
    const where = places.value(`${pointer}/gateway`);
    if (range === undefined) findings.refuse(where, 'a gateway needs a subnet', 'write subnet: 10.1.0.0/24 beside it');
    else if (!isIpv4(written.gateway) || !isIn(range, written.gateway))
      findings.refuse(where, `gateway "${written.gateway}" is no address in ${subnetText(range)}`);
    else spec.gateway = written.gateway;
  }
  const options = Object.entries(written.driver_opts ?? {});
  if (options.length > 0) spec.options = {};
  for (const [option, value] of options) {
    const at = below(`${pointer}/driver_opts`, option);
    const text = String(value ?? '');
    if (spec.options) spec.options[option] = text;
    const known = Object.hasOwn(optionsOf(driver, findings.engine), option)
      ? optionsOf(driver, findings.engine)[option]
      : undefined;
    const wrong = known?.(text);
    if (wrong) findings.refuse(places.value(at), wrong);
    else if (!known) tellUnknownOption(option, at, driver, undefined, findings);
  }
  return spec;
}

/** An option that a driver does not know: dockerd takes it, and nothing changes. */
export function tellUnknownOption(
  option: string,
  pointer: string,
  driver: Driver | undefined,
  owner: string | undefined,
  findings: Findings,
): void {
  const meant = nearest(option, Object.keys(optionsOf(driver, findings.engine)));
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  const why = `the driver "${driver?.name}" does not know this option, and nothing changes${hint}`;
  findings.ignore(`driver_opts.${option}`, findings.places.key(pointer), why, owner);
}
