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
  /** The send buffer, which did not take all that was offered, has room again. */
  onWritable: ((time: number) => void) | undefined;

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

  /** How many bytes the send buffer took; 0 too where nothing may be written any more. */
  offer(data: Uint8Array, time: number): number {
    const at = this.engine.fill(data);
    return this.engine.exports.tcpWrite(this.socket, at, data.length, time);
  }

  write(data: Uint8Array, time: number): void {
    const taken = this.offer(data, time);
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

  /** Nothing is read until `resume`: the window closes as data comes. */
  pause(time: number): void {
    this.engine.exports.tcpPause(this.socket, time);
  }
  resume(time: number): void {
    this.engine.exports.tcpResume(this.socket, time);
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
  /** What the processes of a namespace have open. */
  readonly #open = new Map<Namespace, Set<number>>();
  readonly #owner = new Map<number, Namespace>();
  /** Connections, and who accepted them. */
  readonly #acceptedBy = new Map<number, number>();
  readonly #connections = new Map<number, TcpConnection>();
  readonly #udp = new Map<number, UdpSocket>();
  readonly #pings = new Map<number, { onReply: (reply: EchoReply) => void; onError?: (error: EchoError) => void }>();
  #identifier = 0;

  constructor(readonly engine: Engine) {}

  /** Earliest time at which what was seen at `time` may be answered. */
  after(time: number): number {
    return Math.max(time + this.engine.serviceDelay, this.engine.now);
  }

  /** At every IPv4 address, unless one is given; `::` is every IPv6 address. */
  listen(
    namespace: Namespace,
    port: number,
    onAccept: (connection: TcpConnection, time: number) => void,
    address = '0.0.0.0',
  ): Listener {
    const { exports } = this.engine;
    const socket = isIpv6(address)
      ? exports.tcpListen6(namespace.at, numberOf(exports, address), wirePort(port))
      : exports.tcpListen(namespace.at, ipv4(address), wirePort(port));
    if (!socket) throw new Error(`${namespace.name}: TCP port ${port} is taken`);
    this.#listeners.set(socket, { namespace, onAccept });
    this.#own(namespace, socket);
    return { socket };
  }

  /** Its process ends at `time`: connections that it has accepted send their FIN, and no handler hears of it. */
  endListener(listener: Listener, time: number): void {
    for (const [socket, by] of this.#acceptedBy) {
      if (by !== listener.socket) continue;
      this.#connections.delete(socket);
      this.#disown(socket);
      this.engine.exports.tcpClose(socket, time);
    }
    this.closeListener(listener);
  }

  /** Connections that were accepted stay. */
  closeListener({ socket }: Listener): void {
    this.#listeners.delete(socket);
    this.#disown(socket);
    this.engine.exports.tcpClose(socket, this.engine.now);
  }

  #own(namespace: Namespace, socket: number): void {
    this.#owner.set(socket, namespace);
    const open = this.#open.get(namespace);
    if (open) open.add(socket);
    else this.#open.set(namespace, new Set([socket]));
  }

  #disown(socket: number): void {
    const namespace = this.#owner.get(socket);
    this.#owner.delete(socket);
    this.#acceptedBy.delete(socket);
    if (namespace) this.#open.get(namespace)?.delete(socket);
  }

  /**
   * The processes of a namespace end at `time`: the kernel closes what they had open. Listeners go, connections send
   * their FIN; no handler hears of it.
   */
  kill(namespace: Namespace, time: number): void {
    const open = this.#open.get(namespace) ?? [];
    this.#open.delete(namespace);
    this.#held.delete(namespace);
    for (const socket of open) {
      this.#owner.delete(socket);
      this.#acceptedBy.delete(socket);
      this.#listeners.delete(socket);
      this.#connections.delete(socket);
      const udp = this.#udp.get(socket);
      if (udp) this.closeUdp(udp);
      else this.engine.exports.tcpClose(socket, time);
    }
  }

  /** Undefined: there is no route, or no port left. */
  connect(namespace: Namespace, to: { address: string; port: number }, time: number): TcpConnection | undefined {
    const { exports } = this.engine;
    const socket = isIpv6(to.address)
      ? exports.tcpConnect6(namespace.at, numberOf(exports, to.address), wirePort(to.port), time)
      : exports.tcpConnect(namespace.at, ipv4(to.address), wirePort(to.port), time);
    if (!socket) return undefined;
    const connection = new TcpConnection(this.engine, socket, to);
    this.#connections.set(socket, connection);
    this.#own(namespace, socket);
    return connection;
  }

  /** Port 0 takes a free one. At every IPv4 address, unless one is given; `::` is every IPv6 address. */
  openUdp(
    namespace: Namespace,
    port: number,
    onDatagram: (datagram: Datagram, socket: UdpSocket) => void,
    onError?: (type: number, code: number, time: number, from: string) => void,
    address = '0.0.0.0',
  ): UdpSocket {
    const { exports } = this.engine;
    const v6 = isIpv6(address);
    const id = v6
      ? exports.udpOpen6(namespace.at, numberOf(exports, address), wirePort(port))
      : exports.udpOpen(namespace.at, ipv4(address), wirePort(port));
    if (!id) throw new Error(`${namespace.name}: UDP port ${port} is taken`);
    const socket = new UdpSocket(this.engine, id, v6, onDatagram, onError);
    this.#udp.set(id, socket);
    this.#own(namespace, id);
    return socket;
  }

  /** One echo request of `size` payload bytes; false when there is no route. */
  ping(
    namespace: Namespace,
    to: string,
    options: {
      identifier: number;
      sequence: number;
      size: number;
      time: number;
      ttl?: number;
      source?: string;
      /** The way to a link-local IPv6 address. */
      device?: Device;
    },
  ): boolean {
    const { identifier, sequence, size, time, ttl = 0, source, device } = options;
    const { exports } = this.engine;
    if (isIpv6(to)) {
      const target = numberOf(exports, to);
      const way = device?.at ?? 0;
      return exports.pingSend6(namespace.at, target, way, wirePort(identifier), sequence, size, time) !== 0;
    }
    const from = source === undefined ? 0 : ipv4(source);
    return exports.pingSend(namespace.at, from, ipv4(to), wirePort(identifier), sequence, size, ttl, time) !== 0;
  }

  /** An identifier of one's own, and who hears of its replies, and of errors about its requests. */
  openPing(onReply: (reply: EchoReply) => void, onError?: (error: EchoError) => void): number {
    do this.#identifier = (this.#identifier % 65535) + 1;
    while (this.#pings.has(this.#identifier));
    this.#pings.set(this.#identifier, { onReply, ...(onError ? { onError } : {}) });
    return this.#identifier;
  }

  closePing(identifier: number): void {
    this.#pings.delete(identifier);
  }

  /** The open sockets of a namespace, as `netstat` lists them. */
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
        remote: {
          address: text(exports.socketRemoteAddress(socket)),
          port: wirePort(exports.socketRemotePort(socket)),
        },
      };
    });
  }

  closeUdp(socket: UdpSocket): void {
    this.#udp.delete(socket.socket);
    this.#disown(socket.socket);
    socket.close();
  }

  /** To be given to `Engine.run`. */
  /** What comes for sockets of `namespace` waits: nobody is there who could take it. */
  hold(namespace: Namespace): void {
    this.#held.set(namespace, []);
  }

  /** And now somebody is: it is handed on, as of now. */
  release(namespace: Namespace): void {
    const waiting = this.#held.get(namespace) ?? [];
    this.#held.delete(namespace);
    for (const punted of waiting) this.handle({ ...punted, time: this.engine.now });
  }

  readonly #held = new Map<Namespace, Punted[]>();

  #waits(punted: Punted): boolean {
    const socket = punted.kind === 'accepted' ? punted.listener : 'socket' in punted ? punted.socket : undefined;
    const namespace = socket === undefined ? undefined : this.#owner.get(socket);
    const held = namespace && this.#held.get(namespace);
    // What follows on a connection that nobody has accepted yet waits with it.
    if (held && punted.kind === 'accepted') this.#owner.set(punted.socket, namespace);
    held?.push('data' in punted ? { ...punted, data: punted.data.slice() } : punted);
    return held !== undefined;
  }

  readonly handle = (punted: Punted): void => {
    if (this.#held.size > 0 && this.#waits(punted)) return;
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
        this.#acceptedBy.set(punted.socket, punted.listener);
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
      case 'writable':
        connection.onWritable?.(punted.time);
        break;
      default:
    }
  }
}
