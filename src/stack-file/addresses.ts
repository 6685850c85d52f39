/**
 * IPv4 addresses and subnets as a stack file writes them. The arithmetic is ip-num's.
 */
import { IPv4, IPv4CidrRange } from 'ip-num';
import { groupsOf } from '../topology/ipv6.js';

const ADDRESS = /^\d{1,3}(\.\d{1,3}){3}$/;

export function isAddress(text: string): boolean {
  return ADDRESS.test(text) && attempt(() => IPv4.fromString(text)) !== undefined;
}

export function isAddress6(text: string): boolean {
  return text.includes(':') && attempt(() => groupsOf(text)) !== undefined;
}

/** Undefined unless `text` is an address with a prefix length (192.168.99.110/24). */
export function subnetOf(text: string): IPv4CidrRange | undefined {
  const [address = '', prefix = '', ...rest] = text.split('/');
  if (rest.length > 0 || !isAddress(address) || !/^\d{1,2}$/.test(prefix)) return undefined;
  return attempt(() => IPv4CidrRange.fromCidr(text));
}

/** The subnet without host bits: 10.1.0.7/24 becomes 10.1.0.0/24. */
export function canonical(subnet: IPv4CidrRange): string {
  return `${subnet.getFirst().toString()}/${subnet.getPrefix().getValue()}`;
}

export function contains(subnet: IPv4CidrRange, address: string): boolean {
  const value = IPv4.fromString(address).getValue();
  return value >= subnet.getFirst().getValue() && value <= subnet.getLast().getValue();
}

export function overlap(a: IPv4CidrRange, b: IPv4CidrRange): boolean {
  return a.getFirst().getValue() <= b.getLast().getValue() && b.getFirst().getValue() <= a.getLast().getValue();
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
