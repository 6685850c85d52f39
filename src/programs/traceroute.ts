/** traceroute as busybox does it (networking/traceroute.c): three UDP datagrams a hop to ports from 33434 on, TTL rising. */

import { readOptions, wholeNumber } from './arguments.js';
import { Exit, MILLISECOND, now, type Process, SECOND } from './process.js';
import { addressOf } from './resolve.js';
import { Mailbox, type Steps } from './steps.js';

const FIRST_PORT = 33434;
const PROBES = 3;

export function* traceroute(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('traceroute', args, { short: 'nm:w:q:f:I' });
  const [host, size] = options.operands;
  if (host === undefined) throw new Exit(1, 'Usage: traceroute [OPTIONS] HOST');
  const most = wholeNumber('traceroute', options.value('m'), 30);
  const probes = wholeNumber('traceroute', options.value('q'), PROBES);
  const patience = wholeNumber('traceroute', options.value('w'), 3) * SECOND;
  const address = yield* addressOf(process, host, 4, `traceroute: bad address '${host}'`);
  const length = wholeNumber('traceroute', size, 38) || 38;
  const { stdout } = process;
  stdout.write(`traceroute to ${host} (${address}), ${most} hops max, ${length + 8} byte packets\n`);
  let port = FIRST_PORT;
  for (let hop = wholeNumber('traceroute', options.value('f'), 1); hop <= most; hop++) {
    stdout.write(`${String(hop).padStart(2)}`);
    let last: string | undefined;
    let there = false;
    for (let probe = 0; probe < probes; probe++, port++) {
      const answer = yield* oneProbe(process, address, port, hop, length, patience);
      if (!answer) {
        stdout.write('  *');
        continue;
      }
      if (answer.from !== last) {
        stdout.write(options.has('n') ? `  ${answer.from}` : `  ${answer.from} (${answer.from})`);
        last = answer.from;
      }
      stdout.write(`  ${(answer.took / MILLISECOND).toFixed(3)} ms`);
      if (answer.type === 3) {
        there = true;
        if (answer.code !== 3) stdout.write(MARKS[answer.code] ?? ` !<${answer.code}>`);
      }
    }
    stdout.write('\n');
    if (there) break;
  }
  return 0;
}

const MARKS: Record<number, string> = { 0: ' !N', 1: ' !H', 2: ' !P', 4: ' !F', 13: ' !A' };

function* oneProbe(
  process: Process,
  address: string,
  port: number,
  ttl: number,
  size: number,
  patience: number,
): Steps<{ from: string; took: number; type: number; code: number } | undefined> {
  const { sockets, namespace } = process.machine;
  const { engine } = namespace;
  const letters = new Mailbox<{ from: string; took: number; type: number; code: number } | undefined>();
  const sent = now(process);
  const socket = sockets.openUdp(
    namespace,
    0,
    ({ from, time }) => letters.put({ from: from.address, took: time - sent, type: 3, code: 3 }),
    (type, code, time, from) => letters.put({ from, took: time - sent, type, code }),
  );
  const callOff = engine.at(sent + patience, () => letters.put(undefined));
  try {
    socket.ttl = ttl;
    // Connected, so that errors about its datagrams come back to it.
    if (!socket.connect({ address, port })) throw new Exit(1, 'traceroute: sendto: Network unreachable');
    socket.send({ address, port }, new Uint8Array(Math.max(0, size - 28)), sent);
    return yield* letters.take();
  } finally {
    callOff();
    sockets.closeUdp(socket);
  }
}
