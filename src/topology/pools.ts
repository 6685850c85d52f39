/**
 * Docker's address management: default pools cut into subnets, addresses handed out from them (reference: libnetwork
 * ipamutils/utils.go, ipams/defaultipam). Bridges give the lowest free address, swarm the next one after the last.
 */

import { isIn, numberOf, type Span, spanOf, subnetText, textOf } from './ipv4.js';

/** Swarm-scope networks: 10.0.0.0/8 in /24s. Local ones: 172.17 to 172.31 in /16s, then 192.168.0.0/16 in /20s. */
const SWARM = { pools: ['10.0.0.0/8'], length: 24 };
const LOCAL: { pools: string[]; length: number }[] = [
  {
    pools: ['172.17.0.0/16', '172.18.0.0/16', '172.19.0.0/16', '172.20.0.0/14', '172.24.0.0/14', '172.28.0.0/14'],
    length: 16,
  },
  { pools: ['192.168.0.0/16'], length: 20 },
];

export type Scope = 'swarm' | 'local';

/**
 * The next block of Docker's default pool that overlaps nothing in `taken`: behind `last`, the one that was given out last, and
 * then from the start (ipam's predefinedStartIndices); without `last` the lowest, as in engines 28 and later. `own` pools stand for Docker's (default-address-pools). Throws a RangeError when the pool is used up.
 */
export function nextSubnet(
  scope: Scope,
  taken: readonly string[],
  last?: string,
  own?: readonly { base: string; size: number }[],
): string {
  const used = taken.map(spanOf);
  const free = ([first, end]: readonly [number, number, number]) =>
    !used.some((span) => span.first <= end && first <= span.last);
  const after = last === undefined ? undefined : spanOf(last).first;
  let behind = after === undefined;
  for (const block of blocksOf(scope, own)) {
    if (behind && free(block)) return `${textOf(block[0])}/${block[2]}`;
    behind ||= block[0] === after;
  }
  for (const block of after === undefined ? [] : blocksOf(scope, own)) {
    if (free(block)) return `${textOf(block[0])}/${block[2]}`;
    if (block[0] === after) break;
  }
  throw new RangeError(`Docker's default pool for ${scope} networks is used up`);
}

/** Is `address` in the subnet that `cidr` (192.168.50.1/24) is of? */
export function holds(cidr: string, address: string): boolean {
  return isIn(spanOf(cidr), address);
}

/** The subnet of an address with its length: 10.9.0.5/16 is in 10.9.0.0/16. */
export function subnetOf(cidr: string): string {
  return subnetText(spanOf(cidr));
}

/** First and last address, and the length of its prefix. */
function* blocksOf(
  scope: Scope,
  own: readonly { base: string; size: number }[] | undefined,
): Generator<readonly [number, number, number]> {
  const usual = scope === 'swarm' ? [SWARM] : LOCAL;
  for (const { pools, length } of own?.map(({ base, size }) => ({ pools: [base], length: size })) ?? usual) {
    const step = 2 ** (32 - length);
    for (const pool of pools.map(spanOf))
      for (let first = pool.first; first + step - 1 <= pool.last; first += step)
        yield [first, first + step - 1, length];
  }
}

/** Addresses of one subnet. The network's and the broadcast address are never given. */
export class Pool {
  readonly #whole: Span;
  /** Where addresses that nobody chose come from (--ip-range); without it the whole subnet. */
  readonly #from: Pick<Span, 'first' | 'last'>;
  /** Counted from the subnet's first: small numbers. */
  readonly #used = new Set<number>();
  #last: number;

  constructor(
    readonly subnet: string,
    /** Swarm continues after the last one given; a bridge takes the lowest that is free. */
    private readonly serial: boolean,
    /** The part of the subnet that addresses are given from, unless one is asked for by name (`--ip-range`). */
    ipRange: string = subnet,
  ) {
    const from = spanOf(ipRange);
    const whole = spanOf(subnet);
    this.#whole = whole;
    if (from.first < whole.first || from.last > whole.last)
      throw new RangeError(`the address range ${ipRange} is not in ${subnet}`);
    this.#from = {
      first: from.first === whole.first ? whole.first + 1 : from.first,
      last: from.last === whole.last ? whole.last - 1 : from.last,
    };
    this.#last = whole.first;
  }

  /** Marks an address as taken. Throws when it is not of this subnet or is taken already. */
  take(address: string): string {
    const value = numberOf(address);
    if (value < this.#whole.first || value > this.#whole.last)
      throw new RangeError(`${address} is not in ${this.subnet}`);
    if (this.#used.has(value - this.#whole.first))
      throw new RangeError(`${address} is taken already in ${this.subnet}`);
    this.#used.add(value - this.#whole.first);
    return address;
  }

  has(address: string): boolean {
    return this.#used.has(numberOf(address) - this.#whole.first);
  }

  /** Free again; swarm comes back to it last. */
  give(address: string): void {
    this.#used.delete(numberOf(address) - this.#whole.first);
  }

  next(): string {
    const { first, last } = this.#from;
    const size = last - first + 1;
    const start = this.serial && this.#last >= first ? this.#last + 1 - first : 0;
    for (let i = 0; i < size; i++) {
      const value = first + ((start + i) % size);
      if (this.#used.has(value - this.#whole.first)) continue;
      this.#used.add(value - this.#whole.first);
      this.#last = value;
      return textOf(value);
    }
    throw new NoAddressLeft(`${this.subnet} has no free address left`);
  }

  /** The address in CIDR form, as an interface gets it. */
  withLength(address: string): string {
    return `${address}/${this.subnet.split('/')[1]}`;
  }
}

export class NoAddressLeft extends RangeError {
  override name = 'NoAddressLeft';
}

/** The subnets of one network: an address that is asked for comes from the one that has it, any other from the first with a free one. */
export class Pools {
  readonly #first: Pool;

  constructor(private readonly all: readonly [Pool, ...Pool[]]) {
    [this.#first] = all;
  }

  get subnet(): string {
    return this.#first.subnet;
  }

  take(address: string): string {
    return this.#holding(address).take(address);
  }

  next(): string {
    for (const pool of this.all) {
      try {
        return pool.next();
      } catch (error) {
        if (!(error instanceof NoAddressLeft)) throw error;
      }
    }
    throw new NoAddressLeft(`${this.all.map(({ subnet }) => subnet).join(' and ')} have no free address left`);
  }

  has(address: string): boolean {
    return this.#holding(address).has(address);
  }

  give(address: string): void {
    this.#holding(address).give(address);
  }

  withLength(address: string): string {
    return this.#holding(address).withLength(address);
  }

  #holding(address: string): Pool {
    return this.all.find(({ subnet }) => holds(subnet, address)) ?? this.#first;
  }
}
