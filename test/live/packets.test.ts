/** The stimuli's frames are right by themselves, and every one of a case can be told from what stacks make of it. */

import { expect, it } from 'vitest';
import { CASES } from '../../src/cli/live/cases/index.js';
import { buildLab } from '../../src/cli/live/engine-side.js';
import { echo, ethernet, fragments, tcp, udp } from '../../src/cli/live/packets.js';
import { layersOf, u16 } from '../../src/dissect/layers.js';
import { carrierOf, ipHeaderChecksumIsRight, transportChecksumIsRight } from '../../src/replay/checksums.js';

const ENDS = { from: '10.0.0.1', to: '10.0.0.2', id: 7 };

it.each([
  ['udp', udp(ENDS, 1, 2, 33)],
  ['tcp', tcp(ENDS, { sport: 1, dport: 2, flags: 'SA', seq: 4_294_967_295, data: 'odd' })],
  ['icmp', echo({ ...ENDS, options: Uint8Array.of(1, 1, 1, 0) }, 9)],
])('%s: checksums are right', (name, packet) => {
  const frame = ethernet('02:00:00:00:00:02', '02:00:00:00:00:01', packet);
  const layers = layersOf(frame);
  const at = layers.findIndex((layer) => layer.name === name);
  const [carrier, layer] = [carrierOf(frame, layers, at), layers[at]];
  if (!carrier || !layer) throw new Error(`no ${name}`);
  expect(ipHeaderChecksumIsRight(frame, carrier.ip)).toBe(true);
  expect(transportChecksumIsRight(frame, carrier.ip, layer)).toBe(true);
});

it('fragments carry their place and the rest of the packet', () => {
  const pieces = fragments(udp({ ...ENDS, df: false }, 1, 2, 1000), [400, 400]);
  expect(pieces.map((piece) => [piece.length - 20, u16(piece, 6) & 0x1fff, (u16(piece, 6) & 0x2000) !== 0])).toEqual([
    [400, 0, true],
    [400, 50, true],
    [208, 100, false],
  ]);
});

it.each(CASES.map((one) => [one.name, one] as const))('%s: every stimulus finds its place', async (_, one) => {
  const lab = await buildLab(one);
  const stimuli = one.stimuli(lab);
  expect(stimuli.length).toBeGreaterThan(1);
  for (const stimulus of stimuli) {
    if ('frame' in stimulus) expect(() => lab.device(stimulus.at)).not.toThrow();
    else expect(lab.engine.namespaces.has(stimulus.from)).toBe(true);
  }
});
