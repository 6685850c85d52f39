/**
 * Where frames ended that reached nobody. Some end in any real swarm, because Ethernet floods what it does not know: they are
 * told apart from those that something went wrong with.
 */

import type { Engine } from '../engine/index.js';

export interface DropCount {
  /** As the kernel names it. */
  reason: string;
  count: number;
  /** Where: `node/namespace/device` → how many. */
  devices: Record<string, number>;
}

export interface DropReport {
  expected: (DropCount & { why: string })[];
  other: DropCount[];
}

/** Drops of a healthy swarm, and why there are such. */
const EXPECTED: Record<string, string> = {
  OTHERHOST: 'flooded frames reach devices that they are not for',
  VXLAN_ARP_SWALLOWED: 'vxlan answers ARP itself and never sends it through a tunnel',
  VXLAN_ND_SWALLOWED: 'vxlan answers neighbour solicitations itself and never sends them through a tunnel',
  VXLAN_NO_REMOTE: 'broadcast has no tunnel to go through: Docker writes no entry for it',
};

export function dropsOf({ drops }: Pick<Engine, 'drops'>): DropReport {
  const byReason = new Map<string, DropCount>();
  for (const { device, reason, count } of drops) {
    let drop = byReason.get(reason);
    if (!drop) {
      drop = { reason, count: 0, devices: {} };
      byReason.set(reason, drop);
    }
    drop.count += count;
    drop.devices[device.path] = (drop.devices[device.path] ?? 0) + count;
  }
  const report: DropReport = { expected: [], other: [] };
  for (const drop of byReason.values()) {
    const why = EXPECTED[drop.reason];
    if (why === undefined) report.other.push(drop);
    else report.expected.push({ ...drop, why });
  }
  return report;
}
