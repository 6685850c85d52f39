/**
 * What a person asks for: nodes, networks, services and the traffic between them, as plain data.
 * Written by a stack file, by the library's caller or by a replay; read by `swarm/`. Imports data alone.
 */

import type { DaemonConfig, EngineVersion } from './daemon.js';

export type Protocol = 'tcp' | 'udp';

/** A Docker host. `address` is its underlay address in CIDR form (192.168.99.110/24). */
export interface NodeSpec {
  name: string;
  role: 'manager' | 'worker';
  address?: string;
  mac?: string;
  mtu?: number;
  /** IPv6 underlay address, CIDR. */
  address6?: string;
  /** Is IPv6 on for the node's own devices? Without a word it is off, unless it has an IPv6 address. */
  ipv6?: boolean;
  labels?: Record<string, string>;
  /** The node's daemon.json. */
  daemon?: DaemonConfig;
  /** Name servers of its /etc/resolv.conf; without them the outside hosts that are DNS servers. */
  resolvers?: string[];
  /** Search domains of its /etc/resolv.conf. */
  search?: string[];
  /** What networks have of their own on this node, by their names (`docker network create --config-only`). */
  networks?: Record<string, NodeNetworkSpec>;
  /** Further NICs, each on a wire of its own (`segment`, by name) with the NICs of other nodes there. */
  interfaces?: InterfaceSpec[];
  /** `--advertise-addr` and `--data-path-addr`: one of its addresses. VXLAN goes to the latter. */
  advertiseAddress?: string;
  dataPathAddress?: string;
  /** `docker network create docker_gwbridge`, done by hand before the node joins the swarm. */
  gwbridge?: GwbridgeSpec;
}

export interface InterfaceSpec {
  name: string;
  /** CIDR */
  address: string;
  mac?: string;
  mtu?: number;
  segment: string;
}

/** `docker swarm init`. */
export interface SwarmSpec {
  dataPathPort?: number;
  /** `--default-addr-pool`, CIDR, and `--default-addr-pool-mask-length` (24). */
  addressPools?: string[];
  maskLength?: number;
}

/** Without `enable_icc: false` its containers talk to each other, as on any bridge that is made by hand. */
export interface GwbridgeSpec {
  subnet?: string;
  gateway?: string;
  options?: Record<string, string>;
}

/** A host on the underlay segment that is no swarm node: a client, a router, a server. */
export interface OutsideSpec {
  name: string;
  /** Underlay address, CIDR. */
  address?: string;
  /** IPv6 underlay address, CIDR. */
  address6?: string;
  mac?: string;
  mtu?: number;
  /** Further addresses of the same interface, CIDR: a router's in other subnets on the wire. */
  addresses?: string[];
  /** VLANs that it sits on, by a sub-interface each (eth0.50), with its addresses there, CIDR. */
  vlans?: { id: number; addresses: string[] }[];
  /** Routes beside those that its addresses bring along. */
  routes?: { destination: string; gateway: string }[];
  /** Further addresses that this host answers for, on its loopback device (203.0.113.10/32). */
  extraAddresses?: string[];
  /**
   * It is a DNS server that knows these names beside those of all machines: name → address or addresses. Where no host is
   * one, the first is, and knows the machines.
   */
  resolves?: Record<string, string | string[]>;
}

/** `overlay`, `bridge`, …, or the name of a third party's driver. */
export type DriverName = string;

/** An entry of Compose's `ipam.config`: `--subnet`, `--gateway`, `--ip-range`, `--aux-address`. */
export interface PoolSpec {
  /** IPv4, CIDR */
  subnet: string;
  /** Without it the first address that is free. */
  gateway?: string;
  /** CIDR: addresses that nobody chose are of this part of the subnet. */
  ipRange?: string;
  /** Taken by others: name → address. */
  auxAddresses?: Record<string, string>;
}

/** What `docker network create --config-only` says of a network on one node; the network itself says `--config-from`. */
export interface NodeNetworkSpec extends Partial<PoolSpec> {
  parent?: string;
}

export interface NetworkSpec extends Partial<PoolSpec> {
  name: string;
  driver: DriverName;
  /** The second and further subnets. */
  furtherPools?: PoolSpec[];
  /** `swarm`: services can join it, though its driver's networks are a node's own (`--scope swarm --config-from`). */
  scope?: 'swarm';
  /** By node, what is another one there. */
  configs?: Record<string, NodeNetworkSpec>;
  /** `--config-from`: what it has on a node is said by the config-only network of that name there. */
  configFrom?: string;
  /** Local networks: its endpoints have IPv6 addresses, too (enable_ipv6). */
  ipv6?: boolean;
  /** IPv6 subnet, CIDR. */
  subnet6?: string;
  gateway6?: string;
  /** VXLAN network identifier; without it the next free one from 4096 (4097 when ingress has 4096). */
  vni?: number;
  ingress?: boolean;
  internal?: boolean;
  attachable?: boolean;
  options?: Record<string, string>;
}

/** One published port. A range in a stack file is already expanded to one entry a port. */
export interface PortSpec {
  /** Published port; without it swarm hands out 30000 and up. */
  published?: number;
  target: number;
  protocol: Protocol;
  mode: 'ingress' | 'host';
}

/** What containers are told about names. */
export interface NamingSpec {
  /** Without it the first 12 digits of the container's id. */
  hostname?: string;
  domainname?: string;
  /** `--dns`, `--dns-search`, `--dns-option` */
  dns?: { servers?: string[]; search?: string[]; options?: string[] };
  /** Lines of /etc/hosts (`--add-host`). */
  extraHosts?: { address: string; names: string[] }[];
}

export interface ServiceSpec extends NamingSpec {
  name: string;
  image?: string;
  mode: 'replicated' | 'global';
  /** Replicated mode only. */
  replicas: number;
  networks: { name: string; aliases: string[] }[];
  endpointMode: 'vip' | 'dnsrr';
  ports: PortSpec[];
  /** `node.hostname==node1`, `node.role!=manager`, as Docker writes them. */
  constraints: string[];
  /** `--placement-pref spread=node.labels.rack`: the labels alone, the most important first. */
  preferences?: string[];
  /**
   * Beside swarmkit's own way: nodes by hand, the first task on the first of them and so on, whichever else are free; or the node
   * with the fewest containers, whoever's they are, as the first Swarm did it.
   */
  placement?: string[] | 'spread';
  /** `--replicas-max-per-node` */
  maxReplicasPerNode?: number;
  restart?: RestartPolicy;
  /** How tasks are replaced when the service changes, and when it goes back. */
  update?: UpdatePolicy;
  rollback?: UpdatePolicy;
  /** `net.…` of its tasks, by name. */
  sysctls?: Record<string, string>;
}

/** What happens when a task ends. Without one: `any`, after 5 s, for ever. */
export interface RestartPolicy {
  condition?: 'none' | 'on-failure' | 'any';
  /** ns */
  delay?: number;
  maxAttempts?: number;
  /** Attempts longer ago than this, ns, do not count. */
  window?: number;
}

/** Of a single container (`docker run --restart`). */
export interface ContainerRestart {
  name: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  /** `on-failure:3`; 0 is for ever. */
  most?: number;
}

export interface UpdatePolicy {
  /** At a time; 0: all. Without a word one. */
  parallelism?: number;
  /** Between one batch and the next, ns. */
  delay?: number;
  order?: 'stop-first' | 'start-first';
}

/** A container that somebody starts on a node by hand: `docker run`, beside whatever the swarm deploys. */
export interface ContainerSpec extends NamingSpec {
  name: string;
  /** With `placement: spread` another may be chosen. */
  node: string;
  /** On the node with the fewest containers at its turn. */
  placement?: 'spread';
  image?: string;
  /** In the order in which it joins them; none: the default bridge. `host` and `none` stand alone. */
  networks: AttachmentSpec[];
  /** `--network container:NAME`: it is in that container's namespace, and joins no network of its own. */
  sharesWith?: string;
  /** `docker run --publish`. */
  ports: ContainerPortSpec[];
  /** Ports that it exposes to containers linked to it, beside those that it publishes. */
  exposes: { port: number; protocol: Protocol }[];
  /** `docker run --link CONTAINER:ALIAS`, on the default bridge. */
  links: { container: string; alias: string }[];
  restart?: ContainerRestart;
  /** `net.…`, by name. */
  sysctls?: Record<string, string>;
}

export interface AttachmentSpec {
  name: string;
  aliases: string[];
  /** Without it the next free one. */
  address?: string;
  /** The same for IPv6. */
  address6?: string;
  mac?: string;
  /** Further addresses, 169.254.… or fe80::…, without a length. */
  linkLocal?: string[];
  /** The network with the highest (0 without one) has the default route. */
  priority?: number;
}

export interface ContainerPortSpec {
  /** Of the node; without it every address, or the network's own choice (host_binding_ipv4). */
  hostAddress?: string;
  /** Without it the next free ephemeral port. */
  published?: number;
  /** The last of a range, of which the first free port is taken. */
  publishedLast?: number;
  target: number;
  protocol: Protocol;
}

/** Who speaks: a node, an outside host, or a task (`nginx` is its first task, `nginx.2` the second). */
export type Party = string;

/** One flow to send. Times in milliseconds of virtual time; `at` without a value means: after the one before it. */
export type TrafficSpec =
  | { kind: 'ping'; from: Party; to: string; count: number; size: number; at?: number }
  | { kind: 'http'; from: Party; to: string; port: number; path: string; requests: number; at?: number; hold?: number }
  | { kind: 'udp'; from: Party; to: string; port: number; size: number; datagrams: number; at?: number }
  | LoadSpec;

/** Many packets over many flows, at a rate. */
export interface LoadSpec {
  kind: 'load';
  /** Flows are dealt to them in turn; of a service all tasks are meant. */
  from: Party[];
  to: string;
  port: number;
  protocol: Protocol;
  flows: number;
  /** Packets of data, over all flows. */
  packets: number;
  /** Sizes of frames in bytes, Ethernet header included, frame check sequence not, and how many of all have each. */
  sizes: { size: number; weight: number }[];
  /** A second: packets, or bits of frames. */
  rate: { packets: number } | { bits: number };
  arrivals: 'constant' | 'poisson';
  /** Every packet of data is answered by one of the same size. */
  answered: boolean;
  /** Addresses that the sender speaks from, in place of its own: `198.18.0.0/15`. */
  sources?: string;
  at?: number;
}

/** A task of `service` makes this call before it answers a request (nginx asks node, node asks redis). */
export interface CallSpec {
  service: string;
  /** A service's name or an address. */
  to: string;
  port: number;
  protocol: 'http' | 'redis';
  path: string;
}

/** What a service's tasks or a container do beside answering on their ports. */
export type RoleSpec =
  /** A DNS server for the containers of its node: `NAME.docker`, host names; everything else it asks the node's servers. */
  | { party: string; role: 'dns'; domain: string }
  /** A TCP relay: `socat TCP-L:LISTEN,fork TCP:TO:PORT`. */
  | { party: string; role: 'relay'; listen: number; to: string; port: number };

/** What a firewall between nodes can stop: a port, a protocol's whatever the port, or the swarm's own data path. */
export type FirewallPort = { protocol: Protocol; port: number } | { protocol: 'esp' } | { protocol: 'data-path' };

/** Frames to these ports do not get from one node to another: a cloud's security group that lacks them. */
export interface FirewallRule {
  block: FirewallPort[];
  /** Nodes; without them from whoever, to every node. */
  from?: string[];
  to?: string[];
}

/** Everything that a run starts from. */
export interface StackSpec {
  /** Engine version whose rules are programmed. */
  engine: EngineVersion;
  nodes: NodeSpec[];
  outside: OutsideSpec[];
  networks: NetworkSpec[];
  services: ServiceSpec[];
  /** On nodes by hand. */
  containers?: ContainerSpec[];
  /** Is there a swarm? Without a word: yes, unless nothing but containers on networks of their nodes is asked for. */
  swarm?: boolean;
  swarmInit?: SwarmSpec;
  calls: CallSpec[];
  roles?: RoleSpec[];
  /** Empty: every published port is tried from the client through every node. */
  traffic: TrafficSpec[];
  /** What is changed while it runs, in any order. */
  changes?: ChangeSpec[];
  /** Do the nodes speak on ports 2377 and 7946, as background for captures? */
  controlPlane?: boolean;
  /** Between the nodes, from the start: before a swarm is made. */
  firewall?: FirewallRule[];
}

/** A change at `at` ms of virtual time, in the words of the docker command line. */
export type ChangeSpec = { at: number } & (
  | { what: 'scale'; service: string; replicas: number }
  | { what: 'update'; service: string; change: { image?: string; replicas?: number; update?: UpdatePolicy } }
  | { what: 'rollback' | 'remove'; service: string }
  /** A task or a container. */
  | { what: 'kill' | 'stop'; name: string }
  /** Its process ends by itself: restart policies see to it. */
  | { what: 'exit'; name: string; code: number }
  | { what: 'start'; container: string }
  | { what: 'availability'; node: string; availability: 'active' | 'pause' | 'drain' }
  /** A rule of the firewall comes, or one with the same words goes. */
  | { what: 'block' | 'unblock'; rule: FirewallRule }
  /** Switched off or cut off, and back again. */
  | { what: 'lose' | 'restore'; node: string }
  | { what: 'connect'; network: string; container: string; aliases: string[]; address?: string }
  | { what: 'disconnect'; network: string; container: string }
);
