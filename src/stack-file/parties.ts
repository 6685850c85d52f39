/**
 * Who can speak and be spoken to, by name: nodes, hosts outside, services and their tasks.
 */

import { isName } from '../dns/message.js';
import type { ContainerSpec, NodeSpec, OutsideSpec, ServiceSpec } from '../topology/spec.js';
import { knownNames, quotedList } from './wording.js';

export type Speaker =
  | { kind: 'host' }
  | { kind: 'container' }
  | { kind: 'task'; service: ServiceSpec }
  | { kind: 'refused'; message: string; hint: string };

/** `service` is there when the name is one that only the DNS server of a swarm knows. */
export type Answerer = { kind: 'known'; service?: ServiceSpec } | { kind: 'refused'; message: string; hint: string };

export class Parties {
  readonly #hosts: Map<string, string>;
  readonly #services: Map<string, ServiceSpec>;
  readonly #containers: Map<string, ContainerSpec>;
  readonly #aliases = new Map<string, ServiceSpec>();
  /** What the DNS servers outside know. */
  readonly #outsideNames = new Set<string>();
  readonly #nodes: number;
  /** The host outside that is the nodes' gateway. */
  readonly gateway: string;

  constructor(
    nodes: readonly NodeSpec[],
    outside: readonly OutsideSpec[],
    services: readonly ServiceSpec[],
    containers: readonly ContainerSpec[] = [],
  ) {
    this.#containers = new Map(containers.map((container) => [container.name, container]));
    this.#nodes = nodes.length;
    this.gateway = outside[0]?.name ?? '';
    this.#hosts = new Map([
      ...nodes.map(({ name }) => [name, 'a node'] as const),
      ...outside.map(({ name }) => [name, 'a host outside'] as const),
    ]);
    for (const name of outside.flatMap(({ resolves = {} }) => Object.keys(resolves))) this.#outsideNames.add(name);
    this.#services = new Map(services.map((service) => [service.name, service]));
    for (const service of services) {
      this.#aliases.set(`tasks.${service.name}`, service);
      for (const alias of service.networks.flatMap(({ aliases }) => aliases)) this.#aliases.set(alias, service);
    }
  }

  service(name: string): ServiceSpec | undefined {
    return this.#services.get(name);
  }

  get serviceNames(): string[] {
    return [...this.#services.keys()];
  }

  /** A node, a host outside, `service`, or `service.2`. */
  speaker(name: string): Speaker {
    const twice = this.#ambiguous(name);
    if (twice !== undefined) return twice;
    if (this.#hosts.has(name)) return { kind: 'host' };
    if (this.#containers.has(name) && !this.#services.has(name)) return { kind: 'container' };
    const whole = this.#services.get(name);
    const [, base = name, slot = '1'] = whole === undefined ? (/^(.*)\.(\d+)$/.exec(name) ?? []) : [];
    const service = whole ?? this.#services.get(base);
    if (service === undefined) return this.#unknown(name);
    const tasks = service.mode === 'global' ? this.#nodes : service.replicas;
    const number = Number(slot);
    if (number < 1 || number > tasks) {
      return {
        kind: 'refused',
        message: `service "${service.name}" has no task ${number}`,
        hint: tasks === 0 ? 'it has none' : `its tasks are 1 to ${tasks}`,
      };
    }
    return { kind: 'task', service };
  }

  /** A node, a host outside, a service, or an alias of one. */
  answerer(name: string): Answerer {
    const twice = this.#ambiguous(name);
    if (twice !== undefined) return twice;
    if (this.#hosts.has(name)) return { kind: 'known' };
    const service = this.#services.get(name) ?? this.#aliases.get(name);
    if (service !== undefined) return { kind: 'known', service };
    if (this.#containers.has(name) || this.#isContainerAlias(name)) return { kind: 'known' };
    if (this.#outsideNames.has(name.toLowerCase())) return { kind: 'known' };
    // A name with dots that nobody here has may be asked for: that it is not found is worth seeing, too.
    if (name.includes('.') && isName(name) && !/\.\d+$/.test(name)) return { kind: 'known' };
    const task = this.speaker(name);
    if (task.kind !== 'task') return this.#unknown(name);
    return {
      kind: 'refused',
      message: `a single task, "${name}", has no name that others know`,
      hint: `write the service's, "${task.service.name}"`,
    };
  }

  #isContainerAlias(name: string): boolean {
    return [...this.#containers.values()].some(
      ({ networks, links }) =>
        networks.some(({ aliases }) => aliases.includes(name)) || links.some(({ alias }) => alias === name),
    );
  }

  #ambiguous(name: string): { kind: 'refused'; message: string; hint: string } | undefined {
    const host = this.#hosts.get(name);
    if (host === undefined || !this.#services.has(name)) return undefined;
    return {
      kind: 'refused',
      message: `"${name}" is ${host} and a service too`,
      hint: 'give the nodes other names under x-swarmwire, or the service',
    };
  }

  #unknown(name: string): { kind: 'refused'; message: string; hint: string } {
    const known = [...this.#hosts.keys(), ...this.#services.keys(), ...this.#containers.keys()];
    return { kind: 'refused', message: `there is no ${quotedList([name])} here`, hint: knownNames(name, known) };
  }
}
