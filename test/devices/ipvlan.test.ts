/** ipvlan: several addresses behind one MAC. l2 with ARP of its own, l3 and l3s routed by the host. */

import { describe, expect, it } from 'vitest';
import { arpPacket, BROADCAST, ethernet, IPV4, udpPacket } from '../engine/packets.js';
import { connectionsIn } from '../engine/state.js';
import { dropsOf, expectConserved } from '../engine/watch.js';
import { Lan, macs } from './lan.js';

async function l2(flag: 'bridge' | 'private' | 'vepa' = 'bridge') {
  const lan = await Lan.build();
  lan.router.namespace.addAddress(lan.router, '192.168.210.1/24');
  const one = lan.ipvlan('one', lan.node1, '192.168.210.2/24', 'l2', flag);
  const two = lan.ipvlan('two', lan.node1, '192.168.210.3/24', 'l2', flag);
  for (const { namespace } of [one, two]) namespace.addRoute('0.0.0.0/0', namespace.device('eth0'), '192.168.210.1');
  return { lan, one, two };
}

/** Containers in a subnet that the LAN's router reaches by way of the node. */
async function l3(mode: 'l3' | 'l3s' = 'l3', flag: 'bridge' | 'private' | 'vepa' = 'bridge') {
  const lan = await Lan.build();
  const one = lan.ipvlan('one', lan.node1, '192.168.214.2/24', mode, flag);
  const two = lan.ipvlan('two', lan.node1, '192.168.214.3/24', mode, flag);
  for (const { namespace } of [one, two]) namespace.addRoute('0.0.0.0/0', namespace.device('eth0'));
  lan.router.namespace.addRoute('192.168.214.0/24', lan.router, '192.168.99.110');
  return { lan, one, two };
}

describe('ipvlans in l2 mode', () => {
  it('share the NIC’s MAC, and talk to each other inside: not even the NIC’s tap sees it', async () => {
    const { lan, one, two } = await l2();
    const watch = lan.watch(one, two, lan.node1, lan.router);
    expect(lan.ping(one.namespace, '192.168.210.3')).toBe(64);
    const request = 'who has 192.168.210.3 tell 192.168.210.2';
    expect(lan.seen(two).slice(0, 2)).toEqual([`in ${request}`, 'out 192.168.210.3 is at 52:54:00:00:00:6e']);
    expect(lan.seen(lan.node1)).toEqual([`out ${request}`]);
    expect(lan.seen(lan.router)).toEqual([`in ${request}`]);
    expect(watch.sent(two).map(macs)).toEqual(Array(2).fill('52:54:00:00:00:6e>52:54:00:00:00:6e'));
    expectConserved(lan.engine);
  });

  it('reach the LAN, and the LAN them', async () => {
    const { lan, one, two } = await l2();
    expect(lan.ping(one.namespace, '192.168.210.1')).toBe(64);
    expect(lan.ping(lan.router.namespace, '192.168.210.3')).toBe(64);
    expect(two.counters.rxPackets).toBe(3);
    expectConserved(lan.engine);
  });

  it('do not reach their own host, nor does it reach them', async () => {
    const { lan, one } = await l2();
    one.namespace.addAddress(one, '192.168.99.50/24');
    expect(lan.ping(one.namespace, '192.168.99.110')).toBeUndefined();
    expect(lan.ping(lan.node1.namespace, '192.168.99.50')).toBeUndefined();
    expect(lan.ping(lan.node2.namespace, '192.168.99.50')).toBe(64);
  });

  it('give the host what is for their MAC and none of their addresses', async () => {
    const { lan, one } = await l2();
    one.namespace.addAddress(one, '192.168.99.50/24');
    one.namespace.addNeighbour(one, '192.168.99.110', lan.node1.mac);
    const watch = lan.watch(lan.node1);
    lan.ping(one.namespace, '192.168.99.110');
    expect(watch.received(lan.node1).map(macs)[0]).toBe('52:54:00:00:00:6e>52:54:00:00:00:6e');
  });

  it('all get a broadcast from outside, the host too; the one whose address is asked for answers', async () => {
    const { lan, one, two } = await l2();
    lan.watch(one, two, lan.node1);
    const request = arpPacket(
      'request',
      { mac: lan.node2.mac, address: '192.168.210.9' },
      { address: '192.168.210.3' },
    );
    lan.engine.transmit(lan.node2, ethernet(BROADCAST, lan.node2.mac, 0x0806, request));
    lan.engine.run(1_000_000);
    expect(lan.seen(one)).toEqual(['in who has 192.168.210.3 tell 192.168.210.9']);
    expect(lan.seen(two)).toHaveLength(2);
    expect(lan.seen(lan.node1)).toEqual([
      'in who has 192.168.210.3 tell 192.168.210.9',
      'out 192.168.210.3 is at 52:54:00:00:00:6e',
    ]);
  });

  it('do not hear their own broadcast twice when the switch reflects it', async () => {
    const { lan, one, two } = await l2();
    lan.node1.hairpin = true;
    lan.watch(one, two);
    lan.ping(one.namespace, '192.168.210.9');
    const request = 'who has 192.168.210.9 tell 192.168.210.2';
    expect(lan.seen(one)).toEqual(Array(3).fill(`out ${request}`));
    expect(lan.seen(two)).toEqual(Array(3).fill(`in ${request}`));
  });

  it('cannot have one address twice', async () => {
    const { lan } = await l2();
    expect(() => lan.ipvlan('three', lan.node1, '192.168.210.3/24')).toThrow('192.168.210.3/24 is on another ipvlan');
  });

  it('give an address free again', async () => {
    const { lan, one, two } = await l2();
    one.namespace.addAddress(one, '192.168.210.9/24');
    one.namespace.removeAddress(one, '192.168.210.9/24');
    two.namespace.addAddress(two, '192.168.210.9/24');
    two.namespace.removeDevice(two);
    const three = lan.ipvlan('three', lan.node1, '192.168.210.3/24');
    expect(lan.ping(three.namespace, '192.168.210.1')).toBe(64);
  });

  it('end packets whose header is not whole at the host', async () => {
    const { lan } = await l2();
    const packet = udpPacket({ source: '192.168.99.1', destination: '192.168.210.2', sport: 1, dport: 2 });
    packet[0] = 0x44;
    lan.engine.receive(lan.node1, ethernet(lan.node1.mac, lan.router.mac, IPV4, packet));
    lan.engine.receive(lan.node1, ethernet(lan.node1.mac, lan.router.mac, IPV4, packet.subarray(0, 10)));
    lan.engine.run(1_000_000);
    expect(dropsOf(lan.engine)).toEqual(['node1/host/eth0 IP_INHDR x2']);
  });
});

describe('ipvlan flags', () => {
  it('private: siblings cannot talk, the LAN is there', async () => {
    const { lan, one } = await l2('private');
    expect(lan.ping(one.namespace, '192.168.210.3')).toBeUndefined();
    expect(dropsOf(lan.engine)).toContain('node1/two/eth0 IPVLAN_PRIVATE x3');
    expect(lan.ping(one.namespace, '192.168.210.1')).toBe(64);
  });

  it('vepa: siblings talk by way of a switch that reflects', async () => {
    const { lan, one } = await l2('vepa');
    expect(lan.ping(one.namespace, '192.168.210.3')).toBeUndefined();
    lan.node1.hairpin = true;
    const again = await l2('vepa');
    again.lan.node1.hairpin = true;
    const watch = again.lan.watch(again.lan.node1);
    expect(again.lan.ping(again.one.namespace, '192.168.210.3')).toBe(64);
    expect(watch.sent(again.lan.node1).length).toBeGreaterThan(2);
  });
});

describe('ipvlans in l3 mode', () => {
  it('have no ARP: frames carry the NIC’s MAC as source and destination', async () => {
    const { lan, one, two } = await l3();
    const watch = lan.watch(one, two, lan.node1);
    expect(lan.ping(one.namespace, '192.168.214.3')).toBe(64);
    expect(watch.sent(one).map(macs)).toEqual(['52:54:00:00:00:6e>52:54:00:00:00:6e']);
    expect(lan.seen(lan.node1)).toEqual([]);
    expectConserved(lan.engine);
  });

  it('reach the LAN by the host’s routes, without a hop; the LAN needs a route back', async () => {
    const { lan, one } = await l3();
    const watch = lan.watch(lan.router, lan.node1);
    expect(lan.ping(one.namespace, '192.168.99.1')).toBe(64);
    expect(watch.received(lan.router).map(macs)).toContain('52:54:00:00:00:6e>52:54:00:00:00:01');
    const strangers = await Lan.build();
    const lonely = strangers.ipvlan('one', strangers.node1, '192.168.214.2/24', 'l3');
    lonely.namespace.addRoute('0.0.0.0/0', lonely);
    expect(strangers.ping(lonely.namespace, '192.168.99.1')).toBeUndefined();
  });

  it('are reached by whoever has a route by way of the host', async () => {
    const { lan } = await l3();
    expect(lan.ping(lan.router.namespace, '192.168.214.3')).toBe(64);
    expectConserved(lan.engine);
  });

  it('leave broadcasts and multicast unsent, and everything but IP', async () => {
    const { lan, one } = await l3();
    const packet = udpPacket({ source: '192.168.214.2', destination: '255.255.255.255', sport: 1, dport: 2 });
    lan.engine.transmit(one, ethernet(BROADCAST, one.mac, IPV4, packet));
    lan.engine.transmit(one, ethernet(lan.router.mac, one.mac, 0x88b5, packet));
    lan.engine.run(1_000_000);
    expect(dropsOf(lan.engine)).toEqual(['node1/one/eth0 IPVLAN_L3_GROUP', 'node1/one/eth0 UNHANDLED_PROTO']);
  });

  it('pass OUTPUT and POSTROUTING of the host on their way out, and none of its hooks on their way in', async () => {
    const { lan, one } = await l3();
    const { iptables } = lan.node1.namespace;
    const out = iptables.append('filter', 'OUTPUT', { target: 'ACCEPT' });
    const inward = iptables.append('filter', 'INPUT', { target: 'ACCEPT' });
    expect(lan.ping(one.namespace, '192.168.99.1')).toBe(64);
    expect(out.packets).toBe(1);
    expect(inward.packets).toBe(0);
  });

  it('do not answer for their addresses to who asks by ARP', async () => {
    const { lan, one } = await l3();
    const request = arpPacket(
      'request',
      { mac: lan.node2.mac, address: '192.168.99.111' },
      { address: '192.168.214.2' },
    );
    lan.engine.transmit(lan.node2, ethernet(BROADCAST, lan.node2.mac, 0x0806, request));
    lan.watch(one);
    lan.engine.run(1_000_000);
    expect(lan.seen(one)).toEqual(['in who has 192.168.214.2 tell 192.168.99.111']);
    expectConserved(lan.engine);
  });
});

describe('ipvlans in l3s mode', () => {
  it('are seen by the host’s PREROUTING and INPUT, and its conntrack', async () => {
    const { lan, one } = await l3('l3s');
    const { namespace } = lan.node1;
    const inward = namespace.iptables.append('filter', 'INPUT', { states: ['ESTABLISHED'], target: 'ACCEPT' });
    expect(lan.ping(one.namespace, '192.168.99.1')).toBe(64);
    expect(inward.packets).toBe(1);
    expect(connectionsIn(namespace)).toHaveLength(1);
    expect(lan.ping(lan.router.namespace, '192.168.214.3')).toBe(64);
    expectConserved(lan.engine);
  });

  it('masquerade as the host, if it wants so', async () => {
    const lan = await Lan.build();
    const one = lan.ipvlan('one', lan.node1, '192.168.214.2/24', 'l3s');
    one.namespace.addRoute('0.0.0.0/0', one);
    lan.node1.namespace.iptables.append('nat', 'POSTROUTING', {
      source: '192.168.214.0/24',
      out: lan.node1,
      target: 'MASQUERADE',
    });
    lan.watch(lan.router);
    expect(lan.ping(one.namespace, '192.168.99.1')).toBe(64);
    expect(lan.seen(lan.router).some((seen) => seen.includes('192.168.99.110 > 192.168.99.1'))).toBe(true);
  });
});

describe('ipvlans and IPv6', () => {
  const PREFIX = '2001:db8:210::';

  it('in l2 mode reach each other inside by IPv6, and each address is one device’s alone', async () => {
    const { lan, one, two } = await l2();
    one.namespace.addAddress(one, `${PREFIX}2/64`, { nodad: true });
    two.namespace.addAddress(two, `${PREFIX}3/64`, { nodad: true });
    const watch = lan.watch(two, lan.router);
    expect(lan.ping(one.namespace, `${PREFIX}3`)).toBe(64);
    // What the wire sees is the question, which goes to a group.
    expect(watch.sent(two)).toHaveLength(2);
    expect(watch.received(lan.router)).toHaveLength(1);
    expect(() => two.namespace.addAddress(two, `${PREFIX}2/64`)).toThrow('is on another ipvlan');
    two.namespace.removeAddress(two, `${PREFIX}3/64`);
    one.namespace.addAddress(one, `${PREFIX}3/64`, { nodad: true });
    expect(lan.ping(two.namespace, `${PREFIX}3`)).toBeUndefined();
    expectConserved(lan.engine);
  });

  it('in l3 mode leave by the host’s routes, and l3s ones hear through its INPUT', async () => {
    for (const mode of ['l3', 'l3s'] as const) {
      const { lan, one } = await l3(mode);
      const host = lan.node1.namespace;
      for (const nic of [lan.node1, lan.router]) nic.namespace.ipv6.addLinkLocal(nic);
      host.addAddress(lan.node1, '2001:db8:99::110/64', { nodad: true });
      lan.router.namespace.addAddress(lan.router, '2001:db8:99::1/64', { nodad: true });
      lan.router.namespace.addRoute('2001:db8:214::/64', lan.router, '2001:db8:99::110');
      one.namespace.addAddress(one, '2001:db8:214::2/64', { nodad: true });
      one.namespace.addRoute('::/0', one);
      expect(lan.ping(one.namespace, '2001:db8:99::1'), mode).toBe(64);
      expect(lan.ping(lan.router.namespace, '2001:db8:214::2'), mode).toBe(64);
      expectConserved(lan.engine);
    }
  });
});
