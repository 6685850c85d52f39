/**
 * The sockets of the engine's own TCP, UDP and ping, with handlers: what the engine punts is handed to whom it concerns.
 * What a handler sends goes out no sooner than the engine's service delay after what it answers.
 */

import type { Device } from './device.js';
import type { Engine } from './engine.js';
import { StateOfSockets } from './generated/layout.js';
import type { Namespace } from './namespace.js';
import type { Punted } from './punts.js';
import { ipv4, ipv4Text, port as wirePort } from './wire.js';
import { addressOf, isIpv6, numberOf } from './wire6.js';

const TCP = 6;
/** The bit of a protocol that says so. */
const OVER_IPV6 = 0x80000000;
const STATES = new Map(Object.entries(StateOfSockets).map(([name, value]) => [value as number, name]));

export type Failure = 'refused' | 'timeout' | 'unreachable' | 'reset';

/** One TCP connection. Handlers are set by its owner; each call's `time` is virtual, ns. */
export class TcpConnection {
  onConnected: ((time: number) => void) | undefined;
  onData: ((data: Uint8Array, time: number) => void) | undefined;
  /** The peer will send no more. */
  onEnd: ((time: number) => void) | undefined;
  onFailed: ((reason: Failure, time: number) => void) | undefined;
  onClosed: ((time: number) => void) | undefined;

  constructor(
    private readonly engine: Engine,
    readonly socket: number,
    readonly remote: { address: string; port: number },
  ) {}

  /** Dotted address and port of this end, once it is known. */
  get local(): { address: string; port: number } {
    const { exports, memory } = this.engine;
    const own = exports.socketAddress(this.socket) >>> 0;
    const address = isIpv6(this.remote.address) ? addressOf(memory, own) : ipv4Text(own);
    return { address, port: wirePort(exports.socketPort(this.socket)) };
  }

  write(data: Uint8Array, time: number): void {
    const { exports } = this.engine;
    const at = this.engine.fill(data);
    const taken = exports.tcpWrite(this.socket, at, data.length, time);
    // A connection that was reset meanwhile takes nothing; its owner hears of it.
    if (taken > 0 && taken < data.length)
      throw new RangeError(`a send buffer does not take ${data.length} bytes at once`);
  }

  /** FIN follows what was written. */
  close(time: number): void {
    this.engine.exports.tcpClose(this.socket, time);
  }

  /** FIN follows what was written; what the peer still sends is read. */
  shutdown(time: number): void {
    this.engine.exports.tcpShutdown(this.socket, time);
  }

  /** RST; what was not sent yet is lost. */
  abort(time: number): void {
    this.engine.exports.tcpAbort(this.socket, time);
  }
}

export interface Datagram {
  data: Uint8Array;
  from: { address: string; port: number };
  time: number;
}

export class UdpSocket {
  constructor(
    private readonly engine: Engine,
    readonly socket: number,
    /** Over IPv6: its peers have IPv6 addresses. */
    readonly ipv6: boolean,
    readonly onDatagram: (datagram: Datagram, socket: UdpSocket) => void,
    readonly onError: ((type: number, code: number, time: number, from: string) => void) | undefined,
  ) {}

  get port(): number {
    return wirePort(this.engine.exports.socketPort(this.socket));
  }

  /** IP_TTL of what it sends. */
  set ttl(hops: number) {
    this.engine.exports.socketTtl(this.socket, hops);
  }

  /** This peer only from now on. False: there is no route to it. */
  connect(to: { address: string; port: number }): boolean {
    return Boolean(this.engine.exports.udpConnect(this.socket, this.#peer(to.address), wirePort(to.port)));
  }

  /** False: no route, or too long. */
  send(to: { address: string; port: number }, data: Uint8Array, time: number): boolean {
    const peer = this.#peer(to.address);
    const at = this.engine.fill(data);
    return this.engine.exports.udpSend(this.socket, peer, wirePort(to.port), at, data.length, time) === data.length;
  }

  #peer(address: string): number {
    if (isIpv6(address) !== this.ipv6)
      throw new RangeError(`this socket is no ${this.ipv6 ? 'IPv4' : 'IPv6'} one: ${address}`);
    return this.ipv6 ? numberOf(this.engine.exports, address) : ipv4(address);
  }

  close(): void {
    this.engine.exports.udpClose(this.socket);
  }
}

/** A TCP port that is listened on. */
export interface Listener {
  readonly socket: number;
}

export interface EchoReply {
  sequence: number;
  from: string;
  ttl: number;
  time: number;
}

export interface EchoError {
  sequence: number;
  type: number;
  code: number;
  /** Who says so. */
  from: string;
  time: number;
}

export interface SocketEntry {
  /** The engine's number for it. */
  socket: number;
  protocol: 'tcp' | 'udp';
  ipv6: boolean;
  /** `LISTEN`, `ESTABLISHED`, …; `BOUND` is a UDP socket's. */
  state: string;
  local: { address: string; port: number };
  remote: { address: string; port: number };
}

export class Sockets {
  readonly #listeners = new Map<
    number,
    { namespace: Namespace; onAccept: (connection: TcpConnection, time: number) => void }
  >();
  /** What the processes of a namespace have open, as `netstat` lists it. */
  entries(namespace: Namespace): SocketEntry[] {
    const { exports, memory } = this.engine;
    return [...(this.#open.get(namespace) ?? [])].map((socket) => {
      const protocol = exports.socketProtocol(socket) >>> 0;
      const over6 = protocol >= OVER_IPV6;
      const text = (address: number) =>
        over6 ? (address === 0 ? '::' : addressOf(memory, address >>> 0)) : ipv4Text(address);
      return {
        socket,
        protocol: (protocol & 255) === TCP ? 'tcp' : 'udp',
        ipv6: over6,
        state: STATES.get(exports.socketState(socket)) ?? 'CLOSED',
        local: { address: text(exports.socketAddress(socket)), port: wirePort(exports.socketPort(socket)) },
        remote: { address: text(exports.socketRemoteAddress(socket)), port: wirePort(exports.socketRemotePort(socket)) },
      };
    });
  }

  closeUdp(socket: UdpSocket): void {
    this.#udp.delete(socket.socket);
    this.#disown(socket.socket);
    socket.close();
  }

  /** To be given to `Engine.run`. */
  readonly handle = (punted: Punted): void => {
    switch (punted.kind) {
      case 'accepted': {
        const connection = new TcpConnection(this.engine, punted.socket, {
          address: punted.remote,
          port: punted.remotePort,
        });
        this.#connections.set(punted.socket, connection);
        const listener = this.#listeners.get(punted.listener);
        if (!listener) {
          // Whoever would have accepted it has ended meanwhile.
          this.#connections.delete(punted.socket);
          this.engine.exports.tcpClose(punted.socket, this.after(punted.time));
          break;
        }
        this.#own(listener.namespace, punted.socket);
        listener.onAccept(connection, punted.time);
        break;
      }
      case 'datagram': {
        const socket = this.#udp.get(punted.socket);
        socket?.onDatagram(
          { data: punted.data, from: { address: punted.remote, port: punted.remotePort }, time: punted.time },
          socket,
        );
        break;
      }
      case 'echo-reply':
        this.#pings.get(wirePort(punted.identifier))?.onReply(punted);
        break;
      case 'error':
        this.#udp.get(punted.socket)?.onError?.(punted.type, punted.code, punted.time, punted.from);
        break;
      case 'echo-error':
        this.#pings.get(wirePort(punted.identifier))?.onError?.(punted);
        break;
      default:
        this.#stream(punted);
    }
  };

  #stream(
    punted: Extract<Punted, { kind: 'connected' | 'data' | 'fin' | 'closed' | 'reset' | 'failed' | 'writable' }>,
  ): void {
    const connection = this.#connections.get(punted.socket);
    if (!connection) return;
    switch (punted.kind) {
      case 'connected':
        connection.onConnected?.(punted.time);
        break;
      case 'data':
        connection.onData?.(punted.data, punted.time);
        break;
      case 'fin':
        connection.onEnd?.(punted.time);
        break;
      case 'closed':
        this.#connections.delete(punted.socket);
        this.#disown(punted.socket);
        connection.onClosed?.(punted.time);
        break;
      case 'reset':
        this.#connections.delete(punted.socket);
        this.#disown(punted.socket);
        connection.onFailed?.('reset', punted.time);
        break;
      case 'failed':
        this.#connections.delete(punted.socket);
        this.#disown(punted.socket);
        connection.onFailed?.(punted.reason, punted.time);
        break;
      default:
    }
  }
}
