/** `conformance`: scenarios replayed in both modes, every tap compared with the real one. */

import { compareTap } from './compare.js';
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
  const compared: Conformance['compared'] = [];
  for (const mode of modes) {
    const played = await play(scenario.inputs, stimuli, mode, {
      ...options,
      prepare: (realized) => {
        watch(realized);
        options.prepare?.(realized);
      },
    });
    const { taps, injected } = played;
    const real = scenario.realTaps();
    const optionsFor = comparisonOptions(scenario.inputs, mode, injected, stimuli);
    compared.push({
      scenario: name,
      mode,
      taps: real.map((tap) => compareTap(tap, { tap: tap.tap, frames: taps.get(tap.tap) ?? [] }, optionsFor(tap))),
      notes: scenario.warnings,
      state: compareState({ inputs: scenario.inputs, read, played, real }),
      seen: taps,
    });
  }
  return { compared, waiting: [] };
}
