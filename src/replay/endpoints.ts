/**
 * Endpoints of whatever came or went while a scenario was recorded. The dumps were taken when all was over: of a sandbox that
 * came later they have the ports on the node's side but not what is behind them, of one that is gone they have nothing. What no
 * frame and no dump shows (the other end's MAC, an address on docker_gwbridge) is made up here, beside what the recording has.
 */

import { macOfAddress } from '../topology/mac.js';
import { type Endpoint, hostPart } from '../topology/topology.js';
import type { DeviceInput, EndpointInput, Inputs, NetworkInput } from './inputs.js';

const GWBRIDGE = 'docker_gwbridge';

/** What `inputs.json` says of a task or container, listed or only seen. */
export interface Member {
  node: string;
  /** The recording's name; null where it was not captured. */
  namespace: string | null;
  networks: Record<string, EndpointInput>;
  started: number;
  inferred: boolean;
}

export class Endpoints {
  /** `node network address` → the port that nothing else in the dumps has. */
  readonly #ports = new Map<string, DeviceInput>();
  /** Addresses in use on a node's docker_gwbridge. */
  readonly #taken = new Set<string>();

  constructor(
    readonly inputs: Inputs,
    members: readonly Member[],
  ) {
    for (const { node, networks } of [
      ...members,
      ...inputs.loadBalancers.map((one) => ({ ...one, networks: one.endpoints })),
    ]) {
      const address = networks[GWBRIDGE]?.address;
      if (address) this.#taken.add(`${node} ${hostPart(address)}`);
    }
    for (const network of inputs.networks) {
      for (const node of Object.keys(network.nodes)) this.#claim(network, node, members);
    }
  }

  /** Ports whose other end nobody listed go to those without a capture, in the order in which both came. */
  #claim(network: NetworkInput, node: string, members: readonly Member[]): void {
    const free = this.#portsOf(network, node)
      .filter(({ peer, inferred }) => !inferred && peer?.startsWith('?/'))
      .sort((one, other) => (one.index ?? 0) - (other.index ?? 0));
    const unseen = members
      .filter((one) => one.node === node && one.namespace === null && one.networks[network.name]?.endpoint)
      .sort((one, other) => one.started - other.started);
    for (const [place, { networks }] of unseen.entries()) {
      const port = free[place];
      if (port) this.#ports.set(`${node} ${network.name} ${networks[network.name]?.address}`, port);
    }
  }

  #portsOf({ nodes, driver }: NetworkInput, node: string): DeviceInput[] {
    const here = nodes[node];
    const devices = this.inputs.devices[driver === 'overlay' ? (here?.namespace ?? '') : `${node}.host`] ?? [];
    return devices.filter(({ master, kind }) => kind === 'veth' && here?.bridge != null && master === here.bridge);
  }

  /** All of a member's endpoints, docker_gwbridge's too, which whatever is on an overlay has. */
  of(member: Member): Endpoint[] {
    const { node, namespace, networks } = member;
    const overlay = Object.keys(networks).some((name) => this.#network(name, node)?.driver === 'overlay');
    const all = { ...networks };
    const way = this.#network(GWBRIDGE, node);
    if (overlay && way && !all[GWBRIDGE]) {
      const address = this.#freeAddress(way, node);
      const named = Object.values(networks).map((one) => one.interface);
      const bare = (this.inputs.devices[namespace ?? ''] ?? []).find(
        ({ name, inferred }) => inferred && !named.includes(name),
      );
      all[GWBRIDGE] = { interface: bare?.name ?? null, address, mac: null, aliases: [], addressGiven: false };
    }
    // eth0 first, and the way out last, as they are joined.
    const names = Object.keys(all).sort((one, other) => Number(one === GWBRIDGE) - Number(other === GWBRIDGE));
    return names.flatMap((name, place) => {
      const endpoint = all[name];
      return endpoint?.address ? [this.#endpoint(member, name, endpoint, place)] : [];
    });
  }

  #endpoint({ node, namespace, inferred }: Member, name: string, given: EndpointInput, place: number): Endpoint {
    const network = this.#network(name, node);
    const written = given.address ?? '';
    const subnet = network?.nodes[node]?.subnets.find(Boolean) ?? '';
    const address = written.includes('/') ? written : `${written}/${subnet.split('/')[1] ?? 24}`;
    const own = given.interface ?? `eth${place}`;
    const port =
      this.#ports.get(`${node} ${name} ${written}`) ??
      (network && inferred ? this.#inferredPort(network, node, `${namespace}/${own}`) : undefined);
    const made = macOfAddress(address);
    return {
      network: name,
      interface: own,
      address,
      ...(given.aliases.length > 0 ? { aliases: given.aliases } : {}),
      mac: given.mac ?? made,
      // Nobody else has a MAC that begins so, nor a name with all of an address in it.
      peer: {
        name: port?.name ?? `veth${made.slice(6).replaceAll(':', '')}`,
        mac: port?.mac ?? made.replace(/^02/, 'fe'),
      },
      port: port?.port ?? Number.MAX_SAFE_INTEGER,
    };
  }

  /** The port that was captured: the one that leads to this device, or one that leads nowhere. */
  #inferredPort(network: NetworkInput, node: string, device: string): DeviceInput | undefined {
    const ports = this.#portsOf(network, node).filter(({ inferred }) => inferred);
    const found =
      ports.find(({ peer }) => peer === device) ??
      ports.find(({ peer, name }) => !peer && !this.#given.has(`${node} ${name}`));
    if (found) this.#given.add(`${node} ${found.name}`);
    return found;
  }
  readonly #given = new Set<string>();

  #network(name: string, node: string): NetworkInput | undefined {
    return this.inputs.networks.find((one) => one.name === name && one.nodes[node] !== undefined);
  }

  /** The first that nobody has. */
  #freeAddress(network: NetworkInput, node: string): string {
    const [subnet = '', length = '16'] = (network.nodes[node]?.subnets.find(Boolean) ?? '').split('/');
    const gateway = network.nodes[node]?.gateway.find(Boolean) ?? '';
    const base = subnet.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
    for (let host = 2; ; host += 1) {
      const value = base + host;
      const address = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
      if (address === hostPart(gateway) || this.#taken.has(`${node} ${address}`)) continue;
      this.#taken.add(`${node} ${address}`);
      return `${address}/${length}`;
    }
  }
}
