/**
 * Two hosts on one wire, with sockets of their own:
 *
 *   client 10.0.0.1 ── segment ── server 10.0.0.2
 */

import type {
  Device,
  Engine,
  EngineOptions,
  Failure,
  Namespace,
  Segment,
  TcpConnection,
} from '../../src/engine/index.js';
import { Sockets } from '../../src/engine/index.js';
import { checkedEngine } from './checked.js';
import type { MoreExports } from './loaded.js';
import { concat, u16, u32 } from './packets.js';
import { SECOND } from './state.js';
import { Watch } from './watch.js';

export const CLIENT = '10.0.0.1';
export const SERVER = '10.0.0.2';
export const PORT = 50000;

export interface Pair {
  engine: Engine;
  more: MoreExports;
  segment: Segment;
  client: Namespace;
  server: Namespace;
  clientNic: Device;
  serverNic: Device;
  watch: Watch;
  sockets: Sockets;
  run(seconds: number): void;
}

export async function pair(
  options: Omit<EngineOptions, 'module'> & {
    mtu?: number;
    serverMtu?: number;
    /** ns */
    latency?: number;
    /** Share of frames that get lost. */
    loss?: number;
  } = {},
): Promise<Pair> {
  const { mtu = 1500, serverMtu = mtu, latency = 100_000, loss = 0, ...rest } = options;
  const engine = await checkedEngine(rest);
  const segment = engine.segment(latency);
  const client = engine.namespace('client/host');
  const server = engine.namespace('server/host');
  const clientNic = client.addPhysical('eth0', segment, { mac: '02:00:00:00:00:01', mtu });
  const serverNic = server.addPhysical('eth0', segment, { mac: '02:00:00:00:00:02', mtu: serverMtu });
  client.addAddress(clientNic, `${CLIENT}/24`);
  server.addAddress(serverNic, `${SERVER}/24`);
  client.addNeighbour(clientNic, SERVER, '02:00:00:00:00:02');
  server.addNeighbour(serverNic, CLIENT, '02:00:00:00:00:01');
  const watch = new Watch(engine, [clientNic, serverNic]);
  segment.loss = loss;
  const sockets = new Sockets(engine);
  return {
    engine,
    more: engine.exports as unknown as MoreExports,
    segment,
    client,
    server,
    clientNic,
    serverNic,
    watch,
    sockets,
    run: (seconds) => {
      engine.run(seconds * SECOND, sockets.handle);
    },
  };
}

/** What one end of a connection has lived through. */
export class End {
  readonly #pieces: Uint8Array[] = [];
  readonly events: string[] = [];
  connection: TcpConnection | undefined;
  failure: Failure | undefined;
  failedAt = 0;

  constructor(
    readonly sockets: Sockets,
    readonly options: { closeOnEnd?: boolean } = {},
  ) {}

  get data(): Uint8Array {
    return concat(...this.#pieces);
  }

  take(connection: TcpConnection): this {
    this.connection = connection;
    connection.onConnected = () => this.events.push('connected');
    connection.onData = (piece) => this.#pieces.push(piece);
    connection.onEnd = (time) => {
      this.events.push('end');
      if (this.options.closeOnEnd !== false) connection.close(this.sockets.after(time));
    };
    connection.onClosed = () => this.events.push('closed');
    connection.onFailed = (reason, time) => {
      this.events.push(reason);
      this.failure = reason;
      this.failedAt = time;
    };
    return this;
  }

  /** Writes what the inbox takes at a time. */
  write(data: Uint8Array, time: number): void {
    for (let at = 0; at < data.length; at += 1 << 19) this.connection?.write(data.subarray(at, at + (1 << 19)), time);
  }
}

/** The client's and the server's end of a connection to PORT; the latter once it is accepted. */
export function connect(
  world: Pair,
  time = 0,
  options: {
    closeOnEnd?: boolean;
    onAccept?: (end: End, time: number) => void;
    onConnect?: (end: End, time: number) => void;
  } = {},
): { client: End; server: End } {
  const server = new End(world.sockets, options);
  world.sockets.listen(world.server, PORT, (connection, at) => {
    server.take(connection).events.push('accepted');
    options.onAccept?.(server, at);
  });
  const connection = world.sockets.connect(world.client, { address: SERVER, port: PORT }, time);
  if (!connection) throw new Error('no route');
  const client = new End(world.sockets, options).take(connection);
  connection.onConnected = (at) => {
    client.events.push('connected');
    options.onConnect?.(client, at);
  };
  return { client, server };
}

export interface SeenSegment {
  from: 'client' | 'server';
  time: number;
  flags: string;
  sequence: number;
  acknowledgment: number;
  window: number;
  id: number;
  df: boolean;
  ttl: number;
  options: Uint8Array;
  payload: Uint8Array;
  packet: Uint8Array;
}

/** The segments that left by a tap or came in there. */
export function segmentsAt({ watch, clientNic }: Pair, device: Device = clientNic): SeenSegment[] {
  return watch
    .frames(device)
    .filter(({ data }) => u16(data, 12) === 0x0800 && data[23] === 6)
    .map(({ data, time }) => {
      const packet = data.subarray(14);
      const header = ((packet[32] ?? 0) >> 4) * 4;
      const bits = packet[33] ?? 0;
      return {
        from: packet[15] === 1 ? 'client' : 'server',
        time,
        flags: [...'FSRPAUEC'].filter((_, bit) => bits & (1 << bit)).join(''),
        sequence: u32(packet, 24),
        acknowledgment: u32(packet, 28),
        window: u16(packet, 34),
        id: u16(packet, 4),
        df: (u16(packet, 6) & 0x4000) !== 0,
        ttl: packet[8] ?? 0,
        options: packet.subarray(40, 20 + header),
        payload: packet.subarray(20 + header, u16(packet, 2)),
        packet,
      };
    });
}

export function letters(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 0x41 + ((i + seed + (i >> 9)) % 26));
}
