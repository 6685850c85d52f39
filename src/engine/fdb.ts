/** Forwarding databases of a namespace's bridges and vxlan devices, as the engine's table has them, and MACs that a device has beside its own. */

import type { Device } from './device.js';
import { Entry as Layout } from './generated/layout.js';
import { deviceAt } from './links.js';
import type { Namespace } from './namespace.js';
import { macText } from './wire.js';
import { tableAddressText } from './wire6.js';

// assembly/tables/fdb.ts: Entry.flags
const STATIC = 1;
const OWN = 2;

export interface FdbEntry {
  /** The bridge or vxlan device whose database it is in; or a device that takes frames for the macvlans on it. */
  owner: Device;
  mac: string;
  /** On a bridge the port behind which the MAC is; for the bridge's own MAC and its ports' the device that has it. */
  device: Device;
  /** On a vxlan device: where the MAC is. */
  remote: string | undefined;
  permanent: boolean;
  /** A bridge's own MAC or that of one of its ports. */
  own: boolean;
  /** Virtual time at which it was seen last, ns. */
  updated: number;
}

/** By device, then by MAC. */
export function forwardingOf(namespace: Namespace): FdbEntry[] {
  const { exports, memory } = namespace.engine;
  const devices = [...namespace.devices.values()];
  const owners = new Map(devices.map((device) => [device.id, device]));
  const found: FdbEntry[] = [];
  for (let slot = 0; slot < exports.fdbSlots(); slot++) {
    const at = exports.fdbAt(slot) >>> 0;
    if (!at) continue;
    const owner = owners.get(memory.halves(at, Layout.keyB).low);
    if (!owner || (owner.kind !== 'bridge' && owner.kind !== 'vxlan')) continue;
    const mac = macText(memory.halves(at, Layout.keyA));
    const flags = memory.get(at, Layout.flags);
    const remote = memory.get(at, Layout.remote);
    const own = (flags & OWN) !== 0;
    const port = deviceAt(namespace, memory.get(at, Layout.port));
    found.push({
      owner,
      mac,
      device: own ? (owner.ports.find((one) => one.mac === mac) ?? owner) : (port ?? owner),
      remote: remote ? tableAddressText(memory, remote, owner.overIpv6) : undefined,
      permanent: (flags & STATIC) !== 0,
      own,
      updated: memory.get(at, Layout.updated),
    });
  }
  for (const device of devices) {
    for (const mac of secondaryMacs(device)) {
      found.push({ owner: device, mac, device, remote: undefined, permanent: true, own: false, updated: 0 });
    }
  }
  const order = ({ device }: FdbEntry) => devices.indexOf(device);
  return found.sort((a, b) => order(a) - order(b) || (a.mac < b.mac ? -1 : a.mac > b.mac ? 1 : 0));
}

/** What macvlans on it, or on a VLAN of it, have it listen to (dev_uc_add, dev_uc_sync). */
function secondaryMacs(device: Device): string[] {
  const above = device.uppers.flatMap((upper) => {
    if (upper.kind === 'vlan') return [upper.mac, ...secondaryMacs(upper)];
    return upper.kind === 'macvlan' && upper.up ? [upper.mac, ...secondaryMacs(upper)] : [];
  });
  return [...new Set(above)].filter((mac) => mac !== device.mac);
}
