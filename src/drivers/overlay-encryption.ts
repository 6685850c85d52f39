/**
 * The overlay driver's encryption (libnetwork drivers/overlay/encryption.go): per node, which VNIs must be encrypted, and for each
 * peer the security associations of the keys that are known.
 *
 *   leaving    mangle OUTPUT marks VXLAN of the VNI, an outbound policy sends what is marked through ESP
 *   arriving   filter INPUT drops VXLAN of the VNI that did not come out of ESP
 *
 * Three keys are known at a time, the middle one by age is the primary: a node sends with it, and receives with any. The
 * SPI tells peer, direction and key apart, and is the salt as well.
 *
 * Engine 20.10 finds the VNI by `-m u32`, in iptables alone, and leaves its rules when the network goes. Engine 28 (28.5.2) finds
 * it by `-m bpf`, in the tables of the data path's family, and takes its rules away again.
 */

import type { Association, Iptables, Namespace, Rule, RuleMatch } from '../engine/index.js';
import { groupsOf } from '../topology/ipv6.js';
import type { EncryptionKey } from '../topology/topology.js';

/** Mark of packets to be encrypted, and reqid of all that is programmed here. */
export const MARK = 0xd0c4e3;
/** What ESP adds at the least: SPI 4, sequence 4, IV 8, pad length 1, next header 1, ICV 8. */
export const EXPANSION = 26;
const UDP = 17;
const VXLAN_PORT = 4789;

/** MTU of an overlay over an underlay of `mtu` (maxMTU). */
export function overlayMtu(mtu: number, encrypted: boolean): number {
  const clear = mtu - 50;
  if (!encrypted) return clear;
  const inside = clear - EXPANSION;
  return inside - (inside % 4);
}

/** The SPI of what `source` sends to `destination` with the key of that tag (buildSPI): FNV-1a, 32 bits. */
export function spiOf(source: string, destination: string, tag: number): number {
  const bytes = [
    ...mapped(source),
    tag >>> 24,
    (tag >>> 16) & 255,
    (tag >>> 8) & 255,
    tag & 255,
    ...mapped(destination),
  ];
  return bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
}

/** An address in its 16 bytes, that of IPv4 as ::ffff:a.b.c.d. */
function mapped(address: string): number[] {
  if (address.includes(':')) return groupsOf(address).flatMap((group) => [group >>> 8, group & 255]);
  return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...address.split('.').map(Number)];
}

/** What decides how a node programs it. */
export interface Manner {
  /** The engine's version. */
  engine: string;
  /** The data path's port. */
  port: number;
}

interface Spis {
  forward: number;
  reverse: number;
}

/** What one node has programmed. The first key is the primary. */
export class NodeEncryption {
  #keys: EncryptionKey[] = [];
  /** By the peer's address: SPIs in the order of the keys. */
  readonly #peers = new Map<string, Spis[]>();
  /** By VNI. */
  readonly #rules = new Map<number, Rule[]>();

  constructor(
    readonly host: Namespace,
    /** The node's own address, as its peers know it. */
    readonly address: string,
    readonly manner: Manner = { engine: '20.10', port: VXLAN_PORT },
  ) {}

  get #old(): boolean {
    return this.manner.engine.startsWith('20.');
  }

  /** Where rules are written: 20.10 knows no ip6tables (transportIPTable). */
  get #tables(): Iptables {
    return !this.#old && this.address.includes(':') ? this.host.ip6tables : this.host.iptables;
  }

  get keys(): readonly EncryptionKey[] {
    return this.#keys;
  }

  /** The keys of the swarm, of any order: the second oldest becomes the primary (getKeys). */
  setKeys(keys: readonly EncryptionKey[]): void {
    const [oldest, primary, ...rest] = byAge(keys);
    this.#keys = oldest && primary ? [primary, oldest, ...rest] : byAge(keys);
  }

  /** A secure network has come to this node (initSubnetSandbox: programMangle, programInput). */
  requireFor(vni: number): void {
    if (this.#rules.has(vni)) return;
    const iptables = this.#tables;
    const { port: dport } = this.manner;
    for (const chain of ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']) iptables.chain('mangle', chain);
    const match: RuleMatch = { protocol: 'udp', dport, ...(this.#old ? { u32: u32Of(vni) } : { bpf: bpfOf(vni) }) };
    const rules = [
      iptables.append('mangle', 'OUTPUT', { ...match, target: 'MARK', value: MARK }),
      iptables.insert('filter', 'INPUT', { ...match, policy: { dir: 'in', pol: 'none' }, target: 'DROP' }),
    ];
    if (this.#old)
      rules.push(
        iptables.append('filter', 'INPUT', { ...match, policy: { dir: 'in', pol: 'ipsec' }, target: 'ACCEPT' }),
      );
    this.#rules.set(vni, rules);
  }

  /** A network that is not secure has this VNI now: rules of one that had it before go. */
  releaseFor(vni: number): void {
    for (const rule of this.#rules.get(vni) ?? []) rule.remove();
    this.#rules.delete(vni);
  }

  /** The secure network has gone from this node (DeleteNetwork). Rules of 20.10 outlive it. */
  networkGone(vni: number): void {
    if (!this.#old) this.releaseFor(vni);
  }

  /**
   * An endpoint of a secure network is known to be behind this address (setupEncryption). What is programmed stays when the
   * last one goes: dockerd looks for a node without peers, and the peer that goes is among those that it finds.
   */
  addPeer(peer: string): void {
    if (this.#peers.has(peer)) return;
    const all = this.#keys.map((key) => this.#spis(peer, key));
    this.#peers.set(peer, all);
    for (const [index, spis] of all.entries()) {
      const key = this.#keys[index];
      if (!key) continue;
      this.#add(peer, this.address, spis.reverse, key);
      if (index > 0) continue;
      this.#add(this.address, peer, spis.forward, key);
      this.#sendWith(peer, spis);
    }
  }

  /**
   * The managers have rotated: `keys` are those of now (handleKeyChange, updateKeys, updateNodeKey). Per peer the pruned
   * key's inbound association goes, the new key's comes, and what is sent moves to the new primary.
   */
  rotate(keys: readonly EncryptionKey[]): void {
    const pruned = this.#keys.findIndex(({ tag }) => !keys.some((one) => one.tag === tag));
    const added = keys.find(({ tag }) => !this.#keys.some((one) => one.tag === tag));
    if (added) this.#keys.push(added);
    const fresh = added ? this.#keys.length - 1 : -1;
    const primary = this.#keys.findIndex(({ tag }) => tag === byAge(keys)[1]?.tag);
    for (const [peer, spis] of this.#peers) {
      if (added) spis.push(this.#spis(peer, added));
      const [old, now] = [spis[0], spis[primary]];
      if (pruned >= 0) this.#remove(this.address, spis[pruned]?.reverse);
      const key = this.#keys[fresh];
      if (key) this.#add(peer, this.address, spis[fresh]?.reverse ?? 0, key);
      const first = this.#keys[primary];
      if (primary > 0 && old && now && first) {
        this.#add(this.address, peer, now.forward, first);
        this.#sendWith(peer, now);
        this.#remove(peer, old.forward);
      }
      reorder(spis, primary, pruned);
    }
    reorder(this.#keys, primary, pruned);
  }

  #spis(peer: string, { tag }: EncryptionKey): Spis {
    return { forward: spiOf(this.address, peer, tag), reverse: spiOf(peer, this.address, tag) };
  }

  #add(source: string, destination: string, spi: number, { key }: EncryptionKey): Association | undefined {
    const { xfrm } = this.host;
    if (xfrm.association(destination, spi)) return undefined;
    const salted = new Uint8Array(20);
    salted.set(bytesOf(key));
    new DataView(salted.buffer).setUint32(16, spi);
    return xfrm.addAssociation({ source, destination, spi, reqid: MARK, key: salted });
  }

  #remove(destination: string, spi: number | undefined): void {
    const found = spi === undefined ? undefined : this.host.xfrm.association(destination, spi);
    if (found) this.host.xfrm.removeAssociation(found);
  }

  #sendWith(peer: string, { forward: spi }: Spis): void {
    const ends = { source: this.address, destination: peer };
    const template = { ...ends, spi, reqid: MARK };
    // 20.10's policies name VXLAN's own port, whatever the data path's is.
    const port = this.#old ? VXLAN_PORT : this.manner.port;
    this.host.xfrm.setPolicy({ ...ends, protocol: UDP, port, mark: MARK, markMask: 0xffffffff, template });
  }
}

/** VXLAN of this VNI, 12 bytes behind the IPv4 header (matchVXLAN of 20.10). */
function u32Of(vni: number): string {
  return `0>>22&0x3C@12&0xFFFFFF00=${vni << 8}`;
}

/** The same in either family: X = the payload's offset; A = 4 bytes from X + 4, shifted by 8; is it the VNI? (vniMatchBPF) */
function bpfOf(vni: number): string {
  return `7,32 0 0 4294963252,7 0 0 0,64 0 0 4,116 0 0 8,21 1 0 ${vni},6 0 0 0,6 0 0 4294967295`;
}

/** The primary comes first, the pruned one goes: as dockerd's list has it, whose order tells which association is which. */
function reorder<T>(list: T[], primary: number, pruned: number): void {
  const [first, chosen] = [list[0], list[primary]];
  if (primary > 0 && first !== undefined && chosen !== undefined) {
    list[0] = chosen;
    list[primary] = first;
  }
  if (pruned >= 0) list.splice(pruned === 0 ? primary : pruned, 1);
}

function byAge(keys: readonly EncryptionKey[]): EncryptionKey[] {
  return [...keys].sort((a, b) => a.tag - b.tag);
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

const byHost = new WeakMap<Namespace, NodeEncryption>();

/** What this node has programmed; made when it is first asked for. */
export function encryptionOf(
  host: Namespace,
  address: string,
  keys: readonly EncryptionKey[],
  manner: Manner,
): NodeEncryption {
  let known = byHost.get(host);
  if (!known) {
    known = new NodeEncryption(host, address, manner);
    known.setKeys(keys);
    byHost.set(host, known);
  }
  return known;
}

/** Of a node that has no secure network: undefined. */
export function encryptionIn(host: Namespace): NodeEncryption | undefined {
  return byHost.get(host);
}
