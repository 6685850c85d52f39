/** UDP (RFC 768). */

import { describe, expect, it } from 'vitest';
import { POISON } from '../engine/checked.js';
import { address, headers, placed, word } from '../engine/loaded.js';
import { recordedPackets } from '../engine/oracle.js';
import { addressText, concat, hex, put16, u16, udpPacket } from '../engine/packets.js';

const engine = await headers();
/** To a closed port on an overlay: 10.0.4.4:35342 > 10.0.4.3:9998, 30 letters; captured from Docker 20.10. */
const DATAGRAM = hex('8a0e 270e 0026 c0fe  4142434445464748494a4b4c4d4e4f505152535455565758595a41424344');
const [FROM, TO] = [address('10.0.4.4'), address('10.0.4.3')];

describe('a datagram', () => {
  it('is read field by field', () => {
    const at = placed(engine, DATAGRAM);
    expect(engine.udpSource(at)).toBe(word(35342));
    expect(engine.udpDestination(at)).toBe(word(9998));
    expect(engine.udpLength(at)).toBe(38);
    expect(engine.udpChecksumOk(at, 38, FROM, TO)).toBe(1);
  });

  it('is written and sealed as it was captured: eight bytes of header, the data untouched', () => {
    const at = engine.poisoned(40);
    engine.udpEmit(at, word(35342), word(9998), 38);
    expect(engine.get(at, 10)).toEqual(hex('8a0e 270e 0026 0000 a5a5'));
    engine.put(at + 8, DATAGRAM.subarray(8));
    engine.udpSeal(at, 38, FROM, TO);
    expect(engine.get(at, 40)).toEqual(concat(DATAGRAM, Uint8Array.of(POISON, POISON)));
  });

  it('with any one bit turned has a wrong checksum', () => {
    for (let bit = 0; bit < DATAGRAM.length * 8; bit++) {
      const bytes = DATAGRAM.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      expect(engine.udpChecksumOk(placed(engine, bytes), 38, FROM, TO), `bit ${bit}`).toBe(0);
    }
  });

  it('has a wrong checksum when it was for another address, or is taken for longer or shorter', () => {
    const at = placed(engine, concat(DATAGRAM, hex('0000')));
    expect(engine.udpChecksumOk(at, 38, FROM, address('10.0.4.5'))).toBe(0);
    expect(engine.udpChecksumOk(at, 38, address('10.0.4.5'), TO)).toBe(0);
    expect(engine.udpChecksumOk(at, 40, FROM, TO)).toBe(0);
    expect(engine.udpChecksumOk(at, 36, FROM, TO)).toBe(0);
  });
});

describe('a checksum of zero', () => {
  it('means that there is none: whatever the data, it is right', () => {
    const bytes = DATAGRAM.slice();
    put16(bytes, 6, 0);
    expect(engine.udpChecksumOk(placed(engine, bytes), 38, FROM, TO)).toBe(1);
    bytes[20] = 0xff;
    expect(engine.udpChecksumOk(placed(engine, bytes), 38, FROM, TO)).toBe(1);
  });

  it('is never sent for data that adds up to it: all ones stand for it (RFC 768)', () => {
    // The data's last word takes up what is missing to a sum of ffff.
    const bytes = DATAGRAM.slice();
    put16(bytes, 6, 0);
    put16(bytes, 36, 0);
    const packet = udpPacket(
      { source: '10.0.4.4', destination: '10.0.4.3', sport: 35342, dport: 9998 },
      bytes.subarray(8),
    );
    put16(bytes, 36, u16(packet, 26));
    const at = placed(engine, bytes);
    engine.udpSeal(at, 38, FROM, TO);
    expect(u16(engine.get(at, 8), 6)).toBe(0xffff);
    expect(engine.udpChecksumOk(at, 38, FROM, TO)).toBe(1);
  });
});

it('seals every length up to 1500, odd ones too', () => {
  const wrong: number[] = [];
  for (let length = 0; length <= 1472; length++) {
    const data = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 255);
    const packet = udpPacket({ source: '10.0.4.4', destination: '10.0.4.3', sport: 1, dport: 2 }, data).subarray(20);
    const unsealed = packet.slice();
    put16(unsealed, 6, 0xbeef);
    const at = placed(engine, unsealed);
    engine.udpSeal(at, 8 + length, FROM, TO);
    if (u16(engine.get(at, 8), 6) !== u16(packet, 6)) wrong.push(length);
  }
  expect(wrong).toEqual([]);
});

it('finds the checksums of real datagrams right', () => {
  const packets = recordedPackets('S7-ingress-one/node1.host.eth0', 'udp');
  expect(packets.length).toBeGreaterThan(20);
  for (const packet of packets) {
    const at = placed(engine, packet);
    const [from, to] = [address(addressText(packet, 12)), address(addressText(packet, 16))];
    expect(engine.udpLength(at + 20)).toBe(packet.length - 20);
    expect(engine.udpChecksumOk(at + 20, packet.length - 20, from, to)).toBe(1);
    engine.udpSeal(at + 20, packet.length - 20, from, to);
    expect(engine.get(at, packet.length)).toEqual(packet.slice());
  }
});
