/** A run by several engines, each in a thread of its own. */

import { openCapture } from '../capture/files.js';
import type { Crew } from '../workers/crew.js';
import { share } from '../workers/share.js';
import { Interrupt } from './interrupt.js';
import { ProgressLine } from './progress.js';
import type { Play, Played } from './simulate.js';

export async function playShared({ stack, options, name, terminal }: Play, crew: Crew): Promise<Played> {
  const { seed, format, out, comments } = options;
  const progress = new ProgressLine(terminal.watched);
  const interrupt = new Interrupt();
  try {
    return await share({
      spec: stack.spec,
      seed,
      comments,
      crew,
      open: format === 'none' ? undefined : (taps) => openCapture(format, out, name, taps, { background: true }),
      onProgress: (step) => progress.show(step),
      interrupted: () => interrupt.came,
    });
  } finally {
    interrupt.end();
    progress.clear();
  }
}
