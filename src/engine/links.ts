/** What `ip link` tells of a device, read from its record. */

import type { Device } from './device.js';
import { Device as Layout } from './generated/layout.js';
import { isNeverUp } from './interface.js';
import type { Namespace } from './namespace.js';
import { port } from './wire.js';

const UP = 1;
const NOARP = 16;

export interface Link {
  device: Device;
  /** Counted from 1 in its namespace, lo first. */
  index: number;
  up: boolean;
  /** Somebody is at the other end. A bridge has a carrier while one of its ports has. */
  carrier: boolean;
  /** No neighbours are asked for on it: an ipvlan in l3 mode. */
  noarp: boolean;
  /** Made by hand, and never taken up: it has no queue yet. */
  fresh: boolean;
  /** Of a bridge's port, from 1. */
  portNumber: number;
  /** UDP port of a vxlan device. */
  vxlanPort: number;
}

export function linksOf(namespace: Namespace): Link[] {
  return inOrder(namespace).map(linkOf);
}

/** As they were made; but Docker moves a sandbox's eth0 in before its eth1, whichever bridge they join first. */
function inOrder(namespace: Namespace): Device[] {
  const devices = [...namespace.devices.values()];
  const numbered = devices
    .filter(({ name }) => NUMBERED.test(name))
    .sort((a, b) => Number(a.name.slice(3)) - Number(b.name.slice(3)));
  return devices.map((device) => (NUMBERED.test(device.name) ? (numbered.shift() ?? device) : device));
}
const NUMBERED = /^eth\d+$/;

export function linkOf(device: Device): Link {
  const { memory } = device.engine;
  return {
    device,
    index: inOrder(device.namespace).indexOf(device) + 1,
    up: isUp(device),
    carrier: hasCarrier(device),
    noarp: (memory.get(device.at, Layout.flags) & NOARP) !== 0,
    fresh: isNeverUp(device),
    portNumber: memory.get(device.at, Layout.portNumber),
    vxlanPort: port(memory.get(device.at, Layout.vxlanPort)),
  };
}

function isUp(device: Device): boolean {
  return (device.engine.memory.get(device.at, Layout.flags) & UP) !== 0;
}

function hasCarrier(device: Device): boolean {
  if (!isUp(device)) return false;
  if (device.kind === 'bridge') return device.ports.some(hasCarrier);
  if (device.lower) return hasCarrier(device.lower);
  return device.kind !== 'veth' || (device.peer !== undefined && isUp(device.peer));
}

/** The device whose record is there, or undefined for 0. Throws for a record that no device has. */
export function deviceAt(namespace: Namespace, at: number): Device | undefined {
  if (!at) return undefined;
  const device = namespace.engine.devices.find((one) => one.at === at);
  if (!device) throw new Error(`${namespace.name}: there is no device at ${at}`);
  return device;
}
