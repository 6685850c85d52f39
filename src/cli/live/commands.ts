/**
 * A lab as the commands that make it in the kernel: `ip`, `bridge`, sysctls, `iptables-restore`, `ipvsadm`. Pure: nothing is
 * run here. Namespaces are named by `name`, so that two runs do not meet.
 */

import type { Device, Namespace } from '../../engine/index.js';
import { iptablesRestore } from './iptables.js';
import type { Lab } from './lab.js';

/** One program to run, with what it reads. */
export interface Command {
  argv: string[];
  input?: string;
}

/** The namespace whose bridge stands for the underlay's switch. */
export const WIRE = 'wire';

/** Everything quiet and by the book: IPv6 where it is asked for, no rate limits, no reverse path filter, reassembly that gives up soon. */
const SYSCTLS: Record<string, number> = {
  'net/ipv6/conf/all/disable_ipv6': 1,
  'net/ipv6/conf/default/disable_ipv6': 1,
  'net/ipv6/conf/default/accept_dad': 0,
  'net/ipv6/conf/default/accept_ra': 0,
  'net/ipv6/conf/default/router_solicitations': 0,
  'net/ipv6/conf/default/mldv2_unsolicited_report_interval': 1,
  'net/ipv6/icmp/ratelimit': 0,
  'net/ipv4/conf/all/rp_filter': 0,
  'net/ipv4/conf/default/rp_filter': 0,
  'net/ipv4/conf/all/accept_redirects': 1,
  'net/ipv4/conf/default/accept_redirects': 1,
  'net/ipv4/icmp_ratemask': 0,
  'net/ipv4/icmp_msgs_per_sec': 100000,
  'net/ipv4/icmp_msgs_burst': 100000,
  'net/ipv4/ipfrag_time': 1,
  'net/ipv4/ip_default_ttl': 64,
  'net/netfilter/nf_conntrack_checksum': 1,
};

export function commandsFor(lab: Lab, name: (namespace: string) => string, iptables: string): Command[] {
  const commands: Command[] = [];
  const inside = (namespace: Namespace) => name(namespace.name);
  const batch = (program: 'ip' | 'bridge', namespace: string, lines: readonly string[]): void => {
    if (lines.length > 0)
      commands.push({ argv: [program, '-n', namespace, '-batch', '-'], input: `${lines.join('\n')}\n` });
  };
  const wire = name(WIRE);
  for (const namespace of [wire, ...lab.namespaces.map(inside)])
    commands.push({ argv: ['ip', 'netns', 'add', namespace] });
  for (const namespace of [wire, ...lab.namespaces.map(inside)]) commands.push(sysctls(namespace, SYSCTLS));

  batch('ip', wire, ['link set lo up', 'link add sw0 type bridge stp_state 0 mcast_snooping 0', 'link set sw0 up']);
  // Vxlan devices first: a bridge takes its ports in their order, and Docker makes them where their socket is to live.
  for (const namespace of lab.namespaces)
    batch('ip', inside(namespace), ['link set lo up', ...linksOf(namespace, wire, inside)]);
  for (const [device, { port, underlay }] of lab.tunnels) {
    batch('ip', inside(underlay), [
      `link add ${device.name} ${link(device)} type vxlan id ${device.vni} dstport ${port} proxy learning l2miss l3miss`,
      `link set ${device.name} netns ${inside(device.namespace)}`,
    ]);
  }
  // A macvlan is made beside the device that it stands on, under a name that nobody has, and moved to where it is to be.
  for (const device of lab.engine.devices) {
    const { id, name, kind, lower, mode, namespace } = device;
    if (kind !== 'macvlan' || !lower) continue;
    batch('ip', inside(lower.namespace), [
      `link add link ${lower.name} name u${id} ${link(device)} type macvlan mode ${mode}`,
      `link set u${id} netns ${inside(namespace)} name ${name}`,
    ]);
  }
  batch('ip', wire, wirePorts(lab));
  for (const namespace of lab.namespaces) {
    batch('ip', inside(namespace), masters(namespace));
    commands.push(sysctls(inside(namespace), sysctlsOf(namespace)));
    batch('ip', inside(namespace), layerThree(namespace));
  }
  for (const namespace of lab.namespaces) {
    const entries = lab.forwarding.filter(({ vxlan }) => vxlan.namespace === namespace);
    batch(
      'bridge',
      inside(namespace),
      entries.map(({ vxlan, mac, remote }) => `fdb add ${mac} dev ${vxlan.name} dst ${remote} self permanent`),
    );
    for (const [program, tables] of [
      [iptables, namespace.iptables],
      [iptables.replace('iptables', 'ip6tables'), namespace.ip6tables],
    ] as const) {
      const rules = iptablesRestore(tables);
      if (rules !== undefined)
        commands.push({ argv: ['ip', 'netns', 'exec', inside(namespace), `${program}-restore`], input: rules });
    }
    const services = ipvsRestore(namespace);
    if (services.length > 0) {
      commands.push({
        argv: ['ip', 'netns', 'exec', inside(namespace), 'ipvsadm', '--restore'],
        input: `${services.join('\n')}\n`,
      });
    }
  }
  return commands;
}

/** Files of /proc/sys, written within the namespace; one that is not there is passed over, for `capabilities.ts` has looked. */
function sysctls(namespace: string, values: Record<string, number>): Command {
  const lines = Object.entries(values).map(
    ([key, value]) => `[ ! -e /proc/sys/${key} ] || echo ${value} > /proc/sys/${key}`,
  );
  return { argv: ['ip', 'netns', 'exec', namespace, 'sh', '-e'], input: `${lines.join('\n')}\n` };
}

function sysctlsOf(namespace: Namespace): Record<string, number> {
  const on = (field: Parameters<Namespace['get']>[0]): number => (namespace.get(field) ? 1 : 0);
  return {
    'net/ipv4/ip_forward': on('forward'),
    'net/ipv6/conf/all/forwarding': namespace.ipv6.forwards ? 1 : 0,
    'net/bridge/bridge-nf-call-iptables': on('bridgeNetfilter'),
    'net/bridge/bridge-nf-call-ip6tables': on('bridgeNetfilter6'),
    ...Object.fromEntries(
      [...namespace.devices.values()]
        .filter(({ addresses6 }) => addresses6.length > 0)
        .map(({ name }) => [`net/ipv6/conf/${name}/disable_ipv6`, 0]),
    ),
    ...(namespace.ipvs.services.length === 0
      ? {}
      : {
          'net/ipv4/vs/conntrack': on('ipvsConntrack'),
          'net/ipv4/vs/expire_nodest_conn': on('ipvsExpireNodest'),
          'net/ipv4/vs/conn_reuse_mode': on('ipvsReuseMode'),
        }),
  };
}

function link({ mac, mtu }: Device): string {
  return `address ${mac} mtu ${mtu}`;
}

/**
 * Bridges (that do not snoop: their IGMP reports come at random times), veth pairs (made with the end that the engine made
 * first) and the NICs, whose other ends are the wire's.
 */
function linksOf(namespace: Namespace, wire: string, inside: (namespace: Namespace) => string): string[] {
  const lines: string[] = [];
  for (const device of namespace.devices.values()) {
    const { name, peer } = device;
    if (device.kind === 'bridge')
      lines.push(`link add name ${name} ${link(device)} type bridge stp_state 0 mcast_snooping 0`);
    if (device.kind === 'veth' && peer && device.id < peer.id) {
      lines.push(
        `link add name ${name} ${link(device)} type veth peer name ${peer.name} ${link(peer)} netns ${inside(peer.namespace)}`,
      );
    }
    if (device.kind === 'physical') {
      lines.push(
        `link add name ${name} ${link(device)} type veth peer name ${portName(device)} mtu ${device.mtu} netns ${wire}`,
      );
    }
  }
  return lines;
}

/** The port of the wire's bridge that a NIC is plugged into. */
function portName(nic: Device): string {
  return `p${nic.id}`;
}

function wirePorts(lab: Lab): string[] {
  const nics = lab.engine.devices.filter(({ kind }) => kind === 'physical');
  return nics.flatMap((nic) => [`link set ${portName(nic)} master sw0`, `link set ${portName(nic)} up`]);
}

function masters(namespace: Namespace): string[] {
  const bridges = [...namespace.devices.values()].filter(({ kind }) => kind === 'bridge');
  return bridges.flatMap((bridge) => bridge.ports.map((port) => `link set ${port.name} master ${bridge.name}`));
}

function layerThree(namespace: Namespace): string[] {
  const devices = [...namespace.devices.values()];
  const addresses = devices.flatMap((device) =>
    device.addresses
      .filter(({ address }) => address !== '127.0.0.1')
      .map(
        ({ address, length }) =>
          `addr add ${address}/${length}${device.kind === 'loopback' || length > 30 ? '' : ' brd +'} dev ${device.name}`,
      ),
  );
  // What is link-local the kernel makes of the MAC, as the engine has.
  const addresses6 = devices.flatMap((device) =>
    device.addresses6
      .filter(({ address }) => address !== '::1' && !address.startsWith('fe80:'))
      .map(({ address, length }) => `addr add ${address}/${length} dev ${device.name} nodad`),
  );
  const routes6 = namespace.ipv6.routes
    .filter(({ gateway }) => gateway)
    .map(({ destination, gateway, device }) => `route add ${destination} via ${gateway} dev ${device.name}`);
  // Those with a source came with an address, as in the kernel.
  const routes = namespace.routes
    .filter(({ table, source }) => table === 'main' && source === undefined)
    .map(
      ({ destination, gateway, device }) =>
        `route add ${destination}${gateway ? ` via ${gateway}` : ''} dev ${device.name}`,
    );
  return [
    ...devices.map(({ name }) => `link set ${name} up`),
    ...addresses,
    ...addresses6,
    ...routes,
    ...routes6,
    ...namespace.neighbours.map(
      ({ address, mac, device }) => `neigh replace ${address} lladdr ${mac} nud permanent dev ${device.name}`,
    ),
  ];
}

/** Destinations in the order in which they were added: the engine's list, like the kernel's, has the last one first. */
function ipvsRestore(namespace: Namespace): string[] {
  return namespace.ipvs.services.flatMap(({ key, destinations }) => {
    const service = 'mark' in key ? `-f ${key.mark}` : `-${key.protocol[0]} ${key.address}:${key.port}`;
    return [
      `-A ${service} -s rr`,
      ...[...destinations]
        .reverse()
        .map(({ address, port, weight }) => `-a ${service} -r ${address}:${port} -m -w ${weight}`),
    ];
  });
}
