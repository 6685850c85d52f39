/** `swarmwire replay`: a capture's frames injected at a device of a swarm, what every tap saw written. */

import { basename } from 'node:path';
import type { Capture, Direction } from '../capture/capture.js';
import { type CaptureFormat, openCapture } from '../capture/files.js';
import { Recording } from '../capture/recording.js';
import type { Driver } from '../drivers/index.js';
import type { Device } from '../engine/index.js';
import { BEFORE, type Chosen, framesFor, InterfaceError, inject, oddities } from '../replay/inject.js';
import type { StackFile } from '../stack-file/index.js';
import { MOST_NODES } from '../stack-file/section.js';
import { Swarm } from '../swarm/swarm.js';
import { oneOf, readArguments, wholeNumber } from './arguments.js';
import { BadInput, blaming } from './bad-input.js';
import type { Command } from './commands.js';
import { dropsOf } from './drops.js';
import { loadDrivers, readCaptureFile, readStackFile } from './input.js';
import { nearest } from './nearest.js';
import { REPLAY_HELP } from './replay-help.js';
import { type ReplayReport, renderReplay } from './replay-report.js';
import { version } from './version.js';

const FORMATS: readonly CaptureFormat[] = ['pcapng', 'pcap'];
const WAYS: readonly Direction[] = ['received', 'transmitted'];
/** Times of a capture that lie further apart are hardly one recording's, ns. */
const LONGEST = 7n * 24n * 3600n * 1_000_000_000n;

interface ReplayOptions {
  capture: string;
  file: string;
  at: string;
  as: Direction;
  interface: string | undefined;
  nodes: number | undefined;
  out: string;
  format: CaptureFormat;
  seed: number;
  json: boolean;
  drivers: string[];
}

export const replay: Command = {
  help: REPLAY_HELP,
  async run(args, terminal) {
    const options = readOptions(args);
    const capture = readCaptureFile(options.capture);
    const drivers = await loadDrivers(options.drivers);
    const report = await simulate(options, capture, readStackFile(options.file, options.nodes, drivers), drivers);
    if (options.json) terminal.out(JSON.stringify(report, null, 2));
    else terminal.out(renderReplay(report, terminal.colours).join('\n'));
    return report.ok ? 0 : 1;
  },
};

function readOptions(args: readonly string[]): ReplayOptions {
  const { values, positionals } = readArguments(args, {
    at: { type: 'string' },
    as: { type: 'string', default: 'received' },
    interface: { type: 'string' },
    nodes: { type: 'string' },
    out: { type: 'string', default: 'captures' },
    format: { type: 'string', default: 'pcapng' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    driver: { type: 'string', multiple: true, default: [] },
  });
  const [capture, file, ...more] = inOrder(positionals);
  const hint = 'swarmwire replay IN.pcap --at node1/host/eth0 STACK.yml; all about it: swarmwire replay --help';
  if (capture === undefined) throw new BadInput('replay: which capture, and into which stack?', hint);
  if (file === undefined) throw new BadInput(`replay: ${capture}, and which other file?`, hint);
  if (more.length > 0) throw new BadInput(`replay: a capture and a stack file, and ${more.join(', ')} is too many`);
  if (values.at === undefined || values.at === '') throw new BadInput('replay: at which device?', hint);
  if (values.out === '') throw new BadInput('--out: the name of a directory is missing');
  return {
    capture,
    file,
    at: values.at,
    as: oneOf('as', values.as, WAYS),
    interface: values.interface,
    nodes: wholeNumber('nodes', values.nodes, 1, MOST_NODES),
    out: values.out,
    format: oneOf('format', values.format, FORMATS),
    seed: wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER) ?? 1,
    json: values.json,
    drivers: values.driver,
  };
}

/** Which of the two is the stack file is plain to see, whichever comes first. */
function inOrder([first, second, ...more]: readonly string[]): (string | undefined)[] {
  const isStack = (file: string | undefined) => /\.ya?ml$/i.test(file ?? '');
  return isStack(first) && second !== undefined && !isStack(second)
    ? [second, first, ...more]
    : [first, second, ...more];
}

async function simulate(
  options: ReplayOptions,
  capture: Capture,
  stack: StackFile,
  drivers: readonly Driver[],
): Promise<ReplayReport> {
  const { at, as, format, out, seed } = options;
  const swarm = await layOut(stack, options, startOf(capture), drivers);
  const { engine } = swarm;
  const device = deviceAt(swarm, at);
  const chosen = choose(capture, device, options);
  swarm.tapEverything();
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const file = openCapture(format, out, captureName(options.capture), taps);
  // The file keeps the frames: the swarm need not gather them in memory as well.
  engine.onCapture = undefined;
  const recording = new Recording(engine, file);
  try {
    const { injected, tooLong } = inject(swarm, device, chosen.frames, as);
    recording.finish();
    const files = file.finish();
    const { account } = engine;
    const balanced = account.made === account.delivered + account.dropped + account.inFlight;
    const missed = engine.exports.missed();
    return {
      ok: balanced && missed === 0,
      swarmwire: version(),
      file: options.file,
      seed,
      capture: {
        file: options.capture,
        frames: capture.frames.length,
        ...(chosen.interface === undefined ? {} : { interface: chosen.interface }),
        truncated: capture.truncated,
        warnings: capture.warnings,
      },
      at,
      as,
      injected,
      leftOut: [
        ...chosen.leftOut,
        ...(tooLong > 0 ? [{ count: tooLong, why: 'longer than any frame that the engine takes' }] : []),
      ],
      notes: oddities(swarm, device, chosen.frames, as),
      captures: {
        format,
        directory: out,
        interfaces: engine.taps.map(({ path }, index) => ({ name: path, frames: recording.framesAt(index) })),
        frames: recording.frames,
        files,
        missed,
        late: recording.late,
      },
      drops: dropsOf(engine),
      frames: { ...account, balanced },
      virtualTime: engine.now,
    };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function layOut(
  { spec }: StackFile,
  options: ReplayOptions,
  epoch: bigint | undefined,
  drivers: readonly Driver[],
): Promise<Swarm> {
  const { file, seed, format } = options;
  try {
    return await Swarm.create(spec, {
      seed,
      comments: format === 'pcapng',
      drivers,
      ...(epoch === undefined ? {} : { epoch }),
    });
  } catch (error) {
    throw blaming(file, error);
  }
}

/** When the run starts, so that the first frame keeps its time. */
function startOf({ frames }: Capture): bigint | undefined {
  const times = frames.map(({ time }) => time).filter((time) => time > 0n);
  const first = times.reduce<bigint | undefined>(
    (least, time) => (least === undefined || time < least ? time : least),
    undefined,
  );
  const start = (first ?? 0n) - BigInt(BEFORE);
  return start > 0n ? start : undefined;
}

function deviceAt({ engine }: Swarm, at: string): Device {
  const device = engine.devices.find(({ path }) => path === at);
  if (device !== undefined) return device;
  const near = devicesNear(
    at,
    engine.devices.map(({ path }) => path),
  );
  const hint =
    near.length > 0 ? `there are ${near.join(' ')}` : `namespaces are ${[...engine.namespaces.keys()].join(' ')}`;
  throw new BadInput(`--at ${at}: the swarm has no such device`, hint);
}

const NEAR = 8;

/** Devices of that name on that node, a name that is spelt almost so, devices of that namespace. */
function devicesNear(at: string, paths: readonly string[]): string[] {
  const [node = '', ...rest] = at.split('/');
  const name = rest.at(-1);
  const namesake = paths.filter((path) => path.startsWith(`${node}/`) && path.endsWith(`/${name ?? 'eth0'}`));
  const like = nearest(at, paths);
  const namespace = at.slice(0, at.lastIndexOf('/') + 1);
  const beside = namespace === '' ? [] : paths.filter((path) => path.startsWith(namespace));
  return [...new Set([...(like === undefined ? [] : [like]), ...beside, ...namesake])].slice(0, NEAR);
}

function choose(capture: Capture, device: Device, options: ReplayOptions): Chosen {
  const { as } = options;
  try {
    const chosen = framesFor(capture, device, as, options.interface);
    const [first, last] = [chosen.frames[0]?.time, chosen.frames.at(-1)?.time];
    if (first === undefined || last === undefined) {
      const why = chosen.leftOut.map(({ count, why }) => `${count} ${why}`).join(', ');
      throw new BadInput(
        `${options.capture}: no frame to inject${why === '' ? '' : `: ${why}`}`,
        why === '' ? undefined : `--as ${as === 'received' ? 'transmitted' : 'received'} injects the others`,
      );
    }
    if (last - first > LONGEST) {
      throw new BadInput(
        `${options.capture}: its times lie more than a week apart`,
        'editcap -A and -B cut a part out',
      );
    }
    return chosen;
  } catch (error) {
    if (!(error instanceof InterfaceError)) throw error;
    const meant = options.interface === undefined ? undefined : nearest(options.interface, error.names);
    const choice = `--interface NAME picks one: ${error.names.join(' ')}`;
    throw new BadInput(`${options.capture}: ${error.message}`, meant === undefined ? choice : `did you mean ${meant}?`);
  }
}

/** `captures/real.pcap` → `real.replay`: never the name of the capture itself. */
function captureName(file: string): string {
  return `${basename(file).replace(/(.)\.(pcapng|pcap|cap)$/i, '$1')}.replay`;
}
