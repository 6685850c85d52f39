/** What can be seen of a life afterwards, as text: accounts, counters, connections and all that tables have learned. */

import { chainsOf } from '../../src/engine/chains.js';
import { BalancedConnection, Connection, Entry, Neighbour } from '../../src/engine/generated/layout.js';
import type { Engine } from '../../src/engine/index.js';
import type { Field } from '../../src/engine/memory.js';
import { addressOf } from '../../src/engine/wire6.js';

export function digest(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  for (const byte of bytes) a = Math.imul(a ^ byte, 0x01000193);
  return (a >>> 0).toString(16);
}

/** Accounts, drops and every counter. */
export function books(engine: Engine): string[] {
  const lines = [JSON.stringify(engine.account), `connections ${engine.exports.connections()}`];
  for (const { device, reason, count } of engine.drops) lines.push(`${device.path} ${reason} ${count}`);
  for (const device of engine.devices) lines.push(`${device.path} ${JSON.stringify(device.counters)}`);
  for (const namespace of engine.namespaces.values()) {
    for (const { destinations } of namespace.ipvs.services)
      for (const one of destinations) lines.push(`${namespace.name} ${one.address} ${JSON.stringify(one.counters)}`);
    const { xfrm } = namespace;
    for (const { destination, spi, sequence, bytes, packets, added, used, integrityFailed } of xfrm.associations)
      lines.push(`${namespace.name} ${destination} ${spi} ${[sequence, bytes, packets, added, used, integrityFailed]}`);
    if (xfrm.associations.length > 0) lines.push(`${namespace.name} ${JSON.stringify([...xfrm.statistics])}`);
    for (const tables of [namespace.iptables, namespace.ip6tables])
      for (const table of ['raw', 'mangle', 'nat', 'filter'] as const) {
        const where = `${namespace.name} ${tables.family} ${table}`;
        for (const chain of tables.chains[table].values())
          lines.push(`${where} ${chain.name} ${chain.packets} ${chain.bytes}`);
        for (const { name, rules } of chainsOf(tables, table))
          lines.push(`${where} ${name} ${rules.map(({ packets, bytes }) => `${packets}/${bytes}`).join(' ')}`);
      }
  }
  return lines;
}

/** IPv6 addresses are numbers in connections, which are given in the order of need: what they stand for. */
function pairOf({ memory }: Engine, at: number, field: Field): string {
  const { low, high } = memory.halves(at, field);
  return `${addressOf(memory, low)} ${addressOf(memory, high)}`;
}

/** Conntrack's entries, by their tuples: where they stand in their table hangs on when those before them went. */
export function connectionsOf(engine: Engine): number[] {
  const { exports, memory } = engine;
  const { originalA, originalB } = Connection;
  const tuple = (at: number) => {
    const [a, b] = [memory.halves(at, originalA), memory.halves(at, originalB)];
    return `${b.high} ${b.low} ${b.high >>> 31 ? pairOf(engine, at, originalA) : `${a.high} ${a.low}`}`;
  };
  return Array.from({ length: exports.connectionSlots() }, (_, i) => exports.connectionAt(i) >>> 0)
    .filter((at) => at)
    .map((at) => ({ at, tuple: tuple(at) }))
    .sort((one, other) => (one.tuple < other.tuple ? -1 : 1))
    .map(({ at }) => at);
}

/** Connections of conntrack and IPVS, neighbours and forwarding databases, each with all of its fields. */
export function state(engine: Engine): string[] {
  const { exports, memory } = engine;
  const lines: string[] = [];
  const fields = (at: number, layout: Record<string, unknown>, leave: string[]) =>
    Object.entries(layout)
      .filter(([name]) => name !== 'size' && !leave.includes(name))
      .map(([name, field]) => {
        const { bits } = field as { at: number; bits: number };
        const one = field as { at: number; bits: number };
        const halves = bits === 64 ? memory.halves(at, one) : undefined;
        return `${name} ${halves ? `${halves.high}:${halves.low}` : memory.get(at, one)}`;
      })
      .join(', ');
  const six = (at: number, field: Field) => pairOf(engine, at, field);
  for (let i = 0; i < exports.connectionSlots(); i++) {
    const at = exports.connectionAt(i) >>> 0;
    if (!at) continue;
    const { originalA, replyA, originalB } = Connection;
    const v6 = memory.halves(at, originalB).high >>> 31 === 1;
    const ends = v6 ? `${six(at, originalA)} ${six(at, replyA)} ` : '';
    const leave = ['namespace', 'stamp', ...(v6 ? ['originalA', 'replyA'] : [])];
    lines.push(`connection ${ends}${fields(at, Connection, leave)}`);
  }
  for (let i = 0; i < exports.balancedSlots(); i++) {
    const at = exports.balancedAt(i) >>> 0;
    if (at) lines.push(`balanced ${fields(at, BalancedConnection, ['destination', 'stamp'])}`);
  }
  for (let i = 0; i < exports.neighbourSlots(); i++) {
    const at = exports.neighbourAt(i) >>> 0;
    if (!at) continue;
    const v6 = memory.halves(at, Neighbour.keyB).high !== 0;
    const leave = ['device', 'first', 'last', 'next', 'previous', ...(v6 ? ['keyA'] : [])];
    lines.push(`neighbour ${v6 ? `${six(at, Neighbour.keyA)} ` : ''}${fields(at, Neighbour, leave)}`);
  }
  for (let i = 0; i < exports.fdbSlots(); i++) {
    const at = exports.fdbAt(i) >>> 0;
    if (at) lines.push(`fdb ${fields(at, Entry, ['port', 'next', 'previous'])}`);
  }
  return lines.sort();
}

/** So often has a frame taken the slow way at a device; the checked engine counts them. */
export function slowFrames({ exports }: Engine): number {
  return (exports as unknown as { slowFrames(): number }).slowFrames();
}
