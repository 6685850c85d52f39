/**
 * The conformance table, for people, and its last two lines, which are a contract:
 *
 *   scenarios: N compared, N waiting
 *   frames: N compared, N identical, N masked, N different
 */

import type { Difference, TapComparison } from './compare.js';
import { MASK_NAMES, type MaskName } from './masks.js';
import type { Mode } from './scenario.js';
import { describeState, type StateComparison, sumLeftOut } from './state-difference.js';

/** One scenario in one mode: what its taps came to. */
export interface ScenarioComparison {
  scenario: string;
  mode: Mode;
  taps: readonly TapComparison[];
  /** What else is to be said: warnings about files. */
  notes?: readonly string[];
  /** The replay went wrong, in words: even where nothing is different, that proves nothing. */
  error?: string;
  /** What the tables hold after the run, compared with the real ones' dumps. */
  state?: StateComparison;
}

/** A scenario that is not replayed yet, and why. */
export interface WaitingScenario {
  scenario: string;
  reason: string;
}

/** Sums over taps. */
export interface Totals {
  taps: number;
  compared: number;
  identical: number;
  masked: number;
  different: number;
  injected: number;
  overwritten: number;
  masks: Partial<Record<MaskName, number>>;
}

export function totalsOf(taps: Iterable<TapComparison>): Totals {
  const totals: Totals = {
    taps: 0,
    compared: 0,
    identical: 0,
    masked: 0,
    different: 0,
    injected: 0,
    overwritten: 0,
    masks: {},
  };
  for (const tap of taps) {
    totals.taps += 1;
    for (const sum of ['compared', 'identical', 'masked', 'different', 'injected', 'overwritten'] as const) {
      totals[sum] += tap[sum];
    }
    for (const mask of MASK_NAMES) {
      const times = tap.masks[mask];
      if (times !== undefined) totals.masks[mask] = (totals.masks[mask] ?? 0) + times;
    }
  }
  return totals;
}

export interface TableOptions {
  /** How many differences are told in words; 10 without it. */
  differences?: number;
}

const COLUMNS = ['scenario', 'mode', 'taps', 'compared', 'identical', 'masked', 'different'] as const;

/** The whole table; its last line has no line break. */
export function renderTable(
  compared: readonly ScenarioComparison[],
  waiting: readonly WaitingScenario[],
  options: TableOptions = {},
): string {
  const lines: string[] = [];
  if (compared.length > 0) {
    const rows = compared.map(({ scenario, mode, taps }) => {
      const totals = totalsOf(taps);
      return [scenario, mode, totals.taps, totals.compared, totals.identical, totals.masked, totals.different].map(
        String,
      );
    });
    lines.push(...inColumns([[...COLUMNS], ...rows]), '');
  }
  for (const { scenario, reason } of waiting) lines.push(`waiting: ${scenario} (${reason})`);
  if (waiting.length > 0) lines.push('');
  const totals = totalsOf(compared.flatMap(({ taps }) => taps));
  const masks = MASK_NAMES.flatMap((mask) =>
    totals.masks[mask] === undefined ? [] : [`${mask} ${totals.masks[mask]}`],
  );
  if (masks.length > 0) lines.push(`masked fields: ${masks.join(', ')}`);
  if (totals.overwritten > 0)
    lines.push(`left out, because the recording overwrote their headers: ${totals.overwritten}`);
  lines.push(`not counted, because they were injected at the tap: ${totals.injected}`, '');
  for (const { scenario, mode, notes } of compared) {
    for (const note of notes ?? []) lines.push(`note: ${scenario} (${mode}): ${note}`);
  }
  lines.push(...firstDifferences(compared, options.differences ?? 10));
  lines.push(...stateLines(compared, options.differences ?? 10));
  const names = new Set(compared.map(({ scenario }) => scenario));
  lines.push(`scenarios: ${names.size} compared, ${waiting.length} waiting`);
  lines.push(
    `frames: ${totals.compared} compared, ${totals.identical} identical, ${totals.masked} masked, ${totals.different} different`,
  );
  return lines.join('\n');
}

/** `state: N compared, N different`, what was left out of it, and the first differences in words. */
function stateLines(compared: readonly ScenarioComparison[], most: number): string[] {
  const states = compared.flatMap(({ scenario, mode, state }) => (state ? [{ scenario, mode, ...state }] : []));
  const sum = states.reduce((total, { compared: lines }) => total + lines, 0);
  // A directory may have captures and no dumps.
  if (sum === 0) return [];
  const all = states.flatMap(({ scenario, mode, different }) =>
    different.map((difference) => `${scenario} (${mode}) ${describeState(difference)}`),
  );
  return [
    ...all.slice(0, most),
    ...(all.length > most ? [`and ${all.length - most} more differences of state`] : []),
    ...sumLeftOut(states.map(({ leftOut }) => leftOut)).map((words) => `left out of the state: ${words}`),
    `state: ${sum} compared, ${all.length} different`,
    '',
  ];
}

/** Text to the left, numbers to the right. */
function inColumns(rows: readonly string[][]): string[] {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

function firstDifferences(compared: readonly ScenarioComparison[], most: number): string[] {
  const all = compared.flatMap(({ scenario, mode, taps }) =>
    taps.flatMap(({ differences }) => differences.map((difference) => ({ scenario, mode, difference }))),
  );
  const lines: string[] = [];
  for (const { scenario, mode, difference } of all.slice(0, most)) {
    lines.push(`${scenario} (${mode}) ${difference.tap}: ${describe(difference)}`);
    for (const words of difference.words) lines.push(`    ${words}`);
  }
  if (all.length > most) lines.push(`and ${all.length - most} more differences`);
  if (lines.length > 0) lines.push('');
  return lines;
}

/** `frame 12 (ours 13) transmitted, tcp 10.0.0.2:41001 > 10.0.0.11:8080: changed`. */
export function describe({ real, ours, direction, flow, kind }: Difference): string {
  const numbers = [
    ...(real === undefined ? [] : [`frame ${real}`]),
    ...(ours === undefined ? [] : [real === undefined ? `our frame ${ours}` : `(ours ${ours})`]),
    ...(direction === undefined ? [] : [direction]),
  ];
  return `${numbers.length === 0 ? '' : `${numbers.join(' ')}, `}${flow}: ${kind}`;
}
