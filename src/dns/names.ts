/**
 * Which names a sandbox's networks know, read from the topology as it stands at that moment (libnetwork: sandbox.go
 * ResolveName and ResolveIP, network.go addSvcRecords, service_common.go addEndpointNameResolution).
 *
 * A container is known by its name, its aliases, its short id and its host name; a service by its name and aliases, which
 * mean its virtual address, or its tasks' where it has none; `tasks.SERVICE` by its tasks' addresses.
 */

import { type Endpoint, hostPart, type Network, type Sandbox, type Topology } from '../topology/topology.js';

/** How many digits of a container's id are a name. */
const SHORT_ID = 12;

export interface Found {
  /** The name is known, if not by an address of the family that was asked for. */
  known: boolean;
  addresses: string[];
}

const NOT_FOUND: Found = { known: false, addresses: [] };

/** Networks without names: the default bridge, the one that every overlay's container has beside it, and ingress. */
export function hasNames(network: Network): boolean {
  return !network.ingress && network.name !== 'bridge' && network.name !== 'docker_gwbridge';
}

/** Does dockerd run its server in this sandbox? On the default bridge alone it does not. */
export function hasResolver({ endpoints }: Sandbox): boolean {
  return endpoints.some(({ network }) => network !== 'bridge' && network !== 'docker_gwbridge');
}

/**
 * The addresses of `name` as `sandbox` sees it. A name with dots is also tried as a name on a network that its end names.
 * `emptyIsKnown`: a name without an address of this family is known whatever its network (28+); else that holds only for
 * AAAA on a network without IPv6 (20.10).
 */
export function resolve(
  topology: Topology,
  sandbox: Sandbox,
  name: string,
  family: 4 | 6,
  emptyIsKnown: boolean,
): Found {
  const whole = name.replace(/\.$/, '');
  const endpoints = inOrder(topology, sandbox);
  for (const [request, wanted] of splits(whole)) {
    for (const aliased of [true, false]) {
      let missed = false;
      for (const [endpoint, network] of endpoints) {
        if (wanted !== '' && wanted !== network.name) continue;
        const alias = endpoint.linkAliases?.[request];
        if (aliased !== (alias !== undefined)) continue;
        const found = onNetwork(topology, sandbox.node, network, (alias ?? request).toLowerCase());
        const addresses = family === 4 ? found.v4 : found.v6;
        if (addresses.length > 0) return { known: true, addresses };
        if (emptyIsKnown ? found.v4.length + found.v6.length > 0 : family === 6 && found.v4.length > 0 && !network.ipv6)
          missed = true;
      }
      if (missed) return { known: true, addresses: [] };
    }
  }
  return NOT_FOUND;
}

/** `NAME.NETWORK` of an address of this sandbox's networks, which `reversed` writes as in a PTR query, last part first. */
export function reverse(topology: Topology, sandbox: Sandbox, reversed: string): string | undefined {
  for (const [, network] of inOrder(topology, sandbox)) {
    for (const { sandbox: other, endpoint } of onTheNetwork(topology, sandbox.node, network)) {
      const own = [endpoint.address, endpoint.address6 ?? ''].map(hostPart);
      if (!own.some((address) => address !== '' && reversedAddress(address) === reversed)) continue;
      const [first] = namesOf(other, endpoint);
      if (first !== undefined) return `${first}.${network.name}`;
    }
  }
  return undefined;
}

/** `a.b.c` → `a.b.c` on any network, `a.b` on network `c`, `a` on network `b.c`. */
function splits(name: string): [string, string][] {
  const found: [string, string][] = [[name, '']];
  for (let at = name.lastIndexOf('.'); at >= 0; at = at === 0 ? -1 : name.lastIndexOf('.', at - 1))
    found.push([name.slice(0, at), name.slice(at + 1)]);
  return found;
}

/** Overlays come first, then those with a way out, then by name. */
function inOrder(topology: Topology, sandbox: Sandbox): [Endpoint, Network][] {
  const all = sandbox.endpoints.flatMap((endpoint): [Endpoint, Network][] => {
    const network = networkOf(topology, endpoint);
    return network && hasNames(network) ? [[endpoint, network]] : [];
  });
  const local = (network: Network) => Number(network.driver !== 'overlay');
  return all.sort(([, a], [, b]) => local(a) - local(b) || (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function networkOf(topology: Topology, { network }: Endpoint): Network | undefined {
  return topology.networks.find(({ name }) => name === network);
}

/** Every endpoint whose names are known on this node: an overlay's on all nodes that it hears, another network's on this one. */
function* onTheNetwork(
  topology: Topology,
  node: string,
  network: Network,
): Generator<{ sandbox: Sandbox; endpoint: Endpoint }> {
  const unheard = new Set(network.unheard?.[node]);
  for (const sandbox of topology.sandboxes) {
    if (unheard.has(sandbox.node)) continue;
    if (sandbox.kind === 'balancer' || (network.driver !== 'overlay' && sandbox.node !== node)) continue;
    for (const endpoint of sandbox.endpoints) if (endpoint.network === network.name) yield { sandbox, endpoint };
  }
}

/** A container's own names on a network, the one that a PTR answers first; lower case is the caller's business. */
export function namesOf(sandbox: Sandbox, endpoint: Endpoint): string[] {
  const { container, id, hostname } = sandbox;
  const names = [container, ...(endpoint.aliases ?? []), id?.slice(0, SHORT_ID), hostname];
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** Every name, lower case, by which some other sandbox may find this one, alone or among others: its links' and network's ends included. */
export function namesOfSandbox(topology: Topology, sandbox: Sandbox): Set<string> {
  const found = new Set<string>();
  for (const endpoint of sandbox.endpoints) {
    const service = topology.services.find(({ name }) => name === sandbox.service);
    const services =
      sandbox.service === undefined ? [] : [sandbox.service, ...(service?.aliases?.[endpoint.network] ?? [])];
    const own = [...namesOf(sandbox, endpoint), ...services, ...services.map((name) => `tasks.${name}`)];
    for (const name of own) found.add(name.toLowerCase()).add(`${name}.${endpoint.network}`.toLowerCase());
  }
  // By its address in another's /etc/hosts, or its name there.
  const addresses = sandbox.endpoints.map(({ address }) => hostPart(address));
  for (const { extraHosts = [], endpoints } of topology.sandboxes) {
    for (const { address, names } of extraHosts)
      if (addresses.includes(address)) for (const name of names) found.add(name.toLowerCase());
    for (const { linkAliases = {} } of endpoints)
      for (const [alias, name] of Object.entries(linkAliases))
        if (found.has(name.toLowerCase())) found.add(alias.toLowerCase());
  }
  return found;
}

function onNetwork(topology: Topology, node: string, network: Network, wanted: string): { v4: string[]; v6: string[] } {
  const v4 = new Set<string>();
  const v6 = new Set<string>();
  for (const { sandbox, endpoint } of onTheNetwork(topology, node, network)) {
    const own = hostPart(endpoint.address);
    if (namesOf(sandbox, endpoint).some((name) => name.toLowerCase() === wanted)) {
      v4.add(own);
      if (endpoint.address6) v6.add(hostPart(endpoint.address6));
    }
    if (sandbox.service === undefined) continue;
    const service = topology.services.find(({ name }) => name === sandbox.service);
    for (const name of [sandbox.service, ...(service?.aliases?.[network.name] ?? [])]) {
      const lower = name.toLowerCase();
      if (wanted === `tasks.${lower}`) v4.add(own);
      else if (wanted === lower) v4.add(service?.vips[network.name] ?? own);
    }
  }
  return { v4: [...v4], v6: [...v6] };
}

/** `172.18.0.3` → `3.0.18.172`; IPv6 by its 32 digits. */
export function reversedAddress(address: string): string {
  if (!address.includes(':')) return address.split('.').reverse().join('.');
  const [head = '', tail] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':'));
  const before = words(head);
  const after = words(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: Math.max(zeros, 0) }, () => '0'), ...after];
  return all
    .map((word) => word.padStart(4, '0'))
    .join('')
    .split('')
    .reverse()
    .join('.');
}
