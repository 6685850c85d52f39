/**
 * A file without a swarm (`x-swarmwire: {swarm: false}`): its services are containers of one node, as `docker compose up` makes
 * them (docker/compose, pkg/compose/convergence.go, create.go). Their network is a bridge; each is known there by its service's name.
 */
import { type ComposeFile, type ComposeService, entries } from './compose-file.js';
import type { Written } from './containers.js';
import type { Findings } from './findings.js';
import { COMPOSE_IGNORED_KEYS, COMPOSE_UNSUPPORTED_ATTACHMENT_KEYS } from './keys.js';
import { below } from './places.js';
import type { ContainerEntry } from './section.js';
import { nameWithoutEffect, refuseExtends } from './services.js';

export function composedServices(file: ComposeFile, findings: Findings): Written[] {
  return entries(file.services).flatMap(([service, composed]) => {
    const pointer = below('/services', service);
    for (const key of Object.keys(composed)) {
      const why = COMPOSE_IGNORED_KEYS.get(key);
      if (why !== undefined) findings.ignore(key, findings.places.key(below(pointer, key)), why, service);
    }
    refuseExtends(service, composed, pointer, findings);
    if (!Array.isArray(composed.networks))
      for (const [key, attachment] of entries(composed.networks))
        nameWithoutEffect(
          attachment ?? {},
          below(`${pointer}/networks`, key),
          `services.${service}`,
          COMPOSE_UNSUPPORTED_ATTACHMENT_KEYS,
          'networks.',
          findings,
        );
    const count = Number(composed.scale ?? composed.deploy?.replicas ?? 1);
    const { container_name: own } = composed;
    if (own !== undefined && count > 1)
      findings.refuse(
        findings.places.value(`${pointer}/container_name`),
        `service "${service}" has ${count} containers, and they cannot all be called "${own}"`,
        'leave container_name away',
      );
    const names = count === 1 ? [own ?? service] : Array.from({ length: count }, (_, i) => `${service}-${i + 1}`);
    return names.map((name) => ({ name, entry: entryOf(composed), pointer, service }));
  });
}

function entryOf(service: ComposeService): ContainerEntry {
  const { networks, ...rest } = service;
  return { ...rest, ...(networks == null ? {} : { networks }) } as ContainerEntry;
}
