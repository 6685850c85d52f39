/**
 * What macvlan and ipvlan networks stand on: a device of the node, given as `-o parent=`; a VLAN of one, made when it is
 * missing (eth0.50); or, without a parent or with --internal, a dummy that leads nowhere (reference: libnetwork
 * drivers/macvlan/macvlan_setup.go, macvlan_network.go; drivers/ipvlan has the same).
 */

import type { Device } from '../engine/index.js';
import { cidr, mask } from '../engine/wire.js';
import type { NetworkOnNode } from '../topology/topology.js';
import { DriverError, type NetworkAt } from './driver.js';

type Kind = 'macvlan' | 'ipvlan';
const DUMMY: Record<Kind, string> = { macvlan: 'dm-', ipvlan: 'di-' };
const MOST_VLANS = 4094;

/** An empty parent and --internal are one and the same. */
export function parentName(
  kind: Kind,
  network: { id: string; internal?: boolean; options?: Readonly<Record<string, string>> },
  parent = network.options?.parent,
): string {
  return network.internal || !parent ? `${DUMMY[kind]}${network.id.slice(0, 12)}` : parent;
}

/** What is wrong with `-o parent=`, as far as the name tells it. */
export function parentCheck(kind: Kind): (value: string) => string | undefined {
  return (value) => (value === 'lo' ? `loopback interface is not a valid ${kind} parent link` : undefined);
}

/** Those that a driver has made, and takes away with their network. */
const made = new WeakSet<Device>();

/** The parent is there afterwards. @throws DriverError */
export function openParent(kind: Kind, { node, network, here }: NetworkAt): void {
  const { host } = node;
  const name = here.bridge;
  const wrong = parentCheck(kind)(name);
  if (wrong) throw new DriverError(wrong);
  const { networks } = node.topology;
  const before = networks.slice(0, networks.indexOf(network));
  const other = before.find((one) => one.driver === kind && one.onNode[node.name]?.bridge === name);
  if (other)
    throw new DriverError(
      `network ${DUMMY[kind]}${other.id.slice(0, 12)} (${other.name}) is already using parent interface ${name} on ${node.name}`,
    );
  if (host.devices.has(name)) return;
  const device =
    name === parentName(kind, { id: network.id })
      ? host.addDummy(name, { mac: here.bridgeMac || '02:00:00:00:00:01', mtu: network.mtu })
      : addVlan(node, name);
  made.add(device);
}

function addVlan({ name: node, host }: NetworkAt['node'], name: string): Device {
  if (!name.includes('.'))
    throw new DriverError(
      `invalid subinterface vlan name ${name}, example formatting is eth0.10: ${node} has ${deviceNames(host)}, and a VLAN is made of one of these alone`,
    );
  const [lower = '', id = '', ...rest] = name.split('.');
  if (rest.length > 0)
    throw new DriverError(
      `required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${name}`,
    );
  if (!/^[+-]?\d+$/.test(id))
    throw new DriverError(`unable to parse a valid vlan id from: ${id} (ex. eth0.10 for vlan 10)`);
  const device = host.devices.get(lower);
  if (!device)
    throw new DriverError(`parent interface ${lower} was not found on ${node}, which has ${deviceNames(host)}`);
  if (Number(id) < 1 || Number(id) > MOST_VLANS)
    throw new DriverError(`vlan id must be between 1-${MOST_VLANS}, received: ${Number(id)}`);
  return host.addVlan(name, { lower: device, id: Number(id) });
}

function deviceNames(host: NetworkAt['node']['host']): string {
  return [...host.devices.keys()].filter((name) => name !== 'lo').join(', ');
}

/** A parent that the driver made goes; any other stays. */
export function closeParent({ node, here }: NetworkAt): void {
  const device = node.host.devices.get(here.bridge);
  if (device && made.has(device)) node.host.removeDevice(device);
}

/** The gateway of the subnet that an address of the network is in. */
export function gatewayFor({ subnet, gateway, further = [] }: NetworkOnNode, address: string): string | undefined {
  return [{ subnet, gateway }, ...further].find((one) => inSubnet(one.subnet, address))?.gateway;
}

function inSubnet(subnet: string, text: string): boolean {
  const { address, length } = cidr(subnet);
  return ((cidr(text).address ^ address) & mask(length)) === 0;
}
