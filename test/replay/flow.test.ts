import { describe, expect, test } from 'vitest';
import { layersOf } from '../../src/dissect/layers.js';
import { flowOf, groupByFlow } from '../../src/replay/flow.js';
import { changed, put16, tapOf } from './recorded.js';

const eth0 = tapOf('S6-ingress', 'node1.host/eth0').frames.map(({ data }) => data);
const keyOf = (bytes: Uint8Array | undefined) =>
  flowOf(bytes ?? new Uint8Array(), layersOf(bytes ?? new Uint8Array())).key;
const familyOf = (bytes: Uint8Array) => flowOf(bytes, layersOf(bytes)).family;

const bytesOf = (...parts: (string | number[])[]) =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part.replaceAll(' ', ''), 'hex')] : part)),
  );
const ETHERNET = '02 42 0a 00 00 02  02 42 0a 00 00 03  08 00';
const ip = (protocol: number, length: number, fragment = 0, id = 7) =>
  bytesOf(
    '45 00',
    [0, 20 + length, 0, id, fragment >> 8, fragment & 0xff, 64, protocol, 0, 0],
    '0a 00 00 03  0a 00 00 02',
  );
const frame = (header: Uint8Array, payload: string) => bytesOf(ETHERNET, [...header], payload);

describe('a flow', () => {
  test('has the names of what it carries, through VXLAN', () => {
    expect(keyOf(eth0[0])).toBe('arp who-has 192.168.99.110 tell 192.168.99.1');
    expect(keyOf(eth0[1])).toBe('arp reply 192.168.99.110 to 192.168.99.1');
    expect(keyOf(eth0[2])).toBe('tcp 192.168.99.1:41001 > 192.168.99.110:8080');
    expect(keyOf(eth0[3])).toBe('192.168.99.110 > 192.168.99.111 vxlan 4096 of tcp 10.0.0.2:41001 > 10.0.0.11:8080');
    expect(keyOf(eth0[4])).toBe('192.168.99.111 > 192.168.99.110 vxlan 4096 of tcp 10.0.0.11:8080 > 10.0.0.2:41001');
  });

  test('does not hang on the source port of VXLAN, the MAC addresses or the TTL', () => {
    const frame = eth0[3] as Uint8Array;
    const other = changed(frame, (bytes) => {
      put16(bytes, 34, 50000);
      bytes.set([1, 2, 3, 4, 5, 6], 0);
      bytes[22] = 1;
    });
    expect(keyOf(other)).toBe(keyOf(frame));
  });

  test('of ICMP echo has an identifier, which its family has not', () => {
    const echo = frame(ip(1, 8), '08 00 00 00 12 34 00 01');
    expect(keyOf(echo)).toBe('icmp echo-request 10.0.0.3 > 10.0.0.2 id 4660');
    expect(familyOf(echo)).toBe('icmp echo-request 10.0.0.3 > 10.0.0.2');
  });

  test('of an ICMP error names the flow that it is about', () => {
    const quoted = Buffer.from(bytesOf([...ip(17, 8)], '12 34 00 35 00 08 00 00')).toString('hex');
    expect(keyOf(frame(ip(1, 36), `03 03 00 00 00 00 00 00${quoted}`))).toBe(
      'icmp unreachable code 3 10.0.0.3 > 10.0.0.2 about udp 10.0.0.3:4660 > 10.0.0.2:53',
    );
  });

  test('of fragments has the IP id, the first one with its ports too', () => {
    const first = frame(ip(17, 8, 0x2000, 9), '12 34 00 35 10 00 00 00');
    const later = frame(ip(17, 8, 0x00b9, 9), '00 01 02 03 04 05 06 07');
    expect(keyOf(first)).toBe('udp fragments 10.0.0.3 > 10.0.0.2 id 9');
    expect(keyOf(later)).toBe(keyOf(first));
    expect(keyOf(frame(ip(17, 8, 0x00b9, 10), '00 01 02 03 04 05 06 07'))).not.toBe(keyOf(first));
  });

  test('of ESP has the SPI, of a tagged frame the VLAN, of anything else its ethertype', () => {
    expect(keyOf(frame(ip(50, 8), '16 81 61 d3 00 00 00 01'))).toBe('esp 10.0.0.3 > 10.0.0.2 spi 0x168161d3');
    expect(keyOf(bytesOf('ff ff ff ff ff ff 02 42 0a 00 00 03 81 00 00 32 88 cc', [1, 2]))).toMatch(/^vlan 50 /);
    expect(keyOf(bytesOf('ff ff ff ff ff ff 02 42 0a 00 00 03 88 cc', [1, 2]))).toBe(
      'ethertype 0x88cc 02:42:0a:00:00:03 > ff:ff:ff:ff:ff:ff',
    );
  });

  test('of a neighbour solicitation names the address that is asked for', () => {
    const addresses = 'fe80 0000 0000 0000 0042 acff fe14 0002  ff02 0000 0000 0000 0000 0001 ff00 0003';
    const asked = '2001 0db8 0001 0000 0000 0000 0000 0003';
    expect(
      keyOf(
        bytesOf(
          '33 33 ff 00 00 03 02 42 ac 14 00 02 86 dd',
          `60000000 0018 3a ff ${addresses} 87 00 00 00 00 00 00 00 ${asked}`,
        ),
      ),
    ).toBe('icmpv6 neighbour-solicitation fe80::42:acff:fe14:2 > ff02::1:ff00:3 for 2001:db8:1::3');
  });

  test('keeps the order of its frames', () => {
    const flows = groupByFlow(tapOf('S6-ingress', 'client/eth0').frames);
    const sequence = flows.get('tcp 192.168.99.1:41001 > 192.168.99.110:8080') ?? [];
    expect(sequence.length).toBeGreaterThan(4);
    const times = sequence.map(({ time }) => time);
    expect(times).toEqual([...times].sort((one, other) => Number(one - other)));
    expect([...flows.values()].flat()).toHaveLength(142);
  });
});
