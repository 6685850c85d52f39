/** Neighbours as the engine's table has them. */

import type { Device } from './device.js';
import { Device as DeviceLayout, Neighbour as Layout, Nud } from './generated/layout.js';
import type { Namespace, NeighbourEntry } from './namespace.js';
import { ipv4, ipv4Text, macText, swap32 } from './wire.js';
import { addressOf, isIpv6, numberOf, tableAddressText } from './wire6.js';

export type NeighbourState = keyof typeof Nud;

export interface Neighbour {
  device: Device;
  address: string;
  /** Undefined while it is not known. */
  mac: string | undefined;
  state: NeighbourState;
  /** IPv6: it says that it is a router. */
  router: boolean;
}

const STATES = new Map(Object.entries(Nud).map(([name, value]) => [value as number, name as NeighbourState]));

/** IPv4 first; by device, then by address. */
export function neighboursOf(namespace: Namespace): Neighbour[] {
  return heldNeighbours(namespace).map(({ neighbour }) => neighbour);
}

/** `ip neigh del`, `ip neigh flush`: those that `pick` names go; how many. */
export function forgetNeighbours(namespace: Namespace, pick: (neighbour: Neighbour) => boolean): number {
  const { engine } = namespace;
  engine.drain();
  const picked = heldNeighbours(namespace).filter(({ neighbour }) => neighbour.state !== 'NONE' && pick(neighbour));
  for (const { at, neighbour } of picked) {
    const permanent = namespace.neighbour(neighbour.device, neighbour.address);
    if (permanent) namespace.removeNeighbour(permanent);
    else engine.exports.removeNeighbour(at);
  }
  return picked.length;
}

/** Permanent ones on the device, in the order in which they were added. */
export function permanentNeighbours(device: Device): NeighbourEntry[] {
  const { memory } = device.engine;
  const found: NeighbourEntry[] = [];
  for (let at = memory.get(device.at, DeviceLayout.neighbours); at; at = memory.get(at, Layout.next)) {
    const entry = permanentAt(device, at);
    if (entry) found.push(entry);
  }
  return found.reverse();
}

export function permanentNeighbour(device: Device, address: string): NeighbourEntry | undefined {
  const { exports } = device.engine;
  const at = isIpv6(address)
    ? exports.findNeighbour6(device.at, numberOf(exports, address))
    : exports.findNeighbour(device.at, ipv4(address));
  return at ? permanentAt(device, at >>> 0) : undefined;
}

function permanentAt(device: Device, at: number): NeighbourEntry | undefined {
  const { memory } = device.engine;
  if (memory.get(at, Layout.state) !== Nud.PERMANENT) return undefined;
  const v6 = memory.halves(at, Layout.keyB).high !== 0;
  const address = tableAddressText(memory, memory.halves(at, Layout.keyA).low, v6);
  return { device, address, mac: macText(memory.halves(at, Layout.mac)), at };
}

interface Held {
  at: number;
  order: number;
  key: number;
  neighbour: Neighbour;
}

function heldNeighbours(namespace: Namespace): Held[] {
  const { exports, memory } = namespace.engine;
  const devices = [...namespace.devices.values()];
  const found: Held[] = [];
  for (let slot = 0; slot < exports.neighbourSlots(); slot++) {
    const at = exports.neighbourAt(slot) >>> 0;
    if (!at) continue;
    const owner = memory.get(at, Layout.device);
    const order = devices.findIndex((one) => one.at === owner);
    const device = devices[order];
    if (!device) continue;
    const number = memory.halves(at, Layout.keyA).low;
    const v6 = memory.halves(at, Layout.keyB).high !== 0;
    const address = v6 ? addressOf(memory, number) : ipv4Text(number);
    const state = STATES.get(memory.get(at, Layout.state)) ?? 'NONE';
    const known = state !== 'NONE' && state !== 'INCOMPLETE' && state !== 'FAILED';
    const mac = known ? macText(memory.halves(at, Layout.mac)) : undefined;
    const router = memory.get(at, Layout.router) !== 0;
    found.push({ at, order, key: v6 ? 0 : swap32(number), neighbour: { device, address, mac, state, router } });
  }
  const family = ({ neighbour }: (typeof found)[number]) => Number(isIpv6(neighbour.address));
  return found.sort((a, b) => family(a) - family(b) || a.order - b.order || a.key - b.key);
}
