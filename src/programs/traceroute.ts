/** traceroute and traceroute6 as busybox does them (networking/traceroute.c): three UDP datagrams a hop to ports from 33434 on, TTL rising. */

import { readOptions, wholeNumber } from './arguments.js';
import { Exit, MILLISECOND, now, type Process, SECOND } from './process.js';
import { addressOf, isIpv6 } from './resolve.js';
import { Mailbox, type Steps } from './steps.js';

const FIRST_PORT = 33434;
const PROBES = 3;

/** What of ICMP and ICMPv6 says that a datagram came to its end: a type, and the code of a port where nobody listens. */
const FAMILIES = {
  4: { any: '0.0.0.0', headers: 28, size: 38, unreachable: 3, port: 3 },
  6: { any: '::', headers: 48, size: 64, unreachable: 1, port: 4 },
} as const;
type Family = keyof typeof FAMILIES;

export function* traceroute(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('traceroute', args, { short: '46nm:w:q:f:I' });
  const [host, size] = options.operands;
  if (host === undefined) throw new Exit(1, 'Usage: traceroute [OPTIONS] HOST');
  const most = wholeNumber('traceroute', options.value('m'), 30);
  const probes = wholeNumber('traceroute', options.value('q'), PROBES);
  const patience = wholeNumber('traceroute', options.value('w'), 3) * SECOND;
  const family: Family = options.has('6') || (!options.has('4') && isIpv6(host)) ? 6 : 4;
  const { unreachable, port: nobody, size: usual } = FAMILIES[family];
  const address = yield* addressOf(process, host, family, `traceroute: bad address '${host}'`);
  const length = wholeNumber('traceroute', size, usual) || usual;
  const { stdout } = process;
  stdout.write(`traceroute to ${host} (${address}), ${most} hops max, ${length + 8} byte packets\n`);
  let port = FIRST_PORT;
  for (let hop = wholeNumber('traceroute', options.value('f'), 1); hop <= most; hop++) {
    stdout.write(`${String(hop).padStart(2)}`);
    let last: string | undefined;
    let there = false;
    for (let probe = 0; probe < probes; probe++, port++) {
      const answer = yield* oneProbe(process, { address, port }, family, hop, length, patience);
      if (!answer) {
        stdout.write('  *');
        continue;
      }
      if (answer.from !== last) {
        stdout.write(options.has('n') ? `  ${answer.from}` : `  ${answer.from} (${answer.from})`);
        last = answer.from;
      }
      stdout.write(`  ${(answer.took / MILLISECOND).toFixed(3)} ms`);
      if (answer.type === unreachable) {
        there = true;
        if (answer.code !== nobody) stdout.write(MARKS[family][answer.code] ?? ` !<${answer.code}>`);
      }
    }
    stdout.write('\n');
    if (there) break;
  }
  return 0;
}

export function* traceroute6(process: Process): Steps<number> {
  const [name = '', ...args] = process.argv;
  return yield* traceroute({ ...process, argv: [name, '-6', ...args] });
}

const MARKS: Record<Family, Record<number, string>> = {
  4: { 0: ' !N', 1: ' !H', 2: ' !P', 4: ' !F', 13: ' !A' },
  6: { 0: ' !N', 1: ' !P', 3: ' !H' },
};

function* oneProbe(
  process: Process,
  to: { address: string; port: number },
  family: Family,
  ttl: number,
  size: number,
  patience: number,
): Steps<{ from: string; took: number; type: number; code: number } | undefined> {
  const { sockets, namespace } = process.machine;
  const { engine } = namespace;
  const { any, headers, unreachable, port } = FAMILIES[family];
  const letters = new Mailbox<{ from: string; took: number; type: number; code: number } | undefined>();
  const sent = now(process);
  const socket = sockets.openUdp(
    namespace,
    0,
    ({ from, time }) => letters.put({ from: from.address, took: time - sent, type: unreachable, code: port }),
    (type, code, time, from) => letters.put({ from, took: time - sent, type, code }),
    any,
  );
  const callOff = engine.at(sent + patience, () => letters.put(undefined));
  try {
    socket.ttl = ttl;
    // Connected, so that errors about its datagrams come back to it.
    if (!socket.connect(to)) throw new Exit(1, 'traceroute: sendto: Network unreachable');
    socket.send(to, new Uint8Array(Math.max(0, size - headers)), sent);
    return yield* letters.take();
  } finally {
    callOff();
    sockets.closeUdp(socket);
  }
}
