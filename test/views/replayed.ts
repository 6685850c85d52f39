/** A recorded scenario replayed with the engine watched: what `src/views/` shows of it, beside the dumps of the real one. */

import { existsSync, readFileSync } from 'node:fs';
import type { Namespace } from '../../src/engine/index.js';
import { type Played, play } from '../../src/replay/replay.js';
import { loadScenario, type Mode, type ReadFile, type Scenario } from '../../src/replay/scenario.js';
import { compareState, describeState, type StateComparison, watch } from '../../src/replay/state.js';
import { Dump } from '../../src/replay/state-dump.js';
import { namespaceName } from '../../src/replay/topology.js';
import type { Realized } from '../../src/swarm/realize.js';

const ORACLE = new URL('../oracle/', import.meta.url);

export function filesOf(scenario: string): ReadFile {
  return (name) => {
    const path = new URL(`${scenario}/${name}`, ORACLE);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
}

export interface Replayed {
  scenario: Scenario;
  played: Played;
  /** By the recording's name: `node1.ingress_sbox` */
  namespace: (recorded: string) => Namespace;
  dump: (recorded: string) => Dump;
}

/** `prepare` is called before the first frame. */
export async function replayed(
  name: string,
  mode: Mode = 'stack',
  prepare: (realized: Realized) => void = () => {},
): Promise<Replayed> {
  const read = filesOf(name);
  const scenario = loadScenario(name, read);
  const played = await play(scenario.inputs, scenario.stimulusFrames(), mode, {
    prepare: (realized) => {
      watch(realized);
      prepare(realized);
    },
  });
  return {
    scenario,
    played,
    namespace: (recorded) => {
      const namespace = played.realized.namespaces.get(namespaceName(recorded));
      if (!namespace) throw new Error(`there is no namespace ${recorded}`);
      return namespace;
    },
    dump: (recorded) => {
      const dump = Dump.read(read, recorded);
      if (!dump) throw new Error(`there is no dump of ${recorded}`);
      return dump;
    },
  };
}

/** Compared with its dumps, or with others. */
export function comparedState({ scenario, played }: Replayed, read = filesOf(scenario.name)): StateComparison {
  return compareState({ inputs: scenario.inputs, read, played, real: scenario.realTaps() });
}

export function inWords({ different }: StateComparison): string[] {
  return different.map(describeState);
}
