/** A neighbour that is removed takes its timer and its waiting packets along (neigh_flush_dev, neigh_purge_queue). */

import { describe, expect, it } from 'vitest';
import { Neighbour } from '../../src/engine/generated/layout.js';
import { udpPacket } from '../engine/packets.js';
import { SECOND } from '../engine/state.js';
import { expectConserved, inWords } from '../engine/watch.js';
import { ALICE, BOB, MAC, RIGHT, routerWorld } from '../engine/world.js';

const packet = udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 80 });

describe('removing a neighbour', () => {
  it('that was about to be probed ends the probing', async () => {
    const { engine, router, right, watch, fromAlice } = await routerWorld({ neighbours: false });
    const entry = router.addNeighbour(right, BOB, MAC.bob, 'reachable');
    // Long stale when it is used: DELAY, and a unicast request five seconds later.
    fromAlice(packet, 60 * SECOND);
    router.removeNeighbour(entry);
    engine.run(120 * SECOND);
    expect(watch.frames(right).map(({ data }) => inWords(data))).toEqual([`${ALICE}:4000 > ${BOB}:80 ttl 63 udp`]);
    expectConserved(engine);
  });

  it('that packets wait for drops them and asks no more', async () => {
    const { engine, router, right, watch, fromAlice } = await routerWorld({ neighbours: false });
    fromAlice(packet);
    // The same entry, by the handle that a driver would have.
    const at = [...Array(engine.exports.neighbourSlots()).keys()]
      .map((slot) => engine.exports.neighbourAt(slot))
      .find(
        (slot) =>
          slot && engine.memory.bytes.slice(slot + Neighbour.keyA.at, slot + Neighbour.keyA.at + 4).join('.') === BOB,
      );
    router.removeNeighbour({ device: right, address: BOB, mac: '', at: at ?? 0 });
    expectConserved(engine);
    engine.run(120 * SECOND);
    expect(watch.frames(right).map(({ data }) => inWords(data))).toEqual([`who has ${BOB} tell ${RIGHT}`]);
    expectConserved(engine);
  });
});
