/**
 * From what a person asked for to a topology with every choice made, as a swarm's managers and engines make them: in
 * which order addresses are handed out, which node gets a task, which mark a service has on which node.
 */

import { overlayMtu } from '../drivers/overlay-encryption.js';
import { Draw } from '../topology/draw.js';
import { bridgeMac, lowestMac, macOfAddress, randomMac } from '../topology/mac.js';
import { nextSubnet, Pool } from '../topology/pools.js';
import type { NetworkSpec, ServiceSpec, StackSpec } from '../topology/spec.js';
import type { Endpoint, Host, Network, Node, Sandbox, Service, Topology } from '../topology/topology.js';
import { KeyRing } from './key-ring.js';
import { place } from './placement.js';

const UNDERLAY_MTU = 1500;
const FIRST_VNI = 4096;
const FIRST_MARK = 256;
const FIRST_DYNAMIC_PORT = 30000;
const GWBRIDGE = 'docker_gwbridge';
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

export function plan(spec: StackSpec, seed: number): Plan {
  try {
    return new Planner(spec, seed).run();
  } catch (error) {
    if (error instanceof RangeError) throw new PlanError(error.message);
    throw error;
  }
}

class Planner {
  readonly #draw: Draw;
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
  ) {
    this.#draw = new Draw(seed);
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
      };
    });
    const hosts = spec.outside.map((host): Host => {
      const address = host.address ?? CLIENT;
      return {
        name: host.name,
        nic: {
          name: 'eth0',
          mac: host.mac ?? underlayMac(address),
          mtu: host.mtu ?? UNDERLAY_MTU,
          addresses: [address],
        },
        extraAddresses: host.extraAddresses ?? [],
        forwards: true,
      };
    });
    this.#localNetworks();
    const ingress = spec.networks.find((network) => network.ingress);
    this.#overlay(ingress ?? { name: INGRESS, driver: 'overlay', ingress: true });
    for (const network of spec.networks) if (!network.ingress) this.#overlay(network);
    this.#ingressSandboxes();
    for (const service of spec.services) this.#service(service);
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

  /** docker0 and docker_gwbridge, on every node; every node's own pool starts at 172.17.0.0/16. */
  #localNetworks(): void {
    const underlay = this.spec.nodes.flatMap(({ address }) => (address ? [address] : ['192.168.99.0/24']));
    const taken = underlay.map((address) => address);
    const first = nextSubnet('local', taken);
    const second = nextSubnet('local', [...taken, first]);
    for (const [name, bridge, subnet, icc] of [
      ['bridge', 'docker0', first, true],
      [GWBRIDGE, GWBRIDGE, second, false],
    ] as const) {
      const onNode: Network['onNode'] = {};
      for (const node of this.spec.nodes) {
        const pool = new Pool(subnet, false);
        this.#local.set(`${node.name} ${name}`, pool);
        onNode[node.name] = { subnet, gateway: pool.next(), bridge, bridgeMac: bridgeMac(this.#draw.next) };
      }
      this.#networks.push({
        name,
        id: this.#draw.hex(64),
        driver: 'bridge',
        ingress: false,
        mtu: UNDERLAY_MTU,
        icc,
        masquerade: true,
        onNode,
      });
    }
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
      driver: 'overlay',
      ingress: spec.ingress === true,
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
    const pool = network.driver === 'bridge' ? this.#local.get(`${node} ${network.name}`) : this.#pool(network.name);
    if (!pool) throw new PlanError(`${node} has no network ${network.name}`);
    return pool;
  }

  #endpoint(node: string, network: Network, interfaceName: string, address: string): Endpoint {
    const pool = this.#poolOf(node, network);
    if (network.driver === 'overlay') this.#onNode(network, node);
    const key = `${node} ${network.name}`;
    const port = (this.#ports.get(key) ?? 0) + 1;
    this.#ports.set(key, port);
    const name = network.driver === 'bridge' ? `veth${this.#draw.hex(7)}` : `veth${port - 2}`;
    return {
      network: network.name,
      interface: interfaceName,
      address: pool.withLength(address),
      mac: macOfAddress(address),
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
      return network;
    });
    const vips: Record<string, string> = {};
    if (spec.endpointMode === 'vip') for (const { name } of networks) vips[name] = this.#pool(name).next();
    const service: Service = {
      name: spec.name,
      ports: published.map(({ published: port, target, protocol }) => ({
        published: port ?? this.#dynamicPort(protocol),
        target,
        protocol,
      })),
      vips,
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
    if (first?.driver !== 'bridge') endpoints.push(this.#gateway(node, `eth${endpoints.length}`));
    const hostPorts = spec.ports.filter(({ mode }) => mode === 'host');
    const way = endpoints.find(({ network }) => network === GWBRIDGE || network === 'bridge');
    if (way && hostPorts.length > 0) {
      way.publishes = hostPorts.map(({ published, target, protocol }) => ({
        published: published ?? target,
        target,
        protocol,
      }));
    }
    for (const network of rest) join(network);
    const sandbox: Sandbox = {
      name: `task-${task}`,
      node,
      kind: 'task',
      endpoints,
      resolver: this.#resolver(),
      service: spec.name,
      task,
    };
    this.#sandboxes.push(sandbox);
    return sandbox;
  }

  /** br0 has no MAC of its own: it shows the lowest of its ports'. */
  #bridgeMacs(): void {
    for (const network of this.#networks) {
      if (network.driver !== 'overlay') continue;
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

/** 52:54:00 as a virtual machine's NIC has it, and the last three bytes of its address' host part. */
function underlayMac(address: string): string {
  const [, b = 0, c = 0, d = 0] = (address.split('/')[0] ?? '').split('.').map(Number);
  const bytes = b === 168 && c === 99 ? [0, 0, d] : [b, c, d];
  return ['52', '54', '00', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
