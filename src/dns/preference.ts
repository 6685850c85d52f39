/**
 * In which order a program tries the addresses that a name came to (RFC 6724, section 6): those that it can reach, then those whose
 * scope and label are their source's, then by precedence. The two C libraries have different tables: to glibc
 * (sysdeps/posix/getaddrinfo.c) every IPv6 address is before every IPv4 address, to musl (src/network/lookup_name.c) one of
 * fc00::/7 is behind.
 */

import { groupsOf } from '../topology/ipv6.js';

export type Libc = 'glibc' | 'musl';

interface Policy {
  /** First groups of the prefix, and its length. */
  groups: readonly number[];
  length: number;
  precedence: number;
  label: number;
}

const policy = (prefix: string, length: number, precedence: number, label: number): Policy => ({
  groups: groupsOf(prefix),
  length,
  precedence,
  label,
});

/** The first that matches is taken. */
const POLICIES: Record<Libc, readonly Policy[]> = {
  glibc: [
    policy('::1', 128, 50, 0),
    policy('::ffff:0:0', 96, 10, 4),
    policy('::', 96, 20, 3),
    policy('2002::', 16, 30, 2),
    policy('2001::', 32, 40, 7),
    policy('fec0::', 10, 40, 5),
    policy('fc00::', 7, 40, 6),
    policy('::', 0, 40, 1),
  ],
  musl: [
    policy('::1', 128, 50, 0),
    policy('::ffff:0:0', 96, 35, 4),
    policy('2002::', 16, 30, 2),
    policy('2001::', 32, 5, 5),
    policy('fc00::', 7, 3, 13),
    policy('::', 0, 40, 1),
  ],
};

const LINK = 2;
const SITE = 5;
const GLOBAL = 14;

/** In an IPv6 address' shape: `::ffff:a.b.c.d`. */
function mapped(address: string): number[] {
  if (address.includes(':')) return groupsOf(address);
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [0, 0, 0, 0, 0, 0xffff, (a << 8) | b, (c << 8) | d];
}

function within(groups: readonly number[], { groups: prefix, length }: Policy): boolean {
  return prefix.every((group, i) => {
    const bits = Math.max(0, Math.min(16, length - 16 * i));
    return ((group ^ (groups[i] ?? 0)) >>> (16 - bits)) << (16 - bits) === 0;
  });
}

function scopeOf(groups: readonly number[]): number {
  const [first = 0, , , , , sixth, seventh = 0] = groups;
  if (sixth === 0xffff && first === 0) return seventh >>> 8 === 127 || seventh === 0xa9fe ? LINK : GLOBAL;
  if ((first & 0xffc0) === 0xfe80 || groups.slice(0, 7).every((group) => group === 0)) return LINK;
  return (first & 0xffc0) === 0xfec0 ? SITE : GLOBAL;
}

/** `sourceFor`: the address that one is spoken to from; undefined: it cannot be reached. What can is first, in that order. */
export function inOrder(
  addresses: readonly string[],
  libc: Libc,
  sourceFor: (address: string) => string | undefined,
): string[] {
  if (addresses.length < 2) return [...addresses];
  const policies = POLICIES[libc];
  const policyOf = (groups: readonly number[]) => policies.find((one) => within(groups, one));
  const rank = (address: string): number => {
    const source = sourceFor(address);
    if (source === undefined) return -1;
    const [to, from] = [mapped(address), mapped(source)];
    const rule = policyOf(to);
    const sameScope = scopeOf(to) === scopeOf(from) ? 1 : 0;
    const sameLabel = rule?.label === policyOf(from)?.label ? 1 : 0;
    return (sameScope * 2 + sameLabel) * 100 + (rule?.precedence ?? 0);
  };
  return addresses
    .map((address) => ({ address, rank: rank(address) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ address }) => address);
}
