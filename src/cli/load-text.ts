/** A load in words: what arrived and how fast, task by task, and what did not, and why. */

import type { FlowReport } from '../swarm/swarm.js';
import { columns } from './columns.js';
import type { Colours } from './terminal.js';

type LoadReport = NonNullable<FlowReport['load']>;

/** So many tasks are told. */
const TOLD = 24;

export function loadLines({ from, to, ok }: FlowReport, load: LoadReport, colours: Colours): string[] {
  const { protocol, flows, sent, received, answered, duration, rate } = load;
  const arrived = `${count(received.packets)} of ${count(sent.packets)} packets arrived`;
  const head = `${colours.bold(`${from} → ${to}`)} load  ${ok ? colours.green(arrived) : colours.red(arrived)}`;
  const about = [`${protocol}, ${count(flows.asked)} ${flows.asked === 1 ? 'flow' : 'flows'}`];
  if (received.packets > 0) {
    about.push(`${scaled(rate.packets)}pps, ${scaled(rate.bits)}bps of frames`);
    about.push(`${(duration / 1e9).toFixed(3)} s`);
  }
  if (answered) about.push(`${count(answered.packets)} answers came back`);
  return [
    `${head} (${about.join('; ')})`,
    ...taskLines(load),
    ...lossLines(load, colours).map((line) => `    ${line}`),
  ];
}

function taskLines({ tasks }: LoadReport): string[] {
  const rows = tasks
    .slice(0, TOLD)
    .map(({ name, flows, packets, share }) => [
      name,
      `${count(flows)} ${flows === 1 ? 'flow' : 'flows'}`,
      `${count(packets)} packets`,
      `${(share * 100).toFixed(1)} %`,
    ]);
  const more = tasks.length > TOLD ? [`    and ${tasks.length - TOLD} more; --json tells them all`] : [];
  return [...columns(rows, 4, [1, 2, 3]), ...more];
}

function lossLines({ flows, lost, notSent, cut }: LoadReport, colours: Colours): string[] {
  const lines: string[] = [];
  if (lost.packets > 0) {
    const reasons = Object.entries(lost.reasons).map(([reason, number]) => `${reason} ${count(number)}`);
    lines.push(colours.red(`lost ${count(lost.packets)}${reasons.length > 0 ? `: ${reasons.join(', ')}` : ''}`));
  }
  if (flows.refused > 0) lines.push(colours.red(`${count(flows.refused)} connections were refused`));
  if (flows.unanswered > 0) lines.push(colours.red(`${count(flows.unanswered)} connections got no answer`));
  if (notSent > 0) lines.push(colours.red(`${count(notSent)} packets were not sent`));
  if (cut > 0)
    lines.push(`${count(cut)} segments are shorter than asked for: the receiver's MSS allows no longer ones`);
  return lines;
}

/** `1 234 567`, with spaces that do not break. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** `12.3 M`, for a unit to follow. */
export function scaled(value: number): string {
  for (const [size, letter] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${letter}`;
  return `${Number(value.toPrecision(3))} `;
}
