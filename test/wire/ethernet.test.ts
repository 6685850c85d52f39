/** Ethernet II. */

import { expect, it } from 'vitest';
import { POISON } from '../engine/checked.js';
import { headers, mac, placed, word } from '../engine/loaded.js';
import { recordedFrames } from '../engine/oracle.js';
import { hex, macText, u16 } from '../engine/packets.js';

const engine = await headers();
/** The client's first segment to node1, S6-ingress. */
const HEADER = hex('52 54 00 00 00 6e  52 54 00 00 00 01  08 00');

it('reads destination, source and type', () => {
  const at = placed(engine, HEADER);
  expect(engine.ethernetDestination(at)).toBe(mac('52:54:00:00:00:6e'));
  expect(engine.ethernetSource(at)).toBe(mac('52:54:00:00:00:01'));
  expect(engine.ethernetType(at)).toBe(word(0x0800));
});

it('writes these fourteen bytes and no other', () => {
  const at = engine.poisoned(16);
  engine.ethernetEmit(at, mac('52:54:00:00:00:6e'), mac('52:54:00:00:00:01'), word(0x0800));
  expect(engine.get(at, 16)).toEqual(Uint8Array.of(...HEADER, POISON, POISON));
});

it('writes nothing but the low 48 bits of an address', () => {
  const at = engine.poisoned(16);
  engine.ethernetEmit(at, 0xdead_ffff_ffff_ffffn, 0xbeef_0100_0000_0002n, word(0x0806));
  expect(engine.get(at, 14)).toEqual(hex('ff ff ff ff ff ff  02 00 00 00 00 01  08 06'));
});

it('writes every header of a recorded tap as it was read', () => {
  const frames = recordedFrames('S6-ingress/node1.host.eth0');
  expect(frames.length).toBeGreaterThan(100);
  for (const frame of frames) {
    const from = placed(engine, frame.subarray(0, 14));
    expect(engine.ethernetType(from)).toBe(word(u16(frame, 12)));
    expect(engine.ethernetSource(from)).toBe(mac(macText(frame, 6)));
    const to = engine.poisoned(14);
    engine.ethernetEmit(to, engine.ethernetDestination(from), engine.ethernetSource(from), engine.ethernetType(from));
    expect(engine.get(to, 14)).toEqual(frame.slice(0, 14));
  }
});
