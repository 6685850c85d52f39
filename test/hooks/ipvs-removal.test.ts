/** What becomes of IPVS's connections when their destination goes (expire_nodest_conn = 1, as Docker sets it). */

import { describe, expect, it } from 'vitest';
import { tcpPacket } from '../engine/packets.js';
import { balancedIn, connectionsIn } from '../engine/state.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, routerWorld } from '../engine/world.js';

const CLIENT = { source: ALICE, destination: LEFT, sport: 4000, dport: 80 };
const SERVER = { source: BOB, destination: ALICE, sport: 80, dport: 4000 };

async function connected() {
  const world = await routerWorld();
  const { router, fromAlice, fromBob } = world;
  router.set('ipvsConntrack', 1);
  router.set('ipvsExpireNodest', 1);
  router.set('ipvsReuseMode', 0);
  router.iptables.chain('nat', 'POSTROUTING');
  const destination = router.ipvs.add({ protocol: 'tcp', address: LEFT, port: 80 }).add(BOB);
  fromAlice(tcpPacket(CLIENT, { flags: 'S', sequence: 100 }));
  fromBob(tcpPacket(SERVER, { flags: 'SA', sequence: 500, acknowledgment: 101 }));
  fromAlice(tcpPacket(CLIENT, { flags: 'A', sequence: 101, acknowledgment: 501 }));
  expect(balancedIn(router)).toMatchObject([{ state: 'ESTABLISHED' }]);
  expect(connectionsIn(router)).toMatchObject([{ state: 'ESTABLISHED', assured: true }]);
  world.toAlice();
  world.toBob();
  return { ...world, destination };
}

describe('a destination that is removed', () => {
  // Linux 5.9 and later (expire_nodest_conn_handler); oracle S14: the conntrack entry of 48002 was destroyed at
  // …688.87, with the destination, five seconds before the client's next segment.
  it('takes its connections along at once, and conntrack’s with them', async () => {
    const { engine, router, destination } = await connected();
    destination.remove();
    engine.run(engine.now + 1e9);
    expect(balancedIn(router)).toEqual([]);
    expect(connectionsIn(router)).toEqual([]);
    expectConserved(engine);
  });

  it('is no longer translated for: what it still sends goes out under its own address', async () => {
    const { engine, destination, fromBob, toAlice } = await connected();
    destination.remove();
    engine.run(engine.now + 1e9);
    fromBob(tcpPacket(SERVER, { flags: 'PA', sequence: 501, acknowledgment: 101, payload: 'x' }));
    expect(toAlice()).toEqual([`${BOB}:80 > ${ALICE}:4000 ttl 63 tcp PA`]);
    expectConserved(engine);
  });

  it('leaves the client’s next segment to the balancer’s own stack, which resets it', async () => {
    const { engine, destination, fromAlice, toAlice, toBob } = await connected();
    destination.remove();
    engine.run(engine.now + 1e9);
    fromAlice(tcpPacket(CLIENT, { flags: 'PA', sequence: 101, acknowledgment: 501, payload: 'x' }));
    expect(toBob()).toEqual([]);
    expect(toAlice()).toEqual([`${LEFT}:80 > ${ALICE}:4000 ttl 64 tcp R`]);
    expectConserved(engine);
  });
});
