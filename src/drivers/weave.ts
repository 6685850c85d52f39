/**
 * Weave Net over its fast data path, as `weave launch` and `weave attach` have it: on each node the bridge `weave`, a veth
 * (vethwe-bridge, vethwe-datapath) to an Open vSwitch datapath, and there VXLAN on UDP 6784 to every node that it knows. All of its
 * networks are one segment; containers have addresses given by hand on `ethwe`, beside whatever else they are on (reference: weave
 * net/bridge.go, net/veth.go, router/fastdp.go; docs/weave.md).
 *
 * The datapath's flows are those of a learning switch, which router/fastdp.go programs, so a bridge stands for it; one that
 * netfilter does not see. A VNI has 12 bits of the sender's short id, and above them 12 of the receiver's.
 */

import type { Device, Namespace } from '../engine/index.js';
import { Draw } from '../topology/draw.js';
import { randomMac } from '../topology/mac.js';
import type { Network } from '../topology/topology.js';
import type { Driver, NodeContext } from './driver.js';
import { DATA_PORT, programWeave, revokeWeave } from './weave-rules.js';

const BRIDGE = 'weave';
const DATAPATH = 'datapath';
const TUNNELS = `vxlan-${DATA_PORT}`;
const INTERFACE = 'ethwe';
/** What GCE's 1460 bytes leave when VXLAN goes through ESP. */
const MTU = 1376;
/** Those of Open vSwitch's VXLAN devices: the longest IP packet without the outer headers. */
const TUNNELS_MTU = 65485;
const SHORT_ID_BITS = 12;
const MULTICAST = '224.0.0.0/4';
const MULTICAST_OPTION = 'works.weave.multicast';
/** `weave attach` waits so long after the link is up before it tells the others the address, ns. */
const BEFORE_ANNOUNCING = 1_000_000;

export const weave: Driver = {
  name: 'weave',
  scope: 'local',
  pool: '10.32.0.0/12',
  bridge: BRIDGE,
  interface: INTERFACE,
  mtu: MTU,
  options: {
    [MULTICAST_OPTION]: (value) =>
      ['', 'true', 'false'].includes(value)
        ? undefined
        : `unrecognized value "${value}" for option ${MULTICAST_OPTION}`,
    'com.docker.network.driver.mtu': (value) => (/^\d+$/.test(value) ? undefined : `invalid MTU value: ${value}`),
  },

  createNetwork({ node, network, here }) {
    if (node.host.devices.has(BRIDGE)) return;
    const peers = peersOf(node);
    const taken = new Set(peers.map(([, tunnels]) => shortId(tunnels.mac)));
    launch(node, here.bridgeMac, network.mtu, taken);
    for (const [other, tunnels] of peers) connect(node, other, tunnels);
  },

  deleteNetwork({ node, network }) {
    if (isUsed(node, network)) return;
    revokeWeave(node.host);
    for (const [, tunnels] of peersOf(node)) tunnels.removeTunnel(node.vtepOf(node.name));
    for (const name of ['vethwe-bridge', TUNNELS, DATAPATH, BRIDGE]) node.host.removeDevice(node.host.device(name));
  },

  join({ node, network, here, sandbox, endpoint }) {
    const { namespace, spec } = sandbox;
    const first = namespace.devices.get(INTERFACE);
    const device = first ?? plugIn(node.host, namespace, endpoint, spec.id, network.mtu);
    // Multicast is for its own subnets alone.
    if (!first) namespace.iptables.append('filter', 'INPUT', { in: device, destination: MULTICAST, target: 'DROP' });
    namespace.iptables.insert('filter', 'INPUT', multicastFrom(device, here.subnet));
    const { engine } = node;
    engine.at(engine.now + BEFORE_ANNOUNCING, (time) => {
      if (namespace.devices.get(INTERFACE) === device) device.announce(endpoint.address.split('/')[0] ?? '', time);
    });
    const routed = !first && network.options?.[MULTICAST_OPTION] !== 'false';
    return { device, ...(routed ? { routes: [{ destination: MULTICAST }] } : {}) };
  },

  leave({ here, sandbox, endpoint }) {
    const { namespace, spec } = sandbox;
    const device = namespace.device(INTERFACE);
    namespace.iptables.delete('filter', 'INPUT', multicastFrom(device, here.subnet));
    if (spec.endpoints.some((other) => other !== endpoint && other.interface === INTERFACE)) {
      namespace.removeAddress(device, endpoint.address);
      return;
    }
    namespace.iptables.delete('filter', 'INPUT', { in: device, destination: MULTICAST, target: 'DROP' });
    namespace.removeDevice(device);
  },
};

/** `weave launch`: the router's devices and rules. What is random hangs on the bridge's own MAC. */
function launch({ host }: NodeContext, bridgeMac: string, mtu: number, takenIds: ReadonlySet<number>): void {
  const draw = new Draw(Number.parseInt(bridgeMac.replaceAll(':', '').slice(4), 16));
  const link = (bytes = mtu) => ({ mac: randomMac(draw.next), mtu: bytes });
  const datapath = host.addBridge(DATAPATH, { ...link(), filtered: false });
  const bridge = host.addBridge(BRIDGE, { mac: bridgeMac, mtu });
  const [here, there] = host.addVeth('vethwe-bridge', link(), { namespace: host, name: 'vethwe-datapath', ...link() });
  host.addPort(bridge, here);
  host.addPort(datapath, there);
  let outward = link(TUNNELS_MTU);
  while (takenIds.has(shortId(outward.mac))) outward = link(TUNNELS_MTU);
  const tunnels = host.addVxlan(TUNNELS, { ...outward, port: DATA_PORT, underlay: host });
  host.addPort(datapath, tunnels);
  programWeave(host);
}

/** Every other node with a router, and its tunnels. */
function peersOf({ name, engine, topology }: NodeContext): [string, Device][] {
  return topology.nodes.flatMap((other): [string, Device][] => {
    const tunnels = engine.namespaces.get(`${other.name}/host`)?.devices.get(TUNNELS);
    return tunnels && other.name !== name ? [[other.name, tunnels]] : [];
  });
}

/** `weave connect`, both ways: each sends with its own short id below, and the other's above. */
function connect(node: NodeContext, other: string, theirs: Device): void {
  const mine = node.host.device(TUNNELS);
  const vni = (from: Device, to: Device) => shortId(from.mac) | (shortId(to.mac) << SHORT_ID_BITS);
  mine.addTunnel(node.vtepOf(other), { out: vni(mine, theirs), back: vni(theirs, mine) });
  theirs.addTunnel(node.vtepOf(node.name), { out: vni(theirs, mine), back: vni(mine, theirs) });
}

/** Peers draw theirs at random, and another where somebody has it. Here it is the end of a MAC, which was drawn like that. */
function shortId(tunnelsMac: string): number {
  return Number.parseInt(tunnelsMac.replaceAll(':', ''), 16) % (1 << SHORT_ID_BITS);
}

function isUsed({ name, topology }: NodeContext, but: Network): boolean {
  return topology.networks.some((one) => one !== but && one.driver === weave.name && one.onNode[name] !== undefined);
}

/** `weave attach`: a veth from the bridge into the sandbox. */
function plugIn(
  host: Namespace,
  namespace: Namespace,
  { mac, peer }: { mac: string; peer: { name: string; mac: string } },
  id: string | undefined,
  mtu: number,
): Device {
  const outside = id === undefined ? peer.name : `vethwepl${id.slice(0, 7)}`;
  const [device, port] = namespace.addVeth(
    INTERFACE,
    { mac, mtu },
    { namespace: host, name: outside, mac: peer.mac, mtu },
  );
  port.hairpin = true;
  host.addPort(host.device(BRIDGE), port);
  return device;
}

function multicastFrom(device: Device, subnet: string) {
  return { in: device, source: subnet, destination: MULTICAST, target: 'ACCEPT' } as const;
}
