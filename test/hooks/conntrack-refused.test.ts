/** A packet that is refused belongs to no connection that stays, and neither does the error about it: its entry goes with the last of the two. */

import { expect, it } from 'vitest';
import { udpPacket } from '../engine/packets.js';
import { ALICE, BOB, routerWorld } from '../engine/world.js';

const PORTS = 20_000;

it('refused packets of ever new connections leave no entries behind', async () => {
  const { engine, router, right, fromAlice, packetsToAlice } = await routerWorld();
  router.iptables.append('nat', 'POSTROUTING', { out: right, target: 'MASQUERADE' });
  router.iptables.append('filter', 'FORWARD', { protocol: 'udp', target: 'REJECT' });
  const send = (from: number, to: number) => {
    for (let sport = from; sport < to; sport++)
      fromAlice(udpPacket({ source: ALICE, destination: BOB, sport, dport: 80 }));
  };
  send(1000, 3000);
  expect(packetsToAlice().length).toBeGreaterThan(0);
  const size = engine.memory.bytes.length;
  send(3000, 3000 + PORTS);
  expect(engine.memory.bytes.length - size).toBeLessThan((PORTS * 128) / 4);
});
