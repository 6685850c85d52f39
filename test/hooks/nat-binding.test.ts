/** A connection that no nat rule translates still gets a tuple of its own (nf_nat_alloc_null_binding). */

import { expect, it } from 'vitest';
import { tcpPacket, u16 } from '../engine/packets.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, routerWorld } from '../engine/world.js';

it('a direct connection whose reply tuple a translated one has gets another source port, for its destination must stay', async () => {
  const { engine, router, fromAlice, toBob, packetsToBob, drops } = await routerWorld();
  router.iptables.append('nat', 'PREROUTING', {
    destination: `${LEFT}/32`,
    protocol: 'tcp',
    dport: 8080,
    target: 'DNAT',
    address: BOB,
    port: 80,
  });
  fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080 }, { flags: 'S' }));
  expect(toBob()).toEqual([`${ALICE}:4000 > ${BOB}:80 ttl 63 tcp S`]);

  // get_unique_tuple: at PREROUTING the taken tuple is left as it is ("if it's dst rewrite, can't change port"), at
  // POSTROUTING the source port moves, within 1024-65535 since 4000 lies there.
  fromAlice(tcpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 80 }, { flags: 'S' }));
  expect(drops()).toEqual([]);
  const [packet] = packetsToBob();
  expect(packet).toBeDefined();
  const sport = u16(packet ?? new Uint8Array(), 20);
  expect(sport).not.toBe(4000);
  expect(sport).toBeGreaterThanOrEqual(1024);
  expectConserved(engine);
});
