/**
 * What a bridged vxlan device of Linux 6.1 made of 750 frames (recorded/vxlan): which of them share a source port, marks of
 * congestion both ways, neighbours that it answers for, packets that do not fit. Nothing is masked but the outer IP id and source
 * port, which the kernel draws, and the checksums over them; which frames share a port is no matter of chance.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/read.js';
import { checkedEngine } from '../engine/checked.js';
import { put16, toHex, u16 } from '../engine/packets.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';

const NODES = [
  { mac: '52:54:00:00:00:6e', address: '192.168.99.110' },
  { mac: '52:54:00:00:00:6f', address: '192.168.99.111' },
] as const;
const TASKS = [
  { mac: '02:42:0a:00:09:0a', addresses: ['10.0.9.10', '2001:db8:9::a', 'fe80::42:aff:fe00:90a'] },
  { mac: '02:42:0a:00:09:0b', addresses: ['10.0.9.11', '2001:db8:9::b', 'fe80::42:aff:fe00:90b'] },
] as const;
/** What the far node's task has, and a MAC for which the tunnel has no entry. */
const ELSEWHERE = { mac: '02:42:0a:00:09:0e', address: '2001:db8:9::e' };

function recorded(name: string): Uint8Array[] {
  const file = new URL(`recorded/vxlan/${name}.pcap`, import.meta.url);
  return readCapture(readFileSync(file)).frames.map(({ data }) => data);
}

/** One of the two nodes, as recorded/vxlan/kernel.sh sets it up. */
async function node(index: 0 | 1, { underlayMtu = 1500 } = {}) {
  // By this seed no two hashes meet that should not.
  const engine = await checkedEngine({ seed: 2 });
  const [own, far] = [NODES[index], NODES[1 - index] as (typeof NODES)[number]];
  const [task, peer] = [TASKS[index], TASKS[1 - index] as (typeof TASKS)[number]];
  const host = engine.namespace('host');
  const nic = host.addPhysical('eth0', engine.segment(1000), { mac: own.mac, mtu: underlayMtu });
  host.addAddress(nic, `${own.address}/24`);
  host.addNeighbour(nic, far.address, far.mac);
  const overlay = engine.namespace('overlay');
  const mac = `02:00:00:00:0${index + 1}:01`;
  const vxlan = overlay.addVxlan('vxlan0', { mac, mtu: 1450, vni: 4097, port: 4789, underlay: host });
  const inside = engine.namespace('task');
  inside.set('silent', 1);
  const [device, veth] = inside.addVeth(
    'eth0',
    { mac: task.mac, mtu: 1450 },
    { namespace: overlay, name: 'veth0', mac: `02:00:00:00:0${index + 1}:02`, mtu: 1450 },
  );
  const bridge = overlay.addBridge('br0', { mac, mtu: 1450 });
  overlay.addPort(bridge, vxlan);
  overlay.addPort(bridge, veth);
  overlay.set('bridgeNetfilter', 1);
  overlay.set('bridgeNetfilter6', 1);
  overlay.addVxlanFdb(vxlan, peer.mac, far.address);
  for (const address of peer.addresses) overlay.addNeighbour(vxlan, address, peer.mac);
  overlay.addNeighbour(vxlan, ELSEWHERE.address, ELSEWHERE.mac);
  const watch = new Watch(engine, [nic, vxlan, veth, device]);
  /** Each frame has left the machine before the next one comes. */
  const sends = (frames: readonly Uint8Array[]) => {
    for (const frame of frames) {
      engine.transmit(device, frame, engine.now);
      engine.run(engine.now + 1_000_000);
    }
    expectConserved(engine);
  };
  const receives = (frames: readonly Uint8Array[]) => {
    for (const frame of frames) {
      engine.receive(nic, frame);
      engine.run(engine.now + 1_000_000);
    }
    expectConserved(engine);
  };
  return { engine, nic, vxlan, veth, device, watch, sends, receives };
}

/** Without what the kernel draws; the second fragment of an outer packet has no UDP header. */
function masked(frame: Uint8Array): string {
  const copy = frame.slice();
  const first = (u16(frame, 20) & 0x1fff) === 0;
  for (const at of first ? [18, 24, 34, 40] : [18, 24]) put16(copy, at, 0);
  return toHex(copy);
}

/** The places of the frames in `sent` that left with the same source port, port by port; -1: what was not sent at all. */
function sharing(sent: readonly Uint8Array[], wire: readonly Uint8Array[]): number[][] {
  const left = new Map<string, number[]>();
  for (const frame of wire) {
    const ports = left.get(toHex(frame.subarray(50)));
    if (ports) ports.push(u16(frame, 34));
    else left.set(toHex(frame.subarray(50)), [u16(frame, 34)]);
  }
  const groups = new Map<number, number[]>();
  for (const [i, frame] of sent.entries()) {
    const port = left.get(toHex(frame))?.shift() ?? -1;
    const group = groups.get(port);
    if (group) group.push(i);
    else groups.set(port, [i]);
  }
  return [...groups.values()];
}

describe('a vxlan device that is a bridge’s port', () => {
  it('gives the same source port to those frames to which Linux gives the same', async () => {
    const sent = recorded('hash-sent');
    const real = recorded('hash-wire');
    const { nic, watch, sends } = await node(0);
    sends(sent);
    const ours = watch.sent(nic);
    expect(ours.map(masked)).toEqual(real.map(masked));
    expect(sharing(sent, ours)).toEqual(sharing(sent, real));
    for (const frame of ours) {
      expect(u16(frame, 34)).toBeGreaterThanOrEqual(32768);
      expect(u16(frame, 34)).toBeLessThan(60999);
    }
  });

  it('shows outside the marks of congestion that Linux shows', async () => {
    const { nic, watch, sends } = await node(0);
    sends(recorded('ecn-sent'));
    expect(watch.sent(nic).map(masked)).toEqual(recorded('ecn-wire').map(masked));
  });

  it('carries marks inside as Linux does, and drops what it drops', async () => {
    const { engine, vxlan, watch, receives } = await node(1);
    receives(recorded('decap-wire'));
    expect(watch.received(vxlan).map(toHex)).toEqual(recorded('decap-inside').map(toHex));
    expect(dropsOf(engine)).toEqual(
      expect.arrayContaining(['overlay/vxlan0 IP_TUNNEL_ECN x16', 'overlay/vxlan0 PKT_TOO_SMALL x12']),
    );
  });

  it('answers for neighbours, IPv6’s too, byte for byte', async () => {
    const { vxlan, watch, sends } = await node(0);
    // The tunnel's entry for ::c said that it is a router, which entries here do not.
    const router = '20010db800090000000000000000000c';
    const isAboutRouter = (frame: Uint8Array) => toHex(frame).replaceAll(' ', '').includes(router);
    sends(recorded('nd-sent').filter((frame) => !isAboutRouter(frame)));
    const real = recorded('nd-answers').filter((frame) => !isAboutRouter(frame));
    expect(watch.received(vxlan).map(toHex)).toEqual(real.map(toHex));
  });

  it('refuses what does not fit as Linux refuses it, and cuts the rest outside', async () => {
    const { nic, vxlan, watch, sends } = await node(0, { underlayMtu: 1400 });
    sends(recorded('big-sent'));
    expect(watch.received(vxlan).map(toHex)).toEqual(recorded('big-answers').map(toHex));
    expect(watch.sent(nic).map(masked)).toEqual(recorded('big-wire').map(masked));
  });
});
