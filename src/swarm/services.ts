/** `docker service`: what a service is asked to be, its ports and virtual addresses (swarmkit manager/controlapi, manager/allocator). */

import type { ServiceSpec } from '../topology/spec.js';
import type { Service } from '../topology/topology.js';
import { DockerError, NO_MANAGER } from './errors.js';
import type { Orchestrator } from './orchestrator.js';
import type { Records } from './records.js';
import type { ServiceState } from './state.js';

export type ServiceChange = Partial<Omit<ServiceSpec, 'name' | 'mode'>> & { force?: boolean };

export class Services {
  constructor(
    readonly records: Records,
    readonly orchestrator: Orchestrator,
  ) {}

  /** Ports that are asked for by number in what is about to be deployed: nobody gets them by chance. */
  avoidPorts(specs: readonly ServiceSpec[]): void {
    this.records.allocator.ports.avoided.clear();
    for (const { published, protocol } of specs.flatMap(({ ports }) => ports))
      if (published !== undefined) this.records.allocator.ports.avoided.add(`${protocol} ${published}`);
  }

  find(name: string): ServiceState {
    const found = this.records.services.get(name) ?? [...this.records.services.values()].find(({ id }) => id === name);
    if (found) return found;
    throw new DockerError(404, `service ${name} not found`);
  }

  create(spec: ServiceSpec): ServiceState {
    if (!this.records.inSwarm) throw new DockerError(503, NO_MANAGER);
    if (this.records.services.has(spec.name))
      throw new DockerError(
        409,
        `rpc error: code = AlreadyExists desc = name conflicts with an existing object: service ${spec.name} already exists`,
      );
    this.#checkNetworks(spec);
    const path: Service = { name: spec.name, ports: [], vips: {}, balancers: [] };
    this.#endpoint(path, spec);
    this.records.topology.services.push(path);
    const service = this.orchestrator.create(this.records.allocator.id(), spec, path);
    this.records.tell('service', 'create', spec.name, { id: service.id });
    this.records.changed();
    return service;
  }

  #checkNetworks(spec: ServiceSpec): void {
    for (const { name } of spec.networks) {
      // Those that every node has and swarmkit knows (networkallocator, PredefinedNetworks).
      if (name === 'host' || name === 'bridge') continue;
      const network = this.records.attachments.find(name);
      if (!network) throw new DockerError(404, `network ${name} not found`);
      if (this.records.allocator.isLocal(network) && network.scope !== 'swarm')
        throw new DockerError(
          403,
          `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
        );
      if (network.ingress)
        throw new DockerError(
          400,
          'rpc error: code = InvalidArgument desc = Service cannot be explicitly attached to the ingress network "' +
            `${network.name}"`,
        );
    }
    if (spec.ports.some(({ mode }) => mode === 'ingress') && !this.records.attachments.ingress)
      throw new DockerError(
        400,
        'rpc error: code = FailedPrecondition desc = service needs ingress network, but no ingress network is present',
      );
  }

  /** Ports and virtual addresses: those that stay are kept, the others given back. */
  #endpoint(path: Service, spec: ServiceSpec): void {
    const wanted = spec.ports.filter(({ mode }) => mode === 'ingress');
    const before = [...path.ports];
    const kept = before.filter((one) =>
      wanted.some(({ published, protocol }) => published === one.published && protocol === one.protocol),
    );
    for (const port of before)
      if (!kept.includes(port)) this.records.allocator.ports.giveIngress(port.published, port.protocol);
    path.ports = wanted.map(({ published, target, protocol }) => {
      const same = kept.find((one) => one.published === published && one.protocol === protocol);
      const port = same?.published ?? this.records.allocator.ports.ingress(spec.name, published, protocol);
      return { published: port, target, protocol };
    });
    // A network that is another one on each node has no VIP: its name means the tasks (cnmallocator, isNodeLocal).
    const spanning = this.orchestrator.networksOf(spec).filter((network) => !this.records.allocator.isLocal(network));
    const networks = spec.endpointMode === 'vip' ? spanning.map(({ name }) => name) : [];
    for (const [name, address] of Object.entries(path.vips)) {
      if (networks.includes(name)) continue;
      const network = this.records.attachments.find(name);
      if (network) this.records.allocator.giveAddress('', network, address);
      delete path.vips[name];
    }
    for (const name of networks)
      path.vips[name] ??= this.records.allocator.address('', this.records.attachments.network(name));
    const aliases = spec.networks
      .filter((one) => one.aliases.length > 0)
      .map((one) => [one.name, one.aliases] as const);
    if (aliases.length > 0) path.aliases = Object.fromEntries(aliases);
    else delete path.aliases;
  }

  /** `docker service scale`, `docker service update`: what is not named stays. */
  update(name: string, change: ServiceChange): void {
    const service = this.find(name);
    const { force, ...fields } = change;
    this.#become(service, { ...service.spec, ...fields }, force === true);
    this.records.tell('service', 'update', service.spec.name, { id: service.id });
    this.records.changed();
  }

  /** `force`: its tasks are made anew although the swarm sees no difference. */
  rollback(name: string, force = false): void {
    const service = this.find(name);
    if (!service.previous)
      throw new DockerError(
        400,
        `rpc error: code = FailedPrecondition desc = service ${name} does not have a previous spec`,
      );
    this.#become(service, { ...service.previous }, force, true);
    this.records.tell('service', 'update', service.spec.name, { id: service.id });
    this.records.changed();
  }

  #become(service: ServiceState, spec: ServiceSpec, force: boolean, rollback = false): void {
    this.#checkNetworks(spec);
    this.#endpoint(service.path, spec);
    const rolling = force || taskText(spec) !== taskText(service.spec);
    // Tasks that are as the new spec says are of the new version from now on.
    if (!rolling)
      for (const task of service.tasks) if (task.spec === service.spec) (task as { spec: ServiceSpec }).spec = spec;
    this.orchestrator.update(service, spec, rolling, rollback);
  }

  remove(name: string): void {
    const service = this.find(name);
    const { path } = service;
    this.orchestrator.remove(service);
    this.records.topology.services.splice(this.records.topology.services.indexOf(path), 1);
    for (const { published, protocol } of path.ports) this.records.allocator.ports.giveIngress(published, protocol);
    for (const [network, address] of Object.entries(path.vips)) {
      const found = this.records.attachments.find(network);
      if (found) this.records.allocator.giveAddress('', found, address);
    }
    this.records.tell('service', 'remove', service.spec.name, { id: service.id });
    this.records.changed();
  }
}

/** What of a service its tasks are made from: if it is another one, they are made anew. */
function taskText({
  image,
  networks,
  ports,
  constraints,
  preferences,
  placement,
  maxReplicasPerNode,
  restart,
  endpointMode,
  sysctls,
}: ServiceSpec): string {
  const where = [constraints, preferences, placement, maxReplicasPerNode];
  return JSON.stringify([image, networks, ports, where, restart, endpointMode, sysctls]);
}
