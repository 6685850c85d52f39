/**
 * `swarmwire run`: a stack file becomes a swarm, its traffic is sent, what every tap saw is written. Threads that share the work are
 * started first of all: they load while this one does.
 */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CaptureFormat } from '../capture/files.js';
import { MOST_NODES } from '../stack-file/section.js';
import type { Crew } from '../workers/crew.js';
import { oneOf, readArguments, wholeNumber } from './arguments.js';
import { BadInput } from './bad-input.js';
import type { Command } from './commands.js';
import { RUN_HELP } from './run-help.js';

/** As a shell says of a program that SIGINT has ended. */
const INTERRUPTED = 130;
const MOST_WORKERS = 64;
const FORMATS: readonly Capturing[] = ['pcapng', 'pcap', 'none'];

/** `none`: no frame is captured. */
export type Capturing = CaptureFormat | 'none';

export interface RunOptions {
  file: string;
  nodes: number | undefined;
  out: string;
  format: Capturing;
  seed: number;
  json: boolean;
  /** Undefined: unless there is a load. */
  comments: boolean | undefined;
  /** Files. */
  drivers: string[];
  /** Engines that share loads. */
  workers: number;
}

export const run: Command = {
  help: RUN_HELP,
  async run(args, terminal) {
    const options = readOptions(args);
    const crew = await hire(options);
    try {
      const { renderRun, simulate } = await import('./simulate.js');
      const report = await simulate(options, crew, terminal);
      if (options.json) terminal.out(JSON.stringify(report, null, 2));
      else terminal.out(renderRun(report, terminal.colours).join('\n'));
      return report.interrupted ? INTERRUPTED : report.ok ? 0 : 1;
    } finally {
      void crew?.dismiss();
    }
  },
};

async function hire({ workers, drivers }: RunOptions): Promise<Crew | undefined> {
  if (workers === 1) return undefined;
  const { Crew, ThreadError } = await import('../workers/crew.js');
  try {
    return new Crew(
      workers,
      drivers.map((driver) => pathToFileURL(resolve(driver)).href),
    );
  } catch (error) {
    if (error instanceof ThreadError)
      throw new BadInput(`--workers ${workers}: ${error.message}`, 'fewer workers need less');
    throw error;
  }
}

function readOptions(args: readonly string[]): RunOptions {
  const { values, positionals } = readArguments(args, {
    nodes: { type: 'string' },
    out: { type: 'string', default: 'captures' },
    format: { type: 'string', default: 'pcapng' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    comments: { type: 'boolean', default: false },
    'no-comments': { type: 'boolean', default: false },
    driver: { type: 'string', multiple: true, default: [] },
    workers: { type: 'string', default: '1' },
  });
  const [file, ...more] = positionals;
  if (file === undefined) {
    throw new BadInput(
      'run: which stack file?',
      'swarmwire run examples/three-tier.yml; all about it: swarmwire run --help',
    );
  }
  if (more.length > 0) throw new BadInput(`run: one stack file at a time, and ${more.join(', ')} is too many`);
  if (values.out === '') throw new BadInput('--out: the name of a directory is missing');
  return {
    file,
    nodes: wholeNumber('nodes', values.nodes, 1, MOST_NODES),
    out: values.out,
    format: oneOf('format', values.format, FORMATS),
    seed: wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER) ?? 1,
    json: values.json,
    comments: values['no-comments'] ? false : values.comments ? true : undefined,
    drivers: values.driver,
    workers: wholeNumber('workers', values.workers, 1, MOST_WORKERS) ?? 1,
  };
}
