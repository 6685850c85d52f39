/**
 * ping: busybox's (networking/ping.c) in a container, iputils' on a node. Echo requests are the engine's own; the round trip is
 * virtual time.
 */

import type { EchoError, EchoReply } from '../engine/index.js';
import { readOptions, wholeNumber } from './arguments.js';
import { nameOf } from './dns-tools.js';
import { Exit, MILLISECOND, now, type Process, SECOND } from './process.js';
import { addressOf } from './resolve.js';
import { Mailbox, type Steps } from './steps.js';

type Letter =
  | { kind: 'reply'; reply: EchoReply }
  | { kind: 'error'; error: EchoError }
  | { kind: 'tick' }
  | { kind: 'late' };

interface Wish {
  host: string;
  address: string;
  count: number;
  interval: number;
  size: number;
  ttl: number;
  quiet: boolean;
  /** Addresses are not looked up. */
  numeric: boolean;
  source: string | undefined;
  /** Of the whole run and of the last answer, ns. */
  deadline: number | undefined;
  linger: number;
}

export function* ping(process: Process): Steps<number> {
  const wish = yield* readWish(process, 4);
  return yield* run(process, wish);
}

export function* ping6(process: Process): Steps<number> {
  const wish = yield* readWish(process, 6);
  return yield* run(process, wish);
}

function* readWish(process: Process, family: 4 | 6): Steps<Wish> {
  const [program = 'ping', ...args] = process.argv;
  const options = readOptions(program, args, { short: 'c:i:s:t:W:w:I:qn46A' });
  const count = wholeNumber(program, options.value('c'), Number.POSITIVE_INFINITY);
  const [host] = options.operands;
  if (host === undefined) throw new Exit(1, `Usage: ${program} [OPTIONS] HOST`);
  const wanted = options.has('6') ? 6 : options.has('4') ? 4 : family;
  const busybox = process.machine.flavour === 'busybox';
  const unknown = busybox ? `${program}: bad address '${host}'` : `${program}: ${host}: Name or service not known`;
  const interval = Number(options.value('i') ?? 1);
  if (!(interval >= 0)) throw new Exit(1, `${program}: invalid number '${options.value('i')}'`);
  const deadline = options.value('w');
  const address = yield* addressOf(
    process,
    host,
    program === 'ping6' || options.has('6') ? 6 : options.has('4') ? 4 : wanted === 6 ? 6 : 0,
    unknown,
    busybox ? 1 : 2,
  );
  return {
    host,
    address,
    count,
    interval: Math.max(interval * SECOND, MILLISECOND),
    size: wholeNumber(program, options.value('s'), 56),
    ttl: wholeNumber(program, options.value('t'), 64),
    quiet: options.has('q'),
    numeric: options.has('n') || host === address,
    source: options.value('I'),
    deadline: deadline === undefined ? undefined : wholeNumber(program, deadline, 0) * SECOND,
    linger: wholeNumber(program, options.value('W'), 10) * SECOND,
  };
}

function* run(process: Process, wish: Wish): Steps<number> {
  const { machine, stdout } = process;
  const { sockets, namespace } = machine;
  const { engine } = namespace;
  const busybox = machine.flavour === 'busybox';
  const letters = new Mailbox<Letter>();
  const sent = new Map<number, number>();
  const times: number[] = [];
  const started = now(process);
  const identifier = sockets.openPing(
    (reply) => letters.put({ kind: 'reply', reply }),
    (error) => letters.put({ kind: 'error', error }),
  );
  let timer: (() => void) | undefined;
  let end: (() => void) | undefined;
  const first = busybox ? 0 : 1;
  let transmitted = 0;
  let answered = 0;
  let errors = 0;
  let interrupted = false;
  process.onInterrupt = () => {
    interrupted = true;
    letters.put({ kind: 'late' });
  };
  // iputils asks who that is, unless it was an address that it was given.
  const name = busybox || wish.numeric ? undefined : yield* nameOf(process, wish.address);
  const named = name === undefined ? undefined : `${name} (${wish.address})`;
  const head = busybox
    ? `PING ${wish.host} (${wish.address}): ${wish.size} data bytes\n`
    : `PING ${wish.host} (${wish.address}) ${wish.size}(${wish.size + 28}) bytes of data.\n`;
  stdout.write(head);
  try {
    if (wish.deadline !== undefined) end = engine.at(started + wish.deadline, () => letters.put({ kind: 'late' }));
    letters.put({ kind: 'tick' });
    while (true) {
      const letter = yield* letters.take();
      if (letter.kind === 'late') break;
      if (letter.kind === 'tick') {
        if (transmitted >= wish.count) break;
        const sequence = first + transmitted;
        const time = now(process);
        const gone = sockets.ping(namespace, wish.address, {
          identifier,
          sequence,
          size: wish.size,
          ttl: wish.ttl,
          time,
          ...(wish.source && /^[\d.]+$/.test(wish.source) ? { source: wish.source } : {}),
        });
        if (!gone) {
          if (busybox) throw new Exit(1, 'ping: sendto: Network unreachable');
          throw new Exit(2, 'ping: connect: Network is unreachable');
        }
        sent.set(sequence, time);
        transmitted++;
        const rest = transmitted < wish.count ? wish.interval : wish.linger;
        timer = engine.at(time + rest, () => letters.put({ kind: 'tick' }));
        continue;
      }
      if (letter.kind === 'error') {
        errors++;
        const { sequence, from, type, code } = letter.error;
        // Busybox looks at echo replies alone; iputils tells errors.
        if (!busybox) stdout.write(`From ${from} icmp_seq=${sequence} ${errorWords(type, code)}\n`);
      } else {
        const { reply } = letter;
        const at = sent.get(reply.sequence);
        if (at === undefined) continue;
        sent.delete(reply.sequence);
        answered++;
        const took = (reply.time - at) / MILLISECOND;
        times.push(took);
        if (!wish.quiet) {
          stdout.write(
            busybox
              ? `${wish.size + 8} bytes from ${reply.from}: seq=${reply.sequence} ttl=${reply.ttl} time=${took.toFixed(3)} ms\n`
              : `${wish.size + 8} bytes from ${named ?? reply.from}: icmp_seq=${reply.sequence} ttl=${reply.ttl} time=${shortMs(took)} ms\n`,
          );
        }
      }
      if (transmitted >= wish.count && answered + errors >= transmitted) break;
    }
  } finally {
    timer?.();
    end?.();
    sockets.closePing(identifier);
  }
  stdout.write(summary(wish, transmitted, answered, errors, times, now(process) - started, busybox));
  if (interrupted && !busybox) return answered > 0 ? 0 : 1;
  return answered > 0 ? 0 : 1;
}

function summary(
  wish: Wish,
  transmitted: number,
  answered: number,
  errors: number,
  times: readonly number[],
  took: number,
  busybox: boolean,
): string {
  const lost = transmitted === 0 ? 0 : Math.floor(((transmitted - answered) * 100) / transmitted);
  const lines = ['', `--- ${wish.host} ping statistics ---`];
  const [least, sum, most] = [Math.min(...times), times.reduce((a, b) => a + b, 0), Math.max(...times)];
  const mean = sum / times.length;
  if (busybox) {
    lines.push(`${transmitted} packets transmitted, ${answered} packets received, ${lost}% packet loss`);
    if (times.length > 0)
      lines.push(`round-trip min/avg/max = ${least.toFixed(3)}/${mean.toFixed(3)}/${most.toFixed(3)} ms`);
  } else {
    const failed = errors > 0 ? `+${errors} errors, ` : '';
    lines.push(
      `${transmitted} packets transmitted, ${answered} received, ${failed}${lost}% packet loss, time ${Math.floor(took / MILLISECOND)}ms`,
    );
    if (times.length > 0) {
      const deviation = Math.sqrt(Math.max(0, times.reduce((a, b) => a + b * b, 0) / times.length - mean * mean));
      lines.push(`rtt min/avg/max/mdev = ${[least, mean, most, deviation].map((ms) => ms.toFixed(3)).join('/')} ms`);
    }
    // iputils ends with a line of times, or an empty one.
    else lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

/** iputils: three digits that matter. */
function shortMs(ms: number): string {
  if (ms >= 100) return ms.toFixed(0);
  if (ms >= 10) return ms.toFixed(1);
  if (ms >= 1) return ms.toFixed(2);
  return ms.toFixed(3);
}

function errorWords(type: number, code: number): string {
  if (type === 11) return code === 1 ? 'Frag reassembly time exceeded' : 'Time to live exceeded';
  if (type !== 3) return `Bad ICMP type: ${type}`;
  const words = [
    'Destination Net Unreachable',
    'Destination Host Unreachable',
    'Destination Protocol Unreachable',
    'Destination Port Unreachable',
    'Frag needed',
  ];
  if (code === 13) return 'Packet filtered';
  return words[code] ?? `Dest Unreachable, Bad Code: ${code}`;
}
