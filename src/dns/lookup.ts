/**
 * A program's getaddrinfo(): /etc/hosts first, then the servers of /etc/resolv.conf, asked for A and AAAA at once, with the
 * search list, as the two C libraries of containers do it: glibc (resolv/res_send.c, res_query.c) and musl
 * (src/network/lookup_name.c, res_msend.c).
 */

import type { Datagram, Namespace, Sockets, UdpSocket } from '../engine/index.js';
import { readHosts, readResolvConf } from './files.js';
import { anyOf, exchange } from './forward.js';
import { isName, query, RCODE, type RecordType, type Response, readResponse } from './message.js';
import { inOrder, type Libc } from './preference.js';

const SECOND = 1_000_000_000;
/** resolv.conf(5): RES_TIMEOUT, RES_DFLRETRY, MAXNS. */
const TIMEOUT = 5;
const ATTEMPTS = 2;
const MOST_SERVERS = 3;
const PORT = 53;
/** Without a resolv.conf both ask the machine itself. */
const NO_SERVER = '127.0.0.1';

export interface LookupWorld {
  sockets: Sockets;
  namespace: Namespace;
  libc: Libc;
  resolvConf: string;
  hosts: string;
  /** A random number below `limit`. */
  below: (limit: number) => number;
}

export interface Lookup {
  /** Whose program asked: `node2/task-web.1`. */
  namespace: string;
  name: string;
  /** IPv4 and IPv6, in the order in which a program tries them; empty: it failed. */
  addresses: string[];
  /** Where they come from: nothing was looked up, /etc/hosts, or a server. */
  from: 'number' | 'hosts' | 'dns' | 'nowhere';
  /** Why there are none. */
  failure?: string;
  /** The server that answered last. */
  server?: string;
  finished: number;
}

/** What asking for one whole name came to. */
interface Outcome {
  addresses: string[];
  /** `none` exists without an address, `missing` does not exist, `failed` is a server's error, `silent` no answer at all. */
  kind: 'found' | 'none' | 'missing' | 'failed' | 'silent';
  server?: string;
  finished: number;
}

/** Looks `name` up from `at` on; `finish` is called once. Literal addresses are themselves. */
export function lookUp(world: LookupWorld, name: string, at: number, finish: (result: Lookup) => void): void {
  const { namespace, libc } = world;
  const done = (result: Omit<Lookup, 'namespace'>) =>
    finish({
      namespace: namespace.name,
      ...result,
      addresses: inOrder(result.addresses, libc, (address) => namespace.sourceFor(address)),
    });
  if (isLiteral(name)) {
    done({ name, addresses: [name], from: 'number', finished: at });
    return;
  }
  const wanted = name.toLowerCase().replace(/\.$/, '');
  const known = readHosts(world.hosts).filter(({ names }) => names.some((one) => one.toLowerCase() === wanted));
  if (known.length > 0) {
    done({ name, addresses: known.map(({ address }) => address), from: 'hosts', finished: at });
    return;
  }
  if (!isName(name)) {
    done({ name, addresses: [], from: 'nowhere', failure: 'is no name that DNS can ask for', finished: at });
    return;
  }
  const conf = settings(world.resolvConf);
  const names = candidates(world.libc, name, conf);
  let best: Outcome | undefined;
  const next = (i: number, time: number): void => {
    const candidate = names[i];
    if (candidate === undefined) {
      done(concluded(name, best, time));
      return;
    }
    const judge = (outcome: Outcome) => {
      if (outcome.kind === 'found') {
        const { addresses, server, finished } = outcome;
        done({ name, addresses, from: 'dns', ...(server === undefined ? {} : { server }), finished });
        return;
      }
      // A name that exists without addresses says more than one that does not exist.
      if (!best || best.kind === 'missing') best = outcome;
      const goesOn = world.libc === 'glibc' ? outcome.kind !== 'silent' : outcome.kind === 'missing';
      if (goesOn) next(i + 1, world.sockets.after(outcome.finished));
      else done(concluded(name, outcome, outcome.finished));
    };
    if (world.libc === 'glibc') askOneByOne(world, conf, candidate, time, judge);
    else askAll(world, conf, candidate, time, judge);
  };
  next(0, at);
}

const FAILURES: Record<Outcome['kind'], string> = {
  found: '',
  none: 'has no address',
  missing: 'does not exist (NXDOMAIN)',
  failed: 'could not be looked up: the name server failed',
  silent: 'could not be looked up: no name server answered',
};

function concluded(name: string, outcome: Outcome | undefined, finished: number): Omit<Lookup, 'namespace'> {
  const kind = outcome?.kind ?? 'missing';
  const server = outcome?.server === undefined ? {} : { server: outcome.server };
  return { name, addresses: [], from: 'dns', failure: FAILURES[kind], ...server, finished };
}

interface Settings {
  servers: string[];
  search: string[];
  ndots: number;
  timeout: number;
  attempts: number;
}

function settings(text: string): Settings {
  const { servers, search, options } = readResolvConf(text);
  const option = (key: string, standard: number, most: number) => {
    const given = options.findLast((one) => one.startsWith(`${key}:`))?.slice(key.length + 1);
    const value = given === undefined || given === '' ? Number.NaN : Number(given);
    return Number.isInteger(value) && value >= 0 ? Math.min(value, most) : standard;
  };
  return {
    servers: servers.length > 0 ? servers.slice(0, MOST_SERVERS) : [NO_SERVER],
    search,
    ndots: option('ndots', 1, 15),
    timeout: Math.max(option('timeout', TIMEOUT, 30), 1),
    attempts: Math.max(option('attempts', ATTEMPTS, 5), 1),
  };
}

/** The names to try, one after the other. */
export function candidates(libc: Libc, name: string, { search, ndots }: Pick<Settings, 'search' | 'ndots'>): string[] {
  if (name.endsWith('.')) return [name];
  const dots = name.split('.').length - 1;
  const searched = search.map((domain) => (domain === '.' ? name : `${name}.${domain}`)).filter(isName);
  if (dots < ndots) return [...searched, name];
  // musl asks for a name with dots enough as it is, and leaves it at that.
  return libc === 'musl' ? [name] : [name, ...searched];
}

const TYPES: readonly RecordType[] = ['A', 'AAAA'];

/** Both questions of one name, and the answers as they come. */
class Pair {
  readonly queries: { id: number; type: RecordType; bytes: Uint8Array }[];
  readonly responses: (Response | undefined)[] = [undefined, undefined];

  constructor(
    readonly name: string,
    below: (limit: number) => number,
  ) {
    const first = below(0x10000);
    // Two ids, which must differ.
    const second = (first + 1 + below(0xffff)) & 0xffff;
    this.queries = TYPES.map((type, i) => {
      const id = i === 0 ? first : second;
      return { id, type, bytes: query(id, name, type) };
    });
  }

  /** Which of the two questions `response` answers; -1: neither. */
  indexOf(response: Response): number {
    const same = this.name.replace(/\.$/, '').toLowerCase();
    return this.queries.findIndex(
      ({ id, type }) =>
        response.id === id && response.question?.type === type && response.question.name.toLowerCase() === same,
    );
  }

  get whole(): boolean {
    return this.responses.every((one) => one !== undefined);
  }

  outcome(server: string | undefined, finished: number): Outcome {
    const got = this.responses.filter((one) => one !== undefined);
    const addresses = got.flatMap(({ answers }) =>
      answers.flatMap((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? [answer.data] : [])),
    );
    const says = (rcode: number) => got.some((one) => one.rcode === rcode);
    const kind =
      addresses.length > 0
        ? 'found'
        : got.length === 0
          ? 'silent'
          : says(RCODE.NOERROR)
            ? 'none'
            : says(RCODE.NXDOMAIN)
              ? 'missing'
              : 'failed';
    return { addresses, kind, finished, ...(server === undefined ? {} : { server }) };
  }
}

/** glibc: one server at a time, both questions from one connected socket; on to the next server after a timeout or an error. */
function askOneByOne(
  world: LookupWorld,
  { servers, timeout, attempts }: Settings,
  name: string,
  at: number,
  done: (outcome: Outcome) => void,
): void {
  const { sockets, namespace, below } = world;
  const pair = new Pair(name, below);
  let failed: Outcome | undefined;
  const turn = (n: number, time: number): void => {
    const attempt = Math.floor(n / servers.length);
    const server = servers[n % servers.length];
    if (attempt >= attempts || server === undefined) {
      done(failed ?? pair.outcome(undefined, time));
      return;
    }
    const seconds = attempt === 0 ? timeout : Math.max(Math.floor((timeout << attempt) / servers.length), 1);
    pair.responses.fill(undefined);
    askServer(world, server, pair, time, seconds * SECOND, (end) => {
      if (end.kind === 'truncated') {
        overTcp(sockets, namespace, server, pair, sockets.after(end.time), timeout * SECOND, (finished) => {
          if (pair.whole) done(pair.outcome(server, finished));
          else turn(n + 1, sockets.after(finished));
        });
        return;
      }
      if (end.kind === 'whole' && !pair.responses.some((one) => isError(one))) {
        done(pair.outcome(server, end.time));
        return;
      }
      if (end.kind === 'whole') failed = pair.outcome(server, end.time);
      // One of two answers that came is better than none.
      const some = pair.responses.some((one) => one !== undefined && !isError(one) && one.answers.length > 0);
      if (some) done(pair.outcome(server, end.time));
      else turn(n + 1, sockets.after(end.time));
    });
  };
  turn(0, at);
}

function isError(response: Response | undefined): boolean {
  return response !== undefined && response.rcode !== RCODE.NOERROR && response.rcode !== RCODE.NXDOMAIN;
}

type End = { kind: 'whole' | 'truncated' | 'silent'; time: number };

/** Both questions to one server over UDP. */
function askServer(
  { sockets, namespace }: LookupWorld,
  server: string,
  pair: Pair,
  at: number,
  patience: number,
  done: (end: End) => void,
): void {
  let over = false;
  const finish = (end: End) => {
    if (over) return;
    over = true;
    stop();
    sockets.closeUdp(socket);
    done(end);
  };
  const socket = sockets.openUdp(
    namespace,
    0,
    ({ data, time }) => {
      const response = readResponse(data);
      const index = response ? pair.indexOf(response) : -1;
      if (!response || index < 0) return;
      if (response.truncated) {
        finish({ kind: 'truncated', time });
        return;
      }
      pair.responses[index] = response;
      if (pair.whole) finish({ kind: 'whole', time });
    },
    (_type, _code, time) => finish({ kind: 'silent', time }),
    anyOf(server),
  );
  const stop = sockets.engine.at(at + patience, (time) => finish({ kind: 'silent', time }));
  const to = { address: server, port: PORT };
  const sent = socket.connect(to) && pair.queries.every(({ bytes }) => socket.send(to, bytes, at));
  if (!sent) finish({ kind: 'silent', time: at });
}

/** musl: every server is asked at once, again after half the time; the first proper answer to each question is taken. */
function askAll(
  { sockets, namespace, below }: LookupWorld,
  { servers, timeout, attempts }: Settings,
  name: string,
  at: number,
  done: (outcome: Outcome) => void,
): void {
  const pair = new Pair(name, below);
  let over = false;
  let server: string | undefined;
  let retries = 2 * pair.queries.length;
  let stop: () => void = () => {};
  const finish = (time: number) => {
    if (over) return;
    over = true;
    stop();
    for (const socket of open) sockets.closeUdp(socket);
    done(pair.outcome(server, time));
  };
  const take = ({ data, from, time }: Datagram, socket: UdpSocket): void => {
    const response = readResponse(data);
    const index = response ? pair.indexOf(response) : -1;
    const asked = pair.queries[index];
    if (over || !response || !asked || pair.responses[index] || !servers.includes(from.address)) return;
    if (response.rcode === RCODE.SERVFAIL && retries-- > 0) {
      socket.send(from, asked.bytes, sockets.after(time));
      return;
    }
    if (isError(response)) return;
    server = from.address;
    if (response.truncated) {
      const accept = (bytes: Uint8Array) => pair.indexOf(readResponse(bytes) ?? response) === index;
      const start = { at: sockets.after(time), patience: timeout * SECOND, accept };
      pair.responses[index] = response;
      exchange(sockets, namespace, from.address, asked.bytes, 'tcp', start, ({ response: longer, finished }) => {
        pair.responses[index] = (longer && readResponse(longer)) ?? response;
        if (pair.whole && !pair.responses.some((one) => one?.truncated)) finish(finished);
        else if (!longer) finish(finished);
      });
      return;
    }
    pair.responses[index] = response;
    if (pair.whole && !pair.responses.some((one) => one?.truncated)) finish(time);
  };
  // One socket of musl's speaks both families, from one port.
  const open: UdpSocket[] = [];
  for (const any of new Set(servers.map(anyOf)))
    open.push(sockets.openUdp(namespace, open[0]?.port ?? 0, take, undefined, any));
  const socketFor = (address: string) => open.find(({ ipv6 }) => ipv6 === address.includes(':'));
  const interval = (timeout * SECOND) / attempts;
  const send = (n: number, time: number) => {
    if (n === attempts) {
      finish(time);
      return;
    }
    let sent = false;
    for (const [i, { bytes }] of pair.queries.entries()) {
      if (pair.responses[i]) continue;
      for (const address of servers) sent = socketFor(address)?.send({ address, port: PORT }, bytes, time) || sent;
    }
    if (!sent && !pair.responses.some((one) => one !== undefined)) finish(time);
    else stop = sockets.engine.at(time + interval, (then) => send(n + 1, then));
  };
  send(0, at);
}

/** Both questions over one TCP connection, one behind the other. */
function overTcp(
  sockets: Sockets,
  namespace: Namespace,
  server: string,
  pair: Pair,
  at: number,
  patience: number,
  done: (finished: number) => void,
): void {
  pair.responses.fill(undefined);
  const accept = (bytes: Uint8Array) => {
    const response = readResponse(bytes);
    const index = response ? pair.indexOf(response) : -1;
    if (index >= 0) pair.responses[index] = response;
    return pair.whole;
  };
  const messages = pair.queries.map(({ bytes }) => bytes);
  exchange(sockets, namespace, server, messages, 'tcp', { at, patience, accept }, ({ finished }) => done(finished));
}

function isLiteral(name: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(name) || name.includes(':');
}

/** Which library an image brings: Alpine's is musl. */
export function libcOf(image: string | undefined): Libc {
  return image !== undefined && /\balpine\b/.test(image) ? 'musl' : 'glibc';
}
