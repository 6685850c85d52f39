/** Over IPv6: who has something to say to somebody, and where it comes in. */

import type { Random } from '../../bench/fuzz/random.js';
import { macBytes } from '../../bench/headers.js';
import { address6 } from '../../bench/headers6.js';
import type { Device, Engine, Namespace } from '../../src/engine/index.js';
import { isIpv6 } from '../../src/topology/ipv6.js';
import { type Endpoint, hostPart, namespaceOf, type Sandbox, type Topology } from '../../src/topology/topology.js';
import type { Place6 } from './conversations6.js';

/**
 * From a client to a published port; from an endpoint of a bridge to another, or to the world outside; between endpoints of an
 * overlay, which gets its addresses by hand.
 */
export type Way6 = 'published' | 'bridged' | 'outside' | 'overlay';

const OVERLAY = 'net1';
const PUBLISHED = 9090;

export class Places6 {
  /** Of the overlay's endpoints, by MAC. */
  readonly #inside = new Map<string, string>();
  readonly #clients: string[];

  constructor(
    readonly engine: Engine,
    readonly topology: Topology,
    readonly ways: readonly Way6[],
  ) {
    const [client] = topology.hosts;
    const own = client?.nic.addresses.find(isIpv6);
    // Some behind the client's MAC address, whom the nodes know.
    this.#clients = [hostPart(own ?? ''), ...Array.from({ length: 40 }, (_, n) => `fd00:99::a:${n}`)];
    for (const node of topology.nodes) {
      const namespace = this.#namespace(`${node.name}/host`);
      for (const one of this.#clients.slice(1))
        namespace.addNeighbour(namespace.device(node.nic.name), one, client?.nic.mac ?? '');
    }
    for (const { sandbox, endpoint } of this.#ends((one) => one.network === OVERLAY)) {
      const namespace = this.#namespace(namespaceOf(sandbox));
      const address = `fd00:100::${(this.#inside.size + 1).toString(16)}`;
      this.#inside.set(endpoint.mac, address);
      namespace.addAddress(namespace.device(endpoint.interface), `${address}/64`, { nodad: true });
    }
  }

  #namespace(name: string): Namespace {
    const found = this.engine.namespaces.get(name);
    if (!found) throw new RangeError(`no namespace ${name}`);
    return found;
  }
  #ends(wanted: (endpoint: Endpoint) => boolean): { sandbox: Sandbox; endpoint: Endpoint }[] {
    return this.topology.sandboxes.flatMap((sandbox) =>
      sandbox.kind === 'balancer' ? [] : sandbox.endpoints.filter(wanted).map((endpoint) => ({ sandbox, endpoint })),
    );
  }

  begin(random: Random, sport: number): Place6 | undefined {
    const way = random.pick(this.ways);
    if (way === 'published') return this.#published(random, sport);
    const ends = this.#ends((one) => (way === 'overlay' ? this.#inside.has(one.mac) : one.address6 !== undefined));
    if (ends.length < 2) return undefined;
    const { sandbox, endpoint } = random.pick(ends);
    const address = ({ mac, address6 }: Endpoint) =>
      way === 'overlay' ? this.#inside.get(mac) : hostPart(address6 ?? '');
    const source = address(endpoint);
    const veth = this.engine.namespaces.get(namespaceOf(sandbox))?.devices.get(endpoint.interface);
    const bridge = veth?.peer?.master;
    if (!veth?.peer || !bridge || !source) return undefined;
    const other = random.pick(ends.filter((one) => one.endpoint !== endpoint)).endpoint;
    const to = way === 'outside' ? { mac: bridge.mac, at: this.#clients[0] } : { mac: other.mac, at: address(other) };
    // Senders whom no table names are sent for as well: nobody tracks connections inside the overlay.
    const from = way === 'overlay' && random.chance(0.3) ? `fd00:100::b:${random.between(1, 4)}` : source;
    return place(veth.peer, to.mac, endpoint.mac, from, to.at ?? '', sport, random.pick([80, 80, 80, 8080]));
  }

  /** If a client of the nodes says that, another one says the same. */
  another(one: Place6, random: Random): Place6 {
    const isClients = this.#clients.some((client) => `${address6(client)}` === `${one.source}`);
    return isClients ? { ...one, source: address6(random.pick(this.#clients)) } : one;
  }

  #published(random: Random, sport: number): Place6 | undefined {
    const [client] = this.topology.hosts;
    const node = this.topology.nodes[0];
    const to = node?.nic.addresses.find(isIpv6);
    if (!client || !node || !to) return undefined;
    const nic = this.#namespace(`${node.name}/host`).device(node.nic.name);
    const dport = random.chance(0.97) ? PUBLISHED : 81;
    return place(nic, nic.mac, client.nic.mac, random.pick(this.#clients), hostPart(to), sport, dport);
  }
}

function place(
  into: Device,
  to: string,
  from: string,
  source: string,
  destination: string,
  sport: number,
  dport: number,
): Place6 {
  const [mine, yours] = [address6(source), address6(destination)];
  return { into, to: macBytes(to), from: macBytes(from), source: mine, destination: yours, sport, dport };
}
