/**
 * `placement` of the `x-swarmwire` section: a service or a container on named nodes, as Helios deployed a job, or by `spread`, as
 * the first Swarm placed containers: on the node with the fewest.
 */

import { spreadContainer } from '../swarm/placement.js';
import type { ServiceSpec } from '../topology/spec.js';
import type { Written } from './containers.js';
import type { Findings } from './findings.js';
import { below } from './places.js';
import { SECTION, type Section } from './section.js';
import { knownNames } from './wording.js';

const AT = `${SECTION}/placement`;
const SPREAD = 'spread';

/** The services with what is said of them; what else is named is a container. */
export function placeServices(
  { placement = {} }: Section,
  services: readonly ServiceSpec[],
  written: readonly Written[],
  nodes: readonly { name: string }[],
  /** Services of the file that say how many replicas they have. */
  counted: ReadonlySet<string>,
  findings: Findings,
): void {
  const containers = written.map(({ name, service = name }) => service);
  const known = [...new Set([...services.map(({ name }) => name), ...containers])];
  for (const [name, said] of Object.entries(placement)) {
    const pointer = below(AT, name);
    const on = namedNodes(said, pointer, nodes, findings);
    const service = services.find((one) => one.name === name);
    if (!known.includes(name))
      findings.refuse(
        findings.places.key(pointer),
        `there is no service or container "${name}"`,
        knownNames(name, known),
      );
    else if (on && on.length > 1 && written.some((one) => one.name === name && one.service === undefined))
      findings.refuse(
        findings.places.value(pointer),
        `container "${name}" runs on one node`,
        'name one node, or make it a service',
      );
    if (!service) continue;
    if (service.mode === 'global' && !on)
      findings.refuse(
        findings.places.value(pointer),
        `service "${name}" is global: it has a task on each node`,
        'name nodes, or leave it away',
      );
    service.placement = on ?? SPREAD;
    // A job on each of the named nodes.
    if (on && service.mode === 'replicated' && !counted.has(name)) service.replicas = on.length;
  }
}

function namedNodes(
  said: string | string[],
  pointer: string,
  nodes: readonly { name: string }[],
  findings: Findings,
): string[] | undefined {
  if (said === SPREAD) return undefined;
  const names = nodes.map(({ name }) => name);
  const list = [said].flat();
  for (const [i, name] of list.entries())
    if (!names.includes(name))
      findings.refuse(
        findings.places.value(Array.isArray(said) ? below(pointer, i) : pointer),
        `there is no node "${name}"`,
        knownNames(name, [...names, SPREAD]),
      );
  return list;
}

/** Each container's node: its own word's, the placement's, or the first. Containers of one service take turns. */
export function containerNodes(
  placement: NonNullable<Section['placement']>,
  written: readonly Written[],
  nodes: readonly { name: string }[],
  findings: Findings,
): ReadonlyMap<string, string> {
  const chosen = new Map<string, string>();
  const turns = new Map<string, number>();
  for (const { name, service = name, node, entry } of written) {
    const said = placement[service];
    if (said !== undefined && node !== undefined)
      findings.refuse(
        findings.places.value(below(AT, service)),
        `container "${name}" has a node already`,
        'write either node, or its placement',
      );
    const turn = turns.get(service) ?? 0;
    turns.set(service, turn + 1);
    const list = [said ?? []].flat();
    chosen.set(
      name,
      said === SPREAD
        ? spreadContainer(
            nodes.map((one) => one.name),
            [...chosen.values()],
            (entry.links ?? []).flatMap((link) => chosen.get(link.split(':')[0] ?? '') ?? []),
          )
        : (node ?? list[turn % list.length] ?? nodes[0]?.name ?? ''),
    );
  }
  return chosen;
}
