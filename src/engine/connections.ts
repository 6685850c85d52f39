/** Connections as conntrack holds them, read from the engine's table. */

import type { Engine } from './engine.js';
import { Connection as Layout, TcpState } from './generated/layout.js';
import type { Field } from './memory.js';
import type { Namespace } from './namespace.js';
import { ipv4Text, port } from './wire.js';
import { addressOf } from './wire6.js';

export interface Tuple {
  source: string;
  destination: string;
  /** ICMP: the identifier. */
  sport: number;
  /** ICMP: type and code, type first. */
  dport: number;
}

/** What conntrack says of a connection, in its table and in its events. */
export interface Tracked {
  /** Name of its namespace. */
  namespace: string;
  family: 'ipv4' | 'ipv6';
  protocol: 'tcp' | 'udp' | 'icmp' | 'icmpv6' | number;
  original: Tuple;
  reply: Tuple;
  /** TCP's state by conntrack's name, else ''. */
  state: string;
  assured: boolean;
  seenReply: boolean;
  mark: number;
}

export interface ConnectionEntry extends Tracked {
  /** Seconds that it has left. */
  expires: number;
  /** Rules that chose its NAT: ids of `Engine.rules`, or 0. */
  dnatRule: number;
  snatRule: number;
}

const NAMES = new Map<number, 'tcp' | 'udp' | 'icmp' | 'icmpv6'>([
  [6, 'tcp'],
  [17, 'udp'],
  [1, 'icmp'],
  [58, 'icmpv6'],
]);
const STATES = new Map(Object.entries(TcpState).map(([name, value]) => [value as number, name]));
const SEEN_REPLY = 2;
const ASSURED = 4;

/** By namespace, then as they lie in the table. */
export function connectionsOf(engine: Engine): ConnectionEntry[] {
  return heldConnections(engine).map(({ entry }) => entry);
}

/** `conntrack -D`: those of a namespace that `pick` names are forgotten; how many. */
export function forgetConnections(namespace: Namespace, pick: (entry: ConnectionEntry) => boolean): number {
  const { engine } = namespace;
  engine.drain();
  const picked = heldConnections(engine).filter(({ entry }) => entry.namespace === namespace.name && pick(entry));
  for (const { at } of picked) engine.exports.forgetConnection(at);
  return picked.length;
}

function heldConnections(engine: Engine): { at: number; entry: ConnectionEntry }[] {
  const { memory, exports } = engine;
  const names = namesOf(engine);
  const found: { at: number; entry: ConnectionEntry }[] = [];
  for (let slot = 0; slot < exports.connectionSlots(); slot++) {
    const at = exports.connectionAt(slot) >>> 0;
    if (!at) continue;
    const left = memory.get(at, Layout.deadline) - engine.now;
    if (left <= 0) continue;
    const entry: ConnectionEntry = {
      ...trackedAt(engine, names, at, Layout),
      expires: left / 1e9,
      dnatRule: memory.get(at, Layout.ruleDnat),
      snatRule: memory.get(at, Layout.ruleSnat),
    };
    found.push({ at, entry });
  }
  return found;
}

/** Namespaces by the address of their records. */
export function namesOf(engine: Engine): Map<number, string> {
  return new Map([...engine.namespaces.values()].map((namespace) => [namespace.at, namespace.name]));
}

type TrackedLayout = Record<
  'originalA' | 'originalB' | 'replyA' | 'replyB' | 'status' | 'state' | 'mark' | 'namespace',
  Field
>;

/** From a record that has these fields, a connection's or an event's. */
export function trackedAt({ memory }: Engine, names: Map<number, string>, at: number, layout: TrackedLayout): Tracked {
  const original = memory.halves(at, layout.originalB);
  const protocol = original.high & 255;
  // Bit 63: over IPv6, and addresses are numbers.
  const v6 = original.high >>> 31 === 1;
  const address = (number: number) => (v6 ? addressOf(memory, number) : ipv4Text(number));
  const status = memory.get(at, layout.status);
  return {
    namespace: names.get(memory.get(at, layout.namespace)) ?? '',
    family: v6 ? 'ipv6' : 'ipv4',
    protocol: NAMES.get(protocol) ?? protocol,
    original: tuple(address, memory.halves(at, layout.originalA), original.low),
    reply: tuple(address, memory.halves(at, layout.replyA), memory.halves(at, layout.replyB).low),
    state: protocol === 6 ? (STATES.get(memory.get(at, layout.state)) ?? '') : '',
    assured: (status & ASSURED) !== 0,
    seenReply: (status & SEEN_REPLY) !== 0,
    mark: memory.get(at, layout.mark),
  };
}

function tuple(address: (number: number) => string, pair: { low: number; high: number }, ports: number): Tuple {
  return {
    source: address(pair.low),
    destination: address(pair.high),
    sport: port(ports & 0xffff),
    dport: port(ports >>> 16),
  };
}
