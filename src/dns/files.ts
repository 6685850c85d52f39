/**
 * /etc/resolv.conf and /etc/hosts of containers, as dockerd writes them (libnetwork: sandbox_dns_unix.go, resolvconf,
 * etchosts), and of machines; read by the resolver for its upstream servers and by programs for what they ask.
 */

import { hostPart, type Node, type Sandbox, type Topology } from '../topology/topology.js';
import { hasResolver } from './names.js';

/** Where dockerd's server listens in a container. */
export const EMBEDDED = '127.0.0.11';
/** What dockerd falls back on when nothing but loopback addresses is left. */
const DEFAULT_SERVERS = ['8.8.8.8', '8.8.4.4'];
/** More are not asked (resolver.go maxExtDNS; resolv.conf(5) MAXNS). */
const MOST_SERVERS = 3;

/** resolv.conf(5), as far as it is read here. */
export interface ResolvConf {
  servers: string[];
  search: string[];
  options: string[];
}

export interface Upstream {
  address: string;
  /** Asked by the node, not from inside the container. */
  fromNode: boolean;
}

export interface ContainerFiles {
  resolvConf: string;
  hosts: string;
  /** Servers that the embedded one forwards to; empty without it. */
  upstreams: Upstream[];
  /** The user set `ndots`: names of one part are not forwarded. */
  ndotsSet: boolean;
}

export function readResolvConf(text: string): ResolvConf {
  const found: ResolvConf = { servers: [], search: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && words[0] !== undefined) found.servers.push(words[0]);
    else if (keyword === 'search' || keyword === 'domain') found.search = words;
    else if (keyword === 'options') found.options.push(...words);
  }
  return found;
}

/** Names by address, in the file's order. */
export function readHosts(text: string): { address: string; names: string[] }[] {
  return text.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return address && names.length > 0 ? [{ address, names }] : [];
  });
}

/** A node's own file. */
export function machineResolvConf({
  resolvers = [],
  search = [],
}: {
  resolvers?: string[];
  search?: string[];
}): string {
  return written({ servers: resolvers, search, options: [] });
}

/** Of a node or a host: every machine of the underlay is in it. */
export function machineHosts(topology: Topology, own: string): string {
  const lines = [
    ['127.0.0.1', 'localhost'],
    ['::1', 'localhost ip6-localhost ip6-loopback'],
    ['127.0.1.1', own],
    ...[...topology.nodes, ...topology.hosts].map(({ name, nic }) => [hostPart(nic.addresses[0] ?? ''), name]),
  ];
  return lines.map(([address, names]) => `${address}\t${names}\n`).join('');
}

/** What dockerd writes for a sandbox on `node`. */
export function containerFiles(topology: Topology, sandbox: Sandbox): ContainerFiles {
  const node = topology.nodes.find(({ name }) => name === sandbox.node);
  const names = topology.engine.startsWith('20.') ? dns20 : dns28;
  return { ...names(sandbox, node), hosts: hostsOf(topology, sandbox) };
}

/** What was asked for: of the container, else of its daemon. */
function asked(sandbox: Sandbox, node: Node | undefined): ResolvConf {
  const own = sandbox.dns ?? {};
  const either = (given: string[] | undefined, key: 'dns' | 'dns-search' | 'dns-opts') =>
    given && given.length > 0 ? given : (node?.daemon?.[key] ?? []);
  return {
    servers: either(own.servers, 'dns'),
    search: either(own.search, 'dns-search'),
    options: either(own.options, 'dns-opts'),
  };
}

type Dns = Omit<ContainerFiles, 'hosts'>;

/** setupDNS and rebuildDNS of engine 20.10. */
function dns20(sandbox: Sandbox, node: Node | undefined): Dns {
  const host = readResolvConf(machineResolvConf(node ?? {}));
  const wish = asked(sandbox, node);
  const overridden = wish.servers.length + wish.search.length + wish.options.length > 0;
  let own: ResolvConf;
  let upstreams: Upstream[];
  if (overridden) {
    own = {
      servers: wish.servers.length > 0 ? wish.servers : host.servers,
      search: wish.search.length > 0 ? wish.search : host.search,
      options: wish.options.length > 0 ? wish.options : host.options,
    };
    upstreams = own.servers.filter(isV4).map((address) => ({ address, fromNode: false }));
  } else {
    // A loopback address means the node's own server, which only the node can ask.
    upstreams = host.servers.filter(isV4).map((address) => ({ address, fromNode: isLoopback(address) }));
    const kept = host.servers.filter((address) => !isLoopback(address));
    own = { ...host, servers: kept.length > 0 ? kept : DEFAULT_SERVERS };
  }
  if (!hasResolver(sandbox)) return { resolvConf: written20(own), upstreams: [], ndotsSet: false };
  if (upstreams.length === 0) upstreams = own.servers.filter(isV4).map((address) => ({ address, fromNode: false }));
  const ndotsSet = own.options.some((option) => /^ndots:\d+$/.test(option));
  return {
    resolvConf: written20({
      servers: [EMBEDDED, ...own.servers.filter((address) => !isV4(address))],
      search: own.search,
      options: ndotsSet ? own.options : [...own.options, 'ndots:0'],
    }),
    upstreams: upstreams.slice(0, MOST_SERVERS),
    ndotsSet,
  };
}

/** TransformForLegacyNw and TransformForIntNS of engines 28 and later (internal/resolvconf/resolvconf.go). */
function dns28(sandbox: Sandbox, node: Node | undefined): Dns {
  const host = readResolvConf(machineResolvConf(node ?? {}));
  const wish = asked(sandbox, node);
  const given = wish.servers.length > 0;
  const own: ResolvConf = {
    servers: given ? wish.servers : host.servers,
    search: wish.search.length > 0 ? wish.search.filter((domain) => domain !== '.') : host.search,
    options: wish.options.length > 0 ? wish.options : host.options,
  };
  const overrides = [
    ...(given ? ['nameservers'] : []),
    ...(wish.search.length > 0 ? ['search'] : []),
    ...(wish.options.length > 0 ? ['options'] : []),
  ];
  const set = (options: string[]) => options.some((option) => option.split(':')[0] === 'ndots');
  const ndotsFrom = set(own.options) ? (wish.options.length > 0 ? 'override' : 'host') : undefined;
  if (!hasResolver(sandbox)) {
    const kept = given ? own.servers : own.servers.filter((address) => isV4(address) && !isLoopback(address));
    const warnings = kept.length === 0 ? ['Used default nameservers.'] : [];
    const conf = { ...own, servers: kept.length > 0 ? kept : DEFAULT_SERVERS };
    return {
      resolvConf: generated(conf, { transform: 'legacy', warnings, external: [], overrides, ndotsFrom }),
      upstreams: [],
      ndotsSet: false,
    };
  }
  const external = own.servers.map((address) => ({ address, fromNode: !given }));
  const options = own.options.filter((option) => !/^ndots/.test(option) || /^ndots:\d+$/.test(option));
  const added = !set(options);
  const conf = { servers: [EMBEDDED], search: own.search, options: added ? [...options, 'ndots:0'] : options };
  const warnings = external.length === 0 ? ['NO EXTERNAL NAMESERVERS DEFINED'] : [];
  return {
    resolvConf: generated(conf, {
      transform: 'internal resolver',
      warnings,
      external,
      overrides,
      ndotsFrom: added ? 'internal' : ndotsFrom,
    }),
    upstreams: external.slice(0, MOST_SERVERS),
    ndotsSet: ndotsFrom !== undefined,
  };
}

/** 20.10's order: search, servers, options. */
function written20({ servers, search, options }: ResolvConf): string {
  return [
    ...(search.length > 0 && search.join(' ') !== '.' ? [`search ${search.join(' ')}\n`] : []),
    ...servers.map((address) => `nameserver ${address}\n`),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}

function written({ servers, search, options }: ResolvConf): string {
  return [
    ...servers.map((address) => `nameserver ${address}\n`),
    ...(search.length > 0 ? [`search ${search.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}

interface Origin {
  transform: string;
  warnings: string[];
  external: Upstream[];
  overrides: string[];
  ndotsFrom: string | undefined;
}

/** With the comments on where each line came from that 28+ writes. */
function generated(conf: ResolvConf, { transform, warnings, external, overrides, ndotsFrom }: Origin): string {
  const servers = external.map(({ address, fromNode }) => (fromNode ? `host(${address})` : address));
  return [
    '# Generated by Docker Engine.\n',
    '# This file can be edited; Docker Engine will not make further changes once it\n',
    '# has been modified.\n',
    '\n',
    written(conf),
    '\n',
    `# Based on host file: '/etc/resolv.conf' (${transform})\n`,
    ...warnings.map((warning) => `# ${warning}\n`),
    ...(servers.length > 0 ? [`# ExtServers: [${servers.join(' ')}]\n`] : []),
    `# Overrides: [${overrides.join(' ')}]\n`,
    ...(ndotsFrom === undefined ? [] : [`# Option ndots from: ${ndotsFrom}\n`]),
  ].join('');
}

/** The names that every container knows, those it was told (`--add-host`, `--link`), and its own on each of its networks. */
function hostsOf(topology: Topology, sandbox: Sandbox): string {
  const { extraHosts = [], domainname } = sandbox;
  const hostname = sandbox.hostname ?? sandbox.id?.slice(0, 12);
  const whole = hostname === undefined || !domainname ? hostname : `${hostname}.${domainname}`;
  const own = whole?.includes('.') ? `${whole} ${whole.slice(0, whole.indexOf('.'))}` : whole;
  const addresses = sandbox.endpoints.flatMap(({ network: name, address, address6 }) => {
    const network = topology.networks.find((one) => one.name === name);
    if (!network || network.ingress || name === 'docker_gwbridge') return [];
    return [hostPart(address), ...(address6 ? [hostPart(address6)] : [])];
  });
  const docker0 = topology.networks.find(({ name }) => name === 'bridge')?.onNode[sandbox.node]?.gateway;
  const lines: [string, string][] = [
    ['127.0.0.1', 'localhost'],
    ['::1', 'localhost ip6-localhost ip6-loopback'],
    ['fe00::0', 'ip6-localnet'],
    ['ff00::0', 'ip6-mcastprefix'],
    ['ff02::1', 'ip6-allnodes'],
    ['ff02::2', 'ip6-allrouters'],
    ...extraHosts.map(({ address, names }): [string, string] => [
      address === 'host-gateway' ? (docker0 ?? address) : address,
      names.join(' '),
    ]),
    ...(own === undefined ? [] : addresses.map((address): [string, string] => [address, own])),
  ];
  return lines.map(([address, names]) => `${address}\t${names}\n`).join('');
}

function isV4(address: string): boolean {
  return !address.includes(':');
}

function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === '::1';
}
