/**
 * What a network driver does: program a network into a node's namespaces when it is first needed there, and an endpoint
 * when a sandbox joins. (libnetwork's driverapi: CreateNetwork, Join.)
 */

import type { Engine, Namespace } from '../engine/index.js';
import type { Endpoint, Network, NetworkOnNode, Sandbox, Topology } from '../topology/topology.js';

/** A node's namespaces while they are being filled. */
export interface NodeContext {
  name: string;
  engine: Engine;
  topology: Topology;
  /** The node's own namespace. */
  host: Namespace;
  /** Underlay address of each node, as the overlay's peers know it. */
  vtepOf: (node: string) => string;
}

export interface Driver {
  /** The network comes into being on this node. Returns the namespace that holds its bridge. */
  createNetwork(context: NodeContext, network: Network, here: NetworkOnNode): Namespace;
  /** `sandbox` gets `endpoint`; `namespace` holds the bridge. */
  join(
    context: NodeContext,
    network: Network,
    here: NetworkOnNode,
    namespace: Namespace,
    sandbox: { spec: Sandbox; namespace: Namespace },
    endpoint: Endpoint,
  ): void;
}
