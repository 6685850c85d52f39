/** What an image does whose program nobody knows: it listens on the ports that it exposes, publishes or serves, and answers. */

import type { Listener, Namespace, Sockets, UdpSocket } from '../engine/index.js';
import type { Program } from '../programs/index.js';
import { until } from '../programs/steps.js';
import type { ContainerState } from '../swarm/state.js';
import { listenTcp, listenUdp } from '../traffic/listener.js';
import type { ContainerConfig } from './container-config.js';

export function listening(
  sockets: Sockets,
  namespace: Namespace,
  container: ContainerState,
  config: ContainerConfig,
): Program {
  return function* serve(process) {
    const listeners: Listener[] = [];
    const datagrams: UdpSocket[] = [];
    const close = () => {
      for (const listener of listeners) sockets.endListener(listener, sockets.engine.now);
      for (const socket of datagrams) sockets.closeUdp(socket);
    };
    const ports = [
      ...config.exposes,
      ...container.spec.ports.map(({ target: port, protocol }) => ({ port, protocol })),
      ...(container.task?.service.path.ports ?? []).map(({ target: port, protocol }) => ({ port, protocol })),
    ];
    const label = `${container.task?.name ?? container.name} on ${container.node}`;
    for (const key of new Set(ports.map(({ port, protocol }) => `${port}/${protocol}`))) {
      const [port, protocol] = key.split('/');
      try {
        for (const address of ['0.0.0.0', '::'])
          if (protocol !== 'udp') listeners.push(listenTcp(sockets, namespace, Number(port), label, [], address));
        if (protocol === 'udp') datagrams.push(listenUdp(sockets, namespace, Number(port), label));
      } catch {
        process.stderr.write(`bind: 0.0.0.0:${key}: Address already in use\n`);
        close();
        return 1;
      }
    }
    try {
      return yield* until<number>(() => undefined);
    } finally {
      close();
    }
  };
}
