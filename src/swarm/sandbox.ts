/**
 * A sandbox and the endpoints that it has, joined and left at any time: what libnetwork does around its drivers (endpoint.go
 * sbJoin, sbLeave; sandbox.go populateNetworkResources, updateGateway). Addresses, the default route, and which endpoint has
 * the published ports are decided here, the same for every driver.
 */

import type { Attachment, Driver, Joined } from '../drivers/index.js';
import type { Device, Namespace, RouteEntry } from '../engine/index.js';
import type { Endpoint, Network, Sandbox } from '../topology/topology.js';

export const GWBRIDGE = 'docker_gwbridge';

interface Attached {
  driver: Driver;
  attachment: Attachment;
  joined: Joined;
}

/**
 * Which of two endpoints comes first (endpoint.go, Less): a higher priority, docker_gwbridge last, internal networks after the
 * others, then by name. The first with a gateway has the default route.
 */
export function before(
  a: { network: Pick<Network, 'name' | 'internal'>; endpoint: Pick<Endpoint, 'priority'> },
  b: { network: Pick<Network, 'name' | 'internal'>; endpoint: Pick<Endpoint, 'priority'> },
): number {
  const keys = ({ network, endpoint }: typeof a) => [
    -(endpoint.priority ?? 0),
    Number(network.name === GWBRIDGE),
    Number(network.internal === true),
  ];
  const mine = keys(a);
  const theirs = keys(b);
  for (const [i, key] of mine.entries()) {
    const difference = key - (theirs[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.network.name < b.network.name ? -1 : 1;
}

export class LiveSandbox {
  readonly #attached: Attached[] = [];
  isGone = false;
  #gateway: Attached | undefined;
  #defaultRoute: RouteEntry | undefined;
  #gateway6: Attached | undefined;
  #defaultRoute6: RouteEntry | undefined;

  constructor(
    readonly spec: Sandbox,
    readonly namespace: Namespace,
  ) {}

  get place(): { spec: Sandbox; namespace: Namespace } {
    return { spec: this.spec, namespace: this.namespace };
  }

  /** The endpoint joins: its device, address and routes; the default route moves if this one comes first now. */
  attach(driver: Driver, attachment: Attachment): void {
    driver.createEndpoint?.(attachment);
    const joined = driver.join(attachment);
    const { device, routes = [] } = joined;
    if (device) {
      const { address, address6, linkLocal = [] } = attachment.endpoint;
      this.namespace.addAddress(device, address);
      for (const further of linkLocal) this.namespace.addAddress(device, further);
      if (address6) this.#addAddress6(device, address6);
      for (const { destination, gateway } of routes) this.namespace.addRoute(destination, device, gateway);
    }
    this.#attached.push({ driver, attachment, joined });
    this.#moveGateway();
  }

  /** disable_ipv6 is 0 for this device and lo alone (osl/interface_linux.go, setInterfaceIPv6). */
  #addAddress6(device: Device, address: string): void {
    const { ipv6 } = this.namespace;
    ipv6.enable(this.namespace.device('lo'));
    ipv6.addLinkLocal(device);
    ipv6.addAddress(device, address, { nodad: true });
  }

  /** It leaves: the default route, and the published ports with it, go to the next in line. */
  detach(network: string): void {
    const index = this.#attached.findIndex(({ attachment }) => attachment.network.name === network);
    const [leaving] = index < 0 ? [] : this.#attached.splice(index, 1);
    if (!leaving) throw new Error(`${this.namespace.name} is not connected to ${network}`);
    this.#moveGateway();
    leaving.driver.leave(leaving.attachment);
    leaving.driver.deleteEndpoint?.(leaving.attachment);
  }

  #moveGateway(): void {
    this.#moveGateway6();
    const [first] = this.#attached
      .filter(({ joined }) => joined.device && (joined.gateway || joined.defaultRoute))
      .sort((a, b) => before(a.attachment, b.attachment));
    if (first === this.#gateway) return;
    const last = this.#gateway;
    this.#gateway = first;
    if (this.#defaultRoute) this.namespace.removeRoute(this.#defaultRoute);
    this.#defaultRoute = first?.joined.device
      ? this.namespace.addRoute('0.0.0.0/0', first.joined.device, first.joined.gateway)
      : undefined;
    last?.driver.revokeExternalConnectivity?.(last.attachment);
    if (first && !first.attachment.network.internal) first.driver.programExternalConnectivity?.(first.attachment);
  }

  /** The first in line that leads outward with IPv6 has that family's default route. */
  #moveGateway6(): void {
    const [first] = this.#attached
      .filter(
        ({ joined, attachment }) =>
          joined.device && (joined.gateway6 || joined.defaultRoute) && attachment.endpoint.address6,
      )
      .sort((a, b) => before(a.attachment, b.attachment));
    if (first === this.#gateway6) return;
    this.#gateway6 = first;
    if (this.#defaultRoute6) this.namespace.removeRoute(this.#defaultRoute6);
    this.#defaultRoute6 = first?.joined.device
      ? this.namespace.addRoute('::/0', first.joined.device, first.joined.gateway6)
      : undefined;
  }
}
