/** ipvsadm 1.31: virtual services and their destinations. The scheduler is round robin, and forwarding is masquerading. */

import type { Namespace } from '../../engine/index.js';
import { ipvsadmConnections, ipvsadmStats, ipvsadm as list } from '../../views/index.js';
import { portName } from '../../views/service-names.js';
import { Exit, type Process } from '../process.js';
import type { Steps } from '../steps.js';

const USAGE =
  'ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\nUsage:\n  ipvsadm -A|E virtual-service [-s scheduler]\n  ipvsadm -D virtual-service\n  ipvsadm -C\n  ipvsadm -a|e virtual-service -r server-address [-m] [-w weight]\n  ipvsadm -d virtual-service -r server-address\n  ipvsadm -L|l [virtual-service] [-n] [--stats] [-c]';

interface Wish {
  verb: string;
  service: { mark: number } | { protocol: 'tcp' | 'udp'; address: string; port: number } | undefined;
  server: { address: string; port: number } | undefined;
  scheduler: string;
  weight: number;
  flags: Set<string>;
}

// biome-ignore lint/correctness/useYield: every program is a generator, and this one has nothing to wait for
export function* ipvsadm(process: Process): Steps<number> {
  const { namespace } = process.machine;
  const wish = readWish(process.argv.slice(1));
  if (wish.verb === 'L') process.stdout.write(listed(namespace, wish));
  else change(namespace, wish);
  return 0;
}

function listed(namespace: Namespace, { flags }: Wish): string {
  if (flags.has('timeout')) return 'Timeout (tcp tcpfin udp): 900 120 300\n';
  const text = flags.has('c')
    ? ipvsadmConnections(namespace)
    : flags.has('stats')
      ? ipvsadmStats(namespace)
      : list(namespace, { sorted: !flags.has('nosort') });
  return flags.has('n') ? text : text.replaceAll(/(\d+\.\d+\.\d+\.\d+):(\d+)/g, named);
}

/** Ports by their names; the column stays as wide as it was. */
function named(whole: string, address: string, port: string): string {
  const name = portName(Number(port), 'tcp');
  return name === undefined ? whole : `${address}:${name}`;
}

const LONG: Record<string, string> = {
  'add-service': 'A',
  'edit-service': 'E',
  'delete-service': 'D',
  clear: 'C',
  'add-server': 'a',
  'edit-server': 'e',
  'delete-server': 'd',
  list: 'L',
  zero: 'Z',
  'tcp-service': 't',
  'udp-service': 'u',
  'fwmark-service': 'f',
  scheduler: 's',
  'real-server': 'r',
  weight: 'w',
  masquerading: 'm',
  numeric: 'n',
  connection: 'c',
};
const TAKES = 'tufsrwpxy';
const VERBS = 'AEDCaedLlZ';
const FLAGS = 'ncm';

function readWish(args: readonly string[]): Wish {
  const wish: Wish = {
    verb: '',
    service: undefined,
    server: undefined,
    scheduler: 'wlc',
    weight: 1,
    flags: new Set(),
  };
  const words = args.flatMap((arg) => {
    if (arg.startsWith('--')) {
      const [name = '', ...value] = arg.slice(2).split('=');
      return [LONG[name] ? `-${LONG[name]}` : arg, ...(value.length > 0 ? [value.join('=')] : [])];
    }
    // `-ln`, `-Lnc`: one letter each, the last of which may take a value.
    return /^-[a-zA-Z]{2,}$/.test(arg) ? [...arg.slice(1)].map((letter) => `-${letter}`) : [arg];
  });
  while (words.length > 0) {
    const word = words.shift() ?? '';
    const letter = word.slice(1);
    if (['--stats', '--rate', '--timeout', '--nosort', '--exact', '--sort'].includes(word))
      wish.flags.add(word.slice(2));
    else if (word.length === 2 && VERBS.includes(letter)) {
      if (wish.verb !== '') throw new Exit(1, 'multiple commands specified');
      wish.verb = letter === 'l' ? 'L' : letter;
    } else if (word.length === 2 && FLAGS.includes(letter)) wish.flags.add(letter);
    else if (word.length === 2 && TAKES.includes(letter)) {
      const value = words.shift();
      if (value === undefined) throw new Exit(1, `${word}: option requires an argument`);
      take(wish, letter, value);
    } else throw new Exit(1, `ipvsadm: unknown option or one that is not simulated: ${word}\n${USAGE}`);
  }
  if (wish.verb === '') wish.verb = 'L';
  if (wish.flags.has('rate')) throw new Exit(1, 'ipvsadm: --rate is not simulated (there is --stats)');
  return wish;
}

function take(wish: Wish, letter: string, value: string): void {
  switch (letter) {
    case 't':
    case 'u': {
      const place = placeOf(value);
      if (!place) throw new Exit(1, `illegal virtual server address[:port] specified: ${value}`);
      wish.service = { protocol: letter === 't' ? 'tcp' : 'udp', ...place };
      break;
    }
    case 'f':
      if (!/^[1-9]\d*$/.test(value)) throw new Exit(1, 'illegal virtual server firewall mark specified');
      wish.service = { mark: Number(value) };
      break;
    case 'r': {
      const place = placeOf(value);
      if (!place) throw new Exit(1, `illegal real server address[:port] specified: ${value}`);
      wish.server = place;
      break;
    }
    case 's':
      wish.scheduler = value;
      break;
    case 'w':
      if (!/^\d+$/.test(value)) throw new Exit(1, 'illegal weight specified');
      wish.weight = Number(value);
      break;
    default:
      throw new Exit(1, `ipvsadm: -${letter} is not simulated`);
  }
}

function placeOf(text: string): { address: string; port: number } | undefined {
  const [, address, port = '0'] = /^(\d+\.\d+\.\d+\.\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (address === undefined || Number(port) > 65535 || address.split('.').some((part) => Number(part) > 255))
    return undefined;
  return { address, port: Number(port) };
}

function change({ ipvs }: Namespace, wish: Wish): void {
  const { verb, service: key, server, weight } = wish;
  if (verb === 'C') {
    for (const service of [...ipvs.services]) ipvs.remove(service);
    return;
  }
  if (verb === 'Z') throw new Exit(1, 'ipvsadm: -Z is not simulated');
  if (!key) throw new Exit(1, `you need to supply the 'service' option for the '${verb}' command`);
  const same = (other: typeof key) => JSON.stringify(other) === JSON.stringify(key);
  const service = ipvs.services.find((one) =>
    same(
      'mark' in one.key
        ? { mark: one.key.mark }
        : { protocol: one.key.protocol, address: one.key.address, port: one.key.port },
    ),
  );
  if (verb === 'A') {
    if (service) throw new Exit(1, 'Service already exists');
    if (wish.scheduler !== 'rr')
      throw new Exit(1, `Scheduler or persistence engine not found (${wish.scheduler}: there is rr)`);
    ipvs.add(key);
    return;
  }
  if (!service) throw new Exit(1, verb === 'a' ? 'Service not defined' : 'No such service');
  if (verb === 'D') ipvs.remove(service);
  if (verb === 'D' || verb === 'E') return;
  if (!server) throw new Exit(1, `you need to supply the 'real-server' option for the '${verb}' command`);
  const port = server.port === 0 && !('mark' in key) ? key.port : server.port;
  const destination = service.destinations.find((one) => one.address === server.address && one.port === port);
  if (verb === 'a') {
    if (destination) throw new Exit(1, 'Destination already exists');
    if (!wish.flags.has('m')) throw new Exit(1, 'ipvsadm: only masquerading (-m) is simulated');
    service.add(server.address, { port, weight });
    return;
  }
  if (!destination) throw new Exit(1, 'No such destination');
  if (verb === 'd') destination.remove();
  else destination.weightNow = weight;
}
