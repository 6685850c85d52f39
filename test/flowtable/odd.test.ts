/**
 * Packets that are not quite what the ones before them were, with every checksum right: of established connections, of such as are
 * to become flows, and first ones. They fare as they do without the flow table, and so do those that follow.
 */

import { expect, it } from 'vitest';
import { ACK, answerTo, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { concat, get16, put16, put32, sealAll, UDP } from '../../bench/headers.js';
import { CLIENT, type Life, ports, twice, warm } from './meshed.js';

const VXLAN = 50;
const IP = 14;
const L4 = 34;

/** The packet at `ip` says that it is `length` bytes long; whatever is behind is padding. */
function cut(frame: Uint8Array, ip: number, length: number): void {
  put16(frame, ip + 2, length);
  if (frame[ip + 9] === UDP) put16(frame, ip + 24, length - 20);
}

/** What is odd about a frame whose packet, the inner one of a tunnel's, is `at` bytes further behind than otherwise. */
const ODDITIES: [string, (frame: Uint8Array, at: number) => Uint8Array | undefined][] = [
  ...[0x00, 0x10, 0x40, 0x60, 0x80, 0xf0].map((offset): (typeof ODDITIES)[number] => [
    `a TCP header of ${offset >> 2} bytes`,
    (frame, at) => {
      if (frame[at + IP + 9] === UDP) return undefined;
      frame[at + L4 + 12] = offset;
      return frame;
    },
  ]),
  ...[20, 25, 27, 28, 33, 39].map((length): (typeof ODDITIES)[number] => [
    `a packet of ${length} bytes`,
    (frame, at) => {
      if (at) cut(frame, IP, VXLAN + length);
      cut(frame, at + IP, length);
      return at ? concat(frame.slice(0, at + IP + length), new Uint8Array(40)) : frame;
    },
  ]),
  ...[-1, 1, -20].map((more): (typeof ODDITIES)[number] => [
    `an upper length of ${more} more`,
    (frame, at) => {
      if (frame[at + IP + 9] !== UDP) return undefined;
      put16(frame, at + L4 + 4, get16(frame, at + L4 + 4) + more);
      return frame;
    },
  ]),
  ...[-4, 4].map((more): (typeof ODDITIES)[number] => [
    `a tunnel’s datagram of ${more} bytes more`,
    (frame, at) => {
      if (!at) return undefined;
      put16(frame, L4 + 4, get16(frame, L4 + 4) + more);
      return frame;
    },
  ]),
  ...[-3, 3].map((more): (typeof ODDITIES)[number] => [
    `a total length of ${more} more`,
    (frame, at) => {
      put16(frame, at + IP + 2, get16(frame, at + IP + 2) + more);
      return frame;
    },
  ]),
  ...[0, 1, 2].map((ttl): (typeof ODDITIES)[number] => [
    `${ttl} hops to live`,
    (frame, at) => {
      frame[at + IP + 8] = ttl;
      return frame;
    },
  ]),
  ...[1, 2, 3, 0xb8].map((tos): (typeof ODDITIES)[number] => [
    `${tos} for a type of service`,
    (frame, at) => {
      frame[at + IP + 1] = tos;
      return frame;
    },
  ]),
  ...[0x2000, 0x0001, 0x8000].map((fragment): (typeof ODDITIES)[number] => [
    `${fragment} for a fragment’s place`,
    (frame, at) => {
      put16(frame, at + IP + 6, fragment);
      return frame;
    },
  ]),
  ...[0, SYN | FIN, SYN | 4, 4, SYN | ACK | FIN, 0x08, 0x20, 0x3f, 0xd0].map((flags): (typeof ODDITIES)[number] => [
    `${flags} for flags`,
    (frame, at) => {
      if (frame[at + IP + 9] === UDP) return undefined;
      frame[at + L4 + 13] = flags;
      return frame;
    },
  ]),
  [
    'a tunnel’s header that says nothing',
    (frame, at) => {
      if (!at) return undefined;
      frame[at + 6 - 14] = 0;
      return frame;
    },
  ],
  [
    'another network’s number',
    (frame, at) => {
      if (!at) return undefined;
      put32(frame, at - 4, 0x12345600);
      return frame;
    },
  ],
  [
    'marks of congestion on its tunnel',
    (frame, at) => {
      if (!at) return undefined;
      frame[IP + 1] = 3;
      return frame;
    },
  ],
];

/** Both kinds of frames, the client's and those that come back by the tunnel, of connections that are up. */
function talk(life: Life, protocol: 'tcp' | 'udp', first: number, count: number) {
  const flows = ports(first, count).map((port) => life.flow(port, CLIENT, protocol));
  const says = (flags: number, size = 64) => flows.map((flow) => fromClient(flow, life.mesh.macs, size, flags));
  const left = life.pass(...says(protocol === 'tcp' ? SYN : 0));
  const hears = (flags: number, size = 64) => left.map((frame) => answerTo(frame, size, flags));
  return { says, hears, left };
}

it.each(['tcp', 'udp'] as const)('of %s', async (protocol) => {
  const { fast } = await twice((life) => {
    warm(life);
    const up = talk(life, protocol, 3000, 4);
    const flags = protocol === 'tcp' ? ACK : 0;
    if (protocol === 'tcp') life.pass(...up.left.map((frame) => controlBack(frame, SYN | ACK)));
    let port = 5000;
    for (const [, odd] of ODDITIES) {
      // Its flows are there.
      life.pass(...up.says(flags), ...up.hears(flags));
      life.pass(...up.says(flags), ...up.hears(flags));
      // The first of its direction, and the first of all.
      port += 10;
      const fresh = talk(life, protocol, port, 2);
      if (protocol === 'tcp') life.pass(...fresh.left.map((frame) => controlBack(frame, SYN | ACK)));
      const news = ports(port + 5, 3).map((one) =>
        fromClient(life.flow(one, CLIENT, protocol), life.mesh.macs, 80, protocol === 'tcp' ? SYN : 0),
      );
      const frames = [
        ...up.says(flags, 300),
        ...up.hears(flags, 300),
        ...fresh.says(flags),
        ...news,
        ...fresh.hears(flags),
      ];
      const bent = frames.flatMap((frame) => {
        const at = get16(frame, 36) === 4789 ? VXLAN : 0;
        const one = odd(frame, at);
        return one ? [sealAll(one)] : [];
      });
      life.pass(...bent);
      life.pass(...fresh.says(flags), ...fresh.hears(flags));
    }
  });
  expect(fast).toBeGreaterThan(ODDITIES.length * 12);
});

it('tells a tunnel’s packet from a datagram that looks like one', async () => {
  const { fast } = await twice((life) => {
    const up = talk(life, 'udp', 3000, 6);
    for (let turn = 0; turn < 4; turn++) life.pass(...up.says(0), ...up.hears(0));
    // What came by the tunnel comes once more, to other ports, by the mesh and to the node itself.
    for (const port of [8080, 53, 4788])
      for (let turn = 0; turn < 4; turn++)
        life.pass(
          ...up.hears(0, 200).map((frame) => {
            put16(frame, 36, port);
            return sealAll(frame);
          }),
        );
    life.pass(...up.says(0), ...up.hears(0));
  });
  expect(fast).toBeGreaterThan(40);
});
