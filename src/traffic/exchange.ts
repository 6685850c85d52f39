/** A request and its answer over one TCP connection. */

import { joined } from '../bytes.js';
import type { Namespace, Sockets } from '../engine/index.js';

export interface Exchange {
  ok: boolean;
  /** What came back. */
  data: Uint8Array;
  finished: number;
  detail: string;
  answeredBy?: string;
  /** Address and port that the client's socket used. */
  local?: { address: string; port: number };
}

/**
 * Connects, sends `request` and gathers the answer until the server closes or `isWhole` says so; then closes. `done` is
 * called once, whatever happens. With `hold` (ns) half the request is sent, and the rest so much later.
 */
export function dial(
  sockets: Sockets,
  from: Namespace,
  to: { address: string; port: number },
  request: Uint8Array,
  at: number,
  done: (result: Exchange) => void,
  isWhole: (data: Uint8Array) => boolean = () => false,
  hold = 0,
): void {
  const connection = sockets.connect(from, to, at);
  if (!connection) {
    done({ ok: false, data: new Uint8Array(), finished: at, detail: `no route to ${to.address}` });
    return;
  }
  let data: Uint8Array = new Uint8Array();
  let local = connection.local;
  let over = false;
  const finish = (ok: boolean, detail: string, time: number) => {
    if (over) return;
    over = true;
    done({ ok, data, finished: time, detail, local });
  };
  connection.onConnected = (time) => {
    local = connection.local;
    const half = hold > 0 ? request.length >> 1 : request.length;
    connection.write(request.slice(0, half), sockets.after(time));
    if (half < request.length)
      sockets.engine.at(sockets.after(time) + hold, (later) => {
        if (!over) connection.write(request.slice(half), later);
      });
  };
  connection.onData = (piece, time) => {
    data = joined([data, piece]);
    if (!isWhole(data)) return;
    connection.close(sockets.after(time));
    finish(true, '', time);
  };
  connection.onEnd = (time) => {
    if (!over) connection.close(sockets.after(time));
    finish(data.length > 0, data.length > 0 ? '' : 'closed without an answer', time);
  };
  connection.onFailed = (reason, time) => {
    const words = {
      refused: 'connection refused',
      timeout: 'connection timed out',
      unreachable: 'host unreachable',
      reset: 'connection reset',
    };
    finish(false, words[reason], time);
  };
}
