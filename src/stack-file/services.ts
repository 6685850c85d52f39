/**
 * The services of a stack (docker/cli, cli/compose/convert/service.go). Names stay plain: no stack name before them.
 * A network's `aliases` are those of the file; that a service answers to its own name too is the DNS server's business.
 */
import type { Drivers } from '../drivers/index.js';
import type { NetworkSpec, PortSpec, ServiceSpec } from '../topology/spec.js';
import { type ComposeFile, type ComposeService, entries } from './compose-file.js';
import { readConstraint } from './constraints.js';
import { readDeploy } from './deploy.js';
import type { Findings } from './findings.js';
import { IGNORED_KEYS, UNSUPPORTED_ATTACHMENT_KEYS, UNSUPPORTED_KEYS } from './keys.js';
import { readNaming } from './naming.js';
import { type Attachment, readNetworks } from './networks.js';
import { below } from './places.js';
import { longPort, PortError, type PortReading, shortPort } from './ports.js';
import { readSysctls } from './sysctls.js';

export interface Stack {
  services: ServiceSpec[];
  networks: NetworkSpec[];
  /** The networks' names by the keys that the file has for them. */
  names: ReadonlyMap<string, string>;
}

interface Draft extends Attachment {
  aliases: string[];
}

interface Publication {
  service: string;
  pointer: string;
}

/**
 * @param others who joins networks beside the services
 * @param composed the services are containers: no swarm has them
 */
export function readStack(
  file: ComposeFile,
  others: readonly Attachment[],
  composed: boolean,
  drivers: Drivers,
  findings: Findings,
): Stack {
  const services = composed ? [] : entries(file.services);
  const drafts = new Map(services.map(([name, service]) => [name, attachmentsOf(name, service, findings)]));
  const networks = readNetworks(file, [...[...drafts.values()].flat(), ...others], drivers, findings);
  const published = new Map<string, Publication>();
  return {
    networks: networks.specs,
    names: networks.names,
    services: services.map(([name, service]) => {
      const joined = (drafts.get(name) ?? []).map(({ key, aliases }) => ({
        name: networks.names.get(key) ?? key,
        aliases,
      }));
      return serviceOf(name, service, joined, published, findings);
    }),
  };
}

function attachmentsOf(service: string, { networks }: ComposeService, findings: Findings): Draft[] {
  const pointer = below(below('/services', service), 'networks');
  const drafts: Draft[] = [];
  if (Array.isArray(networks)) {
    for (const [index, key] of networks.entries()) {
      const at = below(pointer, index);
      if (drafts.some((draft) => draft.key === key)) {
        findings.refuse(
          findings.places.value(at),
          `service "${service}" joins network "${key}" twice`,
          'keep one of them',
        );
      } else {
        drafts.push({ service, key, pointer: at, aliases: [] });
      }
    }
  } else {
    for (const [key, attachment] of entries(networks)) {
      const at = below(pointer, key);
      nameWithoutEffect(
        attachment ?? {},
        at,
        `services.${service}`,
        UNSUPPORTED_ATTACHMENT_KEYS,
        'networks.',
        findings,
      );
      drafts.push({ service, key, pointer: at, aliases: [...new Set(attachment?.aliases ?? [])] });
    }
  }
  return drafts.length > 0 ? drafts : [{ service, key: 'default', pointer, aliases: [] }];
}

export function nameWithoutEffect(
  map: object,
  pointer: string,
  owner: string,
  table: Map<string, string>,
  prefix: string,
  findings: Findings,
): void {
  for (const key of Object.keys(map)) {
    const why = table.get(key);
    if (why !== undefined) findings.unsupport(prefix + key, findings.places.key(below(pointer, key)), why, owner);
  }
}

function serviceOf(
  name: string,
  service: ComposeService,
  networks: ServiceSpec['networks'],
  published: Map<string, Publication>,
  findings: Findings,
): ServiceSpec {
  const pointer = below('/services', name);
  const { places } = findings;
  nameWithoutEffect(service, pointer, name, UNSUPPORTED_KEYS, '', findings);
  for (const key of Object.keys(service)) {
    const why = IGNORED_KEYS.get(key);
    if (why !== undefined) findings.ignore(key, places.key(below(pointer, key)), why, name);
  }
  refuseExtends(name, service, pointer, findings);
  const { mode, replicas } = scaleOf(service, pointer, findings);
  const endpointMode = service.deploy?.endpoint_mode ?? 'vip';
  const ports = portsOf(name, service, pointer, published, findings);
  if (endpointMode === 'dnsrr') {
    const where = places.value(`${pointer}/deploy/endpoint_mode`);
    if (ports.some((port) => port.mode === 'ingress')) {
      findings.refuse(
        where,
        `service "${name}" cannot publish ports in ingress mode with endpoint_mode dnsrr`,
        'publish them with mode: host, or use vip',
      );
    }
  }
  if (networks.some((one) => one.name === 'host') && ports.some((port) => port.mode === 'ingress'))
    findings.refuse(
      places.key(`${pointer}/ports`),
      `tasks of service "${name}" would be rejected: container cannot be disconnected from host network or connected to host network`,
      'they are on the network host, where the routing mesh is not: leave the ports away',
    );
  const spec: ServiceSpec = {
    name,
    mode,
    replicas,
    networks,
    endpointMode,
    ports,
    constraints: constraintsOf(name, service, pointer, findings),
    ...readDeploy(name, service.deploy ?? {}, `${pointer}/deploy`, findings),
    ...readNaming(service, pointer, findings),
    ...readSysctls(name, service.sysctls, `${pointer}/sysctls`, findings),
  };
  if (service.image) spec.image = service.image;
  return spec;
}

export function refuseExtends(name: string, service: ComposeService, pointer: string, findings: Findings): void {
  if (service.extends === undefined) return;
  findings.refuse(
    findings.places.key(`${pointer}/extends`),
    `service "${name}" extends another, which docker stack deploy refuses`,
    'write the service out; "docker compose config" does it for you',
  );
}

function scaleOf(service: ComposeService, pointer: string, findings: Findings): Pick<ServiceSpec, 'mode' | 'replicas'> {
  const { mode = 'replicated', replicas } = service.deploy ?? {};
  if (mode !== 'replicated' && mode !== 'global') {
    findings.refuse(
      findings.places.value(`${pointer}/deploy/mode`),
      `mode ${mode} is not supported yet`,
      'swarmwire runs replicated and global services',
    );
  }
  if (mode === 'global' && replicas !== undefined) {
    findings.refuse(
      findings.places.key(`${pointer}/deploy/replicas`),
      'a global service has one task on each node, so it has no replicas',
      'leave replicas away',
    );
  }
  return { mode: mode === 'global' ? 'global' : 'replicated', replicas: Number(replicas ?? 1) };
}

function constraintsOf(name: string, service: ComposeService, pointer: string, findings: Findings): string[] {
  const { places } = findings;
  const placement = service.deploy?.placement ?? {};
  const at = `${pointer}/deploy/placement`;
  const kept: string[] = [];
  for (const [index, text] of (placement.constraints ?? []).entries()) {
    const where = places.value(`${at}/constraints/${index}`);
    const constraint = readConstraint(text);
    if (constraint.kind === 'kept') kept.push(constraint.text);
    else if (constraint.kind === 'malformed') findings.refuse(where, constraint.message, constraint.hint);
    else
      findings.unsupport(
        'deploy.placement.constraints',
        where,
        `nodes have no ${constraint.key}; every node counts as allowed`,
        name,
      );
  }
  return kept;
}

function portsOf(
  name: string,
  service: ComposeService,
  pointer: string,
  published: Map<string, Publication>,
  findings: Findings,
): PortSpec[] {
  const { places } = findings;
  const all: PortSpec[] = [];
  for (const [index, port] of (service.ports ?? []).entries()) {
    const at = `${pointer}/ports/${index}`;
    let reading: PortReading;
    try {
      reading = typeof port === 'object' ? longPort(port) : shortPort(String(port));
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      findings.refuse(places.value(error.key === undefined ? at : below(at, error.key)), error.message, error.hint);
      continue;
    }
    if (reading.hostAddress !== undefined) {
      findings.warn(
        'ports',
        places.value(at),
        `address ${reading.hostAddress} has no effect: a swarm publishes a port on every address of every node`,
      );
    }
    claim(name, reading.ports, at, published, findings);
    all.push(...reading.ports);
  }
  return all;
}

/** In ingress mode a published port belongs to one service in the whole swarm. */
function claim(
  service: string,
  ports: readonly PortSpec[],
  pointer: string,
  published: Map<string, Publication>,
  findings: Findings,
): void {
  for (const port of ports) {
    if (port.mode !== 'ingress' || port.published === undefined) continue;
    const id = `${port.published}/${port.protocol}`;
    const other = published.get(id);
    if (other !== undefined) {
      const { line, column } = findings.places.value(other.pointer);
      findings.refuse(
        findings.places.value(pointer),
        `port ${id} of service "${service}" is published already, by service "${other.service}" (line ${line}, column ${column})`,
        'a published port belongs to one service: choose another',
      );
      // One line for a range that clashes, not one a port.
      return;
    }
    published.set(id, { service, pointer });
  }
}
