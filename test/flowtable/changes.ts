/** What can be changed under a swarm's feet, by name: tables, devices, limits, the wire. Drawn alike for both of two lives. */

import type { Random } from '../../bench/fuzz/random.js';
import { encryptionIn, MARK } from '../../src/drivers/overlay-encryption.js';
import type { Destination } from '../../src/engine/balancer.js';
import { watchConnections } from '../../src/engine/connection-events.js';
import type { Denial } from '../../src/engine/denial.js';
import type { Device, Engine, Namespace, Segment } from '../../src/engine/index.js';
import { connectionsOf } from './seen.js';

/** Of the UDP header and VXLAN's: the port that it is for; any VNI. */
const TO_VXLAN = '0>>22&0x3C@0&0xFFFF=4789';
const VNI = '0>>22&0x3C@12&0xFFFFFF00=0:0xFFFFFF00';
/** Of the whole packet: is it longer than that? */
const LONGER = '4,128 0 0 0,37 0 1 140,6 0 0 1,6 0 0 0';
const VNI_IS = '7,32 0 0 4294963252,7 0 0 0,64 0 0 4,116 0 0 8,53 0 1';

const IPSEC = ['keys rotate', 'an association goes', 'sequence numbers run out', 'a policy goes'];

type Removable = { remove(): void };

export class Changes {
  /** How often each was made. */
  readonly made = new Map<string, number>();
  readonly #rules: Removable[] = [];
  readonly #denials: Denial[] = [];
  readonly #gone: Destination[] = [];
  readonly #set: (() => void)[] = [];
  readonly #forwarding: (() => void)[] = [];

  constructor(
    readonly engine: Engine,
    readonly underlay: Segment,
    readonly random: Random,
    /** Those that are made; without it all. */
    readonly only?: readonly string[],
  ) {
    for (const name of Object.keys(this.#all)) this.made.set(name, 0);
  }

  /** One of them. */
  change(): void {
    // Where there is something of IPsec, more of its changes than one in so many.
    const ipsec = this.#associations().length > 0 && this.random.chance(0.25);
    const names = this.only ?? (ipsec ? IPSEC : Object.keys(this.#all));
    // What has not been made yet comes first, half of the time.
    const fresh = names.filter((one) => this.made.get(one) === 0);
    const name = this.random.pick(fresh.length > 0 && this.random.chance(0.5) ? fresh : names);
    if (this.#all[name]?.() !== false) this.made.set(name, (this.made.get(name) ?? 0) + 1);
  }
  /** All is well again. */
  mend(): void {
    for (const rule of this.#rules.splice(0)) rule.remove();
    for (const undo of this.#forwarding.splice(0)) undo();
    for (const denial of this.#denials.splice(0)) denial.remove();
    for (const device of this.engine.devices) [device.up, device.mtu] = [true, Math.max(device.mtu, 1450)];
    for (const undo of this.#set.splice(0)) undo();
    for (const { service, address } of this.#gone.splice(0))
      if (service.namespace.ipvs.services.includes(service)) service.add(address);
    for (const one of this.#destinations()) one.weightNow = 1;
    for (const namespace of this.#namespaces()) {
      namespace.set('connectionsMax', 1 << 16);
      for (const one of namespace.xfrm.associations) if (one.sequence > 2 ** 31) one.sequence = 1;
    }
    this.underlay.loss = 0;
    this.engine.exports.setTracing(0);
  }

  #namespaces(): Namespace[] {
    return [...this.engine.namespaces.values()];
  }
  #associations() {
    return this.#namespaces().flatMap(({ xfrm }) => xfrm.associations.map((association) => ({ xfrm, association })));
  }
  /** Conditions on bytes: of a tunnel's packets some are the same in all of one way, some differ. */
  #bytes(): { u32: string } | { bpf: string } {
    const { random } = this;
    if (random.chance(0.3)) return { bpf: random.pick([LONGER, `${VNI_IS} 4098,6 0 0 0,6 0 0 1`]) };
    return {
      u32: random.pick(['0&0xFFFF=0:0x90', '4>>16&1=0', '0>>22&0x3C@0>>16&1=0', '8>>16&0xFF=17', TO_VXLAN, VNI]),
    };
  }
  #device(): Device {
    return this.random.pick(this.engine.devices.filter(({ kind }) => kind !== 'loopback'));
  }
  #deny(): Denial {
    const physical = this.engine.devices.filter(({ kind }) => kind === 'physical');
    return this.random.pick(physical).deny({ protocol: this.random.pick(['tcp', 'udp', 'esp'] as const) });
  }
  #destinations() {
    return this.#namespaces().flatMap(({ ipvs }) => ipvs.services.flatMap(({ destinations }) => destinations));
  }
  /** Those that answer false had nothing to change. */
  readonly #all: Record<string, () => boolean | undefined> = {
    'a destination goes': () => {
      const many = this.#namespaces().flatMap(({ ipvs }) => ipvs.services.filter((one) => one.destinations.length > 1));
      if (many.length === 0) return false;
      const destination = this.random.pick(this.random.pick(many).destinations);
      this.#gone.push(destination);
      return void destination.remove();
    },
    'a destination comes': () => {
      const services = this.#namespaces().flatMap(({ ipvs }) => ipvs.services);
      const destinations = this.#destinations();
      if (destinations.length === 0) return false;
      const service = this.random.pick(services);
      const { address } = this.random.pick(destinations);
      if (service.destinations.some((one) => one.address === address)) return false;
      return void service.add(address);
    },
    weight: () => {
      const destinations = this.#destinations();
      if (destinations.length === 0) return false;
      this.random.pick(destinations).weightNow = this.random.pick([0, 1, 1]);
      return undefined;
    },
    'a neighbour goes': () => {
      const namespace = this.random.pick(this.#namespaces());
      if (namespace.neighbours.length === 0) return false;
      return void namespace.removeNeighbour(this.random.pick(namespace.neighbours));
    },
    'a neighbour is learned, or set': () => {
      const device = this.#device();
      const other = this.random.pick(this.engine.devices.filter(({ address }) => address));
      if (!other.address || !other.mac) return false;
      const hardware = this.random.chance(0.7) ? other.mac : '02:00:00:00:aa:01';
      return void device.namespace.addNeighbour(
        device,
        other.address,
        hardware,
        this.random.pick(['permanent', 'reachable'] as const),
      );
    },
    'a connection is forgotten': () => {
      const all = connectionsOf(this.engine);
      if (all.length === 0) return false;
      return void this.engine.exports.forgetConnection(this.random.pick(all));
    },
    'connections are forgotten': () => {
      const namespace = this.random.pick(this.#namespaces());
      if (this.random.chance(0.3)) return void namespace.forgetDatagramsTo(this.random.pick([80, 8080, 4789]));
      const other = this.random.pick(this.engine.devices).address;
      if (!other) return false;
      return void namespace.forgetConnectionsOf(other);
    },
    'an IPv6 neighbour is learned, or set': () => {
      const device = this.#device();
      const addresses = this.engine.devices.flatMap(({ addresses6 }) => addresses6);
      if (addresses.length === 0) return false;
      const other = this.random.pick(addresses);
      const hardware = this.random.chance(0.7) ? this.#device().mac : '02:00:00:00:aa:01';
      const kind = this.random.pick(['permanent', 'reachable'] as const);
      return void device.namespace.addNeighbour(device, other.address, hardware, kind);
    },
    'an ip6tables rule': () => {
      const { random } = this;
      const [table, chain] = random.pick([
        ['filter', 'INPUT'],
        ['filter', 'FORWARD'],
        ['mangle', 'PREROUTING'],
        ['mangle', 'POSTROUTING'],
      ] as const);
      this.#rules.push(
        random.pick(this.#namespaces()).ip6tables.insert(table, chain, {
          ...(random.chance(0.6) ? { protocol: random.pick(['tcp', 'udp'] as const) } : {}),
          ...(random.chance(0.2) ? { source: random.pick(['fd00:99::1', 'fd00:99::/64', 'fd00:30::/64']) } : {}),
          ...(random.chance(0.3) ? { states: [random.pick(['ESTABLISHED', 'NEW', 'INVALID'] as const)] } : {}),
          target: random.pick(['DROP', 'ACCEPT', 'RETURN', 'RETURN'] as const),
        }),
      );
      return undefined;
    },
    'IPv6 forwarding': () => {
      const { ipv6 } = this.random.pick(this.#namespaces());
      const before = ipv6.forwards;
      this.#forwarding.unshift(() => {
        ipv6.forwards = before;
      });
      ipv6.forwards = !before;
      return undefined;
    },
    rule: () => {
      const { random } = this;
      const [table, chain] = random.pick([
        ['filter', 'INPUT'],
        ['filter', 'FORWARD'],
        ['filter', 'OUTPUT'],
        ['mangle', 'PREROUTING'],
        ['mangle', 'POSTROUTING'],
        ['nat', 'PREROUTING'],
        ['nat', 'POSTROUTING'],
      ] as const);
      this.#rules.push(
        random.pick(this.#namespaces()).iptables.insert(table, chain, {
          ...(random.chance(0.6) ? { protocol: random.pick(['tcp', 'udp'] as const) } : {}),
          ...(random.chance(0.2) ? { source: random.pick(['198.18.0.0/24', '198.18.0.2', '192.168.99.0/24']) } : {}),
          ...(random.chance(0.25) ? this.#bytes() : {}),
          ...(random.chance(0.15) ? { mark: { value: MARK, mask: 0xffffffff } } : {}),
          ...(random.chance(0.3) ? { states: [random.pick(['ESTABLISHED', 'NEW', 'INVALID'] as const)] } : {}),
          target: table === 'nat' ? 'RETURN' : random.pick(['DROP', 'ACCEPT', 'RETURN', 'RETURN'] as const),
        }),
      );
      return undefined;
    },
    'a rule goes': () => {
      const rule = this.#rules.pop();
      if (!rule) return false;
      return void rule.remove();
    },
    sysctl: () => {
      const { random } = this;
      const namespace = random.pick(this.#namespaces());
      const name = random.pick([
        'forward',
        'ipvsConntrack',
        'ipvsExpireNodest',
        'ipvsReuseMode',
        'bridgeNetfilter',
        'bridgeNetfilter6',
      ] as const);
      const before = namespace.get(name);
      this.#set.unshift(() => namespace.set(name, before));
      namespace.set(name, random.pick([0, 1]));
      return undefined;
    },
    'the table is full': () => {
      const namespace = this.random.pick(this.#namespaces());
      namespace.set('connectionsMax', Math.max(1, namespace.get('connections') + this.random.pick([-1, 0, 1, 5])));
      return undefined;
    },
    mtu: () => {
      this.#device().mtu = this.random.pick([1500, 1450, 1400, 576, 120]);
      return undefined;
    },
    device: () => {
      const device = this.#device();
      device.up = !device.up || this.random.chance(0.3);
      return undefined;
    },
    'all devices are up': () => {
      for (const one of this.engine.devices) one.up = true;
      return undefined;
    },
    'a forwarding entry goes': () => {
      const bridges = this.engine.devices.filter(({ kind }) => kind === 'bridge' || kind === 'vxlan');
      const first = this.random.pick(bridges);
      const { mac } = this.#device();
      return [first, ...bridges].some((one) => one.namespace.removeFdb(one, mac)) ? undefined : false;
    },
    'a forwarding entry is learned': () => {
      const port = this.random.pick(this.engine.devices.filter(({ master }) => master));
      if (!port?.master) return false;
      return void port.namespace.learnFdb(port.master, this.#device().mac, port);
    },
    'the wire learns': () => {
      const physical = this.engine.devices.filter(({ kind }) => kind === 'physical');
      return void this.underlay.learn(this.random.pick(physical).mac, this.random.pick(physical));
    },
    'the wire loses': () => {
      this.underlay.loss = this.random.pick([0, 0, 0.1]);
      return undefined;
    },
    denied: () => void this.#denials.push(this.#deny()),
    // Where nothing is denied, something is for a moment.
    allowed: () => void (this.#denials.pop() ?? this.#deny()).remove(),
    route: () => {
      const namespace = this.random.pick(this.#namespaces());
      const [route] = namespace.routes.filter(({ device }) => device.kind !== 'loopback');
      if (!route || route.gateway !== undefined || this.random.chance(0.5)) return false;
      namespace.removeRoute(route);
      return void namespace.addRoute(route.destination, route.device);
    },
    'keys rotate': () => {
      const { random } = this;
      const hosts = this.#namespaces().filter((one) => encryptionIn(one));
      if (hosts.length === 0) return false;
      // Everywhere, or at one node before the others.
      const key = Array.from({ length: 16 }, () => random.below(256).toString(16).padStart(2, '0')).join('');
      for (const host of random.chance(0.7) ? hosts : [random.pick(hosts)]) {
        const encryption = encryptionIn(host);
        const [, ...kept] = [...(encryption?.keys ?? [])].sort((a, b) => a.tag - b.tag);
        encryption?.rotate([...kept, { key, tag: (kept.at(-1)?.tag ?? 0) + 1 }]);
      }
      return undefined;
    },
    'an association goes': () => {
      const all = this.#associations();
      if (all.length === 0) return false;
      const { xfrm, association } = this.random.pick(all);
      const { source, destination, spi, reqid, key } = association;
      this.#set.unshift(() => {
        if (xfrm.association(destination, spi)) return;
        xfrm.addAssociation({ source, destination, spi, reqid, key });
      });
      return void xfrm.removeAssociation(association);
    },
    'sequence numbers run out': () => {
      const all = this.#associations();
      if (all.length === 0) return false;
      this.random.pick(all).association.sequence = 0xffffffff - this.random.below(4);
      return undefined;
    },
    'a policy goes': () => {
      const all = this.#namespaces().flatMap(({ xfrm }) => xfrm.policies.map((policy) => ({ xfrm, policy })));
      if (all.length === 0) return false;
      const { xfrm, policy } = this.random.pick(all);
      this.#set.unshift(() => {
        const there = xfrm.policies.some((one) => one.destination === policy.destination);
        if (!there) xfrm.setPolicy(policy);
      });
      return void xfrm.removePolicy(policy.source, policy.destination);
    },
    'a port leaves its bridge': () => {
      const port = this.random.pick(this.engine.devices.filter(({ master }) => master));
      const bridge = port?.master;
      if (!bridge) return false;
      this.#set.unshift(() => {
        const there = [port, bridge].every((one) => this.engine.devices.includes(one));
        if (there && !port.master) port.namespace.addPort(bridge, port);
      });
      return void port.namespace.removePort(port);
    },
    'a device stands on a NIC': () => {
      const { engine, random } = this;
      const lower = random.pick(engine.devices.filter(({ kind, master }) => kind === 'physical' && !master));
      const name = `${lower.path}/aside`;
      const aside = engine.namespaces.get(name) ?? engine.namespace(name);
      if (aside.devices.has('eth1')) return false;
      const other = lower.uppers.find(({ kind }) => kind !== 'vlan')?.kind;
      const kind = random.pick(
        ['vlan', 'macvlan', 'ipvlan'].filter((one) => one === 'vlan' || !other || one === other),
      );
      const device =
        kind === 'vlan'
          ? aside.addVlan('eth1', { lower, id: 10 })
          : kind === 'ipvlan'
            ? aside.addIpvlan('eth1', { lower, mtu: 1500 })
            : aside.addMacvlan('eth1', { lower, mtu: 1500, mac: random.pick([lower.mac, '02:00:00:00:aa:02']) });
      const { address } = random.pick(engine.devices);
      const taken =
        kind === 'ipvlan' && lower.uppers.some(({ addresses }) => addresses.some((one) => one.address === address));
      if (address && !taken && random.chance(0.5)) aside.addAddress(device, `${address}/24`);
      this.#set.unshift(() => {
        if (engine.devices.includes(device)) aside.removeDevice(device);
      });
      return undefined;
    },
    'an address comes': () => {
      const { engine, random } = this;
      const device = this.#device();
      if (device.kind === 'ipvlan') return false;
      const { address } = random.pick(engine.devices);
      if (!address || device.addresses.some((one) => one.address === address)) return false;
      device.namespace.addAddress(device, `${address}/32`);
      this.#set.unshift(() => {
        if (engine.devices.includes(device)) device.namespace.removeAddress(device, `${address}/32`);
      });
      return undefined;
    },
    'a route to one': () => {
      const { engine, random } = this;
      const device = this.#device();
      const { namespace } = device;
      const { address } = random.pick(engine.devices);
      if (!address || namespace.routes.some(({ destination }) => destination === `${address}/32`)) return false;
      const route = namespace.addRoute(`${address}/32`, device);
      this.#set.unshift(() => {
        if (namespace.routes.includes(route)) namespace.removeRoute(route);
      });
      return undefined;
    },
    'a MAC': () => {
      const device = this.random.pick(
        this.engine.devices.filter(({ kind }) => kind === 'bridge' || kind === 'physical'),
      );
      const { mac, namespace } = device;
      const give = (one: string) => {
        if (!this.engine.devices.includes(device)) return;
        if (device.kind === 'bridge') namespace.setBridgeMac(device, one);
        else device.mac = one;
      };
      this.#set.unshift(() => give(mac));
      return void give('02:00:00:00:aa:03');
    },
    'what a port lets pass': () => {
      const device = this.#device();
      if (this.random.chance(0.5)) device.promiscuous = !device.promiscuous;
      else device.hairpin = !device.hairpin;
      return undefined;
    },
    'a chain’s policy': () => {
      const { random } = this;
      const namespace = random.pick(this.#namespaces());
      const tables = random.chance(0.7) ? namespace.iptables : namespace.ip6tables;
      const chain = tables.chain('mangle', random.pick(['PREROUTING', 'FORWARD', 'POSTROUTING']));
      this.#set.unshift(() => {
        chain.policy = 'ACCEPT';
      });
      chain.policy = 'DROP';
      return undefined;
    },
    'counters begin anew': () => {
      const { chains } = this.random.pick(this.#namespaces()).iptables;
      for (const chain of [...chains.nat.values(), ...chains.filter.values()]) chain.zero();
      return undefined;
    },
    'an address is announced': () => {
      const device = this.random.pick(this.engine.devices.filter(({ address, up }) => address && up));
      if (!device?.address) return false;
      return void device.announce(device.address, this.engine.now);
    },
    'connections are watched': () => {
      this.#set.unshift(() => watchConnections(this.engine, 0));
      return void watchConnections(this.engine);
    },
    words: () => void this.engine.exports.setTracing(this.random.pick([0, 0, 1])),
    tap: () => void this.#device().tap(),
    'hops take longer': () => void this.engine.exports.setHopDelay(this.random.pick([0, 1000, 1000, 1500])),
  };
}
