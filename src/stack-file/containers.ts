/**
 * Containers that somebody starts on a node by hand (`docker run`), under `x-swarmwire: containers`, in Compose's words: they
 * join networks of their node, or attachable overlays, and publish ports of their node.
 */

import { isAddress as isIpv4 } from '../drivers/option-values.js';
import { cidr6, isIn } from '../topology/ipv6.js';
import type { AttachmentSpec, ContainerPortSpec, ContainerSpec, NetworkSpec, Protocol } from '../topology/spec.js';
import { isAddress } from './addresses.js';
import type { Findings } from './findings.js';
import { readNaming } from './naming.js';
import type { Attachment } from './networks.js';
import { below } from './places.js';
import { PortError, type PortReading, shortPort } from './ports.js';
import { type ContainerEntry, SECTION, type Section } from './swarmwire-schema.js';
import { knownNames } from './wording.js';

const AT = `${SECTION}/containers`;
/** Networks that every node has without being asked. */
const BUILT_IN = new Set(['bridge']);

/** Which networks of the file a container joins, and where it says so. */
export function containerAttachments(section: Section): Attachment[] {
  return Object.entries(section.containers ?? {}).flatMap(([name, entry]) =>
    attachmentsOf(entry, below(AT, name))
      .filter(({ spec }) => !BUILT_IN.has(spec.name))
      .map(({ spec, pointer }) => ({ kind: 'container' as const, service: name, key: spec.name, pointer })),
  );
}

function attachmentsOf({ networks = [] }: ContainerEntry, at: string): { spec: AttachmentSpec; pointer: string }[] {
  const pointer = `${at}/networks`;
  if (Array.isArray(networks))
    return networks.map((name, i) => ({ spec: { name, aliases: [] }, pointer: below(pointer, i) }));
  return Object.entries(networks).map(([name, entry]) => ({
    spec: {
      name,
      aliases: [...new Set(entry?.aliases ?? [])],
      ...(entry?.ipv4_address === undefined ? {} : { address: entry.ipv4_address }),
      ...(entry?.ipv6_address === undefined ? {} : { address6: entry.ipv6_address }),
      ...(entry?.mac_address === undefined ? {} : { mac: entry.mac_address.toLowerCase() }),
      ...(entry?.priority === undefined ? {} : { priority: entry.priority }),
    },
    pointer: below(pointer, name),
  }));
}

/** @param names the networks' names by the keys that the file has for them */
export function readContainers(
  section: Section,
  nodes: readonly { name: string }[],
  networks: readonly NetworkSpec[],
  names: ReadonlyMap<string, string>,
  findings: Findings,
): ContainerSpec[] {
  const entries = Object.entries(section.containers ?? {});
  const first = nodes[0]?.name ?? '';
  const nodeOf = (entry: ContainerEntry | undefined) => entry?.node ?? first;
  return entries.map(([name, entry]) => {
    const pointer = below(AT, name);
    const node = nodeOf(entry);
    if (!nodes.some((one) => one.name === node))
      findings.refuse(
        findings.places.value(`${pointer}/node`),
        `container "${name}" is to run on "${node}", and there is no such node`,
        knownNames(
          node,
          nodes.map((one) => one.name),
        ),
      );
    const joined = attachmentsOf(entry, pointer).map(({ spec, pointer: at }) => {
      const network = networks.find((one) => one.name === names.get(spec.name));
      if (network?.driver === 'overlay' && !network.attachable)
        findings.refuse(
          findings.places.key(at),
          `Could not attach to network ${spec.name}: rpc error: code = PermissionDenied desc = network ${spec.name} not manually attachable`,
          'write attachable: true under the network',
        );
      checkAddress(spec, at, findings);
      checkAddress6(spec, network, at, findings);
      return { ...spec, name: names.get(spec.name) ?? spec.name };
    });
    for (const [i, one] of joined.entries()) {
      if (joined.findIndex(({ name: other }) => other === one.name) < i)
        findings.refuse(
          findings.places.key(pointer),
          `container "${name}" joins network "${one.name}" twice`,
          'keep one of them',
        );
    }
    return {
      name,
      node,
      ...(entry.image === undefined ? {} : { image: entry.image }),
      networks: joined,
      ...readNaming(entry, pointer, findings),
      ports: portsOf(entry, pointer, findings),
      exposes: exposesOf(entry, pointer, findings),
      links: linksOf(
        name,
        entry,
        pointer,
        (other) => nodeOf(section.containers?.[other]) === node && other in (section.containers ?? {}),
        findings,
      ),
    };
  });
}

function checkAddress({ address }: AttachmentSpec, pointer: string, findings: Findings): void {
  if (address === undefined || isAddress(address)) return;
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
  return ports.flatMap((text, i): ContainerPortSpec[] => {
    const where = findings.places.value(below(`${at}/ports`, i));
    let reading: PortReading;
    try {
      reading = shortPort(String(text));
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      findings.refuse(where, error.message, error.hint);
      return [];
    }
    const { ports: all, hostAddress } = reading;
    if (hostAddress !== undefined && !isIpv4(hostAddress)) findings.refuse(where, `Invalid ip address: ${hostAddress}`);
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

function linksOf(
  name: string,
  { links = [], networks }: ContainerEntry,
  at: string,
  isThere: (container: string) => boolean,
  findings: Findings,
): { container: string; alias: string }[] {
  const joined = Array.isArray(networks) ? networks : Object.keys(networks ?? {});
  return links.flatMap((text, i) => {
    const where = findings.places.value(below(`${at}/links`, i));
    const [container = '', alias = container, ...rest] = text.split(':');
    if (container === '' || alias === '' || rest.length > 0) {
      findings.refuse(where, `bad format for links: ${text}`, 'write links: ["db:database"]');
      return [];
    }
    if (!isThere(container) || container === name) {
      findings.refuse(
        where,
        `could not get container for ${container}: No such container: ${container}`,
        'it runs on the same node',
      );
      return [];
    }
    if (joined.length > 0 && !joined.includes('bridge')) {
      findings.warn(
        'links',
        where,
        `containers of a user-defined network know each other by name; "${text}" is for the default bridge`,
      );
      return [];
    }
    return [{ container, alias }];
  });
}
