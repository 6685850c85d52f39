/** Who takes part in the cases, and how they send: names, addresses and MACs in one place. */

import type { Network, Node, PublishedPort, Sandbox, Topology } from '../../../topology/topology.js';
import type { Stimulus } from '../case.js';
import { arp, BROADCAST, ethernet, type Ip } from '../packets.js';

/** An end that sends frames: its device and what stands in them. */
export interface Place {
  at: string;
  mac: string;
  address: string;
}

export const CLIENT: Place = { at: 'client/host/eth0', mac: '02:00:00:00:50:02', address: '192.168.50.2' };
export const NODE1: Place = { at: 'node1/host/eth0', mac: '02:00:00:00:50:0b', address: '192.168.50.11' };
export const NODE2: Place = { at: 'node2/host/eth0', mac: '02:00:00:00:50:0c', address: '192.168.50.12' };
export const DOCKER0 = { mac: '02:42:9a:00:00:01', address: '172.17.0.1' };
export const WEB: Place = { at: 'node1/ct-web/eth0', mac: '02:42:ac:11:00:02', address: '172.17.0.2' };
export const CLI: Place = { at: 'node1/ct-cli/eth0', mac: '02:42:ac:11:00:03', address: '172.17.0.3' };

/** Stimuli of one case, each with an IP id of its own. */
export class Stimuli {
  readonly list: Stimulus[] = [];
  #id = 0x5000;

  /** A header from one end to another; its id is new each time. */
  header(from: { address: string }, to: { address: string } | string, more: Partial<Ip> = {}): Ip {
    this.#id += 1;
    return { from: from.address, to: typeof to === 'string' ? to : to.address, id: this.#id, ...more };
  }

  frame(what: string, at: Place, to: { mac: string } | string, packet: Uint8Array, waits: Waits = {}): void {
    const mac = typeof to === 'string' ? to : to.mac;
    this.list.push({ what, at: at.at, frame: ethernet(mac, at.mac, packet), ...waits });
  }

  raw(what: string, at: Place, frame: Uint8Array, waits: Waits = {}): void {
    this.list.push({ what, at: at.at, frame, ...waits });
  }

  packet(what: string, namespace: string, packet: Uint8Array, waits: Waits = {}): void {
    this.list.push({ what, from: namespace, packet, ...waits });
  }

  ask(what: string, at: Place, address: string): void {
    this.raw(what, at, ethernet(BROADCAST, at.mac, arp('request', at, { address }), 0x0806));
  }
}

interface Waits {
  wait?: number;
  virtualWait?: number;
}

export function node({ mac, address }: Place, name: string, mtu = 1500): Node {
  return { name, role: 'manager', nic: { name: 'eth0', mac, mtu, addresses: [`${address}/24`] } };
}

export function topology(parts: Partial<Topology>): Topology {
  const client = {
    name: 'client',
    nic: { name: 'eth0', mac: CLIENT.mac, mtu: 1500, addresses: [`${CLIENT.address}/24`] },
    extraAddresses: [],
    forwards: false,
  };
  return { engine: '20.10', nodes: [], hosts: [client], networks: [], services: [], sandboxes: [], ...parts };
}

/** docker0 of node1. */
export function defaultBridge(mtu = 1500): Network {
  return {
    name: 'bridge',
    id: 'bridge',
    driver: 'bridge',
    ingress: false,
    mtu,
    icc: true,
    masquerade: true,
    onNode: { node1: { subnet: '172.17.0.0/16', gateway: DOCKER0.address, bridge: 'docker0', bridgeMac: DOCKER0.mac } },
  };
}

/** A container on docker0, as its port number `port`. */
export function container({ at, mac, address }: Place, port: number, publishes: PublishedPort[] = []): Sandbox {
  const name = at.split('/')[1] ?? '';
  return {
    name,
    node: 'node1',
    kind: 'container',
    endpoints: [
      {
        network: 'bridge',
        interface: 'eth0',
        address: `${address}/16`,
        mac,
        peer: { name: `veth${name.slice(3)}`, mac: `ce:00:00:00:00:0${port}` },
        port,
      },
    ],
    publishes,
  };
}
