/** `changes` of the `x-swarmwire` section: what happens to the swarm while its traffic runs, each at a time. */

import type { ChangeSpec, ContainerSpec, NodeSpec, ServiceSpec } from '../topology/spec.js';
import type { Findings } from './findings.js';
import { readFirewallRule } from './firewall.js';
import { type ChangeEntry, type FirewallEntry, SECTION } from './section.js';
import { knownNames } from './wording.js';

interface Known {
  services: readonly ServiceSpec[];
  nodes: readonly NodeSpec[];
  containers: readonly ContainerSpec[];
}

const MILLISECOND = 1_000_000;

export function readChanges(entries: readonly ChangeEntry[], known: Known, findings: Findings): ChangeSpec[] {
  return entries.flatMap((entry, index) => new Reader(entry, `${SECTION}/changes/${index}`, known, findings).read());
}

class Reader {
  readonly #services: string[];
  readonly #nodes: string[];
  readonly #containers: string[];

  constructor(
    readonly entry: ChangeEntry,
    readonly pointer: string,
    readonly known: Known,
    readonly findings: Findings,
  ) {
    const { services, nodes, containers } = known;
    this.#services = services.map(({ name }) => name);
    this.#nodes = nodes.map(({ name }) => name);
    this.#containers = containers.map(({ name }) => name);
  }

  read(): ChangeSpec[] {
    const { at, scale, update, connect, disconnect, firewall } = this.entry;
    if (scale) {
      return Object.entries(scale).map(([service, replicas]) => {
        this.#check(service, this.#services, 'service', 'scale');
        return { at, what: 'scale', service, replicas };
      });
    }
    if (update) return Object.entries(update).map(([service, change]) => this.#update(service, change));
    if (connect) {
      const { network, container, aliases = [], ipv4_address: address } = connect;
      this.#check(container, this.#containers, 'container', 'connect');
      return [{ at, what: 'connect', network, container, aliases, ...(address === undefined ? {} : { address }) }];
    }
    if (disconnect) {
      this.#check(disconnect.container, this.#containers, 'container', 'disconnect');
      return [{ at, what: 'disconnect', ...disconnect }];
    }
    if (firewall) return [this.#firewall(firewall)];
    return this.#named();
  }

  #firewall(entry: FirewallEntry): ChangeSpec {
    const { at } = this.entry;
    const pointer = `${this.pointer}/firewall`;
    if ((entry.block === undefined) === (entry.unblock === undefined))
      this.findings.refuse(
        this.findings.places.value(pointer),
        'a change of the firewall blocks, or unblocks',
        'write firewall: { block: [4789/udp] }, or unblock with the same words',
      );
    const what = entry.block === undefined ? 'unblock' : 'block';
    return { at, what, rule: readFirewallRule(entry, what, pointer, this.known.nodes, this.findings) };
  }

  #update(service: string, change: NonNullable<ChangeEntry['update']>[string]): ChangeSpec {
    this.#check(service, this.#services, 'service', 'update');
    const { image, replicas, order, parallelism, delay } = change;
    const policy = {
      ...(order === undefined ? {} : { order }),
      ...(parallelism === undefined ? {} : { parallelism }),
      ...(delay === undefined ? {} : { delay: delay * MILLISECOND }),
    };
    return {
      at: this.entry.at,
      what: 'update',
      service,
      change: {
        ...(image === undefined ? {} : { image }),
        ...(replicas === undefined ? {} : { replicas }),
        ...(Object.keys(policy).length > 0 ? { update: policy } : {}),
      },
    };
  }

  /** Changes that name one thing. */
  #named(): ChangeSpec[] {
    const { at, rollback, remove, kill, exit, stop, start, drain, pause, activate, lose, restore } = this.entry;
    const changes: (ChangeSpec | undefined)[] = [
      rollback === undefined ? undefined : { at, what: 'rollback', service: this.#service(rollback, 'rollback') },
      remove === undefined ? undefined : { at, what: 'remove', service: this.#service(remove, 'remove') },
      exit === undefined ? undefined : { at, what: 'exit', ...this.#exit(exit) },
      kill === undefined ? undefined : { at, what: 'kill', name: this.#running(kill, 'kill') },
      stop === undefined ? undefined : { at, what: 'stop', name: this.#running(stop, 'stop') },
      start === undefined ? undefined : { at, what: 'start', container: this.#container(start) },
      drain === undefined
        ? undefined
        : { at, what: 'availability', node: this.#node(drain, 'drain'), availability: 'drain' },
      pause === undefined
        ? undefined
        : { at, what: 'availability', node: this.#node(pause, 'pause'), availability: 'pause' },
      activate === undefined
        ? undefined
        : { at, what: 'availability', node: this.#node(activate, 'activate'), availability: 'active' },
      lose === undefined ? undefined : { at, what: 'lose', node: this.#node(lose, 'lose') },
      restore === undefined ? undefined : { at, what: 'restore', node: this.#node(restore, 'restore') },
    ];
    return changes.filter((change) => change !== undefined);
  }

  /** `web.1`, or with what its process ends: 0 unless it says so. */
  #exit(written: NonNullable<ChangeEntry['exit']>): { name: string; code: number } {
    const { name, code = 0 } = typeof written === 'string' ? { name: written } : written;
    return { name: this.#running(name, typeof written === 'string' ? 'exit' : 'exit/name'), code };
  }

  #service(name: string, key: string): string {
    return this.#check(name, this.#services, 'service', key);
  }
  #node(name: string, key: string): string {
    return this.#check(name, this.#nodes, 'node', key);
  }
  #container(name: string): string {
    return this.#check(name, this.#containers, 'container', 'start');
  }

  /** A container, or a task by its service and number. */
  #running(name: string, key: string): string {
    const service = /^(.+)\.[^.]+$/.exec(name)?.[1];
    if (service !== undefined && this.#services.includes(service)) return name;
    return this.#check(name, this.#containers, 'task or container', key);
  }

  #check(name: string, known: readonly string[], what: string, key: string): string {
    if (!known.includes(name))
      this.findings.refuse(
        this.findings.places.value(`${this.pointer}/${key}`),
        `there is no ${what} "${name}"`,
        knownNames(name, known),
      );
    return name;
  }
}
