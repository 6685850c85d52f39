/**
 * A topology that stands twice: in the engine, by its own handles, and in the kernel, by commands made from those handles
 * (`commands.ts`). A lab is the engine's side, with the few notes that its handles do not keep.
 */

import type { Device, Engine, Namespace, Segment } from '../../engine/index.js';
import type { Realized } from '../../swarm/realize.js';
import { hostPart } from '../../topology/topology.js';

export interface Tunnel {
  port: number;
  /** Where its UDP socket lives. */
  underlay: Namespace;
}

export interface Forwarding {
  vxlan: Device;
  mac: string;
  /** VTEP */
  remote: string;
}

export class Lab {
  readonly tunnels = new Map<Device, Tunnel>();
  readonly forwarding: Forwarding[] = [];

  constructor(
    readonly engine: Engine,
    readonly wire: Segment,
  ) {}

  namespace(name: string): Namespace {
    return this.engine.namespace(name);
  }

  /** A NIC on the wire, with its address (CIDR). */
  nic(namespace: Namespace, name: string, mac: string, address: string, mtu = 1500): Device {
    const device = namespace.addPhysical(name, this.wire, { mac, mtu });
    namespace.addAddress(device, address);
    return device;
  }

  /** A veth pair as Docker makes it: one end in a sandbox with its address, the other a bridge's next port. */
  plug(
    sandbox: Namespace,
    inside: { name: string; mac: string; address: string; mtu?: number },
    bridge: Device,
    outside: { name: string; mac: string },
  ): Device {
    const mtu = inside.mtu ?? 1500;
    const [device, port] = sandbox.addVeth(
      inside.name,
      { mac: inside.mac, mtu },
      { namespace: bridge.namespace, name: outside.name, mac: outside.mac, mtu },
    );
    sandbox.addAddress(device, inside.address);
    bridge.namespace.addPort(bridge, port);
    return device;
  }

  vxlan(
    namespace: Namespace,
    name: string,
    options: { mac: string; mtu: number; vni: number; port: number; underlay: Namespace },
  ): Device {
    const device = namespace.addVxlan(name, options);
    this.tunnels.set(device, { port: options.port, underlay: options.underlay });
    return device;
  }

  /** What the overlay driver programs for an endpoint on another node: its neighbour and where its MAC is. */
  remote(vxlan: Device, endpoint: { address: string; mac: string }, vtep: string): void {
    vxlan.namespace.addNeighbour(vxlan, endpoint.address, endpoint.mac);
    vxlan.namespace.addVxlanFdb(vxlan, endpoint.mac, vtep);
    this.forwarding.push({ vxlan, mac: endpoint.mac, remote: vtep });
  }

  get namespaces(): Namespace[] {
    return [...this.engine.namespaces.values()];
  }

  /** By path: `node1/host/eth0`. */
  device(path: string): Device {
    const found = this.engine.devices.find((device) => device.path === path);
    if (!found) throw new Error(`the lab has no device ${path}`);
    return found;
  }
}

/** The lab of a whole swarm that our own drivers have programmed. */
export function labOf({ engine, topology, underlay, namespaces }: Realized): Lab {
  const lab = new Lab(engine, underlay);
  const vtep = new Map(topology.nodes.map(({ name, nic }) => [name, hostPart(nic.addresses[0] ?? '')]));
  for (const network of topology.networks) {
    for (const [node, { vxlan: names }] of Object.entries(network.onNode)) {
      const host = namespaces.get(`${node}/host`);
      const vxlan = names && namespaces.get(`${node}/ov-${network.name}`)?.devices.get(names.name);
      if (!host || !vxlan) continue;
      lab.tunnels.set(vxlan, { port: network.dataPathPort ?? 4789, underlay: host });
      for (const sandbox of topology.sandboxes.filter((one) => one.node !== node)) {
        for (const { network: joined, mac } of sandbox.endpoints) {
          if (joined === network.name) lab.forwarding.push({ vxlan, mac, remote: vtep.get(sandbox.node) ?? '' });
        }
      }
    }
  }
  return lab;
}
