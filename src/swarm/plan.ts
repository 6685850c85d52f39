/**
 * From what a person asked for to a topology with every choice made, as a swarm's managers and engines make them: in
 * which order addresses are handed out, which node gets a task, which mark a service has on which node.
 */

import { type Driver, Drivers } from '../drivers/index.js';
import { isOff } from '../drivers/option-values.js';
import { overlayMtu } from '../drivers/overlay-encryption.js';
import { Draw } from '../topology/draw.js';
import { bridgeMac, lowestMac, macOfAddress, randomMac } from '../topology/mac.js';
import { holds, nextSubnet, Pool } from '../topology/pools.js';
import type {
  AttachmentSpec,
  ContainerPortSpec,
  ContainerSpec,
  NamingSpec,
  NetworkSpec,
  NodeSpec,
  OutsideSpec,
  ServiceSpec,
  StackSpec,
} from '../topology/spec.js';
import {
  type Endpoint,
  type Host,
  hostPart,
  type Network,
  type Node,
  type PublishedPort,
  type Sandbox,
  type Service,
  type Topology,
} from '../topology/topology.js';
import { KeyRing } from './key-ring.js';
import { place } from './placement.js';
import { GWBRIDGE } from './sandbox.js';

const UNDERLAY_MTU = 1500;
const UNDERLAY_NIC = 'eth0';
/** Sets the stream of draws for ids apart from the others. */
const IDS = 0x696473;
const FIRST_VNI = 4096;
const FIRST_MARK = 256;
const FIRST_DYNAMIC_PORT = 30000;
/** Of `docker run -p 80`, by engine version (libnetwork portallocator). */
const FIRST_EPHEMERAL_PORT: Record<StackSpec['engine'], number> = { '20.10': 49153 };
/** The first outside host, which is also the nodes' gateway, unless it is given another address. */
const CLIENT = '192.168.99.1/24';
export const INGRESS = 'ingress';

/** What cannot be planned; `stack-file` has found what can be found in the text. */
export class PlanError extends Error {
  override name = 'PlanError';
}

export interface Plan {
  topology: Topology;
  /** Tasks that found no node, in words. */
  pending: string[];
}

/** Throws `PlanError`, and `UnknownDriver` for a network whose driver is none of Docker's and none of `drivers`. */
export function plan(spec: StackSpec, seed: number, drivers: readonly Driver[] = []): Plan {
  try {
    return new Planner(spec, seed, new Drivers(drivers)).run();
  } catch (error) {
    if (error instanceof RangeError) throw new PlanError(error.message);
    throw error;
  }
}

class Planner {
  readonly #draw: Draw;
  /** Of tasks and their containers, apart from what goes onto the wire. */
  readonly #ids: Draw;
  readonly #networks: Network[] = [];
  readonly #pools = new Map<string, Pool>();
  /** Bridges hand out per node. */
  readonly #local = new Map<string, Pool>();
  readonly #sandboxes: Sandbox[] = [];
  readonly #services: Service[] = [];
  readonly #pending: string[] = [];
  readonly #load = new Map<string, number>();
  readonly #marks = new Map<string, number>();
  /** Places taken on each bridge: `node network` → how many ports. */
  readonly #ports = new Map<string, number>();
  #vni = FIRST_VNI;

  constructor(
    readonly spec: StackSpec,
    seed: number,
    readonly drivers: Drivers,
  ) {
    this.#draw = new Draw(seed);
    this.#ids = new Draw(seed ^ IDS);
  }

  run(): Plan {
    const { spec } = this;
    const nodes = spec.nodes.map((node, i): Node => {
      const address = node.address ?? `192.168.99.${110 + i}/24`;
      const mac = node.mac ?? underlayMac(address);
      const [first] = this.spec.outside;
      const gateway = first && (first.address ?? CLIENT).split('/')[0];
      return {
        name: node.name,
        role: node.role,
        nic: { name: 'eth0', mac, mtu: node.mtu ?? UNDERLAY_MTU, addresses: [address] },
        ...(gateway ? { gateway } : {}),
        ...(node.resolvers ? { resolvers: node.resolvers } : {}),
        ...(node.search ? { search: node.search } : {}),
        ...(node.daemon ? { daemon: node.daemon } : {}),
      };
    });
    const hosts = spec.outside.map(hostOf);
    planNameServers(nodes, hosts);
    this.#localNetwork({ name: 'bridge', driver: 'bridge' }, 'docker0', spec.nodes);
    if (this.#swarm) {
      const options = { 'com.docker.network.bridge.enable_icc': 'false' };
      this.#localNetwork({ name: GWBRIDGE, driver: 'bridge', options }, GWBRIDGE, spec.nodes);
    }
    for (const network of spec.networks) {
      if (this.drivers.get(network.driver).scope === 'swarm') continue;
      this.#localNetwork(network, undefined, this.#nodesWith(network.name));
    }
    if (this.#swarm) {
      const ingress = spec.networks.find((network) => network.ingress);
      this.#overlay(ingress ?? { name: INGRESS, driver: 'overlay', ingress: true });
      for (const network of spec.networks)
        if (!network.ingress && this.drivers.get(network.driver).scope === 'swarm') this.#overlay(network);
      this.#ingressSandboxes();
    }
    for (const service of spec.services) this.#service(service);
    for (const container of spec.containers ?? []) this.#container(container);
    for (const container of spec.containers ?? []) this.#link(container);
    this.#bridgeMacs();
    return {
      topology: {
        engine: spec.engine,
        nodes,
        hosts,
        networks: this.#networks,
        services: this.#services,
        sandboxes: this.#sandboxes,
        // Drawn last: a swarm without encryption draws none.
        ...(this.#networks.some(({ encrypted }) => encrypted) ? { keys: [...new KeyRing(this.#draw).keys] } : {}),
      },
      pending: this.#pending,
    };
  }

  get #ingress(): Network {
    const found = this.#networks.find(({ ingress }) => ingress);
    if (!found) throw new PlanError('there is no ingress network');
    return found;
  }

  /** Without a word there is one, unless all that is asked for is containers on networks of their nodes. */
  get #swarm(): boolean {
    const { swarm, services, containers = [], networks } = this.spec;
    if (swarm !== undefined) return swarm;
    const spans = networks.some(({ driver }) => this.drivers.get(driver).scope === 'swarm');
    return services.length > 0 || spans || containers.length === 0;
  }

  /** A network of scope `local` is made by hand on the nodes whose containers join it. */
  #nodesWith(network: string): NodeSpec[] {
    const wanted = new Set(
      (this.spec.containers ?? [])
        .filter(({ networks }) => networks.some(({ name }) => name === network))
        .map(({ node }) => node),
    );
    return this.spec.nodes.filter(({ name }) => wanted.has(name));
  }

  /** A network that is another one on each node: every node's own pool starts at 172.17.0.0/16. */
  #localNetwork(spec: NetworkSpec, device: string | undefined, nodes: readonly NodeSpec[]): void {
    const underlay = this.spec.nodes.flatMap(({ address }) => (address ? [address] : ['192.168.99.0/24']));
    const { options = {} } = spec;
    const macs = nodes.map(() => bridgeMac(this.#draw.next));
    const id = this.#draw.hex(64);
    const onNode: Network['onNode'] = {};
    for (const [i, node] of nodes.entries()) {
      const taken = this.#networks.flatMap((network) => network.onNode[node.name]?.subnet ?? []);
      const subnet = spec.subnet ?? nextSubnet('local', [...underlay, ...taken]);
      const pool = new Pool(subnet, false);
      this.#local.set(`${node.name} ${spec.name}`, pool);
      onNode[node.name] = {
        subnet,
        gateway: spec.gateway ? pool.take(spec.gateway) : pool.next(),
        bridge: device ?? (options['com.docker.network.bridge.name'] || `br-${id.slice(0, 12)}`),
        bridgeMac: macs[i] ?? '',
      };
    }
    const mtu = options['com.docker.network.driver.mtu'];
    this.#networks.push({
      name: spec.name,
      id,
      driver: spec.driver,
      ingress: false,
      ...(spec.internal ? { internal: true } : {}),
      ...(Object.keys(options).length > 0 ? { options } : {}),
      mtu: mtu ? Number(mtu) : UNDERLAY_MTU,
      icc: !isOff(options['com.docker.network.bridge.enable_icc']),
      masquerade: !isOff(options['com.docker.network.bridge.enable_ip_masquerade']),
      onNode,
    });
  }

  #overlay(spec: NetworkSpec): void {
    const taken = [...this.#pools.values()].map(({ subnet }) => subnet);
    const wanted = this.spec.networks.flatMap(({ subnet }) => (subnet ? [subnet] : []));
    const subnet = spec.subnet ?? nextSubnet('swarm', [...taken, ...wanted]);
    const pool = new Pool(subnet, true);
    const gateway = spec.gateway ? pool.take(spec.gateway) : pool.next();
    this.#pools.set(spec.name, pool);
    const used = new Set(this.#networks.map(({ vni }) => vni));
    while (used.has(this.#vni)) this.#vni++;
    const encrypted = spec.options?.encrypted !== undefined;
    const wish = spec.options?.['com.docker.network.driver.mtu'];
    this.#networks.push({
      name: spec.name,
      id: this.#draw.id(),
      driver: spec.driver,
      ingress: spec.ingress === true,
      ...(spec.internal ? { internal: true } : {}),
      ...(spec.options ? { options: spec.options } : {}),
      mtu: overlayMtu(wish ? Number(wish) : UNDERLAY_MTU, encrypted),
      icc: true,
      masquerade: true,
      vni: spec.vni ?? this.#vni,
      dataPathPort: 4789,
      ...(encrypted ? { encrypted } : {}),
      onNode: Object.fromEntries([]),
    });
    this.#gateways.set(spec.name, gateway);
  }
  readonly #gateways = new Map<string, string>();

  /** The overlay's namespace on a node comes with its first local endpoint. */
  #onNode(network: Network, node: string): void {
    if (network.onNode[node]) return;
    const pool = this.#pool(network.name);
    const gateway = this.#gateways.get(network.name) ?? '';
    network.onNode[node] = {
      subnet: pool.subnet,
      gateway,
      bridge: 'br0',
      bridgeMac: '',
      vxlan: { name: 'vxlan0', mac: randomMac(this.#draw.next) },
    };
    // vxlan0 is the bridge's first port.
    this.#ports.set(`${node} ${network.name}`, 1);
  }

  #pool(network: string): Pool {
    const pool = this.#pools.get(network);
    if (!pool) throw new PlanError(`there is no network ${network}`);
    return pool;
  }

  #poolOf(node: string, network: Network): Pool {
    const pool = this.#isLocal(network) ? this.#local.get(`${node} ${network.name}`) : this.#pool(network.name);
    if (!pool) throw new PlanError(`${node} has no network ${network.name}`);
    return pool;
  }

  #isLocal({ driver }: Network): boolean {
    return this.drivers.get(driver).scope === 'local';
  }

  #endpoint(node: string, network: Network, interfaceName: string, address: string, mac?: string): Endpoint {
    const pool = this.#poolOf(node, network);
    const local = this.#isLocal(network);
    if (!local) this.#onNode(network, node);
    const key = `${node} ${network.name}`;
    const port = (this.#ports.get(key) ?? 0) + 1;
    this.#ports.set(key, port);
    const name = local ? `veth${this.#draw.hex(7)}` : `veth${port - 2}`;
    return {
      network: network.name,
      interface: interfaceName,
      address: pool.withLength(address),
      mac: mac ?? macOfAddress(address),
      peer: { name, mac: randomMac(this.#draw.next) },
      port,
    };
  }

  #gateway(node: string, interfaceName: string): Endpoint {
    const network = this.#networks.find(({ name }) => name === GWBRIDGE);
    const pool = this.#local.get(`${node} ${GWBRIDGE}`);
    if (!network || !pool) throw new PlanError(`${node} has no ${GWBRIDGE}`);
    return this.#endpoint(node, network, interfaceName, pool.next());
  }

  #resolver(): { udp: number; tcp: number } {
    return { udp: this.#draw.between(32768, 60999), tcp: this.#draw.between(32768, 60999) };
  }

  /** Every node has an ingress sandbox: the first addresses of the ingress network are theirs. */
  #ingressSandboxes(): void {
    const network = this.#ingress;
    for (const { name: node } of this.spec.nodes) {
      const eth0 = this.#endpoint(node, network, 'eth0', this.#pool(network.name).next());
      this.#sandboxes.push({
        name: 'ingress_sbox',
        node,
        kind: 'balancer',
        endpoints: [eth0, this.#gateway(node, 'eth1')],
        resolver: this.#resolver(),
      });
    }
  }

  /** One service: its VIPs, then its tasks, then what every node's balancers hold for it. */
  #service(spec: ServiceSpec): void {
    const published = spec.ports.filter(({ mode }) => mode === 'ingress');
    const names = [...(published.length > 0 ? [this.#ingress.name] : []), ...spec.networks.map(({ name }) => name)];
    const networks = names.map((name) => {
      const network = this.#networks.find((one) => one.name === name);
      if (!network) throw new PlanError(`${spec.name} joins ${name}, which is not there`);
      if (this.#isLocal(network))
        throw new PlanError(
          `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
        );
      return network;
    });
    const vips: Record<string, string> = {};
    if (spec.endpointMode === 'vip') for (const { name } of networks) vips[name] = this.#pool(name).next();
    const aliases = Object.fromEntries(
      spec.networks.flatMap(({ name, aliases: others }) => (others.length > 0 ? [[name, others]] : [])),
    );
    const service: Service = {
      name: spec.name,
      ports: published.map(({ published: port, target, protocol }) => ({
        published: port ?? this.#dynamicPort(protocol),
        target,
        protocol,
      })),
      vips,
      ...(Object.keys(aliases).length > 0 ? { aliases } : {}),
      balancers: [],
    };
    this.#services.push(service);
    const nodes = place(spec, this.spec.nodes, this.#load);
    if (nodes.length === 0 && (spec.mode === 'global' || spec.replicas > 0))
      this.#pending.push(`${spec.name}: no node meets ${spec.constraints.join(' and ')}`);
    const tasks = nodes.map((node, i) => this.#task(spec, node, i + 1, networks));
    for (const network of networks) {
      const destinations = tasks.flatMap(({ endpoints }) =>
        endpoints
          .filter((endpoint) => endpoint.network === network.name)
          .map(({ address }) => address.split('/')[0] ?? ''),
      );
      const where = network.ingress ? this.spec.nodes.map(({ name }) => name) : Object.keys(network.onNode);
      for (const node of where) {
        if (!network.ingress) this.#balancerSandbox(node, network);
        // Learned in the order in which tasks came up; the last one learned stands first.
        service.balancers.push({
          node,
          network: network.name,
          mark: this.#mark(node),
          destinations: [...destinations].reverse(),
        });
      }
    }
    // A node that gets its first task of a network holds the network's earlier services, too.
    for (const network of networks) if (!network.ingress) this.#lateBalancers(network);
  }

  #lateBalancers(network: Network): void {
    for (const node of Object.keys(network.onNode)) {
      for (const service of this.#services) {
        const known = service.balancers.find((one) => one.network === network.name);
        if (!known || service.balancers.some((one) => one.network === network.name && one.node === node)) continue;
        service.balancers.push({ ...known, node, mark: this.#mark(node) });
      }
    }
  }

  #mark(node: string): number {
    const mark = this.#marks.get(node) ?? FIRST_MARK;
    this.#marks.set(node, mark + 1);
    return mark;
  }

  readonly #dynamic = { tcp: FIRST_DYNAMIC_PORT, udp: FIRST_DYNAMIC_PORT };
  #dynamicPort(protocol: 'tcp' | 'udp'): number {
    const taken = new Set(
      this.spec.services.flatMap(({ ports }) =>
        ports.filter((port) => port.protocol === protocol).map((port) => port.published),
      ),
    );
    while (taken.has(this.#dynamic[protocol])) this.#dynamic[protocol]++;
    return this.#dynamic[protocol]++;
  }

  #balancerSandbox(node: string, network: Network): void {
    const name = `lb-${network.name}`;
    if (this.#sandboxes.some((sandbox) => sandbox.node === node && sandbox.name === name)) return;
    this.#sandboxes.push({
      name,
      node,
      kind: 'balancer',
      endpoints: [this.#endpoint(node, network, 'eth0', this.#pool(network.name).next())],
      resolver: this.#resolver(),
    });
  }

  /** eth0 is its first network, eth1 docker_gwbridge, the other networks follow. */
  #task(spec: ServiceSpec, node: string, slot: number, networks: Network[]): Sandbox {
    const task = spec.mode === 'global' ? `${spec.name}.${node}` : `${spec.name}.${slot}`;
    const [first, ...rest] = networks.length > 0 ? networks : this.#networks.filter(({ name }) => name === 'bridge');
    const endpoints: Endpoint[] = [];
    const join = (network: Network) =>
      endpoints.push(this.#endpoint(node, network, `eth${endpoints.length}`, this.#poolOf(node, network).next()));
    if (first) join(first);
    // On docker0 it has a gateway already.
    if (first && this.drivers.get(first.driver).needsGateway)
      endpoints.push(this.#gateway(node, `eth${endpoints.length}`));
    for (const network of rest) join(network);
    const publishes = spec.ports.filter(({ mode }) => mode === 'host').map((port) => this.#publish(node, port));
    const embedded = endpoints.some(({ network }) => network !== 'bridge');
    const sandbox: Sandbox = {
      name: `task-${task}`,
      node,
      kind: 'task',
      endpoints,
      ...(embedded ? { resolver: this.#resolver() } : {}),
      service: spec.name,
      task,
      container: `${task}.${this.#ids.id()}`,
      id: this.#ids.hex(64),
      ...(spec.image ? { image: spec.image } : {}),
      ...namingOf(spec),
      ...(publishes.length > 0 ? { publishes } : {}),
    };
    this.#sandboxes.push(sandbox);
    return sandbox;
  }

  /** `docker run` on a node: its networks in the order in which it joins them, docker_gwbridge after the first that needs it. */
  #container(spec: ContainerSpec): void {
    const { name, node } = spec;
    const endpoints: Endpoint[] = [];
    const wanted: AttachmentSpec[] = spec.networks.length > 0 ? spec.networks : [{ name: 'bridge', aliases: [] }];
    const networks = wanted.map((attachment) => this.#attachable(spec, attachment));
    // A sandbox whose only way out would be docker_gwbridge gets it with its first such network (needDefaultGW).
    const outward = networks.some(({ network }) => !network.internal && !this.drivers.get(network.driver).needsGateway);
    for (const { network, attachment } of networks) {
      const pool = this.#poolOf(node, network);
      const address = attachment.address ? pool.take(attachment.address) : pool.next();
      const endpoint = this.#endpoint(node, network, `eth${endpoints.length}`, address, attachment.mac);
      endpoints.push({
        ...endpoint,
        ...(attachment.aliases.length > 0 ? { aliases: attachment.aliases } : {}),
        ...(attachment.priority === undefined ? {} : { priority: attachment.priority }),
      });
      const lacks = this.drivers.get(network.driver).needsGateway && !network.internal && !outward;
      if (lacks && !endpoints.some((one) => one.network === GWBRIDGE))
        endpoints.push(this.#gateway(node, `eth${endpoints.length}`));
    }
    const publishes = spec.ports.map((port) => this.#publish(node, port));
    const embedded = networks.some(({ network }) => network.name !== 'bridge');
    this.#sandboxes.push({
      name: `ct-${name}`,
      node,
      kind: 'container',
      endpoints,
      container: name,
      id: this.#draw.hex(64),
      ...(spec.image ? { image: spec.image } : {}),
      ...namingOf(spec),
      ...(publishes.length > 0 ? { publishes } : {}),
      ...(embedded ? { resolver: this.#resolver() } : {}),
    });
  }

  /** What a link leads to: the other container's address, what /etc/hosts calls it, the ports that it exposes. */
  #link({ name, node, links }: ContainerSpec): void {
    if (links.length === 0) return;
    const onBridge = (container: string) =>
      this.#sandboxes
        .find((sandbox) => sandbox.node === node && sandbox.container === container)
        ?.endpoints.find(({ network }) => network === 'bridge');
    const sandbox = this.#sandboxes.find((one) => one.node === node && one.container === name);
    const own = onBridge(name);
    if (!sandbox || !own) throw new PlanError(`${name} is linked, and not on the default bridge`);
    sandbox.extraHosts ??= [];
    own.links = links.map(({ container, alias }) => {
      const child = onBridge(container);
      const spec = this.spec.containers?.find((one) => one.name === container && one.node === node);
      if (!child || !spec)
        throw new PlanError(`Cannot link to ${container}, as it does not belong to the default network`);
      const exposes = [...spec.exposes, ...spec.ports.map(({ target: port, protocol }) => ({ port, protocol }))];
      const once = exposes.filter(
        (one, i) => exposes.findIndex(({ port, protocol }) => port === one.port && protocol === one.protocol) === i,
      );
      const linked = this.#sandboxes.find((one) => one.node === node && one.container === container);
      const names = [alias, linked?.hostname ?? linked?.id?.slice(0, 12) ?? '', container];
      sandbox.extraHosts?.push({ address: hostPart(child.address), names: [...new Set(names)] });
      return { address: child.address, exposes: once };
    });
  }

  #attachable(
    { name, node }: ContainerSpec,
    attachment: AttachmentSpec,
  ): { network: Network; attachment: AttachmentSpec } {
    const network = this.#networks.find((one) => one.name === attachment.name);
    if (!network || (this.#isLocal(network) && !network.onNode[node]))
      throw new PlanError(`network ${attachment.name} not found, which ${name} joins on ${node}`);
    return { network, attachment };
  }

  /** Ports of a node that are taken: `node protocol port` of each. */
  readonly #published = new Set<string>();
  #ephemeral = new Map<string, number>();

  #publish(node: string, port: ContainerPortSpec): PublishedPort {
    const { hostAddress, target, protocol } = port;
    const key = (number: number) => `${node} ${protocol} ${number}`;
    const first =
      port.published ?? this.#ephemeral.get(`${node} ${protocol}`) ?? FIRST_EPHEMERAL_PORT[this.spec.engine];
    const last = port.published === undefined ? 65535 : (port.publishedLast ?? first);
    let published = first;
    while (this.#published.has(key(published)) && published < last) published++;
    if (this.#published.has(key(published)))
      throw new PlanError(
        `Bind for ${hostAddress ?? '0.0.0.0'}:${published} failed: port is already allocated on ${node}`,
      );
    this.#published.add(key(published));
    if (port.published === undefined) this.#ephemeral.set(`${node} ${protocol}`, published + 1);
    return { published, target, protocol, ...(hostAddress ? { hostAddress } : {}) };
  }

  /** br0 has no MAC of its own: it shows the lowest of its ports'. */
  #bridgeMacs(): void {
    for (const network of this.#networks) {
      if (this.#isLocal(network)) continue;
      for (const [node, here] of Object.entries(network.onNode)) {
        const ports = this.#sandboxes
          .filter((sandbox) => sandbox.node === node)
          .flatMap(({ endpoints }) =>
            endpoints.filter((one) => one.network === network.name).map(({ peer }) => peer.mac),
          );
        here.bridgeMac = lowestMac([...ports, ...(here.vxlan ? [here.vxlan.mac] : [])]);
      }
    }
  }
}

/** Who answers the machines' questions: hosts that were told names, else the first; each knows every machine by name. */
function planNameServers(nodes: Node[], hosts: Host[]): void {
  const told = hosts.filter(({ resolves }) => resolves !== undefined);
  const servers = told.length > 0 ? told : hosts.slice(0, 1);
  const own = ({ nic, ...more }: Host | Node) =>
    hostPart(nic.addresses[0] ?? ('vlans' in more ? more.vlans?.[0]?.addresses[0] : undefined) ?? '');
  const machines = Object.fromEntries([...nodes, ...hosts].map((one) => [one.name.toLowerCase(), own(one)]));
  for (const server of servers) server.resolves = { ...machines, ...server.resolves };
  for (const one of [...nodes, ...hosts]) one.resolvers ??= servers.map(own);
}

function namingOf({ hostname, domainname, dns, extraHosts }: NamingSpec): Partial<Sandbox> {
  return {
    ...(hostname === undefined ? {} : { hostname }),
    ...(domainname === undefined ? {} : { domainname }),
    ...(dns === undefined ? {} : { dns }),
    ...(extraHosts === undefined ? {} : { extraHosts: [...extraHosts] }),
  };
}

function hostOf({ name, mac, mtu = UNDERLAY_MTU, addresses = [], ...spec }: OutsideSpec): Host {
  const tagged = spec.vlans ?? [];
  const alone = addresses.length === 0 && tagged.length === 0;
  const own = [...(spec.address ? [spec.address] : alone ? [CLIENT] : []), ...addresses];
  const all = [...own, ...tagged.flatMap((vlan) => vlan.addresses)];
  const hardware = mac ?? underlayMac(all[0] ?? CLIENT);
  const vlans = tagged.map(({ id, addresses: there }) => ({
    id,
    name: `${UNDERLAY_NIC}.${id}`,
    mac: hardware,
    mtu,
    addresses: there,
  }));
  const nic = { name: UNDERLAY_NIC, mac: hardware, mtu, addresses: own };
  const routes = (spec.routes ?? []).map((route) => {
    const device = [nic, ...vlans].find((one) => one.addresses.some((address) => holds(address, route.gateway)));
    if (!device) throw new PlanError(`${name} has no address in a subnet with the gateway ${route.gateway}`);
    return { ...route, device: device.name };
  });
  return {
    name,
    nic,
    ...(vlans.length > 0 ? { vlans } : {}),
    ...(routes.length > 0 ? { routes } : {}),
    extraAddresses: spec.extraAddresses ?? [],
    forwards: true,
    ...(spec.resolves ? { resolves: spec.resolves } : {}),
  };
}

/** 52:54:00 as a virtual machine's NIC has it, and the last three bytes of its address' host part. */
function underlayMac(address: string): string {
  const [, b = 0, c = 0, d = 0] = (address.split('/')[0] ?? '').split('.').map(Number);
  const bytes = b === 168 && c === 99 ? [0, 0, d] : [b, c, d];
  return ['52', '54', '00', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
