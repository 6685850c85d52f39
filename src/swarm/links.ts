/** `docker run --link`: legacy links on the default bridge, aliases elsewhere (moby daemon/container_operations.go, buildSandboxOptions). */

import { hostPart, type Link, type Sandbox } from '../topology/topology.js';
import { DockerError } from './errors.js';
import type { Records } from './records.js';
import type { ContainerState } from './state.js';

/** What links on the default bridge lead to: the other container's address, and the ports that it exposes. */
export function linksOf({ spec, node }: ContainerState, sandbox: Sandbox, records: Records): Link[] | undefined {
  if (spec.links.length === 0) return undefined;
  sandbox.extraHosts ??= [];
  return spec.links.map(({ container, alias }) => {
    const other = records.containersOn(node).find(({ name }) => name === container);
    const child = other?.sandbox?.endpoints.find(({ network }) => network === 'bridge');
    if (!other) throw new DockerError(400, `could not get container for ${container}: No such container: ${container}`);
    if (!child) throw new DockerError(400, `Cannot link to ${container}, as it does not belong to the default network`);
    const exposes = [
      ...other.spec.exposes,
      ...other.spec.ports.map(({ target: port, protocol }) => ({ port, protocol })),
    ];
    const once = exposes.filter(
      (one, i) => exposes.findIndex(({ port, protocol }) => port === one.port && protocol === one.protocol) === i,
    );
    const names = [alias, other.sandbox?.hostname ?? other.id.slice(0, 12), container];
    sandbox.extraHosts?.push({ address: hostPart(child.address), names: [...new Set(names)] });
    return { address: child.address, exposes: once };
  });
}

/** Names that this container alone knows on a user-defined network. */
export function linkAliasesOf({ spec }: ContainerState): Record<string, string> | undefined {
  if (spec.links.length === 0) return undefined;
  return Object.fromEntries(spec.links.map(({ container, alias }) => [alias, container]));
}
