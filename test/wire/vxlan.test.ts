/** VXLAN (RFC 7348). */

import { expect, it } from 'vitest';
import { headers, placed } from '../engine/loaded.js';
import { recordedPackets } from '../engine/oracle.js';
import { hex, u16 } from '../engine/packets.js';

const engine = await headers();

it('has a VNI of 24 bits in its fifth to seventh byte (section 5)', () => {
  const at = placed(engine, hex('08 000000 123456 00'));
  expect(engine.vxlanHasVni(at)).toBe(1);
  expect(engine.vxlanVni(at)).toBe(0x123456);
  expect(engine.vxlanVni(placed(engine, hex('08 000000 ffffff 00')))).toBe(0xffffff);
});

it('ignores reserved bits on receipt (section 5)', () => {
  const at = placed(engine, hex('ff ffffff 123456 ff'));
  expect(engine.vxlanHasVni(at)).toBe(1);
  expect(engine.vxlanVni(at)).toBe(0x123456);
});

it('has no VNI without the I flag', () => {
  expect(engine.vxlanHasVni(placed(engine, hex('00 000000 123456 00')))).toBe(0);
  expect(engine.vxlanHasVni(placed(engine, hex('f7 000000 123456 00')))).toBe(0);
});

it('is written, all of its eight bytes and no other, with reserved fields zero', () => {
  const at = engine.poisoned(10);
  engine.vxlanEmit(at, 4096);
  expect(engine.get(at, 10)).toEqual(hex('08 000000 001000 00 a5a5'));
  engine.vxlanEmit(at, 0xffffff);
  expect(engine.get(at, 10)).toEqual(hex('08 000000 ffffff 00 a5a5'));
});

it('is in every frame between two nodes of the ingress network, VNI 4096', () => {
  const outer = recordedPackets('S6-ingress/node1.host.eth0', 'udp').filter((packet) => u16(packet, 22) === 4789);
  expect(outer.length).toBeGreaterThan(20);
  for (const packet of outer) {
    const from = placed(engine, packet.subarray(28, 36));
    expect(engine.vxlanVni(from)).toBe(4096);
    const to = engine.poisoned(8);
    engine.vxlanEmit(to, 4096);
    expect(engine.get(to, 8)).toEqual(packet.slice(28, 36));
  }
});
