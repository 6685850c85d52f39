import { describe, expect, test } from 'vitest';
import { explain } from '../../src/replay/explain.js';
import { changed, put16, tapOf } from './recorded.js';

const eth0 = tapOf('S6-ingress', 'node1.host/eth0').frames.map(({ data }) => data);
/** client → node1, TCP. */
const tcp = eth0[2] as Uint8Array;
/** node1 → node2, VXLAN with TCP inside: outer headers 14 + 20 + 8 + 8, so the inner frame begins at 50. */
const vxlan = eth0[3] as Uint8Array;
const arp = eth0[0] as Uint8Array;

describe('two frames', () => {
  test('that are identical need no words', () => {
    expect(explain(tcp, new Uint8Array(tcp))).toEqual([]);
  });

  test.each<[string, Uint8Array, number, number, string]>([
    ['a TTL', tcp, 22, 63, 'ip.ttl: real 64, ours 63'],
    ['a destination MAC', tcp, 5, 0x77, 'eth.dst: real 52:54:00:00:00:6e, ours 52:54:00:00:00:77'],
    ['a destination address', tcp, 33, 111, 'ip.dst: real 192.168.99.110, ours 192.168.99.111'],
    ['DF', tcp, 20, 0, 'ip.flags: real 0x2, ours 0x0'],
    ['a TCP flag', tcp, 47, 0x12, 'tcp.flags: real 0x002, ours 0x012'],
    ['a VNI', vxlan, 48, 1, 'vxlan.vni: real 4096, ours 4097'],
    ['a TTL inside VXLAN', vxlan, 50 + 22, 61, 'ip.ttl (inside vxlan): real 62, ours 61'],
    ['an outer TTL', vxlan, 22, 63, 'ip.ttl: real 64, ours 63'],
    ['an ARP target', arp, 41, 9, 'arp.dst.proto_ipv4: real 192.168.99.110, ours 192.168.99.9'],
  ])('are told apart by %s', (_, real, at, value, words) => {
    const ours = changed(real, (bytes) => {
      bytes[at] = value;
    });
    expect(explain(real, ours)).toEqual([words]);
  });

  test('are told apart by a sequence number, as it is on the wire', () => {
    const ours = changed(tcp, (bytes) => bytes.set([0, 0, 0, 1], 38));
    expect(explain(tcp, ours)).toEqual([expect.stringMatching(/^tcp\.seq: real \d+, ours 1$/)]);
  });

  test('are told apart by their length and what is missing', () => {
    const words = explain(arp, arp.subarray(0, 30)).join('\n');
    expect(words).toMatch(/frame\.len: real 42, ours 30/);
    expect(words).toMatch(/arp\.opcode: real 1, ours has none/);
  });

  test('are told apart by their protocols', () => {
    const ours = changed(vxlan, (bytes) => put16(bytes, 36, 4790));
    expect(explain(vxlan, ours)[0]).toBe('frame.protocols: real eth:ip:udp:vxlan:eth:ip:tcp, ours eth:ip:udp');
  });

  test('are told apart by the first byte of the payload that differs', () => {
    const data = eth0.find((frame) => frame.length > 100 && frame[23] === 6) as Uint8Array;
    const ours = changed(data, (bytes) => {
      bytes[bytes.length - 2] = 0xee;
    });
    expect(explain(data, ours)).toEqual([
      expect.stringMatching(/^tcp\.payload: from byte \d+ of \d+ on: real 2 bytes [0-9a-f]{4}, ours 2 bytes ee/),
    ]);
  });

  test('are called as the caller calls them', () => {
    const ours = changed(tcp, (bytes) => {
      bytes[22] = 1;
    });
    expect(explain(tcp, ours, { sides: { real: 'a.pcap', ours: 'b.pcap' } })).toEqual(['ip.ttl: a.pcap 64, b.pcap 1']);
  });
});
