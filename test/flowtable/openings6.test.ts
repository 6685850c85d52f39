/**
 * Over IPv6: new connections to a port that a bridge publishes, and what comes first on them once they are there, by what others'
 * have met: the same frames, counters and entries as by the slow way, whatever changes between two of them.
 */

import { expect, it } from 'vitest';
import { ACK, FIN, SYN } from '../../bench/frames.js';
import { connectionEventsOf, watchConnections } from '../../src/engine/connection-events.js';
import { FAR, type Life, MOST, NEAR, NEXT, ports, taught, twice } from './published6.js';

const some = ports(3000, 40);
it.each([false, true])('opens all connections but the first by example, on a way with taps: %s', async (tapped) => {
  const { opened, followed } = await twice((life) => {
    taught(life);
    life.says(some, SYN).says(some, SYN, NEXT).says(some, SYN, FAR);
    life.datagrams(some).datagrams(some).datagrams(some, FAR);
  }, tapped);
  expect(opened).toBe(3 * 40 + 2 * 40 - 1);
  expect(followed).toBe(0);
});

it.each([false, true])('lets all that comes first pass by example, on a way with taps: %s', async (tapped) => {
  const { opened, followed } = await twice((life) => {
    taught(life);
    life
      .says(some, SYN)
      .hears(some, SYN | ACK)
      .says(some, ACK)
      .hears(some, ACK)
      .says(some, FIN | ACK)
      .hears(some, FIN | ACK)
      .says(some, ACK);
  }, tapped);
  expect(opened).toBe(40);
  // Of each connection a packet of either direction; the others are its flows' packets.
  expect(followed).toBe(80);
});

it('takes an answer to one client for no example of how another one is reached', async () => {
  const { followed } = await twice((life) => {
    taught(life);
    life.elsewhere(NEXT);
    for (const client of [NEAR, NEXT])
      life
        .says(some, SYN, client)
        .hears(some, SYN | ACK, client)
        .says(some, ACK, client);
  });
  // The first SYN-ACK to either went the slow way, and the first ACK of all.
  expect(followed).toBe(4 * 40 - 3);
});

const rule = (life: Life, chain: 'FORWARD' | 'POSTROUTING', more: object) =>
  life.bridge.host.ip6tables.insert(chain === 'FORWARD' ? 'filter' : 'mangle', chain, {
    protocol: 'tcp',
    target: 'DROP',
    ...more,
  });
it.each<[string, (life: Life) => void]>([
  ['a rule drops them', (life) => void rule(life, 'FORWARD', {})],
  ['a rule asks for the sender', (life) => void rule(life, 'FORWARD', { source: NEXT })],
  ['a rule asks for the sender’s network', (life) => void rule(life, 'POSTROUTING', { source: 'fd00:98::/64' })],
  ['a rule asks for all others', (life) => void rule(life, 'FORWARD', { source: NEAR, invert: ['source'] })],
  ['a rule asks for the sender’s port', (life) => void rule(life, 'FORWARD', { sport: 1024 + 3005 })],
  ['a rule asks for the receiver', (life) => void rule(life, 'POSTROUTING', { destination: NEXT })],
  ['a rule asks for the receiver’s port', (life) => void rule(life, 'POSTROUTING', { dport: 1024 + 3005 })],
  ['the table is full', (life) => life.bridge.host.set('connectionsMax', 60)],
  ['a neighbour is gone', (life) => life.bridge.host.removeNeighbour(life.bridge.host.neighbours[0] as never)],
  ['a client is reached by a router', (life) => void life.bridge.host.addRoute(`${NEXT}/128`, life.bridge.nic, NEAR)],
  ['time has passed', (life) => void life.wait(200)],
])('sees at once that %s', async (_, change) => {
  await twice((life) => {
    taught(life);
    const talk = (from: number) => {
      const these = ports(from, 20);
      for (const client of [NEAR, NEXT, FAR])
        life
          .says(these, SYN, client)
          .hears(these, SYN | ACK, client)
          .says(these, ACK, client)
          .hears(these, ACK, client);
      life.datagrams(these).datagrams(these, FAR);
    };
    talk(3000);
    change(life);
    talk(3000);
    talk(4000);
  });
});

it('takes no group, loopback, neighbour on the link or own address for a sender whom rules treat like others', async () => {
  const { opened } = await twice((life) => {
    taught(life);
    for (const source of ['ff02::1', '::1', 'fe80::99', '::', life.bridge.own, 'fd00:30::77', NEXT])
      life.says(some, SYN, source).datagrams(some, source);
    // Nor where no rule asks who they are.
    life.bridge.host.ip6tables.clear();
    for (const source of ['fd00:77::1', 'fe80::99', 'ff02::1', '::1', '::', 'fd00:77::2'])
      for (const sport of [1, 2, 3]) life.outward([1], sport, () => NEXT, source);
  });
  expect(opened).toBeGreaterThan(2 * 40 + 2);
});

it('makes a flow of the second datagram of a connection that was opened by example', async () => {
  let slow = 0;
  const { opened } = await twice((life) => {
    life.datagrams([1]).datagrams(some).datagrams(some);
    const before = life.slow;
    life.datagrams(some).datagrams(some);
    slow = life.slow - before;
  });
  expect(opened).toBe(40);
  // Of the life with the flow table, which comes last.
  expect(slow).toBe(0);
});

it('takes nobody for the one whose number he has been given', async () => {
  const { opened } = await twice((life) => {
    const { host, nic } = life.bridge;
    life.elsewhere(NEXT);
    host.addRoute('fd00:97::/64', nic, NEAR);
    host.addRoute('fd00:96::/64', nic, NEXT);
    for (const sport of [1, 2]) life.outward(ports(0, 100), sport, (i) => `fd00:97::${i + 1}`);
    // So many addresses that those which no table names any more are forgotten, and the next ones get their numbers.
    for (let from = 0; from < 4500; from += MOST)
      life.datagrams(ports(from, MOST), (i) => `fd00:98::${i.toString(16)}`);
    life.wait(40);
    for (let from = 0; from < 4500; from += MOST)
      life.outward(ports(from, MOST), 3, (i) => `fd00:96::${i.toString(16)}`);
  });
  expect(opened).toBeGreaterThan(4500);
});

it('masquerades by the address that is nearest, from the moment that nobody else turns out to have it', async () => {
  const { opened } = await twice((life) => {
    const { host, nic, engine } = life.bridge;
    life.elsewhere(FAR);
    host.addAddress(nic, 'fd00:97::5/64', { nodad: true });
    host.addAddress(nic, 'fd00:98::5/64');
    engine.exports.comeUp6(nic.at);
    life.wait(1);
    for (const port of ports(4000, 3)) life.outward([1], port, () => FAR).look();
    engine.run(engine.now + 1e9);
    for (const port of ports(5000, 3)) life.outward([1], port, () => FAR).look();
  });
  expect(opened).toBeGreaterThan(2);
});

it('tells who watches connections all that becomes of them', async () => {
  const fresh = ports(5000, 3);
  await twice((life) => {
    const { engine } = life.bridge;
    life.datagrams(some).answers(some).datagrams(some);
    watchConnections(engine);
    // From now on none is opened by example: nobody would tell of it.
    life.datagrams(some).datagrams(fresh).datagrams(ports(6000, 3));
    engine.run(engine.now + 3e9);
    life.datagrams(some).answers(some);
    for (const { change, time, left } of connectionEventsOf(engine) ?? []) life.seen.push(`${change} ${time} ${left}`);
  });
});
