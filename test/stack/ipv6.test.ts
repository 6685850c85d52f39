/** IPv6 between two hosts and a router: neighbours, echo, errors, path MTU, UDP and TCP (RFC 8200, 4861, 4443, 8201). */

import { describe, expect, it } from 'vitest';
import { concat, u32 } from '../engine/packets.js';
import { address6, echo6, icmp6Packet, ip6Packet, optionsHeader, udp6Packet } from '../engine/packets6.js';
import { letters } from '../engine/pair.js';
import { dropsOf, expectConserved } from '../engine/watch.js';
import { CLIENT, LEFT, MAC6, RIGHT, SERVER, type World6, world6 } from '../engine/world6.js';

const LINK = { client: 'fe80::ff:fe00:102', left: 'fe80::ff:fe00:101' };

function ping(world: World6, to: string, size = 56): void {
  world.sockets.ping(world.client, to, { identifier: 7, sequence: 1, size, time: world.engine.now });
}

describe('neighbours', () => {
  it('are asked for at their solicited-node group and answer by unicast, as recorded in S12', async () => {
    const world = await world6({ neighbours: false });
    ping(world, LEFT);
    world.run(1);
    expect(world.seen(world.nic)).toEqual([
      `${CLIENT} > ff02::1:ff00:1 who is ${LEFT} from ${MAC6.client}`,
      `${LEFT} > ${CLIENT} ${LEFT} is here RSO from ${MAC6.left}`,
      `${CLIENT} > ${LEFT} echo request`,
      `${LEFT} > ${CLIENT} echo reply`,
    ]);
    const [question] = world.watch.sent(world.nic);
    expect(Buffer.from(question?.subarray(0, 6) ?? []).toString('hex')).toBe('3333ff000001');
    expect(question?.[21], 'hop limit').toBe(255);
    expectConserved(world.engine);
  });

  it('that answered the one who asked first are probed by unicast from the link-local address after five seconds', async () => {
    const world = await world6({ neighbours: false });
    ping(world, LEFT);
    world.run(7);
    // The router learned of the client from its question: stale, used for the reply, so it is asked for.
    expect(world.seen(world.nic).slice(4)).toEqual([
      `${LINK.left} > ${CLIENT} who is ${CLIENT} from ${MAC6.left}`,
      // An answer to one who knows the MAC leaves it out.
      `${CLIENT} > ${LINK.left} ${CLIENT} is here S`,
    ]);
  });

  it('that never answer are asked for three times, and the sender is told by its own stack', async () => {
    const world = await world6();
    ping(world, '2001:db8:1::99');
    world.run(5);
    expect(world.seen(world.nic)).toEqual(
      Array(3).fill(`${CLIENT} > ff02::1:ff00:99 who is 2001:db8:1::99 from ${MAC6.client}`),
    );
    expect(world.drops()).toEqual(['client/host/eth0 NEIGH_FAILED', 'router/host/left IP_INVALID_DEST x3']);
    expectConserved(world.engine);
  });
});

describe('the router', () => {
  it('takes one from the hop limit', async () => {
    const world = await world6();
    ping(world, SERVER);
    world.run(1);
    expect(world.seen(world.serverNic)).toEqual([
      `${CLIENT} > ${SERVER} hops 63 echo request`,
      `${SERVER} > ${CLIENT} echo reply`,
    ]);
    expect(world.seen(world.nic)).toEqual([
      `${CLIENT} > ${SERVER} echo request`,
      `${SERVER} > ${CLIENT} hops 63 echo reply`,
    ]);
    expectConserved(world.engine);
  });

  it('tells when the hop limit is over, and when there is no route', async () => {
    const world = await world6();
    world.arrive(world.left, echo6({ source: CLIENT, destination: SERVER, hopLimit: 1 }));
    world.arrive(world.left, echo6({ source: CLIENT, destination: '2001:db8:99::1' }));
    world.run(1);
    expect(world.packets(world.left).length).toBe(2);
    expect(world.seen(world.left).filter((told) => told.includes('icmp'))).toEqual([
      `${LEFT} > ${CLIENT} icmp 3/0`,
      `${LEFT} > ${CLIENT} icmp 1/0`,
    ]);
    expect(world.drops()).toEqual(['router/host/left IP_IN_NO_ROUTE', 'router/host/left IP_TTL_EXPIRED']);
  });

  it('does not forward when forwarding is off', async () => {
    const world = await world6();
    world.router.ipv6.forwards = false;
    ping(world, SERVER);
    world.run(1);
    expect(world.drops()).toEqual(['router/host/left IP_FORWARDING_OFF']);
  });

  it('says Packet Too Big, quoting no more than 1280 bytes carry; the sender then makes fragments that fit', async () => {
    const world = await world6({ mtuRight: 1400 });
    ping(world, SERVER, 1452);
    world.run(1);
    expect(world.seen(world.nic)).toEqual([
      `${CLIENT} > ${SERVER} echo request`,
      `${LEFT} > ${CLIENT} icmp 2/0 mtu 1400`,
    ]);
    const error = world.packets(world.left).at(-1);
    expect(error?.length).toBe(1280);
    ping(world, SERVER, 1452);
    world.run(1);
    expect(world.seen(world.nic)).toEqual([
      `${CLIENT} > ${SERVER} fragment at 0+`,
      `${CLIENT} > ${SERVER} fragment at 1352`,
      `${SERVER} > ${CLIENT} hops 63 fragment at 0+`,
      `${SERVER} > ${CLIENT} hops 63 fragment at 1352`,
    ]);
  });
});

describe('ping', () => {
  it('of 3000 bytes leaves in fragments of 1448, as recorded in S12, and so does its answer', async () => {
    const world = await world6();
    ping(world, LEFT, 3000);
    world.run(1);
    expect(world.seen(world.nic)).toEqual([
      `${CLIENT} > ${LEFT} fragment at 0+`,
      `${CLIENT} > ${LEFT} fragment at 1448+`,
      `${CLIENT} > ${LEFT} fragment at 2896`,
      `${LEFT} > ${CLIENT} fragment at 0+`,
      `${LEFT} > ${CLIENT} fragment at 1448+`,
      `${LEFT} > ${CLIENT} fragment at 2896`,
    ]);
    const sent = world.packets(world.nic);
    expect(sent.map(({ length }) => length)).toEqual([1496, 1496, 160]);
    expect(new Set(sent.map((packet) => u32(packet, 44))).size, 'one identification').toBe(1);
    expectConserved(world.engine);
  });

  it('of an own address goes over lo; of a link-local one by the device that is named', async () => {
    const world = await world6({ neighbours: false });
    const lo = world.client.device('lo');
    lo.tap();
    ping(world, CLIENT);
    ping(world, '::1');
    world.sockets.ping(world.client, LINK.left, { identifier: 7, sequence: 1, size: 56, time: 0, device: world.nic });
    world.run(1);
    expect([...new Set(world.seen(lo))]).toEqual([
      `${CLIENT} > ${CLIENT} echo request`,
      `${CLIENT} > ${CLIENT} echo reply`,
      '::1 > ::1 echo request',
      '::1 > ::1 echo reply',
    ]);
    expect(world.seen(world.nic)).toContain(`${LINK.left} > ${LINK.client} echo reply`);
  });
});

describe('UDP and TCP', () => {
  it('a closed port is unreachable, a closed TCP port resets', async () => {
    const world = await world6();
    const errors: string[] = [];
    const socket = world.sockets.openUdp(
      world.client,
      4000,
      () => {},
      (type, code) => errors.push(`${type}/${code}`),
      '::',
    );
    socket.send({ address: SERVER, port: 9 }, letters(10), 0);
    let failure = '';
    const connection = world.sockets.connect(world.client, { address: SERVER, port: 9 }, 0);
    if (connection) connection.onFailed = (reason) => (failure = reason);
    world.run(1);
    expect(errors).toEqual(['1/4']);
    expect(failure).toBe('refused');
    expect(world.seen(world.nic)).toEqual([
      `${CLIENT} > ${SERVER} udp 4000 > 9`,
      `${SERVER} > ${CLIENT} hops 63 icmp 1/4`,
      `${CLIENT} > ${SERVER} tcp S`,
      `${SERVER} > ${CLIENT} hops 63 tcp RA`,
    ]);
  });

  it('datagrams arrive whole, however many fragments they need', async () => {
    const world = await world6();
    const got: { size: number; from: string }[] = [];
    world.sockets.openUdp(
      world.server,
      53,
      ({ data, from }) => got.push({ size: data.length, from: from.address }),
      undefined,
      '::',
    );
    const socket = world.sockets.openUdp(world.client, 0, () => {}, undefined, '::');
    for (const size of [1, 1452, 1453, 20000])
      expect(socket.send({ address: SERVER, port: 53 }, letters(size), 0)).toBe(true);
    world.run(1);
    expect(got).toEqual([1, 1452, 1453, 20000].map((size) => ({ size, from: CLIENT })));
    expectConserved(world.engine);
  });

  it.each([{ mtuRight: 1500 }, { mtuRight: 1300 }])(
    'a TCP connection carries 200 kB both ways, %o',
    async ({ mtuRight }) => {
      const world = await world6({ mtuRight });
      const up = letters(200_000);
      const down = letters(200_000, 3);
      const got: { server: Uint8Array[]; client: Uint8Array[] } = { server: [], client: [] };
      let peer = '';
      world.sockets.listen(
        world.server,
        80,
        (connection, time) => {
          peer = connection.remote.address;
          connection.onData = (data) => got.server.push(data.slice());
          connection.onEnd = (at) => connection.close(world.sockets.after(at));
          connection.write(down, world.sockets.after(time));
        },
        '::',
      );
      const connection = world.sockets.connect(world.client, { address: SERVER, port: 80 }, 0);
      let closed = false;
      if (!connection) throw new Error('no route');
      connection.onConnected = (time) => {
        connection.write(up, world.sockets.after(time));
        connection.close(world.sockets.after(time) + 5e9);
      };
      connection.onData = (data) => got.client.push(data.slice());
      connection.onClosed = () => (closed = true);
      world.run(20);
      expect(peer).toBe(CLIENT);
      expect(Buffer.concat(got.server).equals(Buffer.from(up))).toBe(true);
      expect(Buffer.concat(got.client).equals(Buffer.from(down))).toBe(true);
      expect(closed).toBe(true);
      // MSS 1440: 60 bytes for the two headers.
      const syn = world.packets(world.nic).find((packet) => packet[6] === 6);
      expect([...(syn?.subarray(60, 64) ?? [])]).toEqual([2, 4, 1440 >> 8, 1440 & 255]);
      world.seen(world.nic); // checks every checksum
      expectConserved(world.engine);
    },
  );
});

describe('what is wrong is dropped, with a reason', () => {
  const ends = { source: CLIENT, destination: LEFT };
  it.each([
    [
      'a truncated packet',
      () => udp6Packet({ ...ends, sport: 1, dport: 2 }, new Uint8Array(30)).subarray(0, 60),
      'PKT_TOO_SMALL',
    ],
    [
      'version 5',
      () => Uint8Array.from(ip6Packet(ends, new Uint8Array(8)), (byte, i) => (i === 0 ? 0x50 : byte)),
      'IP_INHDR',
    ],
    ['a group as the source', () => echo6({ ...ends, source: 'ff02::1' }), 'IP_INVALID_SOURCE'],
    ['::1 from outside', () => echo6({ ...ends, source: '::1' }), 'IP_INVALID_SOURCE'],
    ['a group that nobody joined', () => echo6({ ...ends, destination: 'ff02::1234' }), 'IP_INVALID_DEST'],
    [
      'an extension header that runs over the end',
      () => ip6Packet({ ...ends, next: 60 }, Uint8Array.of(59, 9, 0, 0, 0, 0, 0, 0)),
      'IPV6_BAD_EXTHDR',
    ],
    [
      'a hop-by-hop option that must be known',
      () => ip6Packet({ ...ends, next: 0 }, optionsHeader(59, Uint8Array.of(0x77, 0))),
      'IPV6_BAD_EXTHDR',
    ],
    [
      'a hop-by-hop header behind another',
      () => ip6Packet({ ...ends, next: 60 }, new Uint8Array([...optionsHeader(0), ...optionsHeader(59)])),
      'IP_NOPROTO',
    ],
    [
      'UDP without a checksum',
      () => {
        const packet = udp6Packet({ ...ends, sport: 1, dport: 2 }, new Uint8Array(4));
        packet[46] = 0;
        packet[47] = 0;
        return packet;
      },
      'UDP_CSUM',
    ],
    [
      'a neighbour message that crossed a router',
      () => icmp6Packet({ ...ends, hopLimit: 254 }, { type: 135, payload: address6(LEFT) }),
      'IPV6_NDISC_HOP_LIMIT',
    ],
    [
      'a neighbour message with an option of no length',
      () =>
        icmp6Packet({ ...ends, hopLimit: 255 }, { type: 135, payload: concat(address6(LEFT), Uint8Array.of(1, 0)) }),
      'IPV6_NDISC_BAD_OPTIONS',
    ],
    [
      'a neighbour message with a code',
      () => icmp6Packet({ ...ends, hopLimit: 255 }, { type: 135, code: 1, payload: address6(LEFT) }),
      'IPV6_NDISC_BAD_CODE',
    ],
    [
      'ICMPv6 with a wrong checksum',
      () => Uint8Array.from(echo6(ends), (byte, i) => (i === 42 ? byte ^ 1 : byte)),
      'ICMP_CSUM',
    ],
  ] as const)('%s', async (_, packet, reason) => {
    const world = await world6();
    world.arrive(world.left, packet());
    world.run(1);
    expect(dropsOf(world.engine)).toEqual([`router/host/left ${reason}`]);
    expectConserved(world.engine);
  });

  it('IPv6 frames end where IPv6 is off', async () => {
    const world = await world6();
    const [one] = world.router.addVeth(
      'plain',
      { mac: '02:00:00:00:09:01', mtu: 1500 },
      { namespace: world.server, name: 'plain', mac: '02:00:00:00:09:02', mtu: 1500 },
    );
    world.arrive(one, echo6({ source: CLIENT, destination: RIGHT }));
    world.run(1);
    expect(world.drops()).toEqual(['router/host/plain IPV6DISABLED']);
  });
});
