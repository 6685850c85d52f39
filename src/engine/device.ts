/** A network device: a handle on its record. */

import type { Engine } from './engine.js';
import { Drop, Device as Layout } from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { cidr, ipv4Text, mac, macText } from './wire.js';

export type DeviceKind = 'loopback' | 'veth' | 'bridge' | 'vxlan' | 'physical';

const REASONS = Object.entries(Drop).filter(([name]) => name !== 'REASONS');

export interface AddressEntry {
  /** Dotted. */
  address: string;
  length: number;
}

export class Device {
  readonly addresses: AddressEntry[] = [];
  /** Ports, if it is a bridge. */
  readonly ports: Device[] = [];
  master: Device | undefined;
  peer: Device | undefined;

  constructor(
    readonly engine: Engine,
    readonly namespace: Namespace,
    readonly name: string,
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

  set up(up: boolean) {
    const flags = this.engine.memory.get(this.at, Layout.flags);
    this.engine.memory.set(this.at, Layout.flags, up ? flags | 1 : flags & ~1);
  }

  /** net.ipv4.conf.DEVICE.route_localnet */
  set routeLocalnet(on: boolean) {
    this.engine.memory.set(this.at, Layout.routeLocalnet, on ? 1 : 0);
  }

  /** VXLAN network identifier, of a vxlan device. */
  get vni(): number {
    return this.engine.memory.get(this.at, Layout.vni);
  }

  /** The first address, dotted, or undefined. */
  get address(): string | undefined {
    const first = this.addresses[0];
    return first?.address;
  }

  /** Capture frames here from now on. */
  tap(): void {
    if (this.engine.memory.get(this.at, Layout.tap)) return;
    this.engine.memory.set(this.at, Layout.tap, this.engine.addTap(this) + 1);
  }

  /** Frames dropped at this device, by reason. */
  get drops(): Map<string, number> {
    const found = new Map<string, number>();
    const at = this.engine.memory.get(this.at, Layout.drops);
    for (const [reason, index] of REASONS) {
      const count = this.engine.memory.view.getUint32(at + 4 * index, true);
      if (count) found.set(reason, count);
    }
    return found;
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

  /** Called by Namespace.addAddress. */
  noteAddress(text: string): AddressEntry {
    const { address, length } = cidr(text);
    const entry = { address: ipv4Text(address), length };
    if (this.addresses.length === 0) this.engine.memory.set(this.at, Layout.address, address);
    this.addresses.push(entry);
    return entry;
  }
}
