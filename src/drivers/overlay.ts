/**
 * The overlay driver of engine 20.10: a namespace per network and node with br0 and vxlan0, a veth per local endpoint, and
 * for each endpoint elsewhere a permanent neighbour and a forwarding entry on vxlan0 (reference: libnetwork
 * drivers/overlay/ov_network.go setupSubnetSandbox, peerdb.go, joinleave.go).
 */

import type { Namespace } from '../engine/index.js';
import { type Endpoint, hostPart, type Network, type NetworkOnNode, type Sandbox } from '../topology/topology.js';
import type { Driver, NodeContext } from './driver.js';
import { encryptionOf } from './overlay-encryption.js';

export const overlay: Driver = {
  createNetwork(context: NodeContext, network: Network, here: NetworkOnNode): Namespace {
    const namespace = context.engine.namespace(`${context.name}/ov-${network.name}`);
    namespace.set('forward', 1);
    namespace.set('bridgeNetfilter', 1);
    const bridge = namespace.addBridge(here.bridge, { mac: here.bridgeMac, mtu: network.mtu });
    namespace.addAddress(bridge, `${here.gateway}/${here.subnet.split('/')[1]}`);
    if (!here.vxlan || network.vni === undefined)
      throw new Error(`overlay ${network.name} has no vxlan device on ${context.name}`);
    const port = network.dataPathPort ?? 4789;
    const encryption = network.encrypted
      ? encryptionOf(context.host, context.vtepOf(context.name), context.topology.keys ?? [])
      : undefined;
    encryption?.requireFor(network.vni, port);
    const vxlan = namespace.addVxlan(here.vxlan.name, {
      mac: here.vxlan.mac,
      mtu: network.mtu,
      vni: network.vni,
      port,
      underlay: context.host,
    });
    namespace.addPort(bridge, vxlan);
    for (const sandbox of context.topology.sandboxes) {
      if (sandbox.node === context.name) continue;
      for (const endpoint of sandbox.endpoints) {
        if (endpoint.network !== network.name) continue;
        namespace.addNeighbour(vxlan, hostPart(endpoint.address), endpoint.mac);
        namespace.addVxlanFdb(vxlan, endpoint.mac, context.vtepOf(sandbox.node));
        encryption?.addPeer(context.vtepOf(sandbox.node));
      }
    }
    return namespace;
  },

  join(
    _context: NodeContext,
    network: Network,
    here: NetworkOnNode,
    namespace: Namespace,
    sandbox: { spec: Sandbox; namespace: Namespace },
    endpoint: Endpoint,
  ) {
    const [inside, outside] = sandbox.namespace.addVeth(
      endpoint.interface,
      { mac: endpoint.mac, mtu: network.mtu },
      { namespace, name: endpoint.peer.name, mac: endpoint.peer.mac, mtu: network.mtu },
    );
    sandbox.namespace.addAddress(inside, endpoint.address);
    namespace.addPort(namespace.device(here.bridge), outside);
  },
};
