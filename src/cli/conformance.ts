/** `swarmwire conformance`: a real swarm's captures replayed, every frame at every tap compared, a table told. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CaptureFileError, pcapName, writePcap } from '../capture/files.js';
import { conform } from '../replay/conformance.js';
import type { Played } from '../replay/replay.js';
import { loadScenario, MODES, type Mode, type ReadFile, ScenarioError } from '../replay/scenario.js';
import { renderTable, type ScenarioComparison, totalsOf, type WaitingScenario } from '../replay/table.js';
import { oneOf, readArguments } from './arguments.js';
import { BadInput } from './bad-input.js';
import type { Command } from './commands.js';
import { CONFORMANCE_HELP } from './conformance-help.js';
import { ProgressLine } from './progress.js';
import { findScenarios, readerOf, type ScenarioFolder } from './scenarios.js';
import type { Terminal } from './terminal.js';
import { recordedScenarios } from './version.js';

interface Results {
  compared: ScenarioComparison[];
  waiting: WaitingScenario[];
  /** Scenarios that cannot be read, in words. */
  unreadable: string[];
  /** Scenarios whose replay broke off, or went wrong: a fault of ours. */
  broken: string[];
}

export const conformance: Command = {
  help: CONFORMANCE_HELP,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, {
      mode: { type: 'string' },
      out: { type: 'string' },
      live: { type: 'boolean' },
    });
    if (values.out === '') throw new BadInput('--out: the name of a directory is missing');
    if (values.live) return beside(values.out, positionals, values.mode, terminal);
    const modes = values.mode === undefined ? MODES : [oneOf('mode', values.mode, MODES)];
    const named = positionals.length > 0;
    const scenarios = findScenarios(named ? positionals : [defaultDirectory()]);
    const results = await compareAll(scenarios, modes, values.out, terminal);
    if (values.out !== undefined) terminal.out(`what our taps saw is in ${values.out}, a folder a scenario\n`);
    terminal.out(renderTable(results.compared, results.waiting));
    for (const words of [...results.unreadable, ...results.broken]) terminal.err(`swarmwire: ${words}`);
    return verdict(results, scenarios, named ? positionals : []);
  },
};

/** The machine's own kernel beside the engine. Where it cannot run it says so, and nothing has failed. */
async function beside(
  out: string | undefined,
  directories: readonly string[],
  mode: string | undefined,
  terminal: Terminal,
): Promise<number> {
  if (directories.length > 0 || mode !== undefined) throw new BadInput('--live takes neither directories nor --mode');
  const { live } = await import('./live/live.js');
  const { skipped, text, totals } = await live({ ...(out === undefined ? {} : { out }) });
  if (skipped !== undefined) {
    terminal.out(`skipped: ${skipped}`);
    return 0;
  }
  terminal.out(text);
  return totals.different === 0 ? 0 : 1;
}

function defaultDirectory(): string {
  const directory = recordedScenarios();
  if (existsSync(directory)) return directory;
  throw new BadInput(
    `there are no recorded scenarios at ${directory}`,
    'name directories: swarmwire conformance DIR...',
  );
}

async function compareAll(
  scenarios: readonly ScenarioFolder[],
  modes: readonly Mode[],
  out: string | undefined,
  terminal: Terminal,
): Promise<Results> {
  const results: Results = { compared: [], waiting: [], unreadable: [], broken: [] };
  const progress = new ProgressLine(terminal.watched);
  try {
    for (const [index, scenario] of scenarios.entries()) {
      progress.update(index, scenarios.length, `scenarios, now ${scenario.name}`);
      await compareOne(scenario, modes, out, results);
    }
  } finally {
    progress.clear();
  }
  return results;
}

async function compareOne(
  scenario: ScenarioFolder,
  modes: readonly Mode[],
  out: string | undefined,
  results: Results,
): Promise<void> {
  try {
    const read = readerOf(scenario);
    const { compared, waiting } = await conform(scenario.name, read, modes);
    results.compared.push(...compared);
    for (const { mode, error } of compared) if (error) results.broken.push(`${scenario.name} (${mode}): ${error}`);
    results.waiting.push(...waiting);
    if (out === undefined) return;
    for (const [index, { mode, seen }] of compared.entries())
      writeTaps(scenario, read, seen, index === 0 ? '' : mode, out);
  } catch (error) {
    if (error instanceof CaptureFileError) throw error;
    if (error instanceof ScenarioError) results.unreadable.push(error.message);
    else results.broken.push(`${scenario.name}: the replay broke off: ${(error as Error).stack ?? error}`);
  }
}

/**
 * What our taps saw, under the names of the real captures: `OUT/SCENARIO/node1.host.eth0.pcap`. Where both modes are compared,
 * those of stack mode are in `OUT/SCENARIO/stack/`. A real capture that saw nothing has no file, and ours has one only if it
 * saw something.
 */
function writeTaps(scenario: ScenarioFolder, read: ReadFile, seen: Played['taps'], below: string, out: string): void {
  const { inputs } = loadScenario(scenario.name, read);
  const folder = join(out, ...scenario.name.split('/'), below);
  const listed = inputs.captures.map(({ pcap, namespace, device }) => ({ pcap, tap: `${namespace}/${device}` }));
  for (const { pcap, tap } of listed) writePcap(join(folder, pcap), seen.get(tap) ?? []);
  const names = new Set(listed.map(({ tap }) => tap));
  for (const [tap, frames] of seen) {
    if (!names.has(tap) && frames.length > 0) writePcap(join(folder, pcapName(tap)), frames);
  }
}

/**
 * 0 only when nothing is different, something was compared in every scenario that is not waiting and in every directory that
 * was named; 2 when one cannot be read.
 */
function verdict(results: Results, scenarios: readonly ScenarioFolder[], named: readonly string[]): number {
  if (results.unreadable.length > 0) return 2;
  const compared = new Map<string, number>();
  let different = 0;
  for (const { scenario, taps } of results.compared) {
    const totals = totalsOf(taps);
    compared.set(scenario, (compared.get(scenario) ?? 0) + totals.compared);
    different += totals.different;
  }
  const waiting = new Set(results.waiting.map(({ scenario }) => scenario));
  const idle = scenarios.some(({ name }) => !waiting.has(name) && !compared.get(name));
  const unanswered = named.some(
    (directory) => !scenarios.some(({ asked, name }) => asked.includes(directory) && compared.get(name)),
  );
  const nothing = ![...compared.values()].some((count) => count > 0);
  return different > 0 || idle || unanswered || nothing || results.broken.length > 0 ? 1 : 0;
}
