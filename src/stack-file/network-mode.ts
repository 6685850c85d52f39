/**
 * `network_mode`: the node's network namespace, none, the default bridge, or another container's (compose-spec, spec.md;
 * docker/compose, pkg/compose/create.go). The name of a network is its only network.
 */
import { DockerError } from '../swarm/errors.js';
import { checkMode, checkTogether } from '../swarm/network-mode.js';
import type { ContainerSpec } from '../topology/spec.js';
import type { Written } from './containers.js';
import type { Findings } from './findings.js';
import { knownNames } from './wording.js';

/** With whom `spec` shares a namespace; what does not go together is refused. */
export function readMode(
  { entry, pointer, name }: Written,
  spec: ContainerSpec,
  neighbours: readonly Written[],
  findings: Findings,
): { sharesWith?: string } {
  const { network_mode: mode, networks } = entry;
  const where = findings.places.value(`${pointer}/network_mode`);
  if (mode !== undefined && networks !== undefined && Object.keys(networks ?? {}).length > 0)
    findings.refuse(where, `"${name}" declares mutually exclusive network_mode and networks`, 'keep one of them');
  const shared = mode?.includes(':') ? sharedWith(name, mode, neighbours, where, findings) : {};
  const whole = { ...spec, ...shared };
  try {
    checkMode(whole);
    checkTogether(spec.networks.map((one) => one.name));
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    findings.refuse(mode === undefined ? findings.places.value(`${pointer}/networks`) : where, error.message);
  }
  if (spec.ports.length > 0 && spec.networks.some((one) => one.name === 'host'))
    findings.warn(
      'ports',
      findings.places.value(`${pointer}/ports`),
      'Published ports are discarded when using host network mode',
    );
  return shared;
}

/** `container:NAME`, and in Compose `service:NAME`. */
function sharedWith(
  name: string,
  mode: string,
  neighbours: readonly Written[],
  where: { line: number; column: number },
  findings: Findings,
): { sharesWith?: string } {
  const [kind = '', ...rest] = mode.split(':');
  const other = rest.join(':');
  if (kind !== 'container' && kind !== 'service') {
    findings.refuse(where, `invalid network_mode: ${mode}`, 'write host, none, bridge, container:NAME or service:NAME');
    return {};
  }
  const found = neighbours.find((one) => (kind === 'service' ? one.service : one.name) === other);
  if (found && found.name !== name) return { sharesWith: found.name };
  if (found) findings.refuse(where, 'cannot join own network');
  else if (kind === 'service') {
    const known = neighbours.flatMap(({ service }) => service ?? []);
    findings.refuse(where, `there is no service "${other}" here`, knownNames(other, known));
  } else
    findings.refuse(
      where,
      `No such container: ${other}`,
      knownNames(
        other,
        neighbours.map((one) => one.name),
      ),
    );
  return {};
}
