/** A run by one engine, in this thread. */

import { setImmediate as immediately } from 'node:timers/promises';
import { type CaptureFile, openCapture, PcapngFile } from '../capture/files.js';
import { OrderedRecording } from '../capture/ordered.js';
import { type Recorded, Recording } from '../capture/recording.js';
import { MOST_WAITING } from '../capture/write-behind.js';
import type { Driver } from '../drivers/index.js';
import { Swarm } from '../swarm/swarm.js';
import { outcomeOf } from '../workers/outcome.js';
import { Interrupt } from './interrupt.js';
import { ProgressLine } from './progress.js';
import type { Play, Played } from './simulate.js';
import type { Terminal } from './terminal.js';

/** Between two looks at signals and finished writes, ms. */
const LOOK = 50;

export async function playAlone({ stack, options, name, terminal }: Play, drivers: readonly Driver[]): Promise<Played> {
  const { seed, format, out, comments } = options;
  const swarm = await Swarm.create(stack.spec, { seed, comments, drivers });
  const { engine } = swarm;
  // The file keeps the frames, if anything does: the swarm need not gather them in memory as well.
  engine.onCapture = undefined;
  if (format === 'none') return play(swarm, terminal);
  swarm.tapEverything();
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const capture = openCapture(format, out, name, taps, { background: true });
  const ordered = capture instanceof PcapngFile && !comments;
  const recording = ordered ? new OrderedRecording(engine, capture) : new Recording(engine, capture);
  return play(swarm, terminal, capture, recording);
}

async function play(swarm: Swarm, terminal: Terminal, capture?: CaptureFile, recording?: Recorded): Promise<Played> {
  const progress = new ProgressLine(terminal.watched);
  const interrupt = new Interrupt();
  try {
    const steps = swarm.playing();
    let looked = performance.now();
    let step = steps.next();
    while (!step.done && !interrupt.came) {
      progress.show(step.value);
      if (capture && capture.waiting > MOST_WAITING) await capture.settle(MOST_WAITING / 2);
      if (performance.now() - looked > LOOK) {
        await immediately();
        looked = performance.now();
      }
      step = steps.next();
    }
    const left = step.done ? undefined : step.value;
    if (left) steps.return([]);
    recording?.finish();
    await capture?.settle();
    return { outcome: outcomeOf(swarm, recording), files: capture?.finish() ?? [], left };
  } catch (error) {
    await capture?.discard();
    throw error;
  } finally {
    interrupt.end();
    progress.clear();
  }
}
