/** What a service's tasks or a container do beside answering on their ports, under `x-swarmwire: roles`. */
import type { RoleSpec } from '../topology/spec.js';
import { targetOf } from './ends.js';
import type { Findings } from './findings.js';
import type { Parties } from './parties.js';
import { below } from './places.js';
import { type RoleEntry, SECTION } from './section.js';

/** Resolvable's own choice, and its followers'. */
export const DOCKER_DOMAIN = 'docker';

export function readRoles(entries: Record<string, RoleEntry>, parties: Parties, findings: Findings): RoleSpec[] {
  return Object.entries(entries).flatMap(([party, { dns, relay }]): RoleSpec[] => {
    const pointer = below(`${SECTION}/roles`, party);
    const speaker = parties.speaker(party);
    if (speaker.kind === 'refused') findings.refuse(findings.places.key(pointer), speaker.message, speaker.hint);
    else if (speaker.kind === 'host')
      findings.refuse(
        findings.places.key(pointer),
        `"${party}" is a machine, and a role is played by a service or a container`,
        'a host outside is a DNS server with resolves: { www.example.com: 203.0.113.10 }',
      );
    if (relay === undefined) return [{ party, role: 'dns', domain: (dns?.domain ?? DOCKER_DOMAIN).toLowerCase() }];
    const to = targetOf(relay.to, `${pointer}/relay/to`, parties, findings);
    return to === undefined ? [] : [{ party, role: 'relay', listen: relay.listen, to: to.host, port: to.port }];
  });
}
