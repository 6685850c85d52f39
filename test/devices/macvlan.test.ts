/** macvlan: several MACs on one NIC. Who reaches whom, and what each tap sees of it, mode by mode. */

import { describe, expect, it } from 'vitest';
import { arpPacket, BROADCAST, ethernet, IPV4, udpPacket } from '../engine/packets.js';
import { dropsOf, expectConserved } from '../engine/watch.js';
import { Lan, macs } from './lan.js';

async function siblings(mode: 'bridge' | 'private' | 'vepa' = 'bridge') {
  const lan = await Lan.build();
  lan.router.namespace.addAddress(lan.router, '172.16.86.1/24');
  const one = lan.macvlan('one', lan.node1, '172.16.86.2/24', mode);
  const two = lan.macvlan('two', lan.node1, '172.16.86.3/24', mode);
  for (const { namespace } of [one, two]) namespace.addRoute('0.0.0.0/0', namespace.device('eth0'), '172.16.86.1');
  return { lan, one, two };
}

describe('macvlans in bridge mode', () => {
  it('reach each other without the wire; the NIC’s tap sees their frames come in', async () => {
    const { lan, one, two } = await siblings();
    const watch = lan.watch(one, two, lan.node1, lan.router);
    expect(lan.ping(one.namespace, '172.16.86.3')).toBe(64);
    const request = 'who has 172.16.86.3 tell 172.16.86.2';
    const reply = '172.16.86.3 is at 02:42:ac:10:56:03';
    // The broadcast goes to the sibling and out; what is for one of them stays inside.
    expect(lan.seen(lan.router)).toEqual([`in ${request}`]);
    expect(lan.seen(two).slice(0, 2)).toEqual([`in ${request}`, `out ${reply}`]);
    expect(lan.seen(lan.node1).sort()).toEqual(
      [`out ${request}`, `in ${reply}`, ...lan.seen(lan.node1).filter((seen) => seen.includes('icmp'))].sort(),
    );
    expect(
      lan
        .seen(lan.node1)
        .filter((seen) => seen.includes('icmp'))
        .every((seen) => seen.startsWith('in ')),
    ).toBe(true);
    expect(watch.sent(one).map(macs)[1]).toBe('02:42:ac:10:56:02>02:42:ac:10:56:03');
    expectConserved(lan.engine);
  });

  it('are not counted as received by the NIC when they talk to each other', async () => {
    const { lan, one, two } = await siblings();
    lan.ping(one.namespace, '172.16.86.3');
    expect(lan.node1.counters.rxPackets).toBe(0);
    expect([one.counters.rxPackets, two.counters.rxPackets]).toEqual([2, 2]);
  });

  it('reach the LAN with their own MACs, and the LAN them', async () => {
    const { lan, one } = await siblings();
    const watch = lan.watch(lan.router);
    expect(lan.ping(one.namespace, '172.16.86.1')).toBe(64);
    expect(lan.ping(lan.router.namespace, '172.16.86.2')).toBe(64);
    expect(watch.received(lan.router).map(macs)).toContain('02:42:ac:10:56:02>52:54:00:00:00:01');
  });

  it('do not reach their own host, nor does it reach them', async () => {
    const { lan, one } = await siblings();
    one.namespace.addAddress(one, '192.168.99.50/24');
    expect(lan.ping(one.namespace, '192.168.99.110')).toBeUndefined();
    expect(lan.ping(lan.node1.namespace, '192.168.99.50')).toBeUndefined();
    // The neighbour on the same LAN has no such trouble.
    expect(lan.ping(lan.node2.namespace, '192.168.99.50')).toBe(64);
    expect(lan.ping(lan.node1.namespace, '192.168.99.111')).toBe(64);
    expectConserved(lan.engine);
  });

  it('do not reach it even when they know its MAC: the switch does not send a frame back', async () => {
    const { lan, one } = await siblings();
    one.namespace.addAddress(one, '192.168.99.50/24');
    lan.ping(lan.node1.namespace, '192.168.99.1');
    one.namespace.addNeighbour(one, '192.168.99.110', lan.node1.mac);
    expect(lan.ping(one.namespace, '192.168.99.110')).toBeUndefined();
    expect(dropsOf(lan.engine)).toContain('node1/host/eth0 BRIDGE_SAME_PORT');
  });

  it('all get a broadcast from outside, and so does the host', async () => {
    const { lan, one, two } = await siblings();
    lan.watch(one, two, lan.node1);
    const request = arpPacket(
      'request',
      { mac: lan.node2.mac, address: '192.168.99.111' },
      { address: '192.168.99.110' },
    );
    lan.engine.transmit(lan.node2, ethernet(BROADCAST, lan.node2.mac, 0x0806, request));
    lan.engine.run(1_000_000);
    const words = 'in who has 192.168.99.110 tell 192.168.99.111';
    expect(lan.seen(one)).toEqual([words]);
    expect(lan.seen(two)).toEqual([words]);
    expect(lan.seen(lan.node1)).toEqual([words, 'out 192.168.99.110 is at 52:54:00:00:00:6e']);
  });

  it('end what is for a MAC that none of them has: the host’s stack drops it', async () => {
    const { lan } = await siblings();
    const packet = udpPacket({ source: '192.168.99.111', destination: '192.168.99.9', sport: 1, dport: 2 });
    lan.engine.receive(lan.node1, ethernet('02:00:00:00:00:09', lan.node2.mac, IPV4, packet));
    lan.engine.run(1_000_000);
    expect(dropsOf(lan.engine)).toEqual(['node1/host/eth0 OTHERHOST']);
  });

  it('hear nothing while they are down', async () => {
    const { lan, one, two } = await siblings();
    two.up = false;
    expect(lan.ping(one.namespace, '172.16.86.3')).toBeUndefined();
    expect(two.counters.rxPackets).toBe(0);
  });

  it('are gone once removed', async () => {
    const { lan, one, two } = await siblings();
    expect(lan.ping(one.namespace, '172.16.86.3')).toBe(64);
    two.namespace.removeDevice(two);
    expect(lan.ping(one.namespace, '172.16.86.3')).toBeUndefined();
    expect(lan.ping(one.namespace, '172.16.86.1')).toBe(64);
    expectConserved(lan.engine);
  });
});

describe('macvlans on a VLAN', () => {
  it('go with the VLAN that they stand on', async () => {
    const lan = await Lan.build();
    const vlan = lan.node1.namespace.addVlan('eth0.50', { lower: lan.node1, id: 50 });
    const one = lan.macvlan('one', vlan, '192.168.50.2/24');
    lan.node1.namespace.removeDevice(vlan);
    expect([...one.namespace.devices.keys()]).toEqual(['lo']);
    expect(lan.node1.uppers).toEqual([]);
    expect(lan.ping(lan.node1.namespace, '192.168.99.1')).toBe(64);
  });

  it('have bare frames; the wire has the tag', async () => {
    const lan = await Lan.build();
    const far = lan.router.namespace.addVlan('eth0.50', { lower: lan.router, id: 50 });
    lan.router.namespace.addAddress(far, '192.168.50.1/24');
    const vlan = lan.node1.namespace.addVlan('eth0.50', { lower: lan.node1, id: 50 });
    const one = lan.macvlan('one', vlan, '192.168.50.2/24');
    const other = lan.macvlan('other', lan.node1, '172.16.86.2/24');
    lan.watch(one, vlan, lan.node1, other);
    expect(lan.ping(one.namespace, '192.168.50.1')).toBe(64);
    const request = 'who has 192.168.50.1 tell 192.168.50.2';
    expect([lan.seen(one)[0], lan.seen(vlan)[0], lan.seen(lan.node1)[0]]).toEqual([
      `out ${request}`,
      `out ${request}`,
      `out vlan 50 ${request}`,
    ]);
    expect(lan.seen(other)).toEqual([]);
    expectConserved(lan.engine);
  });

  it('leave tagged broadcasts of other VLANs to the macvlans of the NIC, whose namespaces drop them', async () => {
    const { lan, one } = await siblings();
    lan.watch(one);
    const vlan = lan.node2.namespace.addVlan('eth0.60', { lower: lan.node2, id: 60 });
    lan.node2.namespace.addAddress(vlan, '192.168.60.1/24');
    lan.ping(lan.node2.namespace, '192.168.60.9');
    expect(lan.seen(one)[0]).toBe('in vlan 60 who has 192.168.60.9 tell 192.168.60.1');
    expect(dropsOf(lan.engine)).toContain('node1/one/eth0 VLAN_NOT_FOUND x3');
    expectConserved(lan.engine);
  });
});

describe('macvlans in private mode', () => {
  it('reach the LAN and not each other', async () => {
    const { lan, one } = await siblings('private');
    expect(lan.ping(one.namespace, '172.16.86.3')).toBeUndefined();
    expect(lan.ping(one.namespace, '172.16.86.1')).toBe(64);
    expectConserved(lan.engine);
  });

  it('do not reach each other even through a switch that reflects', async () => {
    const { lan, one } = await siblings('private');
    lan.node1.hairpin = true;
    expect(lan.ping(one.namespace, '172.16.86.3')).toBeUndefined();
    expect(lan.ping(one.namespace, '172.16.86.1')).toBe(64);
    expectConserved(lan.engine);
  });
});

describe('macvlans in vepa mode', () => {
  it('reach each other by a switch that reflects, and only so', async () => {
    const { lan, one } = await siblings('vepa');
    expect(lan.ping(one.namespace, '172.16.86.3')).toBeUndefined();
    lan.node1.hairpin = true;
    lan.watch(lan.node1);
    expect(lan.ping(one.namespace, '172.16.86.3')).toBe(64);
    expect(lan.seen(lan.node1).slice(0, 2)).toEqual([
      'out who has 172.16.86.3 tell 172.16.86.2',
      'in who has 172.16.86.3 tell 172.16.86.2',
    ]);
    expectConserved(lan.engine);
  });
});

describe('a macvlan in passthru mode', () => {
  it('has the NIC to itself: its MAC is the NIC’s, and what comes in for one is for it', async () => {
    const lan = await Lan.build();
    lan.router.namespace.addAddress(lan.router, '172.16.86.1/24');
    const one = lan.macvlan('one', lan.node1, '172.16.86.2/24', 'passthru');
    expect(lan.node1.mac).toBe('02:42:ac:10:56:02');
    expect(lan.ping(one.namespace, '172.16.86.1')).toBe(64);
    expect(lan.ping(lan.node1.namespace, '192.168.99.1')).toBeUndefined();
    expect(() => lan.macvlan('two', lan.node1, '172.16.86.3/24')).toThrow(/beside one of mode passthru/);
    expectConserved(lan.engine);
  });
});

describe('a device below', () => {
  it('has macvlans or ipvlans, or is a bridge’s port, and only one of these', async () => {
    const { lan } = await siblings();
    expect(() => lan.ipvlan('other', lan.node1, '10.0.0.1/24')).toThrow('has macvlan devices already');
  });
});
