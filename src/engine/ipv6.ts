/**
 * IPv6 in a namespace: addresses, with the routes that the kernel makes for them (addrconf.c), and routes of one's own.
 * `Namespace.addAddress`, `addRoute` and `addNeighbour` come here for every address with a colon.
 */

import type { Address6Entry, Device } from './device.js';
import { Device as DeviceLayout, Namespace as Layout, Nud, Route6Type } from './generated/layout.js';
import type { Namespace, NeighbourEntry } from './namespace.js';
import type { RouteEntry } from './routes.js';
import { mac } from './wire.js';
import { cidr6, groupsOf, ipv6Text, linkLocal, numberOf, prefixOf } from './wire6.js';

const LOCAL_TABLE = 255;
const MAIN_TABLE = 254;
const FLAG_NODAD = 4;
/** Metric of routes that come with an address, and of those that are added (IP6_RT_PRIO_ADDRCONF, IP6_RT_PRIO_USER). */
const ADDRCONF = 256;
const USER = 1024;

export interface Address6Options {
  /** Docker's containers: added without duplicate address detection. */
  nodad?: boolean;
}

export class Ipv6 {
  readonly routes: RouteEntry[] = [];

  constructor(readonly namespace: Namespace) {}

  get forwards(): boolean {
    const { engine, at } = this.namespace;
    return engine.memory.get(at, Layout.forward6) !== 0;
  }

  /** net.ipv6.conf.all.forwarding: a router is its subnets' anycast address, too. */
  set forwards(on: boolean) {
    const { engine, at, devices } = this.namespace;
    engine.memory.set(at, Layout.forward6, on ? 1 : 0);
    for (const device of devices.values()) {
      for (const entry of device.addresses6) {
        if (on) this.#addAnycast(device, entry);
        else this.#removeAll(device, (route) => route.type === 'anycast');
      }
    }
  }

  /** disable_ipv6 = 0: the device gets its link-local address, lo gets ::1. */
  enable(device: Device): void {
    const { engine } = this.namespace;
    if (device.ipv6) return;
    engine.memory.set(device.at, DeviceLayout.ipv6, 1);
    if (device.kind === 'loopback') this.addAddress(device, '::1/128', { nodad: true });
    else this.#route('local', 'multicast', 'ff00::/8', device, undefined, ADDRCONF);
  }

  /** The device has a carrier: it makes a link-local address of its MAC, unless it has that already. */
  addLinkLocal(device: Device): void {
    this.enable(device);
    const address = linkLocal(device.mac, device.devId);
    if (!device.addresses6.some((one) => one.address === address)) this.addAddress(device, `${address}/64`);
  }

  /**
   * The device comes up now, instead of having been up for long: it reports its groups (MLDv2), probes for duplicates of its
   * addresses, which are tentative for that long, and solicits routers unless it is one.
   */
  comeUp(device: Device): void {
    if (device.addresses6.length > 0) this.namespace.engine.exports.comeUp6(device.at);
  }

  addAddress(device: Device, text: string, { nodad = false }: Address6Options = {}): Address6Entry {
    const { engine } = this.namespace;
    const { address, length } = cidr6(text);
    this.enable(device);
    const known = device.addresses6.find((one) => one.address === address);
    if (known) return known;
    if (
      device.kind === 'ipvlan' &&
      !engine.exports.addIpvlanAddress(device.at, numberOf(engine.exports, address), true)
    )
      throw new Error(`${text} is on another ipvlan of ${device.lower?.path} already`);
    const at = engine.exports.addAddress6(device.at, numberOf(engine.exports, address), length, nodad ? FLAG_NODAD : 0);
    const entry: Address6Entry = { address, length, nodad, at };
    device.addresses6.push(entry);
    this.#route('local', 'local', `${address}/128`, device, undefined, 0);
    const prefix = `${prefixOf(text)}/${length}`;
    if (length < 128 && !this.#has('main', prefix, device))
      this.#route('main', 'unicast', prefix, device, undefined, ADDRCONF);
    if (this.forwards) this.#addAnycast(device, entry);
    return entry;
  }

  removeAddress(device: Device, text: string): void {
    const { address, length } = cidr6(text);
    const entry = device.addresses6.find((one) => one.address === address && one.length === length);
    if (!entry) return;
    device.addresses6.splice(device.addresses6.indexOf(entry), 1);
    const { exports } = this.namespace.engine;
    exports.removeAddress6(device.at, entry.at);
    if (device.kind === 'ipvlan') exports.removeIpvlanAddress(device.at, numberOf(exports, address), true);
    this.#removeAll(device, ({ destination }) => destination === `${address}/128`);
    const prefix = prefixOf(text);
    if (device.addresses6.some((one) => one.length === length && prefixOf(`${one.address}/${length}`) === prefix))
      return;
    this.#removeAll(
      device,
      ({ destination, type, gateway }) =>
        !gateway && (destination === `${prefix}/${length}` || (type === 'anycast' && destination === `${prefix}/128`)),
    );
  }

  #addAnycast(device: Device, { address, length }: Address6Entry): void {
    const prefix = prefixOf(`${address}/${length}`);
    if (length >= 127 || device.kind === 'loopback' || this.#has('local', `${prefix}/128`, device)) return;
    this.#route('local', 'anycast', `${prefix}/128`, device, undefined, 0);
  }

  #has(table: RouteEntry['table'], destination: string, device: Device): boolean {
    return this.routes.some(
      (one) => one.table === table && one.destination === destination && one.device === device && !one.gateway,
    );
  }

  /** `ip -6 route add DESTINATION [via GATEWAY] dev DEVICE`. */
  addRoute(destination: string, device: Device, gateway?: string): RouteEntry {
    return this.#route('main', 'unicast', destination, device, gateway, USER);
  }

  #route(
    table: RouteEntry['table'],
    type: RouteEntry['type'],
    destination: string,
    device: Device,
    gateway: string | undefined,
    metric: number,
  ): RouteEntry {
    const { engine, at: namespace } = this.namespace;
    const { address, length } = cidr6(destination);
    const at = engine.exports.addRoute6(
      namespace,
      table === 'local' ? LOCAL_TABLE : MAIN_TABLE,
      numberOf(engine.exports, address),
      length,
      Route6Type[type.toUpperCase() as keyof typeof Route6Type],
      device.at,
      gateway ? numberOf(engine.exports, gateway) : 0,
      0,
      metric,
    );
    const entry: RouteEntry = {
      table,
      type,
      destination: `${address}/${length}`,
      device,
      gateway,
      source: undefined,
      at,
    };
    this.routes.push(entry);
    return entry;
  }

  removeRoute(route: RouteEntry): void {
    const index = this.routes.indexOf(route);
    if (index < 0) return;
    this.routes.splice(index, 1);
    this.namespace.engine.exports.removeRoute6(route.at);
  }

  #removeAll(device: Device, which: (route: RouteEntry) => boolean): void {
    for (const route of this.routes.filter((one) => one.device === device && which(one))) this.removeRoute(route);
  }

  /** The device goes, and its routes with it. */
  forgetDevice(device: Device): void {
    this.#removeAll(device, () => true);
  }

  addNeighbour(device: Device, address: string, hardware: string, state: 'permanent' | 'reachable'): NeighbourEntry {
    const { exports } = this.namespace.engine;
    const written = ipv6Text(groupsOf(address));
    const { low, high } = mac(hardware);
    const nud = state === 'permanent' ? Nud.PERMANENT : Nud.REACHABLE;
    const at = exports.setNeighbour6(device.at, numberOf(exports, written), low, high, nud);
    return { device, address: written, mac: hardware, at };
  }
}
