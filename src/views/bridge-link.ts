/** `bridge [-d] link` of one namespace (iproute2 6.1): the ports of its bridges. */

import type { Namespace } from '../engine/index.js';
import { type Link, linksOf } from '../engine/links.js';
import { type LinkOptions, nameAndFlags } from './ip-link.js';

/** What an overlay's VXLAN device costs, and what everything that has no speed of its own does (br_if.c: port_cost). */
const COSTS: Record<string, number> = { vxlan: 100 };
const COST = 2;

export function bridgeLink(namespace: Namespace, { details = false, only = () => true }: LinkOptions = {}): string {
  return linksOf(namespace)
    .filter(({ device }) => device.master !== undefined)
    .filter(only)
    .flatMap((link) => [portLine(link), ...(details ? [flagsLine(link)] : [])])
    .map((line) => `${line}\n`)
    .join('');
}

function portLine(link: Link): string {
  const { device, carrier } = link;
  const state = carrier ? 'forwarding' : 'disabled';
  return `${nameAndFlags(link)} mtu ${device.mtu} master ${device.master?.name} state ${state} priority 32 cost ${COSTS[device.kind] ?? COST} `;
}

function flagsLine({ device }: Link): string {
  return `    hairpin ${device.hairpin ? 'on' : 'off'} guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated off locked off `;
}
