/** What `swarmwire run` does: a stack file is read, its swarm played by one engine or by several, and reported on. */

import { basename, join } from 'node:path';
import { ESP_PREFERENCES, espSa } from '../capture/esp-keys.js';
import type { WrittenFile } from '../capture/files.js';
import type { StackFile } from '../stack-file/index.js';
import type { Progress } from '../swarm/swarm.js';
import type { Crew } from '../workers/crew.js';
import type { Outcome } from '../workers/outcome.js';
import { BadInput, blaming } from './bad-input.js';
import { loadDrivers, readStackFile } from './input.js';
import { writeOutputs } from './output.js';
import type { RunOptions } from './run.js';
import { type RunReport, reportOf } from './run-report.js';
import type { Terminal } from './terminal.js';
import { version } from './version.js';

export { renderRun } from './run-text.js';

export async function simulate(options: RunOptions, crew: Crew | undefined, terminal: Terminal): Promise<RunReport> {
  const drivers = await loadDrivers(options.drivers);
  const stack = readStackFile(options.file, options.nodes, drivers);
  // Of a load's frames there are too many to be read one by one.
  const comments = options.comments ?? !stack.spec.traffic.some(({ kind }) => kind === 'load');
  const name = captureName(options.file);
  const play: Play = { stack, options: { ...options, comments }, name, terminal };
  // An engine that nobody here needs is not loaded here.
  const { outcome, files, left } = await (crew
    ? (await import('./play-shared.js')).playShared(play, crew)
    : (await import('./play-alone.js')).playAlone(play, drivers)
  ).catch((error) => {
    throw blaming(options.file, crew ? wanting(options.workers, error) : error);
  });
  const keys = options.format === 'none' ? undefined : writeKeys(outcome, join(options.out, `${name}.wireshark`));
  const interrupted = left && { at: outcome.now, flows: left.flows, of: left.of };
  return reportOf({ version: version(), ...options, comments, stack, outcome, files, keys, interrupted });
}

/** What the system does not give several engines it may give fewer. */
function wanting(workers: number, error: unknown): unknown {
  return error instanceof Error && ['EngineMemoryError', 'SharedMemoryError'].includes(error.name)
    ? new BadInput(`--workers ${workers}: ${error.message}`, 'fewer workers need less')
    : error;
}

export interface Play {
  stack: StackFile;
  options: RunOptions & { comments: boolean };
  /** Of the captures. */
  name: string;
  terminal: Terminal;
}

export interface Played {
  outcome: Outcome;
  files: WrittenFile[];
  /** How far it had come when it was interrupted, if it was. */
  left: Progress | undefined;
}

/** Beside the captures, if any network is encrypted: a configuration with which Wireshark reads the inside of ESP. */
function writeKeys({ espKeys }: Outcome, directory: string): RunReport['captures']['keys'] {
  const text = espSa(espKeys);
  if (text === '') return undefined;
  writeOutputs([
    { path: join(directory, 'esp_sa'), text },
    { path: join(directory, 'preferences'), text: ESP_PREFERENCES },
  ]);
  return { directory, associations: text.split('\n').length - 1 };
}

/** `examples/three-tier.yml` → `three-tier` */
function captureName(file: string): string {
  return basename(file).replace(/(.)\.ya?ml$/i, '$1');
}
