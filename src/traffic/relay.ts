/**
 * A TCP relay, as `socat TCP-L:12345,fork TCP:HOST:PORT` in a container is one: it listens, and for each connection looks the
 * target up, connects there and carries bytes both ways. When one side is done, the other has half a second more (socat's -t).
 */

import type { Namespace, Sockets, TcpConnection } from '../engine/index.js';

const GRACE = 500_000_000;

export interface RelayTarget {
  port: number;
  /** Finds the target's address from `at` on; undefined: it has none. */
  find: (at: number, done: (address: string | undefined, time: number) => void) => void;
}

export function listenRelay(sockets: Sockets, namespace: Namespace, port: number, target: RelayTarget): void {
  sockets.listen(namespace, port, (client, accepted) => {
    const forward = new Way(sockets, client);
    // Until the target answers, nothing more is read: the client's window closes.
    client.pause(accepted);
    let gone = false;
    client.onFailed = () => {
      gone = true;
    };
    target.find(sockets.after(accepted), (address, time) => {
      if (gone) return;
      const server =
        address === undefined ? undefined : sockets.connect(namespace, { address, port: target.port }, time);
      if (!server) {
        client.abort(time);
        return;
      }
      server.onFailed = (_reason, at) => client.close(sockets.after(at));
      client.onFailed = (_reason, at) => server.abort(sockets.after(at));
      server.onConnected = (at) => join(sockets, forward, new Way(sockets, server), sockets.after(at));
    });
  });
}

/** One direction: what `from` says, on its way to `to`. */
class Way {
  readonly #waiting: Uint8Array[] = [];
  #to: TcpConnection | undefined;
  ended = false;
  /** Called once `from` has said its last. */
  onEnd: (time: number) => void = () => {};

  constructor(
    readonly sockets: Sockets,
    readonly from: TcpConnection,
  ) {
    from.onData = (piece, time) => {
      this.#waiting.push(piece.slice());
      this.#carry(sockets.after(time));
    };
    from.onEnd = (time) => {
      const at = sockets.after(time);
      this.ended = true;
      this.#carry(at);
      this.onEnd(at);
    };
  }

  leadTo(to: TcpConnection, time: number): void {
    this.#to = to;
    to.onWritable = (then) => {
      const at = this.sockets.after(then);
      this.#carry(at);
      if (this.#waiting.length === 0 && !this.ended) this.from.resume(at);
    };
    this.from.resume(time);
    this.#carry(time);
  }

  /** Hands on what waits, as far as the other's buffer takes it; its FIN behind the last byte. */
  #carry(time: number): void {
    const to = this.#to;
    if (!to) return;
    for (let piece = this.#waiting[0]; piece; piece = this.#waiting[0]) {
      const taken = to.offer(piece, time);
      if (taken < piece.length) {
        this.#waiting[0] = piece.subarray(taken);
        this.from.pause(time);
        return;
      }
      this.#waiting.shift();
    }
    if (this.ended) to.shutdown(time);
  }
}

/** What one reads the other writes, until both are done. */
function join(sockets: Sockets, forward: Way, back: Way, time: number): void {
  const open = new Set([forward.from, back.from]);
  let stop: (() => void) | undefined;
  const closeAll = (at: number) => {
    stop?.();
    for (const one of open) one.close(at);
    open.clear();
  };
  const end = (at: number) => {
    if (forward.ended && back.ended) closeAll(at);
    else stop ??= sockets.engine.at(at + GRACE, closeAll);
  };
  for (const [one, other] of [
    [forward, back],
    [back, forward],
  ] as const) {
    one.onEnd = end;
    one.from.onFailed = (_reason, at) => {
      stop?.();
      open.delete(one.from);
      if (open.delete(other.from)) other.from.abort(sockets.after(at));
    };
  }
  forward.leadTo(back.from, time);
  back.leadTo(forward.from, time);
  if (forward.ended) end(time);
}
