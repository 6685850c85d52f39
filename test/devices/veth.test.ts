/** veth (drivers/net/veth.c): what goes in at one end comes out at the other, and what belongs to a namespace stays there. */

import { describe, expect, it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import { ethernet, IPV4, toHex, udpPacket } from '../engine/packets.js';
import { connectionsIn } from '../engine/state.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';

async function pair(mtu = 1500) {
  const engine = await checkedEngine();
  const one = engine.namespace('node/one');
  const two = engine.namespace('node/two');
  const [a, b] = one.addVeth('eth0', { mac: A, mtu }, { namespace: two, name: 'eth0', mac: B, mtu });
  one.addAddress(a, '10.0.0.1/24');
  two.addAddress(b, '10.0.0.2/24');
  one.addNeighbour(a, '10.0.0.2', B);
  two.addNeighbour(b, '10.0.0.1', A);
  return { engine, one, two, a, b, watch: new Watch(engine, [a, b]) };
}

const packet = udpPacket({ source: '10.0.0.1', destination: '10.0.0.2', sport: 4000, dport: 53 });
const from = { address: '10.0.0.1', port: 4000 };
const to = { address: '10.0.0.2', port: 53 };

describe('a veth pair', () => {
  it('hands the frame over as it is, a hop later', async () => {
    const { engine, two, a, b, watch } = await pair();
    two.set('silent', 1);
    const frame = ethernet(B, A, IPV4, packet);
    engine.transmit(a, frame);
    engine.run(1e9);
    expect(watch.sent(a).map(toHex)).toEqual([toHex(frame)]);
    expect(watch.received(b).map(toHex)).toEqual([toHex(frame)]);
    const [out, into] = watch.frames();
    expect((into?.time ?? 0) - (out?.time ?? 0)).toBe(1000);
    expect(a.counters).toMatchObject({ txPackets: 1, txBytes: frame.length, rxPackets: 0 });
    expect(b.counters).toMatchObject({ rxPackets: 1, rxBytes: frame.length, txPackets: 0 });
    expectConserved(engine);
  });

  it('leaves the mark behind', async () => {
    const { engine, one, two } = await pair();
    two.set('silent', 1);
    one.iptables.append('mangle', 'OUTPUT', { target: 'MARK', value: 256 });
    // IPVS would take what still had the mark.
    two.ipvs.add({ mark: 256 });
    const arrived = two.iptables.append('filter', 'INPUT', { protocol: 'udp', target: 'ACCEPT' });
    engine.sendFromSocket(one, packet, from, to);
    engine.run(1e9);
    expect(arrived.packets).toBe(1);
    expect(dropsOf(engine)).toEqual([]);
  });

  it('leaves the connection behind: each namespace has its own, of the same packet', async () => {
    const { engine, one, two } = await pair();
    two.set('silent', 1);
    one.trackConnections();
    two.trackConnections();
    const fresh = two.iptables.append('filter', 'INPUT', { states: ['NEW'], target: 'ACCEPT' });
    engine.sendFromSocket(one, packet, from, to);
    engine.run(1e9);
    expect(fresh.packets).toBe(1);
    expect(connectionsIn(one)).toHaveLength(1);
    expect(connectionsIn(two)).toHaveLength(1);
    expect(connectionsIn(one)[0]?.at).not.toBe(connectionsIn(two)[0]?.at);
    expectConserved(engine);
  });

  it('does not track for a namespace that does not', async () => {
    const { engine, one, two } = await pair();
    two.set('silent', 1);
    one.trackConnections();
    engine.sendFromSocket(one, packet, from, to);
    engine.run(1e9);
    expect(connectionsIn(two)).toEqual([]);
    expectConserved(engine);
  });

  it('that is down at the far end takes nothing', async () => {
    const { engine, a, b } = await pair();
    b.up = false;
    engine.transmit(a, ethernet(B, A, IPV4, packet));
    engine.run(1e9);
    expect(dropsOf(engine)).toEqual(['node/two/eth0 DEV_DOWN']);
    expectConserved(engine);
  });

  it('that is down at the near end sends nothing', async () => {
    const { engine, a, watch } = await pair();
    a.up = false;
    engine.transmit(a, ethernet(B, A, IPV4, packet));
    engine.run(1e9);
    expect(watch.frames()).toEqual([]);
    expect(dropsOf(engine)).toEqual(['node/one/eth0 DEV_DOWN']);
    expectConserved(engine);
  });

  it('passes up only what is for its own MAC or for a group', async () => {
    const { engine, a } = await pair();
    engine.transmit(a, ethernet('02:00:00:00:00:77', A, IPV4, packet));
    engine.run(1e9);
    expect(dropsOf(engine)).toEqual(['node/two/eth0 OTHERHOST']);
    expectConserved(engine);
  });
});
