/**
 * Endpoints of the swarm's networks as the nodes tell each other of them (libnetwork's overlay_peer_table): each node that has a
 * network knows those of all others, except of nodes that it does not hear.
 */

import type { NetworkAt, Peer } from '../drivers/index.js';
import type { Network } from '../topology/topology.js';

/** What becomes of a peer on a node that has the network. */
export interface PeerTable {
  add(at: NetworkAt, peer: Peer): void;
  remove(at: NetworkAt, peer: Peer): void;
}

export class Peers {
  /** By network and address. */
  readonly #all = new Map<Network, Map<string, Peer>>();
  /** Nodes that have the network. */
  readonly #on = new Map<Network, Map<string, NetworkAt>>();
  /** What one node still knows of another that it does not hear: `at of`, by address. */
  readonly #stale = new Map<Network, Map<string, Map<string, Peer>>>();

  constructor(readonly table: PeerTable) {}

  add(network: Network, peer: Peer): void {
    const peers = this.#all.get(network) ?? new Map<string, Peer>();
    this.#all.set(network, peers.set(peer.address, peer));
    for (const [node, at] of this.#on.get(network) ?? [])
      if (node !== peer.node && this.#hears(network, node, peer.node)) this.table.add(at, peer);
  }

  remove(network: Network, address: string): void {
    const peers = this.#all.get(network);
    const peer = peers?.get(address);
    if (!peers || !peer) return;
    peers.delete(address);
    if (peers.size === 0) this.#all.delete(network);
    for (const [node, at] of this.#on.get(network) ?? [])
      if (node !== peer.node && this.#hears(network, node, peer.node)) this.table.remove(at, peer);
  }

  /** The node has the network: all that it hears of. */
  come(at: NetworkAt): void {
    const { network } = at;
    const node = at.node.name;
    const on = this.#on.get(network) ?? new Map<string, NetworkAt>();
    this.#on.set(network, on.set(node, at));
    for (const peer of this.#all.get(network)?.values() ?? [])
      if (peer.node !== node && this.#hears(network, node, peer.node)) this.table.add(at, peer);
  }

  leave(network: Network, node: string): void {
    const on = this.#on.get(network);
    on?.delete(node);
    if (on?.size === 0) this.#on.delete(network);
    const stale = this.#stale.get(network);
    for (const key of [...(stale?.keys() ?? [])]) if (key.split(' ').includes(node)) stale?.delete(key);
    if (stale?.size === 0) this.#stale.delete(network);
  }

  /** From now on neither hears of the other; `strangers`: nor ever has. */
  part(network: Network, one: string, other: string, strangers: boolean): void {
    const stale = this.#stale.get(network) ?? new Map<string, Map<string, Peer>>();
    this.#stale.set(network, stale);
    for (const [at, of] of both(one, other))
      stale.set(`${at} ${of}`, strangers ? new Map() : new Map(this.#of(network, of)));
  }

  /** What they still know of each other goes. */
  forget(network: Network, one: string, other: string): void {
    for (const [at, of] of both(one, other)) {
      const known = this.#stale.get(network)?.get(`${at} ${of}`);
      const there = this.#on.get(network)?.get(at);
      if (there) for (const peer of known?.values() ?? []) this.table.remove(there, peer);
      known?.clear();
    }
  }

  /** Each learns what the other has now. */
  meet(network: Network, one: string, other: string): void {
    const stale = this.#stale.get(network);
    for (const [at, of] of both(one, other)) {
      const known = stale?.get(`${at} ${of}`) ?? new Map<string, Peer>();
      stale?.delete(`${at} ${of}`);
      const now = new Map(this.#of(network, of));
      const there = this.#on.get(network)?.get(at);
      if (!there) continue;
      for (const [address, peer] of known) if (now.get(address) !== peer) this.table.remove(there, peer);
      for (const [address, peer] of now) if (known.get(address) !== peer) this.table.add(there, peer);
    }
    if (stale?.size === 0) this.#stale.delete(network);
  }

  #hears(network: Network, at: string, of: string): boolean {
    return this.#stale.size === 0 || !this.#stale.get(network)?.has(`${at} ${of}`);
  }

  #of(network: Network, node: string): [string, Peer][] {
    return [...(this.#all.get(network) ?? [])].filter(([, peer]) => peer.node === node);
  }
}

function both(one: string, other: string): [string, string][] {
  return [
    [one, other],
    [other, one],
  ];
}
