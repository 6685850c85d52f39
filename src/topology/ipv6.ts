/**
 * IPv6 addresses and prefixes as people write them (RFC 4291, section 2.2; written after RFC 5952), and the addresses of a
 * subnet as Docker hands them out.
 */

export function isIpv6(text: string): boolean {
  return text.includes(':');
}

/** '2001:db8::1' → its eight groups. Throws a RangeError for what is no IPv6 address. */
export function groupsOf(text: string): number[] {
  const bad = () => new RangeError(`"${text}" is no IPv6 address`);
  let written = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const bytes = (dotted[2] ?? '').split('.').map(Number);
    if (bytes.some((byte) => byte > 255)) throw bad();
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    const pair = [a * 256 + b, c * 256 + d];
    written = `${dotted[1]}${pair.map((one) => one.toString(16)).join(':')}`;
  }
  const halves = written.split('::');
  if (halves.length > 2) throw bad();
  const [before = [], after = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - before.length - after.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) throw bad();
  const all = [...before, ...Array<string>(halves.length === 2 ? missing : 0).fill('0'), ...after];
  return all.map((group) => {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) throw bad();
    return Number.parseInt(group, 16);
  });
}

/** Written as RFC 5952 wants it: the longest run of zero groups, the first of several, becomes `::`. */
export function ipv6Text(groups: readonly number[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const words = groups.map((group) => group.toString(16));
  if (best.length < 2) return words.join(':');
  return `${words.slice(0, best.start).join(':')}::${words.slice(best.start + best.length).join(':')}`;
}

/** '2001:db8::/64' → address and prefix length; without a length it is 128. */
export function cidr6(text: string): { address: string; length: number } {
  const [address = '', length = '128'] = text.split('/');
  const bits = Number(length);
  if (!/^\d{1,3}$/.test(length) || bits > 128) throw new RangeError(`"${text}" is no IPv6 prefix`);
  return { address: ipv6Text(groupsOf(address)), length: bits };
}

/** The first address of the prefix. */
export function prefixOf(text: string): string {
  const { address, length } = cidr6(text);
  const groups = groupsOf(address).map((group, i) => {
    const bits = Math.max(0, Math.min(16, length - 16 * i));
    return group & (0xffff << (16 - bits)) & 0xffff;
  });
  return ipv6Text(groups);
}

/**
 * The link-local address that a device makes of its MAC (RFC 4291, appendix A: modified EUI-64); where several share one, with what
 * tells them apart in the middle, and the universal bit as it is (addrconf_ifid_eui48).
 */
export function linkLocal(mac: string, devId = 0): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((part) => Number.parseInt(part, 16));
  if (devId) {
    const groups = [(a << 8) | b, (c << 8) | (devId >>> 8), ((devId & 255) << 8) | d, (e << 8) | f];
    return ipv6Text([0xfe80, 0, 0, 0, ...groups]);
  }
  return ipv6Text([0xfe80, 0, 0, 0, ((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]);
}

/** The lowest block of `length` bits in `base` that overlaps nothing in `taken`; undefined when there is none. */
export function nextSubnet6(base: string, length: number, taken: readonly string[]): string | undefined {
  const blocks = 1n << BigInt(Math.max(0, length - cidr6(base).length));
  const step = 1n << BigInt(128 - length);
  for (let i = 0n; i < blocks; i += 1n) {
    const block = `${addressAt(base, i * step)}/${length}`;
    const meets = (other: string) => {
      const shorter = Math.min(length, cidr6(other).length);
      return prefixOf(`${other.split('/')[0]}/${shorter}`) === prefixOf(`${block.split('/')[0]}/${shorter}`);
    };
    if (!taken.some(meets)) return block;
  }
  return undefined;
}

/** The address so many after the prefix's first. */
function addressAt(subnet: string, place: bigint): string {
  const groups = groupsOf(prefixOf(subnet));
  let rest = place;
  for (let i = 7; i >= 0 && rest > 0n; i -= 1) {
    const sum = BigInt(groups[i] ?? 0) + (rest & 0xffffn);
    groups[i] = Number(sum & 0xffffn);
    rest = (rest >> 16n) + (sum >> 16n);
  }
  return ipv6Text(groups);
}

/** The gateway's, where nobody chose one: the first behind the subnet-router anycast address. */
export function firstAddress(subnet: string): string {
  return addressAt(subnet, 1n);
}

/** Is the address one of the subnet? */
export function isIn(address: string, subnet: string): boolean {
  const { length } = cidr6(subnet);
  return prefixOf(`${address}/${length}`) === prefixOf(subnet);
}

/** Addresses of one subnet, the lowest that is free first. */
export class Pool6 {
  readonly #used = new Set<string>();

  constructor(readonly subnet: string) {}

  /** Marks an address as taken. Throws when it is not of this subnet or is taken already. */
  take(text: string): string {
    const { address } = cidr6(text);
    if (!isIn(address, this.subnet)) throw new RangeError(`${text} is not in ${this.subnet}`);
    if (this.#used.has(address)) throw new RangeError(`${text} is taken already in ${this.subnet}`);
    this.#used.add(address);
    return address;
  }

  next(): string {
    const bits = BigInt(128 - cidr6(this.subnet).length);
    for (let place = 1n; place < 1n << bits; place += 1n) {
      const address = addressAt(this.subnet, place);
      if (this.#used.has(address)) continue;
      this.#used.add(address);
      return address;
    }
    throw new RangeError(`${this.subnet} has no free address left`);
  }

  give(address: string): void {
    this.#used.delete(cidr6(address).address);
  }

  /** The address in CIDR form, as an interface gets it. */
  withLength(address: string): string {
    return `${address}/${cidr6(this.subnet).length}`;
  }
}
