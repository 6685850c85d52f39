/** `conformance`: scenarios replayed in both modes, every tap compared with the real one. */

import { compareTap } from './compare.js';
import { describeOvertaking, type Overtaking, overtakings } from './overtaken.js';
import { type Played, type PlayOptions, play } from './replay.js';
import { comparisonOptions, loadScenario, MODES, type Mode, type ReadFile } from './scenario.js';
import { compareState, watch } from './state.js';
import type { ScenarioComparison, WaitingScenario } from './table.js';
import { waitingFor } from './topology.js';

export interface Conformance {
  compared: (ScenarioComparison & { seen: Played['taps'] })[];
  waiting: WaitingScenario[];
}

/** One scenario: compared in each of `modes`, or waiting. Throws `ScenarioError` when it cannot be read. */
export async function conform(
  name: string,
  read: ReadFile,
  modes: readonly Mode[] = MODES,
  options: PlayOptions = {},
): Promise<Conformance> {
  const scenario = loadScenario(name, read);
  const reasons = waitingFor(scenario.inputs);
  if (reasons.length > 0) return { compared: [], waiting: [{ scenario: name, reason: reasons.join(', ') }] };
  const stimuli = scenario.stimulusFrames();
  const runs: { mode: Mode; played: Played }[] = [];
  for (const mode of modes) {
    const prepare = (realized: Played['realized']) => {
      watch(realized);
      options.prepare?.(realized);
    };
    runs.push({ mode, played: await play(scenario.inputs, stimuli, mode, { ...options, prepare }) });
  }
  // What the real taps and dumps hold is opened when every run is over, and once for all of them.
  const real = scenario.realTaps();
  const once = readOnce(read);
  const compared = runs.map(({ mode, played }) => {
    const optionsFor = comparisonOptions(scenario.inputs, mode, played.injected, stimuli);
    const ours = (tap: string) => played.taps.get(tap) ?? [];
    const taps = real.map((tap) => compareTap(tap, { tap: tap.tap, frames: ours(tap.tap) }, optionsFor(tap)));
    const overtaken = overtakings(
      played.injected,
      scenario.inputs.start,
      real.map((one, index) => ({ real: one, ours: ours(one.tap), sights: taps[index]?.sights ?? new Map() })),
    );
    return {
      scenario: name,
      mode,
      taps,
      notes: [...scenario.warnings, ...played.changes],
      ...(overtaken.length > 0 ? { error: overtakingError(overtaken) } : {}),
      state: compareState({ inputs: scenario.inputs, read: once, played, real }),
      seen: played.taps,
    };
  });
  return { compared, waiting: [] };
}

/** So many are told. */
const TOLD = 3;

function overtakingError(found: readonly Overtaking[]): string {
  const told = found.slice(0, TOLD).map(describeOvertaking);
  const more = found.length > TOLD ? [`and ${found.length - TOLD} more`] : [];
  return `a reply overtakes what it answers: ${[...told, ...more].join('; ')}`;
}

function readOnce(read: ReadFile): ReadFile {
  const files = new Map<string, Uint8Array | undefined>();
  return (name) => {
    if (!files.has(name)) files.set(name, read(name));
    return files.get(name);
  };
}
