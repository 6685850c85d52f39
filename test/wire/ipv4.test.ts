/** The IPv4 header (RFC 791). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { POISON } from '../engine/checked.js';
import { address, headers, placed } from '../engine/loaded.js';
import { recordedPackets } from '../engine/oracle.js';
import { checksum, concat, hex, ipPacket, put16, u16 } from '../engine/packets.js';

const engine = await headers();
/** An error that a container got over its lo; captured from Docker 20.10. */
const HEADER = hex('45 c0 0070  56f6 0000  40 01 cab0  ac110002  ac110002');
/** The middle fragment of a long ping. */
const FRAGMENT = hex('45 00 05dc  2de3 20b9  40 01 ce5d  ac110003  ac110002');

describe('a header', () => {
  it('is read field by field', () => {
    const at = placed(engine, HEADER);
    expect(engine.ipv4Version(at)).toBe(4);
    expect(engine.ipv4HeaderLength(at)).toBe(20);
    expect(engine.ipv4Tos(at)).toBe(0xc0);
    expect(engine.ipv4TotalLength(at)).toBe(112);
    expect(engine.ipv4Id(at)).toBe(0x56f6);
    expect(engine.ipv4FlagsAndOffset(at)).toBe(0);
    expect(engine.ipv4IsFragment(at)).toBe(0);
    expect(engine.ipv4Ttl(at)).toBe(64);
    expect(engine.ipv4Protocol(at)).toBe(1);
    expect(engine.ipv4Source(at) >>> 0).toBe(address('172.17.0.2'));
    expect(engine.ipv4Destination(at) >>> 0).toBe(address('172.17.0.2'));
    expect(engine.ipv4ChecksumOk(at)).toBe(1);
  });

  it('is written, all of its 20 bytes and no other', () => {
    const at = engine.poisoned(22);
    const own = address('172.17.0.2');
    engine.ipv4Emit(at, 0xc0, 112, 0x56f6, 0, 64, 1, own, own);
    expect(engine.get(at, 22)).toEqual(Uint8Array.of(...HEADER, POISON, POISON));
  });

  it('of a fragment tells offset and flags', () => {
    const at = placed(engine, FRAGMENT);
    expect(engine.ipv4FlagsAndOffset(at)).toBe(0x2000 | (1480 / 8));
    expect(engine.ipv4IsFragment(at)).toBe(1);
    const to = engine.poisoned(20);
    engine.ipv4Emit(to, 0, 1500, 0x2de3, 0x20b9, 64, 1, address('172.17.0.3'), address('172.17.0.2'));
    expect(engine.get(to, 20)).toEqual(FRAGMENT);
  });

  it('is a fragment’s by MF or by an offset, not by DF or the reserved bit', () => {
    const is = (flags: number) => {
      const packet = ipPacket({ source: '10.0.0.1', destination: '10.0.0.2', flags }, new Uint8Array(8));
      return engine.ipv4IsFragment(placed(engine, packet)) !== 0;
    };
    expect([0x0000, 0x4000, 0x8000].map(is)).toEqual([false, false, false]);
    expect([0x2000, 0x6000, 0x0001, 0x0100, 0x1000].map(is)).toEqual([true, true, true, true, true]);
  });

  it('with options is as long as it says, and its checksum covers them', () => {
    const options = hex('94 04 00 00'); // router alert, RFC 2113
    const packet = ipPacket({ source: '10.0.0.1', destination: '10.0.0.2', options }, hex('aa bb'));
    expect(engine.ipv4HeaderLength(placed(engine, packet))).toBe(24);
    expect(engine.ipv4ChecksumOk(placed(engine, packet))).toBe(1);
    packet[23] = 1;
    expect(engine.ipv4ChecksumOk(placed(engine, packet))).toBe(0);
  });

  it('with any one bit turned has a wrong checksum', () => {
    for (let bit = 8; bit < 160; bit++) {
      const bytes = HEADER.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      expect(engine.ipv4ChecksumOk(placed(engine, bytes)), `bit ${bit}`).toBe(0);
    }
  });

  it('is sealed anew whatever stood in its checksum', () => {
    const bytes = HEADER.slice();
    put16(bytes, 10, 0xdead);
    const at = placed(engine, bytes);
    engine.ipv4Seal(at);
    expect(engine.get(at, 20)).toEqual(HEADER);
  });
});

describe('the headers of a recorded tap', () => {
  const packets = recordedPackets('S6-ingress/node1.host.eth0').filter((packet) => packet[0] === 0x45);

  it('have right checksums and are written as they were read', () => {
    expect(packets.length).toBeGreaterThan(100);
    for (const packet of packets) {
      const from = placed(engine, packet);
      expect(engine.ipv4ChecksumOk(from)).toBe(1);
      const to = engine.poisoned(20);
      engine.ipv4Emit(
        to,
        engine.ipv4Tos(from),
        engine.ipv4TotalLength(from),
        engine.ipv4Id(from),
        engine.ipv4FlagsAndOffset(from),
        engine.ipv4Ttl(from),
        engine.ipv4Protocol(from),
        engine.ipv4Source(from),
        engine.ipv4Destination(from),
      );
      expect(engine.get(to, 20)).toEqual(packet.slice(0, 20));
    }
  });
});

const header = fc
  .record({
    tos: fc.nat(255),
    id: fc.nat(65535),
    flags: fc.nat(65535),
    ttl: fc.integer({ min: 1, max: 255 }),
    protocol: fc.nat(255),
    source: fc.ipV4(),
    destination: fc.ipV4(),
    options: fc.constantFrom(hex(''), hex('94 04 00 00'), hex('07 07 04 00 00 00 00 01')),
  })
  .map((fields) => ipPacket(fields, hex('01 02 03 04')));

describe('a change in a header', () => {
  it('of the TTL by one keeps the checksum right and all else as it is (RFC 1141)', () => {
    fc.assert(
      fc.property(header, (before) => {
        const at = placed(engine, before);
        engine.ipv4DecrementTtl(at);
        const after = engine.get(at, before.length);
        expect(after[8]).toBe((before[8] ?? 0) - 1);
        expect(checksum(after.subarray(0, engine.ipv4HeaderLength(at)))).toBe(0);
        const expected = before.slice();
        expected[8] = (before[8] ?? 0) - 1;
        expected.set(after.subarray(10, 12), 10);
        expect(after).toEqual(expected);
      }),
    );
  });

  it.each([
    ['total length', 2],
    ['id', 4],
    ['flags and offset', 6],
  ])('of %s keeps the checksum right and all else as it is', (_, field) => {
    fc.assert(
      fc.property(header, fc.nat(65535), (before, value) => {
        const at = placed(engine, before);
        const length = engine.ipv4HeaderLength(at);
        engine.ipv4Rewrite16(at, field, value);
        const after = engine.get(at, before.length);
        expect(u16(after, field)).toBe(value);
        expect(checksum(after.subarray(0, length))).toBe(0);
        const expected = concat(before);
        put16(expected, field, value);
        expected.set(after.subarray(10, 12), 10);
        expect(after).toEqual(expected);
      }),
    );
  });
});
