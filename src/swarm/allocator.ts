/**
 * What a swarm's managers and engines give out, and take back: subnets, addresses, MACs, VNIs, marks, ports, names and ids
 * (reference: libnetwork ipam, idm, bitseq; swarmkit manager/allocator). What a real one draws at random comes from the seed.
 */

import type { Drivers } from '../drivers/index.js';
import { isOff } from '../drivers/option-values.js';
import { overlayMtu } from '../drivers/overlay-encryption.js';
import { parentName } from '../drivers/parent.js';
import type { DaemonConfig } from '../topology/daemon.js';
import { Draw } from '../topology/draw.js';
import { ipv6Text, nextSubnet6, Pool6 } from '../topology/ipv6.js';
import { bridgeMac, lowestMac, macOfAddress, randomMac } from '../topology/mac.js';
import { nextSubnet, Pool, Pools, subnetOf } from '../topology/pools.js';
import type { NetworkSpec, PoolSpec } from '../topology/spec.js';
import {
  type Endpoint,
  hostPart,
  type Network,
  type NetworkOnNode,
  type Sandbox,
  type Topology,
} from '../topology/topology.js';
import { DockerError } from './errors.js';
import { KeyRing } from './key-ring.js';
import { UNDERLAY_MTU } from './machines.js';
import { Ports } from './ports.js';
import { GWBRIDGE } from './sandbox.js';
import { Serial } from './serial.js';

/** Sets the stream of draws for ids apart from the others. */
const IDS = 0x696473;
const ULA = 0x756c61;
const FIRST_VNI = 4096;
const LAST_VNI = (1 << 24) - 1;
const FIRST_MARK = 256;

interface EndpointWish {
  address?: string;
  address6?: string;
  mac?: string;
  priority?: number;
}

export class Allocator {
  readonly #draw: Draw;
  /** Of tasks, containers and the like, apart from what goes onto the wire. */
  readonly #ids: Draw;
  /** Of networks of the whole swarm; and `node network` of those that are another one on each node. */
  readonly #pools = new Map<Network, Pool>();
  readonly #local = new Map<string, Pools>();
  /** IPv6 addresses of networks that have them, each node's own. */
  readonly #local6 = new Map<string, Pool6>();
  readonly #vnis = new Serial(FIRST_VNI, LAST_VNI);
  readonly ports: Ports;
  readonly #marks = new Map<string, number>();
  /** How many ports have joined a bridge, ever: `node network`. */
  readonly #joined = new Map<string, number>();
  /** How many interfaces a sandbox has had, ever: their names are not used again. */
  readonly #interfaces = new Map<Sandbox, number>();
  /** Behind which the next subnet of a default pool is looked for: by scope, or by node. */
  readonly #lastSubnet = new Map<string, string>();

  constructor(
    readonly topology: Topology,
    private readonly seed: number,
    readonly drivers: Drivers,
  ) {
    this.ports = new Ports(topology);
    this.#draw = new Draw(seed);
    this.#ids = new Draw(seed ^ IDS);
  }

  /** Of a node, a service, a task. */
  id(): string {
    return this.#ids.id();
  }
  containerId(): string {
    return this.#ids.hex(64);
  }

  isLocal({ driver }: { driver: string }): boolean {
    return this.drivers.get(driver).scope === 'local';
  }

  #bridgeMac(): string {
    return this.topology.engine === '20.10' ? bridgeMac(this.#draw.next) : randomMac(this.#draw.next);
  }

  /** A network that is another one on each node: every node's own pool starts at 172.17.0.0/16. */
  localNetwork(spec: NetworkSpec, device: string | undefined, nodes: readonly string[]): Network {
    const { options = {} } = spec;
    const macs = nodes.map(() => this.#bridgeMac());
    const drawn = this.#draw.hex(64);
    const id = spec.scope === 'swarm' ? BigInt(`0x${drawn}`).toString(36).slice(-25) : drawn;
    const mtu = options['com.docker.network.driver.mtu'];
    const network: Network = {
      name: spec.name,
      id,
      driver: spec.driver,
      ingress: false,
      ...(spec.scope ? { scope: spec.scope } : {}),
      ...(spec.internal ? { internal: true } : {}),
      ...(Object.keys(options).length > 0 ? { options } : {}),
      mtu: mtu ? Number(mtu) : (this.drivers.get(spec.driver).mtu ?? UNDERLAY_MTU),
      icc: !isOff(options['com.docker.network.bridge.enable_icc']),
      masquerade: !isOff(options['com.docker.network.bridge.enable_ip_masquerade']),
      onNode: {},
    };
    for (const [i, node] of nodes.entries()) this.#localOn(network, spec, device, node, macs[i] ?? '');
    return network;
  }

  /** docker0 and docker_gwbridge come to a node that joins later. */
  extendLocal(network: Network, node: string): void {
    const [known] = Object.values(network.onNode);
    const spec: NetworkSpec = { name: network.name, driver: network.driver, ...optionsOf(network) };
    this.#localOn(network, spec, known?.bridge ?? network.name, node, this.#bridgeMac());
  }

  /** A network that the swarm knows and that is another one on each node comes to a node. */
  scopedOn(network: Network, spec: NetworkSpec, node: string): void {
    this.#localOn(network, spec, undefined, node, this.#bridgeMac());
  }

  #localOn(network: Network, given: NetworkSpec, device: string | undefined, node: string, mac: string): void {
    const { nodes, hosts, networks } = this.topology;
    const state = nodes.find(({ name }) => name === node);
    const daemon = state?.daemon ?? {};
    // What the node's daemon.json says of docker0, or whoever made docker_gwbridge by hand.
    const docker0 = network.name === 'bridge' ? docker0Of(daemon) : undefined;
    const byHand = network.name === GWBRIDGE ? state?.gwbridge : undefined;
    const spec = { ...given, ...(byHand ? { options: {}, ...byHand } : {}), ...docker0?.spec };
    const underlay = [...nodes, ...hosts].flatMap(({ nic }) => nic.addresses.filter((one) => !one.includes(':')));
    const taken = networks.flatMap((one) => (this.isLocal(one) ? (one.onNode[node]?.subnet ?? []) : []));
    const config = spec.configs?.[node] ?? {};
    const driver = this.drivers.get(network.driver);
    if (driver.pool) {
      this.#pooledOn(network, { ...spec, subnet: spec.subnet ?? driver.pool }, driver.bridge, node);
      return;
    }
    const wanted = config.subnet ?? spec.subnet;
    const subnet = wanted ?? nextSubnet('local', [...underlay, ...taken], this.#lastOf(node), poolsOf(daemon, 4));
    if (!wanted) this.#lastSubnet.set(node, subnet);
    const range = docker0?.range === undefined ? {} : { ipRange: docker0.range };
    const first = openPool({ ...spec, ...config, ...range, subnet }, docker0?.address);
    const further = (spec.furtherPools ?? []).map((one) => openPool(one));
    // An isolated network has no gateway: its address is the first container's.
    if (isIsolated(network, 4)) first.pool.give(first.gateway);
    this.#local.set(`${node} ${spec.name}`, new Pools([first.pool, ...further.map(({ pool }) => pool)]));
    network.onNode[node] = {
      subnet,
      gateway: first.gateway,
      ...(further.length > 0
        ? { further: further.map((one) => ({ subnet: one.pool.subnet, gateway: one.gateway })) }
        : {}),
      ...this.#ipv6On(spec, node, isIsolated(network, 6)),
      bridge: device ?? deviceOf(network, config.parent),
      bridgeMac: mac,
      // Without an address of its own a default gateway of another machine needs docker0 to have the next one.
      ...(docker0 && spec.gateway ? { bridgeAddress: docker0.address ?? first.pool.next() } : {}),
      ...(byHand ? bridgeOptions(spec.options) : docker0?.here),
    };
    if (network.onNode[node]?.subnet6) network.ipv6 = true;
  }

  /** A network of a driver that gives addresses out once for all nodes. */
  #pooledOn(network: Network, spec: NetworkSpec & { subnet: string }, bridge: string | undefined, node: string): void {
    const alike = [network, ...this.topology.networks].filter((one) => one.driver === network.driver);
    const [shared] = alike.flatMap(({ name, onNode }) =>
      Object.entries(onNode).flatMap(([at, { subnet }]) =>
        subnet === spec.subnet ? (this.#local.get(`${at} ${name}`) ?? []) : [],
      ),
    );
    this.#local.set(`${node} ${network.name}`, shared ?? new Pools([openPool({ gateway: '', ...spec }).pool]));
    const other = alike.find((one) => one.onNode[node]);
    network.onNode[node] = {
      subnet: spec.subnet,
      gateway: '',
      bridge: bridge ?? deviceOf(network),
      bridgeMac: other?.onNode[node]?.bridgeMac ?? randomMac(this.#draw.next),
    };
  }

  /** enable_ipv6 with its subnet; docker0 has both by daemon.json. The gateway's address is the first. */
  #ipv6On(
    spec: NetworkSpec,
    node: string,
    isolated: boolean,
  ): { subnet6: string; gateway6: string; route6?: string } | undefined {
    const daemon = this.topology.nodes.find(({ name }) => name === node)?.daemon;
    const docker0 = spec.name === 'bridge' && daemon?.ipv6 === true;
    if (!docker0 && !spec.ipv6) return undefined;
    const subnet6 = (docker0 ? daemon['fixed-cidr-v6'] : spec.subnet6) ?? this.#subnet6(node, daemon ?? {});
    if (!subnet6)
      throw new DockerError(
        500,
        'could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network',
      );
    const pool = new Pool6(subnet6);
    this.#local6.set(`${node} ${spec.name}`, pool);
    const gateway6 = spec.gateway6 ? pool.take(spec.gateway6) : pool.next();
    if (isolated) pool.give(gateway6);
    const route6 = docker0 ? daemon['default-gateway-v6'] : undefined;
    return { subnet6, gateway6, ...(route6 ? { route6: pool.take(route6) } : {}) };
  }

  /** Engine 28 takes the lowest subnet that is free; 20.10 goes on behind the one that it gave last. */
  #lastOf(scope: string): string | undefined {
    return this.topology.engine === '20.10' ? this.#lastSubnet.get(scope) : undefined;
  }

  /** Out of daemon.json's IPv6 pools, or the node's own ULA prefix; 20.10 has none to take one from. */
  #subnet6(node: string, daemon: DaemonConfig): string | undefined {
    if (this.topology.engine === '20.10') return undefined;
    const { networks } = this.topology;
    const taken = networks.flatMap((one) => one.onNode[node]?.subnet6 ?? []);
    for (const { base, size } of poolsOf(daemon, 6) ?? [{ base: this.#ulaOf(node), size: 64 }]) {
      const found = nextSubnet6(base, size, taken);
      if (found) return found;
    }
    return undefined;
  }

  /** fd00::/8 and 40 bits of its dockerd's own, a /48 (deriveULABaseNetwork); dockerd draws its id when it first starts. */
  #ulaOf(node: string): string {
    const name = [...node].reduce(
      (hash, letter) => Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16777619),
      2166136261,
    );
    const draw = new Draw(this.seed ^ ULA ^ name);
    return `${ipv6Text([0xfd00 | draw.between(0, 255), draw.between(0, 65535), draw.between(0, 65535), 0, 0, 0, 0, 0])}/48`;
  }

  /** `wanted`: subnets that others will ask for, which no network gets by chance. */
  overlay(spec: NetworkSpec, wanted: readonly string[] = []): Network {
    const taken = [...this.#pools.values()].map(({ subnet }) => subnet);
    const { addressPools, maskLength = 24, dataPathPort = 4789 } = this.topology.swarmInit ?? {};
    const own = addressPools?.map((base) => ({ base, size: maskLength }));
    const subnet = spec.subnet ?? nextSubnet('swarm', [...taken, ...wanted], this.#lastOf('swarm'), own);
    if (!spec.subnet) this.#lastSubnet.set('swarm', subnet);
    const pool = new Pool(subnet, true);
    const gateway = spec.gateway ? pool.take(spec.gateway) : pool.next();
    const mtu = spec.options?.['com.docker.network.driver.mtu'];
    const encrypted = spec.options?.encrypted !== undefined;
    // A swarm without encryption draws none.
    if (encrypted) this.topology.keys ??= [...new KeyRing(this.#draw).keys];
    const vni = spec.vni ?? this.#vnis.next();
    if (vni === undefined) throw new DockerError(500, 'could not obtain vxlan id for pool');
    if (spec.vni !== undefined) this.#vnis.take(spec.vni);
    const network: Network = {
      name: spec.name,
      id: this.#draw.id(),
      driver: spec.driver,
      ingress: spec.ingress === true,
      ...(spec.internal ? { internal: true } : {}),
      ...(spec.options ? { options: spec.options } : {}),
      mtu: overlayMtu(mtu ? Number(mtu) : UNDERLAY_MTU, encrypted),
      icc: true,
      masquerade: true,
      vni,
      dataPathPort,
      ...(encrypted ? { encrypted } : {}),
      onNode: {},
    };
    this.#pools.set(network, pool);
    this.#gateways.set(network, gateway);
    return network;
  }
  readonly #gateways = new Map<Network, string>();

  giveNetwork(network: Network): void {
    this.#pools.delete(network);
    this.#gateways.delete(network);
    if (network.vni !== undefined) this.#vnis.give(network.vni);
  }

  /** A swarm's network comes to a node. */
  onNode(network: Network, node: string): NetworkOnNode {
    const pool = this.#poolOf(node, network);
    const vxlan = { name: 'vxlan0', mac: randomMac(this.#draw.next) };
    const here: NetworkOnNode = {
      subnet: pool.subnet,
      gateway: this.#gateways.get(network) ?? '',
      bridge: 'br0',
      bridgeMac: vxlan.mac,
      vxlan,
    };
    network.onNode[node] = here;
    // vxlan0 is the bridge's first port.
    this.#joined.set(`${node} ${network.id}`, 1);
    return here;
  }

  offNode(network: Network, node: string): void {
    delete network.onNode[node];
    this.#joined.delete(`${node} ${network.id}`);
    if (!this.isLocal(network)) return;
    this.#local.delete(`${node} ${network.name}`);
    this.#local6.delete(`${node} ${network.name}`);
  }

  #poolOf(node: string, network: Network): Pool | Pools {
    const pool = this.isLocal(network) ? this.#local.get(`${node} ${network.name}`) : this.#pools.get(network);
    if (!pool) throw new DockerError(404, `network ${network.name} not found`);
    return pool;
  }

  /** The next address of the network, or the one that is wished for. */
  address(node: string, network: Network, wish?: string): string {
    const pool = this.#poolOf(node, network);
    if (!wish) return pool.next();
    if (pool.has(wish)) throw new DockerError(403, 'Address already in use');
    return pool.take(wish);
  }
  giveAddress(node: string, network: Network, address: string): void {
    this.#poolOf(node, network).give(hostPart(address));
  }

  /** The same for IPv6, on networks that have it: CIDR. */
  address6(node: string, network: Network, wish?: string): string | undefined {
    const pool = this.#local6.get(`${node} ${network.name}`);
    if (pool) return pool.withLength(wish ? pool.take(wish) : pool.next());
    if (wish)
      throw new DockerError(
        400,
        `invalid config for network ${network.name}: no configured subnet contains IP address ${wish}`,
      );
    return undefined;
  }
  giveAddress6(node: string, network: Network, address: string): void {
    this.#local6.get(`${node} ${network.name}`)?.give(hostPart(address));
  }

  /** An endpoint at an address that was taken before, as the sandbox's next interface. */
  endpoint(sandbox: Sandbox, network: Network, address: string, wish: EndpointWish = {}): Endpoint {
    const { mac, priority } = wish;
    const address6 = this.address6(sandbox.node, network, wish.address6);
    const local = this.isLocal(network);
    const key = `${sandbox.node} ${network.id}`;
    const port = (this.#joined.get(key) ?? 0) + 1;
    this.#joined.set(key, port);
    const named = this.drivers.get(network.driver).interface;
    const same = sandbox.endpoints.find((one) => one.interface === named);
    const index = this.#interfaces.get(sandbox) ?? 0;
    if (!named) this.#interfaces.set(sandbox, index + 1);
    const endpoint: Endpoint = {
      network: network.name,
      interface: named ?? `eth${index}`,
      address: this.#poolOf(sandbox.node, network).withLength(address),
      ...(address6 ? { address6 } : {}),
      mac: named ? (same?.mac ?? mac ?? randomMac(this.#draw.next)) : this.#macOf(sandbox.node, network, address, mac),
      peer: same?.peer ?? {
        name: local ? `veth${this.#draw.hex(7)}` : `veth${port - 2}`,
        mac: randomMac(this.#draw.next),
      },
      port,
      ...(priority === undefined ? {} : { priority }),
    };
    const here = network.onNode[sandbox.node];
    if (!local && here) here.bridgeMac = lowestMac([here.bridgeMac, endpoint.peer.mac]);
    return endpoint;
  }

  /** Behind an ipvlan's parent all have its MAC. */
  #macOf(node: string, { name, driver }: Network, address: string, wish: string | undefined): string {
    // Since engine 28 bridges' and macvlans' endpoints draw theirs.
    const draws = this.topology.engine !== '20.10' && driver !== 'overlay';
    if (driver !== 'ipvlan') return wish ?? (draws ? randomMac(this.#draw.next) : macOfAddress(address));
    if (wish)
      throw new DockerError(500, `ipvlan interfaces do not support custom mac address assignment (network ${name})`);
    return this.topology.nodes.find((one) => one.name === node)?.nic.mac ?? macOfAddress(address);
  }

  /** The sandbox is gone: its interfaces need no names any more. */
  giveSandbox(sandbox: Sandbox): void {
    this.#interfaces.delete(sandbox);
  }

  /** Random ports of the embedded DNS server. */
  resolver(): { udp: number; tcp: number } {
    return { udp: this.#draw.between(32768, 60999), tcp: this.#draw.between(32768, 60999) };
  }

  /** One counter per dockerd: a number is never used again. */
  mark(node: string): number {
    const mark = this.#marks.get(node) ?? FIRST_MARK;
    this.#marks.set(node, mark + 1);
    return mark;
  }
}

interface OpenPool {
  pool: Pool;
  gateway: string;
}

/** Addresses that are spoken for are taken, then the gateway. */
function openPool({ subnet, gateway, ipRange, auxAddresses = {} }: PoolSpec, bridge?: string): OpenPool {
  const pool = new Pool(subnet, false, ipRange);
  for (const address of Object.values(auxAddresses)) pool.take(address);
  if (bridge) pool.take(bridge);
  if (gateway && gateway !== bridge) pool.take(gateway);
  return { pool, gateway: gateway ?? bridge ?? pool.next() };
}

/** What a network's endpoints hang on, on a node: its bridge, or its parent. */
function deviceOf(network: Network, parent?: string): string {
  const { driver, id, options } = network;
  if (driver === 'macvlan' || driver === 'ipvlan') return parentName(driver, network, parent);
  return options?.['com.docker.network.bridge.name'] || `br-${id.slice(0, 12)}`;
}

/** What a daemon.json says of docker0 (moby daemon_unix.go, initBridgeDriver). */
function docker0Of(daemon: DaemonConfig): {
  spec: Partial<NetworkSpec>;
  /** docker0's own, in `bip`. */
  address: string | undefined;
  range: string | undefined;
  here: Partial<NetworkOnNode>;
} {
  const { bip, mtu, icc, ip, 'default-gateway': gateway, 'fixed-cidr': range } = daemon;
  return {
    spec: { ...(bip ? { subnet: subnetOf(bip) } : {}), ...(gateway ? { gateway } : {}) },
    address: bip && hostPart(bip),
    range,
    here: {
      ...(mtu === undefined ? {} : { mtu }),
      ...(icc === undefined ? {} : { icc }),
      ...(daemon['ip-masq'] === undefined ? {} : { masquerade: daemon['ip-masq'] }),
      ...(ip ? { hostBinding: ip } : {}),
    },
  };
}

/** Of a docker_gwbridge that was made by hand, on one node: it may be another one on each. */
function bridgeOptions(options: Record<string, string> | undefined): Partial<NetworkOnNode> {
  const mtu = options?.['com.docker.network.driver.mtu'];
  return {
    ...(mtu ? { mtu: Number(mtu) } : {}),
    icc: !isOff(options?.['com.docker.network.bridge.enable_icc']),
    masquerade: !isOff(options?.['com.docker.network.bridge.enable_ip_masquerade']),
  };
}

function isIsolated({ options }: Network, family: 4 | 6): boolean {
  return options?.[`com.docker.network.bridge.gateway_mode_ipv${family}`] === 'isolated';
}

/** daemon.json's pools of that family; undefined: Docker's own. */
function poolsOf({ 'default-address-pools': pools = [] }: DaemonConfig, family: 4 | 6): typeof pools | undefined {
  const found = pools.filter(({ base }) => base.includes(':') === (family === 6));
  return found.length > 0 ? found : undefined;
}

function optionsOf({ options }: Network): { options?: Record<string, string> } {
  return options ? { options } : {};
}

/** docker_gwbridge's containers do not talk to each other. */
export const GWBRIDGE_SPEC: NetworkSpec = {
  name: GWBRIDGE,
  driver: 'bridge',
  options: { 'com.docker.network.bridge.enable_icc': 'false' },
};
