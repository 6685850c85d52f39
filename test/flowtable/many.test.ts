/**
 * More flows than a vector of 32 frames serves (flowtable/foresee): vectors of 256, indexes and cells that have grown many times over.
 * What can be seen is what it is without the flow table.
 */

import { expect, it } from 'vitest';
import { ACK, answerTo, control, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { BATCH } from '../../bench/mesh.js';
import { type Life, twice } from './meshed.js';

/** A flow for each direction of a connection, and long vectors from 16 384 flows on. */
const CONNECTIONS = 8_400;
const LONG = 16_384;

/** In whole vectors; answers what left. */
function pass(life: Life, frames: Uint8Array[]): Uint8Array[] {
  const left: Uint8Array[] = [];
  for (let at = 0; at < frames.length; at += BATCH) left.push(...life.pass(...frames.slice(at, at + BATCH)));
  return left;
}

it('fares alike with more flows than short vectors are for', async () => {
  const { fast } = await twice((life) => {
    const { macs, engine } = life.mesh;
    const flows = Array.from({ length: CONNECTIONS }, (_, i) =>
      life.flow(1024 + ((i * 7) % 60_000), `198.18.${(i >> 8) & 255}.${i & 255}`),
    );
    const says = (some: number[], size: number, flags = ACK) =>
      pass(
        life,
        some.flatMap((i) => flows[i] ?? []).map((flow) => fromClient(flow, macs, size, flags)),
      );
    const answers = (frames: Uint8Array[], size: number) =>
      pass(
        life,
        frames.map((frame) => answerTo(frame, size, ACK)),
      );
    const all = flows.map((_, i) => i);

    const left = pass(
      life,
      flows.map((flow) => control(flow, macs, SYN)),
    );
    pass(
      life,
      left.map((frame) => controlBack(frame, SYN | ACK)),
    );
    says(all, 54);
    answers(left, 64);
    if (engine.exports.fastPackets() > 0) expect(engine.exports.flows()).toBeGreaterThan(LONG);
    // Now in an order that has nothing to do with that of any table.
    const mixed = all.map((i) => (i * 3571) % CONNECTIONS);
    says(mixed, 64);
    answers(
      mixed.flatMap((i) => left[i] ?? []),
      80,
    );
    life.look();
    // Some end, some speak beside them, and some whose tunnels' entries others keep alive are quiet for long.
    says(mixed.slice(0, 1000), 54, FIN | ACK);
    for (let turn = 0; turn < 3; turn++) {
      life.quiet(14);
      says(mixed.slice(500, 3500), 70);
    }
    life.look();
    says(mixed, 64);
    answers(
      mixed.slice(2000).flatMap((i) => left[i] ?? []),
      60,
    );
    life.wait(310);
    says(mixed.slice(0, 2000), 64);
  });
  expect(fast).toBeGreaterThan(6 * CONNECTIONS);
}, 120_000);
