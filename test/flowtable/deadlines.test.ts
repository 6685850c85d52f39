/** A packet that comes when its connection has just run out, or is just about to, fares with the flow table as without. */

import { expect, it } from 'vitest';
import { ACK, answerTo, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { Connection } from '../../src/engine/generated/layout.js';
import { CLIENT, Life, ports, twice } from './meshed.js';

const CONNECTIONS = 3;

/** Nobody has answered; both ends have spoken; the client has closed. */
type Stage = 'asked' | 'up' | 'closing';

/** Some connections through the mesh, and what both ends say next. */
function talk(life: Life, protocol: 'tcp' | 'udp', stage: Stage, first: number): Uint8Array[] {
  const flows = ports(first, CONNECTIONS).map((port) => life.flow(port, CLIENT, protocol));
  const tcp = protocol === 'tcp';
  const says = (flags: number) => flows.map((flow) => fromClient(flow, life.mesh.macs, 64, flags));
  const left = life.pass(...says(tcp ? SYN : 0));
  const hears = (flags: number) => left.map((frame) => answerTo(frame, 64, flags));
  const more = [...says(tcp ? ACK : 0), ...(stage === 'asked' ? [] : hears(tcp ? ACK : 0))];
  if (tcp) life.pass(...left.map((frame) => controlBack(frame, SYN | ACK)));
  for (let turn = 0; turn < 3; turn++) life.pass(...more);
  if (stage === 'closing') life.pass(...says(FIN | ACK));
  return more;
}

/** When the next connection runs out, ns. */
function next({ mesh: { engine } }: Life): number {
  const { exports, memory } = engine;
  const all = Array.from({ length: exports.connectionSlots() }, (_, i) => exports.connectionAt(i) >>> 0);
  return Math.min(...all.map((at) => (at ? memory.get(at, Connection.deadline) : 0)).filter((one) => one > engine.now));
}

it.each<['tcp' | 'udp', Stage]>([
  ['udp', 'asked'],
  ['udp', 'up'],
  ['tcp', 'up'],
  ['tcp', 'closing'],
])('of %s that is %s', async (protocol, stage) => {
  // How long after what was said last; a packet meets the entry some hops after it has come in.
  const begin = await Life.create(false, false);
  talk(begin, protocol, stage, 3000);
  const left = next(begin) - begin.mesh.engine.now;
  const { fast } = await twice((life) => {
    for (let hops = 0; hops < 12; hops++)
      for (const off of [-1, 0, 1]) {
        const more = talk(life, protocol, stage, 4000 + 100 * hops + 10 * off);
        life.quietUnswept((left - 1000 * hops + off) / 1e9);
        life.pass(...more);
      }
  });
  expect(fast).toBeGreaterThan(36);
});
