/** Whatever happened to connections, and however long ago: each goes with the first sweep after its time is over, and none before. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { echo, tcpPacket, udpPacket } from '../engine/packets.js';
import { balancedIn, connectionsIn, SECOND } from '../engine/state.js';
import { ALICE, BOB, LEFT, RIGHT, routerWorld } from '../engine/world.js';

/** A router that also balances what is for its own ports 8080 and 5353. */
async function world() {
  const made = await routerWorld();
  const { router } = made;
  router.trackConnections();
  router.set('ipvsConntrack', 1);
  router.iptables.append('mangle', 'PREROUTING', { protocol: 'tcp', dport: 8080, target: 'MARK', value: 256 });
  router.iptables.append('mangle', 'PREROUTING', { protocol: 'udp', dport: 5353, target: 'MARK', value: 256 });
  const snat = { destination: '10.0.2.0/24', ipvs: true, target: 'SNAT', address: RIGHT } as const;
  router.iptables.append('nat', 'POSTROUTING', snat);
  router.ipvs.add({ mark: 256 }).add(BOB);
  return made;
}

const FLAGS = ['S', 'S', 'S', 'A', 'PA', 'FA', 'R', 'RA', ''];
const packet = fc.record({
  kind: fc.constantFrom('tcp', 'balanced', 'balanced', 'udp', 'echo'),
  back: fc.boolean(),
  flags: fc.constantFrom(...FLAGS),
  port: fc.integer({ min: 5000, max: 5002 }),
  /** Seconds that pass behind it. */
  seconds: fc.constantFrom(0, 0, 0, 1, 2, 9, 11, 31, 61, 121, 901),
});

it('takes each in time', { timeout: 60_000 }, async () => {
  let connectionsGone = 0;
  let balancedGone = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(packet, { minLength: 1, maxLength: 60 }), async (steps) => {
      const { engine, router, fromAlice, fromBob } = await world();
      for (const { kind, back, flags, port, seconds } of steps) {
        const dport = kind === 'balanced' ? 8080 : 80;
        const there = { source: ALICE, destination: kind === 'balanced' ? LEFT : BOB, sport: port, dport };
        const asked = kind === 'balanced' ? RIGHT : ALICE;
        const ends = back ? { source: BOB, destination: asked, sport: dport, dport: port } : there;
        const segment = { flags, sequence: back ? 500 : 100, acknowledgment: back ? 101 : 501 };
        const bytes = () => {
          if (kind === 'udp') return udpPacket(ends);
          return kind === 'echo' ? echo({ source: ALICE, destination: BOB }) : tcpPacket(ends, segment);
        };
        (back && kind !== 'echo' ? fromBob : fromAlice)(bytes());
        if (!seconds) continue;
        const before = [connectionsIn(router), balancedIn(router)] as const;
        for (let second = 0; second < seconds; second++) engine.run(engine.now + SECOND);
        const after = [connectionsIn(router), balancedIn(router)] as const;
        const living = <One extends { deadline: number }>(all: readonly One[]) =>
          all.filter(({ deadline }) => deadline > engine.now).map((one) => JSON.stringify(one));
        expect(after[0].map((one) => JSON.stringify(one))).toEqual(living(before[0]));
        expect(after[1].map((one) => JSON.stringify(one))).toEqual(living(before[1]));
        connectionsGone += before[0].length - after[0].length;
        balancedGone += before[1].length - after[1].length;
      }
    }),
    { numRuns: 200, seed: 7 },
  );
  expect(connectionsGone).toBeGreaterThan(500);
  expect(balancedGone).toBeGreaterThan(30);
});

it.each([
  ['with its connection', 60, () => {}],
  ['of tables as they were', 2, ({ router }: Awaited<ReturnType<typeof world>>) => router.set('forward', 1)],
])('takes a flow %s', async (_, seconds, change) => {
  const made = await world();
  const { engine, fromAlice, fromBob } = made;
  const [there, back] = [
    { source: ALICE, destination: BOB, sport: 5000, dport: 53 },
    { source: BOB, destination: ALICE, sport: 53, dport: 5000 },
  ];
  const talk = () => {
    fromAlice(udpPacket(there));
    fromBob(udpPacket(back));
  };
  for (let i = 0; i < 4; i++) talk();
  engine.run(engine.now + 2 * SECOND);
  expect(engine.exports.flows()).toBe(2);
  change(made);
  engine.run(engine.now + seconds * SECOND);
  engine.run(engine.now + 2 * SECOND);
  expect(engine.exports.flows()).toBe(0);
});

// Nobody looks at the entries meanwhile: that would take their groups apart.
it('takes what the flow table moves in the same second', { timeout: 60_000 }, async () => {
  const talks = fc.array(
    fc.record({
      port: fc.integer({ min: 5000, max: 5003 }),
      balanced: fc.boolean(),
      answered: fc.boolean(),
      pairs: fc.integer({ min: 1, max: 4 }),
      /** ms behind each pair, seconds behind all. */
      pause: fc.constantFrom(1, 700, 1900, 6300),
      seconds: fc.constantFrom(0, 3, 23, 27, 29, 41, 131),
    }),
    { minLength: 1, maxLength: 6 },
  );
  let gone = 0;
  let moved = 0;
  await fc.assert(
    fc.asyncProperty(talks, async (all) => {
      const [slow, quick] = await Promise.all(
        [0, 1].map(async (on) => {
          const { engine, router, fromAlice, fromBob } = await world();
          engine.exports.setFlowTable(on);
          const counts: number[] = [];
          for (const { port, balanced, answered, pairs, pause, seconds } of all) {
            const dport = balanced ? 5353 : 53;
            for (let i = 0; i < pairs; i++) {
              fromAlice(udpPacket({ source: ALICE, destination: balanced ? LEFT : BOB, sport: port, dport }));
              if (answered)
                fromBob(udpPacket({ source: BOB, destination: balanced ? RIGHT : ALICE, sport: dport, dport: port }));
              engine.run(engine.now + pause * 1e6);
            }
            for (let second = 0; second < seconds; second++) {
              engine.run(engine.now + SECOND);
              counts.push(router.get('connections'), engine.exports.liveBalanced());
            }
          }
          if (on) moved += engine.exports.fastPackets();
          return counts;
        }),
      );
      expect(quick).toEqual(slow);
      gone += (slow ?? []).filter((count, i, counts) => i > 1 && count < (counts[i - 2] ?? 0)).length;
    }),
    { numRuns: 150, seed: 7 },
  );
  expect(gone).toBeGreaterThan(50);
  expect(moved).toBeGreaterThan(500);
});
