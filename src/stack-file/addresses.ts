/** Addresses and subnets as a stack file writes them. */

import { type Span, spanOf } from '../topology/ipv4.js';
import { groupsOf } from '../topology/ipv6.js';

export function isAddress6(text: string): boolean {
  return text.includes(':') && attempt(() => groupsOf(text)) !== undefined;
}

/** Undefined unless `text` is an address with a prefix length (192.168.99.110/24). */
export function subnetOf(text: string): Span | undefined {
  return attempt(() => spanOf(text));
}

export function overlap(a: Span, b: Span): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** The address in an `address/prefix`. */
export function hostOf(cidr: string): string {
  return cidr.split('/')[0] ?? cidr;
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
