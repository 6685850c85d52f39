/**
 * A swarm as it stands, every choice made: names, addresses, MACs, VNIs, marks, the order of things. Plain data.
 * `swarm/plan` makes it from a StackSpec and a seed, `replay/` from what a real swarm had; `swarm/realize` programs it.
 */

import type { Protocol } from './spec.js';

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
  /** Default gateway on the underlay. */
  gateway?: string;
}

/** A host on the underlay that is no node. */
export interface Host {
  name: string;
  nic: Nic;
  /** On its loopback device, CIDR. */
  extraAddresses: string[];
  /** net.ipv4.ip_forward */
  forwards: boolean;
}

/** What differs from node to node: a local network is another one on each; an overlay has devices of its own on each. */
export interface NetworkOnNode {
  subnet: string;
  gateway: string;
  /** docker0, docker_gwbridge, br-…; br0 in an overlay's namespace */
  bridge: string;
  bridgeMac: string;
  /** Overlay only. */
  vxlan?: { name: string; mac: string };
}

export interface Network {
  name: string;
  id: string;
  driver: 'bridge' | 'overlay';
  ingress: boolean;
  /** MTU of its endpoints. */
  mtu: number;
  /** Bridge networks: may containers talk to each other (enable_icc), do they masquerade (enable_ip_masquerade)? */
  icc: boolean;
  masquerade: boolean;
  /** Overlay only. */
  vni?: number;
  dataPathPort?: number;
  /** By node; a node without the network is not in it. */
  onNode: Record<string, NetworkOnNode>;
}

export interface Endpoint {
  network: string;
  /** Device in the sandbox, and its other end: `veth…` in the node, `vethN` in the overlay's namespace. */
  interface: string;
  address: string;
  mac: string;
  peer: { name: string; mac: string };
  /** Place among the ports of its bridge: ports join in this order. */
  port: number;
  /** Bridge networks only. */
  publishes?: PublishedPort[];
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
  endpoints: Endpoint[];
  /** Random ports of the embedded DNS server. */
  resolver?: { udp: number; tcp: number };
  /** Of a task. */
  service?: string;
  /** Of a task: `web.1`. */
  task?: string;
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
}

export interface Service {
  name: string;
  ports: { published: number; target: number; protocol: Protocol }[];
  /** Network → address, without a length. */
  vips: Record<string, string>;
  balancers: Balancer[];
}

export interface Topology {
  engine: '20.10';
  nodes: Node[];
  hosts: Host[];
  networks: Network[];
  services: Service[];
  sandboxes: Sandbox[];
}

/** The address of an endpoint without its length. */
export function hostPart(address: string): string {
  return address.split('/')[0] ?? address;
}
