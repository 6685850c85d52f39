/** `ip addr|link|route|neigh` in a container: busybox's (libiproute); iproute2's is a node's own (host/ip.ts). Both show, and change nothing. */

import { ipAddr, ipNeigh, ipRoute, ipRoute6 } from '../views/index.js';
import { ip as iproute2 } from './host/ip.js';
import { Exit, type Process } from './process.js';
import type { Steps } from './steps.js';

const OBJECTS = ['address', 'link', 'route', 'neighbour'] as const;

export function* ip(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  if (process.machine.flavour === 'debian') return yield* iproute2(process);
  const flags: string[] = [];
  while (args[0]?.startsWith('-')) flags.push(args.shift() ?? '');
  const [word = '', ...rest] = args;
  const object = word === '' ? undefined : (OBJECTS.find((name) => name.startsWith(word)) ?? ALIASES[word]);
  if (!object) throw new Exit(1, 'Usage: ip [OPTIONS] address|route|link|neigh [ARGS]');
  const [verb = 'show', ...more] = rest;
  const showing = ['show', 'list', 'ls', 'l', 's', 'sh'].includes(verb);
  const words = showing ? more : rest;
  const name = words[0] === 'dev' ? words[1] : words[0];
  if (!showing && !(name && process.machine.namespace.devices.has(name))) {
    throw new Exit(1, 'ip: RTNETLINK answers: Operation not permitted');
  }
  const family = flags.includes('-6') ? 6 : flags.includes('-4') ? 4 : undefined;
  process.stdout.write(shown(process, object, object === 'route' || object === 'neighbour' ? undefined : name, family));
  return 0;
}

const ALIASES: Record<string, (typeof OBJECTS)[number]> = {
  addr: 'address',
  neighbor: 'neighbour',
  neigh: 'neighbour',
  arp: 'neighbour',
};

function shown(
  process: Process,
  object: (typeof OBJECTS)[number],
  name: string | undefined,
  family: 4 | 6 | undefined,
): string {
  const { namespace } = process.machine;
  if (object === 'neighbour') {
    const lines = ipNeigh(namespace).split(/(?<=\n)/);
    return lines
      .filter((line) => family === undefined || line.split(' ')[0]?.includes(':') === (family === 6))
      .join('');
  }
  if (object === 'route') {
    const text = family === 6 ? ipRoute6(namespace) : ipRoute(namespace);
    return busyboxRoutes(text);
  }
  if (name !== undefined && !namespace.devices.has(name)) {
    throw new Exit(1, `ip: can't find device '${name}'`);
  }
  // A family leaves devices out that have no address of it, and the line with the hardware address.
  const only = object === 'link' ? undefined : family;
  const blocks = ipAddr(namespace, only ? { family: only } : {})
    .split(/^(?=\d+: )/m)
    .filter((block) => block !== '');
  const wanted = blocks.filter((block) => name === undefined || new RegExp(`^\\d+: ${name}[@:]`).test(block));
  return wanted
    .map((block) => block.split('\n').filter((line) => line !== ''))
    .map(([heading = '', ...rest]) => {
      const lines = object === 'link' ? rest.slice(0, 1) : rest;
      return [busyboxHeading(heading), ...lines.map((line) => line.replace(/ link-netns.*$/, ''))];
    })
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('');
}

/** Its other end is in another namespace: busybox takes that for a master that is down. */
function busyboxHeading(heading: string): string {
  const plain = heading.replace(' group default', '');
  return /^\d+: [^:]*@if\d+:/.test(plain) ? plain.replace(/>/, ',M-DOWN>') : plain;
}

/** busybox leaves the protocol out, and has two spaces before `src`. */
function busyboxRoutes(text: string): string {
  return text.replaceAll(/ proto kernel| pref medium/g, '').replaceAll(/ (?=src |metric )/g, '  ');
}
