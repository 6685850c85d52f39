/**
 * Packets of one connection that were in flight at the same time, one each way, cross at some place. A replay's links have no
 * latency, so they cross elsewhere, and conntrack in between judges them in another order. Which connections of a namespace
 * that befell, its captures show: the order of the two directions in the real file and in ours.
 */

import { fragmentOf, layersOf, u16 } from '../dissect/layers.js';
import type { RealTap, TapFrame } from './compare.js';

/** `tcp 8080 53240`: ports alone, which NAT leaves as they are more often than addresses. Identifiers of ICMP are alike both ways. */
export function portPair(protocol: string, sport: number, dport: number): string {
  return [protocol, ...[sport, dport].sort((a, b) => a - b)].join(' ');
}

/** Port pairs of connections whose directions alternate otherwise at a tap of that namespace. */
export function crossedPairs(
  namespace: string,
  real: readonly RealTap[],
  taps: ReadonlyMap<string, readonly TapFrame[]>,
): Set<string> {
  const crossed = new Set<string>();
  for (const { tap, frames } of real) {
    if (tap.slice(0, tap.lastIndexOf('/')) !== namespace) continue;
    const ours = directionsOf(taps.get(tap) ?? []);
    for (const [pair, directions] of directionsOf(frames)) {
      if (ours.get(pair) !== directions) crossed.add(pair);
    }
  }
  return crossed;
}

/** Port pair → who spoke, in turn: `<` the one with the lower port. */
function directionsOf(frames: readonly TapFrame[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { data } of frames) {
    const [, ip, transport] = layersOf(data);
    if (ip?.name !== 'ip' || (transport?.name !== 'tcp' && transport?.name !== 'udp')) continue;
    if (fragmentOf(data, ip)?.offset) continue;
    const [sport, dport] = [u16(data, transport.start), u16(data, transport.start + 2)];
    const pair = portPair(transport.name, sport, dport);
    found.set(pair, (found.get(pair) ?? '') + (sport < dport ? '<' : '>'));
  }
  return found;
}
