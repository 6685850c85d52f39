/**
 * A swarm as it stands, every choice made: names, addresses, MACs, VNIs, marks, the order of things. Plain data.
 * `swarm/plan` makes it from a StackSpec and a seed, `replay/` from what a real swarm had; `swarm/realize` programs it.
 */

import type { DaemonConfig, EngineVersion } from './daemon.js';
import type { GwbridgeSpec, Protocol, SwarmSpec } from './spec.js';

export interface Nic {
  name: string;
  mac: string;
  mtu: number;
  /** CIDR */
  addresses: string[];
}

/** A Docker host: `NAME/host` is its own namespace. */
export interface Node {
  name: string;
  role: 'manager' | 'worker';
  nic: Nic;
  /** Further ones, on wires of their own. */
  nics?: (Nic & { segment: string })[];
  /** Where the others send VXLAN for it, without a length; else to its first address. */
  dataPath?: string;
  /** Default gateway on the underlay. */
  gateway?: string;
  /** The same for IPv6. */
  gateway6?: string;
  /** net.ipv6.conf.*.disable_ipv6 is 0: every device of its own with a carrier has a link-local address. */
  ipv6?: boolean;
  /** Name servers and search domains of its own /etc/resolv.conf. */
  resolvers?: string[];
  search?: string[];
  /** What its dockerd was told; a key that is not there has dockerd's default. */
  daemon?: DaemonConfig;
  /** Its docker_gwbridge was made by hand, before it joined the swarm. */
  gwbridge?: GwbridgeSpec;
}

/** A host on the underlay that is no node. */
export interface Host {
  name: string;
  nic: Nic;
  /** Sub-interfaces of that NIC: eth0.50. */
  vlans?: (Nic & { id: number })[];
  routes?: { destination: string; gateway: string; device: string }[];
  /** On its loopback device, CIDR. */
  extraAddresses: string[];
  /** net.ipv4.ip_forward */
  forwards: boolean;
  /** net.ipv6.conf.all.forwarding; without a word as for IPv4. */
  forwards6?: boolean;
  /** It is a DNS server: name (lower case) → address or addresses. Every other name does not exist. */
  resolves?: Record<string, string | string[]>;
  /** Name servers of its own /etc/resolv.conf. */
  resolvers?: string[];
}

/** What differs from node to node: a local network is another one on each; an overlay has devices of its own on each. */
export interface NetworkOnNode {
  subnet: string;
  gateway: string;
  /** Of a network with IPv6. */
  subnet6?: string;
  gateway6?: string;
  /** Next hop of its containers' IPv6 default route, where it is not the gateway (default-gateway-v6). */
  route6?: string;
  /** Further subnets of the same network. */
  further?: { subnet: string; gateway: string }[];
  /** docker0, docker_gwbridge, br-…; br0 in an overlay's namespace; of macvlan and ipvlan the parent: eth0.50, dm-… */
  bridge: string;
  bridgeMac: string;
  /** The bridge's own address, where it is not the containers' gateway (daemon.json's default-gateway). */
  bridgeAddress?: string;
  /** What this node's daemon.json says of docker0, before what the network says. */
  mtu?: number;
  icc?: boolean;
  masquerade?: boolean;
  /** Where ports are published that name no address (host_binding_ipv4, daemon.json's ip). */
  hostBinding?: string;
  /** Overlay only. */
  vxlan?: { name: string; mac: string };
}

export interface Network {
  name: string;
  id: string;
  /** `bridge`, `overlay`, …, or the name of a third party's. */
  driver: string;
  ingress: boolean;
  /** `swarm`: known to all nodes, though it is another one on each (`--scope swarm --config-from`). */
  scope?: 'swarm';
  /** Without a way out. */
  internal?: boolean;
  /** `driver_opts`, as they were given. */
  options?: Record<string, string>;
  /** MTU of its endpoints. */
  mtu: number;
  /** Bridge networks: may containers talk to each other (enable_icc), do they masquerade (enable_ip_masquerade)? */
  icc: boolean;
  masquerade: boolean;
  /** Its endpoints have IPv6 addresses, too (enable_ipv6). */
  ipv6?: boolean;
  /** Overlay only. */
  vni?: number;
  dataPathPort?: number;
  /** Overlay only: VXLAN between nodes goes through ESP. */
  encrypted?: boolean;
  /** By node; a node without the network is not in it. */
  onNode: Record<string, NetworkOnNode>;
  /** By node, others whose endpoints it does not know, because gossip between them is cut. */
  unheard?: Record<string, string[]>;
}

export interface Endpoint {
  network: string;
  /** Device in the sandbox, and its other end: `veth…` in the node, `vethN` in the overlay's namespace. */
  interface: string;
  address: string;
  /** On a network with IPv6. */
  address6?: string;
  mac: string;
  peer: { name: string; mac: string };
  /** Further addresses of its device, CIDR (`--link-local-ip`). */
  linkLocal?: string[];
  /** Further names on this network (`--network-alias`). */
  aliases?: string[];
  /** Names that this sandbox alone knows on a user-defined network (`--link CONTAINER:ALIAS`): alias → name. */
  linkAliases?: Record<string, string>;
  /** Place among the ports of its bridge: ports join in this order. */
  port: number;
  /** The endpoint with the highest (0 without one) has the default route. */
  priority?: number;
  /** Legacy links (`docker run --link`), default bridge only: the other container's address and the ports that it exposes. */
  links?: Link[];
}

export interface Link {
  /** CIDR */
  address: string;
  exposes: { port: number; protocol: Protocol }[];
}

/** A port of the node that leads to a sandbox by way of a bridge network (`docker run -p`, a service's `mode: host`). */
export interface PublishedPort {
  /** Of the node; without it every address. */
  hostAddress?: string;
  published: number;
  target: number;
  protocol: Protocol;
}

/** A network namespace that Docker made: a task's, a container's, or a load balancer's. */
export interface Sandbox {
  /** Its namespace is `NODE/NAME`: `task-web.1`, `ct-cli`, `ingress_sbox`, `lb-net1`. */
  name: string;
  node: string;
  kind: 'task' | 'container' | 'balancer';
  /**
   * Name of the namespace of its node that its process is in, where it has none of its own: `host` (network `host`), or another
   * container's (`--network container:NAME`).
   */
  shares?: string;
  endpoints: Endpoint[];
  /** Ports of the node that lead here, by way of the endpoint that has the default route. */
  publishes?: PublishedPort[];
  /** Random ports of the embedded DNS server. */
  resolver?: { udp: number; tcp: number };
  /** Of a task. */
  service?: string;
  /** Of a task: `web.1`. */
  task?: string;
  /** Name of its container, which DNS knows: `cli`, `web.1.k2v…`. */
  container?: string;
  /** Id of its container; the first 12 digits are a name, too, and its host name, unless it has another. */
  id?: string;
  hostname?: string;
  domainname?: string;
  image?: string;
  /** What it is to ask instead of the node's servers (`--dns`, `--dns-search`, `--dns-option`). */
  dns?: { servers?: string[]; search?: string[]; options?: string[] };
  /** `net.…` of its namespace, by name. */
  sysctls?: Record<string, string>;
  /** Lines of its /etc/hosts, beside those of every container (`--add-host`, `--link`). */
  extraHosts?: { address: string; names: string[] }[];
}

/** One service on one network of one node: what that node's load balancer holds for it. */
export interface Balancer {
  node: string;
  network: string;
  mark: number;
  /** Addresses in the kernel's order: the one added last comes first. */
  destinations: string[];
  /** The destination that the next new connection gets; without it the list's head. */
  firstPick?: string;
  /** Where they are not the service's own any more: its ports were changed, and tasks with the old ones run on. */
  ports?: Service['ports'];
}

export interface Service {
  name: string;
  ports: { published: number; target: number; protocol: Protocol }[];
  /** Network → address, without a length. */
  vips: Record<string, string>;
  /** Network → further names there. */
  aliases?: Record<string, string[]>;
  balancers: Balancer[];
}

/** A key of encrypted overlays. */
export interface EncryptionKey {
  /** 16 bytes, hexadecimal. */
  key: string;
  /** Lamport time of its making. */
  tag: number;
}

export interface Topology {
  engine: EngineVersion;
  /** `docker swarm init`. */
  swarmInit?: SwarmSpec;
  nodes: Node[];
  hosts: Host[];
  networks: Network[];
  services: Service[];
  sandboxes: Sandbox[];
  /** Of encrypted overlays, the oldest first: the second one is sent with. */
  keys?: EncryptionKey[];
}

/** Name of the namespace that its process is in. */
export function namespaceOf({ node, name, shares }: Pick<Sandbox, 'node' | 'name' | 'shares'>): string {
  return `${node}/${shares ?? name}`;
}

/** The address of an endpoint without its length. */
export function hostPart(address: string): string {
  const slash = address.indexOf('/');
  return slash < 0 ? address : address.slice(0, slash);
}
