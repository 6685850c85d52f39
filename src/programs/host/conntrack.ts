/** conntrack (conntrack-tools 1.4.7): lists a namespace's connections, and lets them be forgotten. */

import { type ConnectionEntry, connectionsOf, forgetConnections } from '../../engine/connections.js';
import { connectionLine } from '../../views/conntrack.js';
import { Exit, type Process } from '../process.js';
import type { Steps } from '../steps.js';

const VERSION = 'conntrack v1.4.7 (conntrack-tools)';

/** Options that pick entries, by what stands in the line of one. */
const FILTERS: Record<string, (value: string) => (line: string) => boolean> = {
  p: (value) => (line) => line.startsWith(`${value} `) || line.split(/ +/)[1] === value,
  s: (value) => (line) => original(line).includes(`src=${value} `),
  d: (value) => (line) => original(line).includes(`dst=${value} `),
  sport: (value) => (line) => original(line).includes(`sport=${value} `),
  dport: (value) => (line) => original(line).includes(`dport=${value} `),
  r: (value) => (line) => replied(line).includes(`src=${value} `),
  q: (value) => (line) => replied(line).includes(`dst=${value} `),
  m: (value) => (line) => line.includes(` mark=${Number(value)} `),
  state: (value) => (line) => line.includes(` ${value} src=`),
};
const ALIASES: Record<string, string> = {
  proto: 'p',
  src: 's',
  'orig-src': 's',
  dst: 'd',
  'orig-dst': 'd',
  'reply-src': 'r',
  'reply-dst': 'q',
  mark: 'm',
  'orig-port-src': 'sport',
  'orig-port-dst': 'dport',
};

export function* conntrack(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  let verb: string | undefined;
  let family: ConnectionEntry['family'] = 'ipv4';
  const wanted: ((line: string) => boolean)[] = [];
  while (args.length > 0) {
    const arg = args.shift() ?? '';
    const name = arg.replace(/^--?/, '');
    if (/^(?:-[LCFDS]|--(?:dump|list|count|flush|delete|stats))$/.test(arg)) {
      verb = { dump: 'L', list: 'L', count: 'C', flush: 'F', delete: 'D', stats: 'S' }[name] ?? name;
      if (args[0] === 'conntrack') args.shift();
      continue;
    }
    if (name === 'o' || name === 'output') {
      args.shift();
      continue;
    }
    if (name === 'f' || name === 'family') {
      family = args.shift() === 'ipv6' ? 'ipv6' : 'ipv4';
      continue;
    }
    if (
      name === 'n' ||
      name === 'src-nat' ||
      name === 'g' ||
      name === 'dst-nat' ||
      name === 'j' ||
      name === 'any-nat'
    ) {
      wanted.push(natted(name));
      continue;
    }
    const make = FILTERS[ALIASES[name] ?? name];
    if (!arg.startsWith('-') || !make)
      throw new Exit(2, `${VERSION}: Bad parameter\nTry \`conntrack -h' or 'conntrack --help' for more information.`);
    wanted.push(make(args.shift() ?? ''));
  }
  const { namespace } = process.machine;
  const picked = (entry: ConnectionEntry) =>
    entry.family === family && wanted.every((one) => one(connectionLine(entry)));
  const entries = connectionsOf(namespace.engine).filter((one) => one.namespace === namespace.name && picked(one));
  const list = () => {
    for (const entry of entries) process.stdout.write(`${connectionLine(entry)}\n`);
  };
  switch (verb) {
    case 'L':
      list();
      process.stderr.write(`${VERSION}: ${entries.length} flow entries have been shown.\n`);
      return 0;
    case 'C':
      process.stdout.write(`${namespace.get('connections')}\n`);
      return 0;
    case 'D': {
      list();
      const gone = forgetConnections(namespace, picked);
      process.stderr.write(`${VERSION}: ${gone} flow entries have been deleted.\n`);
      return gone > 0 ? 0 : 1;
    }
    case 'F':
      forgetConnections(namespace, () => true);
      process.stderr.write(`${VERSION}: connection tracking table has been emptied.\n`);
      return 0;
    default:
      throw new Exit(
        2,
        `${VERSION}: You need to supply parameters!\nTry \`conntrack -h' or 'conntrack --help' for more information.`,
      );
  }
}

function original(line: string): string {
  return `${line.slice(line.indexOf('src='), line.indexOf('src=', line.indexOf('src=') + 1))} `;
}
function replied(line: string): string {
  return `${line.slice(line.indexOf('src=', line.indexOf('src=') + 1))} `;
}

/** Translated ones: the reply does not mirror the original. */
function natted(name: string): (line: string) => boolean {
  const field = (text: string, key: string) => new RegExp(`${key}=(\\S+)`).exec(text)?.[1];
  const source = (line: string) => field(original(line), 'src') !== field(replied(line), 'dst');
  const destination = (line: string) => field(original(line), 'dst') !== field(replied(line), 'src');
  if (name.startsWith('n') || name.startsWith('src')) return source;
  if (name.startsWith('g') || name.startsWith('dst')) return destination;
  return (line) => source(line) || destination(line);
}
