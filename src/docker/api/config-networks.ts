/** Config-only networks, and what may be asked for beside them (libnetwork network.go, validateConfiguration). */

import type { ConfigNetwork } from '../../swarm/config-networks.js';
import type { NetworkSpec } from '../../topology/spec.js';
import type { World } from '../world.js';
import { timeText } from './context.js';
import { ApiError } from './errors.js';

export interface ConfigNotes {
  labels: Record<string, string>;
  created: number;
  ipamOptions: Record<string, string>;
}
export const configNotes = new WeakMap<ConfigNetwork, ConfigNotes>();

interface Asked {
  configOnly: boolean;
  configFrom: string;
  /** `--internal`, `--attachable`, `--ingress` or `--scope`. */
  operated: boolean;
  /** It has subnets, IPv6 or labels of its own. */
  configured: boolean;
  options: Record<string, string>;
}

/** @throws ApiError for what libnetwork does not take together */
export function checkConfig({ configOnly, configFrom, operated, configured, options }: Asked): void {
  const refuse = (words: string) => {
    throw new ApiError(403, words);
  };
  if (configOnly && operated)
    refuse(
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
    );
  if (configFrom === '') return;
  if (configOnly) refuse('a configuration network cannot depend on another configuration network');
  if (configured)
    refuse('user specified configurations are not supported if the network depends on a configuration network');
  if (Object.keys(options).length > 0)
    refuse('network driver options are not supported if the network depends on a configuration network');
}

export function configJson(world: World, config: ConfigNetwork) {
  const { spec } = config;
  const note = configNotes.get(config);
  const pools = spec.subnet ? [{ ...spec, subnet: spec.subnet }, ...(spec.furtherPools ?? [])] : [];
  return {
    Name: config.name,
    Id: config.id,
    Created: timeText(world.at(note?.created ?? 0)),
    Scope: 'local',
    Driver: 'null',
    EnableIPv6: spec.ipv6 ?? false,
    IPAM: {
      Driver: 'default',
      Options: note?.ipamOptions ?? {},
      Config: [
        ...pools.map((pool) => poolJson(pool)),
        ...(spec.subnet6 ? [{ Subnet: spec.subnet6, ...(spec.gateway6 ? { Gateway: spec.gateway6 } : {}) }] : []),
      ],
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: true,
    Containers: {},
    Options: spec.options ?? {},
    Labels: note?.labels ?? {},
  };
}

function poolJson({ subnet, gateway, ipRange, auxAddresses }: Partial<NetworkSpec> & { subnet: string }) {
  return {
    Subnet: subnet,
    ...(ipRange ? { IPRange: ipRange } : {}),
    ...(gateway ? { Gateway: gateway } : {}),
    ...(auxAddresses ? { AuxiliaryAddresses: auxAddresses } : {}),
  };
}
