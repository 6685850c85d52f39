/** 802.1Q sub-interfaces: tags go on and off; what is tagged for nobody is counted. */

import { describe, expect, it } from 'vitest';
import { arpPacket, BROADCAST, concat, ethernet, hex, IPV4, u16, udpPacket } from '../engine/packets.js';
import { dropsOf, expectConserved } from '../engine/watch.js';
import { Lan } from './lan.js';

const SENDER = '52:54:00:00:00:01';
const tagged = (vid: number, type: number, payload: Uint8Array, tpid = 0x8100, to = BROADCAST) =>
  ethernet(to, SENDER, tpid, concat(Uint8Array.of(vid >>> 8, vid & 255, type >>> 8, type & 255), payload));
const whoHas = (address: string) => arpPacket('request', { mac: SENDER, address: '192.168.50.1' }, { address });

async function trunk() {
  const lan = await Lan.build();
  const far = lan.router.namespace.addVlan('eth0.50', { lower: lan.router, id: 50 });
  lan.router.namespace.addAddress(far, '192.168.50.1/24');
  const near = lan.node1.namespace.addVlan('eth0.50', { lower: lan.node1, id: 50 });
  lan.node1.namespace.addAddress(near, '192.168.50.2/24');
  return { lan, near, far };
}

describe('a VLAN sub-interface', () => {
  it('has the MAC and MTU of the device below it', async () => {
    const { near, lan } = await trunk();
    expect([near.mac, near.mtu, near.vid, near.lower]).toEqual([lan.node1.mac, 1500, 50, lan.node1]);
  });

  it('tags on the device below, priority 0, and shows frames bare on itself', async () => {
    const { lan, near, far } = await trunk();
    lan.watch(near, far, lan.node1, lan.router, lan.node2);
    expect(lan.ping(lan.node1.namespace, '192.168.50.1')).toBe(64);
    const said = ['who has 192.168.50.1 tell 192.168.50.2', '192.168.50.1 is at 52:54:00:00:00:01'];
    expect(lan.seen(near).slice(0, 2)).toEqual([`out ${said[0]}`, `in ${said[1]}`]);
    expect(lan.seen(lan.node1).slice(0, 2)).toEqual([`out vlan 50 ${said[0]}`, `in vlan 50 ${said[1]}`]);
    expect(lan.seen(far).slice(0, 2)).toEqual([`in ${said[0]}`, `out ${said[1]}`]);
    expect(lan.seen(lan.node2)).toEqual([`in vlan 50 ${said[0]}`]);
    expect(dropsOf(lan.engine)).toEqual(['node2/host/eth0 VLAN_NOT_FOUND']);
    expectConserved(lan.engine);
  });

  it('counts bytes as Linux does: with the Ethernet header on the way out, without on the way in', async () => {
    const { lan, near } = await trunk();
    lan.ping(lan.node1.namespace, '192.168.50.1');
    expect(near.counters).toEqual({ txPackets: 2, txBytes: 42 + 98, rxPackets: 2, rxBytes: 28 + 84 });
  });

  it('carries a full-size packet: the tag is beyond the MTU', async () => {
    const { lan, near } = await trunk();
    const watch = lan.watch(lan.node1);
    lan.node1.namespace.addNeighbour(near, '192.168.50.1', lan.router.mac);
    lan.engine.sendFromSocket(
      lan.node1.namespace,
      udpPacket({ source: '192.168.50.2', destination: '192.168.50.1', sport: 1, dport: 2 }, new Uint8Array(1472)),
      { address: '192.168.50.2', port: 1 },
      { address: '192.168.50.1', port: 2 },
    );
    lan.engine.run(1_000_000_000);
    expect(watch.sent(lan.node1).map((frame) => [frame.length, u16(frame, 16)])).toContainEqual([1518, IPV4]);
  });

  it('stands on a VLAN as well as on a NIC: two tags, the outer one first', async () => {
    const { lan, near, far } = await trunk();
    const inner = lan.node1.namespace.addVlan('eth0.50.7', { lower: near, id: 7 });
    lan.node1.namespace.addAddress(inner, '10.7.0.1/24');
    const other = lan.router.namespace.addVlan('eth0.50.7', { lower: far, id: 7 });
    lan.router.namespace.addAddress(other, '10.7.0.2/24');
    const watch = lan.watch(lan.node1);
    expect(lan.ping(lan.node1.namespace, '10.7.0.2')).toBe(64);
    expect(watch.sent(lan.node1).map((frame) => [14, 16, 18].map((at) => u16(frame, at)))[0]).toEqual([50, 0x8100, 7]);
    expectConserved(lan.engine);
  });

  it('is gone once it is removed: its frames are nobody’s', async () => {
    const { lan, near } = await trunk();
    near.namespace.removeDevice(near);
    lan.engine.receive(lan.node1, tagged(50, 0x0806, whoHas('192.168.50.2')));
    lan.engine.run(1_000_000);
    expect(dropsOf(lan.engine)).toEqual(['node1/host/eth0 VLAN_NOT_FOUND']);
  });
});

describe('a tagged frame', () => {
  const dropped = async (frame: Uint8Array) => {
    const { lan } = await trunk();
    lan.engine.receive(lan.node1, frame);
    lan.engine.run(1_000_000);
    expectConserved(lan.engine);
    return dropsOf(lan.engine);
  };

  it('of an unknown VLAN is counted, and not taken by the device below', async () => {
    expect(await dropped(tagged(51, 0x0806, whoHas('192.168.99.110')))).toEqual(['node1/host/eth0 VLAN_NOT_FOUND']);
  });

  it('with a service tag (802.1ad) is of no VLAN here', async () => {
    expect(await dropped(tagged(50, 0x0806, whoHas('192.168.50.2'), 0x88a8))).toEqual([
      'node1/host/eth0 VLAN_NOT_FOUND',
    ]);
  });

  it('with a second tag ends at the VLAN of the first one', async () => {
    const inner = concat(hex('0007 0806'), whoHas('192.168.50.2'));
    expect(await dropped(tagged(50, 0x8100, inner))).toEqual(['node1/host/eth0.50 VLAN_NOT_FOUND']);
  });

  it('of VID 0 is a priority alone: the device itself takes it', async () => {
    const { lan } = await trunk();
    lan.watch(lan.node1);
    lan.engine.receive(
      lan.node1,
      tagged(
        0xe000,
        0x0806,
        arpPacket('request', { mac: SENDER, address: '192.168.99.1' }, { address: '192.168.99.110' }),
      ),
    );
    lan.engine.run(1_000_000);
    expect(lan.seen(lan.node1)[1]).toBe('out 192.168.99.110 is at 52:54:00:00:00:6e');
  });

  it('of VID 0 with another tag behind it belongs to the VLAN of that one', async () => {
    const { lan, near } = await trunk();
    lan.watch(near);
    lan.engine.receive(lan.node1, tagged(0, 0x8100, concat(hex('0032 0806'), whoHas('192.168.50.2'))));
    lan.engine.run(1_000_000);
    expect(lan.seen(near)).toContain('out 192.168.50.2 is at 52:54:00:00:00:6e');
  });

  it('with a priority beside its VID is of that VLAN', async () => {
    const { lan, near } = await trunk();
    lan.watch(near);
    lan.engine.receive(lan.node1, tagged(0xf032, 0x0806, whoHas('192.168.50.2')));
    lan.engine.run(1_000_000);
    expect(lan.seen(near)).toContain('out 192.168.50.2 is at 52:54:00:00:00:6e');
  });

  it('that ends within its tag is too small', async () => {
    for (const length of [14, 16, 19]) {
      expect(await dropped(tagged(50, 0x0806, new Uint8Array()).slice(0, length))).toEqual([
        'node1/host/eth0 PKT_TOO_SMALL',
      ]);
    }
  });
});
