/** A network namespace: devices, addresses, routes, neighbours, rules and balancers are added to it. */

import { Ipvs } from './balancer.js';
import { Device, type DeviceKind } from './device.js';
import type { Engine, Segment } from './engine.js';
import {
  Device as DeviceLayout,
  IpvlanFlag,
  IpvlanMode,
  Kind,
  Namespace as Layout,
  MacvlanMode,
  Nud,
  RouteType,
} from './generated/layout.js';
import { type Address6Options, Ipv6 } from './ipv6.js';
import { permanentNeighbour, permanentNeighbours } from './neighbours.js';
import { Route4, type RouteEntry } from './routes.js';
import { Iptables, PROTOCOLS } from './rules.js';
import { cidr, ipv4, ipv4Text, mac, mask, port } from './wire.js';
import { addressOf, isIpv6, numberOf, tableAddress } from './wire6.js';
import { Xfrm } from './xfrm.js';

const LOCAL_TABLE = 255;
const MAIN_TABLE = 254;
const FDB_STATIC = 1;
const FDB_OWN = 2;
const FLAG_VXLAN_PROXY = 4;
/** assembly/wire/ipv6.ts: V6 */
const OVER_IPV6 = 0x80000000;

const ROUTE_TYPES = { unicast: RouteType.UNICAST, local: RouteType.LOCAL, broadcast: RouteType.BROADCAST } as const;
const KINDS: Record<DeviceKind, number> = {
  loopback: Kind.LOOPBACK,
  veth: Kind.VETH,
  bridge: Kind.BRIDGE,
  vxlan: Kind.VXLAN,
  physical: Kind.PHYSICAL,
  vlan: Kind.VLAN,
  macvlan: Kind.MACVLAN,
  ipvlan: Kind.IPVLAN,
  dummy: Kind.DUMMY,
};

/** Sysctls that have an effect, by the name of their field. */
export type Sysctl =
  | 'forward'
  | 'ipvs'
  | 'ipvsConntrack'
  | 'ipvsExpireNodest'
  | 'ipvsReuseMode'
  | 'bridgeNetfilter'
  | 'bridgeNetfilter6'
  | 'silent'
  | 'askOnce'
  | 'connectionsMax';

export interface NeighbourEntry {
  device: Device;
  address: string;
  mac: string;
  at: number;
}

export interface LinkOptions {
  mac: string;
  mtu: number;
}

export type MacvlanModeName = 'bridge' | 'private' | 'vepa' | 'passthru';
export type IpvlanModeName = 'l2' | 'l3' | 'l3s';
export type IpvlanFlagName = 'bridge' | 'private' | 'vepa';

export class Namespace {
  readonly at: number;
  readonly devices = new Map<string, Device>();
  readonly routes: RouteEntry[] = [];
  readonly iptables: Iptables;
  readonly ipv6: Ipv6;
  // Most namespaces have none of these.
  #ip6tables: Iptables | undefined;
  #ipvs: Ipvs | undefined;
  #xfrm: Xfrm | undefined;

  constructor(
    readonly engine: Engine,
    /** `node1/host`, `node1/ingress_sbox`, `client/host` */
    readonly name: string,
  ) {
    this.at = engine.exports.newNamespace();
    const loopback = new Device(engine, this, 'lo', 'loopback', engine.memory.get(this.at, Layout.loopback));
    this.devices.set('lo', loopback);
    engine.noteDevice(loopback);
    this.iptables = new Iptables(engine, this);
    this.ipv6 = new Ipv6(this);
    this.addAddress(loopback, '127.0.0.1/8');
  }

  get ip6tables(): Iptables {
    this.#ip6tables ??= new Iptables(this.engine, this, 'ip6');
    return this.#ip6tables;
  }
  get ipvs(): Ipvs {
    this.#ipvs ??= new Ipvs(this.engine, this);
    return this.#ipvs;
  }
  get xfrm(): Xfrm {
    this.#xfrm ??= new Xfrm(this.engine, this);
    return this.#xfrm;
  }

  /** A process outside the simulation has this socket: what arrives for it is taken and not answered. Port 0 of `remote`: anyone. */
  addForeignSocket(
    protocol: 'tcp' | 'udp',
    local: { address: string; port: number },
    remote: { address: string; port: number } = { address: '0.0.0.0', port: 0 },
  ): void {
    const { exports } = this.engine;
    const v6 = isIpv6(local.address);
    const number = (address: string) => (v6 ? numberOf(exports, address) : ipv4(address));
    exports.foreignSocket(
      this.at,
      v6 ? (PROTOCOLS[protocol] | OVER_IPV6) >>> 0 : PROTOCOLS[protocol],
      number(local.address),
      port(local.port),
      remote.port === 0 ? 0 : number(remote.address),
      port(remote.port),
    );
  }

  get id(): number {
    return this.engine.memory.get(this.at, Layout.id);
  }

  set(name: Sysctl, value: number): void {
    this.engine.memory.set(this.at, Layout[name], value);
  }
  get(name: Sysctl | 'conntrack' | 'conntrack6' | 'connections'): number {
    return this.engine.memory.get(this.at, Layout[name]);
  }

  /** `conntrack -D --any-nat ADDRESS`: how many connections went. */
  forgetConnectionsOf(address: string): number {
    this.engine.drain();
    const { exports } = this.engine;
    if (isIpv6(address)) return exports.forgetConnections(this.at, numberOf(exports, address), 0, 1);
    return exports.forgetConnections(this.at, ipv4(address), 0, 0);
  }
  /** `conntrack -D -p udp --dport PORT`, with `-f ipv6` for that family. */
  forgetDatagramsTo(udpPort: number, family: 'ip' | 'ip6' = 'ip'): number {
    this.engine.drain();
    return this.engine.exports.forgetConnections(this.at, 0, port(udpPort), family === 'ip6' ? 1 : 0);
  }

  /** Conntrack's hooks are registered: a nat chain or a state match was added. */
  trackConnections(family: 'ip' | 'ip6' = 'ip'): void {
    this.engine.memory.set(this.at, family === 'ip6' ? Layout.conntrack6 : Layout.conntrack, 1);
  }

  device(name: string): Device {
    const device = this.devices.get(name);
    if (!device) throw new Error(`${this.name} has no device ${name}`);
    return device;
  }

  #add(name: string, kind: DeviceKind, { mac: address, mtu }: LinkOptions): Device {
    if (this.devices.has(name)) throw new Error(`${this.name} has a device ${name} already`);
    const at = this.engine.exports.addDevice(this.at, KINDS[kind]);
    const device = new Device(this.engine, this, name, kind, at);
    device.mac = address;
    device.mtu = mtu;
    this.devices.set(name, device);
    this.#namesChanged(name);
    this.engine.noteDevice(device);
    return device;
  }

  /** Rules that name them mean another device from now on, or none. */
  #namesChanged(...names: string[]): void {
    for (const name of names) {
      this.iptables.interfaces.changed(this, name);
      this.#ip6tables?.interfaces.changed(this, name);
    }
  }

  addPhysical(name: string, segment: Segment, options: LinkOptions): Device {
    const device = this.#add(name, 'physical', options);
    this.engine.exports.plugIn(segment.at, device.at);
    return device;
  }

  /** A pair: this end is `name`, the other end `peer.name` in `peer.namespace`. */
  addVeth(
    name: string,
    options: LinkOptions,
    peer: { namespace: Namespace; name: string } & LinkOptions,
  ): [Device, Device] {
    const here = this.#add(name, 'veth', options);
    const there = peer.namespace.#add(peer.name, 'veth', peer);
    this.engine.memory.set(here.at, DeviceLayout.peer, there.at);
    this.engine.memory.set(there.at, DeviceLayout.peer, here.at);
    here.peer = there;
    there.peer = here;
    return [here, there];
  }

  /** `filtered: false`: netfilter never sees its frames, as those of Open vSwitch. */
  addBridge(name: string, options: LinkOptions & { filtered?: boolean }): Device {
    const bridge = this.#add(name, 'bridge', options);
    if (options.filtered === false) bridge.pass();
    this.#own(bridge, bridge);
    return bridge;
  }

  /** `port` becomes the bridge's next port. */
  addPort(bridge: Device, device: Device): void {
    const { memory } = this.engine;
    const last = bridge.ports.at(-1);
    if (last) memory.set(last.at, DeviceLayout.nextPort, device.at);
    else memory.set(bridge.at, DeviceLayout.ports, device.at);
    bridge.ports.push(device);
    memory.set(device.at, DeviceLayout.portNumber, bridge.takePortNumber());
    memory.set(device.at, DeviceLayout.master, bridge.at);
    device.master = bridge;
    this.#own(bridge, device);
  }

  /** `ip link set DEVICE nomaster`: what the bridge has learned behind it goes. */
  removePort(device: Device): void {
    const bridge = device.master;
    if (!bridge) return;
    bridge.givePortNumber(this.engine.memory.get(device.at, DeviceLayout.portNumber));
    bridge.ports.splice(bridge.ports.indexOf(device), 1);
    device.master = undefined;
    this.engine.exports.removePort(device.at);
  }

  /** `ip link set BRIDGE address MAC`: frames for the new one go up its stack, those for the old one no longer. */
  setBridgeMac(bridge: Device, hardware: string): void {
    if (bridge.mac === hardware) return;
    if (!bridge.ports.some(({ mac: one }) => one === bridge.mac)) this.removeFdb(bridge, bridge.mac);
    bridge.mac = hardware;
    this.#own(bridge, bridge);
  }

  /** `ip link del`: a veth takes its other end with it; addresses, routes, neighbours and learned entries go. */
  removeDevice(device: Device): void {
    if (device.kind === 'loopback') throw new Error(`${device.path} stays as long as its namespace`);
    this.engine.drain();
    const { peer } = device;
    this.#remove(device);
    if (peer) peer.namespace.#remove(peer);
  }

  #remove(device: Device): void {
    for (const upper of [...device.uppers]) upper.namespace.removeDevice(upper);
    const { lower } = device;
    if (lower) lower.uppers.splice(lower.uppers.indexOf(device), 1);
    for (const port of [...device.ports]) port.namespace.removePort(port);
    this.removePort(device);
    this.#forget(device);
    device.peer = undefined;
    device.lower = undefined;
    this.engine.forgetDevice(device);
    this.engine.exports.removeDevice(device.at);
    this.devices.delete(device.name);
    this.#namesChanged(device.name);
  }

  /** `ip link set DEVICE name NAME` */
  renameDevice(device: Device, name: string): void {
    if (this.devices.has(name)) throw new Error(`${this.name} has a device ${name} already`);
    // In its old place: devices are listed as they were made.
    const all = [...this.devices.values()];
    const before = device.name;
    device.name = name;
    this.devices.clear();
    for (const one of all) this.devices.set(one.name, one);
    this.#namesChanged(before, name);
  }

  /** `ip link set DEVICE netns NAMESPACE`: it comes there down and without addresses. */
  moveDevice(device: Device, target: Namespace): void {
    if (target === this) return;
    if (target.devices.has(device.name)) throw new Error(`${target.name} has a device ${device.name} already`);
    this.engine.drain();
    this.removePort(device);
    for (const { address, length } of [...device.addresses, ...device.addresses6])
      this.removeAddress(device, `${address}/${length}`);
    this.#forget(device);
    this.devices.delete(device.name);
    device.namespace = target;
    this.engine.exports.moveDevice(device.at, target.at);
    target.devices.set(device.name, device);
    this.#namesChanged(device.name);
    target.#namesChanged(device.name);
  }

  /** Routes by it and permanent neighbours on it go. */
  #forget(device: Device): void {
    for (const route of this.routes.filter((one) => one.device === device)) this.removeRoute(route);
    this.ipv6.forgetDevice(device);
  }

  /** Everything in it but its loopback: called when the namespace goes. */
  clear(): void {
    this.iptables.clear();
    this.#ip6tables?.clear();
    for (const service of [...(this.#ipvs?.services ?? [])]) this.ipvs.remove(service);
    for (const association of this.#xfrm?.associations ?? []) this.xfrm.removeAssociation(association);
    for (const device of [...this.devices.values()]) {
      if (device.kind !== 'loopback' && this.devices.has(device.name)) this.removeDevice(device);
    }
    for (const route of [...this.routes, ...this.ipv6.routes]) this.removeRoute(route);
    this.engine.forgetDevice(this.device('lo'));
  }

  /** Frames for a bridge's own MAC, or for a port's, go up its stack. */
  #own(bridge: Device, device: Device): void {
    const { low, high } = mac(device.mac);
    this.engine.exports.setFdb(bridge.id, low, high, 0, 0, FDB_STATIC | FDB_OWN);
  }

  /**
   * `over`: the family of its VTEPs' addresses, IPv4 without a word (`ip -6 link add … type vxlan`). Without a VNI it is given
   * tunnels (`type vxlan external`): Device.addTunnel.
   */
  addVxlan(
    name: string,
    options: LinkOptions & { vni?: number; port: number; underlay: Namespace; over?: 4 | 6 },
  ): Device {
    const device = this.#add(name, 'vxlan', options);
    const { memory, exports } = this.engine;
    if (options.vni === undefined) {
      exports.openTunnels(device.at, options.underlay.at, port(options.port));
      return device;
    }
    memory.set(device.at, DeviceLayout.flags, memory.get(device.at, DeviceLayout.flags) | FLAG_VXLAN_PROXY);
    exports.openVxlan(device.at, options.underlay.at, options.vni, port(options.port), options.over === 6);
    return device;
  }

  /** `ip link add link LOWER name NAME type vlan id ID`: MAC and MTU are those of the device below. */
  addVlan(name: string, { lower, id }: { lower: Device; id: number }): Device {
    const device = this.#add(name, 'vlan', lower);
    this.engine.exports.openVlan(device.at, lower.at, id);
    return this.#upon(lower, device);
  }

  /** `ip link add link LOWER name NAME type macvlan mode MODE`: `lower` may be in another namespace. */
  addMacvlan(name: string, options: LinkOptions & { lower: Device; mode?: MacvlanModeName }): Device {
    const { lower, mode = 'bridge' } = options;
    const macvlans = lower.uppers.filter(({ kind }) => kind === 'macvlan');
    const alone = mode === 'passthru' ? macvlans[0] : macvlans.find((one) => one.mode === 'passthru');
    if (alone) throw new Error(`${lower.path} cannot have another macvlan beside one of mode passthru`);
    this.#exclusive(lower, 'macvlan');
    const device = this.#add(name, 'macvlan', options);
    // It has the lower device's MAC for its own, or gives it its own: there is one for both.
    if (mode === 'passthru') lower.mac = device.mac;
    this.engine.exports.openMacvlan(device.at, lower.at, MacvlanMode[mode.toUpperCase() as Uppercase<MacvlanModeName>]);
    return this.#upon(lower, device);
  }

  /** `ip link add link LOWER name NAME type ipvlan mode MODE FLAG`: it has the MAC of the device below. */
  addIpvlan(
    name: string,
    options: { lower: Device; mtu: number; mode?: IpvlanModeName; flag?: IpvlanFlagName },
  ): Device {
    const { lower, mtu, mode = 'l2', flag = 'bridge' } = options;
    this.#exclusive(lower, 'ipvlan');
    const device = this.#add(name, 'ipvlan', { mac: lower.mac, mtu });
    device.devId = lower.nextDevId++;
    this.engine.exports.openIpvlan(
      device.at,
      lower.at,
      IpvlanMode[mode.toUpperCase() as Uppercase<IpvlanModeName>],
      IpvlanFlag[flag.toUpperCase() as Uppercase<IpvlanFlagName>],
    );
    return this.#upon(lower, device);
  }

  /** `ip link add NAME type dummy`: what it sends goes nowhere. */
  addDummy(name: string, options: LinkOptions): Device {
    return this.#add(name, 'dummy', options);
  }

  /** A device has one handler for what comes in: macvlans, ipvlans or a bridge (netdev_rx_handler_register: EBUSY). */
  #exclusive(lower: Device, kind: 'macvlan' | 'ipvlan'): void {
    const other = lower.uppers.find((one) => one.kind !== 'vlan' && one.kind !== kind);
    if (other) throw new Error(`${lower.path} has ${other.kind} devices already, and cannot have ${kind} devices too`);
    if (lower.master)
      throw new Error(`${lower.path} is a port of ${lower.master.name}, and cannot have ${kind} devices`);
  }

  #upon(lower: Device, device: Device): Device {
    device.lower = lower;
    lower.uppers.push(device);
    return device;
  }

  /** `ip addr add`: with it come the local, broadcast and connected routes that the kernel makes (fib_add_ifaddr). */
  addAddress(device: Device, text: string, options: Address6Options & { broadcast?: boolean } = {}): void {
    if (isIpv6(text)) {
      this.ipv6.addAddress(device, text, options);
      return;
    }
    if (device.kind === 'ipvlan' && !this.engine.exports.addIpvlanAddress(device.at, cidr(text).address, false))
      throw new Error(`${text} is on another ipvlan of ${device.lower?.path} already`);
    const { address: own, length } = cidr(text);
    device.noteAddress(own, length, options.broadcast);
    const bits = mask(length);
    // A further address in the subnet of an earlier one is secondary to it, and brings nothing but itself.
    const earlier = device.addresses.find((one) => one.length === length && ((ipv4(one.address) ^ own) & bits) === 0);
    const primary = earlier ? ipv4(earlier.address) : own;
    this.#route('local', 'local', own, 32, device, undefined, primary);
    const broadcast = (own | ~bits) >>> 0;
    if (device.kind === 'loopback') {
      if (length === 32) return;
      this.#route('local', 'local', own, length, device, undefined, own);
      this.#route('local', 'broadcast', broadcast, 32, device, undefined, own);
      return;
    }
    if (length < 32 && primary === own) {
      this.#route('main', 'unicast', own, length, device, undefined, own);
      if (length < 31) this.#route('local', 'broadcast', broadcast, 32, device, undefined, own);
    }
  }

  /** `ip addr del`: with it go the routes that came with it. */
  removeAddress(device: Device, text: string): void {
    if (isIpv6(text)) {
      this.ipv6.removeAddress(device, text);
      return;
    }
    const { address, length } = cidr(text);
    const dotted = ipv4Text(address);
    const entry = device.addresses.find((one) => one.address === dotted && one.length === length);
    if (!entry) return;
    device.forgetAddress(entry);
    if (device.kind === 'ipvlan') this.engine.exports.removeIpvlanAddress(device.at, ipv4(entry.address), false);
    const came = ({ table, source, destination }: RouteEntry) =>
      source === dotted || (table === 'local' && destination === `${dotted}/32`);
    for (const route of this.routes.filter((one) => one.device === device && came(one))) this.removeRoute(route);
  }

  /** `ip route add DESTINATION [via GATEWAY] dev DEVICE`. */
  addRoute(destination: string, device: Device, gateway?: string): RouteEntry {
    if (isIpv6(destination)) return this.ipv6.addRoute(destination, device, gateway);
    const { address, length } = cidr(destination);
    return this.#route('main', 'unicast', address, length, device, gateway, 0);
  }

  /** `ip route add local DESTINATION dev lo`: every address of it is the namespace's own. */
  addLocalRoute(destination: string): RouteEntry {
    const { address, length } = cidr(destination);
    return this.#route('local', 'local', address, length, this.device('lo'), undefined, 0);
  }

  #route(
    table: 'local' | 'main',
    type: Route4['type'],
    address: number,
    length: number,
    device: Device,
    gateway: string | undefined,
    source: number,
  ): RouteEntry {
    const at = this.engine.exports.addRoute(
      this.at,
      table === 'local' ? LOCAL_TABLE : MAIN_TABLE,
      address,
      length,
      ROUTE_TYPES[type],
      device.at,
      gateway ? ipv4(gateway) : 0,
      source,
      0,
    );
    const entry = new Route4(table, type, device, gateway, address | 0, length, source | 0, at);
    this.routes.push(entry);
    return entry;
  }

  /** The address that a packet to `destination` is sent from, or undefined without a route. */
  sourceFor(destination: string): string | undefined {
    const { exports, memory } = this.engine;
    if (isIpv6(destination)) {
      const number = exports.sourceFor6(this.at, numberOf(exports, destination), 0) >>> 0;
      return number ? addressOf(memory, number) : undefined;
    }
    const source = exports.sourceFor(this.at, ipv4(destination));
    return source ? ipv4Text(source) : undefined;
  }

  /** `ip route del`, if nobody else has done so before. */
  removeRoute(route: RouteEntry): void {
    if (isIpv6(route.destination)) {
      this.ipv6.removeRoute(route);
      return;
    }
    const index = this.routes.indexOf(route);
    if (index < 0) return;
    this.routes.splice(index, 1);
    this.engine.exports.removeRoute(route.at);
  }

  /** `ip neigh replace ADDRESS lladdr MAC nud permanent dev DEVICE`, or a learned one with state `reachable`. */
  addNeighbour(
    device: Device,
    address: string,
    hardware: string,
    state: 'permanent' | 'reachable' = 'permanent',
  ): NeighbourEntry {
    if (isIpv6(address)) return this.ipv6.addNeighbour(device, address, hardware, state);
    const { low, high } = mac(hardware);
    const nud = state === 'permanent' ? Nud.PERMANENT : Nud.REACHABLE;
    const at = this.engine.exports.setNeighbour(device.at, ipv4(address), low, high, nud);
    return { device, address, mac: hardware, at };
  }

  /** Permanent ones, by device, as they were added. */
  get neighbours(): NeighbourEntry[] {
    return [...this.devices.values()].flatMap(permanentNeighbours);
  }

  /** The permanent entry for that address. */
  neighbour(device: Device, address: string): NeighbourEntry | undefined {
    return permanentNeighbour(device, address);
  }

  removeNeighbour(entry: NeighbourEntry): void {
    this.engine.drain();
    this.engine.exports.removeNeighbour(entry.at);
  }

  /** `bridge fdb add MAC dev VXLAN dst REMOTE self permanent`. */
  addVxlanFdb(vxlan: Device, hardware: string, remote: string): void {
    if (isIpv6(remote) !== vxlan.overIpv6)
      throw new RangeError(`${vxlan.path} cannot have ${remote} behind it: address family not supported by protocol`);
    const { low, high } = mac(hardware);
    const { exports } = this.engine;
    exports.setFdb(vxlan.id, low, high, vxlan.at, tableAddress(exports, remote), FDB_STATIC);
  }

  /** `bridge fdb add MAC dev PORT master [static]` */
  addBridgeFdb(bridge: Device, hardware: string, portDevice: Device, fixed: boolean): void {
    const { low, high } = mac(hardware);
    this.engine.exports.setFdb(bridge.id, low, high, portDevice.at, 0, fixed ? FDB_STATIC : 0);
  }

  /** What a bridge has learned before: MAC behind a port. */
  learnFdb(bridge: Device, hardware: string, portDevice: Device): void {
    const { low, high } = mac(hardware);
    this.engine.exports.setFdb(bridge.id, low, high, portDevice.at, 0, 0);
  }

  removeFdb(owner: Device, hardware: string): boolean {
    const { low, high } = mac(hardware);
    return this.engine.exports.removeFdb(owner.id, BigInt(low) | (BigInt(high) << 32n)) !== 0;
  }
}
