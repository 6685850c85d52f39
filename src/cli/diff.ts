/** `swarmwire diff`: two captures compared frame by frame, each difference in words. */

import type { Capture } from '../capture/capture.js';
import { type CaptureDiff, diffSides, SIDES } from '../replay/diff.js';
import { MaskError } from '../replay/diff-mask.js';
import { type Side, sideOfCapture } from '../replay/diff-sides.js';
import { diffLines } from '../replay/diff-words.js';
import { readArguments, wholeNumber } from './arguments.js';
import { BadInput } from './bad-input.js';
import { columns } from './columns.js';
import type { Command } from './commands.js';
import { DIFF_HELP } from './diff-help.js';
import { readCaptureFile } from './input.js';
import { nearest } from './nearest.js';
import { version } from './version.js';

interface DiffArguments {
  files: readonly [string, string];
  mask: string[];
  interface: string | undefined;
  vxlanPort: number | undefined;
  limit: number | undefined;
  json: boolean;
}

/** What `--json` says of a file. */
interface FileReport {
  file: string;
  frames: number;
  interfaces: number;
  /** It ends, or becomes unreadable, before its time. */
  truncated: boolean;
  warnings: string[];
}

export const diff: Command = {
  help: DIFF_HELP,
  async run(args, terminal) {
    const options = readOptions(args);
    const captures = options.files.map(readCaptureFile) as [Capture, Capture];
    const files = captures.map((capture, index) => fileReport(options.files[index] ?? '', capture));
    const result = compare(captures, options);
    if (options.json) terminal.out(JSON.stringify(documentOf(files, result, options), null, 2));
    else {
      const head = files.map(({ file, frames }, index) => [index === 0 ? SIDES.a : SIDES.b, file, `${frames} frames`]);
      const lines = diffLines(result, {
        ...(options.limit === undefined ? {} : { limit: options.limit }),
        more: '--limit N tells N of them',
      });
      terminal.out([...columns(head, 0, [2]), ...lines].join('\n'));
    }
    return result.equal ? 0 : 1;
  },
};

function readOptions(args: readonly string[]): DiffArguments {
  const { values, positionals } = readArguments(args, {
    mask: { type: 'string', multiple: true, default: [] },
    interface: { type: 'string' },
    'vxlan-port': { type: 'string' },
    limit: { type: 'string' },
    json: { type: 'boolean', default: false },
  });
  const [a, b, ...more] = positionals;
  if (a === undefined || b === undefined) {
    throw new BadInput(
      a === undefined ? 'diff: which two captures?' : `diff: ${a}, and which other capture?`,
      'swarmwire diff A.pcapng B.pcapng; all about it: swarmwire diff --help',
    );
  }
  if (more.length > 0) throw new BadInput(`diff: two captures at a time, and ${more.join(', ')} is too many`);
  return {
    files: [a, b],
    mask: values.mask.flatMap((list) => list.split(',')).map((name) => name.trim()),
    interface: values.interface,
    vxlanPort: wholeNumber('vxlan-port', values['vxlan-port'], 1, 65535),
    limit: wholeNumber('limit', values.limit, 0, Number.MAX_SAFE_INTEGER),
    json: values.json,
  };
}

function compare(captures: readonly [Capture, Capture], options: DiffArguments): CaptureDiff {
  const [a, b] = captures.map(sideOfCapture) as [Side, Side];
  const chosen = options.interface === undefined ? undefined : choose([a, b], options.interface);
  try {
    const result = diffSides(a, b, {
      mask: options.mask,
      ...(options.vxlanPort === undefined ? {} : { vxlanPort: options.vxlanPort }),
    });
    return chosen === undefined ? result : { ...result, interfaces: chosen };
  } catch (error) {
    if (error instanceof MaskError) throw wrongMask(error);
    throw error;
  }
}

function wrongMask({ given, names, like }: MaskError): BadInput {
  if (given === '') return new BadInput('--mask: a field name is missing');
  const meant = nearest(given, names);
  const protocols = [...new Set(names.map((name) => name.split('.')[0]))];
  const hint =
    meant !== undefined
      ? `did you mean ${meant}?`
      : like.length > 0
        ? `there are ${like.join(' ')}`
        : `there are fields of ${protocols.join(', ')}, named as Wireshark names them`;
  return new BadInput(`--mask ${given}: there is no such field`, hint);
}

/** Leaves one interface; a side without names is taken for that whole. Says so in a sentence. */
function choose(sides: readonly Side[], name: string): string {
  const nameless = sides.filter(({ interfaces }) => interfaces.has(undefined));
  const names = [...new Set(sides.flatMap(({ interfaces }) => [...interfaces.keys()]))].filter(
    (one) => one !== undefined,
  );
  if (names.length === 0) throw new BadInput(`--interface ${name}: neither file names its interfaces`);
  if (!names.includes(name)) {
    const meant = nearest(name, names);
    throw new BadInput(
      `--interface ${name}: neither file has it`,
      meant === undefined ? `there are ${names.join(' ')}` : `did you mean ${meant}?`,
    );
  }
  for (const side of sides) {
    const frames = nameless.includes(side) ? [...side.interfaces.values()].flat() : (side.interfaces.get(name) ?? []);
    side.interfaces = new Map([[name, frames]]);
    side.frames = frames.length;
  }
  const [whole] = nameless;
  if (whole === undefined) return `${name} alone`;
  const label = whole === sides[0] ? SIDES.a : SIDES.b;
  return `${name} alone; ${label} does not name its interface: all of it`;
}

function fileReport(file: string, { frames, interfaces, truncated, warnings }: Capture): FileReport {
  return { file, frames: frames.length, interfaces: interfaces.length, truncated, warnings };
}

function documentOf(files: readonly FileReport[], { labels, ...result }: CaptureDiff, { limit }: DiffArguments) {
  const [a, b] = files;
  const told = limit === undefined ? result.differences : result.differences.slice(0, limit);
  return { swarmwire: version(), a, b, ...result, differences: told };
}
