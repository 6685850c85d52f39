/** IPv6 in a tunnel: a node with an overlay's bridge, to which frames come from a task and by the tunnel, with the flow table or without. */

import { expect } from 'vitest';
import { address6, ipv6 } from '../../bench/headers6.js';
import type { Engine } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { concat, ethernet, IPV4, toHex, udpPacket } from '../engine/packets.js';
import { IPV6, udp6Packet } from '../engine/packets6.js';
import { Watch } from '../engine/watch.js';
import { books, slowFrames, state } from './seen.js';

export const [NODE1, NODE2] = [
  { mac: '52:54:00:00:00:01', address: '10.1.0.1' },
  { mac: '52:54:00:00:00:02', address: '10.1.0.2' },
];
export const [NEAR, FAR, BEYOND] = [
  { mac: '02:42:0a:00:00:02', address: 'fd00::2' },
  { mac: '02:42:0a:00:00:03', address: 'fd00::3' },
  { mac: '02:42:0a:00:00:04', address: 'fd00::4' },
];

interface Life {
  seen: string[];
  /** Packets that went by a flow, and how often one took the slow way at a device. */
  fast: number;
  slow: number;
}

/** A node with an overlay's bridge, to which frames come by a veth and by the tunnel; a wire leads on from it, to where nobody listens. */
async function life(fast: boolean, happens: (node: Node) => void): Promise<Life> {
  const engine = await checkedEngine();
  engine.exports.setFlowTable(fast ? 1 : 0);
  const host = engine.namespace('node1/host');
  const segment = engine.segment(1000);
  const nic = host.addPhysical('eth0', segment, { mac: NODE1.mac, mtu: 1500 });
  const far = engine.namespace('node2/host').addPhysical('eth0', segment, { mac: NODE2.mac, mtu: 1500 });
  host.addAddress(nic, `${NODE1.address}/24`);
  host.addNeighbour(nic, NODE2.address, NODE2.mac);
  const overlay = engine.namespace('node1/overlay');
  const mac = '02:00:00:00:01:01';
  const vxlan = overlay.addVxlan('vxlan0', { mac, mtu: 1450, vni: 4097, port: 4789, underlay: host });
  const task = engine.namespace('node1/task');
  const [, veth] = task.addVeth(
    'eth0',
    { mac: NEAR.mac, mtu: 1450 },
    { namespace: overlay, name: 'veth0', mac: '02:00:00:00:01:02', mtu: 1450 },
  );
  task.ipv6.enable(task.device('lo'));
  task.addAddress(task.device('eth0'), `${NEAR.address}/64`, { nodad: true });
  task.addForeignSocket('udp', { address: '::', port: 80 });
  const bridge = overlay.addBridge('br0', { mac, mtu: 1450 });
  overlay.addPort(bridge, vxlan);
  overlay.addPort(bridge, veth);
  const beyond = engine.segment(1000);
  const wire = overlay.addPhysical('eth1', beyond, { mac: '02:00:00:00:01:03', mtu: 1450 });
  const end = engine.namespace('beyond').addPhysical('eth0', beyond, { mac: BEYOND.mac, mtu: 1450 });
  overlay.addPort(bridge, wire);
  overlay.learnFdb(bridge, NEAR.mac, veth);
  overlay.learnFdb(bridge, BEYOND.mac, wire);
  overlay.addVxlanFdb(vxlan, FAR.mac, NODE2.address);
  const watch = new Watch(engine, [nic, veth, end]);
  const passes = (come: () => void) => {
    come();
    engine.run(engine.now + 100_000);
  };
  const says = (frame: Uint8Array) => passes(() => engine.receive(veth, frame));
  const hears = (frame: Uint8Array) => passes(() => engine.transmit(far, frame));
  // The bridge learns who is behind the tunnel, the wire where the other node is.
  hears(tunnelled(datagram({ back: true }), 0));
  happens({ engine, says, hears });
  const seen = watch.frames().map(({ tap, time, data }) => `${tap} ${time} ${toHex(data)}`);
  return {
    seen: [...seen, ...books(engine), ...state(engine)],
    fast: engine.exports.fastPackets(),
    slow: slowFrames(engine),
  };
}
export interface Node {
  engine: Engine;
  /** Comes in from the task, or by the tunnel's node. */
  says(frame: Uint8Array): void;
  hears(frame: Uint8Array): void;
}

export function datagram({ label = 0, tos = 0, back = false } = {}): Uint8Array {
  const [from, to] = back ? [FAR, NEAR] : [NEAR, FAR];
  const ends = { source: from.address, destination: to.address, sport: back ? 4000 : 80, dport: back ? 80 : 4000 };
  return ethernet(
    to.mac,
    from.mac,
    IPV6,
    udp6Packet({ ...ends, trafficClass: tos, flowLabel: label }, new Uint8Array(40)),
  );
}
/** To whom that wire leads. */
export function onward(protocol: number, payload: Uint8Array): Uint8Array {
  const [source, destination] = [address6(FAR.address), address6(BEYOND.address)];
  return ethernet(BEYOND.mac, FAR.mac, IPV6, ipv6({ source, destination, protocol, label: 5 }, payload));
}
export function tunnelled(frame: Uint8Array, tos: number): Uint8Array {
  const header = Uint8Array.of(8, 0, 0, 0, 0, 0x10, 0x01, 0);
  const ends = { source: NODE2.address, destination: NODE1.address, sport: 40_000, dport: 4789, flags: 0, tos };
  return ethernet(NODE1.mac, NODE2.mac, IPV4, udpPacket(ends, concat(header, frame)));
}

export async function both(happens: (node: Node) => void): Promise<Life> {
  const [slow, quick] = [await life(false, happens), await life(true, happens)];
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.fast).toBe(0);
  return quick;
}
