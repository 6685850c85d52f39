/** `docker exec`: commands that run in a container beside its first process. */

import type { Started } from '../programs/index.js';
import type { ContainerState } from '../swarm/state.js';
import type { ContainerIo } from './io.js';

const EXECS_KEPT = 500;

export interface Exec {
  id: string;
  container: ContainerState;
  argv: readonly string[];
  tty: boolean;
  openStdin: boolean;
  environment: Record<string, string>;
  /** Working directory; empty: the root. */
  directory: string;
  io: ContainerIo;
  running: boolean;
  exitCode: number | null;
  pid: number;
  started?: Started;
}

/** dockerd forgets commands that have ended some minutes ago (execCommandGC); these are forgotten when there are many. */
export function forgetOld(execs: Map<string, Exec>): void {
  for (const { id, running } of execs.values()) {
    if (execs.size < EXECS_KEPT) return;
    if (!running) execs.delete(id);
  }
}
