/** IPVS's tables of one namespace: services and destinations as IPVS walks them, and connections. */

import {
  BalancedConnection as ConnectionLayout,
  Destination as DestinationLayout,
  Service as ServiceLayout,
  State,
} from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { ipv4Text, port } from './wire.js';

export interface BalancedCounters {
  connections: number;
  inPackets: number;
  outPackets: number;
  inBytes: number;
  outBytes: number;
}

export interface BalancedDestination extends BalancedCounters {
  address: string;
  /** 0: the packet's. */
  port: number;
  weight: number;
  active: number;
  inactive: number;
}

export interface BalancedService extends BalancedCounters {
  /** By mark, or by protocol, address and port. */
  mark: number | undefined;
  protocol: number;
  address: string;
  port: number;
  destinations: BalancedDestination[];
}

/** Services as they were added, destinations in the kernel's list order. */
export function servicesOf(namespace: Namespace): BalancedService[] {
  const { memory } = namespace.engine;
  return namespace.ipvs.services.map(({ at }) => {
    const key = memory.halves(at, ServiceLayout.keyB);
    const value = memory.halves(at, ServiceLayout.keyA).low;
    const protocol = key.high & 255;
    const destinations: BalancedDestination[] = [];
    for (let one = memory.get(at, ServiceLayout.first); one; one = memory.get(one, DestinationLayout.next)) {
      destinations.push({
        address: ipv4Text(memory.get(one, DestinationLayout.address)),
        port: port(memory.get(one, DestinationLayout.port)),
        weight: memory.get(one, DestinationLayout.weight),
        active: memory.get(one, DestinationLayout.active),
        inactive: memory.get(one, DestinationLayout.inactive),
        ...counters(namespace, one, DestinationLayout),
      });
    }
    return {
      mark: protocol === 0 ? value : undefined,
      protocol,
      address: protocol === 0 ? '0.0.0.0' : ipv4Text(value),
      port: port(key.low & 0xffff),
      destinations,
      ...counters(namespace, at, ServiceLayout),
    };
  });
}

function counters(
  { engine: { memory } }: Namespace,
  at: number,
  layout: typeof ServiceLayout | typeof DestinationLayout,
): BalancedCounters {
  return {
    connections: memory.get(at, layout.connections),
    inPackets: memory.get(at, layout.inPackets),
    outPackets: memory.get(at, layout.outPackets),
    inBytes: memory.get(at, layout.inBytes),
    outBytes: memory.get(at, layout.outBytes),
  };
}

export interface BalancedEntry {
  protocol: number;
  /** By IPVS's name: `TIME_WAIT`, `UDP` */
  state: string;
  /** Virtual time at which it runs out, ns. */
  deadline: number;
  client: { address: string; port: number };
  virtual: { address: string; port: number };
  destination: { address: string; port: number };
}

const STATES = new Map(Object.entries(State).map(([name, value]) => [value as number, name]));

/** Those that have not run out, in no particular order. */
export function balancedConnectionsOf(namespace: Namespace): BalancedEntry[] {
  const { exports, memory, now } = namespace.engine;
  const found: BalancedEntry[] = [];
  for (let slot = 0; slot < exports.balancedSlots(); slot++) {
    const at = exports.balancedAt(slot) >>> 0;
    if (!at) continue;
    const key = memory.halves(at, ConnectionLayout.clientB);
    const deadline = memory.get(at, ConnectionLayout.deadline);
    if (key.high >>> 8 !== namespace.id || deadline <= now) continue;
    const client = memory.halves(at, ConnectionLayout.clientA);
    const server = memory.halves(at, ConnectionLayout.serverA);
    const serverPorts = memory.halves(at, ConnectionLayout.serverB).low;
    const end = (address: number, number: number) => ({ address: ipv4Text(address), port: port(number) });
    found.push({
      protocol: key.high & 255,
      state: STATES.get(memory.get(at, ConnectionLayout.state)) ?? '',
      deadline,
      client: end(client.low, key.low & 0xffff),
      virtual: end(client.high, key.low >>> 16),
      destination: end(server.low, serverPorts & 0xffff),
    });
  }
  return found;
}
