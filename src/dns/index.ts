/**
 * Names in a running swarm: the embedded servers of its sandboxes, the name servers outside, and what programs make of them.
 * Everything is read from the topology at the moment of a query, so changes need no word here; only servers come and go
 * with their sandboxes (`follow`).
 */

import type { Namespace, Sockets } from '../engine/index.js';
import { Draw } from '../topology/draw.js';
import { namespaceOf, type Sandbox, type Topology } from '../topology/topology.js';
import { behaviourOf } from './behaviour.js';
import { listenForDomain } from './docker-domain.js';
import { containerFiles, machineHosts, machineResolvConf } from './files.js';
import { type Counts, listenDns } from './listener.js';
import { type Lookup, libcOf, lookUp } from './lookup.js';
import { hasResolver } from './names.js';
import { Resolver } from './resolver.js';
import { type Zone, zoneHandler } from './zone.js';

export { domainNames } from './docker-domain.js';
export type { Lookup } from './lookup.js';
export { namesOfSandbox } from './names.js';

/** Sets the stream of draws for names apart from the others'. */
const STREAM = 0x646e73;

/** Where the resolvers live: namespaces by name, `node1/host`, `node1/task-web.1`. */
export interface NamedWorld {
  topology: Topology;
  namespaces: Map<string, Namespace>;
}

/** What a name came to, and from when on it may be spoken to. */
export type FoundTarget = { lookup: Lookup; time: number } & (
  | { address: string; failure?: never }
  | { address?: never; failure: string }
);

export class Names {
  readonly #resolvers = new Map<string, { sandbox: Sandbox; namespace: Namespace; resolver: Resolver }>();
  readonly #outside: { namespace: string; counts: Counts }[] = [];
  readonly #draw: Draw;

  constructor(
    readonly world: NamedWorld,
    readonly sockets: Sockets,
    seed: number,
  ) {
    this.#draw = new Draw(seed ^ STREAM);
    this.follow();
  }

  readonly #below = (limit: number): number => this.#draw.between(0, limit - 1);

  /** Servers start in sandboxes that have come or that have joined their first network with names, and end with those that went. */
  follow(): void {
    const { topology, namespaces } = this.world;
    this.#openOutside();
    const here = new Set<string>();
    for (const sandbox of topology.sandboxes) {
      const name = `${sandbox.node}/${sandbox.name}`;
      const namespace = namespaces.get(name);
      const host = namespaces.get(`${sandbox.node}/host`);
      if (!namespace || !host || !sandbox.resolver || !hasResolver(sandbox)) continue;
      here.add(name);
      const running = this.#resolvers.get(name);
      if (running?.sandbox === sandbox && running.namespace === namespace) continue;
      // A namespace that was made anew has lost its sockets already.
      if (running?.namespace === namespace) running.resolver.close();
      const resolver = new Resolver(
        {
          sockets: this.sockets,
          topology,
          behaviour: behaviourOf(topology.engine),
          below: this.#below,
          files: () => containerFiles(topology, sandbox),
          host,
        },
        sandbox,
        namespace,
        sandbox.resolver,
      );
      this.#resolvers.set(name, { sandbox, namespace, resolver });
    }
    for (const [name, { namespace, resolver }] of this.#resolvers) {
      if (here.has(name)) continue;
      if (namespaces.get(name) === namespace) resolver.close();
      this.#resolvers.delete(name);
    }
  }

  /** Hosts come with the swarm, which may stand up after its names. */
  #openOutside(): void {
    const { topology, namespaces } = this.world;
    for (const { name, resolves } of topology.hosts) {
      const namespace = namespaces.get(`${name}/host`);
      if (!namespace || !resolves || this.#outside.some((one) => one.namespace === namespace.name)) continue;
      const zone: Zone = (asked) => {
        const found = resolves[asked];
        return found === undefined ? undefined : [found].flat();
      };
      const counts: Counts = new Map();
      this.#outside.push({ namespace: namespace.name, counts });
      const families = namespace.device('lo').ipv6 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
      const handler = zoneHandler(zone, (time) => this.sockets.after(time));
      for (const address of families) listenDns(this.sockets, namespace, { address, counts }, handler);
    }
  }

  /** A program in `sandbox` is the name server of the containers of its node; gives what ends it. @throws if its port is taken */
  serveDomain(sandbox: Sandbox, namespace: Namespace, domain: string): () => void {
    const counts: Counts = new Map();
    const listener = listenForDomain(this.sockets, this.world.topology, sandbox, namespace, { domain, counts });
    const entry = { namespace: namespace.name, counts };
    this.#outside.push(entry);
    return () => {
      listener.close();
      this.#outside.splice(this.#outside.indexOf(entry), 1);
    };
  }

  /** Why messages to name servers were not answered, or answered with an error: where, why, how often. */
  get counts(): { namespace: string; reason: string; count: number }[] {
    const all = [
      ...[...this.#resolvers].map(([namespace, { resolver }]) => ({ namespace, counts: resolver.counts })),
      ...this.#outside,
    ];
    return all.flatMap(({ namespace, counts }) => [...counts].map(([reason, count]) => ({ namespace, reason, count })));
  }

  /** A file that dockerd writes for containers, or a machine's own; undefined: there is none of that name. */
  file(namespace: Namespace, path: string): string | undefined {
    const { topology } = this.world;
    if (path !== '/etc/resolv.conf' && path !== '/etc/hosts' && path !== '/etc/hostname') return undefined;
    const sandbox = this.#sandboxOf(namespace);
    if (sandbox) {
      const { resolvConf, hosts } = containerFiles(topology, sandbox);
      if (path === '/etc/hostname') return `${sandbox.hostname ?? sandbox.id?.slice(0, 12) ?? sandbox.name}\n`;
      return path === '/etc/hosts' ? hosts : resolvConf;
    }
    const name = namespace.name.replace(/\/host$/, '');
    const node = topology.nodes.find((one) => one.name === name);
    const host = topology.hosts.find((one) => one.name === name);
    if (!node && !host) return undefined;
    if (path === '/etc/hostname') return `${name}\n`;
    return path === '/etc/hosts' ? machineHosts(topology, name) : machineResolvConf(node ?? host ?? {});
  }

  /** A program in `namespace` looks `name` up, from `at` on; `done` is called once. */
  lookUp(namespace: Namespace, name: string, at: number, done: (result: Lookup) => void): void {
    const sandbox = this.#sandboxOf(namespace);
    lookUp(
      {
        sockets: this.sockets,
        namespace,
        libc: libcOf(sandbox?.image),
        resolvConf: this.file(namespace, '/etc/resolv.conf') ?? '',
        hosts: this.file(namespace, '/etc/hosts') ?? '',
        below: this.#below,
      },
      name,
      at,
      done,
    );
  }

  /** The same, for a program that connects to one address. */
  find(namespace: Namespace, name: string, at: number, done: (found: FoundTarget) => void): void {
    this.lookUp(namespace, name, at, (lookup) => {
      const address = firstAddress(lookup, namespace);
      const time = lookup.from === 'dns' ? this.sockets.after(lookup.finished) : lookup.finished;
      if (address !== undefined) done({ address, lookup, time });
      else
        done({ failure: `${name} ${lookup.failure ?? 'has no address that can be reached from here'}`, lookup, time });
    });
  }

  #sandboxOf({ name }: Namespace): Sandbox | undefined {
    const { sandboxes } = this.world.topology;
    // Whose namespace it is; once that container has ended, somebody who shared it with it.
    return (
      sandboxes.find((sandbox) => `${sandbox.node}/${sandbox.name}` === name) ??
      sandboxes.find((sandbox) => sandbox.shares !== 'host' && namespaceOf(sandbox) === name)
    );
  }
}

/** The address that a program connects to: the first; an IPv6 address that there is no way to is not tried. */
function firstAddress({ addresses }: Lookup, namespace: Namespace): string | undefined {
  return addresses.find((address) => !address.includes(':') || namespace.sourceFor(address) !== undefined);
}
