/**
 * Connections of one namespace, compared with what the real one dumped after the run and told while it ran: conntrack's table
 * and events, and IPVS's connections. What remains of a lifetime hangs on when the dump was made, and is not compared.
 */

import { fragmentOf, layersOf, u16 } from '../dissect/layers.js';
import { ipv4 } from '../dissect/notation.js';
import type { Namespace } from '../engine/index.js';
import { conntrackEvents, conntrackList, ipvsadmConnections } from '../views/index.js';
import type { Stimulus } from './scenario.js';
import type { StateDifferences } from './state-difference.js';
import type { Dump } from './state-dump.js';

/** The swarm's own chatter, which no capture has: its control plane and gossip. */
const CHATTER_TCP = 2377;
const GOSSIP = 7946;
/** Dumps say to the second when they were made. */
const MARGIN = 2;

export interface ConnectionOptions {
  vxlanPort: number;
  /** Seconds from the end of the run to the dump; undefined where the dump does not say when it was made. */
  later: number | undefined;
  /** Is this a connection of which packets entered at a device, past the hooks of their own namespace? */
  bypassed: (flow: string) => boolean;
  /** Does a frame that was injected carry this port or identifier? Others' connections were not replayed. */
  replayed: (protocol: string, port: number) => boolean;
  /** Did its packets cross in another order than the real ones, as captures of this namespace show? */
  crossed: (protocol: string, sport: number, dport: number) => boolean;
  /** The engine was watched while it ran. */
  watched: boolean;
  /** Destinations that went, when nobody noted. */
  leaving: ReadonlySet<string>;
}

/** A line of `conntrack -L` or `-E`. */
interface Line {
  change: string;
  protocol: string;
  timeout: number | undefined;
  state: string;
  /** Both tuples and what is known of them, and the mark. */
  rest: string;
  original: Ends;
  reply: Ends;
}

interface Ends {
  source: string;
  destination: string;
  /** ICMP: both are the identifier. */
  sport: number;
  dport: number;
}

const LINE =
  /^(?:\[[\d.]+\]\s+\[(NEW|UPDATE|DESTROY)\]\s+)?(\S+)\s+\d+\s+(?:(\d+)\s+)?(?:([A-Z]\w+)\s+)?(src=.*?)(?: use=\d+)?\s*$/;

function parse(line: string): Line | undefined {
  const parts = LINE.exec(line);
  if (!parts) return undefined;
  const [, change = '', protocol = '', timeout, state = '', rest = ''] = parts;
  const [original, reply] = rest.split(/(?=src=)/).map(ends);
  if (!original || !reply) return undefined;
  return { change, protocol, timeout: timeout ? Number(timeout) : undefined, state, rest, original, reply };
}

function ends(text: string): Ends {
  const field = (name: string) => new RegExp(`\\b${name}=(\\S+)`).exec(text)?.[1];
  const sport = Number(field('sport') ?? field('id') ?? 0);
  return {
    source: field('src') ?? '',
    destination: field('dst') ?? '',
    sport,
    dport: Number(field('dport') ?? sport),
  };
}

/** The same whichever way its packets go. */
function flowOf(protocol: string, { source, destination, sport, dport }: Ends): string {
  return `${protocol} ${[`${source}:${sport}`, `${destination}:${dport}`].sort().join(' ')}`;
}

/** Connections of which a packet was injected at a device of that namespace. */
export function bypassedFlows(injected: readonly Stimulus[], namespace: string): Set<string> {
  const flows = new Set<string>();
  for (const { namespace: where, socket, data } of injected) {
    if (where !== namespace || socket !== undefined) continue;
    const [, ip, transport] = layersOf(data);
    if (ip?.name !== 'ip' || !transport || fragmentOf(data, ip)?.offset) continue;
    const [sport, dport] =
      transport.name === 'icmp'
        ? [u16(data, transport.start + 4), u16(data, transport.start + 4)]
        : [u16(data, transport.start), u16(data, transport.start + 2)];
    const addresses = { source: ipv4(data, ip.start + 12), destination: ipv4(data, ip.start + 16) };
    flows.add(flowOf(transport.name, { ...addresses, sport, dport }));
  }
  return flows;
}

export function compareConnections(
  namespace: Namespace,
  dump: Dump,
  found: StateDifferences,
  options: ConnectionOptions,
): void {
  compareTable(namespace, dump, found, options);
  compareEvents(namespace, dump, found, options);
  compareBalanced(namespace, dump, found, options);
}

/** Parsed lines that may be compared; what is left out is told of the real ones. */
function parsed(
  lines: readonly string[],
  what: string,
  found: StateDifferences | undefined,
  options: ConnectionOptions,
) {
  return lines.flatMap((text) => {
    const line = parse(text);
    if (!line) return [];
    const { protocol, original, reply } = line;
    const ports = [original.sport, original.dport];
    if ((protocol === 'tcp' && ports.includes(CHATTER_TCP)) || (protocol !== 'icmp' && ports.includes(GOSSIP))) {
      found?.leaveOut(`${what}: N of TCP ${CHATTER_TCP} and port ${GOSSIP}`);
      return [];
    }
    if (options.bypassed(flowOf(protocol, original)) || options.bypassed(flowOf(protocol, reply))) {
      found?.leaveOut(`${what}: N of connections whose packets entered at a device, past their own namespace's hooks`);
      return [];
    }
    return [masked(line, options)];
  });
}

/** A tunnel's source port is drawn from a hash: entries of one direction are told apart by nothing. */
function masked(line: Line, { vxlanPort }: ConnectionOptions): Line {
  const { protocol, original, rest } = line;
  if (protocol !== 'udp' || original.dport !== vxlanPort) return line;
  return {
    ...line,
    rest: rest.replaceAll(`port=${original.sport}`, 'port=*'),
    original: { ...original, sport: 0 },
  };
}

function textOf({ change, protocol, state, rest }: Line, timeout?: number): string {
  const words = [...(change ? [`[${change}]`] : []), protocol, ...(timeout === undefined ? [] : [`${timeout}`])];
  return [...words, ...(state ? [state] : []), rest].join(' ');
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(Boolean);
}

/** `conntrack -L`: tuples, states, marks. Ours that had run out by the time of the dump are none. */
function compareTable(namespace: Namespace, dump: Dump, found: StateDifferences, options: ConnectionOptions): void {
  const lines = dump.section('conntrack -L');
  if (!lines) return;
  const what = 'conntrack -L';
  // Of several with one name, under the mask, those that last are there still.
  const left = parsed(linesOf(conntrackList(namespace)), what, undefined, options)
    .map((line) => ({
      text: textOf(line),
      alive: options.later === undefined ? undefined : (line.timeout ?? 0) - options.later,
    }))
    .sort((a, b) => (b.alive ?? 0) - (a.alive ?? 0));
  for (const line of parsed(lines, what, found, options)) {
    const text = textOf(line);
    const at = left.findIndex((one) => one.text === text);
    if (at >= 0) left.splice(at, 1);
    else if (!options.replayed(line.protocol, line.original.sport)) {
      found.leaveOut(`${what}: N of connections that were not replayed`);
      continue;
    }
    found.same(dump.namespace, what, '', text, at >= 0 ? text : undefined);
  }
  for (const { text, alive } of left) {
    if (alive !== undefined && alive > MARGIN) found.same(dump.namespace, what, '', undefined, text);
    else found.leaveOut(`${what}: N of ours that had run out, or may have, when the real table was dumped`);
  }
}

/** `conntrack -E`: the same sequence in each connection, with the same timeouts. */
function compareEvents(namespace: Namespace, dump: Dump, found: StateDifferences, options: ConnectionOptions): void {
  const what = 'conntrack events';
  if (!dump.events) return;
  if (!options.watched) {
    found.leaveOut(`${what}: N logs, because the engine was not watched`);
    return;
  }
  const real = sequences(parsed(dump.events, what, found, options), found);
  const ours = sequences(parsed(linesOf(conntrackEvents(namespace)), what, undefined, options));
  for (const [flow, events] of real) {
    const mine = ours.get(flow) ?? [];
    ours.delete(flow);
    const [first] = events[0] ?? [];
    if (first && first.change !== 'NEW') {
      found.leaveOut(`${what}: N connections that were there before the log began`);
      continue;
    }
    if (mine.length === 0 && first && !options.replayed(first.protocol, first.original.sport)) {
      found.leaveOut(`${what}: N connections that were not replayed`);
      continue;
    }
    const unknown = events.flat().filter((line) => line.change === 'DESTROY' && options.leaving.has(line.reply.source));
    found.leaveOut(
      `${what}: the lifetime that N connections had left when their destination went, which is not known`,
      unknown.length,
    );
    const texts = textsOf(events, mine, new Set(unknown));
    const same = texts.real.join('\n') === texts.ours.join('\n');
    if (!same && first && options.crossed(first.protocol, first.original.sport, first.original.dport)) {
      found.leaveOut(`${what}: N connections whose packets were in flight both ways at once, and crossed elsewhere`);
    } else found.inOrder(dump.namespace, what, `${flow}, event`, texts.real, texts.ours);
  }
  for (const [flow, events] of ours) {
    found.inOrder(dump.namespace, what, `${flow}, event`, [], textsOf([], events, new Set()).ours);
  }
}

/**
 * By original tuple: the connection's events in order. Under a mask several connections have one name: a list of events for
 * each, which are compared as one list sorted.
 */
function sequences(lines: readonly Line[], found?: StateDifferences): Map<string, Line[][]> {
  const flows = new Map<string, Line[][]>();
  for (const line of lines) {
    // One that ran out goes when the collector comes by.
    if (line.change === 'DESTROY' && line.timeout === undefined) {
      found?.leaveOut('conntrack events: N of entries that had run out, told when the collector came by');
      continue;
    }
    const { source, destination, sport, dport } = line.original;
    const flow = `${line.protocol} ${source}:${sport || '*'} > ${destination}:${dport}`;
    const events = flows.get(flow) ?? [];
    if (sport === 0 || events.length === 0) events.push([line]);
    else events[0]?.push(line);
    flows.set(flow, events);
  }
  return flows;
}

function textsOf(
  real: readonly Line[][],
  ours: readonly Line[][],
  /** Their timeouts are not compared. */
  untimed: ReadonlySet<Line>,
): { real: string[]; ours: string[] } {
  const own = ours.flat();
  // The kernel tells whole seconds of what is left when the event goes out: a moment later it is one less. And it counts in
  // ticks: what ends within one has lost nothing.
  const theirs = real.flat().map((line, at) => {
    const mine = own[at]?.timeout;
    const less = mine !== undefined && line.timeout === mine - 1;
    const none = mine !== undefined && line.timeout === mine + 1 && line.change === 'DESTROY';
    const timeout = less || none || untimed.has(line) ? mine : line.timeout;
    return textOf(line, timeout);
  });
  return { real: theirs, ours: own.map((line) => textOf(line, line.timeout)) };
}

/** `ipvsadm -Lnc`: who is balanced to whom, in which state. */
function compareBalanced(namespace: Namespace, dump: Dump, found: StateDifferences, options: ConnectionOptions): void {
  const what = 'ipvsadm -Lnc';
  const lines = dump.section(what);
  if (!lines) return;
  const entries = (texts: readonly string[]) =>
    texts.flatMap((text) => {
      const parts = /^(TCP|UDP) (\d+):(\d+)\s+(.*)$/.exec(text);
      if (!parts) return [];
      const [, protocol = '', minutes, seconds, rest = ''] = parts;
      const words = `${protocol} ${rest.trim().replace(/\s+/g, ' ')}`;
      return [{ words, left: Number(minutes) * 60 + Number(seconds) }];
    });
  const left = entries(linesOf(ipvsadmConnections(namespace)));
  for (const { words } of entries(lines)) {
    const at = left.findIndex((one) => one.words === words);
    if (at >= 0) left.splice(at, 1);
    found.same(dump.namespace, what, '', words, at >= 0 ? words : undefined);
  }
  for (const { words, left: seconds } of left) {
    if (options.later !== undefined && seconds - options.later > MARGIN)
      found.same(dump.namespace, what, '', undefined, words);
    else found.leaveOut(`${what}: N of ours that had run out, or may have, when the real table was dumped`);
  }
}
