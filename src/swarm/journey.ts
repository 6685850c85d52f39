/**
 * The way of a connection, read from the tables that made it: from namespace to namespace, each conntrack entry says what
 * the packet was when it came and what it became.
 */

import { type ConnectionEntry, connectionsOf, type Tuple } from '../engine/index.js';
import { hostPart } from '../topology/topology.js';
import type { Realized } from './realize.js';

export interface Step {
  namespace: string;
  what: 'DNAT' | 'SNAT' | 'MASQUERADE' | 'REDIRECT' | 'IPVS' | 'VXLAN';
  before: string;
  after: string;
  /** Which table entry did it: `nat DOCKER-INGRESS`, `FWM 256 rr`. */
  by?: string;
}

/** Every translation of the connection that `start` opened, in order; tunnels between nodes included. */
export function journeyOf(realized: Realized, protocol: 'tcp' | 'udp' | 'icmp', start: Tuple): Step[] {
  const left = connectionsOf(realized.engine).filter((entry) => entry.protocol === protocol);
  const steps: Step[] = [];
  let tuple = start;
  let place: string | undefined;
  while (true) {
    const index = left.findIndex(({ original }) => same(original, tuple));
    if (index < 0) return steps;
    const [entry] = left.splice(index, 1);
    if (!entry) return steps;
    if (place) steps.push(...tunnel(realized, place, entry.namespace));
    place = entry.namespace;
    const after = inverted(entry.reply);
    steps.push(...translations(realized, entry, after));
    tuple = after;
  }
}

function translations(realized: Realized, entry: ConnectionEntry, after: Tuple): Step[] {
  const { original, namespace } = entry;
  const steps: Step[] = [];
  const rule = (id: number) => realized.engine.rules.get(id);
  if (after.destination !== original.destination || after.dport !== original.dport) {
    const chosen = rule(entry.dnatRule);
    const destination = chosen ? undefined : destinationOf(realized, namespace, after.destination);
    steps.push({
      namespace,
      what: chosen?.spec.target === 'REDIRECT' ? 'REDIRECT' : chosen ? 'DNAT' : 'IPVS',
      before: place(original.destination, original.dport),
      after: place(after.destination, after.dport),
      ...(chosen ? { by: `nat ${chosen.chain.name}` } : destination ? { by: destination } : {}),
    });
  }
  if (after.source !== original.source || after.sport !== original.sport) {
    const chosen = rule(entry.snatRule);
    steps.push({
      namespace,
      what: chosen?.spec.target === 'MASQUERADE' ? 'MASQUERADE' : 'SNAT',
      before: place(original.source, original.sport),
      after: place(after.source, after.sport),
      ...(chosen ? { by: `nat ${chosen.chain.name}` } : {}),
    });
  }
  return steps;
}

function destinationOf({ engine }: Realized, namespace: string, address: string): string | undefined {
  const service = engine.namespaces
    .get(namespace)
    ?.ipvs.services.find(({ destinations }) => destinations.some((one) => one.address === address));
  if (!service) return undefined;
  return 'mark' in service.key ? `FWM ${service.key.mark} rr` : `${service.key.address}:${service.key.port} rr`;
}

/** From a sandbox on one node to a sandbox on another it goes through a tunnel. */
function tunnel({ topology }: Realized, from: string, to: string): Step[] {
  const [here = '', there = ''] = [from, to].map((name) => name.split('/')[0] ?? '');
  if (here === there || from.endsWith('/host') || to.endsWith('/host')) return [];
  const shared = networksOf(topology, from).find((name) => networksOf(topology, to).includes(name));
  const network = topology.networks.find(({ name, driver }) => name === shared && driver === 'overlay');
  const address = (node: string) => hostPart(topology.nodes.find(({ name }) => name === node)?.nic.addresses[0] ?? '');
  if (!network) return [];
  return [
    {
      namespace: `${here}/ov-${network.name}`,
      what: 'VXLAN',
      before: address(here),
      after: address(there),
      by: `VNI ${network.vni}${network.encrypted ? ', in ESP' : ''}`,
    },
  ];
}

/** `172.18.0.2:80`, `[fd00::2]:80` */
function place(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function networksOf(topology: Realized['topology'], namespace: string): string[] {
  const sandbox = topology.sandboxes.find(({ node, name }) => `${node}/${name}` === namespace);
  return sandbox?.endpoints.map(({ network }) => network).filter((name) => name !== 'docker_gwbridge') ?? [];
}

function same(a: Tuple, b: Tuple): boolean {
  return a.source === b.source && a.destination === b.destination && a.sport === b.sport && a.dport === b.dport;
}

function inverted({ source, destination, sport, dport }: Tuple): Tuple {
  return { source: destination, destination: source, sport: dport, dport: sport };
}
