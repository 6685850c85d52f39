/** What came of comparing two captures, in words: the differences, the fields that they are in, and the counts. */

import type { CaptureDiff, FrameDifference } from './diff.js';

export interface DiffWordsOptions {
  /** How many differences are told; 10 without it. */
  limit?: number;
  /** Said after the number of those that are not told. */
  more?: string;
}

const LIMIT = 10;

/**
 * Lines; the last one is a contract that it shares with the conformance table:
 *
 *   frames: N compared, N identical, N masked, N different
 */
export function diffLines(diff: CaptureDiff, { limit = LIMIT, more }: DiffWordsOptions = {}): string[] {
  const lines = [`interfaces: ${diff.interfaces}`, ...diff.notes.map((note) => `note: ${note}`)];
  let where: string | undefined;
  for (const difference of diff.differences.slice(0, limit)) {
    if (difference.interface !== where || lines.length === 1 + diff.notes.length) lines.push('');
    if (difference.interface !== where && difference.interface !== undefined) lines.push(difference.interface);
    where = difference.interface;
    const indent = where === undefined ? '' : '  ';
    lines.push(`${indent}${describe(difference, diff.labels)}`);
    for (const words of difference.words) lines.push(`${indent}    ${words}`);
  }
  const untold = diff.differences.length - Math.min(limit, diff.differences.length);
  if (untold > 0)
    lines.push(`and ${untold} more ${untold === 1 ? 'difference' : 'differences'}${more ? `; ${more}` : ''}`);
  if (diff.differences.length > 0) lines.push('');
  const counted = (counts: Record<string, number>) =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  if (Object.keys(diff.fields).length > 0) lines.push(`differing fields: ${counted(diff.fields)}`);
  if (Object.keys(diff.masks).length > 0) lines.push(`masked fields: ${counted(diff.masks)}`);
  lines.push(
    `frames: ${diff.compared} compared, ${diff.identical} identical, ${diff.masked} masked, ${diff.different} different`,
  );
  return lines;
}

/** `A frame 12, B frame 13, transmitted, tcp 10.0.0.2:41001 > 10.0.0.11:8080: changed`. */
export function describe({ a, b, direction, flow, kind }: FrameDifference, labels: CaptureDiff['labels']): string {
  const parts = [
    ...(a === undefined ? [] : [`${labels.a} frame ${a}`]),
    ...(b === undefined ? [] : [`${labels.b} frame ${b}`]),
    ...(direction === undefined ? [] : [direction]),
    flow,
  ];
  return `${parts.join(', ')}: ${kind}`;
}
