/**
 * What our layers programmed and what the replayed traffic left behind, compared with the dumps of the real namespaces: the
 * same addresses, routes, neighbours, forwarding entries, rules in their order, balancers, connections. Both sides are texts
 * of the same commands (`src/views/`), so that a person can put them side by side too.
 */

import { VXLAN_PORT } from '../dissect/layers.js';
import { watchConnections } from '../engine/connection-events.js';
import type { Namespace } from '../engine/index.js';
import type { Realized } from '../swarm/realize.js';
import { leaving } from './changes.js';
import type { RealTap } from './compare.js';
import type { Inputs } from './inputs.js';
import type { Played } from './replay.js';
import type { ReadFile, Stimulus } from './scenario.js';
import { bypassedFlows, compareConnections } from './state-connections.js';
import { compareCounters } from './state-counters.js';
import { crossedPairs, portPair } from './state-crossed.js';
import { type StateComparison, StateDifferences } from './state-difference.js';
import { Dump, lastLabel } from './state-dump.js';
import { compareTables } from './state-tables.js';
import { compareXfrm } from './state-xfrm.js';

export { describeState, type StateComparison, type StateDifference } from './state-difference.js';

/** For `PlayOptions.prepare`: without it a replay's conntrack events are not compared. */
export function watch({ engine }: Realized): void {
  watchConnections(engine);
  watched.add(engine);
}
const watched = new WeakSet<object>();

/** What a comparison starts from. */
export interface StateInputs {
  inputs: Inputs;
  /** Gives the scenario's files, of which `state/` is opened now: after the run. */
  read: ReadFile;
  played: Played;
  /** What the real taps saw. */
  real: readonly RealTap[];
}

export function compareState({ inputs, read, played, real }: StateInputs): StateComparison {
  const found = new StateDifferences();
  const { realized, injected, taps } = played;
  const macs = sourceMacs(played);
  const replayed = portsOf(injected);
  const label = lastLabel(inputs);
  const gone = leaving(inputs);
  const tables = {
    encrypted: inputs.networks.flatMap(({ encrypted, vni }) => (encrypted && vni != null ? [vni] : [])),
    gwbridgeRemade: inputs.networks.some(
      ({ name, createdBy }) => name === 'docker_gwbridge' && createdBy !== undefined,
    ),
    published: inputs.services.some(({ ports }) => ports.some(({ mode }) => mode !== 'host')),
    sent: (mac: string) => macs.has(mac),
  };
  const vxlanPort = realized.topology.networks.find(({ dataPathPort }) => dataPathPort)?.dataPathPort ?? VXLAN_PORT;
  for (const namespace of realized.namespaces.values()) {
    const recorded = recordedName(inputs, namespace);
    const dump = Dump.read(read, recorded, label);
    if (!dump) {
      found.leaveOut('N namespaces without a dump');
      continue;
    }
    compareTables({ namespace, dump, found }, tables);
    compareXfrm(namespace, dump, found, inputs);
    const flows = bypassedFlows(injected, recorded);
    const crossed = crossedPairs(recorded, real, taps);
    compareConnections(namespace, dump, found, {
      vxlanPort,
      later: secondsLater(inputs, namespace, dump),
      bypassed: (flow) => flows.has(flow),
      replayed: (protocol, port) => replayed.has(`${protocol} ${port}`),
      crossed: (protocol, sport, dport) => crossed.has(portPair(protocol, sport, dport)),
      watched: watched.has(realized.engine),
      leaving: gone,
    });
    compareCounters(namespace, dump, found, { inputs, bypassed: flows.size > 0 });
  }
  return { compared: found.compared, different: found.different, leftOut: found.leftOut };
}

/** `node1/host` was recorded as `node1.host`, `client/host` as `client`. */
function recordedName(inputs: Inputs, { name }: Namespace): string {
  const [machine = '', ...rest] = name.split('/');
  return inputs.nodes.some((node) => node.name === machine) ? `${machine}.${rest.join('/')}` : machine;
}

function secondsLater(inputs: Inputs, { engine }: Namespace, dump: Dump): number | undefined {
  if (dump.time === undefined) return undefined;
  return Number(BigInt(dump.time) * 1_000_000n - inputs.start) / 1e9 - engine.now / 1e9;
}

/** Source MACs of all frames that our taps saw. */
function sourceMacs({ taps }: Played): Set<string> {
  const found = new Set<string>();
  for (const frames of taps.values()) {
    for (const { data } of frames) {
      found.add(Array.from(data.subarray(6, 12), (byte) => byte.toString(16).padStart(2, '0')).join(':'));
    }
  }
  return found;
}

/** `tcp 41001`: ports and identifiers of what was injected, either side's. */
function portsOf(injected: readonly Stimulus[]): Set<string> {
  const found = new Set<string>();
  for (const flow of bypassedFlows(
    injected.map((one) => ({ ...one, namespace: '', socket: undefined }) as unknown as Stimulus),
    '',
  )) {
    const [protocol, ...ends] = flow.split(' ');
    for (const end of ends) found.add(`${protocol} ${end.slice(end.lastIndexOf(':') + 1)}`);
  }
  return found;
}
