/** Published ports: those of the whole swarm, and those of one node (reference: swarmkit portallocator; libnetwork portallocator). */

import type { EngineVersion } from '../topology/daemon.js';
import type { ContainerPortSpec, Protocol } from '../topology/spec.js';
import type { PublishedPort, Topology } from '../topology/topology.js';
import { DockerError } from './errors.js';
import { Serial } from './serial.js';

/** swarmkit portallocator: dynamicPortStart, dynamicPortEnd. */
const DYNAMIC_PORTS = { first: 30000, last: 32767 };
/** Of `docker run -p 80`, by engine version (libnetwork portallocator). */
const FIRST_EPHEMERAL_PORT: Record<EngineVersion, number> = { '20.10': 49153, '28': 32768 };

/** Which are taken, and which is next. */
export class Ports {
  readonly #dynamic = {
    tcp: new Serial(DYNAMIC_PORTS.first, DYNAMIC_PORTS.last),
    udp: new Serial(DYNAMIC_PORTS.first, DYNAMIC_PORTS.last),
  };
  /** Whose they are, by `protocol port`. */
  readonly #ofSwarm = new Map<string, string>();
  /** Ports that somebody is going to ask for by number: `protocol port`. */
  readonly avoided = new Set<string>();
  /** `node protocol port` → the addresses that it is taken at. */
  readonly #published = new Map<string, Set<string>>();
  readonly #ephemeral = new Map<string, number>();

  constructor(readonly topology: Topology) {}

  /** A port that the whole swarm publishes. `service` is for the complaint. */
  ingress(service: string, wish: number | undefined, protocol: Protocol): number {
    if (wish === undefined) {
      for (;;) {
        const port = this.#dynamic[protocol].next();
        if (port === undefined) throw new DockerError(500, 'dynamic port space is exhausted');
        if (!this.#ofSwarm.has(`${protocol} ${port}`) && !this.avoided.has(`${protocol} ${port}`)) {
          this.#ofSwarm.set(`${protocol} ${port}`, service);
          return port;
        }
      }
    }
    const key = `${protocol} ${wish}`;
    const owner = this.#ofSwarm.get(key);
    if (owner !== undefined)
      throw new DockerError(
        400,
        `rpc error: code = InvalidArgument desc = port '${wish}' is already in use by service '${owner}' as an ingress port`,
      );
    this.#ofSwarm.set(key, service);
    this.#dynamic[protocol].take(wish);
    return wish;
  }
  giveIngress(port: number, protocol: Protocol): void {
    this.#ofSwarm.delete(`${protocol} ${port}`);
    this.#dynamic[protocol].give(port);
  }

  /** A port of one node. */
  publish(node: string, port: ContainerPortSpec): PublishedPort {
    const { hostAddress, target, protocol } = port;
    const addresses = this.#boundAt(hostAddress);
    const first =
      port.published ?? this.#ephemeral.get(`${node} ${protocol}`) ?? FIRST_EPHEMERAL_PORT[this.topology.engine];
    const last = port.published === undefined ? 65535 : (port.publishedLast ?? first);
    const isTaken = (number: number) => addresses.some((address) => this.#isTaken(node, protocol, number, address));
    let published = first;
    while (isTaken(published) && published < last) published++;
    if (isTaken(published))
      throw new DockerError(500, `Bind for ${addresses[0]}:${published} failed: port is already allocated`);
    const key = `${node} ${protocol} ${published}`;
    const at = this.#published.get(key) ?? new Set();
    for (const address of addresses) at.add(address);
    this.#published.set(key, at);
    if (port.published === undefined) this.#ephemeral.set(`${node} ${protocol}`, published + 1);
    return { published, target, protocol, ...(hostAddress ? { hostAddress } : {}) };
  }

  /** Since engine 28 a port without an address is one at every IPv6 address, too. */
  #boundAt(hostAddress: string | undefined): string[] {
    if (hostAddress) return [hostAddress];
    return this.topology.engine === '20.10' ? ['0.0.0.0'] : ['0.0.0.0', '::'];
  }

  /** A port at every address is in the way of the same at one of that family, and the other way round. */
  #isTaken(node: string, protocol: Protocol, port: number, address: string): boolean {
    const at = this.#published.get(`${node} ${protocol} ${port}`);
    if (!at) return false;
    const every = address.includes(':') ? '::' : '0.0.0.0';
    const alike = [...at].filter((one) => one.includes(':') === address.includes(':'));
    return at.has(address) || at.has(every) || (address === every && alike.length > 0);
  }

  unpublish(node: string, { published, protocol, hostAddress }: PublishedPort): void {
    const key = `${node} ${protocol} ${published}`;
    const at = this.#published.get(key);
    for (const address of this.#boundAt(hostAddress)) at?.delete(address);
    if (at?.size === 0) this.#published.delete(key);
  }
}
