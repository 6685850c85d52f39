/**
 * The ports of the routing mesh on one node: dockerd has a socket open for each, so that nobody else takes it, and never reads from
 * it. Who comes past the mesh's rules, as over IPv6, is let in by the kernel and hears nothing (reference: libnetwork
 * service_linux.go, plumbProxy).
 */

import type { Namespace, Sockets } from '../engine/index.js';

/** A published port of a service. */
export interface MeshPort {
  protocol: 'tcp' | 'udp';
  published: number;
}

export class MeshPorts {
  /** How to close each. */
  readonly #held = new Map<string, () => void>();

  constructor(
    readonly sockets: Sockets,
    readonly node: Namespace,
  ) {}

  /** A port that somebody has open at all addresses stays theirs: dockerd logs a warning and goes on. */
  hold(ports: readonly MeshPort[]): void {
    const { sockets, node } = this;
    for (const { protocol, published } of ports) {
      const key = `${published}/${protocol}`;
      const taken = sockets
        .entries(node)
        .some((entry) => entry.ipv6 && entry.protocol === protocol && entry.local.port === published);
      if (taken) continue;
      if (protocol === 'tcp') {
        const listener = sockets.listen(node, published, () => {}, '::');
        this.#held.set(key, () => sockets.closeListener(listener));
      } else {
        const socket = sockets.openUdp(node, published, () => {}, undefined, '::');
        this.#held.set(key, () => sockets.closeUdp(socket));
      }
    }
  }

  release(ports: readonly MeshPort[]): void {
    for (const { protocol, published } of ports) {
      const key = `${published}/${protocol}`;
      this.#held.get(key)?.();
      this.#held.delete(key);
    }
  }
}
