/**
 * A DNS container on docker0, as gliderlabs' Resolvable was one: it knows the containers of its own node as `NAME.docker` and
 * by their host names, whatever network they are on, and asks the node's own servers for everything else. Containers use it
 * by `--dns`; the default bridge has no names otherwise.
 */

import type { Namespace, Sockets } from '../engine/index.js';
import { hostPart, type Sandbox, type Topology } from '../topology/topology.js';
import { containerFiles, readResolvConf } from './files.js';
import { exchange } from './forward.js';
import { type Counts, type DnsListener, listenDns } from './listener.js';
import { FLAG, RCODE, readResponse, reply } from './message.js';
import { type Zone, zoneReply } from './zone.js';

const PATIENCE = 2_000_000_000;

export interface DomainOptions {
  /** Behind a container's name; `docker` unless it is told otherwise. */
  domain: string;
  counts: Counts;
}

export function listenForDomain(
  sockets: Sockets,
  topology: Topology,
  sandbox: Sandbox,
  namespace: Namespace,
  { domain, counts }: DomainOptions,
): DnsListener {
  const zone: Zone = (name) => addressesOf(topology, sandbox.node, domain, name);
  return listenDns(sockets, namespace, { counts }, (query, transport, time, done) => {
    const at = sockets.after(time);
    const known = query.plain && zone(query.name.toLowerCase()) !== undefined;
    // Its own domain is nobody else's business.
    if (known || query.name.toLowerCase().endsWith(`.${domain}`)) {
      done(zoneReply(query, zone, transport), at);
      return;
    }
    const { servers } = readResolvConf(containerFiles(topology, sandbox).resolvConf);
    const own = sandbox.endpoints.map(({ address }) => hostPart(address));
    const askable = servers.filter((server) => !own.includes(server));
    const accept = (bytes: Uint8Array) => readResponse(bytes)?.id === query.id;
    const ask = (i: number, start: number): void => {
      const server = askable[i];
      if (server === undefined) {
        done(reply(query, { flags: FLAG.RA, rcode: RCODE.SERVFAIL }), start);
        return;
      }
      const options = { at: start, patience: PATIENCE, accept };
      exchange(sockets, namespace, server, query.bytes, transport, options, ({ response, finished }) => {
        const then = sockets.after(finished);
        if (response) done(response, then);
        else ask(i + 1, then);
      });
    };
    ask(0, at);
  });
}

/** `NAME.docker`, and the container's host name. */
export function domainNames({ container, id, hostname, domainname }: Sandbox, domain: string): string[] {
  const host = hostname ?? id?.slice(0, 12);
  return [
    ...(container === undefined ? [] : [`${container}.${domain}`]),
    ...(host === undefined ? [] : [host, ...(domainname ? [`${host}.${domainname}`] : [])]),
  ].map((name) => name.toLowerCase());
}

/** Of the containers that run on this node, each at its first network with addresses. */
function addressesOf(topology: Topology, node: string, domain: string, name: string): string[] | undefined {
  const found = topology.sandboxes.flatMap((other) => {
    const { kind, endpoints } = other;
    if (kind === 'balancer' || other.node !== node || !domainNames(other, domain).includes(name)) return [];
    const [first] = endpoints.filter(({ network }) => network !== 'docker_gwbridge' && !isIngress(topology, network));
    return first ? [hostPart(first.address)] : [];
  });
  return found.length > 0 ? found : undefined;
}

function isIngress({ networks }: Topology, name: string): boolean {
  return networks.some((network) => network.ingress && network.name === name);
}
