/** `swarmwire run`: a stack file becomes a swarm, its traffic is sent, what every tap saw is written. */

import { basename, join, resolve } from 'node:path';
import { setImmediate as immediately } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { ESP_PREFERENCES, espSa } from '../capture/esp-keys.js';
import { type CaptureFile, type CaptureFormat, openCapture, PcapngFile, type WrittenFile } from '../capture/files.js';
import { OrderedRecording } from '../capture/ordered.js';
import { type Recorded, Recording } from '../capture/recording.js';
import { MOST_WAITING } from '../capture/write-behind.js';
import type { Driver } from '../drivers/index.js';
import type { StackFile } from '../stack-file/index.js';
import { MOST_NODES } from '../stack-file/swarmwire-schema.js';
import { PlanError } from '../swarm/plan.js';
import { type Progress, Swarm } from '../swarm/swarm.js';
import { SharedMemoryError } from '../workers/merge-captures.js';
import { type Outcome, outcomeOf } from '../workers/outcome.js';
import { share } from '../workers/share.js';
import { oneOf, readArguments, wholeNumber } from './arguments.js';
import { BadInput } from './bad-input.js';
import type { Command } from './commands.js';
import { loadDrivers, readStackFile } from './input.js';
import { Interrupt } from './interrupt.js';
import { writeOutputs } from './output.js';
import { ProgressLine } from './progress.js';
import { RUN_HELP } from './run-help.js';
import { type RunReport, reportOf } from './run-report.js';
import { renderRun } from './run-text.js';
import type { Terminal } from './terminal.js';
import { version } from './version.js';

/** As a shell says of a program that SIGINT has ended. */
const INTERRUPTED = 130;
const MOST_WORKERS = 64;
const FORMATS: readonly CaptureFormat[] = ['pcapng', 'pcap'];

interface RunOptions {
  file: string;
  nodes: number | undefined;
  out: string;
  format: CaptureFormat;
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
    const report = await simulate(options, terminal);
    if (options.json) terminal.out(JSON.stringify(report, null, 2));
    else terminal.out(renderRun(report, terminal.colours).join('\n'));
    return report.interrupted ? INTERRUPTED : report.ok ? 0 : 1;
  },
};

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

async function simulate(options: RunOptions, terminal: Terminal): Promise<RunReport> {
  const drivers = await loadDrivers(options.drivers);
  const stack = readStackFile(options.file, options.nodes, drivers);
  // Of a load's frames there are too many to be read one by one.
  const comments = options.comments ?? !stack.spec.traffic.some(({ kind }) => kind === 'load');
  const name = captureName(options.file);
  const { outcome, files, left } =
    options.workers > 1
      ? await playShared(stack, { ...options, comments }, name, terminal)
      : await playAlone(
          await layOut(stack, { ...options, comments }, drivers),
          { ...options, comments },
          name,
          terminal,
        );
  const keys = writeKeys(outcome, join(options.out, `${name}.wireshark`));
  const interrupted = left && { at: outcome.now, flows: left.flows, of: left.of };
  return reportOf({ version: version(), ...options, comments, stack, outcome, files, keys, interrupted });
}

interface Played {
  outcome: Outcome;
  files: WrittenFile[];
  /** How far it had come when it was interrupted, if it was. */
  left: Progress | undefined;
}

/** Between two looks at signals and finished writes, ms. */
const LOOK = 50;

function playAlone(
  swarm: Swarm,
  { format, out, comments }: RunOptions & { comments: boolean },
  name: string,
  terminal: Terminal,
): Promise<Played> {
  swarm.tapEverything();
  const { engine } = swarm;
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const capture = openCapture(format, out, name, taps, { background: true });
  // The file keeps the frames: the swarm need not gather them in memory as well.
  engine.onCapture = undefined;
  const ordered = capture instanceof PcapngFile && !comments;
  const recording = ordered ? new OrderedRecording(engine, capture) : new Recording(engine, capture);
  return play(swarm, recording, capture, terminal);
}

/** By several engines, each in a thread of its own. */
async function playShared(
  { spec }: StackFile,
  { file, seed, workers, drivers, format, out, comments }: RunOptions & { comments: boolean },
  name: string,
  terminal: Terminal,
): Promise<Played> {
  const progress = new ProgressLine(terminal.watched);
  const interrupt = new Interrupt();
  try {
    return await share({
      spec,
      seed,
      comments,
      workers,
      drivers: drivers.map((driver) => pathToFileURL(resolve(driver)).href),
      open: (taps) => openCapture(format, out, name, taps, { background: true }),
      onProgress: (step) => show(progress, step),
      interrupted: () => interrupt.came,
    });
  } catch (error) {
    if (error instanceof Error && error.name === 'PlanError') throw new BadInput(`${file}: ${error.message}`);
    if (error instanceof SharedMemoryError)
      throw new BadInput(`--workers ${workers}: ${error.message}`, 'fewer workers need less');
    throw error;
  } finally {
    interrupt.end();
    progress.clear();
  }
}

function show(progress: ProgressLine, { flows, of, packets, ofPackets }: Progress): void {
  if (packets !== undefined && ofPackets !== undefined) progress.update(packets, ofPackets, 'packets');
  else progress.update(flows, of, 'flows');
}

async function play(swarm: Swarm, recording: Recorded, capture: CaptureFile, terminal: Terminal): Promise<Played> {
  const progress = new ProgressLine(terminal.watched);
  const interrupt = new Interrupt();
  try {
    const steps = swarm.playing();
    let looked = performance.now();
    let step = steps.next();
    while (!step.done && !interrupt.came) {
      show(progress, step.value);
      if (capture.waiting > MOST_WAITING) await capture.settle(MOST_WAITING / 2);
      if (performance.now() - looked > LOOK) {
        await immediately();
        looked = performance.now();
      }
      step = steps.next();
    }
    const left = step.done ? undefined : step.value;
    if (left) steps.return([]);
    recording.finish();
    await capture.settle();
    return { outcome: outcomeOf(swarm, recording), files: capture.finish(), left };
  } catch (error) {
    await capture.discard();
    throw error;
  } finally {
    interrupt.end();
    progress.clear();
  }
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

async function layOut(
  { spec }: StackFile,
  { file, seed, comments }: RunOptions & { comments: boolean },
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
