/** nslookup (busybox's), dig (BIND's) and getent: a question to a name server, told in each one's words. */

import { readResolvConf } from '../dns/files.js';
import { exchange } from '../dns/forward.js';
import { type Answer, query, RCODE, type RecordType, type Response, readResponse } from '../dns/message.js';
import { readOptions } from './arguments.js';
import { Exit, MILLISECOND, now, type Process, SECOND } from './process.js';
import { addressOf, isIpv4, isIpv6, lookUp } from './resolve.js';
import { type Steps, until } from './steps.js';

const PATIENCE = 5 * SECOND;
const RCODES = new Map(Object.entries(RCODE).map(([name, value]) => [value as number, name]));

interface Reply extends Response {
  status: string;
  size: number;
}

/** One question to one server, over UDP; over TCP if the answer was cut. Undefined: silence. */
function* ask(process: Process, server: string, name: string, type: RecordType, id: number): Steps<Reply | undefined> {
  const { sockets, namespace } = process.machine;
  const message = query(id, name, type);
  for (const transport of ['udp', 'tcp'] as const) {
    const { response } = yield* until<{ response?: Uint8Array }>((done) => {
      const start = {
        at: now(process),
        patience: PATIENCE,
        accept: (bytes: Uint8Array) => readResponse(bytes)?.id === id,
      };
      exchange(sockets, namespace, server, message, transport, start, done);
      return undefined;
    });
    const read = response && readResponse(response);
    if (!read || !response) return undefined;
    if (!read.truncated || transport === 'tcp') {
      return { ...read, status: RCODES.get(read.rcode) ?? `RCODE${read.rcode}`, size: response.length };
    }
  }
  return undefined;
}

function servers({ machine }: Process): string[] {
  return readResolvConf(machine.files.read('/etc/resolv.conf') ?? '').servers;
}

/** `10.0.0.2` → `2.0.0.10.in-addr.arpa` */
function reverse(address: string): string {
  return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
}

export function* nslookup(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions(
    'nslookup',
    args.map((arg) => arg.replace(/^-(?=[a-z]{2})/, '--')),
    {
      long: ['type=', 'query=', 'debug', 'timeout='],
    },
  );
  const [name, serverName] = options.operands;
  if (name === undefined) throw new Exit(1, 'Usage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]');
  const { stdout } = process;
  const server = serverName
    ? yield* addressOf(process, serverName, 4, `nslookup: can't resolve '${serverName}'`)
    : servers(process)[0];
  if (server === undefined) throw new Exit(1, 'nslookup: no name server');
  // BIND's asks for the second family only of a name that there is.
  const bind = process.machine.flavour === 'debian';
  stdout.write(`Server:\t\t${server}\nAddress:\t${server}${bind ? '#' : ':'}53\n\n`);
  const wish = options.value('type') ?? options.value('query');
  const types: RecordType[] = wish ? [wish.toUpperCase() as RecordType] : isIpv4(name) ? ['PTR'] : ['A', 'AAAA'];
  let status = 0;
  for (const type of types) {
    const packet = yield* ask(
      process,
      server,
      isIpv4(name) && type === 'PTR' ? reverse(name) : name,
      type,
      1 + types.indexOf(type),
    );
    if (!packet) throw new Exit(1, `;; connection timed out; no servers could be reached\n`);
    if (packet.rcode !== RCODE.NOERROR) {
      stdout.write(`** server can't find ${isIpv4(name) ? reverse(name) : name}: ${packet.status}\n\n`);
      status = 1;
      if (bind) return status;
      continue;
    }
    const answers = packet.answers;
    if (answers.length === 0) {
      if (types.length === 1) {
        stdout.write(`*** Can't find ${name}: No answer\n\n`);
      } else if (!bind) stdout.write('Non-authoritative answer:\n\n');
      continue;
    }
    if (!bind || type === types[0]) stdout.write('Non-authoritative answer:\n');
    for (const answer of answers) stdout.write(nslookupLine(answer));
    if (!bind || type === types[0]) stdout.write('\n');
  }
  return status;
}

function nslookupLine(answer: Answer): string {
  if (answer.type === 'A' || answer.type === 'AAAA') return `Name:\t${answer.name}\nAddress: ${answer.data}\n`;
  if (answer.type === 'PTR') return `${answer.name}\tname = ${answer.data}\n`;
  if (answer.type === 'CNAME') return `${answer.name}\tcanonical name = ${answer.data}\n`;
  return `${answer.name}\t${answer.type}\t${JSON.stringify((answer as { data?: unknown }).data)}\n`;
}

const TYPES = new Set(['A', 'AAAA', 'PTR', 'TXT', 'MX', 'NS', 'SRV', 'SOA', 'CNAME', 'ANY']);

export function* dig(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const { stdout } = process;
  let server = servers(process)[0];
  let name: string | undefined;
  let type = 'A';
  let short = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg.startsWith('@')) server = arg.slice(1);
    else if (arg === '+short') short = true;
    else if (arg.startsWith('+')) continue;
    else if (arg === '-x') {
      name = reverse(args[++i] ?? '');
      type = 'PTR';
    } else if (arg === '-t') type = (args[++i] ?? '').toUpperCase();
    else if (TYPES.has(arg.toUpperCase()) && name !== undefined) type = arg.toUpperCase();
    else name = arg;
  }
  if (server === undefined) throw new Exit(9, ';; no servers could be reached');
  const address = isIpv4(server)
    ? server
    : yield* addressOf(process, server, 4, `dig: couldn't get address for '${server}': not found`, 10);
  const wanted = name ?? '.';
  const id = ((now(process) / 1000) % 65536) | 0;
  const sent = now(process);
  const packet = yield* ask(process, address, wanted, type as RecordType, id);
  if (!packet) {
    stdout.write(
      `\n; <<>> DiG 9.18.19 <<>> ${args.join(' ')}\n;; global options: +cmd\n;; connection timed out; no servers could be reached\n`,
    );
    return 9;
  }
  const answers = packet.answers;
  if (short) {
    for (const answer of answers) stdout.write(`${dataOf(answer)}\n`);
    return 0;
  }
  const flags = [
    'qr',
    ...(packet.authoritative ? ['aa'] : []),
    ...(packet.truncated ? ['tc'] : []),
    'rd',
    ...(packet.flags & 0x80 ? ['ra'] : []),
  ];
  const dotted = (text: string) => (text.endsWith('.') ? text : `${text}.`);
  stdout.write(
    [
      '',
      `; <<>> DiG 9.18.19 <<>> ${args.join(' ')}`,
      ';; global options: +cmd',
      ';; Got answer:',
      `;; ->>HEADER<<- opcode: QUERY, status: ${packet.status}, id: ${id}`,
      `;; flags: ${flags.join(' ')}; QUERY: 1, ANSWER: ${answers.length}, AUTHORITY: 0, ADDITIONAL: 0`,
      '',
      ';; QUESTION SECTION:',
      `;${dotted(wanted)}${tabs(wanted.length + 2, 32)}IN\t${type}`,
      '',
      ...(answers.length > 0
        ? [
            ';; ANSWER SECTION:',
            ...answers.map(
              (answer) =>
                `${dotted(answer.name)}${tabs(answer.name.length + 1, 24)}${'ttl' in answer ? answer.ttl : 0}\tIN\t${answer.type}\t${dataOf(answer)}`,
            ),
            '',
          ]
        : []),
      `;; Query time: ${Math.round((now(process) - sent) / MILLISECOND)} msec`,
      `;; SERVER: ${address}#53(${address}) (UDP)`,
      `;; MSG SIZE  rcvd: ${packet.size}`,
      '',
      '',
    ].join('\n'),
  );
  return 0;
}

function dataOf(answer: Answer): string {
  const data = (answer as { data?: unknown }).data;
  if (typeof data === 'string')
    return answer.type === 'PTR' || answer.type === 'CNAME' || answer.type === 'NS' ? `${data}.` : data;
  if (Array.isArray(data)) return data.map((part) => `"${part}"`).join(' ');
  return JSON.stringify(data);
}

function tabs(from: number, to: number): string {
  return '\t'.repeat(Math.max(1, Math.ceil((to - from) / 8)));
}

/** Whose address that is, by the first name server; undefined: nobody knows. */
export function* nameOf(process: Process, address: string): Steps<string | undefined> {
  const known = (process.machine.files.read('/etc/hosts') ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([first]) => first === address);
  if (known?.[1] !== undefined) return known[1];
  const [server] = servers(process);
  if (server === undefined || !isIpv4(address)) return undefined;
  const packet = yield* ask(process, server, reverse(address), 'PTR', 1);
  const data = (packet?.answers.find(({ type }) => type === 'PTR') as { data?: unknown } | undefined)?.data;
  return typeof data === 'string' ? data : undefined;
}

/** `host NAME [SERVER]` (BIND's). */
export function* host(process: Process): Steps<number> {
  const options = readOptions('host', process.argv.slice(1), { short: 't:46W:' });
  const [name, serverName] = options.operands;
  if (name === undefined) throw new Exit(1, 'Usage: host [-t type] name [server]');
  const server = serverName
    ? yield* addressOf(process, serverName, 4, `host: couldn't get address for '${serverName}': not found`)
    : servers(process)[0];
  const wish = options.value('t')?.toUpperCase() as RecordType | undefined;
  const types: RecordType[] = wish ? [wish] : isIpv4(name) ? ['PTR'] : ['A', 'AAAA'];
  const asked = isIpv4(name) ? reverse(name) : name;
  for (const type of types) {
    const packet = server && (yield* ask(process, server, asked, type, 1 + types.indexOf(type)));
    if (!packet) throw new Exit(1, ';; connection timed out; no servers could be reached');
    if (packet.rcode !== RCODE.NOERROR) {
      process.stdout.write(`Host ${asked}${isIpv4(name) ? '.' : ''} not found: 3(${packet.status})\n`);
      return 1;
    }
    for (const answer of packet.answers)
      process.stdout.write(`${answer.name} ${HOST_WORDS[answer.type] ?? answer.type} ${dataOf(answer)}\n`);
  }
  return 0;
}

const HOST_WORDS: Record<string, string> = {
  A: 'has address',
  AAAA: 'has IPv6 address',
  PTR: 'domain name pointer',
  CNAME: 'is an alias for',
};

/** As musl prints it: `10.0.1.3         web  web`; glibc says the name once. */
export function* getent(process: Process): Steps<number> {
  const [, database, ...keys] = process.argv;
  const { stdout } = process;
  if (database === undefined) throw new Exit(1, 'usage: getent [options] database [key ...]');
  if (!['hosts', 'ahosts', 'ahostsv4', 'ahostsv6'].includes(database))
    throw new Exit(1, `Unknown database: ${database}`);
  let status = 0;
  for (const key of keys) {
    const family = database === 'ahostsv6' ? 6 : database === 'ahostsv4' ? 4 : 0;
    if (isIpv4(key) || isIpv6(key)) {
      stdout.write(`${key.padEnd(15)} ${key}\n`);
      continue;
    }
    const addresses = yield* lookUp(process, key, family);
    const [first] = addresses;
    if (first === undefined) {
      status = 2;
      continue;
    }
    if (database === 'hosts')
      stdout.write(
        process.machine.flavour === 'debian'
          ? `${first.padEnd(15)} ${key}\n`
          : `${first.padEnd(15)}   ${key}  ${key}\n`,
      );
    else
      for (const address of addresses)
        for (const kind of ['STREAM', 'DGRAM', 'RAW'])
          stdout.write(`${address.padEnd(15)} ${kind.padEnd(6)} ${kind === 'STREAM' ? key : ''}\n`);
  }
  return status;
}
