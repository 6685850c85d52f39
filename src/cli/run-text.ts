/** A run in words, for people: the stack, each flow with its way, the captures and how to open them, what became of frames. */

import type { FlowReport } from '../swarm/swarm.js';
import { columns } from './columns.js';
import { howToOpen } from './how-to-open.js';
import { loadLines } from './load-text.js';
import { allAnswered, type RunReport, type StackReport } from './run-report.js';
import type { Colours } from './terminal.js';

/** So many answered flows are told with their journeys; failed ones always are. */
const TOLD = 24;
/** So many files are listed; a swarm has hundreds of interfaces. */
const LISTED = 12;
/** So many nodes, tasks of a service and ports of a service are named; of more, how many there are. */
const NAMED = 4;

export function renderRun(report: RunReport, colours: Colours): string[] {
  const sections = [
    stackLines(report, colours),
    noticeLines(report, colours),
    flowLines(report.flows, colours),
    interruptedLines(report, colours),
    changeLines(report, colours),
    report.missingPorts.map(({ words }) => `${colours.yellow('firewall')}: ${words}`),
    captureLines(report, colours),
    accountLines(report, colours),
  ];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

function stackLines({ file, stack }: RunReport, colours: Colours): string[] {
  const networks = stack.networks.map(
    ({ name, subnet, vni, encrypted }) =>
      `${name} ${subnet}${vni === undefined ? '' : ` VNI ${vni}`}${encrypted ? ' encrypted' : ''}`,
  );
  const parts = [nodesText(stack.nodes), ...networks, ...stack.services.map(serviceText)];
  const line = `${colours.bold(file)}: ${parts.join(' · ')}`;
  return [line, ...stack.pending.map((words) => `${colours.yellow('pending')}: ${words}`)];
}

function interruptedLines({ interrupted, captures }: RunReport, colours: Colours): string[] {
  if (!interrupted) return [];
  const whole = captures.format === 'none' ? '' : 'the captures are whole up to then, and ';
  const { at, flows, of } = interrupted;
  return [
    colours.yellow(
      `interrupted after ${duration(at)} of virtual time, ${flows} of ${plural(of, 'flow')} over: ${whole}what would have followed is missing`,
    ),
  ];
}

function changeLines({ changes }: RunReport, colours: Colours): string[] {
  return changes.map(({ at, words, refused }) => {
    const line = `${(at / 1e9).toFixed(3)} s  ${words}`;
    return refused === undefined ? line : `${line}: ${colours.red('refused')}: ${refused}`;
  });
}

function nodesText(nodes: StackReport['nodes']): string {
  const names = nodes.map(({ name, role }) => (role === 'manager' ? `${name} manager` : name));
  return `${plural(nodes.length, 'node')} (${shortened(names, NAMED)})`;
}

function serviceText({ name, tasks, ports }: StackReport['services'][number]): string {
  const published = ports.map(
    ({ published, target, protocol }) => `${published}→${target}${protocol === 'tcp' ? '' : `/${protocol}`}`,
  );
  const place =
    tasks.length <= NAMED ? tasks.map((task) => `${task.name} on ${task.node}`).join(', ') : crowd(name, tasks);
  return `${place || `${name} without tasks`}${published.length > 0 ? ` (${shortened(published, NAMED)})` : ''}`;
}

/** `web ×50 on node1 17, node2 17, node3 16` */
function crowd(name: string, tasks: readonly { node: string }[]): string {
  const byNode = new Map<string, number>();
  for (const { node } of tasks) byNode.set(node, (byNode.get(node) ?? 0) + 1);
  const places = [...byNode].map(([node, count]) => `${node} ${count}`);
  return `${name} ×${tasks.length} on ${byNode.size > NAMED ? plural(byNode.size, 'node') : places.join(', ')}`;
}

/** `a, b, c, d … z` */
function shortened(words: readonly string[], most: number): string {
  if (words.length <= most + 1) return words.join(', ');
  return `${words.slice(0, most).join(', ')} … ${words.at(-1)}`;
}

function noticeLines({ file, notices }: RunReport, colours: Colours): string[] {
  const groups = [
    ['warning', notices.warnings],
    ['not supported yet', notices.unsupported],
    ['ignored', notices.ignored],
  ] as const;
  return groups.flatMap(([title, list]) =>
    list.map(({ where, message }) => `${file}:${where.line}:${where.column}: ${colours.yellow(title)}: ${message}`),
  );
}

function flowLines(flows: readonly FlowReport[], colours: Colours): string[] {
  if (flows.length === 0) return [colours.yellow('no traffic: no port is published, and the file names none')];
  const lines: string[] = [];
  let told = 0;
  let untold = 0;
  for (const flow of flows) {
    if (allAnswered(flow) && told >= TOLD) {
      untold++;
      continue;
    }
    told++;
    lines.push(...tellFlow(flow, 0, colours));
  }
  if (untold > 0) lines.push(`and ${plural(untold, 'more flow')}, answered; --json tells them all`);
  const failed = flows.filter((flow) => !allAnswered(flow)).length;
  const sum =
    failed === 0
      ? colours.green(`${plural(flows.length, 'flow')}, all answered`)
      : colours.red(`${failed} of ${plural(flows.length, 'flow')} failed`);
  return [...lines, sum];
}

/** A flow, its way, and what the answering task asked of others, further in. */
function tellFlow(flow: FlowReport, indent: number, colours: Colours): string[] {
  if (flow.load) return loadLines(flow, flow.load, colours);
  return [
    `${' '.repeat(indent)}${flowLine(flow, colours)}`,
    ...journeyLines(flow, indent + 4, colours),
    ...flow.calls.flatMap((call) => tellFlow(call, indent + 4, colours)),
  ];
}

function flowLine(flow: FlowReport, colours: Colours): string {
  const way = `${colours.bold(`${flow.from} → ${flow.to}`)} ${flow.kind}`;
  if (!flow.ok) return `${way}  ${colours.red('failed')}${flow.detail ? `: ${flow.detail}` : ''}`;
  const by = flow.answeredBy === undefined ? '' : ` by ${colours.green(flow.answeredBy)}`;
  const time = flow.finished === undefined ? '' : ` in ${duration(flow.finished - flow.started)}`;
  const detail = flow.answeredBy === undefined && flow.detail ? ` (${flow.detail})` : '';
  return `${way}  answered${by}${time}${detail}`;
}

function journeyLines({ journey, lookup }: FlowReport, indent: number, colours: Colours): string[] {
  const rows = journey.map(({ namespace, what, before, after, by }) => [
    namespace,
    colours.cyan(what),
    `${before} → ${after}`,
    by === undefined ? '' : colours.dim(by),
  ]);
  if (lookup?.from === 'dns' && lookup.addresses.length > 0) {
    const { namespace, name, addresses, server } = lookup;
    rows.unshift([namespace, colours.cyan('DNS'), `${name} → ${addresses.join(', ')}`, colours.dim(server ?? '')]);
  }
  return columns(rows, indent);
}

function captureLines(report: RunReport, colours: Colours): string[] {
  const { captures } = report;
  const { files } = captures;
  if (captures.format === 'none') return ['no captures: none were asked for'];
  if (files.length === 0) return ['no captures: no frame passed any interface'];
  const head =
    captures.format === 'pcapng'
      ? `captured ${plural(captures.frames, 'frame')} at ${plural(captures.interfaces.length, 'interface')}:`
      : `captured ${plural(captures.frames, 'frame')} at ${files.length} of ${plural(captures.interfaces.length, 'interface')}, a file each:`;
  const busiest = files.length <= LISTED ? files : [...files].sort((a, b) => b.frames - a.frames).slice(0, LISTED);
  const rows = busiest.map(({ path, bytes, frames }) => [path, size(bytes), plural(frames, 'frame')]);
  const more = files.length > busiest.length ? [`    and ${files.length - busiest.length} more with fewer frames`] : [];
  const missed =
    captures.missed === 0
      ? []
      : [
          colours.red(
            `${plural(captures.missed, 'frame')} did not fit into the capture buffer: the captures are not whole`,
          ),
        ];
  return [head, ...columns(rows, 4, [1, 2]), ...more, ...missed, ...howToOpen(report).map((line) => `    ${line}`)];
}

function accountLines({ drops, frames, captures }: RunReport, colours: Colours): string[] {
  const lines: string[] = [];
  if (drops.expected.length > 0) {
    lines.push('dropped, as in any real swarm:');
    lines.push(
      ...columns(
        drops.expected.map(({ reason, count, why }) => [reason, String(count), colours.dim(why)]),
        4,
        [1],
      ),
    );
  }
  if (drops.other.length === 0) lines.push(drops.expected.length === 0 ? 'dropped: none' : 'dropped otherwise: none');
  else {
    lines.push(colours.yellow('dropped:'));
    lines.push(
      ...columns(
        drops.other.map(({ reason, count, devices }) => [reason, String(count), `at ${places(devices)}`]),
        4,
        [1],
      ),
    );
  }
  const { made, delivered, dropped, inFlight, balanced } = frames;
  const sum = `frames: ${made} made = ${delivered} delivered + ${dropped} dropped + ${inFlight} in flight`;
  lines.push(balanced ? sum : colours.red(`${sum}, which does not add up: a fault of the engine`));
  if (captures.late > 0) lines.push(`${plural(captures.late, 'frame')} stand in the capture after later ones`);
  return lines;
}

function places(devices: Record<string, number>): string {
  const entries = Object.entries(devices).sort(([, a], [, b]) => b - a);
  const named = entries.slice(0, 3).map(([path, count]) => (entries.length === 1 ? path : `${path} (${count})`));
  return entries.length > 3 ? `${named.join(', ')} and ${entries.length - 3} more` : named.join(', ');
}

export function duration(ns: number): string {
  if (ns < 1_000) return `${ns} ns`;
  if (ns < 1_000_000) return `${Number((ns / 1_000).toPrecision(3))} µs`;
  if (ns < 1_000_000_000) return `${Number((ns / 1_000_000).toPrecision(3))} ms`;
  return `${Number((ns / 1_000_000_000).toPrecision(3))} s`;
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
