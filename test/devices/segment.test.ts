/** The segment: the underlay's wire, a switch that learns (as the lab's was), with latency, and with loss where a test wants it. */

import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { BROADCAST, ethernet, IPV4, udpPacket } from '../engine/packets.js';
import { SECOND } from '../engine/state.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';

const LATENCY = 50_000;
const mac = (n: number) => `52:54:00:00:00:0${n}`;

async function wire(hosts = 3, seed = 1) {
  const engine = await checkedEngine({ seed });
  const segment = engine.segment(LATENCY);
  const nics: Device[] = [];
  for (let n = 1; n <= hosts; n++) {
    const host = engine.namespace(`host${n}/host`);
    host.set('silent', 1);
    nics.push(host.addPhysical('eth0', segment, { mac: mac(n), mtu: 1500 }));
  }
  const watch = new Watch(engine, nics);
  /** A frame from host `n`; who receives it. */
  const send = (n: number, to: string, from = mac(n)): string[] => {
    const nic = nics[n - 1];
    if (!nic) throw new Error(`there is no host ${n}`);
    watch.clear();
    engine.transmit(
      nic,
      ethernet(to, from, IPV4, udpPacket({ source: '10.0.0.1', destination: '10.0.0.2', sport: n, dport: 9 })),
    );
    engine.run(engine.now + 1_000_000);
    return watch
      .frames()
      .filter(({ direction }) => direction === 'received')
      .map(({ tap }) => tap.split('/')[0] ?? '');
  };
  return { engine, segment, nics, watch, send };
}

describe('a segment', () => {
  it('floods a frame to all but its sender until it knows where its receiver is', async () => {
    const { engine, send } = await wire();
    expect(send(1, mac(2))).toEqual(['host2', 'host3']);
    send(2, mac(1));
    expect(send(1, mac(2))).toEqual(['host2']);
    expect(send(3, mac(1))).toEqual(['host1']);
    expectConserved(engine);
  });

  it('floods a broadcast always', async () => {
    const { send } = await wire();
    send(2, mac(1));
    expect(send(1, BROADCAST)).toEqual(['host2', 'host3']);
  });

  it('knows what it was told before the first frame', async () => {
    const { segment, nics, send } = await wire();
    segment.learn(mac(3), nics[2] as Device);
    expect(send(1, mac(3))).toEqual(['host3']);
  });

  it('forgets after 300 s', async () => {
    const { engine, send } = await wire();
    send(2, mac(1));
    engine.run(301 * SECOND);
    expect(send(1, mac(2))).toEqual(['host2', 'host3']);
  });

  it('brings nothing back to its own port', async () => {
    const { engine, send } = await wire();
    send(1, mac(2), mac(7));
    expect(send(1, mac(7))).toEqual([]);
    expect(dropsOf(engine)).toContain('host1/host/eth0 BRIDGE_SAME_PORT');
    expectConserved(engine);
  });

  it('takes its latency, and the hops at both ends', async () => {
    const { send, watch } = await wire(2);
    send(1, mac(2));
    const [left, came] = watch.frames();
    expect((came?.time ?? 0) - (left?.time ?? 0)).toBe(LATENCY + 1000);
  });

  it('alone has nobody to bring a frame to', async () => {
    const { engine, send } = await wire(1);
    expect(send(1, mac(2))).toEqual([]);
    expect(dropsOf(engine)).toEqual(['host1/host/eth0 BRIDGE_NO_EGRESS']);
    expectConserved(engine);
  });

  it('that is not there carries nothing', async () => {
    const { engine, nics, send } = await wire(2);
    (nics[0] as Device).up = false;
    expect(send(1, mac(2))).toEqual([]);
    expect(dropsOf(engine)).toEqual(['host1/host/eth0 DEV_DOWN']);
    expectConserved(engine);
  });
});

describe('loss', () => {
  async function lost(share: number, seed: number): Promise<number[]> {
    const { engine, segment, send } = await wire(2, seed);
    segment.loss = share;
    const missing = Array.from({ length: 400 }, (_, i) => (send(1, mac(2)).length === 0 ? i : -1)).filter(
      (i) => i >= 0,
    );
    const counted = engine.drops.find(({ reason }) => reason === 'SEGMENT_LOSS')?.count ?? 0;
    expect(counted, 'each is counted where it was sent').toBe(missing.length);
    expectConserved(engine);
    return missing;
  }

  it('takes the share that it is told to', async () => {
    expect(await lost(0, 1)).toHaveLength(0);
    const some = (await lost(0.25, 1)).length;
    // 400 × 0.25 ± five standard deviations.
    expect(some).toBeGreaterThan(100 - 44);
    expect(some).toBeLessThan(100 + 44);
    expect(await lost(1, 1)).toHaveLength(400);
  });

  it('is the same for the same seed, and another for another', async () => {
    const first = await lost(0.25, 7);
    expect(await lost(0.25, 7)).toEqual(first);
    expect(await lost(0.25, 8)).not.toEqual(first);
  });
});

describe('an access list', () => {
  it('stops one port towards one device, from one sender or from all, and counts', async () => {
    const { engine, nics, send } = await wire();
    const [first, second, third] = nics as [Device, Device, Device];
    const all = third.deny({ protocol: 'udp', port: 9 });
    const one = second.deny({ protocol: 'udp', port: 9, from: first });
    // Flooded, with a copy for each: every copy meets its own list.
    expect(send(1, mac(2))).toEqual([]);
    expect(send(3, mac(2))).toEqual(['host1', 'host2']);
    expect(send(2, mac(3))).toEqual([]);
    expect([all.packets, one.packets]).toEqual([2, 1]);
    const stopped = dropsOf(engine).filter((drop) => drop.includes('SEGMENT_FIREWALL'));
    expect(stopped, 'each is counted where it was sent').toEqual([
      'host1/host/eth0 SEGMENT_FIREWALL x2',
      'host2/host/eth0 SEGMENT_FIREWALL',
    ]);
    expectConserved(engine);
  });

  it('lets other ports, other protocols and what is no IP pass', async () => {
    const { engine, nics, send } = await wire(2);
    nics[1]?.deny({ protocol: 'udp', port: 4789 });
    nics[1]?.deny({ protocol: 'tcp', port: 9 });
    nics[1]?.deny({ protocol: 'esp' });
    expect(send(1, mac(2))).toEqual(['host2']);
    engine.transmit(nics[0] as Device, ethernet(mac(2), mac(1), 0x88b5, new Uint8Array(46)));
    engine.run(engine.now + 1_000_000);
    expect(engine.drops.filter(({ reason }) => reason === 'SEGMENT_FIREWALL')).toEqual([]);
    expectConserved(engine);
  });

  it('without a port stops all of a protocol, over IPv6 too', async () => {
    const { engine, nics } = await wire(2);
    const denial = nics[1]?.deny({ protocol: 'esp' });
    const packet = new Uint8Array(60);
    packet[0] = 0x60;
    packet[6] = 50;
    engine.transmit(nics[0] as Device, ethernet(mac(2), mac(1), 0x86dd, packet));
    const truncated = packet.subarray(0, 12);
    engine.transmit(nics[0] as Device, ethernet(mac(2), mac(1), 0x86dd, truncated));
    engine.run(engine.now + 1_000_000);
    expect(denial?.packets).toBe(1);
    expectConserved(engine);
  });

  it('that is taken back stops nothing any more', async () => {
    const { engine, nics, send } = await wire(2);
    const one = nics[1]?.deny({ protocol: 'udp', port: 9 });
    const other = nics[1]?.deny({ protocol: 'udp', port: 10 });
    expect(send(1, mac(2))).toEqual([]);
    one?.remove();
    expect(send(1, mac(2))).toEqual(['host2']);
    other?.remove();
    expect(send(1, mac(2))).toEqual(['host2']);
    expectConserved(engine);
  });
});
