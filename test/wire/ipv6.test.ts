/** IPv6's headers as the engine reads and writes them: RFC 8200, RFC 4443, RFC 4861, RFC 3810. */

import { beforeAll, describe, expect, it } from 'vitest';
import { type Headers, headers, placed } from '../engine/loaded.js';
import { concat, hex, toHex } from '../engine/packets.js';
import { address6, echo6, icmp6Packet, ip6Packet, optionsHeader, udp6Packet } from '../engine/packets6.js';

interface Ipv6Exports {
  ipv6Emit(
    at: number,
    tclass: number,
    label: number,
    payload: number,
    next: number,
    hops: number,
    source: number,
    destination: number,
  ): void;
  ipv6Walk(at: number, length: number): number;
  ipv6Upper(): number;
  ipv6UpperAt(): number;
  ipv6FragmentAt(): number;
  ipv6CheckOptions(at: number): number;
  ipv6SolicitedLow(at: number): bigint;
  ipv6GroupMac(at: number): bigint;
  icmpv6Seal(at: number, length: number, source: number, destination: number): void;
  icmpv6ChecksumOk(at: number, length: number, ip: number): number;
  udpChecksumOk6(at: number, length: number, ip: number): number;
  ndpOptionsValid(at: number, end: number): number;
  ndpOption(at: number, end: number, type: number): number;
  ndpEmitOption(at: number, type: number, six: bigint): void;
  mldEmitAlert(at: number): void;
}

let wire: Headers & Ipv6Exports;
beforeAll(async () => {
  wire = (await headers()) as Headers & Ipv6Exports;
});
const ends = { source: '2001:db8:1::2', destination: '2001:db8:1::3' };

describe('the header', () => {
  it('has the 40 bytes of RFC 8200, section 3, as recorded in S12', () => {
    const at = placed(wire, new Uint8Array(40));
    const source = placed(wire, address6(ends.source));
    const destination = placed(wire, address6(ends.destination));
    wire.ipv6Emit(at, 0, 0x1ee8f, 64, 58, 64, source, destination);
    const real = hex('6001ee8f 0040 3a 40 20010db8000100000000000000000002 20010db8000100000000000000000003');
    expect(toHex(wire.get(at, 40))).toBe(toHex(real));
  });

  it('traffic class and flow label do not touch each other', () => {
    const at = placed(wire, new Uint8Array(40));
    wire.ipv6Emit(at, 0xff, 0, 0, 59, 1, at, at);
    expect(toHex(wire.get(at, 4))).toBe('6f f0 00 00');
    wire.ipv6Emit(at, 0, 0xfffff, 0, 59, 1, at, at);
    expect(toHex(wire.get(at, 4))).toBe('60 0f ff ff');
  });
});

describe('extension headers', () => {
  const walked = (packet: Uint8Array, length = packet.length) => {
    const ok = wire.ipv6Walk(placed(wire, packet), length);
    return ok ? [wire.ipv6Upper(), wire.ipv6UpperAt(), wire.ipv6FragmentAt()] : undefined;
  };

  it('lead to the upper layer, however many', () => {
    const udp = udp6Packet({ ...ends, sport: 1, dport: 2 }, new Uint8Array(4)).subarray(40);
    const all = concat(
      optionsHeader(43),
      optionsHeader(60),
      optionsHeader(44, new Uint8Array(12)),
      hex('11 00 0000 00000001'),
      udp,
    );
    expect(walked(ip6Packet(ends, new Uint8Array()))).toEqual([59, 40, 0]);
    expect(walked(ip6Packet({ ...ends, next: 0 }, all))).toEqual([17, 40 + 8 + 8 + 16 + 8, 72]);
  });

  it('end at a later fragment, whose bytes are nobody’s header', () => {
    expect(walked(ip6Packet({ ...ends, next: 44 }, hex('06 00 0008 00000001 ffffffffffffffff')))).toEqual([6, 48, 40]);
  });

  it('that run over the end lead nowhere', () => {
    const packet = ip6Packet({ ...ends, next: 60 }, optionsHeader(59, new Uint8Array(20)));
    expect(walked(packet)).toEqual([59, 64, 0]);
    for (const length of [47, 48, 63]) expect(walked(packet, length)).toBeUndefined();
  });

  it.each([
    ['padding', Uint8Array.of(1, 4, 0, 0, 0, 0), 0],
    ['a router alert', Uint8Array.of(5, 2, 0, 0, 1, 0), 0],
    ['an unknown option to skip', Uint8Array.of(0x1e, 4, 0, 0, 0, 0), 0],
    ['one to discard for', Uint8Array.of(0x5e, 4, 0, 0, 0, 0), 1],
    ['one to report', Uint8Array.of(0x9e, 4, 0, 0, 0, 0), 2],
    ['one to report unless it was for a group', Uint8Array.of(0xde, 4, 0, 0, 0, 0), 3],
    ['an option longer than its header', Uint8Array.of(0x1e, 5, 0, 0, 0, 0), 1],
    ['padding that is not zero', Uint8Array.of(1, 4, 0, 1, 0, 0), 1],
    ['a router alert of three bytes', Uint8Array.of(5, 3, 0, 0, 0, 0), 1],
  ])('with %s', (_, options, verdict) => {
    expect(wire.ipv6CheckOptions(placed(wire, optionsHeader(59, options)))).toBe(verdict);
  });
});

describe('checksums run over the pseudo-header of section 8.1', () => {
  it('ICMPv6', () => {
    const packet = echo6(ends);
    const at = placed(wire, packet);
    expect(wire.icmpv6ChecksumOk(at + 40, packet.length - 40, at)).toBe(1);
    wire.icmpv6Seal(at + 40, packet.length - 40, at + 8, at + 24);
    expect(toHex(wire.get(at, packet.length))).toBe(toHex(packet));
    // Of another destination it is wrong.
    const other = placed(
      wire,
      Uint8Array.from(packet, (byte, i) => (i === 39 ? byte ^ 1 : byte)),
    );
    expect(wire.icmpv6ChecksumOk(other + 40, packet.length - 40, other)).toBe(0);
  });

  it('UDP, where none is not enough', () => {
    const packet = udp6Packet({ ...ends, sport: 5, dport: 6 }, hex('0102030405'));
    const at = placed(wire, packet);
    expect(wire.udpChecksumOk6(at + 40, packet.length - 40, at)).toBe(1);
    packet.set([0, 0], 46);
    const without = placed(wire, packet);
    expect(wire.udpChecksumOk6(without + 40, packet.length - 40, without)).toBe(0);
  });
});

describe('groups', () => {
  it('an address asks at its solicited-node group, which has a MAC', () => {
    const at = placed(wire, address6('fe80::42:acff:fe14:3'));
    const group = placed(wire, concat(hex('ff02000000000000'), new Uint8Array(8)));
    new DataView(wire.memory.buffer).setBigUint64(group + 8, BigInt.asUintN(64, wire.ipv6SolicitedLow(at)), true);
    expect(toHex(wire.get(group, 16))).toBe(toHex(address6('ff02::1:ff14:3')));
    expect(BigInt.asUintN(64, wire.ipv6GroupMac(group)).toString(16)).toBe('30014ff3333');
  });
});

describe('neighbour discovery', () => {
  it('its options are walked to their end, and must have a length', () => {
    const valid = (bytes: Uint8Array) => {
      const at = placed(wire, bytes);
      return wire.ndpOptionsValid(at, at + bytes.length);
    };
    expect(valid(new Uint8Array())).toBe(1);
    expect(valid(hex('01 01 0242ac140002 0e 01 010203040506'))).toBe(1);
    expect(valid(hex('01 00 0242ac140002'))).toBe(0);
    expect(valid(hex('01 02 0242ac140002'))).toBe(0);
    expect(valid(hex('01'))).toBe(0);
  });

  it('writes the MAC of a solicitation as S12 has it', () => {
    const at = placed(wire, new Uint8Array(8));
    wire.ndpEmitOption(at, 1, 0x020014ac4202n);
    expect(toHex(wire.get(at, 8))).toBe('01 01 02 42 ac 14 00 02');
    const bytes = hex('0e 01 010203040506 01 01 0242ac140002');
    const there = placed(wire, bytes);
    expect(wire.ndpOption(there, there + bytes.length, 1)).toBe(there + 8);
    expect(wire.ndpOption(there, there + bytes.length, 2)).toBe(0);
  });
});

it('a listener report has the router alert before it (RFC 3810, section 5)', () => {
  const at = placed(wire, new Uint8Array(8));
  wire.mldEmitAlert(at);
  expect(toHex(wire.get(at, 8))).toBe('3a 00 05 02 00 00 01 00');
  expect(icmp6Packet(ends, { type: 143 }).length).toBe(48);
});
