/** Network address translation (nf_nat_core.c, nf_nat_proto.c, nf_nat_masquerade.c, nf_nat_redirect.c, Linux 6.1). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressText,
  checksum,
  checksumsHold,
  echo,
  icmpPacket,
  put16,
  tcpPacket,
  toHex,
  told,
  u16,
  udpPacket,
} from '../engine/packets.js';
import { connectionsIn } from '../engine/state.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, RIGHT, routerWorld } from '../engine/world.js';

const CAROL = '10.0.1.3';
const MAC_CAROL = '02:00:00:00:01:03';

/** Whatever leaves by `right` is masqueraded. */
async function masquerading() {
  const world = await routerWorld();
  const { router, left, right } = world;
  router.addNeighbour(left, CAROL, MAC_CAROL);
  const rule = router.iptables.append('nat', 'POSTROUTING', { out: right, target: 'MASQUERADE' });
  return { ...world, rule };
}

/** The router's port 8080 is bob's port 80, and bob sees the router alone. */
async function publishing(protocol: 'tcp' | 'udp' = 'udp') {
  const world = await masquerading();
  const rule = world.router.iptables.append('nat', 'PREROUTING', {
    destination: `${LEFT}/32`,
    protocol,
    dport: 8080,
    target: 'DNAT',
    address: BOB,
    port: 80,
  });
  return { ...world, dnat: rule };
}

const only = (packets: Uint8Array[]): Uint8Array => {
  expect(packets).toHaveLength(1);
  return packets[0] ?? new Uint8Array();
};

describe('source NAT', () => {
  it('keeps the port where it is free, and undoes itself for replies', async () => {
    const { engine, fromAlice, fromBob, toBob, toAlice, rule } = await masquerading();
    fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 53 }));
    expect(toBob()).toEqual([`${RIGHT}:4000 > ${BOB}:53 ttl 63 udp`]);
    fromBob(udpPacket({ source: BOB, destination: RIGHT, sport: 53, dport: 4000 }));
    expect(toAlice()).toEqual([`${BOB}:53 > ${ALICE}:4000 ttl 63 udp`]);
    fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 53 }));
    expect(rule.packets, 'a rule is asked once a connection').toBe(1);
    expectConserved(engine);
  });

  it('keeps the port towards another destination though it is in use', async () => {
    const { router, right, fromAlice, toBob } = await masquerading();
    router.addNeighbour(right, '10.0.2.3', '02:00:00:00:02:03');
    fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 53 }));
    fromAlice(udpPacket({ source: CAROL, destination: '10.0.2.3', sport: 4000, dport: 53 }));
    fromAlice(udpPacket({ source: CAROL, destination: BOB, sport: 4000, dport: 54 }));
    expect(toBob()).toEqual([
      `${RIGHT}:4000 > ${BOB}:53 ttl 63 udp`,
      `${RIGHT}:4000 > 10.0.2.3:53 ttl 63 udp`,
      `${RIGHT}:4000 > ${BOB}:54 ttl 63 udp`,
    ]);
  });

  // nf_nat_l4proto_unique_tuple: "Loose convention: >> 512 is credential passing".
  it.each([
    [1, 1, 511],
    [511, 1, 511],
    [512, 600, 1023],
    [1023, 600, 1023],
    [1024, 1024, 65535],
    [60000, 1024, 65535],
  ])('chooses another port for %i, if it is taken, between %i and %i', async (port, lowest, highest) => {
    const { engine, router, fromAlice, packetsToBob } = await masquerading();
    fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: port, dport: 53 }));
    const seen = [u16(only(packetsToBob()), 20)];
    for (let last = 10; last < 40; last++) {
      fromAlice(udpPacket({ source: `10.0.1.${last}`, destination: BOB, sport: port, dport: 53 }));
      seen.push(u16(only(packetsToBob()), 20));
    }
    expect(seen[0]).toBe(port);
    for (const chosen of seen.slice(1)) {
      expect(chosen).toBeGreaterThanOrEqual(lowest);
      expect(chosen).toBeLessThanOrEqual(highest);
    }
    expect(new Set(seen).size, 'no two the same').toBe(seen.length);
    expect(connectionsIn(router)).toHaveLength(31);
    expect(engine.exports.natPortSearches()).toBe(30);
    expectConserved(engine);
  });

  it('gives up when no port is left, and says so', async () => {
    const { engine, router, left, fromAlice, toBob, drops } = await routerWorld();
    router.addNeighbour(left, CAROL, MAC_CAROL);
    router.iptables.append('nat', 'POSTROUTING', { target: 'SNAT', address: RIGHT });
    // All of 1-511 in use towards one destination port.
    for (let i = 1; i <= 511; i++) fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: i, dport: 9999 }));
    fromAlice(udpPacket({ source: CAROL, destination: BOB, sport: 5, dport: 9999 }));
    expect(toBob()).toHaveLength(511);
    expect(drops()).toEqual(['node/router/left NAT_NO_FREE_TUPLE']);
    expectConserved(engine);
  });

  it('keeps an echo’s identifier, and chooses another when that is taken', async () => {
    const { engine, fromAlice, fromBob, packetsToBob, packetsToAlice } = await masquerading();
    fromAlice(echo({ source: ALICE, destination: BOB }, { identifier: 7 }));
    const first = only(packetsToBob());
    expect([addressText(first, 12), u16(first, 24)]).toEqual([RIGHT, 7]);
    fromAlice(echo({ source: CAROL, destination: BOB }, { identifier: 7 }));
    const second = only(packetsToBob());
    const identifier = u16(second, 24);
    expect(identifier).not.toBe(7);
    expect(checksumsHold(second)).toBe(true);
    fromBob(echo({ source: BOB, destination: RIGHT }, { reply: true, identifier }));
    const answer = only(packetsToAlice());
    expect([addressText(answer, 16), u16(answer, 24)]).toEqual([CAROL, 7]);
    expect(checksumsHold(answer)).toBe(true);
    expectConserved(engine);
  });

  it('leaves a UDP checksum of zero alone', async () => {
    const { fromAlice, packetsToBob } = await masquerading();
    const packet = udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 53 });
    put16(packet, 26, 0);
    fromAlice(packet);
    expect(u16(only(packetsToBob()), 26)).toBe(0);
  });
});

describe('destination NAT', () => {
  it('changes address and port, and undoes itself for replies', async () => {
    const { engine, fromAlice, fromBob, packetsToBob, packetsToAlice } = await publishing('tcp');
    fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080 }, { flags: 'S' }));
    const asked = only(packetsToBob());
    expect(told(asked)).toBe(`${RIGHT}:4000 > ${BOB}:80 ttl 63 tcp S`);
    expect(checksumsHold(asked)).toBe(true);
    fromBob(tcpPacket({ source: BOB, destination: RIGHT, sport: 80, dport: 4000 }, { flags: 'SA', acknowledgment: 1 }));
    const answer = only(packetsToAlice());
    expect(told(answer)).toBe(`${LEFT}:8080 > ${ALICE}:4000 ttl 63 tcp SA`);
    expect(checksumsHold(answer)).toBe(true);
    expectConserved(engine);
  });

  it('without a port keeps the packet’s', async () => {
    const { router, fromAlice, toBob } = await routerWorld();
    router.iptables.append('nat', 'PREROUTING', { destination: `${LEFT}/32`, target: 'DNAT', address: BOB });
    fromAlice(udpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080 }));
    expect(toBob()).toEqual([`${ALICE}:4000 > ${BOB}:8080 ttl 63 udp`]);
  });

  it('brings any packet back as it was sent (property)', async () => {
    const { engine, fromAlice, fromBob, packetsToBob, packetsToAlice } = await publishing();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65535 }), fc.uint8Array({ maxLength: 200 }), (sport, payload) => {
        fromAlice(udpPacket({ source: ALICE, destination: LEFT, sport, dport: 8080 }, payload));
        const there = only(packetsToBob());
        expect(checksumsHold(there)).toBe(true);
        expect(toHex(there.subarray(28))).toBe(toHex(payload));
        fromBob(udpPacket({ source: BOB, destination: RIGHT, sport: 80, dport: u16(there, 20) }, payload));
        const back = only(packetsToAlice());
        const untranslated = udpPacket(
          { source: LEFT, destination: ALICE, sport: 8080, dport: sport, ttl: 63 },
          payload,
        );
        expect(toHex(back)).toBe(toHex(untranslated));
      }),
      { numRuns: 200 },
    );
    expectConserved(engine);
  });
});

describe('REDIRECT', () => {
  it('goes to the first address of the device that the packet came by', async () => {
    const { engine, router, left, fromAlice, toAlice } = await routerWorld();
    router.iptables.append('nat', 'PREROUTING', { protocol: 'tcp', dport: 8080, target: 'REDIRECT', port: 80 });
    const arrived = router.iptables.append('filter', 'INPUT', {
      in: left,
      destination: `${LEFT}/32`,
      protocol: 'tcp',
      dport: 80,
      target: 'ACCEPT',
    });
    fromAlice(tcpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 8080 }, { flags: 'S' }));
    expect(arrived.packets).toBe(1);
    expect(toAlice(), 'nobody listens: the reset comes from whom alice asked').toEqual([
      `${BOB}:8080 > ${ALICE}:4000 ttl 64 tcp RA`,
    ]);
    expectConserved(engine);
  });
});

/** The quoted packet of an ICMP error. */
const quoteIn = (packet: Uint8Array) => packet.subarray(28);

/** Header checksum right, and the quoted packet's too. */
function expectWhole(error: Uint8Array): void {
  expect(checksumsHold(error)).toBe(true);
  expect(checksum(quoteIn(error).subarray(0, 20)), 'the quoted header').toBe(0);
}

describe('ICMP errors about translated packets', () => {
  const request = udpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080, ttl: 64 });
  const error = (ends: { source: string; destination: string }, quoted: Uint8Array, type = 3, code = 3) =>
    icmpPacket(ends, { type, code, payload: quoted });

  it('come back with the quote that its sender knows, checksums and all', async () => {
    const { engine, fromAlice, fromBob, packetsToBob, packetsToAlice } = await publishing();
    fromAlice(request);
    const there = only(packetsToBob());
    fromBob(error({ source: BOB, destination: RIGHT }, there));
    const back = only(packetsToAlice());
    expect(told(back)).toBe(`${LEFT} > ${ALICE} ttl 63 icmp 3/3`);
    expectWhole(back);
    // What alice reads is her own packet, one hop older.
    const sent = request.slice();
    sent[8] = 63;
    put16(sent, 10, 0);
    put16(sent, 10, checksum(sent.subarray(0, 20)));
    expect(toHex(quoteIn(back))).toBe(toHex(sent));
    expectConserved(engine);
  });

  it('of a router on the way seem to come from the one who was asked', async () => {
    const { fromAlice, fromBob, packetsToBob, packetsToAlice } = await publishing();
    fromAlice(request);
    fromBob(error({ source: '10.0.2.99', destination: RIGHT }, only(packetsToBob()).subarray(0, 28), 11, 0));
    const back = only(packetsToAlice());
    expect(told(back)).toBe(`${LEFT} > ${ALICE} ttl 63 icmp 11/0`);
    expectWhole(back);
  });

  it('about an answer go on to the one who sent it', async () => {
    const { engine, fromAlice, fromBob, packetsToBob, packetsToAlice } = await publishing();
    fromAlice(request);
    packetsToBob();
    const reply = udpPacket({ source: BOB, destination: RIGHT, sport: 80, dport: 4000, ttl: 64 });
    fromBob(reply);
    fromAlice(error({ source: ALICE, destination: LEFT }, only(packetsToAlice())));
    const there = only(packetsToBob());
    expect(told(there)).toBe(`${RIGHT} > ${BOB} ttl 63 icmp 3/3`);
    expectWhole(there);
    const sent = reply.slice();
    sent[8] = 63;
    put16(sent, 10, 0);
    put16(sent, 10, checksum(sent.subarray(0, 20)));
    expect(toHex(quoteIn(there))).toBe(toHex(sent));
    expectConserved(engine);
  });

  it('about an echo have its own identifier in the quote', async () => {
    const { fromAlice, fromBob, packetsToBob, packetsToAlice } = await masquerading();
    fromAlice(echo({ source: ALICE, destination: BOB }, { identifier: 7 }));
    packetsToBob();
    fromAlice(echo({ source: CAROL, destination: BOB }, { identifier: 7 }));
    const there = only(packetsToBob());
    expect(u16(there, 24)).not.toBe(7);
    fromBob(error({ source: BOB, destination: RIGHT }, there, 3, 1));
    const back = only(packetsToAlice());
    expect(told(back)).toBe(`${BOB} > ${CAROL} ttl 63 icmp 3/1`);
    expectWhole(back);
    const quoted = quoteIn(back);
    expect([addressText(quoted, 12), u16(quoted, 24)]).toEqual([CAROL, 7]);
    expect(checksum(quoted.subarray(20)), 'the quoted echo’s checksum').toBe(0);
  });

  it('that redirect are dropped, for they would lead past the translation', async () => {
    const { engine, fromAlice, fromBob, packetsToBob, packetsToAlice, drops } = await publishing();
    fromAlice(request);
    fromBob(error({ source: '10.0.2.99', destination: RIGHT }, only(packetsToBob()), 5, 1));
    expect(packetsToAlice()).toEqual([]);
    expect(drops()).toEqual(['node/router/right NETFILTER_DROP']);
    expectConserved(engine);
  });

  it('that redirect pass where nothing was translated', async () => {
    const { router, fromAlice, fromBob, packetsToBob, toAlice } = await routerWorld();
    router.iptables.chain('nat', 'POSTROUTING');
    fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 53 }));
    fromBob(error({ source: BOB, destination: ALICE }, only(packetsToBob()), 5, 1));
    expect(toAlice()).toEqual([`${BOB} > ${ALICE} ttl 63 icmp 5/1`]);
  });

  it('that this namespace itself makes name the address that was asked', async () => {
    const { router, fromAlice, packetsToAlice } = await publishing();
    router.iptables.append('mangle', 'PREROUTING', { target: 'ACCEPT' });
    fromAlice(udpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080, ttl: 1 }));
    const back = only(packetsToAlice());
    expect(told(back)).toBe(`${LEFT} > ${ALICE} ttl 64 icmp 11/0`);
    expectWhole(back);
    expect(told(quoteIn(back))).toBe(`${ALICE}:4000 > ${LEFT}:8080 ttl 1 udp`);
  });
});

describe('the local table', () => {
  it('DNAT to an address of the router itself is delivered there', async () => {
    const { router, fromAlice, toAlice } = await routerWorld();
    router.iptables.append('nat', 'PREROUTING', {
      protocol: 'udp',
      dport: 8080,
      target: 'DNAT',
      address: RIGHT,
      port: 9,
    });
    fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 8080 }));
    // Nobody listens on RIGHT:9; the error seems to come from bob.
    expect(toAlice()).toEqual([`${BOB} > ${ALICE} ttl 64 icmp 3/3`]);
  });
});
