/**
 * What arrives is summed as it is copied in, and that sum judges both checksums: damaged frames of established connections
 * fare as they do without the flow table, wherever the damage is, and whatever makes up for it elsewhere.
 */

import { expect, it } from 'vitest';
import { establish } from '../../bench/flows.js';
import { ACK, answerTo, fromClient } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { Random } from '../../bench/fuzz/random.js';
import { get16, put16 } from '../../bench/headers.js';
import { Mesh } from '../../bench/mesh.js';
import { books, state } from './seen.js';

const module = await checkedModule();

/** The frame with a byte changed, or a word more and another less, so that they add up to the same. */
function damaged(frame: Uint8Array, random: Random): Uint8Array {
  const words = (frame.length >> 1) - 1;
  const [one, other] = [2 * random.below(words), 2 * random.below(words)];
  if (random.chance(0.5)) frame[random.below(frame.length)] = random.below(256);
  else if (get16(frame, one) < 0xffff && get16(frame, other) > 0) {
    put16(frame, one, get16(frame, one) + 1);
    put16(frame, other, get16(frame, other) - 1);
  }
  return frame;
}

async function life(fast: boolean): Promise<{ seen: string[]; fast: number }> {
  const random = new Random(3, 1);
  const mesh = await Mesh.create(false, module);
  mesh.engine.exports.setFlowTable(fast ? 1 : 0);
  const seen: string[] = [];
  for (const protocol of ['tcp', 'udp'] as const) {
    const { flows, sent } = await establish(mesh, protocol, 24, undefined);
    for (let batch = 0; batch < 30; batch++) {
      const frames = flows.map((flow, i) => {
        const size = random.pick([42, 54, 55, 60, 64, 65, 127, 300, 1400, 1401]);
        const way = sent[i];
        const frame =
          way && batch & 1 ? answerTo(way, size, ACK) : fromClient(flow, mesh.macs, size, protocol === 'tcp' ? ACK : 0);
        return random.chance(0.5) ? damaged(frame, random) : frame;
      });
      const left = mesh.pass(frames);
      seen.push(`at ${mesh.engine.now}`, ...left.map((frame) => Buffer.from(frame).toString('hex')));
      if (batch % 10 === 0) seen.push(...books(mesh.engine), ...state(mesh.engine));
    }
  }
  seen.push(...books(mesh.engine), ...state(mesh.engine));
  return { seen, fast: mesh.engine.exports.fastPackets() };
}

it('judges damaged frames as the slow way does', async () => {
  const [slow, quick] = [await life(false), await life(true)];
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.fast).toBeGreaterThan(500);
}, 120_000);
