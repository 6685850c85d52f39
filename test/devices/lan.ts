/**
 * A LAN for tests: a node, a second node and a router on one segment.
 *
 *   node1 192.168.99.110 ─┬─ node2 192.168.99.111
 *                         └─ router 192.168.99.1, further addresses and VLANs as a test wants them
 */

import { type Device, type Engine, type EngineOptions, type Namespace, Sockets } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { macText, u16 } from '../engine/packets.js';
import { inWords, Watch } from '../engine/watch.js';

const MAC = { node1: '52:54:00:00:00:6e', node2: '52:54:00:00:00:6f', router: '52:54:00:00:00:01' };

export class Lan {
  readonly #sockets: Sockets;
  #watch: Watch | undefined;

  private constructor(
    readonly engine: Engine,
    readonly node1: Device,
    readonly node2: Device,
    readonly router: Device,
  ) {
    this.#sockets = new Sockets(engine);
  }

  static async build(options: Omit<EngineOptions, 'module'> = {}): Promise<Lan> {
    const engine = await checkedEngine(options);
    const segment = engine.segment(50_000);
    const nic = (name: keyof typeof MAC, address: string) => {
      const namespace = engine.namespace(`${name}/host`);
      const device = namespace.addPhysical('eth0', segment, { mac: MAC[name], mtu: 1500 });
      namespace.addAddress(device, address);
      return device;
    };
    const [node1, node2] = [nic('node1', '192.168.99.110/24'), nic('node2', '192.168.99.111/24')];
    const router = nic('router', '192.168.99.1/24');
    for (const node of [node1, node2]) node.namespace.addRoute('0.0.0.0/0', node, '192.168.99.1');
    router.namespace.set('forward', 1);
    return new Lan(engine, node1, node2, router);
  }

  /** A namespace of `node1` with a macvlan on `lower`. */
  macvlan(name: string, lower: Device, address: string, mode?: 'bridge' | 'private' | 'vepa' | 'passthru'): Device {
    const namespace = this.engine.namespace(`node1/${name}`);
    const bytes = (address.split('/')[0] ?? '').split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
    const device = namespace.addMacvlan('eth0', {
      lower,
      mac: `02:42:${bytes.join(':')}`,
      mtu: 1500,
      ...(mode ? { mode } : {}),
    });
    namespace.addAddress(device, address);
    return device;
  }

  ipvlan(
    name: string,
    lower: Device,
    address: string,
    mode: 'l2' | 'l3' | 'l3s' = 'l2',
    flag: 'bridge' | 'private' | 'vepa' = 'bridge',
  ): Device {
    const namespace = this.engine.namespace(`node1/${name}`);
    const device = namespace.addIpvlan('eth0', { lower, mtu: 1500, mode, flag });
    namespace.addAddress(device, address);
    return device;
  }

  /** Capture at these devices from now on. */
  watch(...devices: Device[]): Watch {
    this.#watch = new Watch(this.engine, devices);
    return this.#watch;
  }

  /** One ping, with patience for three requests of ARP: the TTL of the answer, or undefined. */
  ping(from: Namespace, to: string): number | undefined {
    let ttl: number | undefined;
    const identifier = this.#sockets.openPing((reply) => {
      ttl = reply.ttl;
    });
    this.#sockets.ping(from, to, { identifier, sequence: 0, size: 56, time: this.engine.now });
    // Late enough for a first ask, too early for an entry to be asked about again.
    this.engine.run(this.engine.now + 4_000_000_000, this.#sockets.handle);
    return ttl;
  }

  /** What a tap saw, in words: `in`, or `out`, then the VLAN if it has a tag, then what it is. */
  seen(device: Device): string[] {
    return (this.#watch?.frames(device) ?? []).map(({ data, direction }) => {
      const tagged = u16(data, 12) === 0x8100;
      const bare = tagged ? Uint8Array.from([...data.subarray(0, 12), ...data.subarray(16)]) : data;
      const words = inWords(bare);
      return `${direction === 'received' ? 'in' : 'out'} ${tagged ? `vlan ${u16(data, 14)} ` : ''}${words}`;
    });
  }
}

/** `02:42:…>52:54:…` */
export function macs(frame: Uint8Array): string {
  return `${macText(frame, 6)}>${macText(frame, 0)}`;
}
