/** Records of the engine's tables, read from memory by the generated layout. */

import {
  BalancedConnection,
  Connection,
  Direction,
  Entry,
  State as IpvsState,
  Neighbour,
  Nud,
  TcpState,
} from '../../src/engine/generated/layout.js';
import type { Device, Engine, Namespace } from '../../src/engine/index.js';
import { ipv4Text } from '../../src/engine/wire.js';

export const SECOND = 1_000_000_000;

function nameIn(members: Record<string, number>, value: number): string {
  return Object.keys(members).find((name) => members[name] === value) ?? String(value);
}

const swap16 = (value: bigint) => Number(((value & 0xffn) << 8n) | ((value >> 8n) & 0xffn));

interface Tuple {
  source: string;
  destination: string;
  sport: number;
  dport: number;
}

function tuple(engine: Engine, at: number): Tuple & { protocol: number; namespace: number } {
  const a = engine.memory.view.getBigUint64(at, true);
  const b = engine.memory.view.getBigUint64(at + 8, true);
  return {
    source: ipv4Text(Number(a & 0xffffffffn)),
    destination: ipv4Text(Number(a >> 32n)),
    sport: swap16(b & 0xffffn),
    dport: swap16((b >> 16n) & 0xffffn),
    protocol: Number((b >> 32n) & 0xffn),
    namespace: Number(b >> 40n),
  };
}

const inWords = ({ source, sport, destination, dport }: Tuple) => `${source}:${sport} > ${destination}:${dport}`;

export interface TrackedConnection {
  at: number;
  protocol: number;
  original: string;
  reply: string;
  /** TCP only. */
  state: string;
  /** ns of virtual time */
  deadline: number;
  seenReply: boolean;
  assured: boolean;
  mark: number;
  directions: { end: number; maxEnd: number; maxWindow: number; scale: number }[];
  retransmissions: number;
}

/** What `conntrack -L` shows of a namespace. */
export function connectionsIn(namespace: Namespace): TrackedConnection[] {
  const { engine } = namespace;
  const { exports, memory } = engine;
  const found: TrackedConnection[] = [];
  for (let slot = 0; slot < exports.connectionSlots(); slot++) {
    const at = exports.connectionAt(slot) >>> 0;
    if (!at) continue;
    const original = tuple(engine, at);
    if (original.namespace !== namespace.id) continue;
    const status = memory.get(at, Connection.status);
    found.push({
      at,
      protocol: original.protocol,
      original: inWords(original),
      reply: inWords(tuple(engine, at + Connection.replyA.at)),
      state: nameIn(TcpState, memory.get(at, Connection.state)),
      deadline: memory.get(at, Connection.deadline),
      seenReply: (status & 2) !== 0,
      assured: (status & 4) !== 0,
      mark: memory.get(at, Connection.mark),
      retransmissions: memory.get(at, Connection.retransmissions),
      directions: [0, 1].map((reply) => {
        const direction = at + Connection.direction0.at + reply * Direction.size;
        return {
          end: memory.get(direction, Direction.end),
          maxEnd: memory.get(direction, Direction.maxEnd),
          maxWindow: memory.get(direction, Direction.maxWindow),
          scale: memory.get(direction, Direction.scale),
        };
      }),
    });
  }
  return found;
}

export interface Balanced {
  client: string;
  server: string;
  state: string;
  deadline: number;
}

/** What `ipvsadm -Lnc` shows of a namespace. */
export function balancedIn(namespace: Namespace): Balanced[] {
  const { engine } = namespace;
  const { exports, memory } = engine;
  const found: Balanced[] = [];
  for (let slot = 0; slot < exports.balancedSlots(); slot++) {
    const at = exports.balancedAt(slot) >>> 0;
    if (!at) continue;
    const client = tuple(engine, at);
    if (client.namespace !== namespace.id) continue;
    found.push({
      client: inWords(client),
      server: inWords(tuple(engine, at + BalancedConnection.serverA.at)),
      state: nameIn(IpvsState, memory.get(at, BalancedConnection.state)),
      deadline: memory.get(at, BalancedConnection.deadline),
    });
  }
  return found;
}

/** `ip neigh show dev DEVICE`: address → state. */
export function neighboursOn(device: Device): Record<string, string> {
  const { exports, memory } = device.engine;
  const found: Record<string, string> = {};
  for (let slot = 0; slot < exports.neighbourSlots(); slot++) {
    const at = exports.neighbourAt(slot) >>> 0;
    if (!at || Number(memory.view.getBigUint64(at + 8, true)) !== device.id) continue;
    found[ipv4Text(memory.view.getUint32(at, true))] = nameIn(Nud, memory.get(at, Neighbour.state));
  }
  return found;
}

/** The forwarding entry of `owner` for a MAC, or undefined. */
export function fdbEntry(
  owner: { engine: Engine; id: number },
  hardware: string,
): { port: Device | undefined; remote: string; updated: number } | undefined {
  const { exports, memory, devices } = owner.engine;
  const wanted = hardware.split(':').reduceRight((sum, part) => sum * 256n + BigInt(Number.parseInt(part, 16)), 0n);
  for (let slot = 0; slot < exports.fdbSlots(); slot++) {
    const at = exports.fdbAt(slot) >>> 0;
    if (!at || memory.view.getBigUint64(at, true) !== wanted) continue;
    if (Number(memory.view.getBigUint64(at + 8, true)) !== owner.id) continue;
    const port = memory.get(at, Entry.port);
    return {
      port: devices.find((device) => device.at === port),
      remote: ipv4Text(memory.get(at, Entry.remote)),
      updated: memory.get(at, Entry.updated),
    };
  }
  return undefined;
}
