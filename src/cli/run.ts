/** `swarmwire run`: a stack file becomes a swarm, its traffic is sent, what every tap saw is written. */

import { basename, join } from 'node:path';
import { setImmediate as immediately } from 'node:timers/promises';
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
  };
}

async function simulate(options: RunOptions, terminal: Terminal): Promise<RunReport> {
  const drivers = await loadDrivers(options.drivers);
  const stack = readStackFile(options.file, options.nodes, drivers);
  // Of a load's frames there are too many to be read one by one.
  const comments = options.comments ?? !stack.spec.traffic.some(({ kind }) => kind === 'load');
  const swarm = await layOut(stack, { ...options, comments }, drivers);
  swarm.tapEverything();
  const { engine } = swarm;
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const capture = openCapture(options.format, options.out, captureName(options.file), taps, { background: true });
  // The file keeps the frames: the swarm need not gather them in memory as well.
  engine.onCapture = undefined;
  const ordered = capture instanceof PcapngFile && !comments;
  const recording = ordered ? new OrderedRecording(engine, capture) : new Recording(engine, capture);
  const { flows, files, interrupted } = await play(swarm, recording, capture, terminal);
  const keys = writeKeys(swarm, join(options.out, `${captureName(options.file)}.wireshark`));
  return reportOf({
    version: version(),
    ...options,
    comments,
    stack,
    swarm,
    flows,
    files,
    keys,
    recording,
    interrupted,
  });
}

interface Played {
  flows: FlowReport[];
  files: WrittenFile[];
  interrupted: RunReport['interrupted'];
}

/** Bytes of captures that may wait for the disk. */
const MOST_WAITING = 64 << 20;
/** Between two looks at signals and finished writes, ms. */
const LOOK = 50;

async function play(swarm: Swarm, recording: Recorded, capture: CaptureFile, terminal: Terminal): Promise<Played> {
  const progress = new ProgressLine(terminal.watched);
  const interrupt = new Interrupt();
  try {
    const steps = swarm.playing();
    let looked = performance.now();
    let step = steps.next();
    while (!step.done && !interrupt.came) {
      const { flows, of, packets, ofPackets } = step.value;
      if (packets !== undefined && ofPackets !== undefined) progress.update(packets, ofPackets, 'packets');
      else progress.update(flows, of, 'flows');
      if (capture.waiting > MOST_WAITING) await capture.settle(MOST_WAITING / 2);
      if (performance.now() - looked > LOOK) {
        await immediately();
        looked = performance.now();
      }
      step = steps.next();
    }
    const interrupted = step.done ? undefined : { at: swarm.engine.now, flows: step.value.flows, of: step.value.of };
    if (!step.done) steps.return([]);
    recording.finish();
    await capture.settle();
    return { flows: swarm.reports, files: capture.finish(), interrupted };
  } catch (error) {
    capture.discard();
    throw error;
  } finally {
    interrupt.end();
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
