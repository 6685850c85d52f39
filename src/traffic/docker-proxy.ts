/**
 * docker-proxy, the userland proxy: a process on the node for each published port, which takes what no DNAT rule has led to the
 * container (from 127.0.0.1, or from the container's own bridge) and says it again over a connection of its own, from the
 * bridge's address (reference: libnetwork cmd/proxy, tcp_proxy.go, udp_proxy.go).
 */

import type { RelayedPort, UserlandProxy } from '../drivers/index.js';
import type { Listener, Namespace, Sockets, TcpConnection, UdpSocket } from '../engine/index.js';

/** A UDP client that says nothing for as long is forgotten (UDPConnTrackTimeout), ns. */
const SILENCE = 90_000_000_000;

interface Proxy {
  close(): void;
}

type Target = RelayedPort['container'];

/** The proxies of one node. */
export class DockerProxies implements UserlandProxy {
  readonly #running = new Map<string, { proxy: Proxy; target: Target | undefined }>();

  constructor(
    readonly sockets: Sockets,
    readonly node: Namespace,
  ) {}

  start(port: RelayedPort): void {
    const key = keyOf(port);
    const known = this.#running.get(key);
    if (known) {
      known.target = port.container;
      return;
    }
    const relay = port.protocol === 'tcp' ? tcpProxy : udpProxy;
    const proxy = relay(this.sockets, this.node, port.host, () => this.#running.get(key)?.target);
    this.#running.set(key, { proxy, target: port.container });
  }

  /** A port that moves to another endpoint of its container is stopped and started at one time: its socket stays. */
  stop(port: RelayedPort): void {
    const key = keyOf(port);
    const running = this.#running.get(key);
    if (!running) return;
    running.target = undefined;
    this.sockets.engine.at(this.sockets.engine.now, () => {
      if (running.target || this.#running.get(key) !== running) return;
      this.#running.delete(key);
      running.proxy.close();
    });
  }
}

function keyOf({ protocol, host }: RelayedPort): string {
  return `${protocol} ${host.address} ${host.port}`;
}

function tcpProxy(
  sockets: Sockets,
  node: Namespace,
  host: RelayedPort['host'],
  targetNow: () => Target | undefined,
): Proxy {
  const listener: Listener = sockets.listen(
    node,
    host.port,
    (client, time) => {
      const target = targetNow();
      const backend = target && sockets.connect(node, target, sockets.after(time));
      if (!backend) {
        client.close(sockets.after(time));
        return;
      }
      // What the client says before the container has answered waits.
      const early: Uint8Array[] = [];
      let ended = false;
      client.onData = (data) => early.push(data);
      client.onEnd = () => {
        ended = true;
      };
      backend.onFailed = (_, at) => client.close(sockets.after(at));
      backend.onConnected = (at) => {
        const then = sockets.after(at);
        for (const data of early) backend.write(data, then);
        if (ended) backend.shutdown(then);
        relay(sockets, client, backend);
        relay(sockets, backend, client);
      };
    },
    host.address,
  );
  return { close: () => sockets.closeListener(listener) };
}

/** One direction (tcp_proxy.go, broker): bytes, then the end; a half that is closed leaves the other half open. */
function relay(sockets: Sockets, from: TcpConnection, to: TcpConnection): void {
  from.onData = (data, time) => to.write(data, sockets.after(time));
  from.onEnd = (time) => to.shutdown(sockets.after(time));
  from.onFailed = (_, time) => to.close(sockets.after(time));
}

function udpProxy(
  sockets: Sockets,
  node: Namespace,
  host: RelayedPort['host'],
  targetNow: () => Target | undefined,
): Proxy {
  /** By the client's address and port: the socket that speaks for it. */
  const clients = new Map<string, { backend: UdpSocket; container: Target; heard: number }>();
  const expire = (key: string, time: number): void => {
    const client = clients.get(key);
    if (!client) return;
    const left = client.heard + SILENCE - time;
    if (left > 0) {
      sockets.engine.at(time + left, (at) => expire(key, at));
      return;
    }
    clients.delete(key);
    sockets.closeUdp(client.backend);
  };
  const front = sockets.openUdp(
    node,
    host.port,
    ({ data, from, time }) => {
      const key = `${from.address}:${from.port}`;
      let client = clients.get(key);
      const container = client?.container ?? targetNow();
      if (!container) return;
      if (!client) {
        const backend = sockets.openUdp(node, 0, (answer) => {
          const known = clients.get(key);
          if (known) known.heard = answer.time;
          front.send(from, answer.data, sockets.after(answer.time));
        });
        backend.connect(container);
        client = { backend, container, heard: time };
        clients.set(key, client);
        sockets.engine.at(time + SILENCE, (at) => expire(key, at));
      }
      client.heard = time;
      client.backend.send(container, data, sockets.after(time));
    },
    undefined,
    host.address,
  );
  return {
    close() {
      for (const { backend } of clients.values()) sockets.closeUdp(backend);
      clients.clear();
      sockets.closeUdp(front);
    },
  };
}
