/** Redis' protocol (RESP) as far as a PING needs it. */

import type { Namespace, Sockets, TcpConnection } from '../engine/index.js';
import { dial, type Exchange } from './exchange.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const PING = '*1\r\n$4\r\nPING\r\n';
const PONG = '+PONG\r\n';

export function ping(
  sockets: Sockets,
  from: Namespace,
  to: { address: string; port: number },
  at: number,
  done: (result: Exchange) => void,
): void {
  const isPong = (data: Uint8Array) => decoder.decode(data) === PONG;
  dial(
    sockets,
    from,
    to,
    encoder.encode(PING),
    at,
    (result) =>
      done({
        ...result,
        ok: result.ok && isPong(result.data),
        detail: decoder.decode(result.data).trim() || result.detail,
      }),
    isPong,
  );
}

/** Answers a PING; the client closes. */
export function answer(connection: TcpConnection, received: Uint8Array, time: number): boolean {
  if (decoder.decode(received) !== PING) return false;
  connection.write(encoder.encode(PONG), time);
  return true;
}

export function isRedis(received: Uint8Array): boolean {
  return received[0] === 0x2a; // "*"
}
