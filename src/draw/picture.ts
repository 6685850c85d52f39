/**
 * What a picture of a swarm shows, before anybody decides where: machines, the boxes in them (namespaces, bridges,
 * network cards), a line per device with its address, and the wires between lines. Both `mermaid.ts` and `svg.ts` draw this.
 */

import { hostPart, type Network, type Node, type Sandbox, type Topology } from '../topology/topology.js';

/** A device or an address in a box. `network` gives it its colour. */
export interface Line {
  text: string;
  network?: string;
}

/** In which column of its machine a box stands: what has sockets, what joins them, what leads out. */
export type Column = 'sandboxes' | 'networks' | 'cards';

export interface Box {
  id: string;
  title: string;
  column: Column;
  lines: Line[];
  network?: string;
}

/** From a line of one box to a line of another. */
export interface Wire {
  from: Place;
  to: Place;
  /**
   * veth: a pair of devices. routed: by the node's own routes and rules. vxlan: in UDP between nodes. lower: a device on top of
   * another one (macvlan, ipvlan, 802.1Q).
   */
  kind: 'veth' | 'routed' | 'vxlan' | 'lower';
  network?: string;
}

export interface Place {
  box: string;
  line: number;
}

export interface Machine {
  name: string;
  title: string;
  boxes: Box[];
  wires: Wire[];
  /** The box that is plugged into the underlay. */
  uplink: string;
}

export interface Caption {
  network?: string;
  text: string;
}

export interface Picture {
  title: string;
  /** Networks, then services: what a reader needs to know once. */
  captions: Caption[];
  /** Hosts that are no nodes, then nodes. */
  hosts: Machine[];
  nodes: Machine[];
  underlay: string;
}

export function pictureOf(topology: Topology, title: string): Picture {
  return {
    title,
    captions: [...topology.networks.filter(isDrawn(topology)).map(networkCaption), ...serviceCaptions(topology)],
    hosts: topology.hosts.map((host) => ({
      name: host.name,
      title: host.name,
      boxes: [
        card(host.name, host.nic.name, [
          ...host.nic.addresses,
          ...host.extraAddresses,
          ...(host.vlans ?? []).flatMap(({ name, addresses }) => addresses.map((address) => `${name} ${address}`)),
        ]),
      ],
      wires: [],
      uplink: id(host.name, host.nic.name),
    })),
    nodes: topology.nodes.map((node) => machine(topology, node)),
    underlay: 'underlay',
  };
}

function machine(topology: Topology, node: Node): Machine {
  const boxes: Box[] = [];
  const wires: Wire[] = [];
  const uplink = id(node.name, node.nic.name);
  const here = topology.sandboxes.filter((sandbox) => sandbox.node === node.name);
  for (const sandbox of here) boxes.push(sandboxBox(topology, sandbox));
  for (const network of topology.networks.filter(isDrawn(topology))) {
    const on = network.onNode[node.name];
    const ends = here.flatMap((sandbox) =>
      sandbox.endpoints.flatMap((endpoint, line) =>
        endpoint.network === network.name
          ? [{ port: endpoint.port, name: endpoint.peer.name, from: { box: id(node.name, sandbox.name), line } }]
          : [],
      ),
    );
    if (!on || (ends.length === 0 && network.driver !== 'overlay')) continue;
    if (!BRIDGED.has(network.driver)) {
      standOn(
        node,
        network,
        on.bridge,
        ends.map(({ from }) => from),
        boxes,
        wires,
      );
      continue;
    }
    const box = id(node.name, network.name);
    const ownAddress = on.gateway === '' ? on.subnet : `${on.gateway}/${length(on.subnet)}`;
    const lines: Line[] = [{ text: network.driver === 'overlay' ? `${on.bridge} ${on.gateway}` : ownAddress }];
    for (const { name, from } of ends.sort((a, b) => a.port - b.port)) {
      wires.push({ from, to: { box, line: lines.length }, kind: 'veth', network: network.name });
      lines.push({ text: name, network: network.name });
    }
    const tunnels = on.vxlan ? `${on.vxlan.name} VNI ${network.vni}` : TUNNELS[network.driver];
    if (tunnels) {
      wires.push({
        from: { box, line: lines.length },
        to: { box: uplink, line: 0 },
        kind: 'vxlan',
        network: network.name,
      });
      lines.push({ text: tunnels, network: network.name });
    } else wires.push({ from: { box, line: 0 }, to: { box: uplink, line: 0 }, kind: 'routed' });
    boxes.push({
      id: box,
      title: network.driver === 'overlay' ? `ov-${network.name}` : on.bridge,
      column: 'networks',
      lines,
      network: network.name,
    });
  }
  boxes.push(card(node.name, node.nic.name, node.nic.addresses));
  for (const { name, addresses } of node.nics ?? []) boxes.push(card(node.name, name, addresses));
  return { name: node.name, title: `${node.name} · ${node.role}`, boxes, wires, uplink };
}

/** Drivers whose networks are a bridge on each node, and those of them that lead to other nodes without a VNI of the network's. */
const BRIDGED = new Set(['bridge', 'overlay', 'weave']);
const TUNNELS: Readonly<Record<string, string>> = { weave: 'vxlan-6784' };

/** macvlan, ipvlan and the like: devices of sandboxes stand on the node's own device, or on a VLAN of it. */
function standOn(
  node: Node,
  network: Network,
  parent: string,
  ends: readonly Place[],
  boxes: Box[],
  wires: Wire[],
): void {
  const uplink = id(node.name, node.nic.name);
  let to: Place = { box: uplink, line: 0 };
  if (parent !== node.nic.name) {
    const box = id(node.name, parent);
    const vlan = /\.(\d+)$/.exec(parent)?.[1];
    if (!boxes.some((one) => one.id === box)) {
      const lines = [{ text: vlan === undefined ? network.driver : `802.1Q ${vlan}` }];
      boxes.push({ id: box, title: parent, column: 'networks', lines, network: network.name });
      // Without a number it is a dummy: it leads nowhere.
      if (vlan !== undefined) wires.push({ from: { box, line: 0 }, to, kind: 'lower', network: network.name });
    }
    to = { box, line: 0 };
  }
  for (const from of ends) wires.push({ from, to, kind: 'lower', network: network.name });
}

function sandboxBox(topology: Topology, sandbox: Sandbox): Box {
  const lines: Line[] = sandbox.endpoints.map(({ interface: name, address, address6, network }) => ({
    text: `${name} ${address}${address6 ? ` ${address6}` : ''}`,
    network,
  }));
  if (sandbox.kind === 'balancer') {
    // A VIP that every node's balancer answers for.
    for (const { network } of sandbox.endpoints) {
      for (const { name, vips } of topology.services) {
        const vip = vips[network];
        if (vip) lines.push({ text: `VIP ${vip} ${name}`, network });
      }
    }
  }
  if (lines.length === 0) lines.push({ text: whereOf(sandbox) });
  return { id: id(sandbox.node, sandbox.name), title: sandbox.name, column: 'sandboxes', lines };
}

/** Of one that has no device of its own. */
function whereOf({ shares }: Sandbox): string {
  if (shares === undefined) return 'lo';
  return shares === 'host' ? 'in the node’s own namespace' : `in ${shares}’s namespace`;
}

function card(machineName: string, name: string, addresses: readonly string[]): Box {
  return {
    id: id(machineName, name),
    title: name,
    column: 'cards',
    lines: addresses.map((text) => ({ text })),
  };
}

/** A network on which nobody is (docker0 of most swarms) would only take room. */
function isDrawn({ sandboxes }: Topology): (network: Network) => boolean {
  const used = new Set(sandboxes.flatMap(({ endpoints }) => endpoints.map(({ network }) => network)));
  return ({ name }) => used.has(name);
}

function networkCaption({ name, driver, mtu, vni, onNode }: Network): Caption {
  const subnets = [...new Set(Object.values(onNode).map(({ subnet }) => subnet))];
  const parts = [`${name}: ${driver}`, subnets.join(', '), vni === undefined ? '' : `VNI ${vni}`, `MTU ${mtu}`];
  return { network: name, text: parts.filter((part) => part !== '').join(', ') };
}

function serviceCaptions({ services, sandboxes }: Topology): Caption[] {
  return services.map(({ name, ports, vips }) => {
    const tasks = sandboxes.filter(({ service, kind }) => service === name && kind === 'task').length;
    const published = ports.map(
      ({ published, target, protocol }) => `${published}→${target}${protocol === 'tcp' ? '' : `/${protocol}`}`,
    );
    const parts = [
      `service ${name}: ${tasks} task${tasks === 1 ? '' : 's'}`,
      published.length > 0 ? `published ${published.join(', ')}` : '',
      ...Object.entries(vips).map(([network, vip]) => `VIP ${hostPart(vip)} on ${network}`),
    ];
    return { text: parts.filter((part) => part !== '').join(', ') };
  });
}

function length(subnet: string): string {
  return subnet.split('/')[1] ?? '';
}

function id(machineName: string, box: string): string {
  return `${machineName}/${box}`;
}
