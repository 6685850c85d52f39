/**
 * A DNS server's sockets: UDP, and TCP with its two bytes of length (RFC 1035, section 4.2), behind which any handler
 * stands. What is no query is answered or left as miekg/dns does it, and counted by its reason.
 */

import type { Namespace, Sockets, TcpConnection } from '../engine/index.js';
import { Deframer, framed, type Query, readQuery, UDP_SIZE } from './message.js';

const SECOND = 1_000_000_000;
/** A TCP client's first query must come within this, and the next one within that (dns.Server ReadTimeout, IdleTimeout). */
const FIRST_TIMEOUT = 2 * SECOND;
const IDLE_TIMEOUT = 8 * SECOND;
const MOST_TCP_QUERIES = 128;

export type Transport = 'udp' | 'tcp';

/** Answers `query`, which came at `time`, by `done`: with the reply and the time from which it may go, or with nothing. */
export type Handler = (
  query: Query,
  transport: Transport,
  time: number,
  done: (reply: Uint8Array | undefined, at: number) => void,
) => void;

/** Why messages were not taken as queries, and how often; queries that were not answered too. */
export type Counts = Map<string, number>;

export function count(counts: Counts, reason: string): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

export interface DnsListener {
  close(): void;
}

export interface ListenOptions {
  /** Without it every address of the namespace. */
  address?: string;
  udp?: number;
  tcp?: number;
  counts: Counts;
}

export function listenDns(
  sockets: Sockets,
  namespace: Namespace,
  { address, udp = 53, tcp = 53, counts }: ListenOptions,
  handler: Handler,
): DnsListener {
  const take = (message: Uint8Array, transport: Transport, time: number, done: Parameters<Handler>[3]) => {
    const read = readQuery(message);
    if ('query' in read) {
      handler(read.query, transport, time, (reply, at) => {
        if (!reply) count(counts, 'not answered');
        done(reply, at);
      });
      return;
    }
    count(counts, read.reason);
    done('reply' in read ? read.reply : undefined, sockets.after(time));
  };
  const datagrams = sockets.openUdp(
    namespace,
    udp,
    ({ data, from, time }, socket) => {
      // Its buffer is no larger: the rest is lost, and what is left is no message any more.
      take(data.slice(0, UDP_SIZE), 'udp', time, (reply, at) => {
        if (reply) socket.send(from, reply, at);
      });
    },
    undefined,
    address,
  );
  const listener = sockets.listen(
    namespace,
    tcp,
    (connection, time) => serve(sockets, connection, time, take),
    address,
  );
  return {
    close() {
      sockets.closeUdp(datagrams);
      sockets.closeListener(listener);
    },
  };
}

/** One query after the other, the next one once the one before it is answered. */
function serve(
  sockets: Sockets,
  connection: TcpConnection,
  accepted: number,
  take: (message: Uint8Array, transport: Transport, time: number, done: Parameters<Handler>[3]) => void,
): void {
  const { engine } = sockets;
  const stream = new Deframer();
  const waiting: Uint8Array[] = [];
  let busy = false;
  let over = false;
  let served = 0;
  const close = (time: number) => {
    if (over) return;
    over = true;
    stop();
    connection.close(time);
  };
  let stop = engine.at(accepted + FIRST_TIMEOUT, close);
  const next = (time: number) => {
    const message = busy || over ? undefined : waiting.shift();
    if (!message) return;
    busy = true;
    stop();
    take(message, 'tcp', time, (reply, at) => {
      busy = false;
      if (over) return;
      if (reply) connection.write(framed(reply), at);
      served++;
      stop = engine.at(at + IDLE_TIMEOUT, close);
      if (served >= MOST_TCP_QUERIES) close(at);
      else next(at);
    });
  };
  connection.onData = (piece, time) => {
    waiting.push(...stream.take(piece));
    next(time);
  };
  connection.onEnd = (time) => close(sockets.after(time));
  connection.onFailed = () => {
    over = true;
    stop();
  };
}
