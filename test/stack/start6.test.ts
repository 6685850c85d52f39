/** IPv6 as a device comes up: MLDv2 reports, duplicate address detection, router solicitations (RFC 3810, 4862, 4861, 7559). */

import { expect, it } from 'vitest';
import { address6, icmp6Packet } from '../engine/packets6.js';
import { expectConserved } from '../engine/watch.js';
import { CLIENT, MAC6, world6 } from '../engine/world6.js';

const OWN = 'fe80::ff:fe00:102';

it('reports its groups, probes for duplicates and then solicits routers, less and less often', async () => {
  const world = await world6();
  world.client.ipv6.comeUp(world.nic);
  world.run(3);
  expect(world.seen(world.nic).filter((told) => !told.includes(' is here'))).toEqual([
    ':: > ff02::16 mld report of 2',
    `:: > ff02::1:ff00:2 who is ${CLIENT} nonce`,
    `:: > ff02::1:ff00:102 who is ${OWN} nonce`,
    `${OWN} > ff02::16 mld report of 2`,
    `${OWN} > ff02::2 router solicitation`,
  ]);
  const first = world.watch.sent(world.nic).find((frame) => frame[54] === 133);
  expect(Buffer.from(first?.subarray(0, 12) ?? []).toString('hex')).toBe('333300000002020000000102');
  expect(first?.length).toBe(70);
  // 4 s, 8 s, 16 s, 32 s, a tenth more or less.
  world.run(70);
  const solicitations = world.seen(world.nic).filter((told) => told.endsWith('router solicitation'));
  expect(solicitations.length).toBe(4);
  expectConserved(world.engine);
});

it('is no router that solicits, and answers for no address before it is proved', async () => {
  const world = await world6();
  world.router.ipv6.comeUp(world.left);
  world.run(5);
  expect(world.seen(world.left).some((told) => told.endsWith('router solicitation'))).toBe(false);
});

it('whoever hears of an owner of his tentative address does not use it', async () => {
  const world = await world6({ neighbours: false });
  world.client.ipv6.comeUp(world.nic);
  // Somebody else advertises it, to all.
  const claim = icmp6Packet(
    { source: CLIENT, destination: 'ff02::1', hopLimit: 255 },
    { type: 136, rest: 0x20000000, payload: address6(CLIENT) },
  );
  world.arrive(world.nic, claim, '02:00:00:00:09:09');
  world.run(3);
  expect(
    world.sockets.ping(world.client, '2001:db8:1::1', { identifier: 7, sequence: 1, size: 0, time: world.engine.now }),
  ).toBe(true);
  world.run(1);
  // Its link-local address is what is left to send from.
  expect(
    world
      .seen(world.nic)
      .some((told) => told.startsWith(`${OWN} > 2001:db8:1::1 echo`) || told.includes(`from ${MAC6.client}`)),
  ).toBe(true);
  expect(world.seen(world.nic).some((told) => told.startsWith(`${CLIENT} > 2001:db8:1::1`))).toBe(false);
});
