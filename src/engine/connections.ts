/** Connections as conntrack holds them, read from the engine's table. */

import type { Engine } from './engine.js';
import { Connection as Layout, TcpState } from './generated/layout.js';
import { ipv4Text, port } from './wire.js';

export interface Tuple {
  source: string;
  destination: string;
  sport: number;
  dport: number;
}

export interface ConnectionEntry {
  /** Name of its namespace. */
  namespace: string;
  protocol: 'tcp' | 'udp' | 'icmp' | number;
  original: Tuple;
  reply: Tuple;
  /** TCP's state by conntrack's name, else ''. */
  state: string;
  /** Seconds that it has left. */
  expires: number;
  assured: boolean;
  seenReply: boolean;
  mark: number;
  /** Rules that chose its NAT: ids of `Engine.rules`, or 0. */
  dnatRule: number;
  snatRule: number;
}

const NAMES = new Map<number, 'tcp' | 'udp' | 'icmp'>([
  [6, 'tcp'],
  [17, 'udp'],
  [1, 'icmp'],
]);
const STATES = new Map(Object.entries(TcpState).map(([name, value]) => [value as number, name]));
const SEEN_REPLY = 2;
const ASSURED = 4;

export function connectionsOf(engine: Engine): ConnectionEntry[] {
  const { memory, exports } = engine;
  const names = new Map([...engine.namespaces.values()].map((namespace) => [namespace.at, namespace.name]));
  const found: ConnectionEntry[] = [];
  for (let slot = 0; slot < exports.connectionSlots(); slot++) {
    const at = exports.connectionAt(slot);
    if (!at) continue;
    const left = memory.get(at, Layout.deadline) - engine.now;
    if (left <= 0) continue;
    const original = memory.halves(at, Layout.originalB);
    const protocol = original.high & 255;
    const status = memory.get(at, Layout.status);
    found.push({
      namespace: names.get(memory.get(at, Layout.namespace)) ?? '',
      protocol: NAMES.get(protocol) ?? protocol,
      original: tuple(memory.halves(at, Layout.originalA), original.low),
      reply: tuple(memory.halves(at, Layout.replyA), memory.halves(at, Layout.replyB).low),
      state: protocol === 6 ? (STATES.get(memory.get(at, Layout.state)) ?? '') : '',
      expires: left / 1e9,
      assured: (status & ASSURED) !== 0,
      seenReply: (status & SEEN_REPLY) !== 0,
      mark: memory.get(at, Layout.mark),
      dnatRule: memory.get(at, Layout.ruleDnat),
      snatRule: memory.get(at, Layout.ruleSnat),
    });
  }
  return found;
}

function tuple(addresses: { low: number; high: number }, ports: number): Tuple {
  return {
    source: ipv4Text(addresses.low),
    destination: ipv4Text(addresses.high),
    sport: port(ports & 0xffff),
    dport: port(ports >>> 16),
  };
}
