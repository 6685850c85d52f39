/**
 * Weave Net's devices on a node, whoever asks for them: a network of the driver `weave`, or the command `weave` on a node itself
 * (reference: weave net/bridge.go, net/veth.go, net/expose.go, router/fastdp.go). What is launched and connected stands in the
 * engine's tables alone.
 */

import type { Device, Namespace } from '../engine/index.js';
import { Draw } from '../topology/draw.js';
import { randomMac } from '../topology/mac.js';
import type { NodeContext } from './driver.js';
import { DATA_PORT, programWeave, revokeWeave } from './weave-rules.js';

export const BRIDGE = 'weave';
export const INTERFACE = 'ethwe';
/** What GCE's 1460 bytes leave when VXLAN goes through ESP. */
export const MTU = 1376;
export const MULTICAST = '224.0.0.0/4';
/** What addresses come from without a word. */
export const POOL = '10.32.0.0/12';
const DATAPATH = 'datapath';
const TUNNELS = `vxlan-${DATA_PORT}`;
/** Those of Open vSwitch's VXLAN devices: the longest IP packet without the outer headers. */
const TUNNELS_MTU = 65485;
const SHORT_ID_BITS = 12;
/** `weave attach` waits so long after the link is up before it tells the others the address, ns. */
const BEFORE_ANNOUNCING = 1_000_000;

/** Its tunnels, where a router runs. */
export function tunnelsOf(node: NodeContext, other: string): Device | undefined {
  return node.engine.namespaces.get(`${other}/host`)?.devices.get(TUNNELS);
}

/** Every other node with a router. */
export function routersBeside(node: NodeContext): string[] {
  return node.topology.nodes
    .map(({ name }) => name)
    .filter((other) => other !== node.name && tunnelsOf(node, other) !== undefined);
}

/** `weave launch`: the router's devices and rules. What is random hangs on the bridge's own MAC. */
export function launch(node: NodeContext, bridgeMac: string, mtu: number): void {
  const { host } = node;
  const taken = new Set(routersBeside(node).map((other) => shortId(tunnelsOf(node, other)?.mac ?? '')));
  const draw = new Draw(Number.parseInt(bridgeMac.replaceAll(':', '').slice(4), 16));
  const link = (bytes = mtu) => ({ mac: randomMac(draw.next), mtu: bytes });
  const datapath = host.addBridge(DATAPATH, { ...link(), filtered: false });
  const bridge = host.addBridge(BRIDGE, { mac: bridgeMac, mtu });
  const [here, there] = host.addVeth('vethwe-bridge', link(), { namespace: host, name: 'vethwe-datapath', ...link() });
  host.addPort(bridge, here);
  host.addPort(datapath, there);
  let outward = link(TUNNELS_MTU);
  while (taken.has(shortId(outward.mac))) outward = link(TUNNELS_MTU);
  const tunnels = host.addVxlan(TUNNELS, { ...outward, port: DATA_PORT, underlay: host });
  host.addPort(datapath, tunnels);
  programWeave(host);
}

/** All of it goes, and with it the ways of the others to here. */
export function halt(node: NodeContext): void {
  revokeWeave(node.host);
  for (const other of routersBeside(node)) disconnect(node, other);
  for (const name of ['vethwe-bridge', TUNNELS, DATAPATH, BRIDGE]) node.host.removeDevice(node.host.device(name));
}

/** `weave connect`, both ways: each sends with its own short id below, and the other's above. */
export function connect(node: NodeContext, other: string): void {
  const [mine, theirs] = [node.host.device(TUNNELS), tunnelsOf(node, other)];
  if (!theirs) return;
  const vni = (from: Device, to: Device) => shortId(from.mac) | (shortId(to.mac) << SHORT_ID_BITS);
  mine.addTunnel(node.vtepOf(other), { out: vni(mine, theirs), back: vni(theirs, mine) });
  theirs.addTunnel(node.vtepOf(node.name), { out: vni(theirs, mine), back: vni(mine, theirs) });
}

export function disconnect(node: NodeContext, other: string): void {
  node.host.device(TUNNELS).removeTunnel(node.vtepOf(other));
  tunnelsOf(node, other)?.removeTunnel(node.vtepOf(node.name));
}

/** Peers draw theirs at random, and another where somebody has it. Here it is the end of a MAC, which was drawn like that. */
function shortId(tunnelsMac: string): number {
  return Number.parseInt(tunnelsMac.replaceAll(':', ''), 16) % (1 << SHORT_ID_BITS);
}

/** `weave attach`, the first of a container: a veth from the bridge into its namespace, and no multicast but its own subnets'. */
export function plugIn(
  host: Namespace,
  namespace: Namespace,
  { outside, mac, peerMac, mtu }: { outside: string; mac: string; peerMac: string; mtu: number },
): Device {
  const [device, port] = namespace.addVeth(
    INTERFACE,
    { mac, mtu },
    { namespace: host, name: outside, mac: peerMac, mtu },
  );
  port.hairpin = true;
  host.addPort(host.device(BRIDGE), port);
  namespace.iptables.append('filter', 'INPUT', { in: device, destination: MULTICAST, target: 'DROP' });
  return device;
}

export function unplug(namespace: Namespace, device: Device): void {
  namespace.iptables.delete('filter', 'INPUT', { in: device, destination: MULTICAST, target: 'DROP' });
  namespace.removeDevice(device);
}

/** An address of a subnet comes to the container: multicast from there is let in, and all hear of the address. */
export function admit(namespace: Namespace, device: Device, subnet: string, address: string): void {
  namespace.iptables.insert('filter', 'INPUT', multicastFrom(device, subnet));
  announce(namespace, device, address);
}

export function dismiss(namespace: Namespace, device: Device, subnet: string): void {
  namespace.iptables.delete('filter', 'INPUT', multicastFrom(device, subnet));
}

export function announce(namespace: Namespace, device: Device, address: string): void {
  const { engine } = namespace;
  engine.at(engine.now + BEFORE_ANNOUNCING, (time) => {
    if (namespace.devices.get(device.name) === device) device.announce(address.split('/')[0] ?? '', time);
  });
}

/** What a port of the bridge is called, by the container's id. */
export function portName(id: string): string {
  return `vethwepl${id.slice(0, 7)}`;
}

function multicastFrom(device: Device, subnet: string) {
  return { in: device, source: subnet, destination: MULTICAST, target: 'ACCEPT' } as const;
}
