/** A route as it was added: `ip route add`, or with an address. Of thousands each is kept as numbers, and named when it is asked for. */

import type { Device } from './device.js';
import { ipv4Text } from './wire.js';

export interface RouteEntry {
  table: 'local' | 'main';
  /** The last two are IPv6's. */
  type: 'unicast' | 'local' | 'broadcast' | 'anycast' | 'multicast';
  /** CIDR; 0.0.0.0/0 or ::/0 is the default route. */
  destination: string;
  device: Device;
  gateway: string | undefined;
  source: string | undefined;
  at: number;
}

export class Route4 implements RouteEntry {
  constructor(
    readonly table: RouteEntry['table'],
    readonly type: 'unicast' | 'local' | 'broadcast',
    readonly device: Device,
    readonly gateway: string | undefined,
    /** Network byte order, as loaded. */
    private readonly address: number,
    private readonly length: number,
    /** The preferred source, or 0. */
    private readonly from: number,
    readonly at: number,
  ) {}

  get destination(): string {
    return `${ipv4Text(this.address)}/${this.length}`;
  }
  get source(): string | undefined {
    return this.from ? ipv4Text(this.from) : undefined;
  }
}
