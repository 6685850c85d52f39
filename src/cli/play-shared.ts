/** A run by several engines, each in a thread of its own. */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openCapture } from '../capture/files.js';
import type { Crew } from '../workers/crew.js';
import { SharedMemoryError } from '../workers/merge-captures.js';
import { share } from '../workers/share.js';
import { BadInput } from './bad-input.js';
import { Interrupt } from './interrupt.js';
import { ProgressLine } from './progress.js';
import type { Play, Played } from './simulate.js';

export async function playShared({ stack, options, name, terminal }: Play, crew: Crew): Promise<Played> {
  const { file, seed, workers, drivers, format, out, comments } = options;
  const progress = new ProgressLine(terminal.watched);
  const interrupt = new Interrupt();
  try {
    return await share({
      spec: stack.spec,
      seed,
      comments,
      crew,
      drivers: drivers.map((driver) => pathToFileURL(resolve(driver)).href),
      open: (taps) => openCapture(format, out, name, taps, { background: true }),
      onProgress: (step) => progress.show(step),
      interrupted: () => interrupt.came,
    });
  } catch (error) {
    if (error instanceof Error && error.name === 'PlanError') throw new BadInput(`${file}: ${error.message}`);
    if (error instanceof SharedMemoryError)
      throw new BadInput(`--workers ${workers}: ${error.message}`, 'fewer workers need less');
    throw error;
  } finally {
    interrupt.end();
    progress.clear();
  }
}
