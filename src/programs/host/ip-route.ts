/** `ip route`: shows, asks, adds and removes routes of the tables main and local. */

import type { Device, Namespace, RouteEntry } from '../../engine/index.js';
import { ipv4, mask } from '../../engine/wire.js';
import { isIpv6 } from '../../engine/wire6.js';
import { ipRoute6, ipRoute as shownRoutes } from '../../views/index.js';
import { Exit } from '../process.js';
import { isIpv4 } from '../resolve.js';
import { prefixOf } from './ip-address.js';
import { answers, deviceOf, type IpOptions, keywords, refused, shows, verbOf } from './ip-words.js';

export function ipRoute(namespace: Namespace, [verb, ...words]: readonly string[], options: IpOptions): string {
  if (shows(verb)) return shown(namespace, words, options);
  const kind = verbOf('route', verb ?? '', ['get', 'add', 'append', 'change', 'replace', 'delete', 'flush', 'help']);
  switch (kind) {
    case 'get':
      return got(namespace, words);
    case 'help':
      throw new Exit(255, 'Usage: ip route { list | get | add | replace | delete | flush } …');
    case 'flush':
      flush(namespace, words);
      return '';
    case 'delete':
      remove(namespace, words, options);
      return '';
    default:
      add(namespace, words, kind, options);
      return '';
  }
}

function shown(namespace: Namespace, words: readonly string[], { family }: IpOptions): string {
  const given = keywords(
    words,
    ['table', 'dev', 'via', 'proto', 'scope', 'type', 'src', 'root', 'match', 'exact', 'to'],
    ['cache'],
  );
  const { table = 'main', dev, via, operand = given.to ?? given.exact ?? given.root, proto, scope } = given;
  if (dev !== undefined) deviceOf(namespace, dev);
  if (!['main', 'local', 'all', '254', '255', 'default', '253'].includes(table))
    throw new Exit(1, `Error: argument "${table}" is wrong: table id value is invalid\n`);
  const render = family === 6 ? ipRoute6 : shownRoutes;
  const local = render(namespace, 'local');
  const main = render(namespace, 'main');
  const all = /^(?:all)$/.test(table);
  const text = all
    ? main + local.replaceAll(/ dev (\S+) /g, ' dev $1 table local ')
    : /^(?:local|255)$/.test(table)
      ? local
      : /^(?:main|254)$/.test(table)
        ? main
        : '';
  const wanted = operand === 'default' || operand === '0/0' || operand === '0.0.0.0/0' ? 'default' : operand;
  return text
    .split('\n')
    .filter((line) => line !== '')
    .filter((line) => dev === undefined || line.includes(` dev ${dev} `))
    .filter((line) => via === undefined || line.includes(` via ${via} `))
    .filter((line) => proto === undefined || line.includes(` proto ${proto} `))
    .filter((line) => scope === undefined || line.includes(` scope ${scope} `))
    .filter(
      (line) =>
        wanted === undefined || line.startsWith(`${wanted} `) || `${wanted}/32`.startsWith(`${line.split(' ')[0]}/32`),
    )
    .map((line) => `${dev === undefined ? line : line.replace(` dev ${dev}`, '')}\n`)
    .join('');
}

/** `ip route get`: the route that a packet from here takes. */
function got(namespace: Namespace, words: readonly string[]): string {
  const { operand: address = '', from, to = address } = keywords(words, ['from', 'to', 'oif', 'iif', 'mark']);
  const target = to.split('/')[0] ?? '';
  if (!isIpv4(target)) throw new Exit(1, `Error: any valid prefix is expected rather than "${to}".`);
  const source = namespace.sourceFor(target);
  const route = bestRoute(namespace, target);
  if (!route || source === undefined) throw answers('Network is unreachable');
  const origin = from === undefined ? '' : ` from ${from}`;
  const src = from === undefined ? ` src ${source}` : '';
  if (route.type === 'local') return `local ${target}${origin} dev lo${src} uid 0 \n    cache <local> \n`;
  if (route.type === 'broadcast')
    return `broadcast ${target}${origin} dev ${route.device.name}${src} uid 0 \n    cache <local,brd> \n`;
  const via = route.gateway ? ` via ${route.gateway}` : '';
  return `${target}${origin}${via} dev ${route.device.name}${src} uid 0 \n    cache \n`;
}

/** The longest prefix, table local first. */
function bestRoute({ routes }: Namespace, address: string): RouteEntry | undefined {
  const value = ipv4(address);
  const holds = ({ destination }: RouteEntry) => {
    const [base = '', length = '32'] = destination.split('/');
    return !isIpv6(destination) && ((ipv4(base) ^ value) & mask(Number(length))) === 0;
  };
  const length = ({ destination }: RouteEntry) => Number(destination.split('/')[1] ?? 32);
  for (const table of ['local', 'main'] as const) {
    const [best] = routes.filter((one) => one.table === table && holds(one)).sort((a, b) => length(b) - length(a));
    if (best) return best;
  }
  return undefined;
}

interface Asked {
  destination: string;
  device: Device | undefined;
  gateway: string | undefined;
}

function read(namespace: Namespace, words: readonly string[], { family }: IpOptions): Asked {
  const [first = ''] = words;
  if (['blackhole', 'unreachable', 'prohibit', 'local', 'broadcast', 'throw'].includes(first))
    throw answers(`Operation not supported (routes of type ${first} are not simulated)`);
  const given = keywords(first === 'unicast' ? words.slice(1) : words, [
    'to',
    'via',
    'dev',
    'src',
    'metric',
    'proto',
    'scope',
    'table',
    'mtu',
    'onlink',
  ]);
  const { to, operand = to, via, dev, metric, table } = given;
  if (operand === undefined) throw new Exit(255, 'Command line is not complete. Try option "help"');
  if (metric !== undefined && metric !== '0') throw answers('Operation not supported (metrics are not simulated)');
  if (given.src !== undefined) throw answers('Operation not supported (a preferred source is not simulated)');
  if (table !== undefined && table !== 'main' && table !== '254')
    throw answers('Operation not supported (tables other than main are not simulated)');
  const six = family === 6 || via?.includes(':') || operand.includes(':');
  const destination = operand === 'default' || operand === 'any' ? (six ? '::/0' : '0.0.0.0/0') : prefixOf(operand);
  const [base = '', length = '0'] = destination.split('/');
  if (!six && (ipv4(base) & ~mask(Number(length))) !== 0) throw refused('Invalid prefix for given prefix length.');
  if (via !== undefined && !isIpv4(via) && !isIpv6(via))
    throw new Exit(1, `Error: inet address is expected rather than "${via}".`);
  return { destination, gateway: via, device: dev === undefined ? undefined : deviceOf(namespace, dev) };
}

function matching(namespace: Namespace, { destination, device, gateway }: Asked): RouteEntry[] {
  return [...namespace.routes, ...namespace.ipv6.routes].filter(
    (one) =>
      one.table === 'main' &&
      one.destination === destination &&
      (device === undefined || one.device === device) &&
      (gateway === undefined || one.gateway === gateway),
  );
}

function add(namespace: Namespace, words: readonly string[], verb: string, options: IpOptions): void {
  const asked = read(namespace, words, options);
  const { destination, gateway } = asked;
  const way = gateway === undefined || isIpv6(gateway) ? undefined : bestRoute(namespace, gateway);
  if (gateway !== undefined && !isIpv6(gateway)) {
    if (way?.type === 'local') throw refused('Nexthop has invalid gateway.');
    if (!way || way.gateway !== undefined) throw refused('Nexthop has invalid gateway.');
  }
  const device = asked.device ?? way?.device;
  if (!device) throw answers('No such device');
  if (!device.up) throw refused('Device for nexthop is not up.');
  const there = matching(namespace, { destination, device: undefined, gateway: undefined });
  if (there.length > 0 && (verb === 'add' || verb === 'append')) throw answers('File exists');
  if (there.length === 0 && verb === 'change') throw answers('No such file or directory');
  for (const route of there) namespace.removeRoute(route);
  namespace.addRoute(destination, device, gateway);
}

function remove(namespace: Namespace, words: readonly string[], options: IpOptions): void {
  const [route] = matching(namespace, read(namespace, words, options));
  if (!route) throw answers('No such process');
  namespace.removeRoute(route);
}

function flush(namespace: Namespace, words: readonly string[]): void {
  const { dev, to, operand = to, flags } = keywords(words, ['dev', 'to', 'table', 'proto', 'scope'], ['cache']);
  if (flags.has('cache')) return;
  if (dev === undefined && operand === undefined) throw new Exit(255, 'Flush requires arguments.');
  const device = dev === undefined ? undefined : deviceOf(namespace, dev);
  for (const route of namespace.routes.filter((one) => one.table === 'main')) {
    if (device && route.device !== device) continue;
    if (operand !== undefined && route.destination !== prefixOf(operand)) continue;
    namespace.removeRoute(route);
  }
}
