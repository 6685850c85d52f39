/** A transcript in words: each command, and what the guide prints and what came out side by side. */

import type { Row } from '../docker/transcript/compare.js';
import type { Result } from '../docker/transcript/runner.js';

interface Style {
  file: string;
  brief: boolean;
  /** Columns in all. */
  width: number;
}

/** Lines of an output that the guide does not show. */
const MOST_ELIDED = 12;

const MARKS: Record<Row['kind'], string> = { same: '=', elided: '~', theirs: '<', ours: '>' };

export function resultText(
  { step, where, typed, outcome, rows, reasons, notes }: Result,
  { file, brief, width }: Style,
): string[] {
  const [first = '', ...rest] = typed.split('\n');
  const lines = [
    `${outcome.toUpperCase().padEnd(9)} ${file}:${step.line}  ${where}$ ${first}`,
    ...rest.map((line) => `          ${line}`),
  ];
  for (const note of notes) lines.push(`          (${note})`);
  for (const { name, words } of reasons) lines.push(`          ${name}: ${words}`);
  if (brief && outcome !== 'differs') return lines;
  if (rows.length === 0) return lines;
  const half = Math.floor((width - 7) / 2);
  // What a guide leaves away altogether is no more than a glimpse.
  const shown = rows.every(({ kind, theirs }) => kind === 'elided' && theirs === undefined)
    ? rows.slice(0, MOST_ELIDED)
    : rows;
  const more = rows.length - shown.length;
  return [
    ...lines,
    ...shown.map((row) => side(row, half)),
    ...(more > 0 ? [side({ ours: `… ${more} more lines`, kind: 'elided' }, half)] : []),
  ];
}

function side({ theirs = '', ours = '', kind }: Row, half: number): string {
  const cut = (text: string) => (text.length > half ? `${text.slice(0, half - 1)}…` : text);
  return `    ${cut(theirs).padEnd(half)} ${MARKS[kind]} ${cut(ours)}`.trimEnd();
}

export function summaryText(results: readonly Result[]): string[] {
  const count = (outcome: Result['outcome']) => results.filter((one) => one.outcome === outcome).length;
  const reasons = new Map<string, number>();
  for (const { name } of results.flatMap((result) => result.reasons)) reasons.set(name, (reasons.get(name) ?? 0) + 1);
  const explained = [...reasons].map(([name, times]) => `${name} ${times}`).join(', ');
  return [
    '',
    `${results.length - count('skipped')} commands ran: ${count('equal')} equal, ${count('explained')} explained${explained ? ` (${explained})` : ''}, ${count('differs')} different, ${count('skipped')} skipped`,
  ];
}

export function resultJson({ step, where, typed, outcome, rows, reasons, notes }: Result) {
  return {
    line: step.line,
    command: step.command,
    where,
    typed,
    outcome,
    rows,
    reasons: reasons.map(({ name }) => name),
    notes,
  };
}
