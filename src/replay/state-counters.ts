import type { Namespace } from '../engine/index.js';
import type { Inputs } from './inputs.js';
import type { Mode } from './scenario.js';
import type { StateDifferences } from './state-difference.js';
import type { Dump } from './state-dump.js';
export function compareCounters(_n: Namespace, _d: Dump, _f: StateDifferences, _o: { inputs: Inputs; mode: Mode; bypassed: boolean }): void {}
