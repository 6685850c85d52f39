/**
 * What nodes and managers say on port 2377 (swarmkit agent/session.go, manager/dispatcher; gRPC over TLS): one connection that
 * stays, and a heartbeat every five seconds or so, of four records. Sizes of the heartbeat are those of a real swarm, those of the
 * handshake are plausible; contents are opaque, as encrypted ones are.
 */

import type { Namespace, Sockets, TcpConnection } from '../engine/index.js';
import type { Draw } from '../topology/draw.js';
import { tlsRecord } from './opaque.js';

export const MANAGEMENT_PORT = 2377;
const SECOND = 1_000_000_000;
const HEARTBEAT = 5 * SECOND;
/** Nodes keep out of step. */
const EPSILON = 0.5 * SECOND;
const FIRST_BACKOFF = 0.1 * SECOND;
const MOST_BACKOFF = 8 * SECOND;

/** Each record by the one that it answers, whole lengths: handshake, then heartbeat. The node speaks first and the manager last. */
const HELLO = 272;
const BEAT = 87;
const ANSWERS: Readonly<Record<number, number>> = {
  [HELLO]: 2108,
  2108: 1390,
  1390: 64,
  [BEAT]: 97,
  97: 69,
  98: 69,
  69: 39,
};
const RECORD_HEADER = 5;

/** A manager's end: it answers in its turn. */
export function listenManagement(
  sockets: Sockets,
  namespace: Namespace,
  address: string,
  draw: Draw,
): ReturnType<Sockets['listen']> {
  const accept = (connection: TcpConnection): void => {
    converse(sockets, connection, draw, () => {});
    connection.onEnd = (time) => connection.close(sockets.after(time));
  };
  return sockets.listen(namespace, MANAGEMENT_PORT, accept, address.includes(':') ? '::' : '0.0.0.0');
}

/** A node's end: it dials one of the managers, and another when that one does not answer any more. */
export class ManagementSession {
  #backoff = FIRST_BACKOFF;
  #cancel: () => void = () => {};
  #connection: TcpConnection | undefined;
  #stopped = false;

  constructor(
    readonly sockets: Sockets,
    readonly namespace: Namespace,
    /** Addresses, asked anew for each dial. */
    readonly managers: () => string[],
    readonly draw: Draw,
    readonly period = HEARTBEAT,
  ) {
    this.#wait(sockets.engine.now + draw.between(0, 999) * (SECOND / 100_000), (time) => this.#dial(time));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#connection?.close(this.sockets.engine.now);
  }

  #wait(time: number, then: (time: number) => void): void {
    this.#cancel();
    if (!this.#stopped) this.#cancel = this.sockets.engine.at(time, then);
  }

  #dial(time: number): void {
    const managers = this.managers();
    const address = managers[this.draw.between(0, Math.max(managers.length - 1, 0))];
    const connection =
      address === undefined
        ? undefined
        : this.sockets.connect(this.namespace, { address, port: MANAGEMENT_PORT }, time);
    if (!connection) {
      this.#again(time);
      return;
    }
    this.#connection = connection;
    /** Has the manager said its last word to what was asked last? */
    let answered = false;
    converse(this.sockets, connection, this.draw, () => {
      answered = true;
    });
    const ask = (size: number, at: number, patience: number) => {
      answered = false;
      connection.write(tlsRecord(this.draw, size), at);
      // A manager that has not answered by then is not there any more.
      this.#wait(at + patience, (next) => (answered ? beat(next) : fail(next)));
    };
    const beat = (at: number) => ask(BEAT, at, this.period - this.draw.between(0, 999) * (EPSILON / 1000));
    const fail = (at: number) => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      connection.close(at);
      this.#again(at);
    };
    connection.onConnected = (at) => {
      this.#backoff = FIRST_BACKOFF;
      ask(HELLO, this.sockets.after(at), this.period / 10);
    };
    connection.onFailed = (_reason, at) => fail(at);
    connection.onEnd = (at) => fail(this.sockets.after(at));
    this.#wait(time + this.period, fail);
  }

  #again(time: number): void {
    this.#wait(time + this.#backoff, (at) => this.#dial(at));
    this.#backoff = Math.min(this.#backoff * 2, MOST_BACKOFF);
  }
}

/** Answers each record that comes with the one that follows it; `last` is called where none does. */
function converse(sockets: Sockets, connection: TcpConnection, draw: Draw, last: () => void): void {
  let waiting = new Uint8Array();
  connection.onData = (data, time) => {
    waiting = Uint8Array.from([...waiting, ...data]);
    for (;;) {
      const [, , , high = 0, low = 0] = waiting;
      const size = RECORD_HEADER + ((high << 8) | low);
      if (waiting.length < RECORD_HEADER || waiting.length < size) return;
      waiting = waiting.slice(size);
      const answer = ANSWERS[size];
      if (answer === undefined) last();
      // The manager's first word of a heartbeat is a byte longer at times.
      else connection.write(tlsRecord(draw, answer + (size === BEAT ? draw.between(0, 1) : 0)), sockets.after(time));
    }
  };
}
