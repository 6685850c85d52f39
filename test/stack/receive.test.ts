/** What a host does not take, with reason and place (ip_rcv_core, ip_route_input_slow; RFC 1122 3.2.1, RFC 1812 5.3.7). */

import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/engine/index.js';
import {
  ARP,
  BROADCAST,
  checksum,
  concat,
  echo,
  ethernet,
  hex,
  IPV4,
  ipPacket,
  put16,
  tcpPacket,
  udpPacket,
} from '../engine/packets.js';
import { dropsOf, expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, MAC, RIGHT, routerWorld } from '../engine/world.js';

const ping = () => echo({ source: ALICE, destination: LEFT });
/** The same with bytes of its header changed, and the checksum right again. */
function resealed(packet: Uint8Array, change: (packet: Uint8Array) => void): Uint8Array {
  change(packet);
  put16(packet, 10, 0);
  put16(packet, 10, checksum(packet.subarray(0, ((packet[0] ?? 0) & 15) * 4)));
  return packet;
}

describe('a header', () => {
  it.each([
    ['of version 6', 'IP_INHDR', resealed(ping(), (p) => p.set([0x65]))],
    ['of version 0', 'IP_INHDR', resealed(ping(), (p) => p.set([0x05]))],
    ['of 16 bytes', 'IP_INHDR', resealed(ping(), (p) => p.set([0x44]))],
    ['of no bytes', 'IP_INHDR', ping().with(0, 0x40)],
    [
      'longer than the packet',
      'IP_INHDR',
      resealed(ipPacket({ source: ALICE, destination: LEFT }, hex('00')), (p) => p.set([0x4f])),
    ],
    ['cut off', 'IP_INHDR', ping().slice(0, 19)],
    ['with a wrong checksum', 'IP_CSUM', ping().with(8, 63)],
    ['whose checksum is 0', 'IP_CSUM', ping().with(10, 0).with(11, 0)],
    [
      'with a wrong checksum in its options',
      'IP_CSUM',
      echo({ source: ALICE, destination: LEFT, options: hex('94040000') }).with(23, 9),
    ],
    ['that tells more than there is', 'PKT_TOO_SMALL', resealed(ping(), (p) => put16(p, 2, 85))],
    ['that tells less than itself', 'IP_INHDR', resealed(ping(), (p) => put16(p, 2, 19))],
  ])('%s: %s', async (_, reason, packet) => {
    const { engine, fromAlice, toAlice } = await routerWorld();
    fromAlice(packet);
    expect(toAlice()).toEqual([]);
    expect(dropsOf(engine)).toEqual([`node/router/left ${reason}`]);
    expectConserved(engine);
  });

  it('with options is as good as one without', async () => {
    const { engine, fromAlice, toAlice, drops } = await routerWorld();
    fromAlice(echo({ source: ALICE, destination: LEFT, options: hex('94040000') }));
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 0/0`]);
    expect(drops()).toEqual([]);
    expectConserved(engine);
  });

  it('tells where the packet ends: what comes behind is Ethernet’s padding', async () => {
    const { engine, fromAlice, packetsToBob } = await routerWorld();
    const packet = udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }, 'x');
    fromAlice(concat(packet, new Uint8Array(17)));
    expect(packetsToBob().map(({ length }) => length)).toEqual([29]);
    expectConserved(engine);
  });
});

describe('an address', () => {
  const from = (source: string, destination = LEFT) => echo({ source, destination });
  it.each([
    ['source 127.0.0.1', 'IP_INVALID_SOURCE', from('127.0.0.1')],
    ['source 127.9.9.9, to be forwarded', 'IP_INVALID_SOURCE', from('127.9.9.9', BOB)],
    ['source 224.0.0.1', 'IP_INVALID_SOURCE', from('224.0.0.1')],
    ['source 239.255.255.255', 'IP_INVALID_SOURCE', from('239.255.255.255', BOB)],
    ['source 255.255.255.255', 'IP_INVALID_SOURCE', from('255.255.255.255')],
    ['source 0.0.0.0', 'IP_INVALID_SOURCE', from('0.0.0.0')],
    ['destination 127.0.0.1', 'IP_INVALID_DEST', from(ALICE, '127.0.0.1')],
    ['destination 127.1.2.3', 'IP_INVALID_DEST', from(ALICE, '127.1.2.3')],
    ['destination 0.0.0.0', 'IP_INVALID_DEST', from(ALICE, '0.0.0.0')],
    ['source the host’s own', 'IP_LOCAL_SOURCE', from(LEFT)],
    ['source the host’s own on the other side', 'IP_LOCAL_SOURCE', from(RIGHT, BOB)],
  ])('is a martian: %s, %s', async (_, reason, packet) => {
    const { engine, fromAlice, toAlice, toBob } = await routerWorld();
    fromAlice(packet);
    expect([toAlice(), toBob()]).toEqual([[], []]);
    expect(dropsOf(engine)).toEqual([`node/router/left ${reason}`]);
    expectConserved(engine);
  });

  it('127.0.0.1 may come from outside where route_localnet is on', async () => {
    const { engine, left, fromAlice, toAlice, drops } = await routerWorld();
    left.routeLocalnet = true;
    fromAlice(echo({ source: ALICE, destination: '127.0.0.1' }));
    expect(toAlice()).toEqual([`127.0.0.1 > ${ALICE} ttl 64 icmp 0/0`]);
    expect(drops()).toEqual([]);
    expectConserved(engine);
  });

  it('route_localnet on one device says nothing about another', async () => {
    const { engine, right, fromAlice, drops } = await routerWorld();
    right.routeLocalnet = true;
    fromAlice(echo({ source: ALICE, destination: '127.0.0.1' }));
    expect(drops()).toEqual(['node/router/left IP_INVALID_DEST']);
    expectConserved(engine);
  });

  it('0.0.0.0 may ask everybody: that is how DHCP begins', async () => {
    const { engine, left, drops } = await routerWorld();
    const packet = udpPacket({ source: '0.0.0.0', destination: '255.255.255.255', sport: 68, dport: 67 });
    engine.receive(left, ethernet(BROADCAST, MAC.alice, IPV4, packet));
    engine.run(1e9);
    expect(drops()).toEqual(['node/router/left NO_SOCKET']);
    expectConserved(engine);
  });

  it('of a group that nobody joined is not taken', async () => {
    const { engine, left, drops, toAlice, toBob } = await routerWorld();
    const packet = udpPacket({ source: ALICE, destination: '224.0.0.251', sport: 5353, dport: 5353 });
    engine.receive(left, ethernet('01:00:5e:00:00:fb', MAC.alice, IPV4, packet));
    engine.run(1e9);
    expect(drops()).toEqual(['node/router/left IP_INVALID_DEST']);
    expect([toAlice(), toBob()]).toEqual([[], []]);
    expectConserved(engine);
  });

  it('of another host is forwarded only where forwarding is on, and nobody is told', async () => {
    const { engine, router, fromAlice, toAlice, toBob } = await routerWorld();
    router.set('forward', 0);
    fromAlice(echo({ source: ALICE, destination: BOB }));
    fromAlice(echo({ source: ALICE, destination: '192.0.2.1' }));
    expect([toAlice(), toBob()]).toEqual([[], []]);
    expect(dropsOf(engine)).toEqual(['node/router/left IP_FORWARDING_OFF x2']);
    expectConserved(engine);
  });

  it('of ours is answered with forwarding off, on every device', async () => {
    const { engine, router, fromAlice, toAlice } = await routerWorld();
    router.set('forward', 0);
    fromAlice(echo({ source: ALICE, destination: LEFT }));
    fromAlice(echo({ source: ALICE, destination: RIGHT }));
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 0/0`, `${RIGHT} > ${ALICE} ttl 64 icmp 0/0`]);
    expectConserved(engine);
  });
});

describe('a frame', () => {
  async function received(frame: Uint8Array, device?: (left: Device) => void) {
    const world = await routerWorld();
    device?.(world.left);
    world.engine.receive(world.left, frame);
    world.engine.run(1e9);
    expect([world.toAlice(), world.toBob()]).toEqual([[], []]);
    expectConserved(world.engine);
    return dropsOf(world.engine);
  }

  it('for another MAC is not ours', async () => {
    expect(await received(ethernet(MAC.bob, MAC.alice, IPV4, ping()))).toEqual(['node/router/left OTHERHOST']);
  });

  it('of a protocol that is not spoken here is UNHANDLED_PROTO', async () => {
    expect(await received(ethernet(MAC.left, MAC.alice, 0x8847, new Uint8Array(46)))).toEqual([
      'node/router/left UNHANDLED_PROTO',
    ]);
  });

  it.each([0, 1, 13])('of %i bytes is too small', async (length) => {
    expect(await received(new Uint8Array(length))).toEqual(['node/router/left PKT_TOO_SMALL']);
  });

  it('of a header alone has no packet in it', async () => {
    expect(await received(ethernet(MAC.left, MAC.alice, IPV4, hex('')))).toEqual(['node/router/left IP_INHDR']);
    expect(await received(ethernet(MAC.left, MAC.alice, ARP, hex('')))).toEqual(['node/router/left ARP_INVALID']);
  });

  it('at a device that is down is DEV_DOWN', async () => {
    const down = (left: Device) => {
      left.up = false;
    };
    expect(await received(ethernet(MAC.left, MAC.alice, IPV4, ping()), down)).toEqual(['node/router/left DEV_DOWN']);
  });

  it('to all, with a packet for one host in it, is not forwarded (RFC 1812, 5.3.4)', async () => {
    const packet = udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 });
    expect(await received(ethernet(BROADCAST, MAC.alice, IPV4, packet))).toEqual(['node/router/left OTHERHOST']);
  });

  it('to all, with a SYN for us in it, is answered neither by a handshake nor by a RST (tcp_v4_rcv: PACKET_HOST)', async () => {
    const packet = tcpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }, { flags: 'S' });
    const drops = await received(ethernet(BROADCAST, MAC.alice, IPV4, packet));
    expect(drops).toHaveLength(1);
  });

  it('to all, with a datagram for a closed port of ours in it, brings no error (RFC 1122, 3.2.2; icmp_send: PACKET_HOST)', async () => {
    const packet = udpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 });
    expect(await received(ethernet(BROADCAST, MAC.alice, IPV4, packet))).toEqual(['node/router/left NO_SOCKET']);
  });
});

describe('above IP', () => {
  const udp = (change: (packet: Uint8Array) => void) => {
    const packet = udpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 });
    change(packet);
    return packet;
  };
  it.each([
    ['a datagram with a wrong checksum', 'UDP_CSUM', udp((p) => p.set([1], 30))],
    ['a datagram that tells more than there is', 'PKT_TOO_SMALL', udp((p) => put16(p, 24, 99))],
    ['a datagram that tells less than its header', 'PKT_TOO_SMALL', udp((p) => put16(p, 24, 7))],
    [
      'a datagram without a whole header',
      'PKT_TOO_SMALL',
      ipPacket({ source: ALICE, destination: LEFT }, hex('0001 0002')),
    ],
    [
      'a segment with a wrong checksum',
      'TCP_CSUM',
      tcpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }, { flags: 'S' }).with(27, 9),
    ],
    [
      'a segment without a whole header',
      'PKT_TOO_SMALL',
      ipPacket({ source: ALICE, destination: LEFT, protocol: 6 }, new Uint8Array(19)),
    ],
    [
      'a segment whose header is longer than itself',
      'PKT_TOO_SMALL',
      tcpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }, { flags: 'S' }).with(32, 0x60),
    ],
    [
      'a segment whose header is shorter than any',
      'PKT_TOO_SMALL',
      tcpPacket({ source: ALICE, destination: LEFT, sport: 1, dport: 2 }, { flags: 'S' }).with(32, 0x40),
    ],
    ['ICMP with a wrong checksum', 'ICMP_CSUM', ping().with(60, 0xff)],
    [
      'ICMP without a whole header',
      'ICMP_CSUM',
      ipPacket({ source: ALICE, destination: LEFT, protocol: 1 }, hex('f7ff0000')),
    ],
  ])('%s is %s, and nobody is told', async (_, reason, packet) => {
    const { engine, fromAlice, toAlice } = await routerWorld();
    fromAlice(packet);
    expect(toAlice()).toEqual([]);
    expect(dropsOf(engine)).toEqual([`node/router/left ${reason}`]);
    expectConserved(engine);
  });
});
