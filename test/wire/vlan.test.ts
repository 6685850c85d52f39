/** 802.1Q tags (IEEE 802.1Q, 9.6). */

import { expect, it } from 'vitest';
import { headers, placed } from '../engine/loaded.js';
import { recordedFrames } from '../engine/oracle.js';
import { hex, u16 } from '../engine/packets.js';

const engine = await headers();
const ADDRESSES = '010203040506 0a0b0c0d0e0f';

it('is inserted behind the addresses, which move four bytes ahead, and touches nothing else', () => {
  const at = placed(engine, hex(`a5a5a5a5 ${ADDRESSES} 0800 4500`));
  engine.vlanInsert(at, 50);
  expect(engine.get(at, 20)).toEqual(hex(`${ADDRESSES} 8100 0032 0800 4500`));
  engine.vlanInsert(at, 4094);
  expect(u16(engine.get(at, 20), 14)).toBe(4094);
});

it('is removed by moving the addresses over it', () => {
  const at = placed(engine, hex(`${ADDRESSES} 8100 0032 0800 4500`));
  engine.vlanRemove(at);
  expect(engine.get(at + 4, 16)).toEqual(hex(`${ADDRESSES} 0800 4500`));
});

it('has an identifier of twelve bits, below priority and drop eligibility', () => {
  expect(engine.vlanId(placed(engine, hex(`${ADDRESSES} 8100 f032 0800`)))).toBe(50);
  expect(engine.vlanId(placed(engine, hex(`${ADDRESSES} 8100 0fff 0800`)))).toBe(4095);
});

it('is known by its type, customer or service (802.1ad)', () => {
  const types = [0x8100, 0x88a8, 0x0800, 0x9100].map((type) => engine.vlanIsTag(((type & 255) << 8) | (type >>> 8)));
  expect(types).toEqual([1, 1, 0, 0]);
});

it('comes off and goes back on a real frame byte for byte', () => {
  const frames = recordedFrames('S10-macvlan-ipvlan/node1.host.eth0').filter((frame) => u16(frame, 12) === 0x8100);
  expect(frames.length).toBe(9);
  for (const frame of frames) {
    const at = placed(engine, frame);
    const id = engine.vlanId(at);
    expect(id).toBe(50);
    engine.vlanRemove(at);
    engine.vlanInsert(at, id);
    expect(engine.get(at, frame.length)).toEqual(frame);
  }
});
