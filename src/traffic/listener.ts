/**
 * A service's process: it listens on a port and answers what it is asked, HTTP or Redis by the first bytes, UDP with a
 * word on what it got. Before it answers HTTP it may have calls to make: nginx asks node, node asks redis.
 */

import { joined } from '../bytes.js';
import type { Datagram, Listener, Namespace, Sockets, TcpConnection, UdpSocket } from '../engine/index.js';
import type { Exchange } from './exchange.js';
import * as http from './http.js';
import * as redis from './redis.js';

/** A call that a listener makes before it answers. */
export interface Upstream {
  label: string;
  call: (at: number, done: (result: Exchange) => void) => void;
}

export function listenTcp(
  sockets: Sockets,
  namespace: Namespace,
  port: number,
  name: string,
  upstreams: readonly Upstream[],
  /** `::` is every IPv6 address. */
  address = '0.0.0.0',
): Listener {
  const accept = (connection: TcpConnection): void => {
    let received: Uint8Array = new Uint8Array();
    connection.onData = (piece, time) => {
      received = joined([received, piece]);
      const at = sockets.after(time);
      if (redis.isRedis(received)) {
        if (redis.answer(connection, received, at)) received = new Uint8Array();
        return;
      }
      if (http.isHttp(received)) {
        if (!http.isWhole(received)) return;
        const request = received;
        received = new Uint8Array();
        ask(sockets, upstreams, at, (lines, then) =>
          http.answer(connection, request, name, [`${name} answers`, ...lines, ''].join('\n'), then),
        );
        return;
      }
      // Some other protocol: it hears its own words back.
      connection.write(received, at);
      received = new Uint8Array();
    };
    connection.onEnd = (time) => connection.close(sockets.after(time));
  };
  return sockets.listen(namespace, port, accept, address);
}

/** One call after the other, then `done` with a line on each. */
function ask(
  sockets: Sockets,
  upstreams: readonly Upstream[],
  at: number,
  done: (lines: string[], at: number) => void,
  lines: string[] = [],
): void {
  const [next, ...rest] = upstreams;
  if (!next) {
    done(lines, at);
    return;
  }
  next.call(at, (result) => {
    const line = `${next.label}: ${result.answeredBy ?? result.detail}`;
    ask(sockets, rest, sockets.after(result.finished), done, [...lines, line]);
  });
}

export function listenUdp(
  sockets: Sockets,
  namespace: Namespace,
  port: number,
  name: string,
  address = '0.0.0.0',
): UdpSocket {
  const answer = ({ data, from, time }: Datagram, socket: UdpSocket): void => {
    socket.send(from, new TextEncoder().encode(`${name} got ${data.length} bytes\n`), sockets.after(time));
  };
  return sockets.openUdp(namespace, port, answer, undefined, address);
}
