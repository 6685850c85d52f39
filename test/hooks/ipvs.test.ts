/** IPVS, masquerading, rr (net/netfilter/ipvs: ip_vs_core.c, ip_vs_rr.c, ip_vs_xmit.c, ip_vs_proto_tcp.c, ip_vs_proto_udp.c). */

import { describe, expect, it } from 'vitest';
import { checksum, checksumsHold, icmpPacket, tcpPacket, told, u16, udpPacket } from '../engine/packets.js';
import { balancedIn, connectionsIn, SECOND } from '../engine/state.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, RIGHT, routerWorld } from '../engine/world.js';

const CAROL = '10.0.2.3';
const DAVE = '10.0.2.4';

/** A balancer as Docker sets it up, its virtual address on alice's side; the destinations know it as their way back. */
async function balancer() {
  const world = await routerWorld();
  const { router, right } = world;
  router.addNeighbour(right, CAROL, '02:00:00:00:02:03');
  router.addNeighbour(right, DAVE, '02:00:00:00:02:04');
  router.set('ipvsConntrack', 1);
  router.set('ipvsExpireNodest', 1);
  router.set('ipvsReuseMode', 0);
  router.iptables.append('mangle', 'PREROUTING', { protocol: 'tcp', dport: 8080, target: 'MARK', value: 256 });
  router.iptables.append('mangle', 'PREROUTING', { protocol: 'udp', dport: 5353, target: 'MARK', value: 257 });
  router.iptables.append('nat', 'POSTROUTING', {
    destination: '10.0.2.0/24',
    ipvs: true,
    target: 'SNAT',
    address: RIGHT,
  });
  return { ...world, web: router.ipvs.add({ mark: 256 }), dns: router.ipvs.add({ mark: 257 }) };
}

const syn = (sport: number, ttl = 64) =>
  tcpPacket({ source: ALICE, destination: LEFT, sport, dport: 8080, ttl }, { flags: 'S', sequence: 100 });
const ask = (sport: number) => udpPacket({ source: ALICE, destination: LEFT, sport, dport: 5353 });

/** To whom `count` new connections go, in order. */
async function chosen(world: Awaited<ReturnType<typeof balancer>>, count: number, first = 4000): Promise<string[]> {
  for (let i = 0; i < count; i++) world.fromAlice(syn(first + i));
  return world.toBob().map((line) => / > ([\d.]+):/.exec(line)?.[1] ?? line);
}

describe('round robin', () => {
  it('begins with the destination that was added last, and goes round', async () => {
    const world = await balancer();
    for (const address of [BOB, CAROL, DAVE]) world.web.add(address);
    expect(await chosen(world, 7)).toEqual([DAVE, CAROL, BOB, DAVE, CAROL, BOB, DAVE]);
    expectConserved(world.engine);
  });

  it('goes on after its last choice when one is added at the head', async () => {
    const world = await balancer();
    world.web.add(BOB);
    world.web.add(CAROL);
    expect(await chosen(world, 1)).toEqual([CAROL]);
    world.web.add(DAVE);
    expect(await chosen(world, 4, 5000)).toEqual([BOB, DAVE, CAROL, BOB]);
  });

  it('passes over a destination of weight 0, which keeps the connections that it has', async () => {
    const world = await balancer();
    const [bob, carol] = [world.web.add(BOB), world.web.add(CAROL)];
    expect(await chosen(world, 2)).toEqual([CAROL, BOB]);
    carol.weightNow = 0;
    expect(await chosen(world, 3, 5000)).toEqual([BOB, BOB, BOB]);
    world.fromAlice(syn(4000));
    expect(world.toBob()).toEqual([`${RIGHT}:4000 > ${CAROL}:8080 ttl 63 tcp S`]);
    carol.weightNow = 1;
    bob.weightNow = 0;
    expect(await chosen(world, 2, 6000)).toEqual([CAROL, CAROL]);
  });

  it('steps back when its last choice is removed', async () => {
    const world = await balancer();
    const [, carol] = [world.web.add(BOB), world.web.add(CAROL), world.web.add(DAVE)];
    expect(await chosen(world, 2)).toEqual([DAVE, CAROL]);
    carol.remove();
    expect(await chosen(world, 3, 5000)).toEqual([BOB, DAVE, BOB]);
  });

  it('turns for each service on its own', async () => {
    const world = await balancer();
    for (const address of [BOB, CAROL]) {
      world.web.add(address);
      world.dns.add(address);
    }
    world.fromAlice(syn(1));
    world.fromAlice(ask(2));
    world.fromAlice(syn(3));
    world.fromAlice(ask(4));
    expect(world.toBob().map((line) => / > ([\d.]+):(\d+)/.exec(line)?.slice(1).join(':'))).toEqual([
      `${CAROL}:8080`,
      `${CAROL}:5353`,
      `${BOB}:8080`,
      `${BOB}:5353`,
    ]);
  });
});

describe('a service that has nobody to send to', () => {
  it('answers that the port is unreachable, about the packet as it came', async () => {
    const { engine, web, fromAlice, packetsToAlice, drops } = await balancer();
    fromAlice(syn(4000));
    const [error = new Uint8Array()] = packetsToAlice();
    expect(told(error)).toBe(`${LEFT} > ${ALICE} ttl 64 icmp 3/3`);
    expect(checksumsHold(error)).toBe(true);
    expect(told(error.subarray(28))).toBe(`${ALICE}:4000 > ${LEFT}:8080 ttl 64 tcp S`);
    web.add(BOB, { weight: 0 });
    fromAlice(syn(4001));
    expect(packetsToAlice()).toHaveLength(1);
    expect(drops()).toEqual(['node/router/left IPVS_NO_DESTINATION x2']);
    expectConserved(engine);
  });
});

describe('a packet on its way to a destination', () => {
  it('has the destination’s address, its own port, one hop less for IPVS and one for nobody else', async () => {
    const { web, fromAlice, packetsToBob } = await balancer();
    web.add(BOB);
    fromAlice(syn(4000));
    const [packet = new Uint8Array()] = packetsToBob();
    // ip_vs_nat_xmit decrements; the packet leaves by OUTPUT, not by FORWARD: one hop in all (FACTS 23: 63, then 62).
    expect(told(packet)).toBe(`${RIGHT}:4000 > ${BOB}:8080 ttl 63 tcp S`);
    expect(checksumsHold(packet)).toBe(true);
  });

  it('gets the destination’s port if that has one', async () => {
    const { router, fromAlice, fromBob, toBob, toAlice } = await balancer();
    router.ipvs.add({ protocol: 'tcp', address: LEFT, port: 80 }).add(BOB, { port: 8000 });
    fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 80 }, { flags: 'S' }));
    expect(toBob()).toEqual([`${RIGHT}:4000 > ${BOB}:8000 ttl 63 tcp S`]);
    fromBob(
      tcpPacket({ source: BOB, destination: RIGHT, sport: 8000, dport: 4000 }, { flags: 'SA', acknowledgment: 1 }),
    );
    expect(toAlice()).toEqual([`${LEFT}:80 > ${ALICE}:4000 ttl 63 tcp SA`]);
  });

  it('ends where its TTL does', async () => {
    const { engine, web, fromAlice, toBob, toAlice, drops } = await balancer();
    web.add(BOB);
    fromAlice(syn(4000, 1));
    expect(toBob()).toEqual([]);
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 11/0`]);
    expect(drops()).toEqual(['node/router/left IP_TTL_EXPIRED']);
    expectConserved(engine);
  });

  it('is a SYN, if it is to open a connection: anything else is the balancer’s own business', async () => {
    const { web, fromAlice, toBob, toAlice } = await balancer();
    web.add(BOB);
    fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080 }, { flags: 'A', sequence: 1 }));
    expect(toBob()).toEqual([]);
    expect(toAlice()).toEqual([`${LEFT}:8080 > ${ALICE}:4000 ttl 64 tcp R`]);
  });

  it('without a mark, and for no service’s address, is nobody’s', async () => {
    const { web, fromAlice, toBob, toAlice } = await balancer();
    web.add(BOB);
    fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 81 }, { flags: 'S' }));
    expect(toBob()).toEqual([]);
    expect(toAlice()).toEqual([`${LEFT}:81 > ${ALICE}:4000 ttl 64 tcp RA`]);
  });

  it('follows its mark before its address', async () => {
    const { router, web, fromAlice, toBob } = await balancer();
    web.add(BOB);
    router.ipvs.add({ protocol: 'tcp', address: LEFT, port: 8080 }).add(CAROL);
    fromAlice(syn(4000));
    expect(toBob()).toEqual([`${RIGHT}:4000 > ${BOB}:8080 ttl 63 tcp S`]);
  });

  it('is not tracked without vs.conntrack, and so cannot be sourced by SNAT', async () => {
    const { router, web, fromAlice, fromBob, toBob, toAlice } = await balancer();
    router.set('ipvsConntrack', 0);
    web.add(BOB);
    fromAlice(syn(4000));
    expect(toBob()).toEqual([`${ALICE}:4000 > ${BOB}:8080 ttl 63 tcp S`]);
    expect(connectionsIn(router)).toEqual([]);
    fromBob(
      tcpPacket({ source: BOB, destination: ALICE, sport: 8080, dport: 4000 }, { flags: 'SA', acknowledgment: 101 }),
    );
    expect(toAlice()).toEqual([`${LEFT}:8080 > ${ALICE}:4000 ttl 63 tcp SA`]);
  });
});

describe('a TCP connection', () => {
  const client = (flags: string, sequence: number, acknowledgment = 0) =>
    tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080 }, { flags, sequence, acknowledgment });
  const server = (flags: string, sequence: number, acknowledgment = 0) =>
    tcpPacket({ source: BOB, destination: RIGHT, sport: 8080, dport: 4000 }, { flags, sequence, acknowledgment });

  it('has these states, timers and counts from its SYN to TIME_WAIT', async () => {
    const world = await balancer();
    const { engine, router, web } = world;
    const destination = web.add(BOB);
    const seen: string[] = [];
    let time = SECOND;
    const step = (from: 'client' | 'server', packet: Uint8Array) => {
      time += 10_000_000;
      if (from === 'client') world.fromAlice(packet, time);
      else world.fromBob(packet, time);
      const [entry] = balancedIn(router);
      const { active, inactive } = destination.counters;
      seen.push(
        `${entry?.state} ${Math.round(((entry?.deadline ?? 0) - time) / SECOND)} active ${active} inactive ${inactive}`,
      );
    };
    step('client', client('S', 100));
    step('server', server('SA', 500, 101));
    step('client', client('A', 101, 501));
    step('client', client('PA', 101, 501));
    step('server', server('A', 501, 101));
    step('server', server('FA', 501, 101));
    step('client', client('A', 101, 502));
    step('client', client('FA', 101, 502));
    step('server', server('A', 502, 102));
    // ip_vs_proto_tcp.c, tcp_states and tcp_timeouts; only ESTABLISHED is active.
    expect(seen).toEqual([
      'SYN_RECV 60 active 0 inactive 1',
      'SYN_RECV 60 active 0 inactive 1',
      'ESTABLISHED 900 active 1 inactive 0',
      'ESTABLISHED 900 active 1 inactive 0',
      'ESTABLISHED 900 active 1 inactive 0',
      'FIN_WAIT 120 active 0 inactive 1',
      'FIN_WAIT 120 active 0 inactive 1',
      'TIME_WAIT 120 active 0 inactive 1',
      'TIME_WAIT 120 active 0 inactive 1',
    ]);
    expect(destination.counters).toMatchObject({ connections: 1, inPackets: 5, outPackets: 4 });
    expectConserved(engine);
  });

  it('that the client closes first goes by CLOSE_WAIT', async () => {
    const { router, web, fromAlice, fromBob } = await balancer();
    web.add(BOB);
    fromAlice(client('S', 100));
    fromBob(server('SA', 500, 101));
    fromAlice(client('A', 101, 501));
    fromAlice(client('FA', 101, 501));
    expect(balancedIn(router)).toMatchObject([{ state: 'CLOSE_WAIT' }]);
    fromBob(server('FA', 501, 102));
    expect(balancedIn(router)).toMatchObject([{ state: 'TIME_WAIT' }]);
  });

  it('that is reset is closed, for ten seconds yet', async () => {
    const { engine, router, web, fromAlice, fromBob } = await balancer();
    const destination = web.add(BOB);
    fromAlice(client('S', 100));
    fromBob(server('RA', 0, 101));
    const [entry] = balancedIn(router);
    expect(entry?.state).toBe('CLOSE');
    expect(Math.round(((entry?.deadline ?? 0) - engine.now) / SECOND)).toBe(10);
    // And then it is gone, though nothing happened meanwhile: what is shown is true whenever one looks.
    engine.run(engine.now + 60 * SECOND);
    expect(balancedIn(router)).toEqual([]);
    expect(destination.counters).toMatchObject({ active: 0, inactive: 0 });
  });

  it('in TIME_WAIT keeps its destination for a new SYN from the same port (conn_reuse_mode 0)', async () => {
    const { web, fromAlice, fromBob, toBob } = await balancer();
    web.add(BOB);
    fromAlice(client('S', 100));
    fromBob(server('SA', 500, 101));
    fromAlice(client('A', 101, 501));
    fromBob(server('FA', 501, 101));
    fromAlice(client('FA', 101, 502));
    web.add(CAROL);
    toBob();
    fromAlice(client('S', 90_000));
    expect(toBob()).toEqual([`${RIGHT}:4000 > ${BOB}:8080 ttl 63 tcp S`]);
  });
});

describe('a UDP flow', () => {
  it('is inactive, and stays with its destination for 300 s after its last packet', async () => {
    const { engine, router, dns, fromAlice, fromBob, toBob, toAlice } = await balancer();
    dns.add(BOB);
    const carol = dns.add(CAROL);
    fromAlice(ask(4000), SECOND);
    fromAlice(ask(4000), 200 * SECOND);
    expect(toBob()).toEqual([`${RIGHT}:4000 > ${CAROL}:5353 ttl 63 udp`, `${RIGHT}:4000 > ${CAROL}:5353 ttl 63 udp`]);
    expect(balancedIn(router)).toMatchObject([{ state: 'UDP', client: `${ALICE}:4000 > ${LEFT}:5353` }]);
    expect(Math.round(((balancedIn(router)[0]?.deadline ?? 0) - 200 * SECOND) / SECOND)).toBe(300);
    expect(carol.counters).toMatchObject({ active: 0, inactive: 1, connections: 1, inPackets: 2 });
    fromBob(udpPacket({ source: CAROL, destination: RIGHT, sport: 5353, dport: 4000 }), 210 * SECOND);
    expect(toAlice()).toEqual([`${LEFT}:5353 > ${ALICE}:4000 ttl 63 udp`]);
    fromAlice(ask(4000), 600 * SECOND);
    expect(toBob(), 'a new choice').toEqual([`${RIGHT}:4000 > ${BOB}:5353 ttl 63 udp`]);
    expect(carol.counters).toMatchObject({ inactive: 0 });
    expectConserved(engine);
  });
});

describe('ICMP errors about a balanced connection', () => {
  const sent = () => udpPacket({ source: RIGHT, destination: BOB, sport: 4000, dport: 5353, ttl: 63 });
  async function asked() {
    const world = await balancer();
    const destination = world.dns.add(BOB);
    world.fromAlice(ask(4000));
    expect(world.toBob()).toEqual([`${RIGHT}:4000 > ${BOB}:5353 ttl 63 udp`]);
    return { ...world, destination };
  }
  const expectFor = (error: Uint8Array, outer: string, inner: string) => {
    expect(told(error)).toBe(outer);
    expect(told(error.subarray(28))).toBe(inner);
    expect(checksumsHold(error), 'checksums of the error').toBe(true);
    expect(checksum(error.subarray(28, 48)), 'checksum of the quoted header').toBe(0);
  };

  it('from its destination come back as from the virtual address', async () => {
    const { engine, destination, fromBob, packetsToAlice } = await asked();
    fromBob(icmpPacket({ source: BOB, destination: RIGHT }, { type: 3, code: 3, payload: sent() }));
    const [error = new Uint8Array()] = packetsToAlice();
    expectFor(error, `${LEFT} > ${ALICE} ttl 63 icmp 3/3`, `${ALICE}:4000 > ${LEFT}:5353 ttl 63 udp`);
    expect(destination.counters).toMatchObject({ inPackets: 1, outPackets: 1, outBytes: error.length });
    expectConserved(engine);
  });

  it('from a router on the way are about the virtual address, too', async () => {
    const { fromBob, packetsToAlice } = await asked();
    fromBob(icmpPacket({ source: '10.0.2.99', destination: RIGHT }, { type: 11, payload: sent() }));
    const [error = new Uint8Array()] = packetsToAlice();
    expect(told(error.subarray(28))).toBe(`${ALICE}:4000 > ${LEFT}:5353 ttl 63 udp`);
    expect(checksumsHold(error)).toBe(true);
  });

  it('about an answer go on to the destination that gave it', async () => {
    const { engine, destination, fromAlice, fromBob, packetsToAlice, packetsToBob } = await asked();
    fromBob(udpPacket({ source: BOB, destination: RIGHT, sport: 5353, dport: 4000 }));
    const [answer = new Uint8Array()] = packetsToAlice();
    packetsToBob();
    fromAlice(icmpPacket({ source: ALICE, destination: LEFT }, { type: 3, code: 3, payload: answer }));
    const [error = new Uint8Array()] = packetsToBob();
    expect(destination.counters).toMatchObject({ inPackets: 2, outPackets: 1 });
    expectFor(error, `${RIGHT} > ${BOB} ttl 63 icmp 3/3`, `${BOB}:5353 > ${RIGHT}:4000 ttl 63 udp`);
    expectConserved(engine);
  });

  // ip_vs_ops4 has hooks at LOCAL_OUT, right behind NAT's (NF_IP_PRI_NAT_DST + 1).
  it('that the balancer itself makes come from the virtual address, as the client knows it', async () => {
    const { engine, dns, fromAlice, packetsToAlice } = await balancer();
    dns.add('10.0.2.77');
    fromAlice(ask(4000));
    // Nobody has that address: three questions, and host unreachable to whom the packet came from.
    engine.run(engine.now + 10 * SECOND);
    const [error = new Uint8Array()] = packetsToAlice();
    expectFor(error, `${LEFT} > ${ALICE} ttl 64 icmp 3/1`, `${ALICE}:4000 > ${LEFT}:5353 ttl 63 udp`);
    expectConserved(engine);
  });

  it('that the balancer makes for a packet too long for the way out quote it as it came', async () => {
    const world = await balancer();
    world.right.mtu = 1000;
    world.dns.add(BOB);
    world.fromAlice(udpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 5353 }, new Uint8Array(1200)));
    const [error = new Uint8Array()] = world.packetsToAlice();
    expect(told(error)).toBe(`${LEFT} > ${ALICE} ttl 64 icmp 3/4`);
    expect(u16(error, 26), 'next-hop MTU').toBe(1000);
    expect(world.drops()).toEqual(['node/router/left PKT_TOO_BIG']);
  });
});
