/** What came of a replay, as data for `--json` and in words. */

import type { Direction } from '../capture/capture.js';
import type { CaptureFormat, WrittenFile } from '../capture/files.js';
import type { Account } from '../engine/index.js';
import { columns } from './columns.js';
import type { DropCount, DropReport } from './drops.js';
import { size } from './run-text.js';
import type { Colours } from './terminal.js';

export interface ReplayReport {
  /** Every frame is accounted for and was captured. */
  ok: boolean;
  swarmwire: string;
  /** The stack file. */
  file: string;
  seed: number;
  capture: { file: string; frames: number; interface?: string; truncated: boolean; warnings: string[] };
  at: string;
  as: Direction;
  injected: number;
  /** Frames of the capture that were not, and why. */
  leftOut: { count: number; why: string }[];
  /** What is to be known of the frames. */
  notes: string[];
  captures: {
    format: CaptureFormat;
    directory: string;
    interfaces: { name: string; frames: number }[];
    frames: number;
    files: WrittenFile[];
    missed: number;
    late: number;
  };
  drops: DropReport;
  /** made = delivered + dropped + inFlight. */
  frames: Account & { balanced: boolean };
  /** ns */
  virtualTime: number;
}

/** So many files are listed, so many places of a drop. */
const LISTED = 12;
const PLACES = 3;

export function renderReplay(report: ReplayReport, colours: Colours): string[] {
  return [
    ...injectedLines(report, colours),
    '',
    ...captureLines(report, colours),
    '',
    ...accountLines(report, colours),
  ];
}

function injectedLines({ capture, at, as, injected, leftOut, notes }: ReplayReport, colours: Colours): string[] {
  const of = capture.interface === undefined ? '' : ` of ${capture.interface}`;
  return [
    `${colours.bold(capture.file)}: ${plural(injected, 'frame')}${of} injected at ${colours.bold(at)}, as ${as}`,
    ...capture.warnings.map((words) => `${colours.yellow('warning')}: ${capture.file}: ${words}`),
    ...leftOut.map(({ count, why }) => `left out: ${plural(count, 'frame')}, ${why}`),
    ...notes.map((words) => `${colours.yellow('note')}: ${words}`),
  ];
}

function captureLines({ captures }: ReplayReport, colours: Colours): string[] {
  const { files, interfaces, frames, missed } = captures;
  const seen = interfaces.filter((one) => one.frames > 0).length;
  const head = `captured ${plural(frames, 'frame')} at ${seen} of ${plural(interfaces.length, 'interface')}:`;
  const busiest = [...files].sort((one, other) => other.frames - one.frames).slice(0, LISTED);
  const more = files.length - busiest.length;
  return [
    head,
    ...columns(
      busiest.map((file) => [file.path, size(file.bytes), plural(file.frames, 'frame')]),
      4,
      [1, 2],
    ),
    ...(more > 0 ? [`    and ${more} more with fewer frames`] : []),
    ...(missed > 0 ? [colours.red(`${plural(missed, 'frame')} did not fit into the capture buffer`)] : []),
  ];
}

function accountLines({ drops, frames }: ReplayReport, colours: Colours): string[] {
  const rows = [
    ...drops.other.map((drop) => dropRow(drop)),
    ...drops.expected.map((drop) => [...dropRow(drop), colours.dim(drop.why)]),
  ];
  const { made, injected, generated, cloned, delivered, dropped, inFlight, balanced } = frames;
  const sum = `frames: ${made} made (${injected} injected, ${generated} answers and such, ${cloned} copies) = ${delivered} delivered + ${dropped} dropped + ${inFlight} in flight`;
  return [
    rows.length === 0 ? 'dropped: none' : 'dropped:',
    ...columns(rows, 4, [1]),
    balanced ? sum : colours.red(`${sum}, which does not add up: a fault of the engine`),
  ];
}

function dropRow({ reason, count, devices }: DropCount): string[] {
  const entries = Object.entries(devices).sort(([, one], [, other]) => other - one);
  const named = entries.slice(0, PLACES).map(([path, times]) => (entries.length === 1 ? path : `${path} (${times})`));
  const more = entries.length - named.length;
  return [reason, String(count), `at ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`];
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
