/** `swarmwire run`: a stack file becomes a swarm, its traffic is sent, what every tap saw is written. */

import { basename, join } from 'node:path';
import { ESP_PREFERENCES, espSa } from '../capture/esp-keys.js';
import { type CaptureFile, type CaptureFormat, openCapture, PcapngFile, type WrittenFile } from '../capture/files.js';
import { OrderedRecording } from '../capture/ordered.js';
import { type Recorded, Recording } from '../capture/recording.js';
import type { Driver } from '../drivers/index.js';
import type { StackFile } from '../stack-file/index.js';
import { MOST_NODES } from '../stack-file/swarmwire-schema.js';
import { PlanError } from '../swarm/plan.js';
import { type FlowReport, Swarm } from '../swarm/swarm.js';
import { oneOf, readArguments, wholeNumber } from './arguments.js';
import { BadInput } from './bad-input.js';
import type { Command } from './commands.js';
import { loadDrivers, readStackFile } from './input.js';
import { writeOutputs } from './output.js';
import { ProgressLine } from './progress.js';
import { RUN_HELP } from './run-help.js';
import { type RunReport, reportOf } from './run-report.js';
import { renderRun } from './run-text.js';
import type { Terminal } from './terminal.js';
import { version } from './version.js';

const FORMATS: readonly CaptureFormat[] = ['pcapng', 'pcap'];

interface RunOptions {
  file: string;
  nodes: number | undefined;
  out: string;
  format: CaptureFormat;
  seed: number;
  json: boolean;
  comments: boolean;
  /** Files. */
  drivers: string[];
}

export const run: Command = {
  help: RUN_HELP,
  async run(args, terminal) {
    const options = readOptions(args);
    const report = await simulate(options, terminal);
    if (options.json) terminal.out(JSON.stringify(report, null, 2));
    else terminal.out(renderRun(report, terminal.colours).join('\n'));
    return report.ok ? 0 : 1;
  },
};

function readOptions(args: readonly string[]): RunOptions {
  const { values, positionals } = readArguments(args, {
    nodes: { type: 'string' },
    out: { type: 'string', default: 'captures' },
    format: { type: 'string', default: 'pcapng' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    'no-comments': { type: 'boolean', default: false },
    driver: { type: 'string', multiple: true, default: [] },
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
    comments: !values['no-comments'],
    drivers: values.driver,
  };
}

async function simulate(options: RunOptions, terminal: Terminal): Promise<RunReport> {
  const drivers = await loadDrivers(options.drivers);
  const stack = readStackFile(options.file, options.nodes, drivers);
  const swarm = await layOut(stack, options, drivers);
  swarm.tapEverything();
  const { engine } = swarm;
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const capture = openCapture(options.format, options.out, captureName(options.file), taps);
  // The file keeps the frames: the swarm need not gather them in memory as well.
  engine.onCapture = undefined;
  const ordered = capture instanceof PcapngFile && !options.comments;
  const recording = ordered ? new OrderedRecording(engine, capture) : new Recording(engine, capture);
  const { flows, files } = play(swarm, recording, capture, terminal);
  const keys = writeKeys(swarm, join(options.out, `${captureName(options.file)}.wireshark`));
  return reportOf({ version: version(), ...options, stack, swarm, flows, files, keys, recording });
}

function play(
  swarm: Swarm,
  recording: Recorded,
  capture: CaptureFile,
  terminal: Terminal,
): { flows: FlowReport[]; files: WrittenFile[] } {
  const progress = new ProgressLine(terminal.watched);
  try {
    const flows = swarm.play(({ flows, of }) => progress.update(flows, of, 'flows'));
    recording.finish();
    return { flows, files: capture.finish() };
  } catch (error) {
    capture.discard();
    throw error;
  } finally {
    progress.clear();
  }
}

/** Beside the captures, if any network is encrypted: a configuration with which Wireshark reads the inside of ESP. */
function writeKeys({ engine }: Swarm, directory: string): RunReport['captures']['keys'] {
  const text = espSa(engine.espKeys);
  if (text === '') return undefined;
  writeOutputs([
    { path: join(directory, 'esp_sa'), text },
    { path: join(directory, 'preferences'), text: ESP_PREFERENCES },
  ]);
  return { directory, associations: text.split('\n').length - 1 };
}

async function layOut(
  { spec }: StackFile,
  { file, seed, comments }: RunOptions,
  drivers: readonly Driver[],
): Promise<Swarm> {
  try {
    return await Swarm.create(spec, { seed, comments, drivers });
  } catch (error) {
    if (error instanceof PlanError) throw new BadInput(`${file}: ${error.message}`);
    throw error;
  }
}

/** `examples/three-tier.yml` → `three-tier` */
function captureName(file: string): string {
  return basename(file).replace(/(.)\.ya?ml$/i, '$1');
}
