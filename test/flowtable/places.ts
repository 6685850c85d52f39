/** Over IPv4: who has something to say to somebody, and where it comes in. */

import type { Random } from '../../bench/fuzz/random.js';
import { addressNumber, macBytes } from '../../bench/headers.js';
import type { Engine, Namespace } from '../../src/engine/index.js';
import { type Endpoint, hostPart, namespaceOf, type Sandbox, type Topology } from '../../src/topology/topology.js';
import type { Place } from './conversations.js';

/**
 * From outside to a published port, or to an endpoint on a macvlan or ipvlan; from an endpoint to a service's virtual IP, to another
 * endpoint, to the world outside, or to a port that its own node publishes.
 */
export type Way = 'published' | 'lan' | 'vip' | 'endpoint' | 'outside' | 'hairpin';
const WAYS: readonly Way[] = ['published', 'published', 'vip', 'endpoint', 'outside', 'hairpin', 'lan'];
/** Nobody publishes it, and the nodes listen there themselves. */
export const OWN = 81;

export class Places {
  constructor(
    readonly engine: Engine,
    readonly topology: Topology,
    readonly ways: readonly Way[] = WAYS,
    /** The ports that are asked for from outside; without it all that are published. */
    readonly published?: readonly number[],
  ) {}

  begin(random: Random, sport: number): Place | undefined {
    const way = random.pick(this.ways);
    if (way === 'published') return this.#fromOutside(random, sport);
    return way === 'lan' ? this.#onLan(random, sport) : this.#fromEndpoint(way, random, sport);
  }

  #namespace(name: string): Namespace {
    const found = this.engine.namespaces.get(name);
    if (!found) throw new RangeError(`no namespace ${name}`);
    return found;
  }
  #ports(): readonly number[] {
    const { services, sandboxes } = this.topology;
    const all = [...services.flatMap(({ ports }) => ports), ...sandboxes.flatMap(({ publishes = [] }) => publishes)];
    return this.published ?? all.map((one) => one.published);
  }

  #fromOutside(random: Random, sport: number): Place | undefined {
    const { nodes, hosts } = this.topology;
    const [client] = hosts;
    if (!client) return undefined;
    const node = random.pick(nodes);
    const nic = this.#namespace(`${node.name}/host`).device(node.nic.name);
    const own = addressNumber(client.nic.addresses[0] ?? '');
    const published = this.#ports();
    const source = random.chance(0.4) ? own : addressNumber('198.18.0.0') + random.between(1, random.pick([3, 200]));
    return {
      into: nic,
      to: macBytes(nic.mac),
      from: macBytes(client.nic.mac),
      source,
      sport,
      destination: addressNumber(node.nic.addresses[0] ?? ''),
      dport: published.length > 0 && random.chance(0.95) ? random.pick(published) : OWN,
    };
  }

  /** To an endpoint that stands on a node's NIC. */
  #onLan(random: Random, sport: number): Place | undefined {
    const { hosts, networks, nodes, sandboxes } = this.topology;
    const lans = networks.filter(({ driver }) => driver === 'macvlan' || driver === 'ipvlan').map(({ name }) => name);
    const all = sandboxes.flatMap(({ node, endpoints }) =>
      endpoints.filter(({ network }) => lans.includes(network)).map((endpoint) => ({ node, endpoint })),
    );
    const [client] = hosts;
    if (all.length === 0 || !client) return undefined;
    const { node: name, endpoint } = random.pick(all);
    const node = nodes.find((one) => one.name === name);
    if (!node) return undefined;
    return {
      into: this.#namespace(`${name}/host`).device(node.nic.name),
      to: macBytes(endpoint.mac || node.nic.mac),
      from: macBytes(client.nic.mac),
      source: addressNumber(client.nic.addresses[0] ?? ''),
      sport,
      destination: addressNumber(hostPart(endpoint.address)),
      dport: random.pick([80, 80, 8080]),
    };
  }

  #fromEndpoint(way: Way, random: Random, sport: number): Place | undefined {
    const { nodes, hosts, sandboxes } = this.topology;
    const speakers = sandboxes.filter(
      (one) => one.kind !== 'balancer' && one.endpoints.length > 0 && this.engine.namespaces.has(namespaceOf(one)),
    );
    if (speakers.length === 0) return undefined;
    const sandbox = random.pick(speakers);
    const namespace = this.#namespace(namespaceOf(sandbox));
    const from = (endpoint: Endpoint, mac: string, address: string): Place | undefined => {
      const into = namespace.devices.get(endpoint.interface)?.peer;
      if (!into) return undefined;
      const [source, destination] = [endpoint.address, address].map((one) => addressNumber(hostPart(one)));
      const place = { into, to: macBytes(mac), from: macBytes(endpoint.mac), sport };
      return { ...place, source: source ?? 0, destination: destination ?? 0, dport: random.pick([80, 80, 80, 8080]) };
    };
    if (way === 'outside' || way === 'hairpin') {
      const route = namespace.routes.find(({ destination }) => destination === '0.0.0.0/0');
      const endpoint = sandbox.endpoints.find((one) => one.interface === route?.device.name);
      const gateway = this.engine.devices.find(
        (one) => one.address === route?.gateway && one.namespace.name === `${sandbox.node}/host`,
      );
      const [client] = hosts;
      if (!endpoint || !gateway || !client) return undefined;
      if (way === 'outside') return from(endpoint, gateway.mac, client.nic.addresses[0] ?? '');
      const node = nodes.find(({ name }) => name === sandbox.node);
      const published = this.#ports();
      const place = from(endpoint, gateway.mac, node?.nic.addresses[0] ?? '');
      return place && published.length > 0 ? { ...place, dport: random.pick(published) } : place;
    }
    return this.#inside(way, sandbox, from, random);
  }

  /** On one of its networks: a service's virtual IP, or another endpoint. */
  #inside(
    way: Way,
    sandbox: Sandbox,
    from: (endpoint: Endpoint, mac: string, address: string) => Place | undefined,
    random: Random,
  ): Place | undefined {
    const { sandboxes, services } = this.topology;
    const endpoint = random.pick(sandbox.endpoints);
    const { network } = endpoint;
    if (way === 'vip') {
      const vips = services.flatMap(({ vips }) => vips[network] ?? []);
      const balancer = sandboxes.find(
        (one) =>
          one.kind === 'balancer' && one.node === sandbox.node && one.endpoints.some((e) => e.network === network),
      );
      const mac = balancer?.endpoints.find((one) => one.network === network)?.mac;
      return vips.length > 0 && mac ? from(endpoint, mac, random.pick(vips)) : undefined;
    }
    const others = sandboxes
      .filter((one) => one !== sandbox && one.kind !== 'balancer')
      .flatMap(({ endpoints }) => endpoints.filter((one) => one.network === network));
    if (others.length === 0) return undefined;
    const other = random.pick(others);
    return from(endpoint, other.mac, other.address);
  }
}
