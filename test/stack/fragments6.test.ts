/** IPv6 fragments (RFC 8200, section 4.5; RFC 5722; RFC 6946): what is put together, what is not, and who hears of it. */

import { describe, expect, it } from 'vitest';
import { concat } from '../engine/packets.js';
import { echo6, fragment6, fragments6, ip6Packet, optionsHeader, udp6Message } from '../engine/packets6.js';
import { expectConserved } from '../engine/watch.js';
import { CLIENT, LEFT, type World6, world6 } from '../engine/world6.js';

const ends = { source: CLIENT, destination: LEFT };
const whole = echo6(ends, 100);
const body = whole.subarray(40);
const piece = (begin: number, end: number, more = end < body.length, id?: number) =>
  fragment6(whole, begin, body.subarray(begin, end), more, id);

async function arrived(...packets: Uint8Array[]): Promise<World6> {
  const world = await world6();
  for (const packet of packets) world.arrive(world.left, packet);
  world.run(1);
  return world;
}
const answered = (world: World6) => world.packets(world.left).filter((packet) => packet[40] === 129).length;

describe('a datagram', () => {
  const [a, b, c] = fragments6(whole, [40, 80]) as [Uint8Array, Uint8Array, Uint8Array];

  it.each([
    ['in order', [a, b, c]],
    ['in reverse', [c, b, a]],
    ['the middle one last', [a, c, b]],
    ['one twice', [a, b, b, c]],
  ])('is put together: %s', async (_, packets) => {
    const world = await arrived(...packets);
    expect(answered(world)).toBe(1);
    expect(world.drops()).toEqual(packets.length > 3 ? ['router/host/left FRAG_OVERLAP'] : []);
    expectConserved(world.engine);
  });

  it('of one fragment is itself: the header goes', async () => {
    const world = await arrived(piece(0, body.length));
    expect(answered(world)).toBe(1);
    expect(world.packets(world.left)[0]?.[6]).toBe(58);
  });

  it('with options before the fragment header and behind it is put together all the same', async () => {
    const message = udp6Message({ ...ends, sport: 9, dport: 53 }, new Uint8Array(100));
    const rest = concat(optionsHeader(17), message);
    const cut = (begin: number, end: number) =>
      ip6Packet(
        { ...ends, next: 0 },
        concat(
          optionsHeader(44),
          Uint8Array.of(60, 0, begin >> 8, (begin & 0xf8) | Number(end < rest.length), 0, 0, 0, 7),
          rest.subarray(begin, end),
        ),
      );
    const world = await world6();
    const got: number[] = [];
    world.sockets.openUdp(world.router, 53, ({ data }) => got.push(data.length), undefined, '::');
    world.arrive(world.left, cut(64, rest.length));
    world.arrive(world.left, cut(0, 64));
    world.run(1);
    expect(got).toEqual([100]);
    expectConserved(world.engine);
  });

  it('with fragments of another id waits for its own', async () => {
    const world = await arrived(a, b, piece(80, body.length, false, 1));
    expect(answered(world)).toBe(0);
  });
});

describe('what is wrong', () => {
  it.each([
    [
      'an overlap ends the datagram and all of it that is there',
      [piece(0, 48), piece(40, 88), piece(80, body.length)],
      'FRAG_OVERLAP x2',
    ],
    ['two ends do', [piece(80, body.length), piece(40, 72, false)], 'FRAG_INVALID x2'],
    ['so does an empty one', [piece(0, 40), piece(40, 40)], 'FRAG_INVALID x2'],
  ])('%s', async (_, packets, drops) => {
    const world = await arrived(...packets);
    expect(answered(world)).toBe(0);
    expect(world.drops()).toEqual([`router/host/left ${drops}`]);
    expectConserved(world.engine, { inFlight: packets.length - Number(drops.split('x')[1]) });
  });

  it('a length that is no multiple of eight before the last is a parameter problem', async () => {
    const world = await arrived(piece(0, 41, true));
    expect(world.seen(world.left).at(-1)).toBe(`${LEFT} > ${CLIENT} icmp 4/0`);
    expect(world.packets(world.left)[0]?.subarray(44, 48)).toEqual(Uint8Array.of(0, 0, 0, 4));
    expect(world.drops()).toEqual(['router/host/left FRAG_INVALID']);
  });

  it('what is not whole after 60 s is given up, and its sender told when the first fragment came', async () => {
    const world = await arrived(piece(0, 40));
    world.run(58);
    expect(world.packets(world.left)).toEqual([]);
    world.run(2);
    expect(world.seen(world.left).at(-1)).toBe(`${LEFT} > ${CLIENT} icmp 3/1`);
    expect(world.drops()).toEqual(['router/host/left FRAG_REASM_TIMEOUT']);
    const silent = await arrived(piece(40, 80));
    silent.run(62);
    expect(silent.packets(silent.left)).toEqual([]);
    expectConserved(silent.engine);
  });
});
