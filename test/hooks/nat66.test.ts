/** Netfilter over IPv6: connections, NAT66, filtering (nf_conntrack_proto_icmpv6.c, nf_nat_proto.c, ip6_tables.c, Linux 6.1). */

import { describe, expect, it } from 'vitest';
import { chainsOf } from '../../src/engine/chains.js';
import { connectionsOf } from '../../src/engine/connections.js';
import { conntrackList, ip6tablesSave } from '../../src/views/index.js';
import { u16, u32 } from '../engine/packets.js';
import {
  address6Text,
  checksumHolds6,
  echo6,
  fragments6,
  icmp6Packet,
  ip6Packet,
  optionsHeader,
  told6,
  udp6Message,
  udp6Packet,
} from '../engine/packets6.js';
import { letters } from '../engine/pair.js';
import { expectConserved } from '../engine/watch.js';
import { CLIENT, LEFT, RIGHT, SERVER, type World6, world6 } from '../engine/world6.js';

const empty = new Uint8Array(8);

/** Whatever leaves by `right` is masqueraded. */
async function masquerading(options: Parameters<typeof world6>[0] = {}) {
  const world = await world6(options);
  const rule = world.router.ip6tables.append('nat', 'POSTROUTING', { out: world.right, target: 'MASQUERADE' });
  return { ...world, rule };
}

/** The router's port 8080 is the server's port 80. */
async function publishing(protocol: 'tcp' | 'udp' = 'udp') {
  const world = await world6();
  world.router.ip6tables.append('nat', 'PREROUTING', {
    destination: `${LEFT}/128`,
    protocol,
    dport: 8080,
    target: 'DNAT',
    address: SERVER,
    port: 80,
  });
  return world;
}

function tracked(world: World6): string[] {
  return connectionsOf(world.engine).map(
    ({ protocol, state, original, reply }) =>
      `${protocol} ${state} ${original.source} > ${original.destination} | ${reply.source} > ${reply.destination}`,
  );
}

describe('MASQUERADE over IPv6', () => {
  it('takes the source that routing would choose, keeps a free port, and undoes itself for replies', async () => {
    const world = await masquerading();
    world.arrive(world.left, udp6Packet({ source: CLIENT, destination: SERVER, sport: 4000, dport: 53 }, empty));
    world.run(1);
    expect(world.seen(world.right)[0]).toBe(`${RIGHT} > ${SERVER} hops 63 udp 4000 > 53`);
    world.arrive(world.right, udp6Packet({ source: SERVER, destination: RIGHT, sport: 53, dport: 4000 }, empty));
    world.run(1);
    expect(world.seen(world.left)).toContain(`${SERVER} > ${CLIENT} hops 63 udp 53 > 4000`);
    // Only the first packet of a connection meets the rule.
    expect([world.rule.packets, world.rule.bytes]).toEqual([1, 56]);
    expectConserved(world.engine);
  });

  it('gives another port, or echo identifier, where the tuple is taken', async () => {
    const world = await masquerading();
    world.router.addNeighbour(world.left, '2001:db8:1::3', '02:00:00:00:01:03');
    for (const source of [CLIENT, '2001:db8:1::3']) {
      world.arrive(world.left, echo6({ source, destination: SERVER }));
      world.arrive(world.left, udp6Packet({ source, destination: SERVER, sport: 4000, dport: 53 }, empty));
    }
    world.run(1);
    const sent = world.packets(world.right).filter((packet) => address6Text(packet, 24) === SERVER);
    const marks = sent.map((packet) => u16(packet, packet[6] === 58 ? 44 : 40));
    expect(marks.slice(0, 2)).toEqual([7, 4000]);
    expect(marks[2]).not.toBe(7);
    expect(marks[3]).toBeGreaterThanOrEqual(1024);
    expect(marks[3]).not.toBe(4000);
    expect(sent.every(checksumHolds6)).toBe(true);
    // The server's replies find the one who asked.
    const back = world.packets(world.left).filter((packet) => packet[40] === 129);
    expect(back.map((packet) => [address6Text(packet, 24), u16(packet, 44)])).toEqual([
      [CLIENT, 7],
      ['2001:db8:1::3', 7],
    ]);
  });

  it('looks behind extension headers, and leaves a UDP checksum of 0 alone', async () => {
    const world = await masquerading();
    const ends = { source: CLIENT, destination: SERVER, sport: 4000, dport: 53 };
    const options = optionsHeader(17);
    const packet = ip6Packet({ ...ends, next: 60 }, new Uint8Array([...options, ...udp6Message(ends, empty)]));
    world.arrive(world.left, packet);
    const bare = udp6Packet({ ...ends, sport: 4001 }, empty);
    bare[46] = 0;
    bare[47] = 0;
    world.arrive(world.left, bare);
    world.run(1);
    const [behind, zero] = world.packets(world.right);
    expect(behind && checksumHolds6(behind)).toBe(true);
    expect(behind && [address6Text(behind, 8), behind[6], u16(behind, 48)]).toEqual([RIGHT, 60, 4000]);
    expect(zero && [address6Text(zero, 8), u16(zero, 46)]).toEqual([RIGHT, 0]);
  });
});

describe('DNAT over IPv6', () => {
  it('leads a TCP connection to another address and port, and conntrack follows its states', async () => {
    const world = await publishing('tcp');
    world.sockets.listen(
      world.server,
      80,
      (connection) => {
        connection.onData = (data, time) => connection.write(data.slice(), world.sockets.after(time));
        connection.onEnd = (time) => connection.close(world.sockets.after(time));
      },
      '::',
    );
    const connection = world.sockets.connect(world.client, { address: LEFT, port: 8080 }, 0);
    const got: Uint8Array[] = [];
    if (!connection) throw new Error('no connection');
    connection.onConnected = (time) => connection.write(letters(3000), world.sockets.after(time));
    connection.onData = (data) => got.push(data.slice());
    world.run(1);
    expect(Buffer.concat(got).length).toBe(3000);
    expect(tracked(world)).toEqual([`tcp ESTABLISHED ${CLIENT} > ${LEFT} | ${SERVER} > ${CLIENT}`]);
    expect(world.seen(world.serverNic)[0]).toBe(`${CLIENT} > ${SERVER} hops 63 tcp S`);
    expect(world.seen(world.nic)[1]).toBe(`${LEFT} > ${CLIENT} hops 63 tcp SA`);
    connection.close(world.engine.now);
    world.run(1);
    expect(tracked(world)[0]).toContain('TIME_WAIT');
    expect(conntrackList(world.router, 'ipv6')).toMatch(
      /^tcp +6 \d+ TIME_WAIT src=2001:db8:1::2 dst=2001:db8:1::1 sport=\d+ dport=8080 src=2001:db8:2::2 dst=2001:db8:1::2 sport=80 dport=\d+ \[ASSURED\] mark=0 use=1\n$/,
    );
    expect(conntrackList(world.router)).toBe(conntrackList(world.router, 'ipv6'));
    expect(conntrackList(world.router, 'ipv4')).toBe('');
    expectConserved(world.engine);
  });

  it('at OUTPUT has the packet routed again', async () => {
    const world = await world6();
    world.router.ip6tables.append('nat', 'OUTPUT', {
      destination: `${LEFT}/128`,
      protocol: 'udp',
      target: 'DNAT',
      address: SERVER,
      port: 80,
    });
    const socket = world.sockets.openUdp(world.router, 4000, () => {}, undefined, '::');
    socket.send({ address: LEFT, port: 9 }, letters(10), 0);
    world.run(1);
    // Its source was chosen for the way over lo, and stays.
    expect(world.seen(world.right)[0]).toBe(`${LEFT} > ${SERVER} udp 4000 > 80`);
  });
});

describe('an ICMPv6 error', () => {
  it('about a masqueraded packet is translated, outside and inside', async () => {
    const world = await masquerading();
    const sent = udp6Packet({ source: CLIENT, destination: SERVER, sport: 4000, dport: 53 }, letters(40));
    world.arrive(world.left, sent);
    world.run(1);
    const [masqueraded] = world.packets(world.right);
    if (!masqueraded) throw new Error('nothing was sent');
    world.arrive(
      world.right,
      icmp6Packet({ source: '2001:db8:2::fe', destination: RIGHT }, { type: 1, code: 4, payload: masqueraded }),
    );
    world.run(1);
    const error = world.packets(world.left).at(-1);
    if (!error) throw new Error('no error');
    expect(told6(error)).toBe(`2001:db8:2::fe > ${CLIENT} hops 63 icmp 1/4`);
    expect(checksumHolds6(error)).toBe(true);
    // What it quotes is what the client sent, but for the hop that it went.
    const quoted = error.slice(48);
    quoted[7] = 64;
    expect(quoted).toEqual(sent);
    expectConserved(world.engine);
  });

  it('Packet Too Big from the router itself is about the address that the client knows', async () => {
    const world = await world6({ mtuRight: 1400 });
    world.router.ip6tables.append('nat', 'PREROUTING', {
      destination: `${LEFT}/128`,
      protocol: 'udp',
      target: 'DNAT',
      address: SERVER,
    });
    world.arrive(world.left, udp6Packet({ source: CLIENT, destination: LEFT, sport: 1, dport: 2 }, letters(1440)));
    world.run(1);
    const error = world.packets(world.left).at(-1);
    if (!error) throw new Error('no error');
    expect(told6(error)).toBe(`${LEFT} > ${CLIENT} icmp 2/0 mtu 1400`);
    expect(checksumHolds6(error)).toBe(true);
    expect(address6Text(error, 48 + 24)).toBe(LEFT);
    expect(u32(error, 44)).toBe(1400);
  });

  it('about nothing that is known is INVALID', async () => {
    const world = await masquerading();
    const drop = world.router.ip6tables.append('filter', 'INPUT', { states: ['INVALID'], target: 'DROP' });
    world.arrive(
      world.right,
      icmp6Packet(
        { source: SERVER, destination: RIGHT },
        { type: 1, payload: udp6Packet({ source: RIGHT, destination: SERVER, sport: 5, dport: 6 }, empty) },
      ),
    );
    world.run(1);
    expect(drop.packets).toBe(1);
  });
});

describe('conntrack over IPv6', () => {
  it('leaves neighbour discovery and listener reports untracked', async () => {
    const world = await world6({ neighbours: false });
    const { ip6tables } = world.router;
    const untracked = ip6tables.append('filter', 'INPUT', { states: ['UNTRACKED'], target: 'ACCEPT' });
    const fresh = ip6tables.append('filter', 'INPUT', { states: ['NEW'], target: 'ACCEPT' });
    world.sockets.ping(world.client, LEFT, { identifier: 7, sequence: 1, size: 8, time: 0 });
    world.run(1);
    expect([untracked.packets, fresh.packets]).toEqual([1, 1]);
    expect(tracked(world)).toEqual([`icmpv6  ${CLIENT} > ${LEFT} | ${LEFT} > ${CLIENT}`]);
    expect(conntrackList(world.router, 'ipv6')).toBe(
      `icmpv6   58 29 src=${CLIENT} dst=${LEFT} type=128 code=0 id=7 src=${LEFT} dst=${CLIENT} type=129 code=0 id=7 mark=0 use=1\n`,
    );
  });

  it('takes a wrong checksum, a reply to nothing and a broken extension header for INVALID', async () => {
    const world = await masquerading();
    const invalid = world.router.ip6tables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'DROP' });
    const wrong = udp6Packet({ source: CLIENT, destination: SERVER, sport: 1, dport: 2 }, letters(10));
    wrong[47] = (wrong[47] ?? 0) ^ 1;
    world.arrive(world.left, wrong);
    world.arrive(world.left, icmp6Packet({ source: CLIENT, destination: SERVER }, { type: 129 }));
    world.arrive(
      world.left,
      ip6Packet({ source: CLIENT, destination: SERVER, next: 60 }, Uint8Array.of(17, 9, 0, 0, 0, 0, 0, 0)),
    );
    world.arrive(world.left, ip6Packet({ source: CLIENT, destination: SERVER, next: 59 }, letters(8)));
    world.run(1);
    expect(invalid.packets).toBe(4);
    expect(tracked(world)).toEqual([]);
    expectConserved(world.engine);
  });

  it('puts fragments together, translates the whole, and cuts it as it came', async () => {
    const world = await masquerading();
    const whole = udp6Packet({ source: CLIENT, destination: SERVER, sport: 4000, dport: 53 }, letters(2000));
    for (const piece of fragments6(whole, [1200])) world.arrive(world.left, piece);
    world.run(1);
    expect(world.seen(world.right).slice(0, 2)).toEqual([
      `${RIGHT} > ${SERVER} hops 63 fragment at 0+`,
      `${RIGHT} > ${SERVER} hops 63 fragment at 1200`,
    ]);
    const [first, second] = world.packets(world.right);
    const body = Uint8Array.from([...(first?.subarray(48) ?? []), ...(second?.subarray(48) ?? [])]);
    const again = ip6Packet({ source: RIGHT, destination: SERVER, next: 17 }, body);
    expect(checksumHolds6(again)).toBe(true);
    expectConserved(world.engine);
  });

  it('has the records of IPv4, and two addresses of 32 bytes', async () => {
    const { size } = (await import('../../src/engine/generated/layout.js')).Connection;
    expect(size).toBe(128);
    const world = await masquerading();
    for (let i = 1; i <= 200; i++)
      world.arrive(world.left, udp6Packet({ source: CLIENT, destination: SERVER, sport: i, dport: 53 }, empty));
    world.run(1);
    expect(world.router.get('connections')).toBe(200);
  });
});

describe('tables', () => {
  it('raw comes before conntrack, for both families', async () => {
    const world = await masquerading();
    const raw = world.router.ip6tables.append('raw', 'PREROUTING', {
      destination: `${SERVER}/128`,
      notIn: world.right,
      target: 'DROP',
    });
    world.arrive(world.left, echo6({ source: CLIENT, destination: SERVER }));
    world.run(1);
    expect(raw.packets).toBe(1);
    expect(tracked(world)).toEqual([]);
    expect(world.drops()).toEqual(['router/host/left NETFILTER_DROP']);
  });

  it('match prefixes, local addresses and ports, jump and return', async () => {
    const world = await world6();
    const { ip6tables } = world.router;
    ip6tables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'USER' });
    const notLinkLocal = ip6tables.append('filter', 'USER', {
      notSource: 'fe80::/10',
      protocol: 'udp',
      dport: 53,
      target: 'RETURN',
    });
    const rest = ip6tables.append('filter', 'USER', { source: '2001:db8:1::/64', target: 'DROP' });
    const local = ip6tables.append('filter', 'INPUT', { destinationType: 'LOCAL', target: 'ACCEPT' });
    const remote = ip6tables.append('filter', 'FORWARD', { destinationType: 'LOCAL', target: 'DROP' });
    for (const dport of [53, 54])
      world.arrive(world.left, udp6Packet({ source: CLIENT, destination: SERVER, sport: 1, dport }, empty));
    world.arrive(world.left, echo6({ source: CLIENT, destination: RIGHT }));
    world.run(1);
    expect([notLinkLocal.packets, rest.packets, local.packets, remote.packets]).toEqual([1, 1, 1, 0]);
    expect(chainsOf(ip6tables, 'filter').find(({ name }) => name === 'USER')?.rules[0]?.match).toEqual({
      notSource: 'fe80::/10',
      protocol: 'udp',
      dport: 53,
    });
  });

  it('REJECT tells the sender', async () => {
    const world = await world6();
    world.router.ip6tables.append('filter', 'FORWARD', { protocol: 'udp', target: 'REJECT' });
    world.router.ip6tables.append('filter', 'FORWARD', { target: 'REJECT', with: 'icmp6-adm-prohibited' });
    world.arrive(world.left, udp6Packet({ source: CLIENT, destination: SERVER, sport: 1, dport: 2 }, empty));
    world.arrive(world.left, echo6({ source: CLIENT, destination: SERVER }));
    world.run(1);
    expect(world.seen(world.left).filter((told) => told.includes('icmp'))).toEqual([
      `${LEFT} > ${CLIENT} icmp 1/4`,
      `${LEFT} > ${CLIENT} icmp 1/1`,
    ]);
  });

  it('are saved as ip6tables-save prints them', async () => {
    const { router, left } = await world6();
    const { ip6tables } = router;
    ip6tables.chain('raw', 'PREROUTING');
    ip6tables.append('raw', 'PREROUTING', { destination: 'fd00::1/128', notIn: left, target: 'DROP' });
    ip6tables.append('nat', 'PREROUTING', {
      notSource: 'fe80::/10',
      protocol: 'tcp',
      dport: 80,
      target: 'DNAT',
      address: 'fd00::2',
      port: 80,
    });
    ip6tables.append('filter', 'INPUT', { protocol: 'ipv6-icmp', target: 'REJECT' });
    expect(
      ip6tablesSave(router)
        .split('\n')
        .filter((line) => /^[-*]/.test(line)),
    ).toEqual([
      '*raw',
      '-A PREROUTING -d fd00::1/128 ! -i left -j DROP',
      '*filter',
      '-A INPUT -p ipv6-icmp -j REJECT --reject-with icmp6-port-unreachable',
      '*nat',
      '-A PREROUTING ! -s fe80::/10 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::2]:80',
    ]);
  });
});
