/** A case played by the engine: a tap at every device, the same stimuli at virtual times of their own. */

import { capturedFrames } from '../../capture/captured.js';
import { u16 } from '../../dissect/layers.js';
import { ipv4 } from '../../dissect/notation.js';
import { Engine } from '../../engine/index.js';
import type { Case, Stimulus } from './case.js';
import type { Played } from './kernel-side.js';
import { Lab } from './lab.js';

/** Links and hops take this long, ns: nothing that a real machine's timing shows is imitated. */
const LATENCY = 1;
const MILLISECOND = 1_000_000;
/** Between two stimuli, ms. */
const STEP = 20;

export async function buildLab({ build }: Case): Promise<Lab> {
  const engine = await Engine.create({ hopDelay: LATENCY });
  return build(new Lab(engine, engine.segment(LATENCY)));
}

export function playInEngine({ engine }: Lab, stimuli: readonly Stimulus[]): Played {
  const records: Uint8Array[] = [];
  engine.onCapture = (bytes) => records.push(bytes);
  for (const device of engine.devices) device.tap();
  const sent: bigint[] = [];
  for (const stimulus of stimuli) {
    const begin = engine.now;
    sent.push(BigInt(begin));
    if ('frame' in stimulus) {
      const device = engine.devices.find(({ path }) => path === stimulus.at);
      if (!device) throw new Error(`the lab has no device ${stimulus.at}`);
      engine.transmit(device, stimulus.frame, begin);
    } else sendFromSocket(engine, stimulus, begin);
    engine.run(begin + (stimulus.virtualWait ?? stimulus.wait ?? STEP) * MILLISECOND);
  }
  const names = engine.taps.map(({ path }) => path);
  const taps = new Map(
    names.map((name) => [name, [] as { time: bigint; data: Uint8Array; direction?: 'received' | 'transmitted' }[]]),
  );
  for (const { tap, time, data, direction } of capturedFrames(names, records)) {
    taps.get(tap)?.push({ time, data, ...(direction ? { direction } : {}) });
  }
  return { taps, sent };
}

function sendFromSocket(engine: Engine, { from, packet }: Extract<Stimulus, { from: string }>, time: number): void {
  const namespace = engine.namespaces.get(from);
  if (!namespace) throw new Error(`the lab has no namespace ${from}`);
  const header = ((packet[0] ?? 0) & 15) * 4;
  // An echo's identifier stands for both ports, as in conntrack's tuples.
  const echo = packet[9] === 1;
  const port = (at: number) => u16(packet, header + (echo ? 4 : at));
  engine.sendFromSocket(
    namespace,
    packet,
    { address: ipv4(packet, 12), port: port(0) },
    { address: ipv4(packet, 16), port: port(2) },
    time,
  );
}
