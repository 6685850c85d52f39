/** tcpdump: a line a frame as it passes a device, and `-w FILE`. Filters: the few that guides use, refused with a word otherwise. */

import { joined } from '../bytes.js';
import { isPcap, pcapHeader, pcapRecord, readPcap } from '../capture/pcap.js';
import { Watch, type Watched } from '../capture/watch.js';
import { readOptions, wholeNumber } from './arguments.js';
import { Exit, type Process, pathOf } from './process.js';
import { Mailbox, type Steps } from './steps.js';
import { type Filter, readFilter } from './tcpdump-filter.js';
import { frameLines, type Sequences } from './tcpdump-lines.js';

const SNAPLEN = 262144;

export function* tcpdump(process: Process): Steps<number> {
  const options = readOptions('tcpdump', process.argv.slice(1), {
    short: 'i:nNc:w:r:s:evqtlAXxUpSKh',
    long: ['version', 'immediate-mode'],
  });
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
  if (options.has('version') || options.has('h')) {
    stdout.write('tcpdump version 4.99.3\nlibpcap version 1.10.3 (with TPACKET_V3)\n');
    return 0;
  }
  const file = options.value('w');
  const most = wholeNumber('tcpdump', options.value('c'), Number.POSITIVE_INFINITY);
  const read = options.value('r');
  if (read !== undefined)
    return shown(process, read, most, { filter, link: options.has('e'), time: !options.has('t') });
  const letters = new Mailbox<Watched | 'interrupt'>();
  process.onInterrupt = () => letters.put('interrupt');
  const any = name === 'any';
  if (any && file !== undefined)
    throw new Exit(1, 'tcpdump: -i any with -w: not simulated (name one interface, or stream them: docs/serve.md)');
  const type = any ? 'LINUX_SLL2 (Linux cooked v2)' : 'EN10MB (Ethernet)';
  if (any) stderr.write('tcpdump: data link type LINUX_SLL2\n');
  stderr.write(
    `tcpdump: ${file === undefined ? 'verbose output suppressed, use -v[v]... for full protocol decode\n' : ''}listening on ${name}, link-type ${type}, snapshot length ${SNAPLEN} bytes\n`,
  );
  const watch = new Watch(
    namespace.engine,
    devices.flatMap((device) => device ?? []),
    (frame) => letters.put(frame),
  );
  // What goes through a pipe is read as it comes; a file is written when it is whole.
  const pieces: Uint8Array[] = [];
  const write = (piece: Uint8Array) => {
    if (file === '-') stdout.write(piece);
    else pieces.push(piece);
  };
  if (file !== undefined) write(pcapHeader());
  const sequences: Sequences = new Map();
  let seen = 0;
  try {
    while (seen < most) {
      const letter = yield* letters.take();
      if (letter === 'interrupt') break;
      if (!filter(letter.data)) continue;
      seen++;
      if (file !== undefined) write(pcapRecord(letter));
      else {
        const place = any ? `${letter.device.name.padEnd(5)} ${cooked(letter).padEnd(3)} ` : '';
        stdout.write(
          frameLines(letter.data, letter.time, { link: options.has('e'), time: !options.has('t'), place }, sequences),
        );
      }
    }
  } finally {
    watch.stop();
    if (file !== undefined && file !== '-') machine.files.write(pathOf(process, file), joined(pieces));
  }
  stderr.write(
    `${seen} packet${seen === 1 ? '' : 's'} captured\n${watch.frames} packets received by filter\n0 packets dropped by kernel\n`,
  );
  return 0;
}

/** The packet type of a cooked frame: from here, to all, to some, to another one, or to this machine. */
function cooked({ block, data, device }: Watched): string {
  if (block.direction === 'out') return 'Out';
  const destination = macText(data);
  if (destination === 'ff:ff:ff:ff:ff:ff') return 'B';
  if ((data[0] ?? 0) & 1) return 'M';
  return destination === device.mac || device.kind === 'loopback' ? 'In' : 'P';
}

function macText(frame: Uint8Array): string {
  return Array.from(frame.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** `-r FILE`: what `-w` has written, told. */
function shown(
  process: Process,
  name: string,
  most: number,
  how: { filter: Filter; link: boolean; time: boolean },
): number {
  const bytes = process.machine.files.bytes(pathOf(process, name));
  if (!bytes) throw new Exit(1, `tcpdump: ${name}: No such file or directory`);
  if (!isPcap(bytes)) throw new Exit(1, 'tcpdump: unknown file format');
  process.stderr.write(`reading from file ${name}, link-type EN10MB (Ethernet), snapshot length ${SNAPLEN}\n`);
  const sequences: Sequences = new Map();
  const packets = readPcap(bytes).frames.filter(({ data }) => how.filter(data));
  for (const { data, time } of packets.slice(0, most))
    process.stdout.write(frameLines(data, time, { link: how.link, time: how.time, place: '' }, sequences));
  return 0;
}
