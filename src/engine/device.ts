/** A network device: a handle on its record. */

import { Denial, type DenialSpec } from './denial.js';
import type { Engine } from './engine.js';
import { Drop, IpvlanFlag, IpvlanMode, Device as Layout, MacvlanMode } from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { ipv4, ipv4Text, mac, macText } from './wire.js';

export type DeviceKind =
  | 'loopback'
  | 'veth'
  | 'bridge'
  | 'vxlan'
  | 'physical'
  | 'vlan'
  | 'macvlan'
  | 'ipvlan'
  | 'dummy';

// assembly/devices/device.ts
const HAIRPIN = 2;
const VXLAN_IPV6 = 32;
const UNFILTERED = 128;
const PROMISCUOUS = 1 << 10;
/** By their numbers. */
const REASONS = Object.keys(Drop).filter((name) => name !== 'REASONS');

export interface AddressEntry {
  /** Dotted. */
  address: string;
  length: number;
  /** Has it a broadcast address? Undefined: it was added as is the custom for devices of its kind. */
  broadcast?: boolean;
}

/** An IPv6 address of a device. */
export interface Address6Entry extends AddressEntry {
  /** Was it added without duplicate address detection? */
  nodad: boolean;
  at: number;
}

export class Device {
  readonly addresses: AddressEntry[] = [];
  /** IPv6 addresses in the order in which they were added. */
  readonly addresses6: Address6Entry[] = [];
  /** Ports, if it is a bridge. */
  readonly ports: Device[] = [];
  /** The lowest port number that is free. */
  lowestPort = 1;
  #portNumbers: Set<number> | undefined;
  master: Device | undefined;
  peer: Device | undefined;
  /** Of a vlan, macvlan or ipvlan: the device below it. */
  lower: Device | undefined;
  /** Tells ipvlans apart that share a MAC (dev_id); 0: its MAC is its own. And the one that the next on this device gets. */
  devId = 0;
  nextDevId = 1;
  /** VLANs, macvlans and ipvlans that stand on it, as they were made. */
  readonly uppers: Device[] = [];

  constructor(
    readonly engine: Engine,
    /** Changed by Namespace.moveDevice alone. */
    public namespace: Namespace,
    /** Changed by Namespace.renameDevice alone. */
    public name: string,
    readonly kind: DeviceKind,
    /** Address of its record. */
    readonly at: number,
  ) {}

  get id(): number {
    return this.engine.memory.get(this.at, Layout.id);
  }

  /** `node/namespace/device`, as captures name it. */
  get path(): string {
    return `${this.namespace.name}/${this.name}`;
  }

  get mac(): string {
    return macText(this.engine.memory.halves(this.at, Layout.mac));
  }
  set mac(text: string) {
    this.engine.memory.setHalves(this.at, Layout.mac, mac(text));
  }

  get mtu(): number {
    return this.engine.memory.get(this.at, Layout.mtu);
  }
  set mtu(bytes: number) {
    this.engine.memory.set(this.at, Layout.mtu, bytes);
  }

  /**
   * A bridge's own stack takes a copy of what the bridge forwards (`ip link set BRIDGE promisc on`, or a capture on it). Only
   * what DNAT led back behind the bridge is of interest there: it is routed, too, and arrives twice.
   */
  set promiscuous(on: boolean) {
    const flags = this.engine.memory.get(this.at, Layout.flags);
    this.engine.memory.set(this.at, Layout.flags, on ? flags | PROMISCUOUS : flags & ~PROMISCUOUS);
  }

  get up(): boolean {
    return (this.engine.memory.get(this.at, Layout.flags) & 1) !== 0;
  }
  set up(up: boolean) {
    const flags = this.engine.memory.get(this.at, Layout.flags);
    this.engine.memory.set(this.at, Layout.flags, up ? flags | 1 : flags & ~1);
  }

  /**
   * A bridge's port sends back out where it came from (`bridge link set dev PORT hairpin on`); the port of a switch that a NIC is
   * plugged into, too (802.1Qbg).
   */
  get hairpin(): boolean {
    return (this.engine.memory.get(this.at, Layout.flags) & HAIRPIN) !== 0;
  }
  set hairpin(on: boolean) {
    const flags = this.engine.memory.get(this.at, Layout.flags);
    this.engine.memory.set(this.at, Layout.flags, on ? flags | HAIRPIN : flags & ~HAIRPIN);
  }

  /** net.ipv4.conf.DEVICE.route_localnet */
  get routeLocalnet(): boolean {
    return this.engine.memory.get(this.at, Layout.routeLocalnet) !== 0;
  }
  set routeLocalnet(on: boolean) {
    this.engine.memory.set(this.at, Layout.routeLocalnet, on ? 1 : 0);
  }

  /** net.ipv6.conf.DEVICE.disable_ipv6 is 0. */
  get ipv6(): boolean {
    return this.engine.memory.get(this.at, Layout.ipv6) !== 0;
  }

  /** VXLAN network identifier, of a vxlan device. */
  get vni(): number {
    return this.engine.memory.get(this.at, Layout.vni);
  }

  /** Of a vxlan device: its VTEPs have IPv6 addresses. */
  get overIpv6(): boolean {
    return (this.engine.memory.get(this.at, Layout.flags) & VXLAN_IPV6) !== 0;
  }

  /** VLAN identifier, of a vlan device. */
  get vid(): number {
    return this.engine.memory.get(this.at, Layout.vid);
  }

  /** `bridge`, `vepa`, …, of a macvlan device; `l2`, `l3` or `l3s`, of an ipvlan device. */
  get mode(): string {
    const { memory } = this.engine;
    if (this.kind === 'ipvlan' && this.lower)
      return lowerName(IpvlanMode, memory.get(this.lower.at, Layout.portMode)) ?? '';
    return this.kind === 'macvlan' ? (lowerName(MacvlanMode, memory.get(this.at, Layout.mode)) ?? '') : '';
  }

  /** `bridge`, `private` or `vepa`, of an ipvlan device. */
  get flag(): string {
    if (this.kind !== 'ipvlan' || !this.lower) return '';
    return lowerName(IpvlanFlag, this.engine.memory.get(this.lower.at, Layout.portFlags)) ?? '';
  }

  /** The first address, dotted, or undefined. */
  get address(): string | undefined {
    const first = this.addresses[0];
    return first?.address;
  }

  /** Of a bridge: netfilter sees its frames no more. */
  pass(): void {
    const { memory } = this.engine;
    memory.set(this.at, Layout.flags, memory.get(this.at, Layout.flags) | UNFILTERED);
  }

  /** Of a vxlan without a VNI: a way to one more VTEP, with a VNI for each direction. */
  addTunnel(remote: string, { out, back }: { out: number; back: number }): void {
    this.engine.exports.addTunnel(this.at, ipv4(remote), out, back);
  }
  removeTunnel(remote: string): void {
    this.engine.exports.removeTunnel(this.at, ipv4(remote));
  }

  /** A gratuitous ARP request, as `arping -U` sends one, at `time`. */
  announce(address: string, time: number): void {
    this.engine.exports.announce(this.at, ipv4(address), BigInt(time));
  }

  /** Are both physical devices on one segment? */
  sharesWire(other: Device): boolean {
    const { memory } = this.engine;
    const segment = memory.get(this.at, Layout.segment);
    return segment !== 0 && segment === memory.get(other.at, Layout.segment);
  }

  /** From now on its segment does not bring it these frames: they end on the wire. Of a physical device. */
  deny(spec: DenialSpec): Denial {
    return new Denial(this, spec);
  }

  /** Capture frames here from now on. */
  tap(): void {
    if (this.engine.memory.get(this.at, Layout.tap)) return;
    this.engine.memory.set(this.at, Layout.tap, this.engine.addTap(this) + 1);
  }

  /** Frames dropped at this device, by reason. */
  get drops(): Map<string, number> {
    return dropCounts(this.engine, this.engine.memory.get(this.at, Layout.drops));
  }

  /** Its drops so far, which are no longer counted here. */
  takeDrops(): Map<string, number> {
    const found = this.drops;
    counters(this.engine, this.engine.memory.get(this.at, Layout.drops)).fill(0);
    return found;
  }

  /** The number of the next port to join (find_portno). */
  takePortNumber(): number {
    const number = this.lowestPort;
    this.#portNumbers ??= new Set();
    this.#portNumbers.add(number);
    while (this.#portNumbers.has(this.lowestPort)) this.lowestPort++;
    return number;
  }
  givePortNumber(number: number): void {
    this.#portNumbers?.delete(number);
    this.lowestPort = Math.min(this.lowestPort, number);
  }

  get counters(): { rxPackets: number; rxBytes: number; txPackets: number; txBytes: number } {
    const { memory } = this.engine;
    return {
      rxPackets: memory.get(this.at, Layout.rxPackets),
      rxBytes: memory.get(this.at, Layout.rxBytes),
      txPackets: memory.get(this.at, Layout.txPackets),
      txBytes: memory.get(this.at, Layout.txBytes),
    };
  }

  /** Called by Namespace.removeAddress. */
  forgetAddress(entry: AddressEntry): void {
    this.addresses.splice(this.addresses.indexOf(entry), 1);
    const first = this.addresses[0];
    this.engine.memory.set(this.at, Layout.address, first ? ipv4(first.address) : 0);
  }

  /** Called by Namespace.addAddress. */
  noteAddress(address: number, length: number, broadcast: boolean | undefined): void {
    const entry: AddressEntry = { address: ipv4Text(address), length };
    if (broadcast !== undefined) entry.broadcast = broadcast;
    if (this.addresses.length === 0) this.engine.memory.set(this.at, Layout.address, address);
    this.addresses.push(entry);
  }
}

/** From an array of counters, one a reason. */
export function dropCounts(engine: Engine, at: number): Map<string, number> {
  const found = new Map<string, number>();
  counters(engine, at).forEach((count, reason) => {
    if (count) found.set(REASONS[reason] as string, count);
  });
  return found;
}

function counters({ memory }: Engine, at: number): Uint32Array {
  return new Uint32Array(memory.bytes.buffer, at >>> 0, REASONS.length);
}

/** The member of an enum that has this value, in lower case. */
function lowerName(members: Record<string, number>, value: number): string | undefined {
  return Object.entries(members)
    .find(([, number]) => number === value)?.[0]
    .toLowerCase();
}
