/** tcpdump: a line a frame as it passes a device, and `-w FILE`. Filters: the few that guides use, refused with a word otherwise. */

import { pcapHeader, pcapRecord } from '../capture/pcap.js';
import { Watch, type Watched } from '../capture/watch.js';
import { concat } from '../dns/message.js';
import { readOptions, wholeNumber } from './arguments.js';
import { Exit, type Process } from './process.js';
import { Mailbox, type Steps } from './steps.js';
import { type Filter, readFilter } from './tcpdump-filter.js';
import { frameLines, type Sequences } from './tcpdump-lines.js';

const SNAPLEN = 262144;

export function* tcpdump(process: Process): Steps<number> {
  const options = readOptions('tcpdump', process.argv.slice(1), { short: 'i:nNc:w:s:evqtlAXxUpS', strict: false });
  const { machine, stdout, stderr } = process;
  const { namespace } = machine;
  const name = options.value('i') ?? [...namespace.devices.keys()].find((one) => one !== 'lo') ?? 'lo';
  const devices = name === 'any' ? [...namespace.devices.values()] : [namespace.devices.get(name)];
  if (devices.some((device) => device === undefined))
    throw new Exit(1, `tcpdump: ${name}: No such device exists\n(No such device exists)`);
  let filter: Filter;
  try {
    filter = readFilter(options.operands.join(' '));
  } catch (error) {
    throw new Exit(1, `tcpdump: ${error instanceof Error ? error.message : String(error)}`);
  }
  const file = options.value('w');
  const most = wholeNumber('tcpdump', options.value('c'), Number.POSITIVE_INFINITY);
  const letters = new Mailbox<Watched | 'interrupt'>();
  process.onInterrupt = () => letters.put('interrupt');
  stderr.write(
    file === undefined
      ? `tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\nlistening on ${name}, link-type EN10MB (Ethernet), snapshot length ${SNAPLEN} bytes\n`
      : `tcpdump: listening on ${name}, link-type EN10MB (Ethernet), snapshot length ${SNAPLEN} bytes\n`,
  );
  const watch = new Watch(
    namespace.engine,
    devices.flatMap((device) => device ?? []),
    (frame) => letters.put(frame),
  );
  const pieces: Uint8Array[] = [];
  const sequences: Sequences = new Map();
  let seen = 0;
  try {
    while (seen < most) {
      const letter = yield* letters.take();
      if (letter === 'interrupt') break;
      if (!filter(letter.data)) continue;
      seen++;
      if (file !== undefined) pieces.push(pcapRecord(letter));
      else {
        stdout.write(
          frameLines(letter.data, letter.time, { link: options.has('e'), time: !options.has('t') }, sequences),
        );
      }
    }
  } finally {
    watch.stop();
    if (file !== undefined) keep(process, file, [pcapHeader(), ...pieces]);
  }
  stderr.write(
    `${seen} packet${seen === 1 ? '' : 's'} captured\n${watch.frames} packets received by filter\n0 packets dropped by kernel\n`,
  );
  return 0;
}

/** `-` is standard output. */
function keep(process: Process, file: string, pieces: readonly Uint8Array[]): void {
  if (file === '-') {
    for (const piece of pieces) process.stdout.write(piece);
    return;
  }
  process.machine.files.write(file.startsWith('/') ? file : `/${file}`, concat(pieces));
}
