/**
 * What a person asks for: nodes, networks, services and the traffic between them, as plain data.
 * Written by a stack file, by the library's caller or by a replay; read by `swarm/`. Imports nothing.
 */

export type Protocol = 'tcp' | 'udp';

/** A Docker host. `address` is its underlay address in CIDR form (192.168.99.110/24). */
export interface NodeSpec {
  name: string;
  role: 'manager' | 'worker';
  address?: string;
  mac?: string;
  mtu?: number;
  labels?: Record<string, string>;
}

/** A host on the underlay segment that is no swarm node: a client, a router, a server. */
export interface OutsideSpec {
  name: string;
  /** Underlay address, CIDR. */
  address?: string;
  mac?: string;
  mtu?: number;
  /** Further addresses that this host answers for, on its loopback device (203.0.113.10/32). */
  extraAddresses?: string[];
}

export type DriverName = 'overlay' | 'bridge' | 'macvlan' | 'ipvlan' | 'host' | 'none';

export interface NetworkSpec {
  name: string;
  driver: DriverName;
  /** IPv4 subnet, CIDR; without it the next of Docker's default pool. */
  subnet?: string;
  gateway?: string;
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

export interface ServiceSpec {
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
}

/** Who speaks: a node, an outside host, or a task (`nginx` is its first task, `nginx.2` the second). */
export type Party = string;

/** One flow to send. Times in milliseconds of virtual time; `at` without a value means: after the one before it. */
export type TrafficSpec =
  | { kind: 'ping'; from: Party; to: string; count: number; size: number; at?: number }
  | { kind: 'http'; from: Party; to: string; port: number; path: string; requests: number; at?: number }
  | { kind: 'udp'; from: Party; to: string; port: number; size: number; datagrams: number; at?: number };

/** A task of `service` makes this call before it answers a request (nginx asks node, node asks redis). */
export interface CallSpec {
  service: string;
  /** A service's name or an address. */
  to: string;
  port: number;
  protocol: 'http' | 'redis';
  path: string;
}

/** Everything that a run starts from. */
export interface StackSpec {
  /** Engine version whose rules are programmed. */
  engine: '20.10';
  nodes: NodeSpec[];
  outside: OutsideSpec[];
  networks: NetworkSpec[];
  services: ServiceSpec[];
  calls: CallSpec[];
  /** Empty: every published port is tried from the client through every node. */
  traffic: TrafficSpec[];
}
