/** Neighbours as the engine's table has them. */

import type { Device } from './device.js';
import { Neighbour as Layout, Nud } from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { ipv4Text, macText, swap32 } from './wire.js';

export type NeighbourState = keyof typeof Nud;

export interface Neighbour {
  device: Device;
  address: string;
  /** Undefined while it is not known. */
  mac: string | undefined;
  state: NeighbourState;
}

const STATES = new Map(Object.entries(Nud).map(([name, value]) => [value as number, name as NeighbourState]));

/** By device, then by address. */
export function neighboursOf(namespace: Namespace): Neighbour[] {
  const { exports, memory } = namespace.engine;
  const devices = [...namespace.devices.values()];
  const found: { order: number; key: number; neighbour: Neighbour }[] = [];
  for (let slot = 0; slot < exports.neighbourSlots(); slot++) {
    const at = exports.neighbourAt(slot) >>> 0;
    if (!at) continue;
    const owner = memory.get(at, Layout.device);
    const order = devices.findIndex((one) => one.at === owner);
    const device = devices[order];
    if (!device) continue;
    const address = memory.halves(at, Layout.keyA).low;
    const state = STATES.get(memory.get(at, Layout.state)) ?? 'NONE';
    const known = state !== 'NONE' && state !== 'INCOMPLETE' && state !== 'FAILED';
    const mac = known ? macText(memory.halves(at, Layout.mac)) : undefined;
    found.push({ order, key: swap32(address), neighbour: { device, address: ipv4Text(address), mac, state } });
  }
  found.sort((a, b) => a.order - b.order || a.key - b.key);
  return found.map(({ neighbour }) => neighbour);
}
