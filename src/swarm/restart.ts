/** When a single container that has ended is started again (moby restartmanager/restartmanager.go; daemon/monitor.go, handleContainerExit). */

import type { ContainerRestart } from '../topology/spec.js';
import { DockerError } from './errors.js';

const MILLISECOND = 1_000_000;
const FIRST_WAIT = 100 * MILLISECOND;
const LONGEST_WAIT = 60_000 * MILLISECOND;
/** Whoever has run so long begins anew with the shortest wait. */
const LONG_RUN = 10_000 * MILLISECOND;

export class Restarts {
  /** How often it was started again since somebody started it. */
  count = 0;
  /** Stopped or killed by somebody: it stays so. */
  stopped = false;
  #wait = 0;

  constructor(public policy: ContainerRestart) {}

  /** Somebody has started it. */
  begin(): void {
    this.count = 0;
    this.stopped = false;
    this.#wait = 0;
  }

  /** How long it takes until it is started again, ns, after it has run for `ran`; undefined: it is not. */
  after(exitCode: number, ran: number): number | undefined {
    const { name, most = 0 } = this.policy;
    if (this.stopped || name === 'no') return undefined;
    if (name === 'on-failure' && (exitCode === 0 || (most > 0 && this.count >= most))) return undefined;
    this.#wait = ran >= LONG_RUN || this.#wait === 0 ? FIRST_WAIT : Math.min(this.#wait * 2, LONGEST_WAIT);
    this.count++;
    return this.#wait;
  }
}

/** As the Engine API is told it; none: `no`. @throws DockerError */
export function restartOf(name: string, most: number): ContainerRestart {
  const known = (['no', 'always', 'on-failure', 'unless-stopped'] as const).find((one) => one === (name || 'no'));
  if (known === undefined) throw new DockerError(400, `invalid restart policy '${name}'`);
  if (known !== 'on-failure' && most !== 0)
    throw new DockerError(400, `maximum retry count cannot be used with restart policy '${known}'`);
  if (most < 0) throw new DockerError(400, 'maximum retry count cannot be negative');
  return { name: known, ...(most > 0 ? { most } : {}) };
}
