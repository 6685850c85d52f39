/**
 * The overlay driver of engine 20.10: a namespace per network and node with br0 and vxlan0, a veth per local endpoint, and
 * for each endpoint elsewhere a permanent neighbour and a forwarding entry on vxlan0 (reference: libnetwork
 * drivers/overlay/ov_network.go setupSubnetSandbox, peerdb.go, joinleave.go).
 */

import type { Device, Namespace } from '../engine/index.js';
import { lowestMac } from '../topology/mac.js';
import { hostPart } from '../topology/topology.js';
import type { Driver, NetworkAt, Peer } from './driver.js';
import { encryptionIn, encryptionOf, type NodeEncryption } from './overlay-encryption.js';

/** Of this network on this node; with it come br0 and vxlan0. */
function namespaceOf({ node, network }: NetworkAt): Namespace {
  const name = `${node.name}/ov-${network.name}`;
  const namespace = node.engine.namespaces.get(name);
  if (!namespace) throw new Error(`there is no namespace ${name}`);
  return namespace;
}

function vxlanOf({ network, node, here }: NetworkAt): NonNullable<NetworkAt['here']['vxlan']> {
  if (here.vxlan) return here.vxlan;
  throw new Error(`overlay ${network.name} has no vxlan device on ${node.name}`);
}

/** `--data-path-port` */
function portOf(network: NetworkAt['network']): number {
  return network.dataPathPort ?? 4789;
}

/** IPsec between this node and its peers, if the network is encrypted. */
function encryptionAt({ node, network }: NetworkAt): NodeEncryption | undefined {
  if (!network.encrypted) return undefined;
  return encryptionOf(node.host, node.vtepOf(node.name), node.topology.keys ?? [], {
    engine: node.topology.engine,
    port: portOf(network),
  });
}

/**
 * A vxlan device has VTEPs of one family, IPv4 unless it is told otherwise when it is made; a VTEP of the other one is refused
 * (EAFNOSUPPORT). Since 25.0 dockerd makes it for the family of the node's own data path address; 20.10 for IPv4 alone, so
 * that in a swarm on IPv6 addresses nothing is behind its tunnels.
 */
function familyOf({ node }: NetworkAt): 4 | 6 {
  return !node.topology.engine.startsWith('20.') && node.vtepOf(node.name).includes(':') ? 6 : 4;
}

/** br0 was given no MAC of its own: it shows the lowest of its ports' (br_stp_recalculate_bridge_id). */
function showLowest(bridge: Device): void {
  if (bridge.ports.length > 0) bridge.namespace.setBridgeMac(bridge, lowestMac(bridge.ports.map(({ mac }) => mac)));
}

export const overlay: Driver = {
  name: 'overlay',
  scope: 'swarm',
  needsGateway: true,
  options: {
    'com.docker.network.driver.mtu': (value) => {
      if (!/^[+-]?\d+$/.test(value))
        return `failed to parse ${value}: strconv.Atoi: parsing "${value}": invalid syntax`;
      return Number(value) < 0 ? `invalid MTU value: ${Number(value)}` : undefined;
    },
    'com.docker.network.driver.overlay.vxlanid_list': (value) => {
      const wrong = value.split(',').find((vni) => !/^[+-]?\d+$/.test(vni));
      return wrong === undefined ? undefined : `invalid vxlan id value "${wrong}" passed`;
    },
    // Asked for by the key alone, whatever its value.
    encrypted: () => undefined,
  },

  createNetwork(at) {
    const { node, network, here } = at;
    const namespace = node.engine.namespace(`${node.name}/ov-${network.name}`);
    namespace.set('forward', 1);
    namespace.set('bridgeNetfilter', 1);
    const bridge = namespace.addBridge(here.bridge, { mac: here.bridgeMac, mtu: network.mtu });
    namespace.addAddress(bridge, `${here.gateway}/${here.subnet.split('/')[1]}`);
    const { name, mac } = vxlanOf(at);
    if (network.vni === undefined) throw new Error(`overlay ${network.name} has no VNI`);
    if (network.encrypted) encryptionAt(at)?.requireFor(network.vni);
    else encryptionIn(node.host)?.releaseFor(network.vni);
    const vxlan = namespace.addVxlan(name, {
      mac,
      mtu: network.mtu,
      vni: network.vni,
      port: portOf(network),
      underlay: node.host,
      over: familyOf(at),
    });
    namespace.addPort(bridge, vxlan);
  },

  deleteNetwork(at) {
    at.node.engine.removeNamespace(namespaceOf(at));
    if (at.network.vni !== undefined) encryptionAt(at)?.networkGone(at.network.vni);
  },

  join(attachment) {
    const { network, here, sandbox, endpoint } = attachment;
    const namespace = namespaceOf(attachment);
    const [inside, outside] = sandbox.namespace.addVeth(
      endpoint.interface,
      { mac: endpoint.mac, mtu: network.mtu },
      { namespace, name: endpoint.peer.name, mac: endpoint.peer.mac, mtu: network.mtu },
    );
    const bridge = namespace.device(here.bridge);
    namespace.addPort(bridge, outside);
    showLowest(bridge);
    return { device: inside };
  },

  leave(attachment) {
    const { sandbox, endpoint, here } = attachment;
    const device = sandbox.namespace.devices.get(endpoint.interface);
    if (device) sandbox.namespace.removeDevice(device);
    showLowest(namespaceOf(attachment).device(here.bridge));
  },

  peerAdded(at, peer) {
    const namespace = namespaceOf(at);
    const vxlan = namespace.device(vxlanOf(at).name);
    namespace.addNeighbour(vxlan, hostPart(peer.address), peer.mac);
    const vtep = at.node.vtepOf(peer.node);
    if (vtep.includes(':') === vxlan.overIpv6) namespace.addVxlanFdb(vxlan, peer.mac, vtep);
    encryptionAt(at)?.addPeer(vtep);
  },

  peerRemoved(at, { address, mac }: Peer) {
    const namespace = namespaceOf(at);
    const vxlan = namespace.device(vxlanOf(at).name);
    const entry = namespace.neighbour(vxlan, hostPart(address));
    if (entry) namespace.removeNeighbour(entry);
    namespace.removeFdb(vxlan, mac);
  },
};
