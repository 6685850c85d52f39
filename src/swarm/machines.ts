/** Machines on the underlay, with what nobody has said of them: addresses, MACs, name servers. */

import { holds } from '../topology/pools.js';
import type { InterfaceSpec, NodeSpec, OutsideSpec } from '../topology/spec.js';
import { type Host, hostPart, type Nic, type Node } from '../topology/topology.js';
import { DockerError } from './errors.js';

export const UNDERLAY_MTU = 1500;
const UNDERLAY_NIC = 'eth0';
/** The first outside host, which is also the nodes' gateway, unless it is given another address. */
const CLIENT = '192.168.99.1/24';

/** `index`: how many there are already. */
export function nodeOf(spec: NodeSpec, index: number, gateway: OutsideSpec | undefined): Node {
  const address = spec.address ?? `192.168.99.${110 + index}/24`;
  const dataPath = spec.dataPathAddress ?? spec.advertiseAddress;
  return {
    name: spec.name,
    role: spec.role,
    nic: {
      name: UNDERLAY_NIC,
      mac: spec.mac ?? underlayMac(address),
      mtu: spec.mtu ?? UNDERLAY_MTU,
      addresses: [address, ...(spec.address6 ? [spec.address6] : [])],
    },
    ...(spec.interfaces ? { nics: spec.interfaces.map(nicOf) } : {}),
    ...(dataPath ? { dataPath } : {}),
    ...(gateway ? { gateway: hostPart(gateway.address ?? CLIENT) } : {}),
    ...(spec.address6 && gateway?.address6 ? { gateway6: hostPart(gateway.address6) } : {}),
    ...(spec.ipv6 || spec.address6 ? { ipv6: true } : {}),
    ...(spec.resolvers ? { resolvers: spec.resolvers } : {}),
    ...(spec.search ? { search: spec.search } : {}),
    ...(spec.daemon ? { daemon: spec.daemon } : {}),
    ...(spec.gwbridge ? { gwbridge: spec.gwbridge } : {}),
  };
}

function nicOf({ name, address, mac, mtu, segment }: InterfaceSpec): Nic & { segment: string } {
  return { name, mac: mac ?? underlayMac(address), mtu: mtu ?? UNDERLAY_MTU, addresses: [address], segment };
}

export function hostOf({ name, mac, mtu = UNDERLAY_MTU, addresses = [], ...spec }: OutsideSpec): Host {
  const tagged = spec.vlans ?? [];
  const alone = addresses.length === 0 && tagged.length === 0;
  const own = [...(spec.address ? [spec.address] : alone ? [CLIENT] : []), ...addresses];
  const all = [...own, ...tagged.flatMap((vlan) => vlan.addresses)];
  const hardware = mac ?? underlayMac(all[0] ?? CLIENT);
  const vlans = tagged.map(({ id, addresses: there }) => ({
    id,
    name: `${UNDERLAY_NIC}.${id}`,
    mac: hardware,
    mtu,
    addresses: there,
  }));
  const nic = {
    name: UNDERLAY_NIC,
    mac: hardware,
    mtu,
    addresses: [...own, ...(spec.address6 ? [spec.address6] : [])],
  };
  const routes = (spec.routes ?? []).map((route) => {
    const device = [{ ...nic, addresses: own }, ...vlans].find((one) =>
      one.addresses.some((address) => holds(address, route.gateway)),
    );
    if (!device) throw new DockerError(400, `${name} has no address in a subnet with the gateway ${route.gateway}`);
    return { ...route, device: device.name };
  });
  return {
    name,
    nic,
    ...(vlans.length > 0 ? { vlans } : {}),
    ...(routes.length > 0 ? { routes } : {}),
    extraAddresses: spec.extraAddresses ?? [],
    forwards: true,
    ...(spec.resolves ? { resolves: spec.resolves } : {}),
  };
}

/** Who answers the machines' questions: hosts that were told names, else the first; each knows every machine by name. */
export function nameMachines(nodes: readonly Node[], hosts: readonly Host[]): void {
  const told = hosts.filter(({ resolves }) => resolves !== undefined);
  const servers = told.length > 0 ? told : hosts.slice(0, 1);
  const own = ({ nic, ...more }: Host | Node) =>
    hostPart(nic.addresses[0] ?? ('vlans' in more ? more.vlans?.[0]?.addresses[0] : undefined) ?? '');
  const machines = Object.fromEntries([...nodes, ...hosts].map((one) => [one.name.toLowerCase(), own(one)]));
  for (const server of servers) server.resolves = { ...machines, ...server.resolves };
  for (const one of [...nodes, ...hosts]) one.resolvers ??= servers.map(own);
}

/** 52:54:00 as a virtual machine's NIC has it, and the last three bytes of its address' host part. */
function underlayMac(address: string): string {
  const [, b = 0, c = 0, d = 0] = hostPart(address).split('.').map(Number);
  const bytes = b === 168 && c === 99 ? [0, 0, d] : [b, c, d];
  return ['52', '54', '00', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
