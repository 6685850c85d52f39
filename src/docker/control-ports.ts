/**
 * What dockerd listens on in a swarm: 7946 for gossip on every node, 2377 on managers (swarmkit manager.go, libnetwork networkdb). In a
 * served swarm nobody speaks there; the ports are open, and taken.
 */

import type { Namespace, Sockets } from '../engine/index.js';
import type { Cluster } from '../swarm/cluster.js';
import { GOSSIP_PORT } from '../traffic/gossip.js';
import { MANAGEMENT_PORT } from '../traffic/management.js';

const FAMILIES = ['0.0.0.0', '::'];
type Close = () => void;

export class ControlPorts {
  /** By `node protocol/port`. */
  readonly #open = new Map<string, Close>();

  constructor(
    readonly sockets: Sockets,
    readonly hostOf: (node: string) => Namespace,
  ) {}

  /** Opens and closes what has changed. */
  follow({ nodes }: Cluster): void {
    for (const { name, member, role } of nodes.values()) {
      this.#hold(name, 'tcp', GOSSIP_PORT, member);
      this.#hold(name, 'udp', GOSSIP_PORT, member);
      this.#hold(name, 'tcp', MANAGEMENT_PORT, member && role === 'manager');
    }
  }

  #hold(node: string, protocol: 'tcp' | 'udp', port: number, wanted: boolean): void {
    const key = `${node} ${protocol}/${port}`;
    const close = this.#open.get(key);
    if (wanted === (close !== undefined)) return;
    if (close) {
      close();
      this.#open.delete(key);
    } else {
      const opened = this.#listen(this.hostOf(node), protocol, port);
      if (opened) this.#open.set(key, opened);
    }
  }

  /** Undefined: somebody has it already. */
  #listen(host: Namespace, protocol: 'tcp' | 'udp', port: number): Close | undefined {
    const { sockets } = this;
    const opened: Close[] = [];
    const close = () => {
      for (const one of opened) one();
    };
    try {
      for (const address of FAMILIES) {
        if (protocol === 'udp') {
          const socket = sockets.openUdp(host, port, () => {}, undefined, address);
          opened.push(() => sockets.closeUdp(socket));
        } else {
          const listener = sockets.listen(host, port, () => {}, address);
          opened.push(() => sockets.closeListener(listener));
        }
      }
    } catch {
      close();
      return undefined;
    }
    return close;
  }
}
