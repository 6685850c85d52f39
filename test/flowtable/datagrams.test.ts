/** Datagrams' entries move as one: they last for 30 seconds, answered ones that go on for 120, whatever moves them. */

import { expect, it } from 'vitest';
import { answerTo, fromClient } from '../../bench/frames.js';
import { CLIENT, type Life, ports, twice } from './meshed.js';

const FLOWS = ports(3000, 12);
const PACKETS = 5;
const host = (life: Life) => life.mesh.namespace('node1/host');
const sandbox = (life: Life) => life.mesh.namespace('node1/ingress_sbox');

const datagrams = (life: Life, size = 64) =>
  life.pass(...FLOWS.map((port) => fromClient(life.flow(port, CLIENT, 'udp'), life.mesh.macs, size, 0)));

/** Datagrams of both ends, a second apart; every third connection's are never answered. */
function talk(life: Life, turns = PACKETS): void {
  for (let turn = 0; turn < turns; turn++) {
    const left = datagrams(life, 54 + turn);
    life.quiet(1);
    life.pass(...left.filter((_, i) => i % 3 > 0).map((frame) => answerTo(frame, 54, 0)));
    life.quiet(1);
  }
}

it.each<[string, (life: Life) => void]>([
  ['nothing happens', () => {}],
  [
    'those that nothing has answered are answered',
    (life) => void life.pass(...datagrams(life).map((frame) => answerTo(frame, 54, 0))),
  ],
  [
    'the node forgets its entries',
    (life) => host(life).forgetConnectionsOf(sandbox(life).device('eth1').address ?? ''),
  ],
  [
    'the sandbox forgets those to some tasks',
    (life) => {
      for (const { address } of life.mesh.tasks.slice(0, 20)) sandbox(life).forgetConnectionsOf(address);
    },
  ],
  [
    'destinations go, and their connections with them',
    (life) => {
      sandbox(life).set('ipvsExpireNodest', 1);
      for (const one of life.destinations().slice(0, 25)) one.remove();
    },
  ],
  ...[20, 23, 25, 28, 29, 30, 31, 89, 115, 118, 119, 121, 295, 305].map((seconds): [string, (life: Life) => void] => [
    `they are quiet for ${seconds} seconds`,
    (life) => life.wait(seconds),
  ]),
  [
    'one end goes on for long, and the other is quiet',
    (life) => {
      for (let turn = 0; turn < 9; turn++) {
        datagrams(life);
        life.wait(17);
      }
    },
  ],
])('when %s', async (_, happens) => {
  const { fast } = await twice((life) => {
    talk(life);
    happens(life);
    life.look();
    talk(life);
    happens(life);
    // This time nobody looks at the tables before the next packets come.
    talk(life, 2);
    happens(life);
    life.wait(26);
    talk(life, 1);
  });
  expect(fast).toBeGreaterThan(60);
});
