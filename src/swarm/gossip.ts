/**
 * Who hears of whose endpoints. Nodes gossip on port 7946: by UDP, a few times a second, and by TCP, every half minute, all
 * that they know; a node passes on what it hears of the networks that it is on (reference: libnetwork networkdb cluster.go,
 * broadcast.go, delegate.go; memberlist's config.go, state.go).
 *
 * With TCP alone news comes late. With UDP alone whoever is known already is heard, but nobody comes to know anybody. With
 * neither, and nobody in between, the two give each other up after some seconds: addresses, names and load balancers'
 * destinations on the other side go, on both.
 */

import type { Network, Topology } from '../topology/topology.js';
import { GOSSIP_PORT } from '../traffic/gossip.js';
import type { Allocator } from './allocator.js';
import type { Clock } from './clock.js';
import type { Firewall } from './firewall.js';
import { BULK_SYNC, GOSSIP, GOSSIP_FAILURE } from './pace.js';
import type { NodeState } from './state.js';

/** What follows when two nodes lose each other, or find each other again. */
export interface Hearing {
  /** From now on neither is told what becomes of the other's endpoints; `strangers`: nor ever was. */
  part(network: Network, one: string, other: string, strangers: boolean): void;
  /** They have given each other up. */
  forget(network: Network, one: string, other: string): void;
  /** Each has what the other has. */
  meet(network: Network, one: string, other: string): void;
  /** All of that is done. */
  changed(): void;
}

type Pair = readonly [string, string];

export class Gossip {
  /** Pairs that do not hear each other on a network. */
  readonly #apart = new Map<Network, Map<string, Pair>>();
  /** Pairs that never met, or have given each other up, and could talk by UDP alone. */
  readonly #strangers = new Set<string>();
  /** Pairs that were apart at some time for a firewall's sake, for the report. */
  readonly #parted = new Map<string, { pair: Pair; since: number }>();
  /** Pairs that hear of each other by TCP alone. */
  readonly late = new Map<string, Pair>();
  /** How many nodes are: it is asked for each pair that there is. */
  lost = 0;

  constructor(
    readonly nodes: ReadonlyMap<string, NodeState>,
    readonly topology: Topology,
    readonly allocator: Allocator,
    readonly firewall: Firewall,
    readonly clock: Clock,
    readonly hearing: Hearing,
  ) {}

  /** Does `at` hear what becomes of `of`'s endpoints? */
  hears(network: Network, at: string, of: string): boolean {
    return at === of || !this.#isCut || this.#connected(network, at, of, (a, b) => this.#talk(a, b));
  }

  /** How long news takes from one to the other. */
  delay(network: Network, at: string, of: string): number {
    if (this.firewall.isEmpty) return GOSSIP;
    return this.#connected(network, at, of, (a, b) => this.#byUdp(a, b)) ? GOSSIP : BULK_SYNC;
  }

  /** A node is about to have the network: whom will it not hear of? */
  arrive(network: Network, node: string): void {
    if (!this.#isCut || this.allocator.isLocal(network)) return;
    for (const other of Object.keys(network.onNode))
      if (other !== node && !this.#connected(network, node, other, (a, b) => this.#talk(a, b)))
        this.#part(network, [node, other], true);
  }

  /** A node, a rule or a network's nodes have changed. */
  update(): void {
    if (!this.#isCut && this.#apart.size === 0) return;
    this.#meetStrangers();
    for (const network of this.topology.networks) {
      if (this.allocator.isLocal(network)) continue;
      const here = Object.keys(network.onNode);
      const met: Pair[] = [];
      for (const [i, one] of here.entries())
        for (const other of here.slice(i + 1)) {
          const apart = this.#apart.get(network)?.has(key(one, other)) ?? false;
          const hears = this.hears(network, one, other);
          if (!hears && !apart) this.#part(network, [one, other], false);
          else if (hears && apart) met.push([one, other]);
          if (hears && this.delay(network, one, other) > GOSSIP) this.late.set(key(one, other), [one, other]);
        }
      for (const pair of met) {
        this.#forgetPair(network, pair);
        this.#unpart(pair);
        this.hearing.meet(network, ...pair);
      }
    }
    for (const network of this.#apart.keys())
      if (!this.topology.networks.includes(network)) this.#apart.delete(network);
    this.hearing.changed();
  }

  get #isCut(): boolean {
    return this.lost > 0 || !this.firewall.isEmpty;
  }

  /** The network goes from the node. */
  leave(network: Network, node: string): void {
    const apart = this.#apart.get(network);
    for (const pair of [...(apart?.values() ?? [])]) if (pair.includes(node)) this.#forgetPair(network, pair);
  }

  #part(network: Network, pair: Pair, strangers: boolean): void {
    const [one, other] = pair;
    const apart = this.#apart.get(network) ?? new Map<string, Pair>();
    this.#apart.set(network, apart.set(key(one, other), pair));
    if (!this.#isLost(one) && !this.#isLost(other) && !this.#parted.has(key(one, other)))
      this.#parted.set(key(one, other), { pair, since: this.clock.now });
    const forget = () => {
      // Are they still, or again, apart by the same parting?
      if (this.#apart.get(network)?.get(key(one, other)) !== pair) return;
      for (const [at, of] of directions(pair)) {
        network.unheard ??= {};
        network.unheard[at] = [...(network.unheard[at] ?? []), of];
      }
      this.hearing.forget(network, one, other);
      this.hearing.changed();
    };
    this.hearing.part(network, one, other, strangers);
    if (strangers) forget();
    else this.clock.after(GOSSIP_FAILURE, forget);
  }

  #forgetPair(network: Network, [one, other]: Pair): void {
    const apart = this.#apart.get(network);
    apart?.delete(key(one, other));
    if (apart?.size === 0) this.#apart.delete(network);
    const { unheard = {} } = network;
    for (const [at, of] of directions([one, other])) {
      const left = (unheard[at] ?? []).filter((name) => name !== of);
      if (left.length > 0) unheard[at] = left;
      else delete unheard[at];
    }
    if (Object.keys(unheard).length === 0) delete network.unheard;
  }

  /** Nothing came of a parting that took no time: while a swarm is stood up, those who pass news on come one after the other. */
  #unpart([one, other]: Pair): void {
    const still = [...this.#apart.values()].some((pairs) => pairs.has(key(one, other)));
    if (!still && this.#parted.get(key(one, other))?.since === this.clock.now) this.#parted.delete(key(one, other));
  }

  get parted(): Pair[] {
    return [...this.#parted.values()].map(({ pair }) => pair);
  }

  /** A node comes to the swarm: it has to be told of the others by TCP. */
  enter(node: string): void {
    if (this.firewall.isEmpty) return;
    for (const { name, member } of this.nodes.values())
      if (member && name !== node) this.#strangers.add(key(name, node));
    this.#meetStrangers();
  }

  /** Whoever is told of another by TCP, or by one who knows both, knows it. */
  #meetStrangers(): void {
    const members = [...this.nodes.values()].filter(({ member }) => member).map(({ name }) => name);
    for (const one of members)
      for (const other of members)
        if (one < other && !this.#byTcp(one, other) && !this.#byUdp(one, other)) this.#strangers.add(key(one, other));
    for (let before = -1; before !== this.#strangers.size; ) {
      before = this.#strangers.size;
      for (const one of members)
        for (const other of members)
          if (this.#strangers.has(key(one, other)) && connects(members, one, other, (a, b) => this.#talk(a, b)))
            this.#strangers.delete(key(one, other));
    }
  }

  #connected(network: Network, one: string, other: string, talk: (a: string, b: string) => boolean): boolean {
    if (this.#isLost(one) || this.#isLost(other)) return false;
    return talk(one, other) || connects(Object.keys(network.onNode), one, other, talk);
  }

  #talk(one: string, other: string): boolean {
    return this.#byTcp(one, other) || (!this.#strangers.has(key(one, other)) && this.#byUdp(one, other));
  }

  /** One of them can dial: what they say then goes both ways. */
  #byTcp(one: string, other: string): boolean {
    const open = (from: string, to: string) => this.firewall.isOpen(from, to, 'tcp', GOSSIP_PORT);
    return !this.#isLost(one) && !this.#isLost(other) && (open(one, other) || open(other, one));
  }

  #byUdp(one: string, other: string): boolean {
    const open = (from: string, to: string) => this.firewall.isOpen(from, to, 'udp', GOSSIP_PORT);
    return !this.#isLost(one) && !this.#isLost(other) && open(one, other) && open(other, one);
  }

  #isLost(node: string): boolean {
    return this.nodes.get(node)?.lost ?? false;
  }
}

function directions([one, other]: Pair): Pair[] {
  return [
    [one, other],
    [other, one],
  ];
}

function key(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}

/** Is there a way from one to the other, from neighbour to neighbour? */
function connects(
  nodes: readonly string[],
  one: string,
  other: string,
  talk: (a: string, b: string) => boolean,
): boolean {
  const left = new Set(nodes);
  left.add(other);
  left.delete(one);
  const next = [one];
  for (let at = next.pop(); at !== undefined; at = next.pop()) {
    for (const neighbour of left) {
      if (!talk(at, neighbour)) continue;
      if (neighbour === other) return true;
      left.delete(neighbour);
      next.push(neighbour);
    }
  }
  return false;
}
