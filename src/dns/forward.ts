/** A query handed on to another server (RFC 1035, section 7; libnetwork resolver.go, forwardExtDNS). */

import { joined } from '../bytes.js';
import type { Namespace, Sockets } from '../engine/index.js';
import type { Transport } from './listener.js';
import { Deframer, framed } from './message.js';

const PORT = 53;

/** What a socket is bound to that is to speak to this server: any address of its family. */
export function anyOf(server: string): string {
  return server.includes(':') ? '::' : '0.0.0.0';
}

export interface Exchange {
  /** The first message that came back; undefined: none did. */
  response?: Uint8Array;
  /** When it came, or when it was clear that none would. */
  finished: number;
}

/**
 * Asks `server` once, by a socket of its own, and waits `patience` ns. Over TCP it may be several messages, one behind the
 * other. `accept` says whether a message is the last one that was waited for. `done` is called once.
 */
export function exchange(
  sockets: Sockets,
  from: Namespace,
  server: string,
  messages: Uint8Array | readonly Uint8Array[],
  transport: Transport,
  { at, patience, accept }: { at: number; patience: number; accept: (response: Uint8Array) => boolean },
  done: (result: Exchange) => void,
): void {
  const all = messages instanceof Uint8Array ? [messages] : messages;
  if (transport === 'udp') overUdp();
  else overTcp();

  function overUdp(): void {
    let over = false;
    const finish = (result: Exchange) => {
      if (over) return;
      over = true;
      stop();
      sockets.closeUdp(socket);
      done(result);
    };
    const socket = sockets.openUdp(
      from,
      0,
      ({ data, time }) => {
        if (accept(data)) finish({ response: data.slice(), finished: time });
      },
      (_type, _code, time) => finish({ finished: time }),
      anyOf(server),
    );
    const stop = sockets.engine.at(at + patience, (time) => finish({ finished: time }));
    const to = { address: server, port: PORT };
    if (!socket.connect(to) || !all.every((message) => socket.send(to, message, at))) finish({ finished: at });
  }

  function overTcp(): void {
    const connection = sockets.connect(from, { address: server, port: PORT }, at);
    if (!connection) {
      done({ finished: at });
      return;
    }
    let over = false;
    const stream = new Deframer();
    const finish = (result: Exchange) => {
      if (over) return;
      over = true;
      stop();
      done(result);
    };
    const stop = sockets.engine.at(at + patience, (time) => {
      connection.abort(time);
      finish({ finished: time });
    });
    connection.onConnected = (time) => connection.write(joined(all.map(framed)), sockets.after(time));
    connection.onData = (piece, time) => {
      const response = stream.take(piece).find(accept);
      if (!response || over) return;
      connection.close(sockets.after(time));
      finish({ response, finished: time });
    };
    connection.onEnd = (time) => {
      if (!over) connection.close(sockets.after(time));
      finish({ finished: time });
    };
    connection.onFailed = (_reason, time) => finish({ finished: time });
  }
}
