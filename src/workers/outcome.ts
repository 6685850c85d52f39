/** What came of a swarm's run, as data that a worker can hand over. */

import type { Recorded } from '../capture/recording.js';
import type { Account } from '../engine/index.js';
import type { ChangeReport, FlowReport, Swarm } from '../swarm/swarm.js';
import type { Topology } from '../topology/topology.js';

/** What engines that share a run count, each its own. */
export interface Counts {
  flows: FlowReport[];
  account: Account;
  drops: { device: { path: string }; reason: string; count: number }[];
  taps: { name: string; mtu: number; frames: number }[];
  frames: number;
  late: number;
  missed: number;
}

/** What is the same in all of them. */
export interface Common {
  topology: Topology;
  changes: ChangeReport[];
  pending: string[];
  missingPorts: Swarm['missingPorts'];
  now: number;
  espKeys: Swarm['engine']['espKeys'];
}

export type Outcome = Counts & Common;

export function outcomeOf(swarm: Swarm, recording: Recorded | undefined): Outcome {
  return { ...countsOf(swarm, recording), ...commonOf(swarm) };
}

export function countsOf({ engine, reports }: Swarm, recording: Recorded | undefined): Counts {
  return {
    flows: reports,
    account: engine.account,
    drops: engine.drops.map(({ device, reason, count }) => ({ device: { path: device.path }, reason, count })),
    taps: engine.taps.map(({ path, mtu }, at) => ({ name: path, mtu, frames: recording?.framesAt(at) ?? 0 })),
    frames: recording?.frames ?? 0,
    late: recording?.late ?? 0,
    missed: engine.exports.missed(),
  };
}

export function commonOf({ engine, topology, changes, pending, missingPorts }: Swarm): Common {
  return { topology, changes, pending, missingPorts, now: engine.now, espKeys: engine.espKeys };
}
