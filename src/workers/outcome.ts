/** What came of a swarm's run, as data that a worker can hand over. */

import type { Recorded } from '../capture/recording.js';
import type { Account } from '../engine/index.js';
import type { ChangeReport, FlowReport, Swarm } from '../swarm/swarm.js';
import type { Topology } from '../topology/topology.js';

export interface Outcome {
  topology: Topology;
  flows: FlowReport[];
  changes: ChangeReport[];
  pending: string[];
  missingPorts: Swarm['missingPorts'];
  account: Account;
  drops: { device: { path: string }; reason: string; count: number }[];
  taps: { name: string; mtu: number; frames: number }[];
  frames: number;
  late: number;
  missed: number;
  now: number;
  espKeys: Swarm['engine']['espKeys'];
}

export function outcomeOf(swarm: Swarm, recording: Recorded | undefined): Outcome {
  const { engine } = swarm;
  return {
    topology: swarm.topology,
    flows: swarm.reports,
    changes: swarm.changes,
    pending: swarm.pending,
    missingPorts: swarm.missingPorts,
    account: engine.account,
    drops: engine.drops.map(({ device, reason, count }) => ({ device: { path: device.path }, reason, count })),
    taps: engine.taps.map(({ path, mtu }, at) => ({ name: path, mtu, frames: recording?.framesAt(at) ?? 0 })),
    frames: recording?.frames ?? 0,
    late: recording?.late ?? 0,
    missed: engine.exports.missed(),
    now: engine.now,
    espKeys: engine.espKeys,
  };
}
