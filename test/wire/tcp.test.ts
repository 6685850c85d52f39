/** TCP (RFC 9293). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { POISON } from '../engine/checked.js';
import { address, headers, placed, word } from '../engine/loaded.js';
import { recordedPackets } from '../engine/oracle.js';
import { addressText, concat, hex, put16, u16 } from '../engine/packets.js';

const engine = await headers();
/** SYN from 10.0.4.4:42158 to the closed port 9999 of 10.0.4.3, and its answer; captured from Docker 20.10. */
const SYN = hex('a4ae 270f b11c1152 00000000 a0 02 fd5c e876 0000  020405820402080a8bed2c3e0000000001030307');
const RESET = hex('270f a4ae 00000000 b11c1153 50 14 0000 059d 0000');
const [CLIENT, SERVER] = [address('10.0.4.4'), address('10.0.4.3')];

describe('a segment', () => {
  it('is read field by field: a SYN', () => {
    const at = placed(engine, SYN);
    expect(engine.tcpSource(at)).toBe(word(42158));
    expect(engine.tcpDestination(at)).toBe(word(9999));
    expect(engine.tcpSequence(at) >>> 0).toBe(0xb11c1152);
    expect(engine.tcpAcknowledgment(at) >>> 0).toBe(0);
    expect(engine.tcpHeaderLength(at)).toBe(40);
    expect(engine.tcpFlags(at)).toBe(0x02);
    expect(engine.tcpWindow(at)).toBe(64860);
    expect(engine.tcpChecksumOk(at, 40, CLIENT, SERVER)).toBe(1);
  });

  it('is read field by field: a RST', () => {
    const at = placed(engine, RESET);
    expect(engine.tcpSource(at)).toBe(word(9999));
    expect(engine.tcpSequence(at) >>> 0).toBe(0);
    expect(engine.tcpAcknowledgment(at) >>> 0).toBe(0xb11c1153);
    expect(engine.tcpHeaderLength(at)).toBe(20);
    expect(engine.tcpFlags(at)).toBe(0x14);
    expect(engine.tcpWindow(at)).toBe(0);
    expect(engine.tcpChecksumOk(at, 20, SERVER, CLIENT)).toBe(1);
  });

  it('is written and sealed as it was captured: twenty bytes, the options untouched', () => {
    const at = engine.poisoned(42);
    engine.tcpEmit(at, word(42158), word(9999), 0xb11c1152, 0, 40, 0x02, 64860);
    expect(engine.get(at, 22)).toEqual(hex('a4ae 270f b11c1152 00000000 a0 02 fd5c 0000 0000 a5a5'));
    engine.put(at + 20, SYN.subarray(20));
    engine.tcpSeal(at, 40, CLIENT, SERVER);
    expect(engine.get(at, 42)).toEqual(concat(SYN, Uint8Array.of(POISON, POISON)));
  });

  it('with any one bit turned has a wrong checksum', () => {
    for (let bit = 0; bit < SYN.length * 8; bit++) {
      const bytes = SYN.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      expect(engine.tcpChecksumOk(placed(engine, bytes), 40, CLIENT, SERVER), `bit ${bit}`).toBe(0);
    }
  });

  it('has a wrong checksum when it was for another address', () => {
    const at = placed(engine, SYN);
    expect(engine.tcpChecksumOk(at, 40, address('10.0.4.5'), SERVER)).toBe(0);
    expect(engine.tcpChecksumOk(at, 40, CLIENT, address('10.0.4.5'))).toBe(0);
  });

  it('keeps all eight flags', () => {
    for (let flags = 0; flags < 256; flags++) {
      const at = engine.poisoned(20);
      engine.tcpEmit(at, 0, 0, 0, 0, 20, flags, 0);
      expect(engine.get(at, 14)[13]).toBe(flags);
      expect(engine.tcpFlags(at)).toBe(flags);
    }
  });
});

it('finds the checksums of real segments right, and writes their headers as they were', () => {
  const packets = recordedPackets('S6-ingress/client.eth0', 'tcp');
  expect(packets.length).toBeGreaterThan(50);
  for (const packet of packets) {
    const at = placed(engine, packet) + 20;
    const length = packet.length - 20;
    const [from, to] = [address(addressText(packet, 12)), address(addressText(packet, 16))];
    expect(engine.tcpChecksumOk(at, length, from, to)).toBe(1);
    const copy = engine.poisoned(length);
    engine.put(copy, packet.subarray(20));
    engine.tcpEmit(
      copy,
      engine.tcpSource(at),
      engine.tcpDestination(at),
      engine.tcpSequence(at),
      engine.tcpAcknowledgment(at),
      engine.tcpHeaderLength(at),
      engine.tcpFlags(at),
      engine.tcpWindow(at),
    );
    expect(u16(engine.get(copy, 18), 16)).toBe(0);
    engine.tcpSeal(copy, length, from, to);
    expect(engine.get(copy, length)).toEqual(packet.slice(20));
  }
});

it('seals an odd length', () => {
  const odd = concat(RESET, hex('41'));
  put16(odd, 16, 0xffff);
  const at = placed(engine, odd);
  engine.tcpSeal(at, 21, SERVER, CLIENT);
  // One byte more in the pseudo header's length, 0x4100 more in the data: 059d - 1 - 4100.
  expect(u16(engine.get(at, 21), 16)).toBe((0x059d - 1 - 0x4100 - 1) & 0xffff);
  expect(engine.tcpChecksumOk(at, 21, SERVER, CLIENT)).toBe(1);
});

it('compares sequence numbers round the circle (RFC 9293, section 3.4)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 1, max: 0x7fffffff }), (a, ahead) => {
      const b = (a + ahead) >>> 0;
      expect([engine.tcpBefore(a, b), engine.tcpBefore(b, a), engine.tcpBefore(a, a)]).toEqual([1, 0, 0]);
      expect([engine.tcpAfter(a, b), engine.tcpAfter(b, a), engine.tcpAfter(a, a)]).toEqual([0, 1, 0]);
    }),
  );
  expect(engine.tcpBefore(0xffffffff, 0)).toBe(1);
});
