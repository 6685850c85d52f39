/**
 * What a network driver is: the calls that libnetwork makes on one (driverapi/driverapi.go), in the order in which it makes
 * them. createNetwork when a node first needs a network; createEndpoint, then join, when a sandbox attaches;
 * programExternalConnectivity on the endpoint that gives a sandbox its default route; and each one's opposite, at any time
 * while traffic runs. docs/drivers.md shows a driver of twenty lines.
 *
 * A driver keeps nothing of its own: what it has programmed stands in the engine's tables, and one driver serves every swarm.
 */

import type { Device, Engine, Namespace } from '../engine/index.js';
import type { EngineVersion } from '../topology/daemon.js';
import type { Endpoint, Network, NetworkOnNode, Node, Sandbox, Topology } from '../topology/topology.js';

/** What a driver refuses, in dockerd's words. */
export class DriverError extends Error {
  override name = 'DriverError';
}

/** A node's namespaces while they are being filled. */
export interface NodeContext {
  name: string;
  /** What the topology says of it. */
  spec: Node;
  engine: Engine;
  topology: Topology;
  /** The node's own namespace. */
  host: Namespace;
  /** Underlay address of each node, as the overlay's peers know it. */
  vtepOf: (node: string) => string;
  /** Starts and stops a process of the node that relays a published port (docker-proxy). Without one nobody listens there. */
  userlandProxy?: UserlandProxy;
}

/** A port of the node, and the container's that it leads to. */
export interface RelayedPort {
  protocol: 'tcp' | 'udp';
  host: { address: string; port: number };
  container: { address: string; port: number };
}

export interface UserlandProxy {
  start(port: RelayedPort): void;
  stop(port: RelayedPort): void;
}

/** A network as it stands on one node. */
export interface NetworkAt {
  node: NodeContext;
  network: Network;
  /** What differs from node to node: subnet, gateway, names and MACs of its devices. */
  here: NetworkOnNode;
}

/** An endpoint of a network, and the sandbox that it is for. */
export interface Attachment extends NetworkAt {
  sandbox: { spec: Sandbox; namespace: Namespace };
  endpoint: Endpoint;
}

/** An endpoint on another node (a row of the swarm's overlay_peer_table). */
export interface Peer {
  node: string;
  /** CIDR */
  address: string;
  mac: string;
}

/** What a driver answers when an endpoint joins (driverapi.JoinInfo). */
export interface Joined {
  /** The endpoint's device in the sandbox, named `endpoint.interface`. It is given `endpoint.address` afterwards. */
  device?: Device;
  /** Next hop of the sandbox's default route, if this network leads outward. */
  gateway?: string;
  /** The same for IPv6; the device is given `endpoint.address6`, too. */
  gateway6?: string;
  /** A default route without a next hop, by `device`. */
  defaultRoute?: boolean;
  /** Further routes by `device`. */
  routes?: { destination: string; gateway?: string }[];
}

/** Each with what is wrong with a value. */
export type DriverOptions = Readonly<Record<string, (value: string) => string | undefined>>;

/** The options that a driver knows in that engine version. */
export function optionsOf(driver: Driver | undefined, engine: EngineVersion): DriverOptions {
  return { ...driver?.options, ...driver?.optionsSince?.[engine] };
}

export interface Driver {
  /** As `driver:` in a stack file and `docker network create --driver` call it. */
  readonly name: string;
  /** Are its networks a node's own affair (`local`), or one and the same for the whole swarm? */
  readonly scope: 'local' | 'swarm';
  /** Its networks lead nowhere outside: a sandbox gets an endpoint on docker_gwbridge beside it (needDefaultGW). */
  readonly needsGateway?: boolean;
  /**
   * It has this one network on every node, and no other can be made. Its endpoints have neither device nor address: whoever is
   * on it is in the node's own namespace, or in one that has nothing but lo.
   */
  readonly only?: { network: string; namespace: 'node' | 'empty' };
  /** Options (`driver_opts`) that it knows, each with what is wrong with a value. Any other changes nothing, and is reported. */
  readonly options?: DriverOptions;
  /** Those that an engine version knows beside them. */
  readonly optionsSince?: Partial<Record<EngineVersion, DriverOptions>>;

  /** Though its networks are a node's own, addresses are given out once for all nodes: from this subnet without a word, and to no gateway. */
  readonly pool?: string;
  /** The device that all of its networks on a node hang on; its MAC is the kernel's. */
  readonly bridge?: string;
  /** What its device in a sandbox is called, which has the kernel's MAC and the addresses of all of its networks. Else eth and a number. */
  readonly interface?: string;
  /** MTU of its endpoints without a word. */
  readonly mtu?: number;

  /** The network comes into being on this node. */
  createNetwork(at: NetworkAt): void;
  /** It goes again; no endpoint is left on it. */
  deleteNetwork(at: NetworkAt): void;

  /** Makes what an endpoint needs before a sandbox has it. */
  createEndpoint?(attachment: Attachment): void;
  deleteEndpoint?(attachment: Attachment): void;

  /** The sandbox gets the endpoint: a device in `sandbox.namespace`. */
  join(attachment: Attachment): Joined;
  leave(attachment: Attachment): void;

  /** The sandbox's default route goes this way from now on: its published ports are programmed. */
  programExternalConnectivity?(attachment: Attachment): void;
  revokeExternalConnectivity?(attachment: Attachment): void;

  /** An endpoint of the network came up on another node, or went (DecodeTableEntry, EventNotify). Scope `swarm` only. */
  peerAdded?(at: NetworkAt, peer: Peer): void;
  peerRemoved?(at: NetworkAt, peer: Peer): void;
}
