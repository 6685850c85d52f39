/**
 * Containers that somebody starts on a node by hand (`docker run`), under `x-swarmwire: containers`, in Compose's words: they
 * join networks of their node, or attachable overlays, and publish ports of their node.
 */

import { isIpv4 } from '../topology/ipv4.js';
import { cidr6, isIn } from '../topology/ipv6.js';
import type {
  AttachmentSpec,
  ContainerPortSpec,
  ContainerRestart,
  ContainerSpec,
  NetworkSpec,
  Protocol,
} from '../topology/spec.js';
import { isAddress6 } from './addresses.js';
import type { ComposeAttachment } from './compose-file.js';
import type { Findings } from './findings.js';
import { readNaming } from './naming.js';
import { readMode } from './network-mode.js';
import type { Attachment } from './networks.js';
import { containerNodes } from './placement.js';
import { below } from './places.js';
import { longPort, PortError, type PortReading, shortPort } from './ports.js';
import { type ContainerEntry, SECTION, type Section } from './section.js';
import { readSysctls } from './sysctls.js';
import { knownNames } from './wording.js';

const AT = `${SECTION}/containers`;
/** Networks that every node has without being asked. */
const BUILT_IN = new Set(['bridge', 'host', 'none']);

/** Whoever is written down as a container: under `x-swarmwire: containers`, or a service of a file without a swarm. */
export interface Written {
  name: string;
  entry: ContainerEntry;
  pointer: string;
  /** Without a word the first. */
  node?: string;
  /** What others call it, beside its name. */
  service?: string;
}

export function containersOf(section: Section): Written[] {
  return Object.entries(section.containers ?? {}).map(([name, entry]) => ({
    name,
    entry,
    pointer: below(AT, name),
    ...(entry.node === undefined ? {} : { node: entry.node }),
  }));
}

/** Which networks of the file a container joins, and where it says so. */
export function containerAttachments(written: readonly Written[]): Attachment[] {
  return written.flatMap((one) =>
    attachmentsOf(one)
      .filter(({ spec }) => !BUILT_IN.has(spec.name))
      .map(({ spec, pointer }) => ({
        kind: one.service === undefined ? ('container' as const) : ('service' as const),
        byHand: true,
        service: one.service ?? one.name,
        key: spec.name,
        pointer,
      })),
  );
}

function attachmentsOf({ entry, pointer: at, service }: Written): { spec: AttachmentSpec; pointer: string }[] {
  const { networks = [], network_mode: mode } = entry;
  const pointer = `${at}/networks`;
  const alone = mode === undefined || mode.includes(':') ? undefined : mode;
  const own = service === undefined ? [] : [service];
  const joined = (name: string) => (BUILT_IN.has(name) ? [] : own);
  if (mode?.includes(':')) return [];
  if (alone !== undefined) return [{ spec: { name: alone, aliases: joined(alone) }, pointer: `${at}/network_mode` }];
  const list: [string, ComposeAttachment | null, string][] = Array.isArray(networks)
    ? networks.map((name, i) => [name, null, below(pointer, i)])
    : Object.entries(networks ?? {}).map(([name, one]) => [name, one, below(pointer, name)]);
  // Compose gives a service that names none the network of its project.
  if (list.length === 0 && service !== undefined) list.push(['default', null, pointer]);
  return list.map(([name, one, where]) => ({
    spec: {
      name,
      aliases: [...new Set([...(one?.aliases ?? []), ...joined(name)])],
      ...(one?.ipv4_address === undefined ? {} : { address: one.ipv4_address }),
      ...(one?.ipv6_address === undefined ? {} : { address6: one.ipv6_address }),
      ...(one?.mac_address === undefined ? {} : { mac: one.mac_address.toLowerCase() }),
      ...(one?.link_local_ips === undefined ? {} : { linkLocal: one.link_local_ips }),
      ...priorityOf(one),
    },
    pointer: where,
  }));
}

/** `gw_priority` says the same as `priority` did for the default route. */
function priorityOf(one: ComposeAttachment | null): { priority?: number } {
  const written = one?.gw_priority ?? one?.priority;
  return written === undefined ? {} : { priority: Number(written) };
}

/** @param names the networks' names by the keys that the file has for them */
export function readContainers(
  written: readonly Written[],
  { placement = {} }: Section,
  nodes: readonly { name: string }[],
  networks: readonly NetworkSpec[],
  names: ReadonlyMap<string, string>,
  findings: Findings,
): ContainerSpec[] {
  const chosen = containerNodes(placement, written, nodes, findings);
  const nodeOf = ({ name }: Written) => chosen.get(name) ?? '';
  const specs = written.map((one): ContainerSpec => {
    const { name, entry, pointer } = one;
    const node = nodeOf(one);
    if (one.node !== undefined && !nodes.some((known) => known.name === node))
      findings.refuse(
        findings.places.value(`${pointer}/node`),
        `container "${name}" is to run on "${node}", and there is no such node`,
        knownNames(
          node,
          nodes.map((known) => known.name),
        ),
      );
    const neighbours = written.filter((other) => nodeOf(other) === node);
    const spec: ContainerSpec = {
      name,
      node,
      ...(entry.image === undefined ? {} : { image: entry.image }),
      networks: networksOf(one, networks, names, findings),
      ...readNaming(entry, pointer, findings),
      ports: portsOf(entry, pointer, findings),
      exposes: exposesOf(entry, pointer, findings),
      links: linksOf(one, neighbours, findings),
      ...readRestart(entry.restart, `${pointer}/restart`, findings),
      ...readSysctls(name, entry.sysctls, `${pointer}/sysctls`, findings),
    };
    return { ...spec, ...readMode(one, spec, neighbours, findings) };
  });
  return inOrder(specs, written);
}

function networksOf(
  one: Written,
  networks: readonly NetworkSpec[],
  names: ReadonlyMap<string, string>,
  findings: Findings,
): AttachmentSpec[] {
  const joined = attachmentsOf(one).map(({ spec, pointer: at }) => {
    const network = networks.find(({ name }) => name === names.get(spec.name));
    if (network?.driver === 'overlay' && !network.attachable)
      findings.refuse(
        findings.places.key(at),
        `Could not attach to network ${spec.name}: rpc error: code = PermissionDenied desc = network ${spec.name} not manually attachable`,
        'write attachable: true under the network',
      );
    checkAddress(spec, at, findings);
    checkAddress6(spec, network, at, findings);
    checkLinkLocal(spec, at, findings);
    return { ...spec, name: names.get(spec.name) ?? spec.name };
  });
  for (const [i, { name }] of joined.entries()) {
    if (joined.findIndex((other) => other.name === name) < i)
      findings.refuse(
        findings.places.key(one.pointer),
        `container "${one.name}" joins network "${name}" twice`,
        'keep one of them',
      );
  }
  const { mac_address: mac } = one.entry;
  const [first = { name: 'bridge', aliases: [] }, ...others] = joined;
  if (mac === undefined) return joined;
  return [{ ...first, mac: mac.toLowerCase() }, ...others];
}

/** Whoever needs another one starts after it: links, a shared namespace, `depends_on`. */
function inOrder(specs: readonly ContainerSpec[], written: readonly Written[]): ContainerSpec[] {
  const done = new Set<ContainerSpec>();
  const needs = (spec: ContainerSpec): ContainerSpec[] => {
    const { depends_on: after = [] } = written.find(({ name }) => name === spec.name)?.entry ?? {};
    const services = Array.isArray(after) ? after : Object.keys(after ?? {});
    const wanted = written.filter(({ service }) => service !== undefined && services.includes(service));
    const all = [...wanted.map(({ name }) => name), ...spec.links.map(({ container }) => container), spec.sharesWith];
    return specs.filter(({ name, node }) => node === spec.node && all.includes(name));
  };
  const order: ContainerSpec[] = [];
  const put = (spec: ContainerSpec) => {
    if (done.has(spec)) return;
    done.add(spec);
    for (const other of needs(spec)) put(other);
    order.push(spec);
  };
  for (const spec of specs) put(spec);
  return order;
}

function readRestart(
  policy: string | boolean | undefined,
  pointer: string,
  findings: Findings,
): { restart?: ContainerRestart } {
  // YAML 1.1's no is false.
  const written = String(policy ?? 'no');
  if (written === '' || written === 'no' || written === 'false') return {};
  const [, name = '', most] = /^(always|unless-stopped|on-failure)(?::(\d+))?$/.exec(written) ?? [];
  if (name === '' || (most !== undefined && name !== 'on-failure')) {
    findings.refuse(
      findings.places.value(pointer),
      most === undefined
        ? `invalid restart policy '${written}'`
        : `maximum retry count cannot be used with restart policy '${name}'`,
      'write no, always, unless-stopped, on-failure or on-failure:3',
    );
    return {};
  }
  return { restart: { name: name as ContainerRestart['name'], ...(most === undefined ? {} : { most: Number(most) }) } };
}

function checkLinkLocal({ linkLocal = [] }: AttachmentSpec, pointer: string, findings: Findings): void {
  for (const [i, address] of linkLocal.entries())
    if (!/^169\.254\.\d+\.\d+$/.test(address) || !isIpv4(address))
      findings.refuse(
        findings.places.value(`${pointer}/link_local_ips/${i}`),
        `invalid link local IP address: ${address}`,
        'write an address of 169.254.0.0/16',
      );
}

function checkAddress({ address }: AttachmentSpec, pointer: string, findings: Findings): void {
  if (address === undefined || isIpv4(address)) return;
  findings.refuse(findings.places.value(`${pointer}/ipv4_address`), `invalid IPv4 address: ${address}`);
}

function checkAddress6(
  { address6 }: AttachmentSpec,
  network: NetworkSpec | undefined,
  pointer: string,
  findings: Findings,
): void {
  if (address6 === undefined) return;
  const where = findings.places.value(`${pointer}/ipv6_address`);
  const subnet = network?.subnet6;
  let known = false;
  try {
    known = cidr6(address6).length === 128 && (subnet === undefined || isIn(address6, subnet));
  } catch {
    // Said below.
  }
  if (!known) findings.refuse(where, `invalid IPv6 address: ${address6}`, subnet && `it must be one of ${subnet}`);
  else if (subnet === undefined)
    findings.refuse(
      where,
      `network "${network?.name ?? 'bridge'}" has no IPv6 subnet`,
      'write enable_ipv6: true and a subnet',
    );
}

function portsOf({ ports = [] }: ContainerEntry, at: string, findings: Findings): ContainerPortSpec[] {
  return ports.flatMap((port, i): ContainerPortSpec[] => {
    const pointer = below(`${at}/ports`, i);
    const where = findings.places.value(pointer);
    let reading: PortReading;
    try {
      reading = typeof port === 'object' ? longPort(port) : shortPort(String(port));
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      findings.refuse(
        error.key === undefined ? where : findings.places.value(below(pointer, error.key)),
        error.message,
        error.hint,
      );
      return [];
    }
    const { ports: all } = reading;
    const hostAddress = reading.hostAddress?.replace(/^\[(.*)\]$/, '$1');
    if (hostAddress !== undefined && !isIpv4(hostAddress) && !isAddress6(hostAddress))
      findings.refuse(where, `Invalid ip address: ${hostAddress}`);
    const address = hostAddress === undefined ? {} : { hostAddress };
    const [first] = all;
    const last = all.at(-1);
    // One port behind a range is published at the first that is free; two ranges go in step.
    if (first?.published && last?.published && all.length > 1 && all.every(({ target }) => target === first.target)) {
      const { published, target, protocol } = first;
      return [{ published, publishedLast: last.published, target, protocol, ...address }];
    }
    return all.map(({ published, target, protocol }) => ({
      ...(published === undefined ? {} : { published }),
      target,
      protocol,
      ...address,
    }));
  });
}

function exposesOf(
  { expose = [] }: ContainerEntry,
  at: string,
  findings: Findings,
): { port: number; protocol: Protocol }[] {
  return expose.flatMap((text, i) => {
    const where = findings.places.value(below(`${at}/expose`, i));
    try {
      return shortPort(String(text)).ports.map(({ target, protocol }) => ({ port: target, protocol }));
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      findings.refuse(where, `Invalid range format for --expose: ${text}`, error.hint);
      return [];
    }
  });
}

/** A link names a container, or in Compose a service: its first container is meant. */
function linksOf(
  { name, entry, pointer: at }: Written,
  neighbours: readonly Written[],
  findings: Findings,
): { container: string; alias: string }[] {
  const { links = [], networks, network_mode: mode } = entry;
  const joined = mode === undefined ? (Array.isArray(networks) ? networks : Object.keys(networks ?? {})) : [mode];
  return links.flatMap((text, i) => {
    const where = findings.places.value(below(`${at}/links`, i));
    const [other = '', alias = other, ...rest] = text.split(':');
    if (other === '' || alias === '' || rest.length > 0) {
      findings.refuse(where, `bad format for links: ${text}`, 'write links: ["db:database"]');
      return [];
    }
    const found = neighbours.find((one) => one.service === other) ?? neighbours.find((one) => one.name === other);
    if (!found || found.name === name) {
      findings.refuse(
        where,
        `could not get container for ${other}: No such container: ${other}`,
        'it runs on the same node',
      );
      return [];
    }
    // Compose makes an alias of it; by hand it is for the default bridge.
    if (found.service === undefined && joined.length > 0 && !joined.includes('bridge')) {
      findings.warn(
        'links',
        where,
        `containers of a user-defined network know each other by name; "${text}" is for the default bridge`,
      );
      return [];
    }
    return [{ container: found.name, alias }];
  });
}
