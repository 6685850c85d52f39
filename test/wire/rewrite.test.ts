/** What NAT does to a packet (RFC 3022, section 4.1; RFC 1624): addresses, ports, and the checksums that cover them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { address, headers, placed, word } from '../engine/loaded.js';
import { recordedPackets } from '../engine/oracle.js';
import {
  addressBytes,
  addressText,
  checksumsHold,
  concat,
  echo,
  hex,
  ipPacket,
  put16,
  tcpPacket,
  u16,
  udpPacket,
} from '../engine/packets.js';

const engine = await headers();
const [SOURCE, DESTINATION] = [1, 0];
const TCP = 6;
const UDP = 17;
const ICMP = 1;

/** The packet with another source or destination; what lies behind it must stay as it is. */
function rewritten(packet: Uint8Array, side: number, to: string, protocol: number, port: number): Uint8Array {
  const behind = hex('a5a5a5a5a5a5a5a5');
  const at = placed(engine, concat(packet, behind));
  engine.natRewrite(at, packet.length, side, address(to), protocol, word(port));
  expect(engine.get(at + packet.length, 8), 'what lies behind').toEqual(behind);
  return engine.get(at, packet.length);
}

const port = fc.integer({ min: 1, max: 65535 });
const options = fc.constantFrom(hex(''), hex('94 04 00 00'), hex('07 07 04 00 00 00 00 01'));
const ends = fc.record({ source: fc.ipV4(), destination: fc.ipV4(), sport: port, dport: port });
const payload = fc.uint8Array({ maxLength: 100 });

const anyTcp = fc.tuple(ends, payload).map(([ends, payload]) => ({
  protocol: TCP,
  packet: tcpPacket(ends, { flags: 'PA', sequence: 7, payload }),
  ports: [ends.sport, ends.dport],
}));
const anyUdp = fc.tuple(ends, payload, options).map(([ends, payload, options]) => ({
  protocol: UDP,
  packet: udpPacket({ ...ends, options }, payload),
  ports: [ends.sport, ends.dport],
}));
const anyEcho = fc.tuple(ends, fc.boolean(), options).map(([{ source, destination, sport }, reply, options]) => ({
  protocol: ICMP,
  packet: echo({ source, destination, options }, { reply, identifier: sport }),
  ports: [sport, sport],
}));

describe('a rewritten packet', () => {
  it.each([
    ['source', SOURCE, 12, 0],
    ['destination', DESTINATION, 16, 2],
  ])(
    'has the new %s, right checksums, and nothing else changed; rewritten back it is what it was',
    (_, side, at, portAt) => {
      fc.assert(
        fc.property(fc.oneof(anyTcp, anyUdp, anyEcho), fc.ipV4(), port, ({ protocol, packet, ports }, to, port) => {
          expect(checksumsHold(packet)).toBe(true);
          const there = rewritten(packet, side, to, protocol, port);
          expect(checksumsHold(there), 'checksums').toBe(true);

          const header = ((packet[0] ?? 0) & 15) * 4;
          const expected = packet.slice();
          expected.set(addressBytes(to), at);
          put16(expected, header + (protocol === ICMP ? 4 : portAt), port);
          expected.set(there.subarray(10, 12), 10);
          const sum = header + { [TCP]: 16, [UDP]: 6, [ICMP]: 2 }[protocol as 1];
          expected.set(there.subarray(sum, sum + 2), sum);
          expect(there).toEqual(expected);

          const from = addressText(packet, at);
          expect(rewritten(there, side, from, protocol, ports[side === SOURCE ? 0 : 1] ?? 0)).toEqual(packet);
        }),
        { numRuns: 500 },
      );
    },
  );

  it('is what a real node made of it: DNAT and a hop, 192.168.99.110:8080 to ingress_sbox', () => {
    const asked = recordedPackets('S6-ingress/node1.host.eth0', 'tcp').filter(
      (packet) => u16(packet, 22) === 8080 && addressText(packet, 16) === '192.168.99.110',
    );
    const passed = recordedPackets('S6-ingress/node1.host.docker_gwbridge', 'tcp').filter(
      (packet) => u16(packet, 22) === 8080 && addressText(packet, 12) === '192.168.99.1',
    );
    expect(asked.length).toBeGreaterThan(10);
    expect(passed.length).toBe(asked.length);
    asked.forEach((packet, i) => {
      const at = placed(engine, packet);
      engine.ipv4DecrementTtl(at);
      engine.natRewrite(
        at,
        packet.length,
        DESTINATION,
        address(addressText(passed[i] ?? hex(''), 16)),
        TCP,
        word(8080),
      );
      expect(engine.get(at, packet.length)).toEqual(passed[i]?.slice());
    });
  });

  it('is what a real node made of the answer: the source becomes its own, one hop further', () => {
    const answered = recordedPackets('S6-ingress/node1.host.docker_gwbridge', 'tcp').filter(
      (packet) => u16(packet, 20) === 8080 && addressText(packet, 16) === '192.168.99.1',
    );
    const passed = recordedPackets('S6-ingress/node1.host.eth0', 'tcp').filter(
      (packet) => u16(packet, 20) === 8080 && addressText(packet, 12) === '192.168.99.110',
    );
    expect(answered.length).toBeGreaterThan(10);
    answered.forEach((packet, i) => {
      const at = placed(engine, packet);
      engine.ipv4DecrementTtl(at);
      engine.natRewrite(at, packet.length, SOURCE, address('192.168.99.110'), TCP, word(8080));
      expect(engine.get(at, packet.length)).toEqual(passed[i]?.slice());
    });
  });
});

describe('UDP’s checksum', () => {
  it('stays 0 when it was 0: there was none', () => {
    fc.assert(
      fc.property(anyUdp, fc.ipV4(), port, ({ packet }, to, port) => {
        const header = ((packet[0] ?? 0) & 15) * 4;
        put16(packet, header + 6, 0);
        expect(u16(rewritten(packet, SOURCE, to, UDP, port), header + 6)).toBe(0);
      }),
    );
  });

  it('that would become 0 becomes ffff, or the receiver would take it for none', () => {
    const before = { source: '10.0.0.1', destination: '10.0.0.2', sport: 4000, dport: 53 };
    // Some source port gives a sum of all ones; `udpPacket` then writes ffff, as the RFC wants.
    const sport = Array.from({ length: 65535 }, (_, i) => i + 1).find(
      (sport) => u16(udpPacket({ ...before, source: '10.9.9.9', sport }), 26) === 0xffff,
    );
    expect(sport).toBeDefined();
    const after = rewritten(udpPacket(before), SOURCE, '10.9.9.9', UDP, sport ?? 0);
    expect(u16(after, 26)).toBe(0xffff);
    expect(after).toEqual(udpPacket({ ...before, source: '10.9.9.9', sport: sport ?? 0 }));
    expect(rewritten(after, SOURCE, '10.0.0.1', UDP, 4000)).toEqual(udpPacket(before));
  });
});

describe('a TCP header that an ICMP error quotes', () => {
  const whole = tcpPacket({ source: '10.0.0.1', destination: '10.0.0.2', sport: 4000, dport: 80 }, { flags: 'S' });

  it.each([8, 9, 12, 16, 17])('of %i bytes gets its port, and nothing past its end is touched', (bytes) => {
    const quoted = whole.subarray(0, 20 + bytes);
    const there = rewritten(quoted, SOURCE, '172.16.0.9', TCP, 5555);
    const expected = quoted.slice();
    expected.set(addressBytes('172.16.0.9'), 12);
    expected.set(there.subarray(10, 12), 10);
    put16(expected, 20, 5555);
    expect(there).toEqual(expected);
    expect(rewritten(there, SOURCE, '10.0.0.1', TCP, 4000)).toEqual(quoted.slice());
  });

  it.each([18, 19, 20])('of %i bytes gets its checksum changed, too', (bytes) => {
    const there = rewritten(whole.subarray(0, 20 + bytes), SOURCE, '172.16.0.9', TCP, 5555);
    const expected = tcpPacket(
      { source: '172.16.0.9', destination: '10.0.0.2', sport: 5555, dport: 80 },
      { flags: 'S' },
    );
    expect(u16(there, 36)).toBe(u16(expected, 36));
  });

  it.each([0, 4, 7])('of %i bytes, less than RFC 792 promises, stays as it is', (bytes) => {
    const quoted = whole.subarray(0, 20 + bytes);
    const there = rewritten(quoted, DESTINATION, '172.16.0.9', TCP, 5555);
    expect(there.subarray(20)).toEqual(quoted.subarray(20));
    expect(addressText(there, 16)).toBe('172.16.0.9');
  });
});

it('touches only the addresses of a later fragment: it has no ports', () => {
  const data = Uint8Array.from({ length: 64 }, (_, i) => i);
  for (const protocol of [TCP, UDP, ICMP]) {
    const fragment = ipPacket({ source: '10.0.0.1', destination: '10.0.0.2', protocol, flags: 0x20b9 }, data);
    const there = rewritten(fragment, SOURCE, '172.16.0.9', protocol, 5555);
    expect(there).toEqual(ipPacket({ source: '172.16.0.9', destination: '10.0.0.2', protocol, flags: 0x20b9 }, data));
  }
});

it('changes the identifier of ICMP that has one, queries and replies, and of no other', () => {
  const asks = (type: number) => {
    const message = concat(Uint8Array.of(type, 0, 0, 0), hex('1234 0001'));
    put16(message, 2, 0);
    const packet = ipPacket({ source: '10.0.0.1', destination: '10.0.0.2', protocol: ICMP }, message);
    return u16(rewritten(packet, SOURCE, '10.0.0.9', ICMP, 0x5678), 24) === 0x5678;
  };
  // icmp_manip_pkt: echo, timestamp, information and address mask, each with its reply.
  expect(Array.from({ length: 20 }, (_, type) => type).filter(asks)).toEqual([0, 8, 13, 14, 15, 16, 17, 18]);
});
