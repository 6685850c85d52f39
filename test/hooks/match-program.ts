/** What the tests of `-m bpf` and `-m u32` share: VXLAN packets, and a router that drops what a program matches. */

import type { RuleSpec } from '../../src/engine/rules.js';
import { concat, udpPacket } from '../engine/packets.js';
import { ALICE, BOB, routerWorld } from '../engine/world.js';

/** `options`: the IP header's. */
export const vxlan = (vni: number, options?: Uint8Array) =>
  udpPacket(
    { source: ALICE, destination: BOB, sport: 40000, dport: 4789, ...(options ? { options } : {}) },
    concat(Uint8Array.of(8, 0, 0, 0, vni >> 16, (vni >> 8) & 255, vni & 255, 0), new Uint8Array(30)),
  );

export async function dropping(match: Pick<RuleSpec, 'bpf' | 'u32'>) {
  const world = await routerWorld();
  world.router.iptables.append('filter', 'FORWARD', { ...match, target: 'DROP' });
  const passes = (packet: Uint8Array) => {
    world.fromAlice(packet);
    return world.toBob().length === 1;
  };
  return { world, passes };
}
