/** A case: a topology that stands in the engine and in the kernel, and the stimuli that both are given. */

import type { Capability } from './capabilities.js';
import type { Lab } from './lab.js';

export type Stimulus = {
  /** In words, for whoever reads of a difference. */
  what: string;
  /** Time until the next one, ms; short without it. Timers run in it: an unanswered ARP request, a reassembly. */
  wait?: number;
  /** The same in the engine, where a timer of the kernel's was shortened for the test. */
  virtualWait?: number;
} & (
  | {
      /** A frame leaves by this device (`client/host/eth0`). */
      at: string;
      frame: Uint8Array;
    }
  | {
      /** An IP packet leaves by a socket of this namespace, above OUTPUT. */
      from: string;
      packet: Uint8Array;
    }
);

export interface Case {
  name: string;
  needs: readonly Capability[];
  /** Programs the engine; given a lab with nothing but its wire. It may give another lab back. */
  build(lab: Lab): Lab;
  stimuli(lab: Lab): Stimulus[];
}
